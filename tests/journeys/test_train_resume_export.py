"""What a user goes through: train, lose the process, resume, interrupt, resume, export, solve."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyamg
import pyarrow.parquet as pq
import pytest

import rllib_psparsity
from rllib_psparsity.cli import main
from rllib_psparsity.training.checkpoint import newest_checkpoint
from tests.environment.tiny import MENU, SCALAR
from tests.journeys.session import Session, iterations

SETTINGS = (
    SCALAR,
    MENU,
    "problems.heldout_problems=2",
    "environment.max_coarse=20",
    "policy.width=8",
    "policy.layers=1",
    "training.iterations=100000",
    "training.episodes_per_iteration=6",
    "training.minibatch_graphs=8",
    "env_runners.count=1",
    "env_runners.episodes_per_chunk=3",
    "checkpoint.every=3",
    "checkpoint.keep=2",
)


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run directory of a training that was killed, resumed, interrupted, and resumed to its end."""
    cwd = tmp_path_factory.mktemp("journey")
    run_dir = cwd / "run"
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    with Session("train", "--run-dir", run_dir.name, *settings, cwd=cwd) as session:  # relative, as by default
        session.wait_for_iteration(run_dir, 5)
        session.kill()
    killed_at = iterations(run_dir)[-1]
    _, saved, _ = newest_checkpoint(run_dir)
    assert saved % 3 == 0 and 3 <= saved <= killed_at <= saved + 3, "more is lost than since the last checkpoint"

    with Session("resume", str(run_dir), cwd=cwd) as session:
        session.wait_for_iteration(run_dir, killed_at + 2)
        # Ctrl-C reaches the whole group of the terminal, Ray's processes too.
        os.killpg(session.process.pid, signal.SIGINT)
        assert session.wait() == 130, session.log.read_text()
    interrupted_at = iterations(run_dir)[-1]
    assert interrupted_at >= killed_at + 2
    assert newest_checkpoint(run_dir)[1] == interrupted_at, "the last finished iteration is saved"
    assert f"interrupted after iteration {interrupted_at}; go on with: psparsity resume {run_dir}" in " ".join(
        session.log.read_text().split()
    )

    last = interrupted_at + 2
    goal = ("--set", f"training.iterations={last}")
    with Session("resume", str(run_dir), *goal, "--set", "env_runners.count=0", cwd=cwd) as session:
        assert session.wait() == 0, session.log.read_text()
    assert iterations(run_dir) == list(range(1, last + 1)), "a gap or a double row"
    yield run_dir


def test_no_iteration_is_missing_or_double_and_counters_go_on(finished: Path):
    rows = pq.ParquetFile(finished / "metrics.parquet").read().to_pylist()
    assert [row["iteration"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["episodes"] for row in rows] == [6 * n for n in range(1, len(rows) + 1)]
    assert all(a["seconds"] < b["seconds"] and a["env_steps"] < b["env_steps"] for a, b in itertools.pairwise(rows))
    assert newest_checkpoint(finished)[1] == len(rows)
    assert len(list((finished / "checkpoints").iterdir())) == 2, "checkpoint.keep"
    for name in ("config.json", "heldout.parquet", "strong_edges.png", "policy/policy.safetensors", "tensorboard"):
        assert (finished / name).exists(), name


def test_export_loads_and_solves(finished: Path, tmp_path: Path):
    assert main(["export", str(finished), str(tmp_path / "policy")]) == 0
    policy = rllib_psparsity.load_policy(tmp_path / "policy")
    A = pyamg.gallery.poisson((40, 40), format="csr")
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    solver = rllib_psparsity.learned_solver(A, policy=policy)
    assert len(solver.levels) >= 2
    residuals: list[float] = []
    x = solver.solve(b, tol=1e-8, accel="cg", maxiter=60, residuals=residuals)
    assert np.linalg.norm(b - A @ x) < 1e-7 * np.linalg.norm(b) and len(residuals) < 40


def test_diagnose_reports(finished: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["diagnose", str(finished)]) == 0
    assert capsys.readouterr().out.strip()
    assert (finished / "report.html").stat().st_size > 1000


def refused(capsys: pytest.CaptureFixture[str], run_dir: Path, *arguments: str) -> str:
    """The one sentence of a command that exits with 2 and touches nothing."""
    before = hashes(run_dir)
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert hashes(run_dir) == before and captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("psparsity: ")
    return captured.err.removeprefix("psparsity: ").strip()


def test_a_finished_run_is_not_resumed(finished: Path, capsys: pytest.CaptureFixture[str]):
    last = iterations(finished)[-1]
    sentence = refused(capsys, finished, "resume", str(finished))
    assert sentence == (
        f"{finished} has finished its {last} iterations; to train on, add --set training.iterations={2 * last}"
    )


def test_a_resume_changes_no_result(finished: Path, capsys: pytest.CaptureFixture[str]):
    sentence = refused(capsys, finished, "resume", str(finished), "--set", "training.lr=1.0")
    assert sentence.startswith("training.lr cannot change when a run is resumed, only training.iterations, ")


def test_a_run_is_not_trained_over(finished: Path, capsys: pytest.CaptureFixture[str]):
    sentence = refused(capsys, finished, "train", "--run-dir", str(finished), "--set", "training.iterations=1")
    assert sentence == (
        f"{finished} already holds a run; go on with it by psparsity resume {finished}, or name another --run-dir"
    )


def test_problems_with_nothing_to_decide_start_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    settings = [part for setting in (*SETTINGS, "environment.max_coarse=500") for part in ("--set", setting)]
    assert main(["train", "--run-dir", str(tmp_path / "run"), *settings]) == 2
    assert "needs more than environment.max_coarse = 500" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

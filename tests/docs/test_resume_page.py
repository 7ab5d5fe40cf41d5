"""docs/resume.md, command by command, each in a process of its own; the last ones against a head of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import tempfile
from pathlib import Path

import pytest

from rllib_psparsity.config.load import from_json
from rllib_psparsity.errors import InputError
from rllib_psparsity.training.checkpoint import checkpoints_in, newest_checkpoint
from rllib_psparsity.training.run import RESUMABLE
from tests.environment.tiny import RECIPES
from tests.journeys.session import ROOT, Session, iterations
from tests.submission.head import Head

PAGE = (ROOT / "docs" / "resume.md").read_text()
RUN = (
    "psparsity train --config my_study.yaml --run-dir runs/first",
    "psparsity resume runs/first",
    "psparsity resume runs/first --set env_runners.count=8 --set faults.dropped_episodes=1000",
    "psparsity resume runs/first --set training.iterations=200",
)
STORED = (
    "psparsity train --config my_study.yaml --run-dir s3://bucket/runs/second",
    "psparsity resume s3://bucket/runs/second",
)
SWEEP = (
    "psparsity tune my_sweep.yaml",
    "psparsity tune my_sweep.yaml --resume",
)
CLUSTER = (
    "psparsity submit --address http://127.0.0.1:8265 -- resume /shared/runs/first --set training.iterations=200",
    "psparsity submit --address http://127.0.0.1:8265 -- tune my_sweep.yaml --run-dir /shared/sweeps/first --resume",
)
STUDY = f"""
problems: {{families: [{{family: anisotropic_diffusion_fd, size: [10, 14]}}], heldout_problems: 2}}
environment: {{max_coarse: 20}}
policy: {{width: 8, layers: 1, recipes: [{", ".join(RECIPES)}]}}
training: {{iterations: 100000, episodes_per_iteration: 4, minibatch_graphs: 8}}
env_runners: {{count: 0, episodes_per_chunk: 2}}
checkpoint: {{every: 2}}
"""
SWEEP_FILE = """
about: two learning rates
base: {study: my_study.yaml}
set: {training.overlap: false, checkpoint.every: 1}
settings: {slow: {training.lr: 1e-4}, fast: {training.lr: 1e-3}}
seeds: [0]
iterations: 12
metric: reward_mean
"""
PATIENCE_SECONDS = 500.0
missing = [name for name in ("aiohttp", "aiohttp_cors", "requests", "opencensus") if not importlib.util.find_spec(name)]


class User:
    """Types commands of the page, with its addresses, paths and numbers replaced by those of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.replaced = {"s3://bucket": f"file://{directory}/bucket", "/shared": f"{directory}/shared"}
        # Ray's sockets need a short path, and would have its workers step back behind everything else on the machine.
        self.environment = {"RAY_TMPDIR": tempfile.gettempdir(), "RAY_worker_niceness": "0"}
        (directory / "my_study.yaml").write_text(STUDY)
        (directory / "my_sweep.yaml").write_text(SWEEP_FILE)

    def type(self, command: str, **numbers: int) -> Session:
        """`numbers` replace those of the keys that end with these names."""
        for old, new in self.replaced.items():
            command = command.replace(old, new)
        for key, number in numbers.items():
            command, count = re.subn(rf"\.{key}=\d+", f".{key}={number}", command)
            assert count == 1
        program, *arguments = shlex.split(command)
        assert program == "psparsity"
        return Session(*arguments, cwd=self.directory, patience=PATIENCE_SECONDS, environment=self.environment)

    def wait_for_end(self, session: Session, code: int = 0) -> str:
        """What has been said in one line, when the process has ended with this exit code."""
        assert session.wait() == code, session.log.read_text()
        return " ".join(session.log.read_text().split())


def test_every_command_of_the_page_is_run_and_every_key_is_there():
    assert re.findall(r"^    (psparsity .*)$", PAGE, re.MULTILINE) == [*RUN, *STORED, *SWEEP, *CLUSTER]
    rows = re.findall(r"^\| (`[\w.]+\.[\w.`, ]+`) \|", PAGE, re.MULTILINE)
    assert sorted(re.findall(r"`([\w.]+)`", " ".join(rows))) == sorted(RESUMABLE)


def test_a_run(tmp_path: Path):
    user, run_dir = User(tmp_path), tmp_path / "runs" / "first"
    train, resume, otherwise, longer = RUN
    with user.type(train) as session:
        session.wait_for_iteration(run_dir, 3)
        os.killpg(session.process.pid, signal.SIGINT)  # the terminal's Ctrl-C reaches all of the group
        said = user.wait_for_end(session, 130)
    stopped_at = iterations(run_dir)[-1]
    assert newest_checkpoint(run_dir)[1] == stopped_at, "nothing is lost"
    assert f"interrupted after iteration {stopped_at}; go on with: {resume}" in said

    with user.type(resume) as session:
        session.wait_for_iteration(run_dir, stopped_at + 3)
        session.kill()
    saved, killed_at = newest_checkpoint(run_dir)[1], iterations(run_dir)[-1]
    assert killed_at - 2 <= saved <= killed_at, "more is lost than since the last checkpoint"

    with user.type(otherwise, count=1) as session:
        session.wait_for_iteration(run_dir, killed_at + 2)
        session.process.send_signal(signal.SIGTERM)
        user.wait_for_end(session, 143)
    config = from_json(run_dir / "config.json")
    assert (config.env_runners.count, config.faults.dropped_episodes) == (1, 1000)

    *_, before, newest = checkpoints_in(run_dir / "checkpoints")
    state = next(newest.glob("algorithm/algorithm_state*"))
    state.write_bytes(state.read_bytes()[:-7])
    last = iterations(run_dir)[-1] + 2
    with user.type(longer, iterations=last) as session:
        said = user.wait_for_end(session)
    assert (
        f"psparsity: runs/first/checkpoints/{newest.name} is damaged: " in said and "the one before it is used" in said
    )
    assert before.exists() and iterations(run_dir) == list(range(1, last + 1)), "a gap or a double row"
    assert newest_checkpoint(run_dir)[1:] == (last, []) and (run_dir / "policy").is_dir()


def whole_checkpoint(kept: Path) -> int:
    """The iteration of the newest checkpoint in storage that is whole, 0 while one is on its way there."""
    try:
        return newest_checkpoint(kept)[1] if checkpoints_in(kept / "checkpoints") else 0
    except (InputError, FileNotFoundError):
        return 0


def test_a_run_in_storage(tmp_path: Path):
    user, kept = User(tmp_path), tmp_path / "bucket" / "runs" / "second"
    user.environment["TMPDIR"] = str(tmp_path)
    train, resume = STORED
    with user.type(train) as session:
        session.wait_until(lambda: whole_checkpoint(kept) >= 2)
        session.kill()
    (left_behind,) = tmp_path.glob("psparsity-second-*")
    saved = newest_checkpoint(kept)[1]
    with user.type(resume) as session:
        session.wait_until(lambda: whole_checkpoint(kept) > saved)
        os.killpg(session.process.pid, signal.SIGINT)
        said = user.wait_for_end(session, 130)
    last = iterations(kept)[-1]
    assert f"go on with: psparsity resume file://{kept}" in said and newest_checkpoint(kept)[1:] == (last, [])
    assert iterations(kept) == list(range(1, last + 1)), "a gap or a double row"
    assert list(tmp_path.glob("psparsity-second-*")) == [left_behind]


def test_a_sweep(tmp_path: Path):
    user, trials = User(tmp_path), tmp_path / "runs" / "sweeps" / "my_sweep" / "trials"
    tune, resume = SWEEP
    interrupted(user, tune, trials)
    with user.type(resume) as session:
        user.wait_for_end(session)
    all_are_whole(trials)


@pytest.mark.skipif(bool(missing), reason=f"Ray's job server needs {', '.join(missing)}")
def test_on_a_cluster(tmp_path: Path):
    user, shared = User(tmp_path), tmp_path / "shared"
    resume, tune = CLUSTER
    with user.type("psparsity train --config my_study.yaml --run-dir /shared/runs/first") as session:
        session.wait_for_iteration(shared / "runs" / "first", 3)  # the second has a checkpoint
        session.kill()
    last = iterations(shared / "runs" / "first")[-1] + 1
    trials = shared / "sweeps" / "first" / "trials"
    interrupted(user, "psparsity tune my_sweep.yaml --run-dir /shared/sweeps/first", trials)
    head = Head()
    try:
        user.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.token_file)}
        user.environment |= {"NO_PROXY": "127.0.0.1"}
        # What the head has is this package too, with its kernels compiled.
        user.replaced |= {"http://127.0.0.1:8265": f"{head.address} --installed"}
        with user.type(resume, iterations=last) as session:
            user.wait_for_end(session)
        with user.type(tune) as session:
            user.wait_for_end(session)
    finally:
        head.close()
    assert iterations(shared / "runs" / "first") == list(range(1, last + 1)), "a gap or a double row"
    all_are_whole(trials)


def interrupted(user: User, tune: str, trials: Path) -> None:
    """A sweep whose driver is killed while a trial trains."""
    with user.type(tune) as session:
        session.wait_until(lambda: any(len(iterations(path.parent)) > 1 for path in trials.rglob("metrics.parquet")))
        session.kill()
    assert not all((trials / name / "seed-0" / "heldout.parquet").exists() for name in ("slow", "fast"))


def all_are_whole(trials: Path) -> None:
    for name in ("slow", "fast"):
        run_dir = trials / name / "seed-0"
        assert iterations(run_dir) == list(range(1, 13)), "a gap or a double row"
        assert (run_dir / "heldout.parquet").exists()
    assert (trials.parent / "results.parquet").exists()

"""The commands of docs/sweeps.md run as they are written, with tiny sweeps under the names that they have there."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.journeys.session import Session, iterations
from tests.journeys.sweeps import PATIENCE_SECONDS, SETTINGS, results_of
from tests.submission.head import ROOT, Head

PAGE = (ROOT / "docs" / "sweeps.md").read_text()
COMMANDS = [re.sub(r"\s+#.*", "", line) for line in re.findall(r"^ {4}(psparsity .*)$", PAGE, re.MULTILINE)]
SWEEP = {
    "about": "two learning rates",
    "set": SETTINGS,
    "settings": {"slow": {"training.lr": 1e-4}, "fast": {"training.lr": 1e-3}},
    "seeds": [0],
    "iterations": 10,
    "metric": "reward_mean",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file without a suffix comes before the shipped sweep of its name."""
    directory = tmp_path_factory.mktemp("user")
    for name in ("learning_rate", "my_sweep.yaml"):
        (directory / name).write_text(yaml.safe_dump(SWEEP))
    return directory


def typed(command: str, directory: Path, **environment: str) -> Session:
    program, *arguments = shlex.split(command)
    assert program == "psparsity"
    (directory / "tune.log").unlink(missing_ok=True)
    return Session(*arguments, cwd=directory, patience=PATIENCE_SECONDS, environment=environment)


def dry_run(command: str, directory: Path) -> None:
    with typed(command, directory) as session:
        assert session.wait() == 0, session.log.read_text()
    lines = session.log.read_text().splitlines()
    assert lines[-1] == "2 trials of 1 CPUs and 0 GPUs each" and not (directory / "runs").exists()


def begin(command: str, directory: Path) -> None:
    """Left by Ctrl-C, with the words that the page has for the way on."""
    out = directory / "runs" / "sweeps" / "learning_rate"
    with typed(command, directory) as session:
        session.wait_until(lambda: any(iterations(out / "trials" / name / "seed-0") for name in SWEEP["settings"]))
        os.killpg(session.process.pid, signal.SIGINT)
        assert session.wait() == 130, session.log.read_text()
    assert f"go on with: {command} --run-dir runs/sweeps/learning_rate --resume" in session.log.read_text()


def go_on(command: str, directory: Path) -> None:
    with typed(command, directory) as session:
        assert session.wait() == 0, session.log.read_text()
    assert_done(directory / "runs" / "sweeps" / "learning_rate")


def on_a_cluster(command: str, directory: Path) -> None:
    if missing := [name for name in ("aiohttp", "aiohttp_cors", "opencensus") if not importlib.util.find_spec(name)]:
        pytest.skip(f"Ray's head needs {', '.join(missing)}")
    head = Head()
    try:
        # What `auto` means for Ray, before it looks for a cluster: another one may run on this machine.
        joined = {
            "RAY_ADDRESS": head.ray_address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(head.token_file),
        }
        with typed(command, directory, **joined) as session:
            assert session.wait() == 0, session.log.read_text()
    finally:
        head.close()
    assert_done(directory / "runs" / "mine")


def assert_done(out: Path) -> None:
    assert {(row["setting"], row["status"], row["iterations"]) for row in results_of(out)} == {
        ("slow", "finished", 10),
        ("fast", "finished", 10),
    }
    assert {path.name for path in out.iterdir()} == {"sweep.json", "trials", "results.parquet", "results.png", "tune"}


WAYS: dict[str, Callable[[str, Path], None]] = {
    "psparsity tune learning_rate --dry-run": dry_run,
    "psparsity tune learning_rate": begin,
    "psparsity tune learning_rate --resume": go_on,
    "psparsity tune my_sweep.yaml --run-dir runs/mine --address auto": on_a_cluster,
}


def test_the_commands(directory: Path) -> None:
    """One after the other, since the third goes on with what the second has left."""
    assert list(WAYS) == COMMANDS, "a command of the page is not run here"
    for command, run in WAYS.items():
        run(command, directory)

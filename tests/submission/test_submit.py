"""docs/submit.md, command by command, against a head of its own; what is refused; and the exit codes of jobs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rllib_psparsity.training.checkpoint import newest_checkpoint
from tests.environment.tiny import RECIPES
from tests.submission.head import ROOT, Head

PATIENCE_SECONDS = 600.0
DOCS = (ROOT / "docs" / "submit.md").read_text()
COMMANDS = re.findall(r"^ +((?:psparsity|export) .*)$", DOCS, re.MULTILINE)
STUDY = f"""
problems: {{families: [{{family: anisotropic_diffusion_fd, size: [10, 14]}}], heldout_problems: 2}}
environment: {{max_coarse: 20}}
policy: {{width: 8, layers: 1, recipes: [{", ".join(RECIPES)}]}}
training: {{iterations: 2, episodes_per_iteration: 4, minibatch_graphs: 8}}
env_runners: {{count: 1, episodes_per_chunk: 2}}
checkpoint: {{every: 1}}
"""
SWEEP = """
about: two learning rates
base: {study: my_study.yaml}
set: {env_runners.count: 0, training.overlap: false}
settings: {slow: {training.lr: 1e-4}, fast: {training.lr: 1e-3}}
seeds: [0]
iterations: 1
metric: reward_mean
"""
missing = [name for name in ("aiohttp", "aiohttp_cors", "requests", "opencensus") if not importlib.util.find_spec(name)]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"Ray's job server needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    head = Head()
    yield head
    head.close()


class User:
    """Types the commands of the page, with its addresses and paths replaced by those of the test."""

    def __init__(self, head: Head, directory: Path) -> None:
        self.head, self.directory, self.job_id = head, directory, ""
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "300", "NO_PROXY": "127.0.0.1"}
        self.environment |= {"RAY_ADDRESS": "10.0.0.0:1"}  # which Ray's client would prefer to the address
        (directory / "my_study.yaml").write_text(STUDY)
        (directory / "my_sweep.yaml").write_text(SWEEP)
        (directory / "token").write_text(head.token_file.read_text())
        self.commands = list(COMMANDS)

    def real(self, command: str) -> list[str]:
        command = command.replace("http://127.0.0.1:8265", self.head.address)
        command = command.replace("/shared", f"{self.directory}/shared")
        command = re.sub(r"psparsity-resume-1a2b3c4d", self.job_id, command)
        words = shlex.split(command)
        return [sys.executable, "-m", "rllib_psparsity", *words[1:]] if words[0] == "psparsity" else words

    def take(self, command: str) -> str:
        """A command of the page, which is then ticked off."""
        (found,) = [one for one in self.commands if one == command]
        self.commands.remove(found)
        return found

    def export(self, command: str) -> None:
        for word in shlex.split(self.take(command))[1:]:
            name, value = word.split("=")
            self.environment[name] = value.replace("$PWD", str(self.directory))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def type(self, command: str, *more: str, installed: bool = False) -> subprocess.CompletedProcess[str]:
        words = self.real(self.take(command))
        if installed:  # what the head has is this package too, with its kernels compiled
            words.insert(words.index("submit") + 1, "--installed")
        return self.run(*words, *more)

    def submit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.real("psparsity submit --address http://127.0.0.1:8265"), *arguments)

    def wait_for_checkpoint(self, run_dir: Path, iteration: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while newest_checkpoint(run_dir)[1] < iteration:
            assert time.monotonic() < deadline, self.submit("--logs", self.job_id, "--no-wait").stdout
            time.sleep(0.2)


def test_the_page(head: Head, tmp_path: Path):
    user = User(head, tmp_path)
    address = "psparsity submit --address http://127.0.0.1:8265"
    first = tmp_path / "shared" / "runs" / "first"

    done = user.submit("--status", "anything")
    assert (
        done.returncode == 2
        and f"the cluster at {head.address} wants a token; export RAY_AUTH_MODE=token" in done.stderr
    )
    user.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another-long-random-text-" * 2}
    done = user.submit("--status", "anything")
    assert done.returncode == 2 and "does not accept this token; export RAY_AUTH_MODE=token" in done.stderr
    del user.environment["RAY_AUTH_TOKEN"]
    user.export("export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/token")
    done = user.submit("--status", "anything")
    assert done.returncode == 2 and done.stderr.startswith(
        f"psparsity: the cluster at {head.address} knows no job anything"
    )

    done = user.type(f"{address} -- train --config my_study.yaml --run-dir /shared/runs/first", installed=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "iteration 2/2" in done.stdout and "submitted psparsity-train-" in done.stderr
    assert newest_checkpoint(first)[1:] == (2, []) and (first / "policy").is_dir()

    # Resumed, followed, left alone by Ctrl-C, and stopped.
    resume = f"{address} --no-wait -- resume /shared/runs/first --set training.iterations=90"
    user.commands[user.commands.index(resume)] = longer = resume.replace("=90", "=90000")
    done = user.type(longer, installed=True)
    assert done.returncode == 0, done.stderr
    user.job_id = done.stdout.strip()
    assert re.fullmatch(r"psparsity-resume-[0-9a-f]{8}", user.job_id)
    done = user.type(f"{address} --status psparsity-resume-1a2b3c4d")
    assert done.returncode == 0 and re.fullmatch(rf"{user.job_id} is (PENDING|RUNNING)\n", done.stdout)
    follower = subprocess.Popen(
        user.real(user.take(f"{address} --logs psparsity-resume-1a2b3c4d")),
        cwd=tmp_path,
        env=user.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        user.wait_for_checkpoint(first, 4)
        assert follower.stdout is not None
        lines = [follower.stdout.readline()]
        while "iteration 3/90000" not in lines[-1]:
            assert lines[-1], "".join(lines)
            lines.append(follower.stdout.readline())
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=PATIENCE_SECONDS)
    finally:
        follower.kill()
    assert follower.returncode == 130 and f"{user.job_id} goes on without this terminal" in err
    assert f"--address {head.address} --stop {user.job_id}" in err
    done = user.type(f"{address} --stop psparsity-resume-1a2b3c4d")
    assert (done.returncode, done.stdout) == (0, f"{user.job_id} is STOPPED\n")
    done = user.submit("--logs", user.job_id)
    stopped_at = re.findall(r"interrupted after iteration (\d+); go on with: psparsity resume", done.stdout)
    assert done.returncode == 143 and [newest_checkpoint(first)[1]] == [int(n) for n in stopped_at], done.stdout

    done = user.type(f"{address} -- tune my_sweep.yaml --run-dir /shared/sweeps/first", installed=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "shared" / "sweeps" / "first" / "results.parquet").exists()

    # A job that refuses: its exit code and its sentence come back, and nothing was started.
    gpu = f"{address} -- train --run-dir /shared/runs/gpu --set learner.count=1 --set learner.gpus=1"
    done = user.type(gpu, installed=True)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "psparsity: the run needs 1 GPUs, but the cluster has 0; lower env_runners.count" in done.stdout
    assert not (tmp_path / "shared" / "runs" / "gpu").exists()

    # On a machine of the cluster itself, whose Ray they join, into storage.
    user.environment["RAY_ADDRESS"] = head.ray_address
    done = user.type("psparsity train --config my_study.yaml --run-dir file:///shared/runs/second")
    assert done.returncode == 0, done.stdout + done.stderr
    resume = "psparsity resume file:///shared/runs/second --set training.iterations=90"
    user.commands[user.commands.index(resume)] = shorter = resume.replace("=90", "=3")
    done = user.type(shorter)
    assert done.returncode == 0, done.stdout + done.stderr
    assert newest_checkpoint(tmp_path / "shared" / "runs" / "second")[1:] == (3, [])
    assert user.commands == [], "a command of the page was not run"


def test_what_is_uploaded_is_what_runs(head: Head, tmp_path: Path):
    user = User(head, tmp_path)
    user.export("export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/token")
    # This package, with a study from elsewhere, and one that ships with it; --dry-run ends before a kernel is compiled.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "my_study.yaml").rename(tmp_path / "elsewhere" / "my_study.yaml")
    done = user.submit("--", "train", "--dry-run", "--config=elsewhere/my_study.yaml", "--run-dir", "/nowhere/run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"episodes_per_iteration": 4' in done.stdout and "resources: 2 CPUs" in done.stdout
    done = user.submit("--", "train", "--dry-run", "--variation", "B", "--run-dir", "/nowhere/run")
    assert done.returncode == 0 and '"energy_reduction"' in done.stdout, done.stdout + done.stderr
    # A working directory with a package of its own.
    package = tmp_path / "work" / "rllib_psparsity"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import os, sys; print(sorted(os.listdir()), sys.argv[1:]); sys.exit(1)")
    (tmp_path / "work" / ".gitignore").write_text("data/\n")
    (tmp_path / "work" / "data").mkdir()
    (tmp_path / "work" / "data" / "big").write_text("stays here")
    (tmp_path / "work" / "mine.yaml").write_text("seed: 3")
    command = ("--working-dir", "work", "--", "train", "--config", "work/mine.yaml", "--run-dir", "/nowhere/run")
    done = user.submit(*command)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        "'mine.yaml', 'rllib_psparsity'] ['train', '--config', 'mine.yaml', '--run-dir', '/nowhere/run']" in done.stdout
    )
    assert "'data'" not in done.stdout and "is FAILED with exit code 1" in done.stderr

"""A `psparsity` in a session of its own, and what it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

import rllib_psparsity
from benchmarks.processes import descendants

ROOT = Path(rllib_psparsity.__file__).parents[1]
PATIENCE_SECONDS = 120.0


class Session:
    """Whatever it started is gone when the block ends.

    Parameters
    ----------
    arguments : of the command line
    cwd : where it runs and leaves its log
    patience : seconds that are waited for it
    environment : variables beyond those of this process
    """

    def __init__(
        self, *arguments: str, cwd: Path, patience: float = PATIENCE_SECONDS, environment: dict[str, str] | None = None
    ) -> None:
        self.log = cwd / f"{arguments[0]}.log"
        self.offspring: set[int] = set()
        self._patience = patience
        variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(environment or {})}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rllib_psparsity", *arguments],
                cwd=cwd,
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.offspring |= descendants(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pid in self.offspring:  # Ray puts some of its processes in groups of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self) -> int:
        return self.process.wait(timeout=self._patience)

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Poll while the process lives."""
        deadline = time.monotonic() + self._patience
        while not done():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def wait_for_iteration(self, run_dir: Path, iteration: int) -> None:
        self.wait_until(lambda: bool(iterations(run_dir)) and iterations(run_dir)[-1] >= iteration)


def iterations(run_dir: Path) -> list[int]:
    file = run_dir / "metrics.parquet"
    return pq.ParquetFile(file).read().column("iteration").to_pylist() if file.exists() else []

"""What a run saves, and what it does where that fails."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import RunStopped, StorageLost
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training.checkpoint import save_checkpoint
from rllib_psparsity.training.mirror import Mirror

PAUSE_SECONDS = 5.0
"""Before another attempt where no further iteration comes first."""


class Keeper:
    """Writes metrics and checkpoints of a run, and brings them to its storage.

    What cannot be written (`OSError`: a full disk, a storage that does not answer) is kept and tried again after the
    next iteration; training goes on meanwhile, and what was written before stays. No checkpoint is written before the
    metrics up to it, so a run can be resumed from every one.

    Parameters
    ----------
    algorithm : what is saved
    metrics : the run's file of metrics, up to the iteration that comes next
    run_dir : the run's directory
    config : the run's configuration
    say : prints a sentence
    mirror : of the run directory, if it is kept elsewhere; brought up to date after every checkpoint
    """

    def __init__(
        self,
        algorithm: Any,
        metrics: MetricsFile,
        run_dir: Path,
        config: Config,
        say: Callable[[str], None],
        mirror: Mirror | None = None,
    ) -> None:
        self._algorithm, self._metrics, self._run_dir = algorithm, metrics, run_dir
        self._keep, self._attempts = config.checkpoint.keep, config.faults.write_attempts
        self._say, self._mirror = say, mirror
        self._unwritten: deque[Mapping[str, Any]] = deque()
        self._iteration = self._saved = self._brought = len(metrics.rows)
        self._checkpoint_is_due = False
        self._failures = 0

    def keep(self, row: Mapping[str, Any], checkpoint: bool) -> None:
        """Write the row of the iteration that has ended, and a checkpoint if one is asked for or still missing.

        `RunStopped` if too many attempts in a row have failed.
        """
        self._unwritten.append(row)
        self._iteration = row["iteration"]
        self._checkpoint_is_due = self._checkpoint_is_due or checkpoint
        again = "after the next iteration"
        if self._write(again) and self._bring(again):
            self._failures = 0

    def finish(self) -> None:
        """Write the checkpoint of the last iteration unless it is there; a failure is tried again after a pause.

        The storage gets it too, but is not waited for: there is no training that it could cost any more, and whoever
        made the mirror brings everything over in the end.
        """
        self._checkpoint_is_due = self._saved < self._iteration
        while not self._write(f"in {PAUSE_SECONDS:.0f} s"):
            time.sleep(PAUSE_SECONDS)
        self._failures = 0
        self._bring("when the run has ended")

    def _write(self, again: str) -> bool:
        """Whether all is written in the run directory."""
        what = "metrics"
        try:
            while self._unwritten:
                self._metrics.append(self._unwritten[0])
                self._unwritten.popleft()
            if self._checkpoint_is_due:
                what = "checkpoint"
                save_checkpoint(self._algorithm, self._run_dir / "checkpoints", self._iteration, self._keep)
                self._saved, self._checkpoint_is_due = self._iteration, False
        except OSError as error:
            failure = f"the {what} of iteration {self._iteration} could not be written ({' '.join(str(error).split())})"
            if self._is_the_last_attempt():
                place = shlex.quote(str(self._run_dir) if self._mirror is None else self._mirror.uri)
                raise RunStopped(
                    f"{failure}, after {self._failures} attempts in a row; earlier checkpoints are intact: make "
                    f"{self._run_dir} writable, then go on with: psparsity resume {place}"
                ) from error
            self._say(f"{failure}; earlier checkpoints are intact, and it is tried again {again}")
            return False
        return True

    def _bring(self, again: str) -> bool:
        """Whether the storage, if there is one, has all checkpoints."""
        if self._mirror is None or self._brought == self._saved:
            return True
        try:
            self._mirror.push()
        except OSError as error:
            if self._is_the_last_attempt():
                raise StorageLost(
                    f"{error}, after {self._failures} attempts in a row; what it had is intact, and the whole run is "
                    f"in {self._run_dir} alone: copy it there once the storage answers, or go on here with: psparsity "
                    f"resume {shlex.quote(str(self._run_dir))}"
                ) from error
            self._say(
                f"{error}; what it had is intact, everything is in {self._run_dir}, and it is tried again {again}"
            )
            return False
        self._brought = self._saved
        return True

    def _is_the_last_attempt(self) -> bool:
        self._failures += 1
        return self._failures >= self._attempts

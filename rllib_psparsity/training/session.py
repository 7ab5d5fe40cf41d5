"""A run while it trains: one code path for `psparsity train`, `psparsity resume` and the trials of a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.board import Board
from rllib_psparsity.training.checkpoint import restore_checkpoint
from rllib_psparsity.training.keeper import Keeper
from rllib_psparsity.training.limits import beyond_limits
from rllib_psparsity.training.record import metrics_row


class TrainingSession:
    """The algorithm of a run, in a Ray that has been started, and what its directory gets; a context manager.

    Every `step` is followed by a `keep`. `InputError`, with all files as they were, if the checkpoint does not fit.

    Parameters
    ----------
    config : Config
    run_dir : Path
    checkpoint : Path, optional
        Where to go on from.
    iteration : int
        The checkpoint's; rows of metrics beyond it are dropped.

    Attributes
    ----------
    rows : all metrics rows, oldest first
    trouble : why the run must not go on, if more went wrong than `faults` allows
    say : prints a sentence
    """

    def __init__(self, config: Config, run_dir: Path, checkpoint: Path | None = None, iteration: int = 0) -> None:
        metrics = MetricsFile(run_dir / "metrics.parquet")
        if len(metrics.rows) < iteration:
            raise InputError(
                f"{metrics.path} ends with iteration {len(metrics.rows)}, but {checkpoint} is of iteration "
                f"{iteration}; restore it from a copy of the run directory, or start a new run"
            )
        self.config, self.run_dir = config, run_dir
        self.say: Callable[[str], None] = print
        # More threads than one in the driver are slower: its matrices are small, and the runners want the other cores.
        torch.set_num_threads(1)
        self._algorithm: Any = SparsifyPPOConfig().apply_run(config).build_algo()
        try:
            if checkpoint is not None:
                restore_checkpoint(self._algorithm, checkpoint)
            # Not before the checkpoint is known to fit: a resume that is refused changes nothing.
            write_atomically(run_dir / "config.json", lambda path: path.write_text(resolved_json(config)))
            metrics.truncate_after(iteration)
        except BaseException:
            self._stop()
            raise
        self.rows = metrics.rows
        self.trouble = beyond_limits(self.rows, config.faults)
        self._keeper = Keeper(self._algorithm, metrics, run_dir, config, lambda sentence: self.say(sentence))
        self._board = Board(run_dir / "tensorboard", iteration + 1)
        self._board.__enter__()

    def __enter__(self) -> TrainingSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def iteration(self) -> int:
        """The last one that is finished."""
        return self.rows[-1]["iteration"] if self.rows else 0

    @property
    def finished(self) -> bool:
        return self.iteration >= self.config.training.iterations

    @property
    def due(self) -> bool:
        """Whether the iteration that has just ended is one to have a checkpoint."""
        return self.iteration % self.config.checkpoint.every == 0

    @property
    def board_failure(self) -> OSError | None:
        """Why TensorBoard lacks later iterations, if it does."""
        return self._board.failure

    def step(self) -> dict[str, Any]:
        """Train one iteration; its row of metrics."""
        start = time.perf_counter()
        result = self._algorithm.train()
        row = metrics_row(result, self.rows[-1] if self.rows else None, time.perf_counter() - start)
        self.rows.append(row)
        return row

    def keep(self, checkpoint: bool) -> None:
        """Write the row of the iteration that has ended, and a checkpoint if it is to have one; say what was lost.

        `RunStopped` if too many attempts to write have failed.
        """
        row, dropped = self.rows[-1], self._algorithm.dropped
        if dropped:
            self.say(f"{len(dropped)} episodes dropped; episode {dropped[0].index}: {dropped[0].reason}")
        if row["skipped_updates"] > 0:
            self.say(f"{row['skipped_updates']:.0f} updates skipped: their gradient was not finite")
        self._board.add(row)
        self.trouble = beyond_limits(self.rows, self.config.faults)
        self._keeper.keep(row, checkpoint)

    def finish(self) -> None:
        """Write the checkpoint of the last iteration unless it is there; a failure is tried again after a pause."""
        self._keeper.finish()

    def close(self) -> None:
        self._board.__exit__(None, None, None)
        self._stop()

    def _stop(self) -> None:
        self._algorithm.stop()
        with suppress(OSError):  # RLlib makes a directory in the user's home for every algorithm, and leaves it there
            Path(str(self._algorithm.logdir)).rmdir()

"""A run while it trains: one code path for `psparsity train`, `psparsity resume` and the trials of a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
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
from rllib_psparsity.training.env_runner import DroppedEpisode
from rllib_psparsity.training.input_statistics import input_statistics
from rllib_psparsity.training.keeper import Keeper
from rllib_psparsity.training.limits import beyond_limits
from rllib_psparsity.training.mirror import Mirror
from rllib_psparsity.training.prometheus import prometheus_exporter
from rllib_psparsity.training.record import EPISODES, metrics_row
from rllib_psparsity.training.starting_weights import starting_weights


class TrainingSession:
    """The algorithm of a run, in a Ray that has been started, and what its directory gets with every iteration.

    `InputError`, with all files as they were, if the checkpoint does not fit.

    Parameters
    ----------
    config : the run's configuration
    run_dir : the run's directory; its ``config.json`` is written once the checkpoint is known to fit
    checkpoint : where to go on from; rows of metrics beyond `iteration`, its number, are dropped
    say : prints a sentence
    mirror : of the run directory, if the run is kept in storage
    name : of the run among the figures for Prometheus; by default the last part of where it is kept

    Attributes
    ----------
    rows : all metrics rows, oldest first
    iteration : the last one that is finished
    trouble : why the run has to stop by its limits of faults; None if it may go on
    """

    def __init__(
        self,
        config: Config,
        run_dir: Path,
        checkpoint: Path | None = None,
        iteration: int = 0,
        say: Callable[[str], None] = print,
        mirror: Mirror | None = None,
        name: str | None = None,
    ) -> None:
        self.config, self.run_dir, self.iteration, self._say = config, run_dir, iteration, say
        metrics = MetricsFile(run_dir / "metrics.parquet")
        if len(metrics.rows) < iteration:
            raise InputError(
                f"{metrics.path} ends with iteration {len(metrics.rows)}, but {checkpoint} is of iteration "
                f"{iteration}; restore it from a copy of the run directory, or start a new run"
            )
        # More threads than one in the driver are slower: its matrices are small, and the runners want the other cores.
        torch.set_num_threads(1)
        with ExitStack() as undo:
            self._algorithm: Any = SparsifyPPOConfig().apply_run(config).build_algo()
            undo.callback(self._algorithm.stop)
            if checkpoint is not None:
                restore_checkpoint(self._algorithm, checkpoint)
            elif weights := starting_weights(config) or input_statistics(config):
                self._algorithm.start_from(weights)
            write_atomically(run_dir / "config.json", lambda path: path.write_text(resolved_json(config)))
            metrics.truncate_after(iteration)
            self.rows = metrics.rows
            self.trouble = beyond_limits(self.rows, config.faults)
            self._keeper = Keeper(self._algorithm, metrics, run_dir, config, say, mirror)
            self._export = prometheus_exporter(config, name or (run_dir.absolute() if mirror is None else mirror).name)
            self._board = undo.enter_context(Board(run_dir / "tensorboard", iteration + 1))
            self._end = undo.pop_all()

    def __enter__(self) -> TrainingSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def finished(self) -> bool:
        return self.iteration >= self.config.training.iterations

    @property
    def dropped(self) -> Sequence[DroppedEpisode]:
        """The episodes that the last iteration lost."""
        return self._algorithm.dropped

    def step(self) -> dict[str, Any]:
        """Train one iteration; its row, which is in ``metrics.parquet`` by then, with a checkpoint where one is due.

        `RunStopped` if too many attempts to write in a row have failed.
        """
        start = time.perf_counter()
        result = self._algorithm.train()
        row = metrics_row(result, self.rows[-1] if self.rows else None, time.perf_counter() - start)
        self.rows.append(row)
        self.iteration = row["iteration"]
        self._board.add(row)
        self._export(row, result[EPISODES])
        self.trouble = beyond_limits(self.rows, self.config.faults)
        self._keeper.keep(row, checkpoint=self.iteration % self.config.checkpoint.every == 0)
        return row

    def save(self) -> None:
        """Write a checkpoint of the last finished iteration, unless it has one."""
        self._keeper.finish()

    def close(self) -> None:
        self._end.close()
        if self._board.failure is not None:
            self._say(f"TensorBoard lacks later iterations, its file could not be written ({self._board.failure})")

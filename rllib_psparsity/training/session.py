"""A run while it trains: one code path for `psparsity train`, `psparsity resume` and the trials of a sweep."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from tensorboardX import SummaryWriter

from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.checkpoint import save_checkpoint
from rllib_psparsity.training.record import metrics_row


class TrainingSession:
    """The algorithm of a run, in a Ray that has been started, and what its directory gets with every iteration.

    Parameters
    ----------
    config : Config
    run_dir : Path
    checkpoint : Path, optional
        Where to go on from; rows of metrics beyond `iteration`, its number, are dropped.

    Attributes
    ----------
    rows : all metrics rows, oldest first
    iteration : the last one that is finished
    """

    def __init__(self, config: Config, run_dir: Path, checkpoint: Path | None = None, iteration: int = 0) -> None:
        self.config, self.run_dir = config, run_dir
        self._metrics = MetricsFile(run_dir / "metrics.parquet")
        self._metrics.truncate_after(iteration)
        self.rows = self._metrics.rows
        self.iteration = self._saved = iteration
        # More threads than one in the driver are slower: its matrices are small, and the runners want the other cores.
        torch.set_num_threads(1)
        self._algorithm = SparsifyPPOConfig().apply_run(config).build_algo()
        try:
            if checkpoint is not None:
                self._algorithm.restore_from_path(str((checkpoint / "algorithm").resolve()))
            self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=iteration + 1, flush_secs=10)
        except BaseException:
            self._algorithm.stop()
            raise

    def __enter__(self) -> TrainingSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def finished(self) -> bool:
        return self.iteration >= self.config.training.iterations

    @property
    def due(self) -> bool:
        """Whether the iteration that has just ended is one to have a checkpoint."""
        return self.finished or self.iteration % self.config.checkpoint.every == 0

    def step(self) -> dict[str, Any]:
        """Train one iteration; its row, which is in ``metrics.parquet`` by then."""
        start = time.perf_counter()
        result = self._algorithm.train()
        row = metrics_row(result, self.rows[-1] if self.rows else None, time.perf_counter() - start)
        self._metrics.append(row)
        self.rows.append(row)
        self.iteration = row["iteration"]
        for name, value in row.items():
            self._board.add_scalar(name, value, self.iteration)
        return row

    def save(self) -> None:
        """Write a checkpoint of the last finished iteration, unless it has one."""
        if self.iteration > self._saved:
            save_checkpoint(self._algorithm, self.run_dir / "checkpoints", self.iteration, self.config.checkpoint.keep)
            self._saved = self.iteration

    def close(self) -> None:
        self._board.close()
        self._algorithm.stop()


def write_config(config: Config, run_dir: Path) -> None:
    write_atomically(run_dir / "config.json", lambda path: path.write_text(resolved_json(config)))

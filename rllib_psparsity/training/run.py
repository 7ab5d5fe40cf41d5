"""`psparsity train` and `psparsity resume`: the loop around the algorithm, and everything a run leaves behind."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
import torch

from rllib_psparsity.config.load import from_json, resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError, RunStopped
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.live import LiveTable
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training.algorithm import SparsifyPPO
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.board import Board
from rllib_psparsity.training.checkpoint import newest_checkpoint, restore_checkpoint
from rllib_psparsity.training.env_runner import DroppedEpisode
from rllib_psparsity.training.keeper import Keeper
from rllib_psparsity.training.limits import beyond_limits
from rllib_psparsity.training.outcome import RESULTS, conclude, reference_figures
from rllib_psparsity.training.record import metrics_row

RESUMABLE = (
    "training.iterations",
    "checkpoint.every",
    "checkpoint.keep",
    "env_runners.count",
    "faults.episode_timeout",
    "faults.dropped_episodes",
    "faults.skipped_updates",
    "faults.write_attempts",
)
"""Keys that a resume may change: none of them changes what an iteration computes."""
OBJECT_STORE_BYTES = 400_000_000


def train(config: Config, run_dir: Path) -> int:
    """Train from the beginning; returns the exit code.

    Raises `InputError` before anything is started if the problems leave nothing to decide, and `RunStopped` when more
    goes wrong than `faults` allows.
    """
    return _run(config, run_dir, reference_figures(config), checkpoint=None, iteration=0)


def resume(run_dir: Path, overrides: Sequence[str] = ()) -> int:
    """Go on from the newest whole checkpoint of a run; returns the exit code.

    Raises `InputError`, with all files as they were, if the run cannot be resumed, and `RunStopped` as `train` does.
    """
    for override in overrides:
        key = override.partition("=")[0]
        if key not in RESUMABLE:
            raise InputError(
                f"{key} cannot change when a run is resumed, only {', '.join(RESUMABLE)} can; start a new run with "
                "psparsity train"
            )
    config = from_json(run_dir / "config.json", overrides)
    checkpoint, iteration, remarks = newest_checkpoint(run_dir)
    if iteration >= config.training.iterations and (run_dir / RESULTS).exists():
        raise InputError(
            f"{run_dir} has finished its {config.training.iterations} iterations; to train on, add "
            f"--set training.iterations={2 * config.training.iterations}"
        )
    for remark in remarks:
        print(f"psparsity: {remark}; the one before it is used")
    return _run(config, run_dir, reference_figures(config), checkpoint, iteration)


def _run(config: Config, run_dir: Path, reference: dict[str, float], checkpoint: Path | None, iteration: int) -> int:
    metrics = MetricsFile(run_dir / "metrics.parquet")
    if len(metrics.rows) < iteration:
        raise InputError(
            f"{metrics.path} ends with iteration {len(metrics.rows)}, but {checkpoint} is of iteration {iteration}; "
            "restore it from a copy of the run directory, or start a new run"
        )
    with _local_ray(config), _stop_requests() as stop, _algorithm(config, checkpoint) as algorithm:
        # Not before the checkpoint is known to fit: a resume that is refused changes nothing.
        write_atomically(run_dir / "config.json", lambda path: path.write_text(resolved_json(config)))
        metrics.truncate_after(iteration)
        rows = metrics.rows
        trouble = beyond_limits(rows, config.faults)
        with (
            Board(run_dir / "tensorboard", iteration + 1) as board,
            LiveTable(config.training.iterations, reference) as live,
        ):
            keeper = Keeper(algorithm, metrics, run_dir, config, live.say)
            while iteration < config.training.iterations and not (stop or trouble):
                start = time.perf_counter()
                result = algorithm.train()
                rows.append(metrics_row(result, rows[-1] if rows else None, time.perf_counter() - start))
                iteration = rows[-1]["iteration"]
                live.update(rows[-1])
                _say_what_was_lost(algorithm.dropped, rows[-1], live)
                board.add(rows[-1])
                trouble = beyond_limits(rows, config.faults)
                keeper.keep(rows[-1], checkpoint=iteration % config.checkpoint.every == 0)
            keeper.finish()
        if board.failure is not None:
            print(f"psparsity: TensorBoard lacks later iterations, its file could not be written ({board.failure})")
    remedy = f"go on with: psparsity resume {run_dir}" if iteration else "nothing was learned yet, start over"
    if trouble:
        raise RunStopped(f"{trouble}; iteration {iteration} is saved, mend the cause or raise the limit, then {remedy}")
    if stop:
        print(f"interrupted after iteration {iteration}; {remedy}")
        return stop[0]
    conclude(config, run_dir, rows)
    return 0


def _say_what_was_lost(dropped: Sequence[DroppedEpisode], row: dict[str, Any], live: LiveTable) -> None:
    if dropped:
        live.say(f"{len(dropped)} episodes dropped; episode {dropped[0].index}: {dropped[0].reason}")
    if row["skipped_updates"] > 0:
        live.say(f"{row['skipped_updates']:.0f} updates skipped: their gradient was not finite")


@contextmanager
def _local_ray(config: Config) -> Iterator[None]:
    """Join the cluster that the environment names (as in a submitted job), or start a Ray of our own."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # RLlib warns at every start that it runs on its new API, as it is meant to.
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**common)
    else:
        needed = config.env_runners.count + config.learner.count
        # Without an address Ray would join any cluster that was started on this machine, if only by somebody else.
        ray.init(
            address="local",
            num_cpus=max(needed, os.cpu_count() or 1),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **common,
        )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _algorithm(config: Config, checkpoint: Path | None) -> Iterator[SparsifyPPO]:
    # More threads than one in the driver are slower: its matrices are small, and the runners want the other cores.
    torch.set_num_threads(1)
    algorithm: Any = SparsifyPPOConfig().apply_run(config).build_algo()
    try:
        if checkpoint is not None:
            restore_checkpoint(algorithm, checkpoint)
        yield algorithm
    finally:
        algorithm.stop()
        with suppress(OSError):  # RLlib makes a directory in the user's home for every algorithm, and leaves it there
            Path(str(algorithm.logdir)).rmdir()


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collects exit codes: 130 after SIGINT, 143 after SIGTERM. The iteration that runs is finished and saved.

    A second SIGINT interrupts at once.
    """
    stop: list[int] = []

    def request(number: int, frame: Any) -> None:
        if stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.append(128 + number)

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

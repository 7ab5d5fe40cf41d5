"""`psparsity train` and `psparsity resume`: a run from its start, or from a checkpoint, to its end."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rllib_psparsity.config.load import from_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError, RunStopped
from rllib_psparsity.reporting.live import LiveTable
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.env_runner import DroppedEpisode
from rllib_psparsity.training.mirror import Mirror
from rllib_psparsity.training.outcome import RESULTS, conclude, reference_figures
from rllib_psparsity.training.ray_session import ray_session
from rllib_psparsity.training.resources import require_resources
from rllib_psparsity.training.session import TrainingSession
from rllib_psparsity.training.shared_directory import require_shared

RESUMABLE = (
    "training.iterations",
    "checkpoint.every",
    "checkpoint.keep",
    "env_runners.count",
    "faults.episode_timeout",
    "faults.dropped_episodes",
    "faults.skipped_updates",
    "faults.write_attempts",
    "cluster.shared_run_dir",
    "cluster.patience",
    "reporting.prometheus",
)
"""Keys that a resume may change: none of them changes what an iteration computes."""


def train(config: Config, run_dir: Path, mirror: Mirror | None = None) -> int:
    """Train from the beginning; returns the exit code.

    With a `mirror`, `run_dir` is its local directory. Raises `InputError` before anything is started if the problems
    leave nothing to decide or the cluster lacks what the run asks for, and `RunStopped` when more goes wrong than
    `faults` allows.
    """
    return _run(config, run_dir, reference_figures(config), checkpoint=None, iteration=0, mirror=mirror)


def resume(run_dir: Path, overrides: Sequence[str] = (), mirror: Mirror | None = None) -> int:
    """Go on from the newest whole checkpoint of a run; returns the exit code.

    Raises `InputError`, with all files as they were, if the run cannot be resumed, and `RunStopped` as `train` does.
    """
    refuse_changes(overrides)
    config = from_json(run_dir / "config.json", overrides)
    checkpoint, iteration, remarks = newest_checkpoint(run_dir)
    if iteration >= config.training.iterations and (run_dir / RESULTS).exists():
        raise InputError(
            f"{run_dir} has finished its {config.training.iterations} iterations; to train on, add "
            f"--set training.iterations={2 * config.training.iterations}"
        )
    for remark in remarks:
        print(f"psparsity: {remark}; the one before it is used")
    return _run(config, run_dir, reference_figures(config), checkpoint, iteration, mirror)


def refuse_changes(overrides: Sequence[str]) -> None:
    """Refuse what would make another run of one that is resumed; `InputError`."""
    for override in overrides:
        key = override.partition("=")[0]
        if key not in RESUMABLE:
            raise InputError(
                f"{key} cannot change when a run is resumed, only {', '.join(RESUMABLE)} can; start a new run with "
                "psparsity train"
            )


def _run(
    config: Config,
    run_dir: Path,
    reference: dict[str, float],
    checkpoint: Path | None,
    iteration: int,
    mirror: Mirror | None,
) -> int:
    needed = config.env_runners.count + config.learner.count
    live = LiveTable(config.training.iterations, reference)
    place, node_path = (str(run_dir), run_dir) if mirror is None else (mirror.uri, mirror.node_path)
    with ray_session(num_cpus=max(needed, os.cpu_count() or 1)), stop_requests() as stop:
        require_resources(config)
        if node_path is not None and config.cluster.shared_run_dir:
            require_shared(node_path)
        with TrainingSession(config, run_dir, checkpoint, iteration, live.say, mirror) as session:
            with live:
                while not (session.finished or stop or session.trouble):
                    row = session.step()
                    live.update(row)
                    _say_what_was_lost(session.dropped, row, live)
                session.save()
            iteration, rows, trouble = session.iteration, session.rows, session.trouble
    remedy = (
        f"go on with: psparsity resume {shlex.quote(place)}" if iteration else "nothing was learned yet, start over"
    )
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
def stop_requests() -> Iterator[list[int]]:
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

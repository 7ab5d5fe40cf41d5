"""A trial as Tune runs it: an actor that trains one run directory, and goes on with it wherever it starts."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from ray.tune import Trainable

from rllib_psparsity.config.load import from_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError, RunStopped
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.sweep.figures import heldout_figures
from rllib_psparsity.sweep.plan import TrialPlan
from rllib_psparsity.training.checkpoint import PARTIAL, PREFIX, checkpoints_in, newest_checkpoint
from rllib_psparsity.training.outcome import RESULTS, conclude
from rllib_psparsity.training.session import TrainingSession

PLAN = "plan"
"""Key of the trial's plan in Tune's configuration."""
STOPPED = "stopped.json"
"""In the directory of a trial that the scheduler has stopped for good."""
ORIGIN = "origin.json"
"""In a checkpoint of Tune: the trial and the iteration that it is from. In a run directory: what it last took over."""
CHECKPOINT, METRICS = "checkpoint", "metrics.parquet"
SECONDS_BETWEEN_CHECKPOINTS = 30.0
"""The most that an interrupt loses of a trial, whatever `checkpoint.every` says."""


class SweepTrial(Trainable):
    """Trains the run directory of its plan, one iteration a step.

    Whatever Tune believes about a trial, its directory says how far it is: one that is started again goes on from its
    newest checkpoint, and one that has ended reports its last row and is done. Tune's own checkpoints serve only to
    hand the weights of one member of a population to another.
    """

    def setup(self, config: dict[str, Any], base: Config, sweep_dir: str, command: str, population: bool) -> None:
        self._plan = TrialPlan(**config[PLAN])
        self._training = self._plan.config(base)
        self._run_dir = self._plan.directory(Path(sweep_dir))
        self._command = f"{command} (trial {self._plan.name})"
        self._population = population
        self._session: TrainingSession | None = None
        self._sound = True
        self._saved_at = time.monotonic()

    def step(self) -> dict[str, Any]:
        if has_ended(self._run_dir):
            return self._report(MetricsFile(self._run_dir / METRICS).rows[-1])
        self._sound = False  # until the iteration has ended: weights of a broken one are not worth keeping
        session = self._session = self._session or self._open()
        row = session.rows[-1] if session.finished or session.trouble else session.step()
        if session.trouble:
            session.save()
            raise RunStopped(session.trouble)
        # A member that is replaced is stopped without notice, perhaps after its place was taken: it saves nothing then.
        if session.finished or self._population or time.monotonic() - self._saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._save(session)
        if session.finished:
            self._session = None
            session.close()
            conclude(self._training, self._run_dir, session.rows, self._command)
        self._sound = True
        return self._report(row)

    def _open(self) -> TrainingSession:
        """From the newest checkpoint, or from the beginning where there is none."""
        config = self._run_dir / "config.json"
        if config.exists() and not self._population and from_json(config) != self._training:
            raise InputError(f"{self._run_dir} holds a run with another configuration; remove it")
        checkpoint, iteration = None, 0
        if checkpoints_in(self._run_dir / "checkpoints"):
            checkpoint, iteration, _ = newest_checkpoint(self._run_dir)
        return TrainingSession(self._training, self._run_dir, checkpoint, iteration, name=self._plan.name)

    def _save(self, session: TrainingSession) -> None:
        session.save()
        self._saved_at = time.monotonic()

    def _report(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, **heldout_figures(self._run_dir / RESULTS), "done": has_ended(self._run_dir)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Hand over the newest checkpoint, the rows that led to it, and whose they are."""
        if self._session is not None:
            self._save(self._session)
        target = Path(checkpoint_dir)
        checkpoint, iteration, _ = newest_checkpoint(self._run_dir)
        shutil.copytree(checkpoint, target / CHECKPOINT)
        shutil.copy(self._run_dir / METRICS, target / METRICS)
        origin = {"trial": self._plan.name, "iteration": iteration}
        (target / ORIGIN).write_text(json.dumps(origin))

    def load_checkpoint(self, checkpoint: str) -> None:  # type: ignore[override] - always a directory, as it was saved
        """Take over another member's weights and their history; a checkpoint of its own changes nothing.

        The directory of a member is the history of the weights that it holds. Whenever the process ends in here, what
        is left is the member as it was, or one that takes over again.
        """
        source = Path(checkpoint)
        origin = json.loads((source / ORIGIN).read_text())
        taken = self._run_dir / ORIGIN
        # With other values of its own it is not the same again: a member may be replaced by the same one twice.
        exchange = {"from": origin, "values": dict(self._plan.values)}
        if origin["trial"] == self._plan.name or (taken.exists() and json.loads(taken.read_text()) == exchange):
            return
        if self._session is not None:
            self._session.close()
            self._session = None
        checkpoints, name = self._run_dir / "checkpoints", f"{PREFIX}{origin['iteration']:06d}"
        partial = checkpoints / (name + PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source / CHECKPOINT, partial)
        for old in checkpoints_in(checkpoints):
            shutil.rmtree(old)
        write_atomically(self._run_dir / METRICS, lambda path: shutil.copy(source / METRICS, path))
        os.replace(partial, checkpoints / name)
        write_atomically(taken, lambda path: path.write_text(json.dumps(exchange)))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial: the next one has no process to wait for."""
        self.cleanup()
        self.setup(new_config)  # type: ignore[call-arg] - Tune adds the parameters
        return True

    def cleanup(self) -> None:
        """Keep what is not saved yet, as after Ctrl-C or the scheduler's stop."""
        if self._session is None:
            return
        if self._sound and not self._population:
            self._session.save()
        self._session.close()
        self._session = None


def has_ended(run_dir: Path) -> bool:
    """Whether a trial is finished or was stopped for good."""
    return (run_dir / RESULTS).is_file() or (run_dir / STOPPED).is_file()

"""`psparsity tune`: the trials of a sweep through Ray Tune, and what they amount to."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ray
from ray import tune
from rich.console import Console

from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.provenance import commit
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.plots import settings_figure
from rllib_psparsity.sweep.definition import Sweep
from rllib_psparsity.sweep.live import RUNNING, SweepTable, ranking_table
from rllib_psparsity.sweep.plan import (
    TrialPlan,
    bundles,
    configurations,
    distinct_bundles,
    distinct_problems,
    number_of_trials,
    planned_trials,
    refuse_unplaceable,
)
from rllib_psparsity.sweep.results import FAILED, FINISHED, RESULTS, rank, trial_row, write_results
from rllib_psparsity.sweep.results import STOPPED as STOPPED_STATUS
from rllib_psparsity.sweep.search import refuse_missing_optuna, scheduler_of, searcher_of
from rllib_psparsity.sweep.trial import PLAN, STOPPED, SweepTrial, has_ended
from rllib_psparsity.training.outcome import reference_problems
from rllib_psparsity.training.ray_session import ray_session
from rllib_psparsity.training.resources import await_nodes
from rllib_psparsity.training.run import stop_requests
from rllib_psparsity.training.shared_directory import require_shared

SWEEP, TUNE, PICTURE = "sweep.json", "tune", "results.png"
"""In the directory of a sweep: what it is, Tune's own state, and the plot."""
RETRIES = 1
"""How often a trial that fails goes on from its newest checkpoint: its node may have been lost."""


def run_sweep(
    sweep: Sweep, base: Config, file: Path, sweep_dir: Path, *, resume: bool = False, address: str | None = None
) -> int:
    """Run what is not done yet; returns the exit code.

    Raises `InputError` before anything is started if a trial can never be placed or has nothing to decide.
    """
    refuse_missing_optuna(sweep)
    trials = planned_trials(sweep)
    configs = configurations(sweep, base, trials)
    for config in distinct_problems(configs):
        for _ in reference_problems(config):
            pass
    processors = os.cpu_count() or 1
    kinds = distinct_bundles(configs)
    if not address and not os.environ.get("RAY_ADDRESS"):
        for needed in kinds:
            refuse_unplaceable([{"CPU": bundle["CPU"]} for bundle in needed], [{"CPU": processors}])
    identity = json.dumps(
        {"sweep": json.loads(sweep.model_dump_json(by_alias=True)), "base": json.loads(resolved_json(base))}, indent=2
    )
    if resume:
        _refuse_another(sweep_dir, identity)
    with ray_session(num_cpus=processors, address=address), stop_requests() as stop:
        for needed in kinds:
            await_nodes(needed, base.cluster.patience)
            refuse_unplaceable(needed, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        if base.cluster.shared_run_dir:
            require_shared(sweep_dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(sweep_dir / SWEEP, lambda path: path.write_text(identity))
        iterations = {plan.name: config.training.iterations for plan, config in zip(trials, configs, strict=False)}
        with SweepTable(sweep.metric, number_of_trials(sweep), iterations) as table:
            Listener.current = _Driver(sweep_dir, base, table, stop)
            command = shlex.join(["psparsity", "tune", str(file)])
            results = _tuner(sweep, base, trials, sweep_dir, command).fit()
        ended = [(TrialPlan(**result.config[PLAN]), _sentence(result.error)) for result in results if result.config]
    return _conclude(sweep, trials, ended, sweep_dir, {"command": command, **json.loads(identity)}, stop)


def _refuse_another(sweep_dir: Path, identity: str) -> None:
    file = sweep_dir / SWEEP
    if not file.is_file():
        raise InputError(f"{sweep_dir} holds no {SWEEP}, so no sweep was started there; leave --resume out")
    if file.read_text() != identity:
        raise InputError(
            f"{sweep_dir} was started from another sweep than the file describes now; undo the change, or start a new "
            "one with another --run-dir"
        )


def _tuner(sweep: Sweep, base: Config, trials: Sequence[TrialPlan], sweep_dir: Path, command: str) -> tune.Tuner:
    """Tune's experiment, as it was left where there is one.

    A driver that is killed early has left none: its trials then begin anew for Tune, and go on from their directories.
    """
    # Tune's loggers would write each result three times over; a signal's handler is ours.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # verbose=0 is silent then
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # relative paths of a configuration lead where they do for `train`
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message="Consider boosting PBT")  # see reuse_actors
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # what Tune is told to stop by, before it listens
    trainable = tune.with_resources(
        tune.with_parameters(
            SweepTrial,
            base=base,
            sweep_dir=str(sweep_dir.resolve()),
            command=command,
            population=sweep.scheduler.name == "population",
        ),
        lambda config: tune.PlacementGroupFactory(bundles(TrialPlan(**config[PLAN]).config(base))),
    )
    state = sweep_dir.resolve() / TUNE
    if tune.Tuner.can_restore(state):
        return tune.Tuner.restore(str(state), trainable=trainable, resume_unfinished=True, resume_errored=True)
    searcher = searcher_of(sweep)
    planned = {PLAN: tune.grid_search([plan.as_dict() for plan in trials])}
    return tune.Tuner(
        trainable,
        param_space={} if searcher else planned,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler_of(sweep),
            num_samples=number_of_trials(sweep) if searcher else 1,
            # A member's next process may start before its last one has ended, and must not inherit another's.
            reuse_actors=sweep.scheduler.name != "population",
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=TUNE,
            storage_path=str(sweep_dir.resolve()),
            verbose=0,
            callbacks=[Listener()],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            # Population-based training takes over checkpoints that Tune would have deleted.
            checkpoint_config=tune.CheckpointConfig(num_to_keep=None, checkpoint_at_end=False),
        ),
    )


class _Driver:
    """What this process does about the trials' events."""

    def __init__(self, sweep_dir: Path, base: Config, table: SweepTable, stop: Sequence[int]) -> None:
        self._sweep_dir, self._base, self._table, self._stop = sweep_dir, base, table, stop

    def step(self) -> None:
        if self._stop:
            os.kill(os.getpid(), signal.SIGUSR1)  # Tune ends its loop, saves its state and lets the trials clean up

    def show(self, trial: Any, status: str, row: Mapping[str, Any] | None = None) -> None:
        plan = TrialPlan(**trial.config[PLAN])
        self._table.update(plan.name, status, plan.config(self._base).training.iterations, row)

    def complete(self, trial: Any) -> None:
        run_dir = TrialPlan(**trial.config[PLAN]).directory(self._sweep_dir)
        if not has_ended(run_dir):
            note = json.dumps({"iteration": trial.last_result["iteration"]})
            write_atomically(run_dir / STOPPED, lambda path: path.write_text(note))
        self.show(trial, STOPPED_STATUS if (run_dir / STOPPED).exists() else FINISHED)


class Listener(tune.Callback):
    """Passes Tune's events on to the driver of this process.

    Tune pickles its callbacks and restores them with an experiment, so this one has no state.
    """

    current: ClassVar[_Driver | None] = None

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if self.current:
            self.current.step()

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        if self.current:
            self.current.show(trial, RUNNING)

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        if self.current:
            self.current.show(trial, RUNNING, result)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        if self.current:
            self.current.complete(trial)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        if self.current:
            self.current.show(trial, FAILED)


def _conclude(
    sweep: Sweep,
    trials: Sequence[TrialPlan],
    ended: Sequence[tuple[TrialPlan, str]],
    sweep_dir: Path,
    metadata: Mapping[str, Any],
    stop: Sequence[int],
) -> int:
    """Write rows, plot and ranking of what there is; the exit code.

    `ended` has the trials that Tune knows, with their errors: members of a population have other values by now.
    """
    known = {plan.name: (plan, "") for plan in trials} | {plan.name: (plan, error) for plan, error in ended}
    # What ends an interrupted trial is no error of its own.
    rows = [
        trial_row(plan, plan.directory(sweep_dir), sweep.metric, "" if stop else error)
        for plan, error in known.values()
    ]
    write_results(sweep_dir / RESULTS, rows, {**metadata, "commit": commit()})
    ranked = rank(rows, sweep.metric)
    console = Console()
    if any(one.figures for one in ranked):
        points = {one.setting: one.figures for one in (ranked if sweep.space else _in_order(ranked, trials))}
        figure = settings_figure(points, sweep.metric, sweep.about)
        figure.savefig(sweep_dir / PICTURE, dpi=100)
    console.print(ranking_table(ranked, sweep.metric))
    if stop:
        print(f"interrupted; go on with: {metadata['command']} --run-dir {shlex.quote(str(sweep_dir))} --resume")
        return stop[0]
    failed = [row for row in rows if row["status"] == FAILED]
    for row in failed:
        print(f"failed: {row['setting']}/seed-{row['seed']} after iteration {row['iterations']}: {row['error']}")
    print(f"results: {sweep_dir / RESULTS} | plot: {sweep_dir / PICTURE} | curves: tensorboard --logdir {sweep_dir}")
    return 1 if failed else 0


def _sentence(error: Exception | None) -> str:
    """What the trial raised, without the calls of Ray that led there."""
    return str(error).strip().splitlines()[-1] if error else ""


def _in_order(ranked: Sequence[Any], trials: Sequence[TrialPlan]) -> list[Any]:
    order = list(dict.fromkeys(plan.setting for plan in trials))
    return sorted(ranked, key=lambda one: order.index(one.setting))

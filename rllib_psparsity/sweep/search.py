"""From a sweep to Tune's search spaces, search algorithms and schedulers."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import Searcher

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.sweep.definition import Population, Range, Sweep
from rllib_psparsity.sweep.figures import FIGURES
from rllib_psparsity.sweep.plan import TrialPlan, setting_name
from rllib_psparsity.sweep.trial import METRICS, PLAN

TIME = "iteration"
"""The run's own count: Tune's starts anew when a trial does."""
MODES = {"higher": "max", "lower": "min"}


def mode_of(sweep: Sweep) -> str:
    return MODES[FIGURES[sweep.metric]]


def scheduler_of(sweep: Sweep) -> TrialScheduler | None:
    """The scheduler; None for one that lets every trial run to its end."""
    options: dict[str, Any] = {"time_attr": TIME, "metric": sweep.metric, "mode": mode_of(sweep)}
    if sweep.scheduler.name == "asha":
        return RestoredHalving(
            max_t=sweep.iterations + 1,  # a trial ends by itself, and then with its held-out figures
            grace_period=sweep.scheduler.grace,
            reduction_factor=sweep.scheduler.reduction,
            **options,
        )
    if sweep.scheduler.name == "population":
        return _population(sweep, sweep.scheduler, options)
    return None


class RestoredHalving(AsyncHyperBandScheduler):
    """Successive halving that still knows the rungs of every trial after a restore.

    Tune restores trials, but not their scheduler's state: a trial that is added tells what it has on disk.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        sweep_dir = Path(tune_controller.experiment_path).parent
        file = TrialPlan(**trial.config[PLAN]).directory(sweep_dir) / METRICS
        for row in MetricsFile(file).rows if file.exists() else ():
            self.on_trial_result(tune_controller, trial, row)


def _population(sweep: Sweep, scheduler: Population, options: dict[str, Any]) -> TrialScheduler:
    return Members(
        bounds={key: one.bounds for key, one in sweep.space.items() if one.bounds is not None},
        perturbation_interval=scheduler.every,
        quantile_fraction=scheduler.quantile,
        hyperparam_mutations={PLAN: {"values": {key: domain(one) for key, one in sweep.space.items()}}},
        log_config=False,
        synch=False,  # Ray 2.60 stops a member early otherwise
        **options,
    )


class Members(PopulationBasedTraining):
    """A population whose members stay who they are, and within the bounds of the space.

    Ray gives a member that is replaced all of the other's configuration, its name and seed too, and so its directory;
    and a value that is raised again and again leaves its range.
    """

    def __init__(self, bounds: Mapping[str, tuple[float, float]], **options: Any) -> None:
        super().__init__(**options)
        self._bounds = dict(bounds)

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict, dict]:
        config, operations = super()._get_new_config(trial, trial_to_clone)
        values = config[PLAN]["values"]
        for key, (low, high) in self._bounds.items():
            values[key] = min(max(values[key], low), high)
        return {**config, PLAN: {**trial.config[PLAN], "values": values}}, operations


def domain(values: Range) -> Any:
    """A range as Tune's."""
    if values.choice is not None:
        return tune.choice(list(values.choice))
    assert values.bounds is not None
    return (tune.uniform if values.uniform is not None else tune.loguniform)(*values.bounds)


def refuse_missing_optuna(sweep: Sweep) -> None:
    if sweep.search.name == "optuna" and find_spec("optuna") is None:
        raise InputError("search optuna needs Optuna, which is not installed; run pip install optuna")


def searcher_of(sweep: Sweep) -> Searcher | None:
    """Optuna with every suggestion trained for each seed; None where all trials are planned."""
    if sweep.search.name != "optuna":
        return None
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune.search.optuna").setLevel(logging.ERROR)
    space = {key: domain(one) for key, one in sweep.space.items()}
    inner = OptunaSearch(space, metric=sweep.metric, mode=mode_of(sweep), seed=sweep.seeds[0])
    return EverySeed(inner, sweep.seeds, sweep.metric, mode_of(sweep))


class EverySeed(Searcher):
    """Makes one trial for each seed of every suggestion, and tells the searcher their mean.

    Ray's `Repeater` does the like, but forgets after a restore which trials belong together.
    """

    def __init__(self, searcher: Any, seeds: tuple[int, ...], metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        # Under the name `searcher` Ray would take it for the one to save, and this one for a mere wrapper.
        self._searcher, self.seeds = searcher, seeds
        self._number_of: dict[str, int] = {}
        self._settings: list[dict[str, Any]] = []
        self._figures: list[list[float]] = []

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        number, place = divmod(len(self._number_of), len(self.seeds))
        if place == 0:
            values = self._searcher.suggest(str(number))
            if values is None:
                return None
            self._settings.append(values)
            self._figures.append([])
        self._number_of[trial_id] = number
        values = self._settings[number]
        return {PLAN: TrialPlan(setting_name(number, values), self.seeds[place], values).as_dict()}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._number_of:
            return
        number = self._number_of[trial_id]
        figures = self._figures[number]
        figures.append(math.nan if error or not result else float(result.get(self.metric, math.nan)))
        if len(figures) == len(self.seeds):
            known = [figure for figure in figures if math.isfinite(figure)]
            told = {self.metric: sum(known) / len(known)} if known else None
            self._searcher.on_trial_complete(str(number), result=told, error=not known)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_bytes(pickle.dumps(self.__dict__))

    def restore(self, checkpoint_path: str) -> None:
        self.__dict__.update(pickle.loads(Path(checkpoint_path).read_bytes()))

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec: Any) -> bool:
        return True  # the searcher has its space and its metric

"""From a sweep to its trials: what each of them trains, where, and with how many processors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rllib_psparsity.config.load import with_overrides
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.sweep.definition import Range, Sweep, override_texts

Bundle = dict[str, float]
"""Processors that must be free on one node: "CPU" and "GPU" to their number."""
PLACING = ("env_runners", "learner")
"""Sections of a configuration that decide what a trial needs."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial: a setting's name, the seed, and the values by dotted key. Its name is that of its directory."""

    setting: str
    seed: int
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.setting}/seed-{self.seed}"

    def directory(self, sweep_dir: Path) -> Path:
        """The run directory."""
        return sweep_dir / "trials" / self.setting / f"seed-{self.seed}"

    def config(self, base: Config) -> Config:
        """What it trains; `InputError` for what the schema refuses."""
        return with_overrides(base, override_texts({**self.values, "seed": self.seed}))

    def as_dict(self) -> dict[str, Any]:
        """The same as Tune keeps it."""
        return {"setting": self.setting, "seed": self.seed, "values": dict(self.values)}


def planned_trials(sweep: Sweep) -> list[TrialPlan]:
    """All trials in the order in which they start, seed by seed; none where Optuna suggests them one by one."""
    if sweep.search.name == "optuna":
        return []
    settings = sweep.settings
    if sweep.search.name == "random":
        rng = np.random.default_rng(np.random.SeedSequence(sweep.seeds[0]))
        drawn = [{key: draw(one, rng) for key, one in sweep.space.items()} for _ in range(sweep.search.settings)]
        settings = {setting_name(number, values): values for number, values in enumerate(drawn)}
    return [TrialPlan(name, seed, values) for seed in sweep.seeds for name, values in settings.items()]


def configurations(sweep: Sweep, base: Config, trials: Sequence[TrialPlan]) -> list[Config]:
    """What the trials train. Where Optuna suggests them one by one: the corners of what decides about their place, and
    the starts that it may choose."""
    if trials:
        return [plan.config(base) for plan in trials]
    decisive = [key for key in sweep.space if key.partition(".")[0] in PLACING or key == "training.start_from"]
    corners = itertools.product(*(sweep.space[key].extremes for key in decisive))
    return [with_overrides(base, override_texts(dict(zip(decisive, corner, strict=True)))) for corner in corners]


def number_of_trials(sweep: Sweep) -> int:
    settings = len(sweep.settings) if sweep.search.name == "grid" else sweep.search.settings
    return settings * len(sweep.seeds)


def draw(values: Range, rng: np.random.Generator) -> Any:
    """A value of a range."""
    if values.choice is not None:
        return values.choice[int(rng.integers(len(values.choice)))]
    assert values.bounds is not None
    low, high = values.bounds
    if values.uniform is not None:
        return float(rng.uniform(low, high))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def setting_name(number: int, values: Mapping[str, Any]) -> str:
    """`07 lr=0.00123,backbone=gat`: the number keeps settings apart that look the same."""
    texts = [f"{key.rpartition('.')[2]}={_text(value)}" for key, value in values.items()]
    return f"{number:02d} {','.join(texts)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict | list):
        return "set"
    return str(value).replace("/", "-")


def bundles(config: Config) -> list[Bundle]:
    """What a trial of this configuration needs: the driver, then every env runner and learner."""
    gpus = config.learner.gpus
    driver: Bundle = {"CPU": 1.0} | ({"GPU": gpus} if gpus and not config.learner.count else {})
    learner: Bundle = {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
    return [driver, *({"CPU": 1.0} for _ in range(config.env_runners.count)), *[learner] * config.learner.count]


def distinct_bundles(configs: Iterable[Config]) -> list[list[Bundle]]:
    """What the configurations need, each kind once."""
    kinds: list[list[Bundle]] = []
    for needed in map(bundles, configs):
        if needed not in kinds:
            kinds.append(needed)
    return kinds


def resources_text(needed: Sequence[Mapping[str, float]]) -> str:
    return f"{_total(needed, 'CPU'):g} CPUs and {_total(needed, 'GPU'):g} GPUs"


def refuse_unplaceable(needed: Sequence[Bundle], nodes: Sequence[Mapping[str, float]]) -> None:
    """`InputError` if no set of nodes can hold all bundles at once, even with nothing else on them.

    Bundles, each of one CPU, are put where they fit, those with GPUs first.
    """
    free = [dict(node) for node in nodes]
    for bundle in sorted(needed, key=lambda bundle: -bundle.get("GPU", 0.0)):
        places = [node for node in free if all(node.get(kind, 0.0) >= count for kind, count in bundle.items())]
        if not places:
            raise InputError(
                f"a trial needs {resources_text(needed)} at once, but the {len(nodes)} node(s) here have "
                f"{resources_text(nodes)}; set env_runners.count: 0 or learner.gpus: 0, or use a larger cluster"
            )
        # A bundle without GPUs goes where none are left over.
        node = min(places, key=lambda node: node.get("GPU", 0.0))
        for kind, count in bundle.items():
            node[kind] -= count


def _total(parts: Sequence[Mapping[str, float]], kind: str) -> float:
    return math.fsum(part.get(kind, 0.0) for part in parts)


def refuse_impossible(base: Config, trials: Sequence[TrialPlan]) -> None:
    """`InputError` for problems that cannot be, with the trial that asks for them."""
    for trial in trials:
        config = trial.config(base)
        try:
            ProblemDistribution(config.problems, config.seed)
        except InputError as error:
            raise InputError(f"trial {trial.name}: {error}") from None


def distinct_problems(configs: Sequence[Config]) -> Iterator[Config]:
    """One of the configurations for each set of problems and limits."""
    seen = []
    for config in configs:
        key = (config.seed, config.problems, config.environment)
        if key not in seen:
            seen.append(key)
            yield config

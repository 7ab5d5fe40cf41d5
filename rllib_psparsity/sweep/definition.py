"""A sweep as YAML: a base study, what is varied, how often, and by which figure settings are ranked.

    about: how large the learning rate may be
    base: {study: triage, variation: B}
    set: {env_runners.count: 0}
    settings:
      slow: {training.lr: 1e-4}
      fast: {training.lr: 1e-3}
    seeds: [0, 1, 2]
    iterations: 45
    metric: reward_mean

`study` is a shipped study, or a YAML file beside the sweep; `set` and `settings` have the dotted keys of a
configuration. In place of `settings`, a `space` has ranges that `search` draws settings from.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.refusal import sentence
from rllib_psparsity.config.schema import Config, Positive, Section
from rllib_psparsity.config.studies import study_path
from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.errors import InputError
from rllib_psparsity.sweep.figures import FIGURES, HELDOUT

NAME = r"[\w ,.+=-]+"
"""Of a setting: it names a directory."""
LIVE = (
    "training.lr",
    "training.grad_clip",
    "training.entropy_coefficient",
    "training.recipe_entropy_coefficient",
    "training.edge_weight",
    "training.recipe_weight",
    "training.value_coefficient",
    "training.clip",
    "training.gamma",
    "training.lambda",
)
"""Keys that may change while a policy trains, as they do in a population: the weights fit any value of them."""


class BaseConfig(Section):
    """What all trials have in common."""

    study: str = "default"
    """A shipped study, or a YAML file beside the sweep."""
    variation: str | None = None
    """One of its variations."""


class Range(Section):
    """Where a key's values are drawn from: exactly one of the three."""

    choice: tuple[Any, ...] | None = Field(default=None, min_length=2)
    """Any of these."""
    uniform: tuple[float, float] | None = None
    """Uniform between low and high."""
    log_uniform: tuple[float, float] | None = None
    """The same of the logarithm."""

    @model_validator(mode="after")
    def _is_one_range(self) -> Self:
        given = [name for name in ("choice", "uniform", "log_uniform") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a range is one of choice, uniform and log_uniform; give exactly one of them")
        if self.bounds is not None:
            low, high = self.bounds
            if not low < high or (self.log_uniform and low <= 0):
                raise ValueError(
                    f"{given[0]} goes from {low:g} to {high:g}; give [low, high] with low < high"
                    + (" and low > 0" if self.log_uniform else "")
                )
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest value; None for a choice."""
        return self.uniform or self.log_uniform

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values that the configuration must accept."""
        return self.bounds or self.choice or ()


class Fifo(Section):
    """Every trial runs to its end."""

    name: Literal["fifo"] = "fifo"


class Asha(Section):
    """Asynchronous successive halving (Li et al. 2020): only the best trials go on from rung to rung."""

    name: Literal["asha"]
    grace: Positive = 10
    """Iterations that every trial gets."""
    reduction: int = Field(default=3, ge=2)
    """One in so many trials goes on from a rung, and the next rung is that many times further."""


class Population(Section):
    """Population-based training (Jaderberg et al. 2017): bad members go on from the weights of good ones, with their
    settings changed a little. All keys of `space` are changed."""

    name: Literal["population"]
    every: Positive = 5
    """Iterations between two looks at a member."""
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    """Share of the members that are replaced, and of those that replace them."""


class Grid(Section):
    """All `settings`."""

    name: Literal["grid"] = "grid"


class Random(Section):
    """Settings drawn from `space`."""

    name: Literal["random"]
    settings: Positive
    """How many."""


class Optuna(Section):
    """Settings suggested by Optuna's tree of Parzen estimators, from the means over the seeds of those before."""

    name: Literal["optuna"]
    settings: Positive
    """How many."""


class Sweep(Section):
    """The YAML, but for its path."""

    about: str
    """The question."""
    base: BaseConfig = BaseConfig()
    overrides: dict[str, Any] = Field(default={}, alias="set")
    """What all trials set beyond the base, by dotted key."""
    settings: dict[str, dict[str, Any]] = {}
    """What is compared: a name, and what it sets."""
    space: dict[str, Range] = {}
    """What is searched, by dotted key."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2), min_length=1)
    """Every setting is trained with each of them."""
    iterations: Positive
    """Of a trial; a setting may have its own `training.iterations`."""
    metric: str
    """A figure that says which setting is better."""
    scheduler: Annotated[Fifo | Asha | Population, Field(discriminator="name")] = Fifo()
    search: Annotated[Grid | Random | Optuna, Field(discriminator="name")] = Grid()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        mistake = self._mistake()
        if mistake:
            raise ValueError(mistake)
        return self

    def _mistake(self) -> str:
        if self.metric not in FIGURES:
            nearest = get_close_matches(self.metric, FIGURES, n=1, cutoff=0)[0]
            return f"metric {self.metric!r} is no figure with a good direction; the nearest one is {nearest!r}"
        grid = self.search.name == "grid"
        if grid != bool(self.settings) or grid == bool(self.space):
            needed, other = ("settings", "space") if grid else ("space", "settings")
            return f"search {self.search.name} needs {needed} and no {other}; give {needed}, or change search.name"
        if len(set(self.seeds)) < len(self.seeds):
            return f"seeds {list(self.seeds)} names a seed twice; name each once"
        for name in self.settings:
            if not re.fullmatch(NAME, name) or not name.strip(". "):
                return f"settings: {name!r} names a directory; use letters, digits, spaces and , . + = - _"
        for keys in (self.overrides, self.space, *self.settings.values()):
            if "seed" in keys:
                return "seed is set; give the seeds under seeds"
        if "training.iterations" in self.overrides or "training.iterations" in self.space:
            return "training.iterations is set; give it as iterations"
        if self.scheduler.name != "fifo" and self.metric in HELDOUT:
            return (
                f"scheduler {self.scheduler.name} needs a metric of every iteration, and {self.metric} is known at the "
                "end; take a column of metrics.parquet, or the scheduler fifo"
            )
        if self.scheduler.name == "population":
            return self._population_mistake()
        return ""

    def _population_mistake(self) -> str:
        if self.search.name != "random" or len(self.seeds) != 1:
            return "scheduler population needs search random and one seed, since its members share their weights"
        fixed = [key for key in self.space if key not in LIVE]
        if fixed:
            return f"space: {fixed[0]} cannot change while a policy trains, only {', '.join(LIVE)} can"
        return ""


def load_sweep(path: Path) -> tuple[Sweep, Config]:
    """Read a sweep and resolve its base with `set` and `iterations`; every key and every extreme value is checked."""
    content = parse_yaml(read_text(path), str(path))
    try:
        sweep = Sweep.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise InputError(f"{path}: {sentence(error, _nearest)}") from None
    study = path.parent / sweep.base.study if sweep.base.study.endswith(".yaml") else study_path(sweep.base.study)
    texts = [*override_texts(sweep.overrides), f"training.iterations={sweep.iterations}"]

    def resolve(values: dict[str, Any], where: str) -> Config:
        try:
            return load_config(study, sweep.base.variation, [*texts, *override_texts(values)])
        except InputError as error:
            raise InputError(f"{path}: {where}: {error}") from None

    base = resolve({}, "base and set")
    for name, values in sweep.settings.items():
        resolve(values, f"settings.{name}")
    for key, values in sweep.space.items():
        for value in values.extremes:
            resolve({key: value}, f"space.{key}")
    return sweep, base


def override_texts(values: dict[str, Any]) -> list[str]:
    """Dotted keys and values as `--set` takes them."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def shipped_sweep(name: str) -> Path:
    """The YAML of a shipped sweep: in the repository's `tune_configs/`, which a wheel carries inside the package."""
    package = Path(__file__).parents[1]
    installed = package / "tune_configs"
    return (installed if installed.is_dir() else package.parent / "tune_configs") / f"{name}.yaml"


def _nearest(key: str, *, is_section: bool = False) -> str:
    sections = (Sweep, BaseConfig, Range, Fifo, Asha, Population, Grid, Random, Optuna)
    names = [field.alias or name for section in sections for name, field in section.model_fields.items()]
    return get_close_matches(key.rpartition(".")[2], names, n=1, cutoff=0)[0]

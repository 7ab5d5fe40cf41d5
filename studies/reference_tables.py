"""References and oracle of every setting: problems, reward and limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.reporting.epochs import LOG_WORK_REWARDS
from studies.episode import SPLITS
from studies.figures import mean_of
from studies.plan import SPACES
from studies.references import PORTFOLIO_NAMES
from studies.results_file import read_table

ONE_BY_ONE = 24
"""Most problems of one seed and action space that have a line each; of more, their means are shown."""
REWARDS = ("pyamg_default", "prior_alone", "best_classical", "start", "best")


@dataclass
class Setting:
    """Problems, reward and limits that rewards can be compared under; `references` and `oracle` are rows."""

    key: str
    config: Mapping[str, Any]
    references: list[dict[str, Any]] = field(default_factory=list)
    oracle: list[dict[str, Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        families = ", ".join(f"{one['family']} {one['size'][0]}" for one in self.config["problems"]["families"])
        levels = self.config["environment"]["max_levels"]
        return f"{families}, `{self.config['reward']['name']}`, at most {levels} levels"

    def ends(self, config: Mapping[str, Any], seed: int, alike: bool = False) -> tuple[float, float] | None:
        """Mean reward of PyAMG's default on the training problems, and of the oracle.

        Where the oracle has searched every training problem of the seed, both are means over these. Otherwise the
        oracle's is the default's plus its mean lead over the default on the problems that it has searched, and the
        default's is that on the seed's problems if any oracle has searched them all, else on the references'. The
        oracle is that of the configuration's own action space, or the one that treats like edges alike there; None
        where either is missing.
        """
        space = f"{space_of(config)}, alike" if alike else space_of(config)
        found = [row for row in self.oracle if row["space"] == space]
        count = config["problems"]["training_problems"]
        own = [row for row in found if row["seed"] == seed]
        if own and len(own) == count:
            return mean_of(own, "pyamg_default"), mean_of(own, "best")
        searched = {row["problem"]: row["pyamg_default"] for row in self.oracle if row["seed"] == seed}
        references = [r for r in self.references if (r["method"], r["split"]) == (PYAMG_DEFAULT.name, SPLITS[0])]
        if not found or not (references or len(searched) == count):
            return None
        default = float(np.mean([*searched.values()])) if len(searched) == count else mean_of(references, "reward")
        return default, default + mean_of(found, "best") - mean_of(found, "pyamg_default")


def setting_key(config: Mapping[str, Any]) -> str:
    """Equal for configurations whose rewards can be compared; a limit that is newer than one had its default then."""
    parts = (
        config["problems"]["families"],
        config["reward"]["name"],
        config["reward"]["vectors"],
        Limits.model_validate(config["environment"]).model_dump(mode="json"),
    )
    return json.dumps(parts, sort_keys=True)


def space_of(config: Mapping[str, Any]) -> str | None:
    """The oracle's action space that holds what the configuration can do; None if no oracle searches it."""
    policy, levels = config["policy"], config["environment"]["max_levels"]
    recipes = {name.rpartition("/")[0] for name in policy["recipes"]}
    for name, space in SPACES.items():
        k = policy["k"] if policy["action"] == "top_k" else None
        deep = levels > 2, space.max_levels > 2
        if deep[0] == deep[1] and recipes <= set(space.recipes) and space.k in (None, k):
            return name
    return None


def read_settings(results: Path) -> list[Setting]:
    """All that the reference and oracle files have."""
    settings: dict[str, Setting] = {}
    for kind in ("references", "oracle"):
        for path in sorted((results / kind).glob("*.parquet")):
            rows, metadata = read_table(path)
            key = setting_key(metadata["config"])
            setting = settings.setdefault(key, Setting(key, metadata["config"]))
            getattr(setting, kind).extend(rows)
            setting.commands.append(f"{metadata['command']} (commit {metadata['commit'][:10]})")
    return list(settings.values())


def reference_section(settings: Sequence[Setting]) -> list[str]:
    """The tables of every setting, as lines of Markdown."""
    if not settings:
        return ["Not measured yet: `python -m studies.references` and `python -m studies.oracle`."]
    lines: list[str] = []
    for setting in settings:
        log_work = setting.config["reward"]["name"] in LOG_WORK_REWARDS
        lines += [f"### {setting.title}", ""]
        if log_work:
            lines += ["Rewards are minus the logarithm of the work per digit, which stands in brackets.", ""]
        if setting.references:
            lines += [*_reference_table(setting.references, log_work), ""]
        if setting.oracle:
            lines += [*_oracle_table(setting.oracle, log_work), ""]
        lines += ["Made by " + "; ".join(f"`{command}`" for command in setting.commands) + ".", ""]
    return lines[:-1]


def _reference_table(rows: Sequence[Mapping[str, Any]], log_work: bool) -> list[str]:
    counts = {split: len({(r["seed"], r["problem"]) for r in rows if r["split"] == split}) for split in SPLITS}
    lines = [
        "| mean reward of | " + " | ".join(f"{counts[split]} {split} problems" for split in SPLITS) + " |",
        "|---" * (len(SPLITS) + 1) + "|",
    ]
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] not in PORTFOLIO_NAMES):
        cells = [
            _reward([r["reward"] for r in rows if (r["method"], r["split"]) == (method, s)], log_work) for s in SPLITS
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    single, hindsight = [], []
    for split in SPLITS:
        portfolio = [r for r in rows if r["split"] == split and r["method"] in PORTFOLIO_NAMES]
        by_method: dict[str, list[float]] = {}
        by_problem: dict[tuple, list[float]] = {}
        for row in portfolio:
            by_method.setdefault(row["method"], []).append(row["reward"])
            by_problem.setdefault((row["seed"], row["problem"]), []).append(row["reward"])
        best = max(by_method, key=lambda method: np.mean(by_method[method]))
        single.append(f"{_reward(by_method[best], log_work)} {best}")
        hindsight.append(_reward([max(rewards) for rewards in by_problem.values()], log_work))
    lines.append("| best single method of the portfolio | " + " | ".join(single) + " |")
    lines.append("| best of the portfolio on each problem | " + " | ".join(hindsight) + " |")
    return lines


def _oracle_table(rows: Sequence[Mapping[str, Any]], log_work: bool) -> list[str]:
    lines = [
        "| oracle's action space | problem | PyAMG default | prior alone | best of the portfolio | best rule | "
        "oracle | evaluations | of its gain in the last half | complexity | levels | coarse unknowns |",
        "|---" * 12 + "|",
    ]
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["space"], row["seed"]), []).append(row)
    for (space, seed), group in groups.items():
        shown = [(row["problem"], [row]) for row in group]
        if len(group) > ONE_BY_ONE:
            shown = [(f"mean of {len(group)}", group)]
        for name, some in shown:
            means = [_reward([r[key] for r in some], log_work) for key in REWARDS]
            lines.append(
                f"| {space} | seed {seed}, {name} | "
                + " | ".join(means)
                + f" | {some[0]['evaluations']} | {np.mean([_late(r) for r in some]):.0%} | "
                f"{mean_of(some, 'operator_complexity'):.2f} | {mean_of(some, 'levels'):.3g} | "
                f"{mean_of(some, 'coarse_share'):.0%} |"
            )
    return lines


def _late(row: Mapping[str, Any]) -> float:
    """What the last half of the evaluations added, relative to all that came after the first twentieth."""
    curve = row["curve"]
    rise = row["best"] - curve[0]
    return (row["best"] - curve[len(curve) // 2 - 1]) / rise if rise > 0 else 0.0


def _reward(values: Sequence[float], log_work: bool) -> str:
    if not values:
        return "-"
    mean = float(np.mean(values))
    return f"{mean:.3f} ({np.exp(-mean):.2f})" if log_work else f"{mean:.3f}"

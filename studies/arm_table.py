"""A study's arms side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rllib_psparsity.reporting.epochs import LOG_WORK_REWARDS
from studies.definition import Study
from studies.figures import run_figures
from studies.reference_tables import Setting, setting_key
from studies.results_file import read_table

SHOWN = {
    "first": ("first epoch", "{:.3f}"),
    "last": ("last tenth", "{:.3f}"),
    "gain": ("gain", "{:+.1%}"),
    "position": ("default to oracle", "{:.0%}"),
    "position_alike": ("default to oracle, like edges alike", "{:.0%}"),
    "entropy_softmax_min": ("least entropy, softmax", "{:.2f}"),
    "entropy_edge_last": ("last entropy, decision", "{:.3f}"),
    "explained_variance": ("explained variance", "{:.0%}"),
    "advantage_std": ("advantage s.d.", "{:.3f}"),
    "clipped": ("clipped", "{:.0%}"),
    "grad_norm": ("gradient norm", "{:.3g}"),
    "parts_median": ("parts, median", "{:.1f}"),
    "parts_worst": ("parts, worst", "{:.1f}"),
    "parts_worst_epoch": ("parts, worst epoch", "{:.1f}"),
    "edge_head_first": ("edge head's share of the gradient, first", "{:.3f}"),
    "edge_head_last": ("last", "{:.3f}"),
    "work": ("work per digit", "{:.2f}"),
    "complexity": ("complexity", "{:.2f}"),
    "epochs": ("epochs", "{:.1f}"),
    "seconds": ("seconds", "{:.0f}"),
}
"""Figure -> (heading, format)."""
COLUMNS = (
    "first",
    "last",
    "gain",
    "position",
    "position_alike",
    "entropy_softmax_min",
    "entropy_edge_last",
    "explained_variance",
    "advantage_std",
    "clipped",
    "parts_median",
    "parts_worst",
    "parts_worst_epoch",
    "work",
    "complexity",
    "epochs",
    "seconds",
)
LEGEND = (
    "Means over the seeds, with the smallest and the largest in brackets. First epoch: the mean reward over the first "
    "pass through the training problems, learning included; last tenth: over the last tenth of the iterations, or the "
    "last pass where that is longer. Gain: of the last over the first, relative to the first; for rewards that are "
    "minus a logarithm of the work per digit, the share of the work per digit saved. Default to oracle: where the last "
    "tenth lies between PyAMG's default (0 %) and the oracle (100 %), from the tables above, both on the run's own "
    "problems where the oracle has searched all of a seed, the default alone where another one has; like edges alike: "
    "between it and the oracle that does not tell edges of one direction apart, as no policy can that follows a "
    "renumbering. Parts: largest over smallest norm of the "
    "gradients of encoder, edge head and value head, per iteration, and in the worst epoch, the document's unit, by "
    "their means over as many iterations as a pass takes; without the value head under REINFORCE, which has none to "
    "learn. Explained variance and advantages: over the last tenth."
)


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm: figures by seed, and the configuration of the first."""

    name: str
    figures: Mapping[int, Mapping[str, float]]
    config: Mapping[str, Any]

    def text(self, figure: str, spread: bool = True) -> str:
        """Mean over the seeds, and the range."""
        return spread_text([figures[figure] for figures in self.figures.values()], show(figure)[1], spread)


def show(figure: str) -> tuple[str, str]:
    """Heading and format of a figure."""
    return SHOWN[figure]


def spread_text(values: Sequence[float], form: str, spread: bool = True) -> str:
    """``mean (min..max)``, a dash where there is nothing."""
    finite = [value for value in values if not math.isnan(value)]
    if not finite:
        return "-"
    text = form.format(float(np.mean(finite)))
    if spread and len(finite) > 1:
        text += f" ({form.format(min(finite))}..{form.format(max(finite))})"
    return text


def read_study(study: Study, path: Path) -> list[ArmRuns]:
    """The runs of a study's Parquet file, in the order of its arms.

    Runs of arms that it no longer has, or that had another configuration than the arm has now, are left out.
    """
    if not path.exists():
        return []
    rows, metadata = read_table(path)
    arms = []
    for arm in study.arms:
        found = sorted({row["seed"] for row in rows if row["arm"] == arm.name})
        seeds = [seed for seed in found if study.made(arm, seed, metadata["runs"][f"{arm.name}/{seed}"]["config"])]
        if seeds:
            figures = {
                seed: run_figures(
                    [row for row in rows if (row["arm"], row["seed"]) == (arm.name, seed)],
                    metadata["runs"][f"{arm.name}/{seed}"]["config"],
                )
                for seed in seeds
            }
            arms.append(ArmRuns(arm.name, figures, metadata["runs"][f"{arm.name}/{seeds[0]}"]["config"]))
    return arms


def arm_table(study: Study, runs: Sequence[ArmRuns], settings: Sequence[Setting]) -> list[str]:
    """A line an arm."""
    measured = {arm.name: arm for arm in runs}
    lines = [
        "| arm | what | seeds | " + " | ".join(show(name)[0] for name in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for arm in study.arms:
        if arm.name not in measured:
            lines.append(f"| {arm.name} | {arm.about} | not measured yet |" + " |" * len(COLUMNS))
            continue
        found = measured[arm.name]
        cells = [
            position_text(found, settings, alike=name == "position_alike") if "position" in name else found.text(name)
            for name in COLUMNS
        ]
        lines.append(f"| {arm.name} | {arm.about} | {len(found.figures)} | " + " | ".join(cells) + " |")
    if any(arm.config["reward"]["name"] in LOG_WORK_REWARDS for arm in runs):
        lines += ["", "Rewards of arms paid by work per digit are minus its logarithm: exp(-reward) is the work."]
    return [*lines, "", LEGEND]


def position_text(arm: ArmRuns, settings: Sequence[Setting], alike: bool) -> str:
    """Where the last tenth lies between PyAMG's default and the oracle of the arm's own action space."""
    setting = next((one for one in settings if one.key == setting_key(arm.config)), None)
    found = {seed: setting.ends(arm.config, seed, alike) for seed in arm.figures} if setting else {}
    shares = [
        (arm.figures[seed]["last"] - ends[0]) / (ends[1] - ends[0]) for seed, ends in found.items() if ends is not None
    ]
    return spread_text(shares, show("position")[1])

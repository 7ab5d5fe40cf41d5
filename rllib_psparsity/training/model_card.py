"""The model card of an exported policy: what it was trained on, for how long, what it reaches, and where it fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.config.schema import Config, FamilyConfig
from rllib_psparsity.evaluation.comparison import BEST_OF_PORTFOLIO, Row, geometric_mean, virtual_best
from rllib_psparsity.evaluation.table import PRIOR_ALONE, TRAINED_POLICY

REFERENCES = (PYAMG_DEFAULT.name, PRIOR_ALONE, BEST_OF_PORTFOLIO)


def model_card(
    config: Config, iteration: int, metrics: Sequence[dict[str, Any]] = (), heldout: Sequence[Row] = ()
) -> str:
    """In Markdown.

    Parameters
    ----------
    iteration : that of the checkpoint which the policy is from
    metrics : rows of ``metrics.parquet``; without that iteration's the duration is left out
    heldout : rows of ``heldout.parquet``, if they are of this policy; otherwise the results are left out
    """
    parts = ["# A learned strength of connection for algebraic multigrid", _training(config, iteration, metrics)]
    if any(row["method"] == TRAINED_POLICY for row in heldout):
        parts.append(_results(heldout))
    parts.append(_limits(config, heldout))
    return "\n\n".join(parts) + "\n"


def _training(config: Config, iteration: int, metrics: Sequence[dict[str, Any]]) -> str:
    training, policy = config.training, config.policy
    row = next((row for row in metrics if row["iteration"] == iteration), None)
    duration = f" {row['episodes']} hierarchies in {row['seconds']:.0f} seconds." if row is not None else ""
    families = "\n".join(
        f"- {family.family}: weight {family.weight:g}, size {family.size[0]} to {family.size[1]}{_ranges(family)}"
        for family in config.problems.families
    )
    renumbered = config.problems.renumbered
    order = f"\n\nThe nodes of {renumbered:.0%} of the problems were in random order." if renumbered else ""
    kickstart = training.kickstart_coefficient
    held = f", held to its recipes on the finest level by a weight of {kickstart:g} (kickstarting)" if kickstart else ""
    start = f" It went on from the policy `{training.start_from}`{held}." if training.start_from else ""
    network = "a pooled network, its values by the backbone" if policy.network == "pooled" else "backbone"
    reward, recipes = config.reward, "\n".join(f"- {name}" for name in policy.recipes)
    solves = f" with {reward.solves_per_setup} solves a set-up" if reward.solves_per_setup > 1 else ""
    return f"""## Training

Trained with rllib_psparsity: {iteration} iterations of {training.episodes_per_iteration} episodes by
{training.algorithm.upper()}, seed {config.seed}, reward `{reward.name}`{solves},
{network} `{policy.backbone}` of width {policy.width} with {policy.layers} layers.{duration}{start}

On problems drawn from these families (size: nodes along a side):

{families}{order}

It chooses among these recipes on every level:

{recipes}"""


def _ranges(family: FamilyConfig) -> str:
    """Of the parameters that are not drawn from the family's own ranges."""
    return "".join(f", {name} {low:g} to {high:g}" for name, (low, high) in family.parameters.items())


def _results(heldout: Sequence[Row]) -> str:
    """Ratios of work per digit by family, over problems that both solved."""
    ratios = _ratios(heldout)
    families = list(dict.fromkeys(family for family, _ in ratios.values()))
    lines = [
        "| trained policy / | " + " | ".join(REFERENCES) + " | problems |",
        "|---|" + "---|" * (len(REFERENCES) + 1),
    ]
    for family in [*families, "all"]:
        of_family = [values for name, values in ratios.values() if family in (name, "all")]
        cells = [_figure(geometric_mean(v[ref] for v in of_family if ref in v)) for ref in REFERENCES]
        lines.append(f"| {family} | " + " | ".join(cells) + f" | {len(of_family)} |")
    table = "\n".join(lines)
    return f"""## Results

Work per digit of conjugate gradients on held-out problems of the same families, relative to others (geometric means;
below 1 the policy is better; without the guard). *{BEST_OF_PORTFOLIO}* is, for each problem, the best of 27 classical
configurations in hindsight.

{table}"""


def _limits(config: Config, heldout: Sequence[Row]) -> str:
    sentences, ratios = [], _ratios(heldout)
    failed = [row["problem"] for row in heldout if row["method"] == TRAINED_POLICY and not row["converged"]]
    if failed:
        sentences.append(f"Held-out problems that it did not solve: {', '.join(failed)}.")
    worse = [
        (values[PYAMG_DEFAULT.name], problem)
        for problem, (_, values) in ratios.items()
        if values.get(PYAMG_DEFAULT.name, 0.0) > 1.0
    ]
    if worse:
        named = ", ".join(f"{problem} ({ratio:.2f})" for ratio, problem in sorted(worse, reverse=True)[:5])
        sentences.append(
            f"It took more work than PyAMG's default on {len(worse)} held-out problem{'s' * (len(worse) > 1)}: {named}."
        )
    behind = [(v[BEST_OF_PORTFOLIO], problem) for problem, (_, v) in ratios.items() if BEST_OF_PORTFOLIO in v]
    far = max(behind, default=None)
    if far is not None:
        sentences.append(f"Farthest from the best of the portfolio: {far[1]} ({far[0]:.2f}).")
    largest = max(family.size[1] for family in config.problems.families)
    sentences.append(
        f"It has seen no problem of more than {largest} nodes along a side, and no family but those above: matrices "
        "unlike these are for the guard of `learned_solver` to judge. Compare with a classical method before you rely "
        "on the policy there."
    )
    return "## Where it fails\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)


def _ratios(heldout: Sequence[Row]) -> dict[str, tuple[str, dict[str, float]]]:
    """Problem -> its family, and the trained policy's work per digit relative to every reference that solved it."""
    works = {(row["problem"], row["method"]): row["work_per_digit"] for row in heldout if row["converged"]}
    works |= {(name, BEST_OF_PORTFOLIO): row["work_per_digit"] for name, row in virtual_best(heldout).items()}
    return {
        row["problem"]: (
            row["family"],
            {
                reference: row["work_per_digit"] / works[row["problem"], reference]
                for reference in REFERENCES
                if (row["problem"], reference) in works
            },
        )
        for row in heldout
        if row["method"] == TRAINED_POLICY and row["converged"]
    }


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"

"""The final table of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.evaluation.arms import PRIOR_ALONE, TRAINED_POLICY, UNTRAINED_NETWORK
from rllib_psparsity.evaluation.comparison import ArmSummary, summarise
from rllib_psparsity.evaluation.rows import Row

ARMS = (PRIOR_ALONE, UNTRAINED_NETWORK, TRAINED_POLICY, PYAMG_DEFAULT.name)
"""The arms that every evaluation of a policy shows; only the difference to the first two is the training's merit."""


def comparison_table(
    rows: Sequence[Row], arms: Sequence[str] = ARMS, title: str = "Held-out problems"
) -> RenderableType:
    """A rich table of `summarise`, with the problems that each arm failed on named below it."""
    summaries = summarise(rows, arms)
    table = Table(title=_title(title, summaries), title_justify="left")
    table.add_column("method")
    for heading in ("work\nper digit", "x PyAMG\ndefault", "x best of\nportfolio", "operator\ncomplexity", "solved"):
        table.add_column(heading, justify="right")
    for line in summaries:
        style = "bold" if line.name == TRAINED_POLICY else None
        table.add_row(
            line.name,
            _figure(line.work_per_digit),
            _figure(line.ratio_to_default),
            _figure(line.ratio_to_virtual_best),
            _figure(line.operator_complexity),
            f"{line.solved}/{line.problems}",
            style=style,
        )
    failures = [Text(f"not solved by {line.name}: {', '.join(line.failures)}") for line in summaries if line.failures]
    return Group(table, *failures)


def _title(title: str, summaries: Sequence[ArmSummary]) -> str:
    if not summaries:
        return title
    common, problems = summaries[0].common, summaries[0].problems
    return f"{title}: geometric means over the {common} of {problems} problems that every method here solved"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"

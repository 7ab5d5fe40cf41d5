"""The README's tables of results, which `python -m studies.report` writes between the comments that mark them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.arms import LEARNED_SOLVER, PRIOR_ALONE, TRAINED_POLICY
from rllib_psparsity.evaluation.external_methods import BOOMERAMG, GAMG
from rllib_psparsity.evaluation.ratios import method_ratios
from rllib_psparsity.evaluation.selector import SELECTOR
from studies.arm_table import ArmRuns, position_text, show
from studies.evaluation_tables import Evaluation, ratio_cell
from studies.reference_tables import Setting

FEW, MANY = "default", "many_solves"
"""The shipped policies, by name."""
ARMS = (
    ("variation_b", "from nothing, energy"),
    ("variation_b", "from nothing, work"),
    ("variation_b", "document from nothing, energy"),
    ("variation_b", "document, energy"),
    ("variation_a", "from nothing, energy"),
    ("variation_a", "from nothing, work"),
    ("variation_a", "document from 32x32, energy"),
    ("variation_a", "document, energy"),
    ("cures", "predecessor, 20 epochs"),
)
FIGURES = (
    "first",
    "last",
    "gain",
    "explained_variance",
    "entropy_softmax_min",
    "clipped",
    "parts_worst_epoch",
    "parts_worst",
    "seconds",
)


def fill(text: str, tables: Mapping[str, Sequence[str]]) -> str:
    """`text` with every table, as lines, between ``<!-- NAME: ... -->`` and ``<!-- /NAME -->``.

    `InputError` where a pair of comments is missing.
    """
    for name, lines in tables.items():
        place = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        body = "\n" + "\n".join(lines) + "\n\n"
        text, found = place.subn(lambda match, body=body: match[1] + body + match[2], text)
        if found != 1:
            raise InputError(
                f"the place of the table {name} is marked {found} times, expected once; "
                f"write <!-- {name}: made by ... --> and <!-- /{name} --> around it"
            )
    return text


def suites_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """The shipped policies beside others, a line a suite."""
    of_policy = {name: {one.suite: one for one in evaluations if one.policy == name} for name in (FEW, MANY)}
    heads = ["`default`", "one try, no guard", "prior alone", "recipe selector", "PyAMG default", GAMG, BOOMERAMG]
    heads += ["`many_solves`", "one try, no guard"]
    lines = ["| suite | problems | unknowns | " + " | ".join(heads) + " |", "|---" * (len(heads) + 3) + "|"]
    for suite, one in of_policy[FEW].items():
        few = method_ratios(one.rows)
        many = method_ratios(of_policy[MANY][suite].rows) if suite in of_policy[MANY] else {}
        work, time = (few.get(f"{SELECTOR}, {aim}") for aim in ("work", "time"))
        cells = [
            ratio_cell(few.get(LEARNED_SOLVER)),
            ratio_cell(few.get(TRAINED_POLICY)),
            ratio_cell(few.get(PRIOR_ALONE)),
            f"{work.work:.2f}, {time.time:.2f}" if work and time else "-",
            *(ratio_cell(few.get(name)) for name in (PYAMG_DEFAULT.name, GAMG, BOOMERAMG)),
            ratio_cell(many.get(LEARNED_SOLVER)),
            ratio_cell(many.get(TRAINED_POLICY)),
        ]
        unknowns = [row["unknowns"] for row in one.rows]
        sizes = f"{min(unknowns):,} to {max(unknowns):,}"
        lines.append(f"| `{suite}` | {few[LEARNED_SOLVER].cases} | {sizes} | " + " | ".join(cells) + " |")
    return lines


def triage_table(runs: Mapping[str, Sequence[ArmRuns]], settings: Sequence[Setting]) -> list[str]:
    """The arms that answer the document's criteria, a line each, with their way to the oracle.

    That is the oracle that treats like edges alike where there is one for the arm, else the unrestricted one.
    """
    heads = [*(show(name)[0] for name in FIGURES), "default to oracle"]
    lines = ["| arm | seeds | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for study, name in ARMS:
        for arm in runs.get(study, ()):
            if arm.name == name:
                ways = [position_text(arm, settings, alike) for alike in (True, False)]
                cells = [*(arm.text(figure) for figure in FIGURES), ways[0] if ways[0] != "-" else ways[1]]
                lines.append(f"| `{study}`: {name} | {len(arm.figures)} | " + " | ".join(cells) + " |")
    return lines

"""The menu: how a mask of strong edges becomes a prolongator, and which textbook measure the edge prior starts from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rllib_psparsity.errors import InputError

PROLONGATIONS = {
    "sa": ("jacobi", "energy1", "energy2", "energy3"),
    "rootnode": ("energy1", "energy2", "energy3"),
    "classical": ("direct", "modified"),
}
"""Prolongator constructions of each coarsening: filtered Jacobi with local weights, energy minimisation of a degree,
and the direct and modified classical interpolations."""


class Measure(NamedTuple):
    """A textbook test of strength.

    Attributes
    ----------
    feature : the edge feature it compares
    textbook : its threshold in the literature
    bounds : thresholds lie between these, exclusive
    on_feature : from a threshold to the number that the feature is compared with
    steepness : of the prior's logit at the start
    """

    feature: str
    textbook: float
    bounds: tuple[float, float]
    on_feature: Callable[[float], float]
    steepness: float


MEASURES = {
    "symmetric": Measure("log_symmetric", 0.1, (0.0, 1.0), math.log10, 4.0),
    "classical": Measure("classical_max", 0.25, (0.0, 1.0), float, 12.0),
    "evolution": Measure("evolution_max", 4.0, (1.0, math.inf), lambda distance: 1.0 / distance, 12.0),
}
"""symmetric: |a_ij| >= 0.1 sqrt(a_ii a_jj); classical: -a_ij >= 0.25 max_k -a_ik in either row (Ruge and Stueben 1987);
evolution: the distance of two evolved delta functions within 4 times the row's smallest (Olson, Schroder and
Tuminaro 2010), with two sweeps of l1-Jacobi.
"""

DEFAULT_MENU = (
    "sa/energy1/evolution",
    "sa/jacobi/evolution",
    "sa/energy2/classical",
    "rootnode/energy2/evolution",
    "classical/modified/evolution",
)
"""The first is the best single one by measurement, and what the prior alone uses."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one level is coarsened, and where the edge prior starts.

    Attributes
    ----------
    coarsening : "sa" (smoothed aggregation), "rootnode" or "classical" (C/F splitting)
    prolongation : one of `PROLONGATIONS[coarsening]`
    measure : one of `MEASURES`
    threshold : of the measure, in its own terms
    """

    coarsening: str
    prolongation: str
    measure: str
    threshold: float

    @property
    def name(self) -> str:
        name = f"{self.coarsening}/{self.prolongation}/{self.measure}"
        textbook = self.threshold == MEASURES[self.measure].textbook
        return name if textbook else f"{name}/{self.threshold!r}".removesuffix(".0")

    @property
    def scalar_only(self) -> bool:
        """Classical coarsening splits unknowns, not blocks: it is never chosen for a block matrix."""
        return self.coarsening == "classical"

    @property
    def strength_test(self) -> tuple[str, float, float]:
        """Edge feature, the number above which it means strong, and the initial steepness of the prior's logit."""
        measure = MEASURES[self.measure]
        return measure.feature, measure.on_feature(self.threshold), measure.steepness

    @classmethod
    def parse(cls, name: str) -> Recipe:
        """Read a name such as ``"sa/energy2/evolution"``, or ``"sa/energy2/evolution/8"`` where the threshold is not
        the textbook's; `InputError` says which part is unknown."""
        parts = name.split("/")
        if len(parts) not in (3, 4):
            raise InputError(
                f"recipe {name!r} is not of the form coarsening/prolongation/measure, for example {DEFAULT_MENU[0]!r}, "
                "with a threshold behind it where that is not the textbook's"
            )
        coarsening, prolongation, measure = parts[:3]
        if coarsening not in PROLONGATIONS:
            raise InputError(f"recipe {name!r}: coarsening {coarsening!r} is not one of {', '.join(PROLONGATIONS)}")
        if prolongation not in PROLONGATIONS[coarsening]:
            raise InputError(
                f"recipe {name!r}: prolongation {prolongation!r} of {coarsening!r} is not one of "
                f"{', '.join(PROLONGATIONS[coarsening])}"
            )
        if measure not in MEASURES:
            raise InputError(f"recipe {name!r}: measure {measure!r} is not one of {', '.join(MEASURES)}")
        return cls(coarsening, prolongation, measure, _threshold(name, measure, parts[3:]))


def _threshold(name: str, measure: str, given: list[str]) -> float:
    if not given:
        return MEASURES[measure].textbook
    smallest, largest = MEASURES[measure].bounds
    try:
        threshold = float(given[0])
    except ValueError:
        threshold = math.nan
    if not smallest < threshold < largest:
        expected = (
            f"between {smallest:g} and {largest:g}" if largest < math.inf else f"a finite number above {smallest:g}"
        )
        raise InputError(f"recipe {name!r}: threshold {given[0]!r} of {measure!r} is not {expected}")
    return threshold


@lru_cache(maxsize=32)
def parse_menu(names: tuple[str, ...]) -> tuple[Recipe, ...]:
    """The menu in the order given; it must hold a recipe that block matrices can use."""
    menu = tuple(Recipe.parse(name) for name in names)
    if len(set(menu)) != len(menu):
        raise InputError(f"the recipe menu {list(names)} names a recipe twice; name each once")
    if all(recipe.scalar_only for recipe in menu):
        raise InputError(
            f"the recipe menu {list(names)} has only classical recipes, which block matrices cannot use; "
            "add one whose coarsening is sa or rootnode"
        )
    return menu

"""The menu: how a mask of strong edges becomes a prolongator, and which textbook measure the edge prior starts from."""

from __future__ import annotations

from dataclasses import dataclass

from rllib_psparsity.errors import InputError

PROLONGATIONS = {
    "sa": ("jacobi", "energy1", "energy2", "energy3"),
    "rootnode": ("energy1", "energy2", "energy3"),
    "classical": ("direct", "modified"),
}
"""Prolongator constructions of each coarsening: filtered Jacobi with local weights, energy minimisation of a degree,
and the direct and modified classical interpolations."""

MEASURES = {
    "symmetric": ("log_symmetric", -1.0, 4.0),
    "classical": ("classical_max", 0.25, 12.0),
    "evolution": ("evolution_max", 0.25, 12.0),
}
"""Strength measure -> (edge feature, threshold on it, initial steepness of the prior's logit).

symmetric: |a_ij| >= 0.1 sqrt(a_ii a_jj); classical: -a_ij >= 0.25 max_k -a_ik in either row (Ruge and Stueben 1987);
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
    """

    coarsening: str
    prolongation: str
    measure: str

    @property
    def name(self) -> str:
        return f"{self.coarsening}/{self.prolongation}/{self.measure}"

    @property
    def scalar_only(self) -> bool:
        """Classical coarsening splits unknowns, not blocks: it is never chosen for a block matrix."""
        return self.coarsening == "classical"

    @classmethod
    def parse(cls, name: str) -> Recipe:
        """Read a name such as ``"sa/energy2/evolution"``; `InputError` says which part is unknown."""
        parts = name.split("/")
        if len(parts) != 3:
            raise InputError(
                f"recipe {name!r} is not of the form coarsening/prolongation/measure, for example {DEFAULT_MENU[0]!r}"
            )
        coarsening, prolongation, measure = parts
        if coarsening not in PROLONGATIONS:
            raise InputError(f"recipe {name!r}: coarsening {coarsening!r} is not one of {', '.join(PROLONGATIONS)}")
        if prolongation not in PROLONGATIONS[coarsening]:
            raise InputError(
                f"recipe {name!r}: prolongation {prolongation!r} of {coarsening!r} is not one of "
                f"{', '.join(PROLONGATIONS[coarsening])}"
            )
        if measure not in MEASURES:
            raise InputError(f"recipe {name!r}: measure {measure!r} is not one of {', '.join(MEASURES)}")
        return cls(coarsening, prolongation, measure)


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

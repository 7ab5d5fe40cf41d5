"""What a set-up did, for people who want to know."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.deploy.guard import LEARNED


@dataclass(frozen=True, slots=True)
class LevelInfo:
    """One level.

    Attributes
    ----------
    unknowns, nonzeros : of its matrix
    recipe : how the next level was made, empty on the coarsest
    strong_share : share of its edges that were called strong; NaN on the coarsest level, and where there is no edge
    """

    unknowns: int
    nonzeros: int
    recipe: str
    strong_share: float


@dataclass(frozen=True, slots=True)
class SetupInfo:
    """A set-up of a `LearnedSolver`, or an update; `str` makes a table of it.

    Attributes
    ----------
    method : "learned", or the classical method that the guard took instead
    levels : from the finest to the coarsest
    operator_complexity : sum of all nonzeros, divided by the finest matrix's
    seconds : phase -> wall time: check (of the matrix), features, inference, coarsening, products (of all tries), guard
        (all tests and all that it built instead), other; they add up to the whole
    tries : hierarchies of the policy at the last full set-up, of which the one that a test found best is kept
    guarded : whether the guard was on
    guard_stepped_in : whether it replaced what it tested: the learned hierarchy, or an updated one
    guard_reason : what it objected to, in words; empty if it did not. It may object and not step in, where no classical
        hierarchy is better
    work_per_digit : the guard's estimate for the hierarchy that is used; NaN without a guard
    updated : whether aggregates and patterns are those of an earlier matrix
    block_size : unknowns a node, which are coarsened together: those of the matrix's blocks, or found out
    singular : whether the matrix is singular as far as the coarsest level shows: then only right-hand sides in its
        range have a solution
    """

    method: str
    levels: tuple[LevelInfo, ...]
    operator_complexity: float
    seconds: dict[str, float]
    tries: int
    guarded: bool
    guard_stepped_in: bool
    guard_reason: str
    work_per_digit: float
    updated: bool
    block_size: int
    singular: bool

    @property
    def total_seconds(self) -> float:
        """Of the whole set-up."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        title = f"{self.method} hierarchy"
        if self.tries > 1 and self.method == LEARNED:
            title += f", the best of {self.tries}"
        if self.updated:
            title += ", aggregates and patterns kept by an update"
        if self.block_size > 1:
            title += f", {self.block_size} unknowns a node"
        lines = [f"{title}: {len(self.levels)} levels, operator complexity {self.operator_complexity:.2f}"]
        lines.append(f"{'level':>5} {'unknowns':>10} {'nonzeros':>11}  {'strong edges':>12}  recipe")
        for number, level in enumerate(self.levels):
            share = "" if math.isnan(level.strong_share) else f"{level.strong_share:.0%}"
            lines.append(f"{number:>5} {level.unknowns:>10} {level.nonzeros:>11}  {share:>12}  {level.recipe}".rstrip())
        phases = ", ".join(f"{phase} {1e3 * seconds:.1f}" for phase, seconds in self.seconds.items())
        lines.append(f"set-up {1e3 * self.total_seconds:.1f} ms: {phases}")
        if not self.guarded:
            lines.append("guard: off")
        elif self.guard_stepped_in:
            lines.append(f"guard: stepped in, since {self.guard_reason}")
        elif self.guard_reason:
            lines.append(f"guard: objected, since {self.guard_reason}, but no classical hierarchy is clearly better")
        else:
            lines.append("guard: passed")
        if not math.isnan(self.work_per_digit):
            lines.append(f"estimated work: {self.work_per_digit:.1f} products with the matrix a digit")
        if self.singular:
            lines.append("the matrix is singular: only right-hand sides in its range have a solution")
        return "\n".join(lines)


def level_infos(hierarchy: Hierarchy) -> tuple[LevelInfo, ...]:
    """A line for every level."""
    infos = []
    for level in hierarchy.levels:
        mask = level.decision.edge_is_strong if level.decision is not None else None
        share = float(mask.mean()) if mask is not None and len(mask) else math.nan
        infos.append(LevelInfo(level.A.shape[0], level.A.nnz, level.recipe.name if level.recipe else "", share))
    return tuple(infos)

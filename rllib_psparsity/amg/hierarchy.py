"""A multigrid hierarchy, built level by level from decisions.

The environment and the deployed solver build through this file alone, so a greedy episode and a deployed set-up give
the same hierarchy bit for bit, as long as `decide` sees all of a graph: above `graph.features.AT_ONCE` nodes or
`EDGES_AT_ONCE` edges a policy without message passing looks at a sample of its edges in a set-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.products import galerkin_product, transpose
from rllib_psparsity.amg.prolongation import Coarsening, Prolongation, prolongate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.relaxation import Relaxation
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.amg.vanishing import clear_vanishing
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import LevelGraph

if TYPE_CHECKING:
    from rllib_psparsity.amg.solver import HierarchySolver

End = Literal["coarse", "levels", "stalled", "exploded", "failed"]
"""Why a hierarchy ended: small enough, at the level limit, or, as a failed set-up, because a coarsening kept nearly all
nodes, took the operator complexity over its cap, or could not be built."""

PINV_LIMIT = 500
"""Most unknowns for a dense pseudo-inverse on the coarsest level, which also takes singular matrices; above, LU."""


PHASES = ("features", "inference", "coarsening", "products")
"""Phases of a set-up: the observation of each level, what `decide` takes, aggregates and prolongators (with the
relaxation of the candidates), and transposes and Galerkin products."""

CANDIDATE_SWEEPS = 4
"""Symmetric Gauss-Seidel sweeps on the candidates of a level, PyAMG's default."""


@dataclass(slots=True)
class Level:
    """One level: its operator, and, above the coarsest, the decision taken there and the transfer it gave.

    `graph`, `relaxation` and `candidates` are made when they are asked for, and kept: a copy by `dataclasses.replace`
    shares those that are there already.

    Attributes
    ----------
    A : (n, n) csr_array or bsr_array; B : (n, K_b) near-nullspace candidates
    number : 0 for the finest level
    relaxed_levels : on so many levels, from the finest on, B is relaxed
    decision, recipe, P, aggregates : None on the coarsest level; see `Prolongation`
    R : P^T, in A's format; None on the coarsest level
    pattern : the strength matrix and the coarse nodes, where they are kept to build P again for other values of A
    """

    A: csr_array | bsr_array
    B: np.ndarray
    number: int = 0
    relaxed_levels: int = 1
    decision: Decision | None = None
    recipe: Recipe | None = None
    P: csr_array | bsr_array | None = None
    R: csr_array | bsr_array | None = None
    aggregates: np.ndarray | None = None
    pattern: tuple[csr_array, Coarsening] | None = None
    _graph: LevelGraph | None = None
    _relaxation: Relaxation | None = None
    _candidates: np.ndarray | None = None

    @property
    def graph(self) -> LevelGraph:
        """The level's observation."""
        if self._graph is None:
            self._graph = level_graph(self.A, self.B, self.number)
        return self._graph

    def undecided(self, graph: LevelGraph | None = None) -> Level:
        """The level before its decision, with what it has made so far, and its graph if someone else has kept that."""
        return replace(
            self,
            decision=None,
            recipe=None,
            P=None,
            R=None,
            aggregates=None,
            pattern=None,
            _graph=self._graph if graph is None else graph,
        )

    def release_graph(self) -> None:
        """Forget the graph, which takes as much memory as the operator; it is made again if it is asked for."""
        self._graph = None

    def release_caches(self) -> None:
        """Forget the graph, the smoother and the relaxed candidates; they are made again if they are asked for."""
        self._graph = self._relaxation = self._candidates = None

    def relaxation(self) -> Relaxation:
        """The level's smoother."""
        if self._relaxation is None:
            self._relaxation = Relaxation(self.A)
        return self._relaxation

    def candidates(self) -> np.ndarray:
        """(n, K_b): what the level's prolongator reproduces.

        B relaxed on A B = 0: the user's candidates know nothing of the boundary, and on a coarse level what the
        prolongators have carried down knows it no better than the levels above could resolve. Below the relaxed levels
        B itself.
        """
        if self.number >= self.relaxed_levels:
            return self.B
        if self._candidates is None:
            self._candidates = self.relaxation().smooth(self.B, CANDIDATE_SWEEPS)
        return self._candidates

    @property
    def num_nodes(self) -> int:
        return self.A.shape[0] // (self.A.blocksize[0] if self.A.format == "bsr" else 1)


@dataclass(slots=True)
class Hierarchy:
    """Levels from the finest to the coarsest, and why the last one is the last."""

    levels: list[Level]
    end: End | None = None
    failure: str = ""
    """For a failed set-up: what went wrong, in words."""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """Wall time of the set-up by phase."""

    @property
    def failed(self) -> bool:
        return self.end in ("stalled", "exploded", "failed")

    @property
    def operator_complexity(self) -> float:
        """Sum of nonzeros over all levels, divided by those of the finest."""
        return sum(level.A.nnz for level in self.levels) / self.levels[0].A.nnz

    @property
    def cycle_complexity(self) -> float:
        """Work of a V(1,1) cycle in units of the finest matrix's nonzeros, as PyAMG counts it."""
        nnz = [level.A.nnz for level in self.levels]
        return (2 * sum(nnz[:-1]) + nnz[-1]) / nnz[0]

    def to_pyamg(self) -> HierarchySolver:
        """A `pyamg.multilevel.MultilevelSolver` with PyAMG's default smoothers."""
        from rllib_psparsity.amg.solver import HierarchySolver  # which needs PyAMG's solvers; a set-up does not

        return HierarchySolver(self.levels, "pinv" if self.levels[-1].A.shape[0] <= PINV_LIMIT else "splu")


@dataclass(slots=True)
class HierarchyBuilder:
    """Builds a hierarchy one decision at a time; `hierarchy.end` is set when nothing is left to decide.

    `finest` is copied, never changed: what it holds already is shared by all the hierarchies built on it. With
    `keep_patterns` every level keeps its `pattern`.
    """

    finest: Level
    menu: tuple[Recipe, ...]
    limits: Limits = field(default_factory=Limits)
    keep_patterns: bool = False
    hierarchy: Hierarchy = field(init=False)

    def __post_init__(self) -> None:
        self.hierarchy = Hierarchy([replace(self.finest, relaxed_levels=self.limits.relaxed_levels)])
        self._end_if_small()

    def observe(self) -> LevelGraph:
        """The graph of the level that is to be decided next."""
        start = perf_counter()
        graph = self.hierarchy.levels[-1].graph
        self.hierarchy.seconds["features"] += perf_counter() - start
        return graph

    def coarsen(self, decision: Decision) -> None:
        """Add the level that `decision` gives; a level that cannot be used is not added, and ends the hierarchy."""
        hierarchy, fine = self.hierarchy, self.hierarchy.levels[-1]
        recipe = self.menu[decision.recipe]
        start = perf_counter()
        try:
            C = strength_matrix(fine.graph, decision.edge_is_strong)
            fine.release_graph()
            transfer = prolongate(fine.A, fine.candidates(), C, recipe)
            hierarchy.seconds["coarsening"] += perf_counter() - start
            pattern = (C, transfer.coarsening) if self.keep_patterns else None
            del C
            start = perf_counter()
            R, coarse = coarse_level(fine, transfer)
            hierarchy.seconds["products"] += perf_counter() - start
            if coarse.num_nodes > self.limits.stall_ratio * fine.num_nodes:
                raise _Unusable("stalled", f"{fine.num_nodes} nodes were coarsened to {coarse.num_nodes} only")
            nnz = sum(level.A.nnz for level in hierarchy.levels) + coarse.A.nnz
            if nnz > self.limits.max_operator_complexity * hierarchy.levels[0].A.nnz:
                raise _Unusable("exploded", f"the operator complexity reached {nnz / hierarchy.levels[0].A.nnz:.2f}")
        except SetupFailure as error:
            hierarchy.end = error.end if isinstance(error, _Unusable) else "failed"
            hierarchy.failure = str(error)
            return
        fine.decision, fine.recipe, fine.pattern = decision, recipe, pattern
        fine.P, fine.R, fine.aggregates = transfer.P, R, transfer.aggregates
        hierarchy.levels.append(coarse)
        self._end_if_small()

    def _end_if_small(self) -> None:
        if self.hierarchy.levels[-1].num_nodes <= self.limits.max_coarse:
            self.hierarchy.end = "coarse"
        elif len(self.hierarchy.levels) >= self.limits.max_levels:
            self.hierarchy.end = "levels"


def coarse_level(fine: Level, transfer: Prolongation) -> tuple[csr_array | bsr_array, Level]:
    """R = P^T and the level that it leads to; `SetupFailure` if the Galerkin product is not finite."""
    R = transpose(transfer.P)
    A = galerkin_product(R, fine.A, transfer.P)
    clear_vanishing(A, R, fine.A.diagonal())
    return R, Level(A, transfer.B_coarse, fine.number + 1, fine.relaxed_levels)


class _Unusable(SetupFailure):
    """A level that was built, but must not be used."""

    def __init__(self, end: End, message: str) -> None:
        super().__init__(message)
        self.end: End = end


def build_hierarchy(
    A: csr_array | bsr_array,
    B: np.ndarray,
    decide: Decide,
    *,
    menu: tuple[Recipe, ...],
    limits: Limits | None = None,
    keep_patterns: bool = False,
) -> Hierarchy:
    """Build a whole hierarchy, asking `decide` once per level.

    Parameters
    ----------
    A : (n, n) symmetric positive definite csr_array or bsr_array; B : (n, K_b) near-nullspace candidates
        as `problems.validation.check_matrix` returns them
    decide : LevelGraph -> Decision
    menu : recipes that a decision's `recipe` indexes
    limits : where the hierarchy ends
    keep_patterns : whether levels keep what `new_values.with_new_values` needs
    """
    return build_on(Level(A, B), decide, menu=menu, limits=limits, keep_patterns=keep_patterns)


def build_on(
    finest: Level,
    decide: Decide,
    *,
    menu: tuple[Recipe, ...],
    limits: Limits | None = None,
    keep_patterns: bool = False,
) -> Hierarchy:
    """The same for a finest level that may hold its graph, smoother and relaxed candidates already.

    Several hierarchies of one matrix share them; the level itself is left as it is.
    """
    builder = HierarchyBuilder(finest, menu, limits or Limits(), keep_patterns)
    while builder.hierarchy.end is None:
        graph = builder.observe()
        start = perf_counter()
        decision = decide(graph)
        builder.hierarchy.seconds["inference"] += perf_counter() - start
        del graph  # as large as the operator; the builder releases it too
        builder.coarsen(decision)
    return builder.hierarchy

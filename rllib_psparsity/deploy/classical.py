"""Classical hierarchies, built by the same code as learned ones: what the guard falls back to."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.hierarchy import Hierarchy, Level, build_on
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.products import galerkin_product, transpose
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph

RECIPES = ("sa/energy1/evolution", "classical/modified/evolution", "sa/jacobi/symmetric")
"""Recipes that every level uses, with their measure at its textbook threshold; in the order in which they are tried."""


def classical_hierarchy(finest: Level, name: str, limits: Limits) -> Hierarchy:
    """The hierarchy of one recipe on all levels; for the arguments see `build_on`."""
    recipe = Recipe.parse(name)
    return build_on(finest, textbook(recipe), menu=(recipe,), limits=limits, keep_patterns=True)


def textbook(recipe: Recipe) -> Decide:
    """An edge is strong if the recipe's measure is above its threshold."""
    feature, threshold, _ = recipe.strength_test
    column = EDGE_FEATURES.index(feature)

    def decide(graph: LevelGraph) -> Decision:
        return Decision(graph.edge_feature(column) > np.float32(threshold), 0)

    return decide


def relaxation_hierarchy(A: csr_array | bsr_array, B: np.ndarray) -> Hierarchy:
    """Two levels, the coarse one spanned by the candidates: Gauss-Seidel with a correction of a few unknowns.

    It exists for every matrix with a positive diagonal, solves a diagonal one at once, and is symmetric positive
    definite; it is what is left where nothing can be coarsened.
    """
    start = perf_counter()
    columns = B / np.linalg.norm(B, axis=0)
    P = csr_array(columns)
    if A.format == "bsr":
        P = bsr_array(P.tobsr((A.blocksize[0], B.shape[1])))
    R = transpose(P)
    fine = Level(A, B, P=P, R=R, aggregates=np.zeros(len(B) // (P.blocksize[0] if P.format == "bsr" else 1), np.int32))
    coarse = Level(galerkin_product(R, A, P), R @ B, 1)
    hierarchy = Hierarchy([fine, coarse], "coarse")
    hierarchy.seconds["products"] = perf_counter() - start
    return hierarchy

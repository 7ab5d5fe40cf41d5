"""A hierarchy for a matrix with other values: aggregates and patterns are kept, all numbers are computed again."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.hierarchy import Hierarchy, Level, coarse_level
from rllib_psparsity.amg.prolongation import prolongate
from rllib_psparsity.errors import SetupFailure


def with_new_values(hierarchy: Hierarchy, A: csr_array | bsr_array, B: np.ndarray) -> Hierarchy:
    """The hierarchy that the same strong edges and coarse nodes give for (A, B).

    Neither features nor a policy are needed, nor is anything aggregated: a level takes the relaxation of its
    candidates, the values of its prolongator by the same recipe, and the Galerkin product. For the matrix that
    `hierarchy` was built from the result is `hierarchy` again, bit for bit.

    Parameters
    ----------
    hierarchy : built with ``keep_patterns=True``; stays as it is
    A : of the same shape and format as the finest level's; its pattern may differ
    B : (n, K_b) near-nullspace candidates, as many as before

    Raises `SetupFailure` if a prolongator or product is not finite.
    """
    finest = Level(A, B, relaxed_levels=hierarchy.levels[0].relaxed_levels)
    renewed = Hierarchy([finest], hierarchy.end, hierarchy.failure)
    for old in hierarchy.levels[:-1]:
        fine = renewed.levels[-1]
        if old.pattern is None or old.recipe is None:
            raise SetupFailure("the hierarchy was built without keeping its patterns")
        start = perf_counter()
        C, coarsening = old.pattern
        transfer = prolongate(fine.A, fine.candidates(), C, old.recipe, coarsening)
        renewed.seconds["coarsening"] += perf_counter() - start
        start = perf_counter()
        fine.decision, fine.recipe, fine.pattern = old.decision, old.recipe, old.pattern
        fine.P, fine.aggregates = transfer.P, transfer.aggregates
        fine.R, coarse = coarse_level(fine, transfer)
        renewed.levels.append(coarse)
        renewed.seconds["products"] += perf_counter() - start
    return renewed

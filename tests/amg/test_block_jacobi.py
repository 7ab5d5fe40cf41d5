from __future__ import annotations

import numpy as np
import pytest
from pyamg.aggregation.smooth import jacobi_prolongation_smoother
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_jacobi import smooth_blocks_by_jacobi
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.small_inverses import small_inverses
from rllib_psparsity.graph.level_graph import LevelGraph
from tests.amg.block_cases import LEVELS, tentative
from tests.amg.cases import problem


def assert_as_pyamg(A: bsr_array, T: bsr_array, C: csr_array, B_coarse: np.ndarray) -> None:
    kept = A.data.copy(), T.data.copy(), C.data.copy()
    ours = smooth_blocks_by_jacobi(A, T, C, B_coarse)
    theirs = jacobi_prolongation_smoother(A, T.copy(), C, B_coarse, filter_entries=True, weighting="local")
    assert ours.format == "bsr" and ours.blocksize == theirs.blocksize
    assert {ours.indices.dtype, ours.indptr.dtype} == {A.indices.dtype}  # root-node goes on in PyAMG's kernels
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), rtol=0, atol=1e-10 * abs(theirs).max())
    for before, after in zip(kept, (A.data, T.data, C.data), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("name", list(LEVELS))
def test_equals_pyamg(name, share):
    """With few edges some aggregates have less unknowns than candidates: their small matrices are singular."""
    A, B = LEVELS[name]()
    for seed in range(3):
        C, T, B_coarse = tentative(A, B, share, seed)
        assert_as_pyamg(A, T, C, B_coarse)


def test_blocks_that_are_zero_are_no_couplings():
    A, B = LEVELS["finest"]()
    C, T, B_coarse = tentative(A, B, 0.7, 0)
    rows = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
    A = A.copy()
    A.data[(rows + A.indices) % 5 == 3] = 0.0
    assert_as_pyamg(A, T, C, B_coarse)


def test_the_coarse_candidates_are_kept():
    A, B = LEVELS["finest"]()
    C, T, B_coarse = tentative(A, B, 1.0, 0)
    np.testing.assert_allclose(smooth_blocks_by_jacobi(A, T, C, B_coarse) @ B_coarse, T @ B_coarse, atol=1e-10)


def test_small_inverses_are_pseudo_inverses():
    rng = np.random.default_rng(0)
    regular = rng.standard_normal((6, 3, 3))
    regular += regular.transpose(0, 2, 1)
    nearly = regular.copy()
    nearly[1] = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) + 1e-17 * regular[1]
    singular = regular.copy()
    singular[[2, 4]] = 0.0
    for blocks in (regular, nearly, singular, regular[:0]):
        np.testing.assert_allclose(small_inverses(blocks), np.linalg.pinv(blocks), atol=1e-11)


@pytest.mark.parametrize("below", ["sa/energy2/classical", "rootnode/energy1/classical", "sa/jacobi/evolution"])
def test_other_recipes_go_on_where_it_has_been(below):
    case = problem("elasticity", size=16)
    menu = Recipe.parse("sa/jacobi/classical"), Recipe.parse(below)

    def decide(graph: LevelGraph) -> Decision:
        return Decision(np.ones(graph.num_edges, dtype=bool), min(graph.level, 1))

    hierarchy = build_hierarchy(case.A, case.B, decide, menu=menu, limits=Limits(max_coarse=6))
    assert hierarchy.end == "coarse" and len(hierarchy.levels) == 3, hierarchy.failure

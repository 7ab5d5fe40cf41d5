from __future__ import annotations

import numpy as np
import pytest
from pyamg.aggregation.smooth import jacobi_prolongation_smoother
from pyamg.aggregation.tentative import fit_candidates
from pyamg.gallery import linear_elasticity
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_jacobi import smooth_blocks_by_jacobi
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.small_inverses import small_inverses
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import LevelGraph
from tests.amg.cases import coarse_level, problem


def three_dimensions() -> tuple[bsr_array, np.ndarray]:
    A, _ = linear_elasticity((4, 4), format="bsr")
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((len(A.indices), 3, 3))
    full = bsr_array((blocks, A.indices, A.indptr), shape=(48, 48)).toarray()
    return bsr_array(full + full.T, blocksize=(3, 3)), rng.standard_normal((48, 6))


LEVELS = {
    "finest": lambda: (problem("elasticity", size=9).A, problem("elasticity", size=9).B),
    "coarse": lambda: coarse_level("elasticity"),
    "three dimensions": three_dimensions,
}


def tentative(A: bsr_array, B: np.ndarray, share: float, seed: int) -> tuple[csr_array, bsr_array, np.ndarray]:
    """C with a random share of the edges, T and B_coarse."""
    graph = level_graph(A, B, 0)
    C = strength_matrix(graph, np.random.default_rng(seed).random(graph.num_edges) < share)
    aggregates, roots = aggregate(C)
    inside = aggregates >= 0
    indptr = np.r_[0, np.cumsum(inside)].astype(np.int32)
    agg_op = csr_array((np.ones(inside.sum(), np.int32), aggregates[inside], indptr), (len(inside), len(roots)))
    return C, *fit_candidates(agg_op, B)


def assert_as_pyamg(A: bsr_array, T: bsr_array, C: csr_array, B_coarse: np.ndarray) -> None:
    kept = A.data.copy(), T.data.copy(), C.data.copy()
    ours = smooth_blocks_by_jacobi(A, T, C, B_coarse)
    theirs = jacobi_prolongation_smoother(A, T.copy(), C, B_coarse, filter_entries=True, weighting="local")
    assert ours.format == "bsr" and ours.blocksize == theirs.blocksize
    assert {ours.indices.dtype, ours.indptr.dtype} == {A.indices.dtype}  # other recipes go on in PyAMG's kernels
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
    nearly = regular.copy()
    nearly[1] = np.outer([1.0, 2.0, 3.0], [1.0, 1.0, 0.0]) + 1e-17 * regular[1]
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

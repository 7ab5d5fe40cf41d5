from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.prolongation import Prolongation, prolongate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.problems.problem import Problem
from tests.amg.cases import MENU, SCALAR, problem

AGGREGATION = [recipe for recipe in MENU if recipe.coarsening != "classical"]
SA = [recipe for recipe in MENU if recipe.coarsening == "sa"]
ROOT_NODE = [recipe for recipe in MENU if recipe.coarsening == "rootnode"]
CLASSICAL = [recipe for recipe in MENU if recipe.coarsening == "classical"]
CASES = [
    (name, recipe)
    for name in (*SCALAR, "elasticity")
    for recipe in MENU
    if name != "elasticity" or not recipe.scalar_only
]


def name_of(value) -> str:
    return value.name if isinstance(value, Recipe) else str(value)


def strength(case: Problem, share: float, seed: int = 0) -> csr_array:
    """A random choice of the edges; with share 1 all."""
    graph = level_graph(case.A, case.B, 0)
    return strength_matrix(graph, np.random.default_rng(seed).random(graph.num_edges) < share)


def nodal(P: csr_array | bsr_array) -> np.ndarray:
    """(N, N_coarse) bool: where the nodes' blocks have an entry."""
    if P.format == "csr":
        return P.toarray() != 0
    data = (P.data != 0).any(axis=(1, 2))
    rows, columns = P.shape[0] // P.blocksize[0], P.shape[1] // P.blocksize[1]
    return csr_array((data, P.indices, P.indptr), shape=(rows, columns)).toarray() != 0


def membership(result: Prolongation) -> np.ndarray:
    """(N, N_coarse) bool: which aggregate a node belongs to."""
    T = np.zeros((len(result.aggregates), result.aggregates.max() + 1), dtype=bool)
    inside = result.aggregates >= 0
    T[inside, result.aggregates[inside]] = True
    return T


def reach(C: csr_array, T: np.ndarray, degree: int) -> np.ndarray:
    """Pattern of C^degree T."""
    pattern = T.astype(int)
    for _ in range(degree):
        pattern = (C.toarray() != 0).astype(int) @ pattern
    return pattern > 0


def degree(recipe: Recipe) -> int:
    return 1 if recipe.prolongation == "jacobi" else int(recipe.prolongation[-1])


@pytest.mark.parametrize(("name", "recipe"), CASES, ids=name_of)
def test_every_recipe_gives_a_prolongator_of_the_right_shape(name, recipe):
    case = problem(name)
    result = prolongate(case.A, case.B, strength(case, 0.7), recipe)
    n_coarse, candidates = result.B_coarse.shape
    assert result.P.shape == (case.num_unknowns, n_coarse)
    assert 0 < n_coarse < case.num_unknowns and candidates == case.B.shape[1]
    assert result.P.format == case.A.format
    if case.block_size > 1:
        expected = (2, 2) if recipe.coarsening == "rootnode" else (2, 3)
        assert result.P.blocksize == expected
    assert result.aggregates.dtype == np.int32
    assert result.aggregates.shape == (case.num_unknowns // case.block_size,)
    assert set(result.aggregates[result.aggregates >= 0]) == set(range(nodal(result.P).shape[1]))


@pytest.mark.parametrize("recipe", MENU, ids=name_of)
@pytest.mark.parametrize("name", ["nine_point", "unstructured"])
def test_the_mask_decides_the_aggregates_and_the_pattern(name, recipe):
    """Without the edges of a cut through the middle nothing crosses it: no aggregate, and no entry of P."""
    case = problem(name)
    graph = level_graph(case.A, case.B, 0)
    side = np.arange(graph.num_nodes) < graph.num_nodes // 2
    crosses = side[graph.edge_index[0]] != side[graph.edge_index[1]]
    whole = prolongate(case.A, case.B, strength_matrix(graph, np.ones_like(crosses)), recipe)
    cut = prolongate(case.A, case.B, strength_matrix(graph, ~crosses), recipe)

    def crossing(pattern: np.ndarray) -> int:
        return int((pattern[side].any(axis=0) & pattern[~side].any(axis=0)).sum())

    assert crossing(nodal(whole.P)) > 0 and crossing(nodal(cut.P)) == 0
    assert crossing(membership(whole)) > 0 and crossing(membership(cut)) == 0


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("recipe", AGGREGATION, ids=name_of)
@pytest.mark.parametrize("name", ["nine_point", "jump", "elasticity"])
def test_the_pattern_is_within_powers_of_the_strength_matrix(name, recipe, share):
    case = problem(name)
    C = strength(case, share)
    result = prolongate(case.A, case.B, C, recipe)
    allowed = reach(C, membership(result), degree(recipe))
    assert not (nodal(result.P) & ~allowed).any()


@pytest.mark.parametrize("recipe", AGGREGATION, ids=name_of)
def test_a_higher_degree_reaches_further(recipe):
    case = problem("five_point")
    C = strength(case, 1.0)
    result = prolongate(case.A, case.B, C, recipe)
    outside = nodal(result.P) & ~reach(C, membership(result), degree(recipe) - 1)
    assert outside.any()


@pytest.mark.parametrize("recipe", CLASSICAL, ids=name_of)
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("name", SCALAR)
def test_classical_interpolates_from_strong_coarse_neighbours(name, share, recipe):
    case = problem(name)
    C = strength(case, share)
    # Candidates are injected at the C points: with the row numbers as candidates they say which these are.
    result = prolongate(case.A, np.arange(case.num_unknowns, dtype=float)[:, None], C, recipe)
    coarse = result.B_coarse[:, 0].astype(int)
    np.testing.assert_array_equal(result.P.toarray()[coarse], np.eye(len(coarse)))
    strong = C.toarray()[:, coarse] != 0
    assert not (nodal(result.P) & ~strong).any()


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("recipe", SA, ids=name_of)
@pytest.mark.parametrize("name", [*SCALAR, "elasticity"])
def test_smoothed_aggregation_reproduces_the_candidates(name, recipe, share):
    case = problem(name)
    B = case.B * (1.0 + 0.3 * np.random.default_rng(2).random((case.num_unknowns, 1)))
    result = prolongate(case.A, B, strength(case, share), recipe)
    inside = np.repeat(result.aggregates >= 0, case.block_size)
    np.testing.assert_allclose((result.P @ result.B_coarse)[inside], B[inside], atol=1e-8 * np.abs(B).max())


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("recipe", ROOT_NODE, ids=name_of)
@pytest.mark.parametrize("name", [*SCALAR, "elasticity"])
def test_root_node_is_the_identity_at_the_roots(name, recipe, share):
    case = problem(name)
    block = case.block_size
    result = prolongate(case.A, case.B, strength(case, share), recipe)
    P = result.P.toarray()
    n_coarse = P.shape[1] // block
    identity_rows = 0
    for j in range(n_coarse):
        unit = np.zeros((block, P.shape[1]))
        unit[:, j * block : (j + 1) * block] = np.eye(block)
        members = np.flatnonzero(result.aggregates == j)
        rows = [P[i * block : (i + 1) * block] for i in members]
        identity_rows += any(np.array_equal(row, unit) for row in rows)
    assert identity_rows == n_coarse


@pytest.mark.parametrize("recipe", MENU, ids=name_of)
@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_nodes_outside_the_aggregates_have_empty_rows(name, recipe):
    case = problem(name)
    if case.block_size > 1 and recipe.scalar_only:
        recipe = SA[0]
    graph = level_graph(case.A, case.B, 0)
    lonely = [0, 17, 40]
    mask = ~np.isin(graph.edge_index, lonely).any(axis=0)
    result = prolongate(case.A, case.B, strength_matrix(graph, mask), recipe)
    np.testing.assert_array_equal(np.flatnonzero(result.aggregates == -1), lonely)
    np.testing.assert_array_equal(np.flatnonzero(~nodal(result.P).any(axis=1)), lonely)


@pytest.mark.parametrize("recipe", CLASSICAL, ids=name_of)
def test_after_a_splitting_nodes_belong_to_their_largest_weight(recipe):
    case = problem("nine_point")
    result = prolongate(case.A, case.B, strength(case, 0.6), recipe)
    for row, aggregate in zip(result.P.toarray(), result.aggregates, strict=True):
        weights = list(np.abs(row))
        assert aggregate == (weights.index(max(weights)) if max(weights) > 0 else -1)


@pytest.mark.parametrize("recipe", MENU, ids=name_of)
def test_no_strong_edge_is_a_failed_set_up(recipe):
    case = problem("five_point")
    with pytest.raises(SetupFailure) as error:
        prolongate(case.A, case.B, strength(case, 0.0), recipe)
    expected = "no coarse point" if recipe.scalar_only else "no two nodes connected, so there is no aggregate"
    assert str(error.value) == f"the mask leaves {expected}"


def test_classical_coarsening_refuses_block_matrices():
    case = problem("elasticity")
    with pytest.raises(SetupFailure) as error:
        prolongate(case.A, case.B, strength(case, 1.0), CLASSICAL[0])
    assert str(error.value) == f"{CLASSICAL[0].name}: classical coarsening does not take block matrices"


@pytest.mark.parametrize("recipe", [SA[0], SA[1], ROOT_NODE[0]], ids=name_of)
def test_a_prolongator_that_is_not_finite_is_a_failed_set_up(recipe):
    case = problem("five_point")
    A = case.A.copy()
    A.data[3] = np.nan
    with pytest.raises(SetupFailure, match=recipe.name):
        prolongate(A, case.B, strength(case, 1.0), recipe)


@pytest.mark.parametrize(("name", "recipe"), CASES, ids=name_of)
def test_the_same_mask_gives_the_same_bits_and_leaves_its_input_alone(name, recipe):
    case = problem(name)
    kept = dataclasses.replace(case, A=case.A.copy(), B=case.B.copy())
    C = strength(case, 0.7)
    C_data = C.data.copy()
    np.random.seed(1)  # noqa: NPY002 - PyAMG's own draws come from the global state
    first = prolongate(case.A, case.B, C, recipe)
    np.random.seed(2)  # noqa: NPY002
    second = prolongate(case.A, case.B, C, recipe)
    np.testing.assert_array_equal(first.P.data, second.P.data)
    np.testing.assert_array_equal(first.P.indices, second.P.indices)
    np.testing.assert_array_equal(first.B_coarse, second.B_coarse)
    np.testing.assert_array_equal(case.A.data, kept.A.data)
    np.testing.assert_array_equal(case.B, kept.B)
    np.testing.assert_array_equal(C.data, C_data)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyamg.strength import evolution_strength_of_connection
from scipy.sparse import block_diag, bsr_array, coo_array, csr_array, diags_array

from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.graph.features import LARGEST, level_graph, reduced_values
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.renumbering import renumbered
from tests.amg.cases import SCALAR, coarse_level, prior_mask, problem
from tests.graph import reference

CASES = (*SCALAR, "elasticity", "coarse nine_point", "coarse jump", "coarse elasticity", "coarse unstructured")


def case(name: str, size: int = 7):
    if name.startswith("coarse "):
        return coarse_level(name.removeprefix("coarse "), size=2 * size)
    made = problem(name, size)
    return made.A, made.B


def canonical(A) -> csr_array:
    A = csr_array(A)
    A.sort_indices()
    return A


def assert_same(one: LevelGraph, two: LevelGraph, atol: float = 1e-5) -> None:
    np.testing.assert_array_equal(one.edge_index, two.edge_index)
    np.testing.assert_allclose(one.node_features, two.node_features, rtol=0, atol=atol)
    np.testing.assert_allclose(one.edge_features, two.edge_features, rtol=0, atol=atol)


def assert_as_reference(A, B: np.ndarray, level: int = 0) -> LevelGraph:
    graph = level_graph(A, B, level)
    nodes, edge_index, edges = reference.features(A, B, level)
    np.testing.assert_array_equal(graph.edge_index, edge_index)
    for f, name in enumerate(NODE_FEATURES):
        np.testing.assert_allclose(graph.node_features[:, f], nodes[:, f], rtol=1e-5, atol=1e-6, err_msg=name)
    for f, name in enumerate(EDGE_FEATURES):
        np.testing.assert_allclose(graph.edge_features[:, f], edges[:, f], rtol=1e-5, atol=1e-6, err_msg=name)
    return graph


@pytest.mark.parametrize("name", CASES)
def test_every_feature_equals_the_plain_reference(name):
    A, B = case(name)
    graph = assert_as_reference(A, B, level=3)
    assert graph.level == 3 and graph.block_size == (A.blocksize[0] if A.format == "bsr" else 1)


@pytest.mark.parametrize("name", ["nine_point", "jump"])
def test_a_candidate_that_is_not_constant(name):
    A, B = case(name)
    assert_as_reference(A, B * np.random.default_rng(0).uniform(0.5, 2.0, B.shape))
    signs = np.where(np.random.default_rng(1).random(B.shape) < 0.5, -1.0, 1.0)
    assert_as_reference(A, B * signs)


@pytest.mark.parametrize("name", ["nine_point", "jump"])
def test_a_candidate_with_a_zero_counts_as_none(name):
    A, B = case(name)
    B = B.copy()
    B[5] = 0.0
    graph = assert_as_reference(A, B)
    W = csr_array((reduced_values(A, B), A.indices, A.indptr), shape=A.shape)
    np.testing.assert_allclose(W.diagonal(), 1.0)
    assert np.isfinite(graph.edge_features).all()


def test_only_the_first_candidate_of_a_scalar_problem_counts():
    A, B = case("nine_point")
    assert_same(level_graph(A, np.hstack([B, np.random.default_rng(0).random(B.shape)]), 0), level_graph(A, B, 0), 0)


@pytest.mark.parametrize("name", CASES)
def test_contract_of_the_arrays(name):
    graph = level_graph(*case(name), 1)
    i, j = graph.edge_index
    assert graph.edge_index.dtype == np.int32
    assert (i < j).all()
    order = i.astype(np.int64) * graph.num_nodes + j
    assert (np.diff(order) > 0).all()
    for features, names in ((graph.node_features, NODE_FEATURES), (graph.edge_features, EDGE_FEATURES)):
        assert features.dtype == np.float32 and features.shape[1] == len(names)
        assert np.isfinite(features).all() and np.abs(features).max() <= 10
    for high, name in enumerate(EDGE_FEATURES):
        if name.endswith("_max"):
            low = EDGE_FEATURES.index(name.replace("_max", "_min"))
            assert (graph.edge_features[:, low] <= graph.edge_features[:, high]).all()


@pytest.mark.parametrize("factor", [3.7, 1e-12, 1e12])
@pytest.mark.parametrize("name", CASES)
def test_the_unit_of_the_matrix_does_not_matter(name, factor):
    A, B = case(name)
    assert_same(level_graph(factor * A, B, 0), level_graph(A, B, 0))


@pytest.mark.parametrize("factor", [3.7, 1e-9, -1e9])
@pytest.mark.parametrize("name", SCALAR)
def test_the_length_of_the_candidate_does_not_matter(name, factor):
    A, B = case(name)
    assert_same(level_graph(A, factor * B, 0), level_graph(A, B, 0))


@pytest.mark.parametrize("name", [*SCALAR, "coarse nine_point", "coarse jump"])
def test_diagonal_scaling_does_not_matter(name):
    A, B = case(name)
    d = 10.0 ** np.random.default_rng(2).uniform(-3, 3, len(B))
    scaled = canonical(diags_array(d) @ A @ diags_array(d))
    assert_same(level_graph(scaled, B / d[:, None], 0), level_graph(A, B, 0))


@pytest.mark.parametrize("name", ["nine_point", "jump"])
def test_diagonal_scaling_does_not_matter_where_the_candidate_has_a_zero(name):
    A, B = case(name)
    B = B.copy()
    B[3] = 0.0
    d = 10.0 ** np.random.default_rng(2).uniform(-3, 3, len(B))
    scaled = canonical(diags_array(d) @ A @ diags_array(d))
    assert_same(level_graph(scaled, B / d[:, None], 0), level_graph(A, B, 0))


def as_dict(graph: LevelGraph, order: np.ndarray | None = None) -> dict[tuple[int, int], np.ndarray]:
    number = np.arange(graph.num_nodes) if order is None else order
    pairs = number[graph.edge_index].T
    return {(min(pair), max(pair)): f for pair, f in zip(pairs.tolist(), graph.edge_features, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_renumbering_the_nodes_permutes_the_features(name):
    A, B = case(name)
    graph = level_graph(A, B, 0)
    order = np.random.default_rng(5).permutation(graph.num_nodes)
    other = renumbered(Problem(A, B, name, "level"), order)
    moved = level_graph(other.A, other.B, 0)
    np.testing.assert_allclose(moved.node_features, graph.node_features[order], rtol=0, atol=1e-5)
    edges, moved_edges = as_dict(graph), as_dict(moved, order)
    assert edges.keys() == moved_edges.keys()
    for pair, values in edges.items():
        np.testing.assert_allclose(moved_edges[pair], values, rtol=0, atol=1e-5, err_msg=str(pair))


def with_explicit_zeros(A: csr_array) -> csr_array:
    """The same matrix, with zeros stored for the neighbours of neighbours, where they could do most harm."""
    pattern = (A != 0).astype(float)
    reach = (pattern @ pattern).tocoo()
    entries = A.tocoo()
    rows, columns = (np.concatenate(both) for both in zip(entries.coords, reach.coords, strict=True))
    data = np.concatenate([entries.data, np.zeros(reach.nnz)])
    filled = coo_array((data, (rows, columns)), shape=A.shape).tocsr()
    filled.sum_duplicates()
    assert filled.nnz > A.nnz
    return filled


@pytest.mark.parametrize("name", ["five_point", "nine_point", "jump", "graph_laplacian"])
def test_explicit_zeros_are_no_edges_and_change_nothing(name):
    A, B = case(name)
    assert_same(level_graph(with_explicit_zeros(A), B, 0), level_graph(A, B, 0))


def test_an_explicit_zero_is_not_the_nearest_neighbour_of_repulsive_couplings():
    """Two positive couplings in a row attract their ends, which are not coupled."""
    dense = np.array([[4.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 4.0]])
    stored = csr_array((dense.ravel(), np.tile(np.arange(3), 3), [0, 3, 6, 9]), shape=(3, 3))
    assert stored.nnz == 9
    assert_same(assert_as_reference(stored, np.ones((3, 1))), level_graph(canonical(dense), np.ones((3, 1)), 0))


def test_explicit_zero_blocks_are_no_edges_and_change_nothing():
    A, B = case("elasticity")
    n = A.shape[0] // 2
    pattern = with_explicit_zeros(csr_array((np.ones(len(A.indices)), A.indices, A.indptr), shape=(n, n)))
    blocks = np.zeros((pattern.nnz, 2, 2))
    blocks[pattern.data != 0] = A.data
    padded = bsr_array((blocks, pattern.indices, pattern.indptr), shape=A.shape)
    np.testing.assert_array_equal(padded.toarray(), A.toarray())
    assert_same(level_graph(padded, B, 0), level_graph(A, B, 0))


@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_nodes_without_neighbours(name):
    A, B = case(name)
    block = A.blocksize[0] if A.format == "bsr" else 1
    lonely = np.eye(block) * 3.0
    padded = block_diag([lonely, A, lonely], format="csr")
    padded = bsr_array(padded.tobsr((block, block))) if block > 1 else csr_array(padded)
    padded.sort_indices()
    ends = np.ones((block, B.shape[1]))
    graph = level_graph(padded, np.vstack([ends, B, ends]), 0)
    inner = level_graph(A, B, 0)
    np.testing.assert_array_equal(graph.edge_index, inner.edge_index + 1)
    np.testing.assert_allclose(graph.edge_features, inner.edge_features, atol=1e-6)
    assert np.isfinite(graph.node_features).all()
    degree = NODE_FEATURES.index("log_degree")
    assert not graph.node_features[[0, -1], degree].any() and graph.node_features[1:-1, degree].all()


def test_a_diagonal_matrix_has_no_edges():
    A = canonical(np.diag([1.0, 2.0, 3.0]))
    graph = assert_as_reference(A, np.ones((3, 1)))
    assert graph.num_nodes == 3 and graph.num_edges == 0
    assert graph.edge_index.shape == (2, 0) and graph.edge_features.shape == (0, len(EDGE_FEATURES))


def test_one_unknown():
    graph = assert_as_reference(canonical([[5.0]]), np.ones((1, 1)))
    assert graph.num_nodes == 1 and graph.num_edges == 0


def test_all_sizes_above_the_largest_look_alike():
    size = NODE_FEATURES.index("log_size")

    def seen(nodes: int) -> float:
        features = level_graph(diags_array(np.ones(nodes), format="csr"), np.ones((nodes, 1)), 0).node_features
        return float(features[0, size])

    assert seen(LARGEST - 1) < seen(LARGEST) == seen(LARGEST + 1) == seen(10 * LARGEST)
    assert seen(LARGEST) == pytest.approx(np.log10(LARGEST) / 6)


def test_one_block():
    A = bsr_array((np.array([[[2.0, 1.0], [1.0, 2.0]]]), [0], [0, 1]), shape=(2, 2))
    graph = assert_as_reference(A, np.eye(2))
    assert graph.num_nodes == 1 and graph.block_size == 2


@pytest.mark.parametrize("back", [0.0, 1e-20, 1e-13])
@pytest.mark.parametrize("there", [1e-13, -1e-200, -1e-310])
def test_what_rounding_left_of_a_zero_is_no_edge(there, back):
    """A Galerkin product cancels to exactly zero in one direction and not in the other."""
    A = [[1.0, there, -0.5], [back, 1.0, 0.0], [-0.5, 0.0, 1.0]]
    graph = assert_as_reference(canonical(A), np.ones((3, 1)))
    assert graph.edge_index.tolist() == [[0], [2]]
    A[0][1] = A[1][0] = 0.0
    assert_same(graph, level_graph(canonical(A), np.ones((3, 1)), 0), 0)


@pytest.mark.parametrize("back", [0.0, 1e-11])
def test_a_small_coupling_that_may_go_one_way_alone(back):
    graph = level_graph(canonical([[1.0, -1e-11, 0.0], [back, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.ones((3, 1)), 1)
    assert graph.edge_index.tolist() == [[0], [1]]
    assert graph.edge_features[0, EDGE_FEATURES.index("log_symmetric")] == -8
    assert np.isfinite(graph.edge_features).all() and np.isfinite(graph.node_features).all()
    assert (graph.edge_features[:, 1:] >= -1).all() and (graph.edge_features[:, 1:] <= 1).all()


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_rounding_is_measured_by_the_diagonal(scale):
    """Quadratic elements: a corner and the middle of the side across from it do not couple at all."""
    made = FAMILIES["triangular_elements"].make(
        np.random.default_rng(0), 9, degree=2.0, epsilon=0.3, theta=0.6, jitter=0.2, grading=1.0, refinements=0.0
    )
    graph = assert_as_reference(scale * made.A, made.B)
    off = made.A - diags_array(made.A.diagonal())
    assert abs(off.data).min() < 1e-13 * abs(off.data).max()
    assert graph.num_edges < (off.nnz - made.num_unknowns) / 2


@pytest.mark.parametrize("candidate", [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [1.0, 0.0, 1.0]])
def test_what_rounding_left_stays_in_the_matrix(candidate):
    A, B = canonical([[1.0, 1e-13, -0.5], [1e-13, 1.0, 0.0], [-0.5, 0.0, 1.0]]), np.array(candidate)[:, None]
    data = A.data.copy()
    assert level_graph(A, B, 0).edge_index.tolist() == [[0], [2]]
    np.testing.assert_array_equal(A.data, data)


def test_inputs_stay_untouched():
    for name in ("nine_point", "elasticity"):
        A, B = case(name)
        data, candidates = A.data.copy(), B.copy()
        level_graph(A, B, 0)
        np.testing.assert_array_equal(A.data, data)
        np.testing.assert_array_equal(B, candidates)


@pytest.mark.parametrize("family", ["anisotropic_diffusion_fd", "anisotropic_diffusion_fe"])
@pytest.mark.parametrize("seed", range(5))
def test_the_evolution_measure_decides_as_pyamgs(family, seed):
    """At the threshold of the prior, on 95 % of the edges; PyAMG weighs Jacobi by a spectral radius instead."""
    rng = np.random.default_rng(seed)
    made = FAMILIES[family].make(rng, 24, epsilon=10 ** rng.uniform(-3, -0.3), theta=rng.uniform(0, 2 * np.pi))
    graph = level_graph(made.A, made.B, 0)
    np.random.seed(0)  # noqa: NPY002 - PyAMG starts its power method from the global state
    C = evolution_strength_of_connection(made.A, made.B, epsilon=4.0, k=2).toarray()
    i, j = graph.edge_index
    theirs = (C[i, j] != 0) | (C[j, i] != 0)
    assert (prior_mask(graph, Recipe.parse("sa/jacobi/evolution")) == theirs).mean() >= 0.95


@st.composite
def spd_matrices(draw) -> csr_array:
    """Sparse, symmetric, strictly diagonally dominant, with couplings of both signs over many magnitudes."""
    n = draw(st.integers(1, 9))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20))
    A = np.zeros((n, n))
    for i, j in pairs:
        if i != j:
            size = 10.0 ** draw(st.floats(-6, 6))
            A[i, j] = A[j, i] = size if draw(st.booleans()) else -size
    for i in range(n):
        A[i, i] = np.abs(A[i]).sum() * draw(st.floats(1.001, 2.0)) or 1.0
    return canonical(A)


@given(A=spd_matrices(), scale=st.floats(-4, 4), data=st.data())
def test_laws_hold_for_random_structures(A, scale, data):
    n = A.shape[0]
    graph = assert_as_reference(A, np.ones((n, 1)))
    assert np.isfinite(graph.node_features).all() and np.isfinite(graph.edge_features).all()
    assert_same(level_graph(canonical(10.0**scale * A), np.ones((n, 1)), 0), graph)
    order = np.array(data.draw(st.permutations(range(n))))
    moved = level_graph(canonical(A[order][:, order]), np.ones((n, 1)), 0)
    np.testing.assert_allclose(moved.node_features, graph.node_features[order], rtol=0, atol=1e-5)
    edges, moved_edges = as_dict(graph), as_dict(moved, order)
    assert edges.keys() == moved_edges.keys()
    for pair, values in edges.items():
        np.testing.assert_allclose(moved_edges[pair], values, rtol=1e-5, atol=1e-5)

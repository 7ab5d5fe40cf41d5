from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.graph.features import level_graph
from tests.amg.cases import problem


@pytest.mark.parametrize("name", ["five_point", "nine_point", "unstructured", "elasticity"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_equals_a_dense_reference(name, share):
    case = problem(name, size=8)
    graph = level_graph(case.A, case.B, 0)
    mask = np.random.default_rng(1).random(graph.num_edges) < share
    expected = np.eye(graph.num_nodes)
    for strong, i, j in zip(mask, *graph.edge_index, strict=True):
        if strong:
            expected[i, j] = expected[j, i] = 1.0

    C = strength_matrix(graph, mask)
    np.testing.assert_array_equal(C.toarray(), expected)
    np.testing.assert_array_equal(C.toarray(), C.toarray().T)
    np.testing.assert_array_equal(C.diagonal(), 1.0)
    assert C.dtype == np.int8  # hierarchies that are updated keep it
    assert C.nnz == graph.num_nodes + 2 * mask.sum()
    for start, end in zip(C.indptr[:-1], C.indptr[1:], strict=True):
        assert (np.diff(C.indices[start:end]) > 0).all()


def test_a_mask_of_numbers_is_read_as_truth_values():
    case = problem("five_point", size=5)
    graph = level_graph(case.A, case.B, 0)
    mask = np.arange(graph.num_edges) % 2
    same = strength_matrix(graph, mask) != strength_matrix(graph, mask.astype(bool))
    assert same.nnz == 0


def test_a_graph_without_edges_gives_the_identity():
    case = problem("five_point", size=1)
    C = strength_matrix(level_graph(case.A, case.B, 0), np.zeros(0, dtype=bool))
    np.testing.assert_array_equal(C.toarray(), [[1.0]])

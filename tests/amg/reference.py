"""PyAMG's own prolongators of a level, for comparison with the kernels."""

from __future__ import annotations

import warnings

import numpy as np
from pyamg.aggregation.aggregate import standard_aggregation
from pyamg.aggregation.smooth import energy_prolongation_smoother, jacobi_prolongation_smoother
from pyamg.aggregation.tentative import fit_candidates
from pyamg.util.utils import get_Cpt_params, scale_T
from scipy.sparse import csr_array

from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.graph.features import level_graph
from tests.amg.cases import SCALAR, coarse_level, problem

LEVELS = [(name, number) for name in SCALAR for number in (0, 1)]


def level(name: str, number: int) -> tuple[csr_array, np.ndarray]:
    """(A, B) of the finest or the second level of a problem."""
    case = problem(name)
    return (case.A, case.B) if number == 0 else coarse_level(name)


def random_strength(A: csr_array, B: np.ndarray, rng: np.random.Generator) -> csr_array:
    """A random mask; some nodes have no strong neighbour."""
    graph = level_graph(A, B, 0)
    lonely = rng.choice(graph.num_nodes, size=graph.num_nodes // 20, replace=False)
    mask = rng.random(graph.num_edges) < rng.uniform(0.15, 1.0)
    return strength_matrix(graph, mask & ~np.isin(graph.edge_index, lonely).any(axis=0))


def random_candidate(A: csr_array, B: np.ndarray, C: csr_array, rng: np.random.Generator, zeros: str) -> np.ndarray:
    """(N, 1); with zeros "somewhere", or on the whole of the first aggregate and at the root of the second."""
    b = B * rng.uniform(0.7, 1.3, size=B.shape)
    AggOp, roots = standard_aggregation(C)
    if zeros == "somewhere":
        b[rng.random(len(b)) < 0.2] = 0.0
    elif zeros == "aggregate":
        b[AggOp[:, [0]].toarray()[:, 0] != 0] = 0.0
        b[roots[1:2]] = 0.0
    return b


def tentative(A: csr_array, b: np.ndarray, C: csr_array, root_node: bool):
    """T, B_coarse and PyAMG's root-node parameters."""
    AggOp, roots = standard_aggregation(C)
    T, B_coarse = fit_candidates(AggOp, b)
    if not root_node:
        return T, B_coarse, {}
    parameters = get_Cpt_params(A, roots, AggOp, T)
    return scale_T(T, parameters["P_I"], parameters["I_F"]), parameters["P_I"].T @ b, parameters


def energy(A: csr_array, b: np.ndarray, C: csr_array, degree: int, root_node: bool) -> csr_array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        T, B_coarse, parameters = tentative(A, b, C, root_node)
        return csr_array(
            energy_prolongation_smoother(A, T, C, B_coarse, b, (root_node, parameters), maxiter=4, degree=degree)
        )


def jacobi(A: csr_array, b: np.ndarray, C: csr_array) -> csr_array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        T, B_coarse, _ = tentative(A, b, C, root_node=False)
        return csr_array(jacobi_prolongation_smoother(A, T, C, B_coarse, filter_entries=True, weighting="local"))


def assert_same_prolongator(P: csr_array, expected: csr_array, same_pattern: bool) -> None:
    """Equal to 1e-10, sorted and without zeros.

    What is zero in exact arithmetic may be rounding in one of the two: with candidates that are zero, or small integers
    as couplings, that does happen, and the pattern need not be the same.
    """
    np.testing.assert_allclose(P.toarray(), expected.toarray(), rtol=0, atol=1e-10 * np.abs(expected.data).max())
    assert P.has_canonical_format and (P.data != 0).all()
    assert (P.indptr.dtype, P.indices.dtype, P.data.dtype) == (np.int32, np.int32, np.float64)
    if same_pattern:
        assert P.nnz == expected.nnz

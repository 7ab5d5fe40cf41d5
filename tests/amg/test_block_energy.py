from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pyamg.aggregation.smooth import energy_prolongation_smoother
from pyamg.aggregation.tentative import fit_candidates
from pyamg.util.utils import get_Cpt_params, scale_T
from scipy.sparse import bsr_array

from rllib_psparsity.amg.block_energy import minimise_block_energy
from rllib_psparsity.amg.energy_minimisation import ENERGY_ITERATIONS, minimise_energy
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.tentative import fit_smoothed_aggregation
from tests.amg.block_cases import LEVELS, aggregation_operator, strength, tentative
from tests.amg.cases import problem


def by_pyamg(A: bsr_array, *arguments: Any, degree: int) -> bsr_array:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return energy_prolongation_smoother(A, *arguments, maxiter=ENERGY_ITERATIONS, degree=degree)


def assert_same(ours: bsr_array, theirs: bsr_array) -> None:
    """Equal but for rounding, sorted and without zero blocks."""
    assert ours.format == "bsr" and ours.blocksize == theirs.blocksize
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), rtol=0, atol=1e-9 * abs(theirs).max())
    assert ours.has_sorted_indices and ours.data.any(axis=(1, 2)).all()
    assert ours.indices.dtype == ours.indptr.dtype == np.int32


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("name", list(LEVELS))
def test_smoothed_aggregation_equals_pyamg(name, degree, share):
    A, B = LEVELS[name]()
    C, T, B_coarse = tentative(A, B, share, seed=degree)
    kept = [array.copy() for array in (A.data, T.data, C.data, B_coarse)]
    ours = minimise_block_energy(A, T, C, degree, B_coarse)
    for before, after in zip(kept, (A.data, T.data, C.data, B_coarse), strict=True):
        np.testing.assert_array_equal(before, after)
    assert_same(ours, by_pyamg(A, T.copy(), C, B_coarse, None, (False, {}), degree=degree))
    np.testing.assert_allclose(ours @ B_coarse, T @ B_coarse, atol=1e-9 * abs(B).max())


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("name", list(LEVELS))
def test_root_node_equals_pyamg(name, degree, share):
    """Roots have one block, and with it too few unknowns for all candidates; other nodes are fitted to them first."""
    A, B = LEVELS[name]()
    m = A.blocksize[0]
    C = strength(A, B, share, seed=degree)
    aggregates, roots = aggregate(C)
    agg_op = aggregation_operator(aggregates, len(roots))
    parameters = get_Cpt_params(A, roots, agg_op, fit_candidates(agg_op, B[:, :m])[0])
    T = scale_T(fit_candidates(agg_op, B[:, :m])[0], parameters["P_I"], parameters["I_F"])
    B_coarse = parameters["P_I"].T @ B
    unfitted = B if B.shape[1] > m else None
    ours = minimise_block_energy(A, T, C, degree, B_coarse, roots, unfitted)
    assert_same(ours, by_pyamg(A, T.copy(), C, B_coarse, B, (True, parameters), degree=degree))
    rows = (m * roots[:, None] + np.arange(m)).ravel()
    np.testing.assert_array_equal(ours.toarray()[rows], np.eye(ours.shape[1]))


def test_equals_the_scalar_kernel():
    case = problem("jump", size=12)
    A = case.A.tobsr((1, 1))
    C, T, B_coarse = tentative(A, case.B, 0.7, seed=1)
    aggregates, roots = aggregate(C)
    scalar = minimise_energy(case.A, fit_smoothed_aggregation(aggregates, len(roots), case.B[:, 0]), C, 2)
    np.testing.assert_allclose(minimise_block_energy(A, T, C, 2, B_coarse).toarray(), scalar.toarray(), atol=1e-12)


def test_lowers_the_energy_and_more_so_on_a_larger_pattern():
    case = problem("elasticity", size=12)
    C, T, B_coarse = tentative(case.A, case.B, 1.0, seed=0)
    Ps = [T, *(minimise_block_energy(case.A, T, C, degree, B_coarse) for degree in (1, 2, 3))]
    energies = [float(np.trace((P.T @ case.A @ P).toarray())) for P in Ps]
    assert all(later < 0.95 * earlier for earlier, later in pairwise(energies)), energies


def test_rigid_motions_of_one_aggregate_have_no_energy_to_lose():
    """The three rigid motions of a body that floats freely are their own best prolongator."""
    case = problem("elasticity", size=4)
    K = np.linalg.qr(case.B)[0]
    A = bsr_array(np.eye(len(K)) - K @ K.T, blocksize=(2, 2))
    num_nodes = len(K) // 2
    agg_op = aggregation_operator(np.zeros(num_nodes, dtype=np.int32), 1)
    T, B_coarse = fit_candidates(agg_op, case.B)
    P = minimise_block_energy(A, T, agg_op @ agg_op.T, 1, B_coarse)
    np.testing.assert_allclose(P.toarray(), T.toarray(), atol=1e-14)

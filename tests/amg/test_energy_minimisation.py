from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array, eye_array, kron

from rllib_psparsity.amg.energy_minimisation import MANY_ROWS, minimise_energy
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.tentative import Tentative, fit_root_node, fit_smoothed_aggregation
from rllib_psparsity.prefetch import CACHED
from tests.amg.reference import LEVELS, assert_same_prolongator, energy, level, random_candidate, random_strength


def tentative(C: csr_array, b: np.ndarray, root_node: bool) -> Tentative:
    aggregates, roots = aggregate(C)
    if root_node:
        return fit_root_node(aggregates, roots, b[:, 0])
    return fit_smoothed_aggregation(aggregates, len(roots), b[:, 0])


def dense(T: Tentative) -> np.ndarray:
    P = np.zeros((len(T.columns), len(T.b_coarse)))
    inside = T.columns >= 0
    P[inside, T.columns[inside]] = T.values[inside]
    return P


@pytest.mark.parametrize("zeros", ["nowhere", "somewhere", "aggregate"])
@pytest.mark.parametrize("root_node", [False, True], ids=["sa", "rootnode"])
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize(("name", "number"), LEVELS)
def test_equals_pyamg(name, number, degree, root_node, zeros):
    A, B = level(name, number)
    rng = np.random.default_rng([degree, number, root_node])
    for _ in range(2):
        C = random_strength(A, B, rng)
        b = random_candidate(A, B, C, rng, zeros)
        T, expected = tentative(C, b, root_node), energy(A, b, C, degree, root_node)
        for by_rows in (False, True):
            P = minimise_energy(A, T, C, degree, by_rows=by_rows)
            assert_same_prolongator(P, expected, same_pattern=zeros == "nowhere")


@pytest.mark.parametrize("storage", ["columns", "rows"])
def test_copies_beyond_the_caches_each_get_the_same_columns(storage):
    """So many entries that columns ask for rows ahead, and so many rows that they are what is stored."""
    A, B = level("nine_point", 0)
    C = random_strength(A, B, np.random.default_rng(0))
    copies = (CACHED // A.nnz if storage == "columns" else MANY_ROWS // len(B)) + 1
    assert (copies * len(B) > MANY_ROWS) == (storage == "rows")
    large, strong = (csr_array(kron(eye_array(copies), M, format="csr")) for M in (A, C))
    many = minimise_energy(large, tentative(strong, np.tile(B, (copies, 1)), False), strong, 2)
    P = minimise_energy(A, tentative(C, B, False), C, 2)
    np.testing.assert_array_equal(many.indices, kron(eye_array(copies), P, format="csr").indices)
    np.testing.assert_allclose(many.data.reshape(copies, -1), np.tile(P.data, (copies, 1)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("root_node", [False, True], ids=["sa", "rootnode"])
def test_lowers_the_energy_and_more_so_on_a_larger_pattern(root_node):
    A, B = level("nine_point", 0)
    C = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    T = tentative(C, B, root_node)

    def energy_of(P: np.ndarray) -> float:
        return float(np.trace(P.T @ A.toarray() @ P))

    energies = [energy_of(dense(T)), *(energy_of(minimise_energy(A, T, C, d).toarray()) for d in (1, 2, 3))]
    assert all(later < 0.95 * earlier for earlier, later in pairwise(energies)), energies


def test_a_tentative_prolongator_of_least_energy_stays_as_it_is():
    """Four nodes in two pairs without a coupling between them: the constant of each pair has no energy at all."""
    pair = np.array([[1.0, -1.0], [-1.0, 1.0]])
    A = csr_array(np.kron(np.eye(2), pair))
    C = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    T = tentative(C, np.ones((4, 1)), root_node=False)
    np.testing.assert_array_equal(minimise_energy(A, T, C, 1).toarray(), dense(T))


def test_scaling_by_powers_of_two_changes_no_bit():
    """P belongs to A up to a factor; the tolerance alone is absolute, and not reached here."""
    A, B = level("jump", 0)
    C = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    P = minimise_energy(A, tentative(C, B, False), C, 2)
    scaled = minimise_energy(csr_array(8.0 * A), tentative(C, 4.0 * B, False), C, 2)
    np.testing.assert_array_equal(scaled.toarray(), P.toarray())


def test_a_pattern_far_larger_than_the_strength_matrix():
    """The number of the pattern's entries is guessed first: here of a tridiagonal C, at degree 6."""
    n = 60
    A = csr_array(diags_array([-np.ones(n - 1), 2.1 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]))
    b = np.ones((n, 1))
    C = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    P = minimise_energy(A, tentative(C, b, False), C, 6)
    assert P.nnz > C.nnz + n
    assert_same_prolongator(P, energy(A, b, C, 6, root_node=False), same_pattern=True)


def test_the_input_stays_untouched():
    A, B = level("fd", 0)
    C = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    T = tentative(C, B, True)
    before = [x.copy() for x in (A.data, C.indices, T.columns, T.values, T.is_root, T.b_coarse)]
    minimise_energy(A, T, C, 2)
    after = (A.data, C.indices, T.columns, T.values, T.is_root, T.b_coarse)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)

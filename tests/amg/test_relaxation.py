from __future__ import annotations

import numpy as np
import pyamg
import pytest
from pyamg.relaxation.relaxation import block_gauss_seidel, gauss_seidel
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.relaxation import Relaxation, jacobi
from tests.amg.cases import SCALAR, coarse_level, problem


def sweep(A, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """PyAMG, one vector at a time."""
    result = x.copy()
    for k in range(b.shape[1]):
        column = result[:, k].copy()
        if A.format == "bsr":
            block_gauss_seidel(A, column, b[:, k].copy(), sweep="symmetric", blocksize=A.blocksize[0])
        else:
            gauss_seidel(A, column, b[:, k].copy(), sweep="symmetric")
        result[:, k] = column
    return result


def vectors(n: int, num_vectors: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, num_vectors)), rng.standard_normal((n, num_vectors))


@pytest.mark.parametrize("num_vectors", [1, 5])
@pytest.mark.parametrize("name", [*SCALAR, "elasticity", "coarse elasticity", "coarse nine_point"])
def test_equals_pyamg(name, num_vectors):
    A = coarse_level(name.removeprefix("coarse "))[0] if name.startswith("coarse") else problem(name).A
    b, x = vectors(A.shape[0], num_vectors)
    expected, kept = sweep(A, b, x), b.copy()
    Relaxation(A)(b, x)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_array_equal(b, kept)


def test_blocks_of_one_equal_the_scalar_sweep():
    A = problem("nine_point", size=6).A
    b, x = vectors(A.shape[0], 3)
    y = x.copy()
    Relaxation(A)(b, x)
    Relaxation(bsr_array(A, blocksize=(1, 1)))(b, y)
    np.testing.assert_array_equal(x, y)


def test_an_empty_row_keeps_its_value():
    A = csr_array(np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]]))
    b, x = vectors(3, 2)
    kept = x[1].copy()
    Relaxation(A)(b, x)
    np.testing.assert_array_equal(x[1], kept)
    assert np.isfinite(x).all()


def test_a_singular_block_is_solved_by_its_pseudo_inverse():
    blocks = np.array([[[2.0, 0.0], [0.0, 0.0]], [[3.0, 1.0], [1.0, 2.0]]])
    A = bsr_array((blocks, [0, 1], [0, 1, 2]), shape=(4, 4))
    b, x = vectors(4, 2)
    Relaxation(A)(b, x)
    np.testing.assert_allclose(x[:2], np.stack([b[0] / 2, np.zeros(2)]))
    np.testing.assert_allclose(blocks[1] @ x[2:], b[2:])


def test_a_sweep_reduces_the_energy_of_every_error():
    A = csr_array(pyamg.gallery.poisson((9, 9), format="csr"))
    errors = np.random.default_rng(0).standard_normal((81, 6))
    before = np.einsum("ik,ik->k", errors, A @ errors)
    Relaxation(A)(np.zeros_like(errors), errors)
    assert (np.einsum("ik,ik->k", errors, A @ errors) < before).all()


@pytest.mark.parametrize("num_vectors", [1, 4, 6])
@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_jacobi_by_plain_products(name, num_vectors):
    A = problem(name, size=6).A
    dense = A.toarray()
    x, _ = vectors(len(dense), num_vectors)
    expected, kept = x.copy(), x.copy()
    for _ in range(7):
        expected = expected - 0.6 * np.diag(1.0 / np.diag(dense)) @ dense @ expected
    np.testing.assert_allclose(jacobi(A, x, 0.6, 7), expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(x, kept)


def test_halves_of_the_rows():
    A = csr_array(np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 2.0, 0.0], [1.0, 2.0, 3.0, 4.0]]))
    below, above = Relaxation(A).halves()
    for i in range(4):
        start, stop = A.indptr[i], A.indptr[i + 1]
        row = A.indices[start:stop]
        np.testing.assert_array_equal(A.indices[start : below[i]], row[row < i])
        np.testing.assert_array_equal(A.indices[above[i] : stop], row[row > i])


@pytest.mark.parametrize("name", [*SCALAR, "coarse nine_point"])
def test_one_vector_is_smoothed_as_by_sweeps_over_whole_rows(name):
    A = coarse_level("nine_point")[0] if name.startswith("coarse ") else problem(name).A
    _, x = vectors(A.shape[0], 1)
    expected, smooth = x.copy(), x[:, 0].copy()
    for _ in range(3):
        Relaxation(A)(np.zeros_like(expected), expected)
    Relaxation(A).smooth_one(smooth, 3)
    np.testing.assert_allclose(smooth, expected[:, 0], rtol=0, atol=1e-13 * np.abs(expected).max())


def test_smoothing_one_vector_leaves_an_empty_row_alone():
    A = csr_array(np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 2.0]]))
    x = np.array([1.0, 5.0, 1.0])
    Relaxation(A).smooth_one(x, 1)
    np.testing.assert_allclose(x, [0.125, 5.0, 0.25])


@pytest.mark.parametrize("num_vectors", [1, 3])
@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_smoothing_several_vectors_equals_pyamg_and_leaves_them_as_they_were(name, num_vectors):
    A = problem(name).A
    zero, B = np.zeros((A.shape[0], num_vectors)), vectors(A.shape[0], num_vectors)[1]
    kept = B.copy()
    expected = sweep(A, zero, sweep(A, zero, B))
    np.testing.assert_allclose(Relaxation(A).smooth(B, 2), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert np.array_equal(B, kept)

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array, kron, tril

from rllib_psparsity.amg.products import galerkin_product, symmetric, transpose
from rllib_psparsity.amg.prolongation import prolongate
from rllib_psparsity.prefetch import CACHED
from tests.amg.cases import MENU
from tests.amg.reference import LEVELS, level, random_strength


def random_csr(rng: np.random.Generator, shape: tuple[int, int], share: float) -> csr_array:
    return csr_array(np.where(rng.random(shape) < share, rng.integers(-2, 3, shape), 0).astype(float))


def assert_same_arrays(one: csr_array, two: csr_array) -> None:
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.shape == two.shape and one.indices.dtype == np.int32


@pytest.mark.parametrize(("name", "number"), LEVELS)
def test_the_galerkin_product_has_the_bits_of_scipys_lower_triangle(name, number):
    A, B = level(name, number)
    rng = np.random.default_rng(number)
    for recipe in MENU:
        P = prolongate(A, B, random_strength(A, B, rng), recipe).P
        coarse = galerkin_product(transpose(P), A, P)
        assert_same_arrays(csr_array(tril(coarse)), csr_array(tril(csr_array(P.T) @ A @ P)))
        assert_same_arrays(coarse, csr_array(coarse.T))


def test_a_matrix_beyond_the_caches_has_the_same_product():
    A, B = level("nine_point", 0)
    P = prolongate(A, B, random_strength(A, B, np.random.default_rng(0)), MENU[0]).P
    copies = eye_array(CACHED // A.nnz + 1, format="csr")
    large, many = (csr_array(kron(copies, M, format="csr")) for M in (A, P))
    expected = csr_array(kron(copies, galerkin_product(transpose(P), A, P), format="csr"))
    assert_same_arrays(galerkin_product(transpose(many), large, many), expected)


@pytest.mark.parametrize("seed", range(20))
def test_sums_that_vanish_are_no_entries(seed):
    """Small integers cancel often and exactly; dense rows also outgrow the first guess of the product's size."""
    rng = np.random.default_rng(seed)
    A = random_csr(rng, (40, 40), share=rng.uniform(0.02, 0.5))
    A = csr_array(A + A.T)
    P = random_csr(rng, (40, 25), share=rng.uniform(0.02, 0.9))
    coarse = galerkin_product(transpose(P), A, P)
    expected = P.toarray().T @ A.toarray() @ P.toarray()
    assert coarse.has_canonical_format
    np.testing.assert_array_equal(coarse.toarray(), expected)
    assert coarse.nnz == np.count_nonzero(expected)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (7, 4), (30, 50)])
def test_transposes_equal_dense_ones(shape):
    P = random_csr(np.random.default_rng(1), shape, share=0.4)
    R = transpose(P)
    np.testing.assert_array_equal(R.toarray(), P.toarray().T)
    assert R.has_canonical_format
    assert_same_arrays(transpose(R), P)


@pytest.mark.parametrize("seed", range(10))
def test_a_lower_triangle_in_any_order_gives_the_symmetric_matrix(seed):
    """Some rows are empty, some have no diagonal."""
    rng = np.random.default_rng(seed)
    triangle = csr_array(tril(random_csr(rng, (30, 30), share=rng.uniform(0.02, 0.9))))
    expected = csr_array(triangle + tril(triangle, -1).T)
    for start, end in zip(triangle.indptr[:-1], triangle.indptr[1:], strict=True):
        order = start + rng.permutation(end - start)
        triangle.indices[start:end], triangle.data[start:end] = triangle.indices[order], triangle.data[order]
    indptr, indices, data = symmetric(triangle.indptr, triangle.indices, triangle.data)
    assert_same_arrays(csr_array((data, indices, indptr), shape=(30, 30)), expected)

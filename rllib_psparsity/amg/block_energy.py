"""The energy-minimising prolongator of block problems, and of scalar ones with several candidates.

The algorithm and its numbers are those of PyAMG's `energy_prolongation_smoother`, which inverts a small matrix for
every node, one by one, and makes a sparse matrix of every intermediate result: two thirds of a whole set-up.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csc_array, csr_array

from rllib_psparsity.amg.energy_minimisation import ENERGY_ITERATIONS, TOLERANCE, members_of, reach
from rllib_psparsity.amg.products import transposed
from rllib_psparsity.amg.small_inverses import small_inverses
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned


def minimise_block_energy(
    A: bsr_array,
    T: bsr_array,
    C: csr_array,
    degree: int,
    B_coarse: np.ndarray,
    roots: np.ndarray | None = None,
    B: np.ndarray | None = None,
) -> bsr_array:
    """Columns of little energy on the pattern of |C|^degree |T| that still reproduce the candidates.

    Parameters
    ----------
    A : (n, n) bsr_array of blocks (m, m), symmetric positive definite
    T : (n, n_c) bsr_array of blocks (m, k), the tentative prolongator, with at most one block a node
    C : (N, N) symmetric csr_array with its diagonal, the strong couplings; its values play no role
    degree : 1 or more
    B_coarse : (n_c, K_b) candidates of the coarse level
    roots : (N_c,) nodes whose rows stay as they are in T; None in smoothed aggregation
    B : (n, K_b) candidates that T does not reproduce yet; None if it does

    Returns
    -------
    (n, n_c) bsr_array P, sorted, without blocks that are zero.

    Notes
    -----
    `energy_minimisation.minimise_energy` block by block: x_i, the m rows of a node on its pattern, is projected as
    ``x_i - (x_i B_i) (B_i^T B_i)^+ B_i^T``, B_i being the coarse candidates on that pattern (Olson, Schroder and
    Tuminaro, SIAM J. Sci. Comput. 33, 2011, algorithm 1 and section 3).
    """
    m, k = T.blocksize
    num_nodes, num_columns, num_candidates = T.shape[0] // m, T.shape[1] // k, B_coarse.shape[1]
    columns = np.full(num_nodes, -1, dtype=np.int32)
    there = np.diff(T.indptr) > 0
    columns[there] = T.indices
    is_root = np.zeros(num_nodes, dtype=bool)
    is_root[roots if roots is not None else []] = True

    indptr, rows = reach(C.indptr, C.indices, *members_of(columns, num_columns), columns, is_root, degree)
    column = np.repeat(np.arange(num_columns), np.diff(indptr))
    x, own = np.zeros((len(rows), m, k)), columns[rows] == column
    x[own] = T.data[(np.cumsum(there) - 1)[rows[own]]]
    b = np.ascontiguousarray(B_coarse, dtype=np.float64).reshape(num_columns, k, num_candidates)
    pattern = csc_array((np.ones(len(rows)), rows, indptr), shape=(num_nodes, num_columns))
    of_columns = np.matmul(b.transpose(0, 2, 1), b).reshape(num_columns, -1)
    normal = (pattern @ of_columns).reshape(num_nodes, num_candidates, num_candidates)
    projection = small_inverses(normal)
    block, width, candidates = (0,) * m, (0,) * k, (0,) * num_candidates
    if B is not None:
        x += _correction(x, rows, ~is_root[rows], b[column], B.reshape(num_nodes, m, -1), projection)
    sums = np.asarray(abs(A) @ np.ones(A.shape[1]))
    weight = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums != 0).reshape(num_nodes, m)
    # Made by numpy, which asks for huge pages: arrays that a kernel makes get small ones, and each costs a fault.
    work = np.zeros_like(x), x.copy(), np.empty_like(x)
    _minimise(
        *(A.indptr, A.indices, A.data, indptr, rows, is_root, weight, projection, b),
        *(block, width, candidates, ENERGY_ITERATIONS, x, *work),
    )
    del work  # as large as all else together; the blocks of P take its place
    kept = x.any(axis=(1, 2))
    indptr = np.r_[0, np.cumsum(kept)][indptr].astype(np.int32)
    places = np.flatnonzero(kept)
    p_indptr, p_indices, order = transposed(indptr, rows[places], places.astype(np.float64), num_nodes)
    return bsr_array((x[order.astype(np.int64)], p_indices, p_indptr), shape=T.shape)


def _correction(
    x: np.ndarray, rows: np.ndarray, free: np.ndarray, b: np.ndarray, B: np.ndarray, projection: np.ndarray
) -> np.ndarray:
    """What makes the blocks x reproduce B where they are free to; b is B_coarse of each block's column."""
    by_rows = csc_array((np.ones(len(rows)), rows, np.arange(len(rows) + 1)), shape=(len(B), len(rows)))
    reproduced = by_rows @ np.matmul(x, b).reshape(len(rows), -1)
    along = np.matmul(B - reproduced.reshape(B.shape), projection)
    return np.matmul(along[rows], b.transpose(0, 2, 1)) * free[:, None, None]


# In the functions below entries are those of the pattern, by columns of P: block e is in row rows[e]. The tuples
# `block`, `width` and `candidates` have as many items as a block has rows and columns, and as there are candidates:
# their lengths are known when kernels are compiled, so that loops unroll.


@compiled(error_model="numpy")
def _minimise(
    indptr, indices, data, p_indptr, rows, is_root, weight, projection, b, block, width, candidates, iterations,
    x, residual, direction, product
):  # fmt: skip
    """x: blocks of P. The direction is x at first, whose product with A the residual, zero before, becomes. A division
    by zero gives what is not finite, and is refused later."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    p_indptr, rows = unsigned(p_indptr), unsigned(rows)
    n = len(is_root)
    dense, in_column = np.zeros((n, len(block), len(width))), np.full(n, -1, np.int32)
    along, row = np.empty((n, len(block), len(candidates))), np.empty((len(block), len(candidates)))
    matrix, pattern, sizes = (indptr, indices, data), (p_indptr, rows), (block, width, candidates)
    _product(matrix, pattern, direction, b, sizes, dense, in_column, along, product)
    _project(projection, along, row, block, candidates)
    norm = _next_residual(pattern, 1.0, product, along, weight, b, sizes, residual)
    beta = 0.0
    for _ in range(iterations):
        if norm < TOLERANCE:
            break
        _next_direction(pattern, residual, weight, beta, block, width, direction)
        # A direction is orthogonal to b in every row, so its product with A needs no projection to give alpha.
        alpha = norm / _product(matrix, pattern, direction, b, sizes, dense, in_column, along, product)
        _project(projection, along, row, block, candidates)
        before = norm
        norm = _next_residual(pattern, alpha, product, along, weight, b, sizes, residual)
        for e in range(len(rows)):
            if not is_root[rows[e]]:
                for p in range(len(block)):
                    for q in range(len(width)):
                        x[e, p, q] += alpha * direction[e, p, q]
        beta = norm / before


@compiled()
def _next_direction(pattern, residual, weight, beta, block, width, direction):
    """direction = weight * residual + beta direction."""
    rows = pattern[1]
    for e in range(len(rows)):
        i = rows[e]
        for p in range(len(block)):
            for q in range(len(width)):
                direction[e, p, q] = residual[e, p, q] * weight[i, p] + beta * direction[e, p, q]


@compiled()
def _product(matrix, pattern, x, b, sizes, dense, in_column, along, y):
    """y = A x on the pattern, and along = y b; returns the sum of all x y. `dense` is zero before and after."""
    (indptr, indices, data), (p_indptr, rows), (block, width, candidates) = matrix, pattern, sizes
    ends = indptr[1:]
    along[:] = 0.0
    in_column[:] = -1
    inner = 0.0
    for j in range(len(b)):
        for e in range(p_indptr[j], p_indptr[j + 1]):
            in_column[rows[e]] = j
            for p in range(len(block)):
                for q in range(len(width)):
                    dense[rows[e], p, q] = x[e, p, q]
        for e in range(p_indptr[j], p_indptr[j + 1]):
            i = rows[e]
            for p in range(len(block)):
                for q in range(len(width)):
                    y[e, p, q] = 0.0
            for f in range(indptr[i], ends[i]):
                g = indices[f]
                if in_column[g] != j:
                    continue
                for p in range(len(block)):
                    for r in range(len(block)):
                        for q in range(len(width)):
                            y[e, p, q] += data[f, p, r] * dense[g, r, q]
            for p in range(len(block)):
                for q in range(len(width)):
                    inner += x[e, p, q] * y[e, p, q]
                    for c in range(len(candidates)):
                        along[i, p, c] += y[e, p, q] * b[j, q, c]
    return inner


@compiled()
def _project(projection, along, row, block, candidates):
    """along_i becomes along_i (B_i^T B_i)^+."""
    for i in range(len(along)):
        for p in range(len(block)):
            for c in range(len(candidates)):
                row[p, c] = along[i, p, c]
        for p in range(len(block)):
            for c in range(len(candidates)):
                total = 0.0
                for d in range(len(candidates)):
                    total += row[p, d] * projection[i, d, c]
                along[i, p, c] = total


@compiled()
def _next_residual(pattern, alpha, product, along, weight, b, sizes, residual):
    """residual -= alpha (product - along b^T); returns the sum of all residual weight residual."""
    (p_indptr, rows), (block, width, candidates) = pattern, sizes
    norm = 0.0
    for j in range(len(b)):
        for e in range(p_indptr[j], p_indptr[j + 1]):
            i = rows[e]
            for p in range(len(block)):
                for q in range(len(width)):
                    total = product[e, p, q]
                    for c in range(len(candidates)):
                        total -= along[i, p, c] * b[j, q, c]
                    residual[e, p, q] -= alpha * total
                    norm += residual[e, p, q] * (residual[e, p, q] * weight[i, p])
    return norm

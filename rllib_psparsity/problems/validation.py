"""Any user's matrix, checked and brought into the one form that the project works with."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.blocks import unknowns_a_node

SYMMETRY_TOLERANCE = 1e-10
"""Largest |a_ij - a_ji| / sqrt(a_ii a_jj); for single precision input 100 of its rounding units."""
LEAST_SCALE, LARGEST_SCALE = 1e-154, 1e300
"""Of the largest diagonal entry. Norms of right-hand sides of that size are zero below in Krylov methods that square
them, PyAMG's among them, so that they would stop at once; above, products with vectors overflow."""
MOST_CANDIDATES = 50
"""Near-nullspace candidates beyond which a coarse level is larger than the fine one. Elasticity has six."""


def check_matrix(
    A: Any, B: Any = None, *, where: str = "the matrix", block_size: int | None = None
) -> tuple[csr_array | bsr_array, np.ndarray]:
    """Check a matrix and its near-nullspace candidates; return both in canonical form.

    Parameters
    ----------
    A : sparse array or matrix of any format, or dense array; (n, n), real
        A bsr input with square blocks larger than 1 keeps its blocks. Never changed.
    B : (n, K_b) or (n,) array, optional
        Default: constants, one per unknown of a block.
    where : str
        What the error sentences call the matrix, for example a file's name.
    block_size : int, optional
        Of an input without blocks, if it divides n. Default: `unknowns_a_node`, or 1 where B is given.

    Returns
    -------
    A : csr_array or bsr_array
        float64, sorted indices (int32 where they fit), duplicates summed, zeros removed. An asymmetry within
        `SYMMETRY_TOLERANCE` is averaged away.
    B : (n, K_b) float64

    Raises
    ------
    InputError
        Not a square real finite symmetric matrix with a positive diagonal, or B does not fit to it. Rows and columns
        are counted from 0. That A is positive definite would cost a factorisation, so only pairs of unknowns are
        checked for it.
    """
    matrix, own_block_size, tolerance = _as_csr(A, where)
    _check_finite(matrix, where)
    diagonal = matrix.diagonal()
    _check_diagonal(diagonal, where)
    matrix = _symmetric(matrix, diagonal, tolerance, where)
    _check_pairs(matrix, diagonal, tolerance, where)
    if own_block_size > 1:
        block_size = own_block_size
    elif block_size is None:
        block_size = unknowns_a_node(matrix) if B is None else 1
    elif len(diagonal) % block_size:
        block_size = 1
    candidates = _candidates(B, len(diagonal), block_size, where)
    if block_size > 1:
        blocks = _with_small_indices(bsr_array(matrix.tobsr((block_size, block_size))))
        blocks.sort_indices()  # SciPy leaves a row's blocks in the order in which its rows of unknowns name them
        return blocks, candidates
    return matrix, candidates


def _as_csr(A: Any, where: str) -> tuple[csr_array, int, float]:
    """A fresh canonical csr_array, the block size, and the tolerance for asymmetry that A's precision allows."""
    kind = type(A).__name__
    if not sp.issparse(A):
        A = _as_array(A, where)
    if A.dtype.kind not in "biufc":
        if len(A.shape) == 2:
            raise InputError(
                f"{where} has entries of the type {A.dtype}, expected real numbers; pass A.astype(float) if they are"
            )
        raise InputError(
            f"{where} is of the type {kind}, expected a square matrix of real numbers; pass a SciPy sparse array or a "
            "two-dimensional NumPy array"
        )
    if len(A.shape) != 2 or A.shape[0] != A.shape[1]:
        raise InputError(
            f"{where} has shape {tuple(A.shape)}, expected a square one; pass the matrix of a linear system "
            "with as many equations as unknowns"
        )
    if A.shape[0] == 0:
        raise InputError(f"{where} has shape (0, 0), expected at least one unknown; pass a matrix that is not empty")
    if A.dtype.kind == "c":
        raise InputError(
            f"{where} has complex entries ({A.dtype}), expected real ones; pass A.real if the imaginary part is zero"
        )
    if sp.issparse(A):
        A = _well_formed(A, where)
    tolerance = SYMMETRY_TOLERANCE
    if A.dtype.kind == "f":
        tolerance = max(tolerance, 100 * float(np.finfo(A.dtype).eps))
    block_size = A.blocksize[0] if sp.issparse(A) and A.format == "bsr" and A.blocksize[0] == A.blocksize[1] else 1
    # A copy, and wide enough before duplicates are summed.
    matrix = csr_array(A.astype(np.float64, copy=False), copy=True)
    matrix.sum_duplicates()
    if np.count_nonzero(matrix.data) < matrix.nnz:
        matrix.eliminate_zeros()
    return _with_small_indices(matrix), block_size, tolerance


def _well_formed(A: Any, where: str) -> Any:
    """The same arrays, checked, in another object: SciPy's kernels trust them, and read and write beyond their ends."""
    try:
        if A.format == "coo":
            return type(A)((A.data, A.coords), shape=A.shape)
        if A.format in ("csr", "csc", "bsr"):
            checked = type(A)((A.data, A.indices, A.indptr), shape=A.shape)
            checked.check_format(full_check=True)
            return checked
    except ValueError as error:
        raise InputError(
            f"{where} has damaged {A.format} arrays ({' '.join(str(error).split())}), expected those of a valid sparse "
            "matrix; build it again, for example by scipy.sparse.csr_array((data, (rows, columns)))"
        ) from None
    return A


def _as_array(values: Any, what: str) -> np.ndarray:
    """A NumPy array, of no numeric type if it cannot be one."""
    if np.ma.is_masked(values):
        raise InputError(f"{what} has masked entries, expected a number everywhere; pass what filled(0) returns")
    try:
        return np.asarray(values)
    except ValueError:
        return np.asarray(None)


def _with_small_indices(matrix: Any) -> Any:
    """int32 indices, which PyAMG's kernels want, unless there are too many entries for them."""
    if matrix.indices.dtype != np.int32 and max(matrix.nnz, *matrix.shape) <= np.iinfo(np.int32).max:
        matrix.indices = matrix.indices.astype(np.int32)
        matrix.indptr = matrix.indptr.astype(np.int32)
    return matrix


def _row_of(matrix: csr_array, entry: int) -> int:
    return int(np.searchsorted(matrix.indptr, entry, side="right")) - 1


def _check_finite(matrix: csr_array, where: str) -> None:
    if not np.isfinite(matrix.data).all():
        entry = int(np.argmin(np.isfinite(matrix.data)))
        place = f"row {_row_of(matrix, entry)}, column {matrix.indices[entry]}"
        raise InputError(
            f"{where} has the entry {matrix.data[entry]} in {place}, expected finite numbers; mend the "
            "assembly that made it"
        )


def _check_diagonal(diagonal: np.ndarray, where: str) -> None:
    if not (diagonal > 0).all():
        row = int(np.argmin(diagonal > 0))
        fix = "pass -A" if (diagonal < 0).all() else "eliminate the unknowns that have no equation of their own"
        raise InputError(
            f"{where} has the diagonal entry {float(diagonal[row])!r} in row {row}, expected a positive one; {fix}"
        )
    largest = float(diagonal.max())
    if not LEAST_SCALE <= largest <= LARGEST_SCALE:
        raise InputError(
            f"{where} has {largest!r} as its largest diagonal entry, expected one between {LEAST_SCALE:g} and "
            f"{LARGEST_SCALE:g}, so that double precision can solve with it; multiply matrix and right-hand side by a "
            "power of ten"
        )


def _symmetric(matrix: csr_array, diagonal: np.ndarray, tolerance: float, where: str) -> csr_array:
    """The matrix itself if it is symmetric to the last bit, its symmetric part if within the tolerance."""
    from rllib_psparsity.problems.symmetry import asymmetry, average_with_transpose, with_symmetric_pattern  # compiled

    found = asymmetry(matrix, diagonal)
    if found is None:
        matrix = _with_small_indices(with_symmetric_pattern(matrix))
        found = asymmetry(matrix, diagonal)
        assert found is not None
    relative, entry, mirrored = found
    if relative > tolerance:
        entry, mirrored = sorted((entry, mirrored))  # the upper triangle comes first
        i, j = _row_of(matrix, entry), int(matrix.indices[entry])
        raise InputError(
            f"{where} has {float(matrix.data[entry])!r} in row {i}, column {j} but {float(matrix.data[mirrored])!r} in "
            f"row {j}, column {i}, expected a symmetric matrix; pass (A + A.T) / 2 if the difference "
            "does not matter"
        )
    if relative >= 0:
        average_with_transpose(matrix)
        matrix.eliminate_zeros()
    return matrix


def _check_pairs(matrix: csr_array, diagonal: np.ndarray, tolerance: float, where: str) -> None:
    from rllib_psparsity.problems.symmetry import indefinite_pair  # compiled

    found = indefinite_pair(matrix, diagonal, tolerance)
    if found is not None:
        i, entry = found
        j = int(matrix.indices[entry])
        raise InputError(
            f"{where} has {float(matrix.data[entry])!r} in row {i}, column {j}, more than the diagonal entries "
            f"{float(diagonal[i])!r} and {float(diagonal[j])!r} of these rows allow if it is positive definite; "
            "check the assembly of these rows, or use a solver for indefinite systems such as "
            "scipy.sparse.linalg.minres"
        )


def _candidates(B: Any, n: int, block_size: int, where: str) -> np.ndarray:
    """B as a fresh (n, K_b) float64 array; by default the translations of a block."""
    if B is None:
        return np.tile(np.eye(block_size), (n // block_size, 1))
    if sp.issparse(B):
        B = B.toarray()
    B = _as_array(B, f"the array of near-nullspace candidates B of {where}")
    if B.dtype.kind not in "biuf":
        raise InputError(
            f"the near-nullspace candidates B of {where} have type {B.dtype}, expected real numbers; pass "
            f"a float array of shape ({n}, number of candidates)"
        )
    if B.ndim == 1:
        B = B[:, None]
    if B.ndim != 2 or B.shape[0] != n or B.shape[1] == 0:
        raise InputError(
            f"the near-nullspace candidates B of {where} have shape {B.shape}, expected ({n}, number of "
            "candidates); pass one candidate a column"
        )
    if B.shape[1] > MOST_CANDIDATES:
        raise InputError(
            f"the near-nullspace candidates B of {where} have {B.shape[1]} columns, expected at most "
            f"{MOST_CANDIDATES}; pass the few vectors that A nearly maps to zero, such as rigid body modes"
        )
    B = np.array(B, dtype=np.float64, order="C")
    if not np.isfinite(B).all():
        row, column = (int(index[0]) for index in np.nonzero(~np.isfinite(B)))
        raise InputError(
            f"the near-nullspace candidates B of {where} have the entry {B[row, column]} in row {row}, "
            f"column {column}, expected finite numbers; mend that candidate"
        )
    empty = ~B.any(axis=0)
    if empty.any():
        raise InputError(
            f"the near-nullspace candidates B of {where} have only zeros in column "
            f"{int(np.argmax(empty))}, expected a vector that is not zero; leave that column out"
        )
    return B

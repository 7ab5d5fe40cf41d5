"""check_matrix: what it accepts, what it makes of it, and the sentence of each refusal."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.validation import check_matrix

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

DENSE = np.array([[4.0, -1.0, 0.0], [-1.0, 4.0, -2.0], [0.0, -2.0, 4.0]])


def with_duplicates():
    rows, columns = np.nonzero(DENSE)
    half = DENSE[rows, columns] / 2
    return sp.coo_array((np.r_[half, half], (np.r_[rows, rows], np.r_[columns, columns])), shape=(3, 3))


def unsorted(format_class):
    A = sp.csr_array(DENSE)
    indices, data = A.indices.copy(), A.data.copy()
    for start, end in zip(A.indptr[:-1], A.indptr[1:], strict=True):
        indices[start:end] = indices[start:end][::-1]
        data[start:end] = data[start:end][::-1]
    return format_class((data, indices, A.indptr.copy()), shape=(3, 3))


def uncanonical_csr():
    """Duplicates, an explicit zero, and columns out of order, in a csr_array."""
    data = np.array([-1.0, 1.0, 3.0, -2.0, 4.0, -1.0, 0.0, 4.0, -2.0])
    indices = np.array([1, 0, 0, 2, 1, 0, 0, 2, 1])
    return sp.csr_array((data, indices, np.array([0, 3, 6, 9])), shape=(3, 3))


def with_int64_indices():
    A = sp.csr_array(DENSE)
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


INPUTS = {
    "dense": lambda: DENSE.copy(),
    "list": lambda: DENSE.tolist(),
    "np.matrix": lambda: np.asmatrix(DENSE.copy()),
    "dense int": lambda: DENSE.astype(int),
    "csr_array": lambda: sp.csr_array(DENSE),
    "csr_matrix": lambda: sp.csr_matrix(DENSE),
    "csc_array": lambda: sp.csc_array(DENSE),
    "csc_matrix": lambda: sp.csc_matrix(DENSE),
    "coo_matrix": lambda: sp.coo_matrix(DENSE),
    "dia_array": lambda: sp.dia_array(DENSE),
    "lil_array": lambda: sp.lil_array(DENSE),
    "dok_array": lambda: sp.dok_array(DENSE),
    "bsr 1x1": lambda: sp.bsr_array(DENSE, blocksize=(1, 1)),
    "bsr 1x3": lambda: sp.bsr_array(DENSE, blocksize=(1, 3)),
    "float32": lambda: sp.csr_array(DENSE.astype(np.float32)),
    "int8": lambda: sp.csc_array(DENSE.astype(np.int8)),
    "int64 indices": with_int64_indices,
    "duplicates": with_duplicates,
    "unsorted": lambda: unsorted(sp.csr_array),
    "unsorted csc": lambda: unsorted(sp.csc_array),
    "uncanonical csr": uncanonical_csr,
}


def parts(A):
    """Copies of all arrays that an input holds, to see whether it was changed."""
    if not sp.issparse(A):
        return [np.array(A)]
    names = ("data", "indices", "indptr", "row", "col", "offsets", "coords")
    return [np.array(getattr(A, name)) for name in names if hasattr(A, name) and A.format != "dok"]


@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS.keys())
def test_every_input_gives_the_same_canonical_matrix_and_stays_as_it_was(make):
    given = make()
    before = parts(given)
    A, B = check_matrix(given)
    assert type(A) is sp.csr_array
    assert A.dtype == np.float64
    assert A.indices.dtype == A.indptr.dtype == np.int32
    expected = sp.csr_array(DENSE)
    np.testing.assert_array_equal(A.indptr, expected.indptr)
    np.testing.assert_array_equal(A.indices, expected.indices)
    np.testing.assert_array_equal(A.data, expected.data)
    np.testing.assert_array_equal(B, np.ones((3, 1)))
    A.data[:] = 7
    A.indices[:] = 0
    for old, now in zip(before, parts(given), strict=True):
        np.testing.assert_array_equal(old, now)


def test_duplicates_of_a_narrow_integer_type_do_not_overflow():
    A = sp.coo_array((np.array([100, 100], dtype=np.int8), ([0, 0], [0, 0])), shape=(1, 1))
    assert check_matrix(A)[0][0, 0] == 200


@pytest.mark.parametrize("make", [sp.bsr_array, sp.bsr_matrix])
def test_blocks_are_kept_and_empty_ones_dropped(make):
    dense = np.kron(
        np.array([[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]), np.array([[2.0, 0.5], [0.5, 3.0]])
    )
    full = sp.bsr_array((np.ones((9, 2, 2)), np.array([2, 0, 1] * 3), np.array([0, 3, 6, 9])), shape=(6, 6))
    for row in range(3):
        for entry in range(3 * row, 3 * row + 3):
            column = full.indices[entry]
            full.data[entry] = dense[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
    given = make(full)
    before = parts(given)
    A, B = check_matrix(given)
    assert type(A) is sp.bsr_array
    assert A.blocksize == (2, 2)
    assert A.indices.tolist() == [0, 1, 0, 1, 2, 1, 2]
    assert A.indices.dtype == A.indptr.dtype == np.int32
    np.testing.assert_array_equal(A.toarray(), dense)
    np.testing.assert_array_equal(B, np.kron(np.ones((3, 1)), np.eye(2)))
    for old, now in zip(before, parts(given), strict=True):
        np.testing.assert_array_equal(old, now)


def test_rounding_is_averaged_away_and_more_is_refused():
    A = DENSE.copy()
    A[0, 1] += 1e-12
    checked = check_matrix(A)[0].toarray()
    np.testing.assert_array_equal(checked, checked.T)
    assert checked[0, 1] == (A[0, 1] + A[1, 0]) / 2
    A[0, 1] = -1 + 1e-8
    with pytest.raises(InputError, match="symmetric"):
        check_matrix(A)


@pytest.mark.parametrize(
    "name", ["dense", "csr_array", "csc_array", "coo_matrix", "bsr 1x1", "int64 indices", "unsorted"]
)
def test_averaging_leaves_the_input_as_it_was(name):
    given = INPUTS[name]()
    entries = given.data if sp.issparse(given) else given
    entries *= 1 + 1e-13 * np.random.default_rng(0).random(entries.shape)
    before = parts(given)
    dense = given.toarray() if sp.issparse(given) else given
    np.testing.assert_array_equal(check_matrix(given)[0].toarray(), (dense + dense.T) / 2)
    for old, now in zip(before, parts(given), strict=True):
        np.testing.assert_array_equal(old, now)


@pytest.mark.parametrize("lonely", [1e-13, 1e-320])
def test_an_entry_without_counterpart_is_shared_with_it(lonely):
    A = np.diag([1.0, 4.0, 1e200])
    A[0, 1], A[2, 0] = lonely, lonely
    checked, _ = check_matrix(sp.csr_array(A))
    np.testing.assert_array_equal(checked.toarray(), (A + A.T) / 2)
    assert np.all(checked.data != 0) and checked.has_canonical_format


def test_entries_that_cancel_vanish():
    A = DENSE.copy()
    A[0, 2], A[2, 0] = 1e-14, -1e-14
    np.testing.assert_array_equal(check_matrix(A)[0].indices, sp.csr_array(DENSE).indices)


@pytest.mark.parametrize("seed", range(5))
def test_symmetric_parts_of_random_structures(seed):
    """One entry more or less than the transpose has, anywhere, against dense arithmetic."""
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((12, 12)) < 0.3, rng.standard_normal((12, 12)), 0.0)
    A = A + A.T + 20 * np.eye(12) + 1e-12 * np.where(rng.random((12, 12)) < 0.3, rng.standard_normal((12, 12)), 0.0)
    checked, _ = check_matrix(A)
    np.testing.assert_array_equal(checked.toarray(), (A + A.T) * 0.5)
    i, j = (int(index) for index in rng.choice(12, 2, replace=False))
    A[i, j] += 0.125
    with pytest.raises(InputError, match=f"in row {min(i, j)}, column {max(i, j)} but .* in row {max(i, j)}, column"):
        check_matrix(A)


def test_large_matrices_are_copied_once():
    A = sp.diags_array([-1.0, -1.0, 4.0, -1.0, -1.0], offsets=[-200, -1, 0, 1, 200], shape=(40_000, 40_000)).tocsr()
    check_matrix(A)
    tracemalloc.start()
    check_matrix(A)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * (A.data.nbytes + A.indices.nbytes + A.indptr.nbytes)


def test_single_precision_rounding_is_no_asymmetry():
    A = DENSE.astype(np.float32)
    A[0, 1] = np.nextafter(A[0, 1], np.float32(0))
    check_matrix(A)
    A[0, 1] *= 1 + 1e-3
    with pytest.raises(InputError, match="symmetric"):
        check_matrix(A)


def test_symmetry_is_judged_relative_to_the_diagonal():
    scale = np.array([1e8, 1.0, 1e-8])
    A = scale[:, None] * DENSE * scale
    check_matrix(A)
    A[1, 2] *= 1 + 1e-6
    with pytest.raises(InputError, match="row 1, column 2"):
        check_matrix(A)


def changed(i, j, value):
    A = DENSE.copy()
    A[i, j] = value
    return A


REFUSALS = {
    "not a matrix": (
        "abc",
        "K is of the type str, expected a square matrix of real numbers; pass a SciPy sparse array or a "
        "two-dimensional NumPy array",
    ),
    "none": (
        None,
        "K is of the type NoneType, expected a square matrix of real numbers; pass a SciPy sparse array or a "
        "two-dimensional NumPy array",
    ),
    "ragged": (
        [[1, 2], [3]],
        "K is of the type list, expected a square matrix of real numbers; pass a SciPy sparse array or a "
        "two-dimensional NumPy array",
    ),
    "vector": (
        np.ones(3),
        "K has shape (3,), expected a square one; pass the matrix of a linear system with as many equations as "
        "unknowns",
    ),
    "sparse vector": (
        sp.coo_array(np.ones(3)),
        "K has shape (3,), expected a square one; pass the matrix of a linear system with as many equations as "
        "unknowns",
    ),
    "rectangular": (
        sp.csr_array((2, 3)),
        "K has shape (2, 3), expected a square one; pass the matrix of a linear system with as many equations as "
        "unknowns",
    ),
    "empty": (
        np.zeros((0, 0)),
        "K has shape (0, 0), expected at least one unknown; pass a matrix that is not empty",
    ),
    "complex": (
        sp.csr_array(DENSE.astype(complex)),
        "K has complex entries (complex128), expected real ones; pass A.real if the imaginary part is zero",
    ),
    "nan": (
        changed(1, 2, np.nan),
        "K has the entry nan in row 1, column 2, expected finite numbers; mend the assembly that made it",
    ),
    "inf": (
        sp.csr_array(changed(2, 1, -np.inf)),
        "K has the entry -inf in row 2, column 1, expected finite numbers; mend the assembly that made it",
    ),
    "zero diagonal": (
        changed(1, 1, 0.0),
        "K has the diagonal entry 0.0 in row 1, expected a positive one; eliminate the unknowns that have no equation "
        "of their own",
    ),
    "negative diagonal": (
        changed(2, 2, -0.5),
        "K has the diagonal entry -0.5 in row 2, expected a positive one; eliminate the unknowns that have no equation "
        "of their own",
    ),
    "all negative": (
        -DENSE,
        "K has the diagonal entry -4.0 in row 0, expected a positive one; pass -A",
    ),
    "tiny": (
        1e-200 * DENSE,
        "K has 4e-200 as its largest diagonal entry, expected one between 1e-154 and 1e+300, so that double precision "
        "can solve with it; multiply matrix and right-hand side by a power of ten",
    ),
    "huge": (
        sp.csr_array(1e305 * DENSE),
        "K has 4e+305 as its largest diagonal entry, expected one between 1e-154 and 1e+300, so that double precision "
        "can solve with it; multiply matrix and right-hand side by a power of ten",
    ),
    "objects": (
        DENSE.astype(object),
        "K has entries of the type object, expected real numbers; pass A.astype(float) if they are",
    ),
    "masked": (
        np.ma.masked_less(DENSE, -1.5),
        "K has masked entries, expected a number everywhere; pass what filled(0) returns",
    ),
    "nonsymmetric": (
        changed(2, 1, 0.25),
        "K has -2.0 in row 1, column 2 but 0.25 in row 2, column 1, expected a symmetric matrix; pass (A + A.T) / 2 if "
        "the difference does not matter",
    ),
    "nonsymmetric pattern": (
        sp.csr_array(changed(0, 2, 0.5)),
        "K has 0.5 in row 0, column 2 but 0.0 in row 2, column 0, expected a symmetric matrix; pass (A + A.T) / 2 if "
        "the difference does not matter",
    ),
}


@pytest.mark.parametrize(("A", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_matrices(A, sentence):
    with pytest.raises(InputError) as caught:
        check_matrix(A, where="K")
    assert str(caught.value) == sentence


def damaged(make, name, place, value):
    """A sparse matrix one of whose arrays has been written to after SciPy checked it."""
    A = make(DENSE)
    arrays = A.coords if name == "coords" else (getattr(A, name),)
    arrays[0][place] = value
    return A


def cut_short(make):
    A = make(DENSE)
    A.data = A.data[:-1]
    return A


TWO_BLOCKS = partial(sp.bsr_array, blocksize=(1, 1))
DAMAGED = {
    "csr, a row that ends nowhere": damaged(sp.csr_array, "indptr", 1, 10**6),
    "csr, a row that ends before it starts": damaged(sp.csr_array, "indptr", 2, 1),
    "csr, a column too many": damaged(sp.csr_array, "indices", 2, 3),
    "csr, a negative column": damaged(sp.csr_matrix, "indices", 2, -1),
    "csc, a row too many": damaged(sp.csc_array, "indices", 2, 10**6),
    "bsr, a column too many": damaged(TWO_BLOCKS, "indices", 2, 10**6),
    "coo, a row too many": damaged(sp.coo_array, "coords", 2, 10**6),
    "csr, values cut short": cut_short(sp.csr_array),
    "csc, values cut short": cut_short(sp.csc_matrix),
}


@pytest.mark.parametrize("A", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_sparse_arrays_are_refused_before_a_kernel_reads_them(A):
    with pytest.raises(InputError) as caught:
        check_matrix(A, where="K")
    sentence = str(caught.value)
    assert sentence.startswith(f"K has damaged {A.format} arrays (")
    assert sentence.endswith("build it again, for example by scipy.sparse.csr_array((data, (rows, columns)))")
    assert "\n" not in sentence


def test_half_precision_is_widened():
    A = sp.csr_array(DENSE)
    A.data = A.data.astype(np.float16)  # SciPy makes none, but does not look at it again
    np.testing.assert_array_equal(check_matrix(A)[0].toarray(), DENSE)


@pytest.mark.parametrize(
    "B", [np.ones(3, dtype=np.float32), [[1], [1], [1]], np.asmatrix(np.ones((3, 1))), sp.csr_array(np.ones((3, 1)))]
)
def test_accepted_candidates(B):
    _, checked = check_matrix(DENSE, B)
    assert checked.dtype == np.float64
    assert type(checked) is np.ndarray
    np.testing.assert_array_equal(checked, np.ones((3, 1)))


def test_candidates_are_a_copy():
    B = np.ones((3, 2))
    check_matrix(DENSE, B)[1][:] = 5
    np.testing.assert_array_equal(B, 1)


START = "the near-nullspace candidates B of the matrix have "
REFUSED_CANDIDATES = {
    "rows": (np.ones((4, 2)), "shape (4, 2), expected (3, number of candidates); pass one candidate a column"),
    "no columns": (np.ones((3, 0)), "shape (3, 0), expected (3, number of candidates); pass one candidate a column"),
    "3d": (np.ones((3, 1, 1)), "shape (3, 1, 1), expected (3, number of candidates); pass one candidate a column"),
    "nan": (
        np.array([[1, 1], [1, np.nan], [1, 1]]),
        "the entry nan in row 1, column 1, expected finite numbers; mend that candidate",
    ),
    "zero": (
        np.array([[1, 0], [1, 0], [1, 0]]),
        "only zeros in column 1, expected a vector that is not zero; leave that column out",
    ),
    "complex": (
        np.ones((3, 1), dtype=complex),
        "type complex128, expected real numbers; pass a float array of shape (3, number of candidates)",
    ),
    "text": ("ones", "type <U4, expected real numbers; pass a float array of shape (3, number of candidates)"),
}


@pytest.mark.parametrize(("B", "sentence"), REFUSED_CANDIDATES.values(), ids=REFUSED_CANDIDATES.keys())
def test_refused_candidates(B, sentence):
    with pytest.raises(InputError) as caught:
        check_matrix(DENSE, B)
    assert str(caught.value) == START + sentence

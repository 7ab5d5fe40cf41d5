"""Matrices from files: Matrix Market, SciPy's npz, and PETSc's binary format."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import mmread
from scipy.sparse import csr_array, load_npz

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.problem import FILE, Problem
from rllib_psparsity.problems.validation import check_matrix

PETSC_MATRIX = 1211216
PETSC_VECTOR = 1211214
UNREADABLE = (
    *(ValueError, KeyError, TypeError, ArithmeticError, EOFError, OSError, MemoryError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
"""What readers raise for damaged files; `MemoryError` for a header that promises more than any machine holds."""


def load_matrix(path: str | Path) -> Problem:
    """Read a matrix that passes `check_matrix`; the suffix of the file, in either case, tells its format.

    ``.mtx`` Matrix Market, also with symmetric storage; ``.npz`` written by `scipy.sparse.save_npz` (bsr keeps its
    blocks); ``.petsc``, ``.dat``, ``.bin`` PETSc's `MatView` in binary. B is `check_matrix`'s default.

    Raises
    ------
    InputError
        No such file, another suffix, a damaged file, or a matrix that `check_matrix` refuses.
    """
    path = Path(path)
    matrix = read_matrix(path)
    try:
        A, B = check_matrix(matrix, where=str(path))
    except MemoryError:
        raise InputError(
            f"{path} has shape {matrix.shape}, expected one that this machine's memory can hold; check its header"
        ) from None
    return Problem(A, B, path.name, FILE, {})


def read_matrix(path: Path) -> Any:
    """The matrix of a file as it stands there; `InputError` as `load_matrix`, but for `check_matrix`."""
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InputError(
            f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(_READERS)}; convert the "
            "matrix, for example with scipy.io.mmwrite"
        )
    if not path.is_file():
        kind = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path} is {kind}, expected a matrix file; check the path")
    file_format, read = _READERS[suffix]
    try:
        return read(path)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"{path} cannot be read as {file_format} ({reason}), expected a complete file; write it again"
        ) from error


def matrix_files(path: str | Path) -> tuple[Path, ...]:
    """The file itself, or the matrix files of a directory sorted by name; `InputError` if there are none."""
    path = Path(path)
    if not path.is_dir():
        return (path,)
    files = sorted((file for file in path.iterdir() if file.suffix.lower() in _READERS), key=lambda file: file.name)
    if not files:
        raise InputError(
            f"{path} holds no file with a suffix of {', '.join(_READERS)}, expected at least one matrix; check the path"
        )
    return tuple(files)


def _read_matrix_market(path: Path) -> Any:
    return mmread(path, spmatrix=False)


def _read_npz(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not a zip archive")  # NumPy would advise to unpickle it
    matrix = load_npz(path)
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)  # an index out of bounds would crash SciPy's kernels
    return matrix


def _read_petsc(path: Path) -> csr_array:
    """PETSc's documented layout (MatLoad): big-endian int32 class id, rows, columns, entries; the length of each row,
    the column of each entry, all int32; float64 values. Objects that follow in the file are left unread."""
    content = path.read_bytes()
    if len(content) < 16:
        raise ValueError(f"it has {len(content)} bytes and the header alone has 16")
    class_id, rows, columns, entries = (int(number) for number in np.frombuffer(content, ">i4", 4))
    if class_id != PETSC_MATRIX:
        kind = ", a vector's" if class_id == PETSC_VECTOR else ""
        raise ValueError(f"it starts with {class_id}{kind}, not with {PETSC_MATRIX}, a matrix's with 32-bit indices")
    if min(rows, columns, entries) < 0:
        raise ValueError(f"its header says {rows} rows, {columns} columns and {entries} entries")
    end = 16 + 4 * rows + 12 * entries
    if len(content) < end:
        raise ValueError(f"it has {len(content)} bytes and its header asks for {end}")
    # A build of PETSc with complex scalars or single precision writes values of another size: then no object starts
    # here, and reading on would give wrong numbers without a word.
    if len(content) > end and content[end : end + 4] not in _CLASS_IDS:
        raise ValueError(f"it has {len(content)} bytes and its header asks for {end} with float64 values")
    lengths = np.frombuffer(content, ">i4", rows, 16).astype(np.int32)
    indices = np.frombuffer(content, ">i4", entries, 16 + 4 * rows).astype(np.int32)
    values = np.frombuffer(content, ">f8", entries, 16 + 4 * rows + 4 * entries).astype(np.float64)
    if lengths.min(initial=0) < 0 or lengths.sum(dtype=np.int64) != entries:
        raise ValueError(f"the lengths of its rows do not add up to its {entries} entries")
    if indices.min(initial=0) < 0 or indices.max(initial=0) >= max(columns, 1):
        raise ValueError(f"it has a column outside of 0 to {columns - 1}")
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return csr_array((values, indices, indptr), shape=(rows, columns))


_CLASS_IDS = tuple(struct.pack(">i", number) for number in (PETSC_MATRIX, PETSC_VECTOR))
_READERS = {
    ".mtx": ("Matrix Market", _read_matrix_market),
    ".npz": ("SciPy's npz", _read_npz),
    ".petsc": ("PETSc binary", _read_petsc),
    ".dat": ("PETSc binary", _read_petsc),
    ".bin": ("PETSc binary", _read_petsc),
}

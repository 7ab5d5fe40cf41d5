"""Right-hand sides and solutions in files: Matrix Market, NumPy, and PETSc's binary format."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import mmread, mmwrite
from scipy.sparse import issparse

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.files import PETSC_MATRIX, PETSC_VECTOR, UNREADABLE

MATRIX_MARKET, PETSC = (".mtx",), (".petsc", ".dat", ".bin")
READABLE = (*MATRIX_MARKET, ".npy", ".npz", *PETSC)
WRITABLE = (*MATRIX_MARKET, ".npy", *PETSC)


def load_vector(path: str | Path, n: int) -> np.ndarray:
    """Read a right-hand side, (n,) float64; the suffix of the file, in either case, tells its format.

    ``.mtx`` Matrix Market with one column; ``.npy``; ``.npz`` with one array; ``.petsc``, ``.dat``, ``.bin`` PETSc's
    `VecView` in binary, also behind a matrix in the same file.

    Raises
    ------
    InputError
        No such file, another suffix, a damaged file, another length, or entries that are not real and finite numbers.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise InputError(
            f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(READABLE)}; convert the right-hand "
            "side, for example with numpy.save"
        )
    if not path.is_file():
        kind = "a directory" if path.is_dir() else "not there"
        raise InputError(f"{path} is {kind}, expected a file with a right-hand side; check the path")
    try:
        vector = _read(path, suffix)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}), expected a right-hand side; write it again") from error
    return _checked(vector, n, path)


def write_vector(path: Path, vector: np.ndarray, suffix: str | None = None) -> None:
    """Write a (n,) float64 vector in the format that `suffix` (by default the path's) tells, one of `WRITABLE`."""
    suffix = (suffix or path.suffix).lower()
    with path.open("wb") as file:
        if suffix == ".npy":
            np.save(file, vector)
        elif suffix in MATRIX_MARKET:
            mmwrite(file, vector[:, None], precision=17)
        else:
            file.write(struct.pack(">ii", PETSC_VECTOR, len(vector)))
            file.write(vector.astype(">f8").tobytes())


def _read(path: Path, suffix: str) -> Any:
    if suffix in MATRIX_MARKET:
        return mmread(path, spmatrix=False)
    if suffix in PETSC:
        return _read_petsc(path)
    content = np.load(path, allow_pickle=False)
    if suffix == ".npy":
        return content
    with content as archive:
        if len(archive.files) != 1:
            raise ValueError(f"it holds the arrays {', '.join(archive.files) or 'none'} and not one alone")
        return archive[archive.files[0]]


def _read_petsc(path: Path) -> np.ndarray:
    """PETSc's documented layout (VecLoad): big-endian int32 class id and length, float64 values. A matrix before it,
    as in files with a whole linear system, is passed over."""
    content = path.read_bytes()
    start = 0
    if len(content) >= 16 and struct.unpack_from(">i", content)[0] == PETSC_MATRIX:
        _, rows, _, entries = struct.unpack_from(">4i", content)
        if min(rows, entries) < 0:
            raise ValueError(f"the header of its matrix says {rows} rows and {entries} entries")
        start = 16 + 4 * rows + 12 * entries
        if len(content) == start:
            raise ValueError("it holds a matrix and no vector")
    if len(content) < start + 8:
        raise ValueError(f"it has {len(content)} bytes and ends before the header of a vector")
    class_id, length = struct.unpack_from(">ii", content, start)
    if class_id != PETSC_VECTOR:
        raise ValueError(f"it has {class_id} where a vector's {PETSC_VECTOR} was expected")
    if len(content) < start + 8 + 8 * length or length < 0:
        raise ValueError(f"it has {len(content)} bytes and its header asks for {length} float64 values")
    return np.frombuffer(content, ">f8", length, start + 8)


def _checked(vector: Any, n: int, path: Path) -> np.ndarray:
    vector = vector.toarray() if issparse(vector) else vector
    if vector.dtype.kind not in "biuf":
        fix = "pass the real part" if vector.dtype.kind == "c" else "write them as floats"
        raise InputError(f"{path} holds entries of the type {vector.dtype}, expected real numbers; {fix}")
    if vector.shape not in ((n,), (n, 1), (1, n)):
        raise InputError(
            f"{path} holds an array of shape {vector.shape}, expected a vector of length {n}, the matrix's number of "
            "rows; pass the right-hand side of this matrix"
        )
    vector = np.array(vector, dtype=np.float64).ravel()
    if not np.isfinite(vector).all():
        row = int(np.argmin(np.isfinite(vector)))
        raise InputError(f"{path} has the entry {vector[row]} in row {row}, expected finite numbers; mend that entry")
    if not vector.any():
        raise InputError(f"{path} holds only zeros, and so does the solution; pass a right-hand side that is not zero")
    return vector

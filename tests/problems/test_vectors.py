"""Round trips of right-hand sides and solutions, and the sentence of each refusal."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.vectors import WRITABLE, load_vector, write_vector

VECTOR = np.array([1 / 3, -2e-300, 0.0, 4e200])


def petsc_vector(vector: np.ndarray) -> bytes:
    """PETSc's binary format, entry by entry."""
    return struct.pack(">ii", 1211214, len(vector)) + b"".join(struct.pack(">d", value) for value in vector)


def saved(save: Callable[..., None], *arguments: object, **named: object) -> bytes:
    file = BytesIO()
    save(file, *arguments, **named)
    return file.getvalue()


def damaged_stream() -> bytes:
    """A compressed archive with other bytes in the middle of its only array."""
    content = saved(np.savez_compressed, b=np.random.default_rng(0).random(400))
    return content[:1000] + bytes(64) + content[1064:]


HUGE_HEADER = saved(np.save, np.ones(3)).replace(b"(3,), ", b"(9999999999999,), ")
DAMAGED_STREAM = damaged_stream()


@pytest.mark.parametrize("suffix", [*WRITABLE, ".MTX"])
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    write_vector(path, VECTOR)
    np.testing.assert_array_equal(load_vector(path, 4), VECTOR)


def test_formats_of_other_programs(tmp_path: Path) -> None:
    write_vector(tmp_path / "x.dat", VECTOR)
    assert (tmp_path / "x.dat").read_bytes() == petsc_vector(VECTOR)
    np.testing.assert_array_equal(scipy.io.mmread(_written(tmp_path / "x.mtx")), VECTOR[:, None])
    np.savez(tmp_path / "one.npz", b=VECTOR)
    np.testing.assert_array_equal(load_vector(tmp_path / "one.npz", 4), VECTOR)
    scipy.io.mmwrite(tmp_path / "sparse.mtx", sp.coo_array(VECTOR[:, None]), precision=17)
    np.testing.assert_array_equal(load_vector(tmp_path / "sparse.mtx", 4), VECTOR)
    np.save(tmp_path / "row.npy", np.array([[1, 2, 3]]))
    row = load_vector(tmp_path / "row.npy", 3)
    assert row.dtype == np.float64 and row.tolist() == [1.0, 2.0, 3.0]


def _written(path: Path) -> Path:
    write_vector(path, VECTOR)
    return path


def test_petsc_vector_behind_its_matrix(tmp_path: Path) -> None:
    """One file with a whole linear system: a 2 x 2 identity, then its right-hand side."""
    matrix = struct.pack(">4i2i2i2d", 1211216, 2, 2, 2, 1, 1, 0, 1, 1.0, 1.0)
    path = tmp_path / "system.petsc"
    path.write_bytes(matrix + petsc_vector(np.array([5.0, 6.0])))
    np.testing.assert_array_equal(load_vector(path, 2), [5.0, 6.0])
    path.write_bytes(matrix)
    with pytest.raises(InputError, match="it holds a matrix and no vector"):
        load_vector(path, 2)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("b.txt", np.ones(3), "has the suffix '.txt', expected one of .mtx, .npy"),
        ("b.npy", None, "is not there, expected a file with a right-hand side; check the path"),
        ("b.npy", b"nonsense", "cannot be read"),
        ("b.npz", b"nonsense", "cannot be read"),
        ("b.mtx", b"nonsense", "cannot be read"),
        ("b.dat", petsc_vector(np.ones(3))[:-1], "its header asks for 3 float64 values"),
        ("b.dat", b"123", "ends before the header of a vector"),
        ("b.dat", struct.pack(">ii", 7, 3), "it has 7 where a vector's 1211214 was expected"),
        ("b.npy", np.ones(4), r"holds an array of shape \(4,\), expected a vector of length 3, the matrix's"),
        ("b.npy", np.ones((3, 3)), r"holds an array of shape \(3, 3\)"),
        ("b.npy", np.array([1.0, 2.0, np.nan]), "has the entry nan in row 2, expected finite numbers"),
        ("b.npy", np.ones(3, complex), "entries of the type complex128, expected real numbers; pass the real part"),
        ("b.npy", np.array(["x"] * 3), "entries of the type <U1, expected real numbers; write them as floats"),
        ("b.npy", np.array([None] * 3), "cannot be read"),
        ("b.npy", HUGE_HEADER, "cannot be read .* expected a right-hand side; write it again"),
        ("b.npz", DAMAGED_STREAM, "cannot be read"),
        ("b.dat", struct.pack(">4i", 1211216, -9, -9, 2), "the header of its matrix says -9 rows and 2 entries"),
        ("b.npy", np.zeros(3), "holds only zeros, and so does the solution"),
    ],
)
def test_refusals(tmp_path: Path, name: str, content: np.ndarray | bytes | None, sentence: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        with path.open("wb") as file:
            np.save(file, content)
    with pytest.raises(InputError, match=sentence) as raised:
        load_vector(path, 3)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_two_arrays_are_one_too_many(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=VECTOR, y=VECTOR)
    with pytest.raises(InputError, match="it holds the arrays x, y and not one alone"):
        load_vector(tmp_path / "b.npz", 4)

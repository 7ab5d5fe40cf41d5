"""Round trips of every file format, and the sentence of each refusal."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.files import load_matrix, matrix_files

DENSE = np.array([[4.0, -1.0, 0.0], [-1.0, 4.5, -2.0], [0.0, -2.0, 1e6 / 3]])


def petsc_bytes(A, class_id=1211216):
    """PETSc's binary format, entry by entry."""
    A = sp.csr_array(A)
    out = struct.pack(">iiii", class_id, *A.shape, A.nnz)
    for length in np.diff(A.indptr):
        out += struct.pack(">i", length)
    for column in A.indices:
        out += struct.pack(">i", column)
    for value in A.data:
        out += struct.pack(">d", value)
    return out


@pytest.mark.parametrize("symmetry", ["general", "symmetric"])
def test_matrix_market(tmp_path, symmetry):
    path = tmp_path / "a.mtx"
    scipy.io.mmwrite(path, sp.coo_array(DENSE), symmetry=symmetry, precision=17)
    stored = int(path.read_text().splitlines()[-6 if symmetry == "symmetric" else -8].split()[2])
    assert stored == (5 if symmetry == "symmetric" else 7)
    problem = load_matrix(path)
    assert type(problem.A) is sp.csr_array
    np.testing.assert_array_equal(problem.A.toarray(), DENSE)
    np.testing.assert_array_equal(problem.B, np.ones((3, 1)))
    assert (problem.name, problem.family, problem.parameters, problem.block_size) == ("a.mtx", "file", {}, 1)


def test_matrix_market_of_a_dense_matrix_and_of_integers(tmp_path):
    scipy.io.mmwrite(tmp_path / "dense.mtx", DENSE, precision=17)
    np.testing.assert_array_equal(load_matrix(tmp_path / "dense.mtx").A.toarray(), DENSE)
    scipy.io.mmwrite(tmp_path / "int.mtx", sp.coo_array(np.array([[2, -1], [-1, 2]])))
    assert load_matrix(tmp_path / "int.mtx").A.dtype == np.float64


@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_npz(tmp_path, make):
    sp.save_npz(tmp_path / "a.NPZ.npz", make(DENSE))
    np.testing.assert_array_equal(load_matrix(str(tmp_path / "a.NPZ.npz")).A.toarray(), DENSE)


def test_npz_keeps_blocks(tmp_path):
    family = FAMILIES["elasticity"]
    A = family.make(np.random.default_rng(0), 4, youngs_modulus=1e3, poisson_ratio=0.3).A
    sp.save_npz(tmp_path / "a.npz", A)
    problem = load_matrix(tmp_path / "a.npz")
    assert problem.block_size == 2
    np.testing.assert_array_equal(problem.A.toarray(), A.toarray())
    np.testing.assert_array_equal(problem.B, np.tile(np.eye(2), (12, 1)))


@pytest.mark.parametrize("suffix", [".petsc", ".dat", ".bin", ".DAT"])
def test_petsc(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(petsc_bytes(DENSE))
    np.testing.assert_array_equal(load_matrix(path).A.toarray(), DENSE)


def test_petsc_with_a_right_hand_side_behind_the_matrix(tmp_path):
    path = tmp_path / "a.petsc"
    path.write_bytes(petsc_bytes(DENSE) + struct.pack(">ii3d", 1211214, 3, 1.0, 2.0, 3.0))
    np.testing.assert_array_equal(load_matrix(path).A.toarray(), DENSE)


def petsc_with(**changes):
    fields = {
        "class_id": 1211216,
        "rows": 3,
        "columns": 3,
        "entries": 7,
        "lengths": [2, 3, 2],
        "indices": [0, 1, 0, 1, 2, 1, 2],
    } | changes
    header = struct.pack(">iiii", *(fields[key] for key in ("class_id", "rows", "columns", "entries")))
    return header + struct.pack(">3i7i7d", *fields["lengths"], *fields["indices"], *DENSE[DENSE != 0])


DAMAGED = {
    "a header cut off": (b"\0\0", "it has 2 bytes and the header alone has 16"),
    "values cut off": (petsc_with()[:-1], "it has 111 bytes and its header asks for 112"),
    "a vector": (
        petsc_with(class_id=1211214),
        "it starts with 1211214, a vector's, not with 1211216, a matrix's with 32-bit indices",
    ),
    "64-bit indices": (petsc_with(class_id=0), "it starts with 0, not with 1211216, a matrix's with 32-bit indices"),
    "a dense matrix": (petsc_with(entries=-1), "its header says 3 rows, 3 columns and -1 entries"),
    "complex values": (petsc_with() + bytes(56), "it has 168 bytes and its header asks for 112 with float64 values"),
    "row lengths": (petsc_with(lengths=[2, 2, 2]), "the lengths of its rows do not add up to its 7 entries"),
    "negative length": (petsc_with(lengths=[8, -3, 2]), "the lengths of its rows do not add up to its 7 entries"),
    "columns": (petsc_with(indices=[0, 1, 0, 1, 2, 1, 3]), "it has a column outside of 0 to 2"),
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_petsc_files(tmp_path, content, reason):
    path = tmp_path / "a.petsc"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_matrix(path)
    assert (
        str(caught.value)
        == f"{path} cannot be read as PETSc binary ({reason}), expected a complete file; write it again"
    )


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 600


def npz_bytes(tmp_path):
    sp.save_npz(tmp_path / "whole.npz", sp.csr_array(DENSE))
    return (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_npz(tmp_path, share):
    content = npz_bytes(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="cannot be read as SciPy's npz") as caught:
        load_matrix(path)
    assert one_sentence(caught)
    assert "pickle" not in str(caught.value)


def test_npz_that_is_no_sparse_matrix(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(InputError, match="cannot be read as SciPy's npz") as caught:
        load_matrix(tmp_path / "a.npz")
    assert one_sentence(caught)


def test_npz_with_an_index_out_of_bounds(tmp_path):
    A = sp.csr_array(DENSE)
    A.indices[-1] = 1000
    sp.save_npz(tmp_path / "a.npz", A)
    with pytest.raises(InputError, match="cannot be read as SciPy's npz"):
        load_matrix(tmp_path / "a.npz")


HEADER = "%%MatrixMarket matrix coordinate real general\n"


@pytest.mark.parametrize(
    "text",
    ["", "hello\n", HEADER, HEADER + "3 3 4\n1 1 2.0\n", HEADER + "2 2 2\n1 1 x\n2 2 1\n", HEADER + "2 2 1\n5 5 1.0\n"],
    ids=["empty", "text", "no size", "truncated", "no number", "out of bounds"],
)
def test_damaged_matrix_market(tmp_path, text):
    path = tmp_path / "a.mtx"
    path.write_text(text)
    with pytest.raises(InputError, match="cannot be read as Matrix Market") as caught:
        load_matrix(path)
    assert one_sentence(caught)


def test_refused_matrix_names_the_file(tmp_path):
    path = tmp_path / "a.mtx"
    scipy.io.mmwrite(path, sp.coo_array(np.array([[2.0, 0.0], [0.0, -3.0]])))
    with pytest.raises(InputError) as caught:
        load_matrix(path)
    assert str(caught.value) == (
        f"{path} has the diagonal entry -3.0 in row 1, expected a positive one; eliminate the unknowns that have no "
        "equation of their own"
    )


def test_refused_paths(tmp_path):
    with pytest.raises(InputError) as caught:
        load_matrix(tmp_path / "no.mtx")
    assert str(caught.value) == f"{tmp_path / 'no.mtx'} is not there, expected a matrix file; check the path"
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(InputError) as caught:
        load_matrix(tmp_path / "d.npz")
    assert str(caught.value) == f"{tmp_path / 'd.npz'} is a directory, expected a matrix file; check the path"
    with pytest.raises(InputError) as caught:
        load_matrix("a.mat")
    assert str(caught.value) == (
        "a.mat has the suffix '.mat', expected one of .mtx, .npz, .petsc, .dat, .bin; convert the matrix, for example "
        "with scipy.io.mmwrite"
    )


def test_files_of_a_directory(tmp_path):
    for name in ("b.mtx", "a.npz", "c.txt", "B.MTX"):
        (tmp_path / name).touch()
    assert [path.name for path in matrix_files(tmp_path)] == ["B.MTX", "a.npz", "b.mtx"]
    assert matrix_files(tmp_path / "b.mtx") == (tmp_path / "b.mtx",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        matrix_files(tmp_path / "empty")
    assert str(caught.value) == (
        f"{tmp_path / 'empty'} holds no file with a suffix of .mtx, .npz, .petsc, .dat, .bin, expected at least one "
        "matrix; check the path"
    )

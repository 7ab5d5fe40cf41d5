"""Journeys of `psparsity solve` in one process: files in, files and a table out, and the sentence of each refusal."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pyamg
import pytest
import scipy.io
import scipy.sparse as sp

from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.cli import main, options
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.deploy import learned_solver
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.evaluation import solve as solve_module
from rllib_psparsity.evaluation.arms import recipe_methods
from rllib_psparsity.evaluation.warm_up import warm_up_problem
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.problems.vectors import load_vector

SIDE = 14
A = sp.csr_array(pyamg.gallery.poisson((SIDE, SIDE), format="csr"))


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """A Matrix Market file with symmetric storage."""
    path = tmp_path / "a.mtx"
    scipy.io.mmwrite(path, sp.coo_array(A), symmetry="symmetric", precision=17)
    return path


def petsc_matrix(path: Path) -> Path:
    header = struct.pack(">4i", 1211216, *A.shape, A.nnz)
    parts = (np.diff(A.indptr).astype(">i4"), A.indices.astype(">i4"), A.data.astype(">f8"))
    path.write_bytes(header + b"".join(part.tobytes() for part in parts))
    return path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.removeprefix("psparsity: ").rstrip("\n")


def test_solution_of_a_seeded_right_hand_side(capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npy"
    assert main(["solve", str(matrix), "--out", str(out)]) == 0
    b = np.random.default_rng(0).standard_normal(SIDE * SIDE)
    assert np.linalg.norm(b - A @ np.load(out)) <= 1e-8 * np.linalg.norm(b)
    printed = capsys.readouterr().out
    assert f"matrix: {matrix}, {SIDE * SIDE} unknowns, {A.nnz} nonzeros" in printed
    assert "right-hand side: a normal vector of seed 0, since no --rhs is given" in printed
    assert "iterations, relative residual" in printed
    assert f"solution: written to {out}" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mtx", "x.npy"]


@pytest.mark.parametrize("suffix", [".mtx", ".petsc", ".NPY"])
def test_petsc_matrix_with_a_right_hand_side_to_a_tolerance(tmp_path: Path, suffix: str) -> None:
    matrix, rhs, out = petsc_matrix(tmp_path / "a.petsc"), tmp_path / "b.npy", tmp_path / f"x{suffix}"
    b = A @ np.arange(1.0, SIDE * SIDE + 1)
    np.save(rhs, b)
    assert main(["solve", str(matrix), "--rhs", str(rhs), "--out", str(out), "--tol", "1e-11", "--no-guard"]) == 0
    np.testing.assert_allclose(load_vector(out, len(b)), np.arange(1.0, SIDE * SIDE + 1), rtol=1e-7)


def test_compare_and_plot(capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path) -> None:
    plot = tmp_path / "curves.SVG"
    assert main(["solve", str(matrix), "--compare", "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    table = [line.split("│")[1].strip() for line in printed.splitlines() if line.startswith("│")]
    assert table[:2] == ["learned", PYAMG_DEFAULT.name]
    assert len({*table[2:4]} & {member.name for member in PORTFOLIO}) == 2
    for name in ("hypre BoomerAMG", "PETSc GAMG"):
        assert name in table or f"without {name}" in printed or f"and {name}: " in printed
    assert "a.mtx: to a relative residual of 1e-08" in printed and "the guard took" not in printed
    drawing = plot.read_text(encoding="utf-8")
    assert drawing.startswith("<?xml") and "</svg>" in drawing


def test_compare_says_what_the_guard_took(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing of a diagonal matrix can be coarsened."""
    matrix = tmp_path / "diagonal.npz"
    sp.save_npz(matrix, sp.diags_array(np.arange(1.0, 800.0), format="csr"))
    assert main(["solve", str(matrix), "--compare"]) == 0
    assert "\nlearned: the guard took gauss-seidel\n" in capsys.readouterr().out


@pytest.mark.parametrize("blocks", [False, True])
def test_kernels_are_loaded_before_the_set_up_that_is_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blocks: bool
) -> None:
    """By a hierarchy of the user's kind, then by every recipe; a failure there, as without the guard, is none here."""
    matrix = tmp_path / "a.npz"
    sp.save_npz(matrix, sp.bsr_array(sp.kron(A, np.eye(3)).tobsr((3, 3))) if blocks else A)
    built: list[tuple[int, bool]] = []

    def build(matrix, **options):
        built.append((matrix.shape[0], matrix.format == "bsr"))
        if len(built) == 1:
            raise SetupFailure("no")
        return learned_solver(matrix, **options)

    monkeypatch.setattr("rllib_psparsity.deploy.learned_solver", build)
    recipes: list[str] = []

    def methods(menu, limits):
        recipes.extend(recipe.name for recipe in menu)
        return recipe_methods(menu, limits)

    monkeypatch.setattr("rllib_psparsity.evaluation.arms.recipe_methods", methods)
    assert main(["solve", str(matrix), "--no-guard", "--policy", "default"]) == 0
    block = 3 if blocks else 1
    assert built == [(warm_up_problem(block, block).num_unknowns, blocks), (SIDE * SIDE * block, blocks)]
    assert "sa/jacobi/evolution" in recipes and ("classical/modified/evolution" in recipes) is not blocks


def test_a_policy_of_another_backbone(capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path) -> None:
    save_policy(untrained_network(PolicyConfig(backbone="gin", width=8, layers=1), 0), Limits(), tmp_path / "gin", "")
    assert main(["solve", str(matrix), "--policy", str(tmp_path / "gin")]) == 0
    assert "iterations, relative residual" in capsys.readouterr().out


def test_not_converged_is_1_with_a_sentence_and_nothing_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.npy"
    monkeypatch.setattr(solve_module, "MAX_ITERATIONS", 1)
    assert main(["solve", str(matrix), "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(
        f"psparsity: {matrix} is not solved: not converged in 1 iterations; the relative residual is "
    )
    assert err.endswith(f"where --tol asks for 1e-08, and {out} is not written\n")
    assert err.count("\n") == 1 and not out.exists()


def test_files_are_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path
) -> None:
    assert refusal(capsys, "solve", matrix, "--out", tmp_path / "x.txt") == (
        f"--out {tmp_path / 'x.txt'} has the suffix '.txt', expected one of .mtx, .npy, .petsc, .dat, .bin; "
        "name another file"
    )
    assert refusal(capsys, "solve", matrix, "--out", matrix) == (
        f"--out {matrix} is there already, and nothing is overwritten; name another file"
    )
    assert refusal(capsys, "solve", matrix, "--out", tmp_path / "none" / "x.npy") == (
        f"--out {tmp_path / 'none' / 'x.npy'} is in a directory that is not there; make {tmp_path / 'none'} first"
    )
    assert "has the suffix '.bmp', expected one of .png, .pdf, .svg" in refusal(
        capsys, "solve", matrix, "--plot", tmp_path / "c.bmp"
    )
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    assert refusal(capsys, "solve", matrix, "--plot", tmp_path / "c.png") == (
        "--plot needs matplotlib, which is not installed; run pip install matplotlib, or leave --plot out"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtx"]


def test_bad_input_is_2_with_a_sentence(capsys: pytest.CaptureFixture[str], matrix: Path, tmp_path: Path) -> None:
    none = tmp_path / "none.mtx"
    assert refusal(capsys, "solve", none) == f"{none} is not there, expected a matrix file; check the path"
    short, indefinite = tmp_path / "b.npy", tmp_path / "bad.npz"
    np.save(short, np.ones(3))
    assert "expected a vector of length 196, the matrix's number of rows" in refusal(
        capsys, "solve", matrix, "--rhs", short
    )
    sp.save_npz(indefinite, sp.csr_array(-A))
    assert f"{indefinite} has the diagonal entry -4.0 in row 0" in refusal(capsys, "solve", indefinite)
    assert f"policy {str(tmp_path / 'p')!r} is " in refusal(capsys, "solve", matrix, "--policy", tmp_path / "p")
    for tol in ("0", "1", "nan", "-1e-8", "1e-300"):
        assert "expected a number below 1 and, since" in refusal(capsys, "solve", matrix, "--tol", tol)
    for tries in ("2.5", "two", "1e1"):
        assert refusal(capsys, "solve", matrix, "--tries", tries) == (
            f"--tries is {tries!r}, expected a whole number such as 3; mend it"
        )
    for name in ("MATRIX", "--rhs", "--policy", "--out"):
        long = "a" * 300 + ".mtx"
        arguments = [long] if name == "MATRIX" else [matrix, name, long]
        assert f"the path {'a' * 40}... has 304 characters" in refusal(capsys, "solve", *arguments)
    huge = tmp_path / "huge.mtx"
    huge.write_text(f"%%MatrixMarket matrix coordinate real general\n{10**12} {10**12} 1\n1 1 1\n")
    assert refusal(capsys, "solve", huge) == (
        f"{huge} has shape ({10**12}, {10**12}), expected one that this machine's memory can hold; check its header"
    )


def test_an_indefinite_matrix_is_refused_by_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Found after the set-up only."""
    matrix = tmp_path / "shifted.npz"
    sp.save_npz(matrix, sp.csr_array(A - 2.5 * sp.eye_array(SIDE * SIDE)))
    assert main(["solve", str(matrix)]) == 2
    assert capsys.readouterr().err.startswith(f"psparsity: {matrix}: the matrix is not positive definite: ")


def test_a_singular_matrix_wants_a_right_hand_side_in_its_range(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A square plate held nowhere: its Laplacian has the constants in its nullspace."""
    matrix, rhs, out = tmp_path / "plate.npz", tmp_path / "b.npy", tmp_path / "x.npy"
    plate = sp.csr_array(A - sp.diags_array(np.asarray(A.sum(axis=1)).ravel()))
    sp.save_npz(matrix, plate)
    b = plate @ np.random.default_rng(0).standard_normal(SIDE * SIDE)
    np.save(rhs, b)
    assert main(["solve", str(matrix), "--rhs", str(rhs), "--out", str(out)]) == 0
    assert np.linalg.norm(b - plate @ np.load(out)) <= 1e-8 * np.linalg.norm(b)
    capsys.readouterr()
    assert main(["solve", str(matrix)]) == 1
    assert capsys.readouterr().err.endswith("the matrix is singular, so pass a --rhs in its range\n")

"""Right-hand sides: the seeded vector for all but what a user brought, and one in the range where that is singular."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyamg
import pytest
from scipy.sparse import block_diag, bsr_array, csr_array, diags_array, kron, save_npz

from rllib_psparsity.amg.measurement import random_right_hand_side
from rllib_psparsity.cli import main
from rllib_psparsity.evaluation.external_arm import ExternalArm
from rllib_psparsity.evaluation.external_methods import ExternalSolve
from rllib_psparsity.evaluation.method import Method
from rllib_psparsity.evaluation.right_hand_side import consistent, right_hand_side
from rllib_psparsity.evaluation.rows import read_rows
from rllib_psparsity.problems.problem import FILE, Problem


def plate(side: int, held: float = 0.0) -> csr_array:
    """A square plate without an edge that is held; `held` is added to the diagonal in one corner."""
    A = csr_array(pyamg.gallery.poisson((side, side), format="csr"))
    corner = np.zeros(side * side)
    corner[0] = held
    return csr_array(A - diags_array(A @ np.ones(side * side) - corner))


def problem(A, family: str = FILE) -> Problem:
    return Problem(A, np.ones((A.shape[0], 1)), "plate", family)


def test_only_a_users_matrix_gets_another_one_than_the_seeded() -> None:
    singular, regular = plate(12), plate(12, held=1e-6)
    seeded = random_right_hand_side(144, 3)
    assert np.array_equal(right_hand_side(problem(singular, "graph_laplacian"), 3), seeded)
    assert np.array_equal(right_hand_side(problem(regular), 3), seeded)
    b = right_hand_side(problem(singular), 3)
    np.testing.assert_allclose(b, seeded - seeded.mean(), rtol=0, atol=1e-15)
    # Roundings of the assembly, as large as the values allow.
    rough = singular.copy()
    rough.data *= 1e7 * (1 + 1e-15 * np.random.default_rng(0).uniform(-1, 1, rough.nnz))
    assert np.array_equal(right_hand_side(problem(rough), 3), b)


def test_components_are_told_apart() -> None:
    """One plate held in a corner between two that are not, with the nodes in random order."""
    A = csr_array(block_diag([plate(5), plate(6, held=1.0), plate(7)]))
    order = np.random.default_rng(0).permutation(A.shape[0])
    b = random_right_hand_side(A.shape[0])
    found = np.empty_like(b)
    found[order] = consistent(csr_array(A[order][:, order]), b[order])
    first, second, third = np.split(found, [25, 61])
    assert abs(first.mean()) < 1e-15 and abs(third.mean()) < 1e-15
    assert np.array_equal(second, b[25:61])


def test_unknowns_of_a_block_that_are_not_coupled_are_components() -> None:
    A = bsr_array(kron(plate(6), np.eye(2)).tobsr((2, 2)))
    b = consistent(A, random_right_hand_side(72) + np.tile([0.0, 5.0], 36))
    np.testing.assert_allclose(b.reshape(-1, 2).mean(axis=0), 0.0, atol=1e-14)


def test_every_method_gets_it() -> None:
    given: list[np.ndarray] = []

    def external(A, B, b, tol, maxiter) -> ExternalSolve:
        given.append(b)
        return ExternalSolve(0.0, 0.0, 1, 1.0, 1.0, True, np.array([1.0, 1e-9]))

    method = Method("pinv", lambda problem: pyamg.smoothed_aggregation_solver(problem.A, max_coarse=10))
    singular = problem(plate(12))
    ExternalArm("external", external).measure(singular, 1)
    assert np.array_equal(given[0], right_hand_side(singular, 1))
    assert method.measure(singular, 1)["converged"]
    assert not method.measure(dataclasses.replace(singular, family="x"), 1)["converged"]


@pytest.mark.parametrize("pieces", [1, 2])
def test_singular_matrices_of_a_directory_are_solved(tmp_path, pieces: int) -> None:
    (tmp_path / "mine").mkdir()
    save_npz(tmp_path / "mine" / "plates.npz", csr_array(block_diag([plate(20)] * pieces)))
    out = tmp_path / "rows.parquet"
    arguments = ["evaluate", "--suite", str(tmp_path / "mine"), "--out", str(out), "--repeats", "1"]
    assert main([*arguments, "--methods", "learned", "default", "sa symmetric 0.1 energy 1"]) == 0
    rows, _ = read_rows(out)
    assert [row["failure"] for row in rows] == ["", "", ""]

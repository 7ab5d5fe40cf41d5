"""NGSolve's matrices by what must hold of them, where it is installed; and what is said where it is not."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp

from rllib_psparsity.problems.validation import check_matrix
from studies import ngsolve_matrices


def test_without_ngsolve(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ngsolve", None)
    assert ngsolve_matrices.main(["--out", str(tmp_path / "new")]) == 2
    assert "pip install ngsolve" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(capsys, tmp_path):
    assert ngsolve_matrices.main(["--out", str(tmp_path)]) == 2
    assert "a new directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def square():
    pytest.importorskip("ngsolve")
    from netgen.occ import MoveTo

    return ngsolve_matrices.meshed(MoveTo(0, 0).Rectangle(1, 1).Face(), 0.3, 2)


def test_a_rigid_body_costs_no_energy(square):
    """Point by point: a translation along x is one at every other unknown."""
    A = ngsolve_matrices.elasticity(square, 1, fixed="")
    x, y = np.array([vertex.point for vertex in square.vertices]).T
    modes = np.zeros((A.shape[0], 3))
    modes[0::2, 0], modes[1::2, 1] = 1, 1
    modes[0::2, 2], modes[1::2, 2] = -y, x
    assert A.blocksize == (2, 2)
    np.testing.assert_allclose(A @ modes, 0, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2])
def test_energy_of_a_polynomial(square, degree):
    """u = x has the energy 1 on the unit square, with all of its points free; its mass is 1 / 3."""
    from ngsolve import H1, GridFunction, x

    u = GridFunction(H1(square, order=degree))
    u.Set(x)
    values = np.array(u.vec)
    for coefficient, mass in ((1.0, 0.0), (2.0, 3.0)):
        A = ngsolve_matrices.diffusion(square, coefficient, mass, degree, fixed="")
        assert values @ A @ values == pytest.approx(coefficient + mass / 3)


def test_fixed_points_are_left_out_and_refinement_stops(square):
    points = np.array([vertex.point for vertex in square.vertices])
    on_boundary = np.isclose(points * (1 - points), 0).any(axis=1).sum()
    assert ngsolve_matrices.diffusion(square).shape[0] == square.nv - on_boundary
    assert 100 < ngsolve_matrices.adapted(square, 1.0, 1, 150).shape[0] < 400


def test_all_are_matrices_for_the_solver(tmp_path):
    pytest.importorskip("ngsolve")
    assert ngsolve_matrices.main(["--out", str(tmp_path / "all")]) == 0
    assert {path.stem for path in (tmp_path / "all").iterdir()} == set(ngsolve_matrices.MATRICES)
    for path in (tmp_path / "all").iterdir():
        A, _ = check_matrix(sp.load_npz(path))
        assert 2_000 < A.shape[0] < 80_000

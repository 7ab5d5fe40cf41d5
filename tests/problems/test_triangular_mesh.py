"""The triangular mesh against scikit-fem, and the stencil of equilateral triangles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.triangular_mesh import lattice, make

PLAIN = {"epsilon": 1.0, "theta": 0.0, "jitter": 0.0, "grading": 0.0}


def test_equilateral_triangles_couple_six_neighbours_alike():
    A = make(np.random.default_rng(0), 60, **PLAIN).A.toarray()
    inner = np.flatnonzero(np.isclose(A.sum(axis=1), 0.0, atol=1e-10))
    off = A[inner] - np.diag(A.diagonal())[inner]
    counts = (off < -1e-10).sum(axis=1)
    assert len(inner) > 3000 and (counts == 6).all()
    # Two equilateral triangles at an edge: -(cot 60 + cot 60) / 2; rows are not quite as high, so that they fit.
    assert off[off < -1e-10] == pytest.approx(-1 / np.sqrt(3), rel=0.03)


@pytest.mark.parametrize(("jitter", "grading"), [(0.0, 0.0), (0.25, 0.0), (0.2, 1.5)])
def test_it_is_scikit_fems(jitter, grading):
    from skfem import Basis, BilinearForm, ElementTriP1, MeshTri

    epsilon, theta = 0.2, 0.7
    problem = make(np.random.default_rng(3), 9, epsilon=epsilon, theta=theta, jitter=jitter, grading=grading)
    points, interior = lattice(9)
    points[interior] += np.random.default_rng(3).uniform(-jitter, jitter, (interior.sum(), 2)) / 10
    triangles = Delaunay(points).simplices
    points = points * np.hypot(*points.T)[:, None] ** grading
    c, s = np.cos(theta), np.sin(theta)
    K = np.outer([c, s], [c, s]) + epsilon * np.outer([-s, c], [-s, c])
    form = BilinearForm(lambda u, v, w: sum(K[i, j] * u.grad[i] * v.grad[j] for i in range(2) for j in range(2)))
    expected = form.assemble(Basis(MeshTri(points.T, triangles.T), ElementTriP1())).toarray()
    assert problem.A.toarray() == pytest.approx(expected[np.ix_(interior, interior)], abs=1e-12)

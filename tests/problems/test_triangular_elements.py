"""Elements on refined triangles against scikit-fem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.triangular_elements import make, refined
from rllib_psparsity.problems.families.triangular_mesh import lattice
from tests.problems.order import assert_same_but_for_order

PARAMETERS = {"epsilon": 0.3, "theta": 0.6, "jitter": 0.2, "grading": 1.2}


def mesh(size, degree, refinements):
    """The mesh of `make`, by its description, with seed 3: points and triangles before the refinements."""
    cells = round((size + 1) / degree) / 2**refinements
    points, interior = lattice(round(cells) - 1)
    points[interior] += np.random.default_rng(3).uniform(-0.2, 0.2, (interior.sum(), 2)) / cells
    triangles = np.sort(Delaunay(points).simplices, axis=1)
    return points * np.hypot(*points.T)[:, None] ** 1.2, triangles


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("refinements", [0, 1])
def test_it_is_scikit_fems(degree, refinements):
    import skfem

    size = 9 * degree - 1 if refinements == 0 else 8 * degree - 1
    problem = make(np.random.default_rng(3), size, degree=degree + 0.5, refinements=refinements + 0.5, **PARAMETERS)
    points, triangles = mesh(size, degree, refinements)
    fem = skfem.MeshTri(points.T, triangles.T).refined(refinements)
    basis = skfem.Basis(fem, getattr(skfem, f"ElementTriP{degree}")())
    c, s = np.cos(0.6), np.sin(0.6)
    K = np.outer([c, s], [c, s]) + 0.3 * np.outer([-s, c], [-s, c])
    form = skfem.BilinearForm(lambda u, v, w: sum(K[i, j] * u.grad[i] * v.grad[j] for i in range(2) for j in range(2)))
    inside = basis.complement_dofs(basis.get_dofs())
    expected = form.assemble(basis)[inside][:, inside].toarray()
    assert_same_but_for_order(problem.A.toarray(), expected)


def test_refined_triangles_are_a_quarter_and_fit():
    points, triangles = mesh(9, 1, 0)
    finer, four = refined(points, triangles)

    def areas(points, triangles):
        corners = points[triangles]
        return abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 2

    assert areas(finer, four) == pytest.approx(np.tile(areas(points, triangles) / 4, 4))
    assert len(np.unique(finer.round(12), axis=0)) == len(finer)
    assert len(finer) - len(points) == len(points) + len(triangles) - 1  # Euler: as many midpoints as sides


def test_a_mesh_is_not_refined_to_fewer_than_three_cells():
    few, more = (make(np.random.default_rng(0), 11, degree=1.0, refinements=r, **PARAMETERS) for r in (2.0, 7.0))
    np.testing.assert_array_equal(few.A.toarray(), more.A.toarray())

"""Elements on tetrahedra against scikit-fem, and the mesh against its description."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.tetrahedral_elements import lattice, make
from tests.problems.order import assert_same_but_for_order

CELLS = 3
SIZES = {1: 3, 2: 7}
"""Of some `CELLS` cubes a side, by degree: (size + 1) / degree / 2^(1/3), rounded."""


def mesh(jitter, grading):
    """The mesh of `make`, by its description, with seed 3."""
    points, interior = lattice(CELLS)
    points[interior] += np.random.default_rng(3).uniform(-jitter, jitter, (interior.sum(), 3)) / CELLS
    tetrahedra = np.sort(Delaunay(points).simplices, axis=1)
    volumes = abs(np.linalg.det(points[tetrahedra[:, 1:]] - points[tetrahedra[:, :1]])) / 6
    return points * np.sqrt((points**2).sum(axis=1))[:, None] ** grading, tetrahedra[volumes > 1e-6 / CELLS**3]


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("grading", [0.0, 0.8])
def test_it_is_scikit_fems(degree, grading):
    import skfem

    size = SIZES[degree]
    problem = make(np.random.default_rng(3), size, degree=degree + 0.5, epsilon=0.3, jitter=0.12, grading=grading)
    points, tetrahedra = mesh(0.12, grading)
    basis = skfem.Basis(skfem.MeshTet(points.T, tetrahedra.T), getattr(skfem, f"ElementTetP{degree}")())
    form = skfem.BilinearForm(lambda u, v, w: sum(k * u.grad[i] * v.grad[i] for i, k in enumerate((1.0, 1.0, 0.3))))
    inside = basis.complement_dofs(basis.get_dofs())
    expected = form.assemble(basis)[inside][:, inside].toarray()
    assert_same_but_for_order(problem.A.toarray(), expected)


@pytest.mark.parametrize("cells", [2, 4])
def test_the_lattice_fills_the_cube_and_is_body_centred(cells):
    points, interior = lattice(cells)
    assert len(points) == (cells + 1) ** 3 + cells**3
    assert interior.sum() == (cells - 1) ** 3 + cells**3
    assert len(np.unique(points, axis=0)) == len(points)
    assert points.min() == 0 and points.max() == 1
    tetrahedra = Delaunay(points).simplices
    volumes = abs(np.linalg.det(points[tetrahedra[:, 1:]] - points[tetrahedra[:, :1]])) / 6
    full = volumes > 1e-9
    assert volumes.sum() == pytest.approx(1.0)
    assert volumes[full] == pytest.approx(1 / cells**3 / 12)  # all alike
    assert full.sum() == 12 * cells**3


@pytest.mark.parametrize("size", [7, 12, 15])
@pytest.mark.parametrize("degree", [1.0, 2.0])
def test_size_is_that_of_a_side(size, degree):
    problem = make(np.random.default_rng(0), size, degree=degree, epsilon=1.0, jitter=0.1, grading=0.5)
    assert 0.6 * size**3 < problem.num_unknowns < 1.4 * size**3


def test_no_tetrahedron_is_flat():
    """Flat ones, which Delaunay leaves on the boundary, would have diagonal entries without a bound."""
    for seed in range(5):
        A = make(np.random.default_rng(seed), 7, degree=1.0, epsilon=1.0, jitter=0.15, grading=0.0).A
        assert A.diagonal().max() < 100 * A.diagonal().mean()

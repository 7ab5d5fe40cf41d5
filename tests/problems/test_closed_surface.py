"""Closed surfaces: their topology, their area, and their matrix against another assembly."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.problems.families.closed_surface import icosahedron, make, sphere_points, surface
from rllib_psparsity.problems.surface_laplacian import surface_laplacian

PLAIN = {"stretch": 1.0, "folds": 0.0, "jitter": 0.0}
BENT = {"stretch": 1.7, "folds": 0.5, "jitter": 0.25}


@pytest.mark.parametrize("frequency", [1, 2, 5, 12])
def test_points_of_a_sphere_are_each_there_once(frequency: int) -> None:
    points = sphere_points(frequency)
    assert points.shape == (10 * frequency**2 + 2, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 10 * np.eye(len(points))
    nearest = gaps.min(axis=1) * frequency / 1.0515  # an edge of the icosahedron, in units of its radius
    assert nearest.min() > 0.85 and nearest.max() < 1.3


def test_the_corners_of_an_icosahedron_have_five_neighbours_alike() -> None:
    gaps = np.sort(np.linalg.norm(icosahedron()[:, None] - icosahedron()[None], axis=2), axis=1)
    np.testing.assert_allclose(gaps[:, 1:6], 2.0)
    assert (gaps[:, 6:] > 3).all()


@pytest.mark.parametrize("shape", [PLAIN, BENT], ids=["plain", "bent"])
def test_it_is_closed(shape: dict[str, float]) -> None:
    """Every edge is in two triangles, and by Euler's formula it is a sphere to a topologist."""
    points, triangles = surface(np.random.default_rng(1), 20, **shape)
    edges, times = np.unique(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=0, return_counts=True
    )
    assert (times == 2).all() and len(points) - len(edges) + len(triangles) == 2
    assert set(np.unique(triangles)) == set(range(len(points)))


def test_most_points_of_a_regular_one_couple_six_neighbours_nearly_alike() -> None:
    A = make(np.random.default_rng(0), 60, shift=1e-3, **PLAIN).A.tocoo()
    off = -A.data[A.row != A.col]
    counts = np.bincount(A.row[A.row != A.col])
    assert sorted(np.unique(counts)) == [5, 6] and (counts == 5).sum() == 12
    assert np.median(off) == pytest.approx(1 / np.sqrt(3), rel=0.05) and off.min() > 0.3 and off.max() < 0.8


@pytest.mark.parametrize("shape", [PLAIN, BENT], ids=["plain", "bent"])
def test_it_is_the_laplacian_of_the_surface_and_a_mass(shape: dict[str, float]) -> None:
    points, triangles = surface(np.random.default_rng(3), 14, **shape)
    problem = make(np.random.default_rng(3), 14, shift=0.7, **shape)
    rest = problem.A.toarray() - surface_laplacian(points, triangles).toarray()
    mass = np.diag(rest) / 0.7
    np.testing.assert_allclose(rest, np.diag(np.diag(rest)), atol=1e-12)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert (mass > 0).all() and mass.sum() == pytest.approx(area.sum())


def test_a_fine_sphere_has_its_eigenvalues() -> None:
    """l (l + 1), 2 l + 1 times, of the Laplacian relative to the mass."""
    matrices = {shift: make(np.random.default_rng(0), 40, shift=shift, **PLAIN).A.toarray() for shift in (1.0, 2.0)}
    mass = np.diag(matrices[2.0] - matrices[1.0])
    root = np.sqrt(mass)
    eigenvalues = np.linalg.eigvalsh((matrices[1.0] - np.diag(mass)) / root / root[:, None])
    np.testing.assert_allclose(eigenvalues[:9], [0, 2, 2, 2, 6, 6, 6, 6, 6], rtol=0.01, atol=1e-9)


@pytest.mark.parametrize(("size", "unknowns"), [(3, 12), (20, 362), (64, 4002)])
def test_size_is_that_of_a_square(size: int, unknowns: int) -> None:
    assert make(np.random.default_rng(0), size, shift=1.0, **BENT).num_unknowns == unknowns

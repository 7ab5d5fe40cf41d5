"""Elements on triangles and tetrahedra against exact energies and plain loops."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.simplex_elements import (
    interior_numbers,
    lagrange_points,
    outer_facets,
    sides_of,
    stiffness,
)

DEGREES = [(2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (3, 1), (3, 2)]


def unit_square_or_cube(dimensions, inner, seed=0):
    """Corners, and points inside: what Delaunay makes of them is convex and has no other point on its boundary."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * dimensions), axis=-1).reshape(-1, dimensions)
    points = np.concatenate([corners, np.random.default_rng(seed).uniform(0.1, 0.9, (inner, dimensions))])
    return points, np.sort(Delaunay(points).simplices, axis=1)


@pytest.mark.parametrize(("dimensions", "degree"), DEGREES)
def test_energy_of_a_polynomial_is_exact(dimensions, degree):
    """u = (s . x)^degree on the unit simplex, whose slopes are degree (s . x)^(degree - 1) s."""
    corners = np.concatenate([np.zeros((1, dimensions)), np.eye(dimensions)])[None]
    s, K = np.arange(1.0, dimensions + 1), np.diag(1 / np.arange(1.0, dimensions + 1))
    u = (lagrange_points(dimensions, degree) @ corners[0] / degree @ s) ** degree
    (element,) = stiffness(corners, K, degree)
    t, w = np.polynomial.legendre.leggauss(8)
    grid = np.stack(np.meshgrid(*[(t + 1) / 2] * dimensions, indexing="ij"))
    weight = np.prod(np.meshgrid(*[w / 2] * dimensions, indexing="ij"), axis=0)
    x = []  # the cube collapsed onto the simplex: x_k = g_k (1 - g_1) ... (1 - g_{k-1}), with its volume
    left = np.ones_like(weight)
    for axis in range(dimensions):
        weight = weight * left
        x.append(grid[axis] * left)
        left = left * (1 - grid[axis])
    slope = degree * np.tensordot(s, np.stack(x), 1) ** (degree - 1)
    assert u @ element @ u == pytest.approx(np.sum(weight * slope**2) * (s @ K @ s), rel=1e-10)
    assert element @ np.ones(len(u)) == pytest.approx(np.zeros(len(u)), abs=1e-9)


@pytest.mark.parametrize(("dimensions", "degree"), DEGREES)
def test_points_are_the_lattice_and_lie_where_they_are_said_to(dimensions, degree):
    points = lagrange_points(dimensions, degree)
    assert len(points) == len({tuple(p) for p in points}) == comb(degree + dimensions, dimensions)
    assert (points.sum(axis=1) == degree).all()
    np.testing.assert_array_equal(points[: dimensions + 1], degree * np.eye(dimensions + 1, dtype=int))
    supports = [tuple(np.flatnonzero(p)) for p in points]
    assert supports == sorted(supports, key=lambda corners: (len(corners), corners))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_sides_and_outer_facets_are_those_of_plain_loops(dimensions):
    points, cells = unit_square_or_cube(dimensions, 12)
    ends, sides = sides_of(cells)
    assert {tuple(e) for e in ends} == {pair for cell in cells.tolist() for pair in combinations(cell, 2)}
    for cell, own in zip(cells.tolist(), sides, strict=True):
        assert [tuple(e) for e in ends[own]] == list(combinations(cell, 2))
    facets = [facet for cell in cells.tolist() for facet in combinations(cell, dimensions)]
    expected = {facet for facet in facets if facets.count(facet) == 1}
    assert {tuple(f) for f in outer_facets(cells)} == expected
    on_boundary = np.any((points == 0) | (points == 1), axis=1)
    assert all(on_boundary[list(facet)].all() for facet in expected)


@pytest.mark.parametrize(("dimensions", "degree"), DEGREES)
def test_points_have_one_number_each_and_none_on_the_boundary(dimensions, degree):
    points, cells = unit_square_or_cube(dimensions, 30)
    numbers = interior_numbers(cells, len(points), degree)
    where = lagrange_points(dimensions, degree) / degree @ points[cells]  # (T, p, d)
    on_boundary = np.any((abs(where) < 1e-9) | (abs(where - 1) < 1e-9), axis=2)
    np.testing.assert_array_equal(numbers == -1, on_boundary)
    place = {}
    for number, x in zip(numbers[~on_boundary], where[~on_boundary], strict=True):
        assert place.setdefault(number, tuple(x)) == pytest.approx(tuple(x), abs=1e-12)
    assert sorted(place) == list(range(len(place)))
    assert len({tuple(np.round(x, 9)) for x in place.values()}) == len(place)

"""Lagrange elements on triangles and tetrahedra, of which families of elements on meshes are made."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from math import comb, factorial, prod

import numpy as np


def sides_of(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S, 2) ends of every side, once; (T, s) sides of the cells (T, d + 1), of each its pairs of corners in order."""
    pairs = np.array(list(combinations(range(cells.shape[1]), 2)))
    ends, numbers = np.unique(cells[:, pairs].reshape(-1, 2), axis=0, return_inverse=True)
    return ends, numbers.reshape(-1, len(pairs))


def outer_facets(cells: np.ndarray) -> np.ndarray:
    """(F, d) corners of the facets, sides of triangles or faces of tetrahedra, that one cell alone has."""
    corners = cells.shape[1]
    facets = cells[:, list(combinations(range(corners), corners - 1))].reshape(-1, corners - 1)
    found, counts = np.unique(facets, axis=0, return_counts=True)
    return found[counts == 1]


def interior_numbers(cells: np.ndarray, corners: int, degree: int) -> np.ndarray:
    """(T, p) number of every point of the cells, -1 on the boundary; in the order of `lagrange_points`.

    The corners of a cell are sorted. Any degree on triangles, at most two on tetrahedra, whose faces have no points
    of their own then.
    """
    ends, sides = sides_of(cells)
    outer, _ = sides_of(outer_facets(cells))
    on_boundary = np.isin(ends @ [corners, 1], outer @ [corners, 1])
    on_sides = corners + np.arange(len(ends) * (degree - 1)).reshape(len(ends), -1)
    inside = np.ones(corners + on_sides.size, dtype=bool)
    inside[outer] = False
    inside[on_sides[on_boundary]] = False
    number = np.where(inside, np.cumsum(inside) - 1, -1)
    of_cells = comb(degree - 1, cells.shape[1] - 1)
    own = inside.sum() + np.arange(len(cells) * of_cells).reshape(len(cells), of_cells)
    return np.concatenate([number[cells], number[on_sides[sides]].reshape(len(cells), -1), own], axis=1)


def lagrange_points(dimensions: int, degree: int) -> np.ndarray:
    """(p, d + 1) barycentric coordinates, times degree: corners; sides, from their lower corner; what is inside."""
    points = []
    for count in range(1, dimensions + 2):
        parts = [p for p in product(range(1, degree + 1), repeat=count) if sum(p) == degree]
        for corners in combinations(range(dimensions + 1), count):
            for part in sorted(parts, key=lambda p: p[::-1]):
                points.append(np.zeros(dimensions + 1, dtype=int))
                points[-1][list(corners)] = part
    return np.array(points)


@lru_cache(maxsize=8)
def unit_simplex(dimensions: int, degree: int) -> np.ndarray:
    """(d, d, p, p) integrals of the products of derivatives of the basis over the simplex with 0 and the unit vectors.

    By monomials x^a, whose integral is a! / (|a| + d)!: exact but for rounding.
    """
    powers = np.array([a for a in product(range(degree + 1), repeat=dimensions) if sum(a) <= degree])
    x = lagrange_points(dimensions, degree)[:, 1:] / degree
    to_basis = np.linalg.inv(np.prod(x[:, None] ** powers, axis=2))  # columns: the basis, in monomials
    result = np.empty((dimensions, dimensions, len(powers), len(powers)))
    for i, j in product(range(dimensions), repeat=2):
        lowered = [powers - np.eye(dimensions, dtype=int)[axis] for axis in (i, j)]
        sums = np.maximum(lowered[0][:, None] + lowered[1], 0)
        products = np.outer(powers[:, i], powers[:, j]) * np.apply_along_axis(_monomial_integral, 2, sums)
        result[i, j] = to_basis.T @ products @ to_basis
    return result


def _monomial_integral(exponents: np.ndarray) -> float:
    return prod(factorial(a) for a in exponents.tolist()) / factorial(int(exponents.sum()) + len(exponents))


def stiffness(corners: np.ndarray, K: np.ndarray, degree: int) -> np.ndarray:
    """(T, p, p) element matrices of -div(K grad u) on cells with corners (T, d + 1, d)."""
    edges = (corners[:, 1:] - corners[:, :1]).swapaxes(1, 2)  # the affine map's matrix
    inverse = np.linalg.inv(edges)
    metric = inverse @ K @ inverse.swapaxes(1, 2) * abs(np.linalg.det(edges))[:, None, None]
    return np.einsum("tij,ijab->tab", metric, unit_simplex(corners.shape[2], degree))

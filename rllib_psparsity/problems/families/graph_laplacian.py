"""Weighted Laplacians of random geometric graphs."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.problem import Problem


def make(rng: np.random.Generator, size: int, *, degree: float, sigma: float, shift: float) -> Problem:
    """Laplacian of a random geometric graph with lognormal weights, plus a small multiple of the identity.

    size^2 points drawn in the unit square; those within the distance at which an inner point has `degree` neighbours
    on average are joined by an edge of weight exp(sigma z), z standard normal, so the median weight is 1. Only the
    largest connected part is kept (at most size^2 unknowns, in the random order they were drawn). A = L + shift I.
    """
    points = rng.random((size * size, 2))
    pairs = KDTree(points).query_pairs(math.sqrt(degree / (math.pi * len(points))), output_type="ndarray")
    first, second = np.divmod(np.sort(pairs[:, 0] * len(points) + pairs[:, 1]), len(points))
    weights = np.exp(sigma * rng.standard_normal(len(pairs)))
    adjacency = csr_array((weights, (first, second)), shape=(len(points), len(points)))
    _, part = connected_components(adjacency, directed=False)
    kept = part == np.argmax(np.bincount(part))

    numbers = np.cumsum(kept) - 1
    inside = kept[first]
    first, second, weights = numbers[first[inside]], numbers[second[inside]], weights[inside]
    matrix = laplacian(first, second, weights, int(kept.sum()), shift)
    return scalar_problem(matrix, FAMILY.name, size, degree=degree, sigma=sigma, shift=shift)


def laplacian(first: np.ndarray, second: np.ndarray, weights: np.ndarray, n: int, shift: float) -> csr_array:
    """(n, n) Laplacian of the edges from `first` to `second`, plus `shift` on the diagonal; no edge is there twice."""
    diagonal = np.bincount(first, weights, n) + np.bincount(second, weights, n) + shift
    nodes = np.arange(n)
    entries = np.concatenate([-weights, -weights, diagonal])
    rows = np.concatenate([first, second, nodes]).astype(np.int32)
    columns = np.concatenate([second, first, nodes]).astype(np.int32)
    matrix = csr_array((entries, (rows, columns)), shape=(n, n))
    matrix.sort_indices()
    return matrix


FAMILY = Family(
    "graph_laplacian",
    make,
    {
        "degree": Parameter(6.0, 12.0, minimum=1.0, maximum=64.0),
        "sigma": Parameter(0.1, 2.0, minimum=0.0, maximum=4.0, easy="low"),
        "shift": Parameter(1e-6, 1e-3, minimum=1e-8, maximum=1e3, log=True, easy="high"),
    },
)

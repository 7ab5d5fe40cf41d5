"""Laplacians of the graphs that machine learning makes of data: the nearest neighbours of every sample."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem, symmetric_csr
from rllib_psparsity.problems.problem import Problem

LEAST_PART = 0.25
"""Of the samples, in the graph: many classes far apart are as many graphs, some smaller than a coarsest level."""
MOST_HALVINGS = 10
"""Then the classes are one; with one neighbour each the samples are in many parts nevertheless."""


def make(
    rng: np.random.Generator,
    size: int,
    *,
    neighbours: float,
    dimensions: float,
    classes: float,
    distance: float,
    shift: float,
) -> Problem:
    """Laplacian of the nearest neighbours of samples of several classes, plus a small multiple of the identity.

    size^2 samples, each of a class drawn with even odds: normal, the deviation along axis k being 1 / sqrt(1 + k), as
    data have few directions of much variance; the classes' centres likewise, `distance` times as far apart. Whole parts
    of `neighbours`, `dimensions` and `classes` count. `laplacian_of_neighbours` says the rest; only its largest
    connected part is kept. Classes that are so far apart that it holds less than `LEAST_PART` of the samples are moved
    together, to half of the distance and so on.
    """
    spread = 1 / np.sqrt(1 + np.arange(int(dimensions)))
    centres = distance * spread * rng.standard_normal((int(classes), len(spread)))
    centre_of_each = centres[rng.integers(len(centres), size=size * size)]
    around = spread * rng.standard_normal(centre_of_each.shape)
    for halvings in range(MOST_HALVINGS + 1):
        samples = 0.5**halvings * centre_of_each + around
        matrix = laplacian_of_neighbours(samples, min(int(neighbours), len(samples) - 1), shift)
        if matrix.shape[0] >= LEAST_PART * len(samples):
            break
    parameters = {"neighbours": neighbours, "dimensions": dimensions, "classes": classes, "distance": distance}
    return scalar_problem(matrix, FAMILY.name, size, **parameters, shift=shift)


def laplacian_of_neighbours(samples: np.ndarray, neighbours: int, shift: float) -> csr_array:
    """L + s I of the graph of the nearest neighbours of samples (n, d), of its largest connected part.

    Weights are exp(-d^2 / (2 m^2)), m the median distance d between neighbours; two samples are joined if either is a
    neighbour of the other. s is `shift` times the mean degree: in semi-supervised learning, the weight of the labels.
    """
    distances, found = KDTree(samples).query(samples, neighbours + 1)
    n = len(samples)
    weights = np.exp(-0.5 * (distances[:, 1:] / np.median(distances[:, 1:])) ** 2).ravel()
    rows = np.repeat(np.arange(n), neighbours)
    directed = csr_array((weights, (rows, found[:, 1:].ravel())), shape=(n, n))
    directed.setdiag(0.0)  # a sample that occurs twice may come before its copy
    adjacency = directed.maximum(directed.T)
    _, part = connected_components(adjacency, directed=False)
    kept = np.flatnonzero(part == np.argmax(np.bincount(part)))
    adjacency = adjacency[kept][:, kept]
    degree = adjacency.sum(axis=1)
    return symmetric_csr(diags_array(degree + shift * degree.mean()) - adjacency)


FAMILY = Family(
    "neighbour_graph",
    make,
    {
        "neighbours": Parameter(5.0, 15.99, minimum=1.0, maximum=64.0),
        "dimensions": Parameter(2.0, 30.99, minimum=1.0, maximum=1000.0, log=True),
        "classes": Parameter(1.0, 20.99, minimum=1.0, maximum=1000.0, log=True),
        "distance": Parameter(0.5, 3.0, minimum=0.0, maximum=100.0),
        "shift": Parameter(1e-6, 1e-2, minimum=1e-8, maximum=1e3, log=True, easy="high"),
    },
)

"""Graph Laplacians of the data sets inside scikit-learn, as semi-supervised learning solves with them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.package import directory_of

FAMILY = "data graph"
LOADERS = {"breast_cancer": "load_breast_cancer", "digits": "load_digits"}
NEIGHBOURS = 10
SHIFT = 1e-3
"""Multiple of the mean degree on the diagonal: the weight of the labels."""


def problem(name: str) -> Problem:
    """L + s I of the graph of 10 nearest neighbours of a data set, columns brought to deviation one.

    Weights are exp(-d^2 / (2 m^2)), m the median distance d between neighbours; two samples are joined if either is a
    neighbour of the other. The largest connected part, and s = 1e-3 times its mean degree.
    """
    if name not in LOADERS:
        raise InputError(f"there is no data set {name!r} here; {nearest(name, LOADERS)}")
    directory_of("sklearn", "scikit-learn")
    import sklearn.datasets

    samples = getattr(sklearn.datasets, LOADERS[name])().data
    deviation = samples.std(axis=0)
    samples = samples[:, deviation > 0] / deviation[deviation > 0]
    distances, neighbours = KDTree(samples).query(samples, NEIGHBOURS + 1)
    n = len(samples)
    weights = np.exp(-0.5 * (distances[:, 1:] / np.median(distances[:, 1:])) ** 2).ravel()
    rows = np.repeat(np.arange(n), NEIGHBOURS)
    directed = csr_array((weights, (rows, neighbours[:, 1:].ravel())), shape=(n, n))
    directed.setdiag(0.0)  # a sample that occurs twice may come before its copy
    adjacency = directed.maximum(directed.T)
    _, part = connected_components(adjacency, directed=False)
    kept = np.flatnonzero(part == np.argmax(np.bincount(part)))
    adjacency = adjacency[kept][:, kept]
    degree = adjacency.sum(axis=1)
    matrix = symmetric_csr(diags_array(degree + SHIFT * degree.mean()) - adjacency)
    return Problem(matrix, np.ones((len(kept), 1)), f"scikit-learn/{name}", FAMILY, {})

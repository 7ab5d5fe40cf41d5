"""Graph Laplacians of the data sets inside scikit-learn, as semi-supervised learning solves with them."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.neighbour_graph import laplacian_of_neighbours
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.package import directory_of

FAMILY = "data graph"
LOADERS = {"breast_cancer": "load_breast_cancer", "digits": "load_digits"}
NEIGHBOURS = 10
SHIFT = 1e-3
"""Multiple of the mean degree on the diagonal."""


def problem(name: str) -> Problem:
    """`laplacian_of_neighbours` for ten neighbours in a data set whose columns are brought to deviation one."""
    if name not in LOADERS:
        raise InputError(f"there is no data set {name!r} here; {nearest(name, LOADERS)}")
    directory_of("sklearn", "scikit-learn")
    import sklearn.datasets

    samples = getattr(sklearn.datasets, LOADERS[name])().data
    deviation = samples.std(axis=0)
    samples = samples[:, deviation > 0] / deviation[deviation > 0]
    matrix = laplacian_of_neighbours(samples, NEIGHBOURS, SHIFT)
    return Problem(matrix, np.ones((matrix.shape[0], 1)), f"scikit-learn/{name}", FAMILY, {})

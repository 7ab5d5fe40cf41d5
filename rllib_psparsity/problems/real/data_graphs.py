"""Graph Laplacians of the data inside scikit-learn: of data sets, as semi-supervised learning solves with them, and of
photographs, as segmentation does."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.neighbour_graph import laplacian_of_neighbours
from rllib_psparsity.problems.families.random_walker import random_walker_matrix
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.package import directory_of

FAMILY = "data graph"
PHOTOGRAPH = "photograph"
LOADERS = {"breast_cancer": "load_breast_cancer", "digits": "load_digits"}
NEIGHBOURS = 10
SHIFT = 1e-3
"""Multiple of the mean degree on the diagonal."""
PHOTOGRAPHS = ("china", "flower")
BLOCK = 4
"""Pixels along a side that are averaged to one."""
BETA = 3.0
"""About scikit-image's default of 130, in its units, for brightness between 0 and 1 that deviates by a quarter."""
MARKS = 6


def problem(name: str) -> Problem:
    """`laplacian_of_neighbours` for ten neighbours in a data set whose columns are brought to deviation one.

    Of a photograph, `random_walker_matrix` for its brightness at a quarter of its resolution.
    """
    if name not in (*LOADERS, *PHOTOGRAPHS):
        raise InputError(f"there is no data set {name!r} here; {nearest(name, (*LOADERS, *PHOTOGRAPHS))}")
    directory_of("sklearn", "scikit-learn")
    import sklearn.datasets

    if name in PHOTOGRAPHS:
        brightness = _coarser(sklearn.datasets.load_sample_image(f"{name}.jpg").mean(axis=2))
        matrix, kind = random_walker_matrix(np.random.default_rng(0), brightness, BETA, MARKS), PHOTOGRAPH
    else:
        samples = getattr(sklearn.datasets, LOADERS[name])().data
        deviation = samples.std(axis=0)
        samples = samples[:, deviation > 0] / deviation[deviation > 0]
        matrix, kind = laplacian_of_neighbours(samples, NEIGHBOURS, SHIFT), FAMILY
    return Problem(matrix, np.ones((matrix.shape[0], 1)), f"scikit-learn/{name}", kind, {})


def _coarser(pixels: np.ndarray) -> np.ndarray:
    """Means of whole blocks."""
    rows, columns = (length // BLOCK for length in pixels.shape)
    blocks = pixels[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return np.asarray(blocks.mean(axis=(1, 3)))

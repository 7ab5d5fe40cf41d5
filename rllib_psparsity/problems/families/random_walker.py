"""Segmentation of pictures by random walks, whose solvers are AMG: Laplacians with the weights of their edges."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.finite_volumes import smooth_noise
from rllib_psparsity.problems.families.graph_laplacian import laplacian
from rllib_psparsity.problems.problem import Problem

LEAST_WEIGHT = 1e-6
"""Of two pixels, however unlike: a walker is never stuck."""
MARK = 4
"""Pixels along a side of a mark, in a picture of at least twice that."""


def make(
    rng: np.random.Generator, size: int, *, beta: float, grain: float, objects: float, noise: float, marks: float
) -> Problem:
    """Random walker's matrix of a random picture (Grady 2006): pixels joined to four neighbours, marked ones left out.

    A picture of size x size pixels shows regions of one brightness each, whose borders are contours of noise smoothed
    over `grain` sides of the picture, their number the whole part of `objects`, and normal noise of deviation `noise`
    on each pixel. `random_walker_matrix` does the rest, for the whole part of `marks` marks.
    """
    unit = smooth_noise(rng, (size, size), (grain * size,) * 2)
    levels = rng.permutation(np.linspace(0.0, 1.0, int(objects)))
    brightness = levels[np.minimum((unit * int(objects)).astype(int), int(objects) - 1)]
    brightness = brightness + noise * rng.standard_normal(brightness.shape)
    parameters = {"beta": beta, "grain": grain, "objects": objects, "noise": noise, "marks": marks}
    return scalar_problem(random_walker_matrix(rng, brightness, beta, int(marks)), FAMILY.name, size, **parameters)


def random_walker_matrix(rng: np.random.Generator, brightness: np.ndarray, beta: float, marks: int) -> csr_array:
    """The matrix of the pixels that no mark covers, row by row.

    Neighbours of brightness g and h have the weight ``exp(-beta (g - h)^2) + LEAST_WEIGHT``, the difference in units of
    the picture's deviation. A mark is a square of `MARK` pixels a side, at random; where the user has marked an object,
    the probability is given. No mark is made any more once half of the picture is covered.
    """
    rows, columns = brightness.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    g = brightness.ravel() / max(brightness.std(), np.finfo(float).tiny)
    weights = np.exp(-beta * (g[first] - g[second]) ** 2) + LEAST_WEIGHT
    marked = np.zeros((rows, columns), dtype=bool)
    side = max(1, min(MARK, rows // 2, columns // 2))
    for _ in range(marks):
        if marked.mean() > 0.5:
            break
        y, x = rng.integers(rows - side + 1), rng.integers(columns - side + 1)
        marked[y : y + side, x : x + side] = True
    free = np.flatnonzero(~marked.ravel())
    return csr_array(laplacian(first, second, weights, rows * columns, 0.0)[free][:, free])


FAMILY = Family(
    "random_walker",
    make,
    {
        "beta": Parameter(0.3, 30.0, minimum=1e-6, maximum=1e4, log=True, easy="low"),
        "grain": Parameter(0.01, 0.2, minimum=1e-4, maximum=1.0, log=True, easy="high"),
        "objects": Parameter(2.0, 8.99, minimum=1.0, maximum=256.0, easy="low"),
        "noise": Parameter(0.0, 0.3, minimum=0.0, maximum=10.0, easy="low"),
        "marks": Parameter(2.0, 12.99, minimum=1.0, maximum=64.0, easy="high"),
    },
)

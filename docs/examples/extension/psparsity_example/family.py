"""Diffusion on a checkerboard: every second square conducts better."""

from __future__ import annotations

import numpy as np
from scipy.sparse import diags_array

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem, symmetric_csr
from rllib_psparsity.problems.problem import Problem


def make(rng: np.random.Generator, size: int, *, squares: float, contrast: float) -> Problem:
    """Diffusion with a conductivity of 1 and `contrast` on the squares of a checkerboard.

    -div(k grad u) on the unit square, u = 0 on the boundary; size x size points, x fastest; round(squares) squares a
    side. An edge of the grid carries the harmonic mean of its ends' conductivities.
    """
    square = np.arange(size) * round(squares) // size
    k = np.where((square[:, None] + square) % 2, contrast, 1.0)
    padded = np.pad(k, 1, mode="edge")
    across_x = 2 / (1 / padded[1:-1, 1:] + 1 / padded[1:-1, :-1])
    across_y = 2 / (1 / padded[1:, 1:-1] + 1 / padded[:-1, 1:-1])
    diagonal = across_x[:, 1:] + across_x[:, :-1] + across_y[1:] + across_y[:-1]
    to_the_right = np.pad(across_x[:, 1:-1], ((0, 0), (0, 1))).ravel()[:-1]  # the last point of a row has none
    upper = diags_array([to_the_right, across_y[1:-1].ravel()], offsets=[1, size], shape=(size**2, size**2))
    A = diags_array(diagonal.ravel()) - upper - upper.T
    return scalar_problem(symmetric_csr(A), "checkerboard", size, squares=squares, contrast=contrast)


FAMILY = Family(
    "checkerboard",
    make,
    {
        "squares": Parameter(2, 8, minimum=1, maximum=64),
        "contrast": Parameter(1, 1e4, minimum=1, maximum=1e8, log=True, easy="low"),
    },
)

"""What a problem family declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.problems.problem import Problem

MIN_SIZE = 3
"""Smallest number of grid points a side that every family can make a matrix of."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a distribution draws.

    Attributes
    ----------
    low, high : default range
    minimum, maximum : bounds, inclusive, outside of which the family makes no valid matrix
    log : draw the logarithm uniformly (then minimum > 0)
    easy : the end of the range that multigrid finds easy, where a curriculum starts; None draws from the whole range
    """

    low: float
    high: float
    minimum: float
    maximum: float
    log: bool = False
    easy: Literal["low", "high"] | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of problem.

    Attributes
    ----------
    name : str
    make : (rng, size, **parameters) -> Problem
        `rng` is for random fields and meshes only; `parameters` are those declared, all given.
    parameters : dict of `Parameter` by name, drawn in this order
    """

    name: str
    make: Callable[..., Problem]
    parameters: dict[str, Parameter]

    @property
    def summary(self) -> str:
        """First line of the docstring of `make`."""
        return (self.make.__doc__ or "").strip().partition("\n")[0]


def scalar_problem(A: csr_array, family: str, size: int, **parameters: float) -> Problem:
    """A problem with one unknown per node and the constant vector as its only candidate."""
    numbers = {"size": size, **{name: float(value) for name, value in parameters.items()}}
    return Problem(A, np.ones((len(A.indptr) - 1, 1)), f"{family}-{size}", family, numbers)


def symmetric_csr(A: Any) -> csr_array:
    """The symmetric part of an assembled matrix, canonical: rounding of an assembly by elements is averaged away."""
    matrix = csr_array(A)
    matrix = csr_array((matrix + matrix.T) * 0.5)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return csr_array((matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)), matrix.shape)

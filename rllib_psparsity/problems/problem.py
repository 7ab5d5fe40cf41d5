"""What a multigrid method is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import bsr_array, csr_array

FILE = "file"
"""The family of matrices that a user brought."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A symmetric positive definite matrix and what is known about its near-nullspace.

    Attributes
    ----------
    A : csr_array, or bsr_array with square blocks for systems such as elasticity
        (num_unknowns, num_unknowns) float64, sorted int32 indices, no duplicates; no explicit zeros in a csr_array, no
        block of zeros in a bsr_array. Shared between callers, so never changed in place.
    B : (num_unknowns, K_b) float64, near-nullspace candidates, one a column
    name : str, unique within a distribution, for tables
    family : str, the name of a `Family`, or `FILE`
    parameters : dict of plain numbers that were drawn, with "size"
    """

    A: csr_array | bsr_array
    B: np.ndarray
    name: str
    family: str
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def num_unknowns(self) -> int:
        return len(self.B)

    @property
    def block_size(self) -> int:
        """Unknowns per node: 1 for a csr_array."""
        return int(self.A.blocksize[0]) if isinstance(self.A, bsr_array) else 1

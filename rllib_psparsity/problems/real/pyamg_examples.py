"""The example matrices inside PyAMG."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.validation import check_matrix

FAMILY = "PyAMG example"
BLOCKS = {
    "airfoil": 1,
    "bar": 3,
    "knot": 1,
    "local_disc_galerkin_diffusion": 1,
    "unit_cube": 1,
    "unit_square": 1,
}
"""Name -> unknowns a node. Not `helmholtz_2D`, which is complex, and not `recirc_flow`, which is not symmetric."""
GROUNDED = {"unit_square"}
"""Singular (pure Neumann): made definite by fixing unknown 0, that is, without its row and column."""


def problem(name: str) -> Problem:
    """One of PyAMG's examples, with the near-nullspace candidates that come with it.

    `bar` is linear elasticity in 3D (blocks of 3, six rigid body modes), `local_disc_galerkin_diffusion` has 21
    unknowns an element that are taken one by one, the others are scalar.
    """
    if name not in BLOCKS:
        raise InputError(f"PyAMG has no symmetric real example {name!r}; {nearest(name, BLOCKS)}")
    from pyamg.gallery import load_example

    example = load_example(name)
    A, B = example["A"].tocsr(), np.asarray(example["B"], dtype=float)
    if name in GROUNDED:
        A, B = A[1:, 1:], B[1:]
    if BLOCKS[name] > 1:
        A = bsr_array(A.tobsr((BLOCKS[name], BLOCKS[name])))
    matrix, candidates = check_matrix(A, B, where=f"PyAMG's example {name}")
    return Problem(matrix, candidates, f"pyamg/{name}", FAMILY, {})

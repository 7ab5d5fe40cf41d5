"""Whether a learned hierarchy is kept, decided by a cheap test of it; otherwise a classical one is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.conjugate_gradients import solve_block
from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.direct_solver import DENSE_LIMIT, DirectSolver
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.deploy.classical import RECIPES, classical_hierarchy, relaxation_hierarchy
from rllib_psparsity.deploy.definiteness import NEGATIVE, least_quotient, rayleigh_quotient
from rllib_psparsity.errors import InputError, SetupFailure

STEPS = 2
"""Steps of preconditioned conjugate gradients that the test makes."""
STEPS_TO_COMPARE = 4
"""The same where it has to tell good hierarchies from each other, not only poor ones from good ones."""
VECTORS = 4
"""Right-hand sides at once: what the block V-cycle takes for little more than the price of one."""
WORK_LIMIT = 10.0
"""Work per digit above which a hierarchy is not kept without a comparison."""
MOST_DIGITS = 15.0
LEARNED = "learned"
RELAXATION = "gauss-seidel"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hierarchy after the test.

    Attributes
    ----------
    name : `LEARNED`, a recipe, or `RELAXATION`
    hierarchy : with its work counted in `seconds`
    direct : the solver of its coarsest level; None if that cannot be solved
    work_per_digit : what `estimated_work` says, infinite for a hierarchy that cannot be used
    objection : why it is not kept as it is, in words; empty if it is
    """

    name: str
    hierarchy: Hierarchy
    direct: DirectSolver | None
    work_per_digit: float
    objection: str


def direct_solver(hierarchy: Hierarchy) -> DirectSolver:
    """Of the coarsest level; `SetupFailure` if there is none."""
    return DirectSolver(hierarchy.levels[-1].A, as_given=len(hierarchy.levels) == 1)


def estimated_work(hierarchy: Hierarchy, direct: DirectSolver, steps: int = STEPS) -> float:
    """Work per digit of a few steps of conjugate gradients, in products with the finest matrix.

    ``(cost + 1) * steps / digits``, cost being the cycle complexity with the direct solver counted as it is, and digits
    the mean over `VECTORS` seeded random right-hand sides of ``log10(|r_0| / |r_k|)``. For a singular matrix they are
    made consistent: D^-1 b, D the diagonal, multiplied by A. Infinite if nothing is gained, or not finite.
    """
    finest, coarsest = hierarchy.levels[0].A, hierarchy.levels[-1].A
    b = np.random.default_rng(0).random((finest.shape[0], VECTORS)) - 0.5
    if direct.singular:
        b = finest @ (b / finest.diagonal()[:, None])
    with np.errstate(all="ignore"):
        cycle = BlockVCycle(hierarchy.levels, direct.solve)
        solve = solve_block(finest, b, cycle, 10.0**-MOST_DIGITS, steps)
        digits = float(np.mean(-np.log10(np.maximum(solve.relative, 10.0**-MOST_DIGITS))))
    if not digits > 0.0:
        return math.inf
    cost = hierarchy.cycle_complexity + (direct.work - coarsest.nnz) / finest.nnz
    return (cost + 1.0) * float(solve.iterations.mean()) / digits


def examine(name: str, hierarchy: Hierarchy, steps: int = STEPS, work_limit: float = WORK_LIMIT) -> Candidate:
    """The test: can the hierarchy be used at all, and does it solve well enough?"""
    coarsest = hierarchy.levels[-1].A.shape[0]
    if hierarchy.failed and coarsest > DENSE_LIMIT:
        return Candidate(name, hierarchy, None, math.inf, f"its set-up failed: {hierarchy.failure}")
    try:
        direct = direct_solver(hierarchy)
    except SetupFailure as error:
        return Candidate(name, hierarchy, None, math.inf, str(error))
    work = estimated_work(hierarchy, direct, steps)
    objection = (
        "" if work <= work_limit else f"it would take {work:.1f} work units a digit, the limit is {work_limit:g}"
    )
    return Candidate(name, hierarchy, direct, work, objection)


def choose(
    A: csr_array | bsr_array, B: np.ndarray, learned: Candidate, limits: Limits, steps: int = STEPS
) -> Candidate:
    """The candidate that is taken for (A, B): `learned`, if its test of so many steps has no objection.

    Otherwise the first classical hierarchy that passes is taken; if none does, the one of least work, the learned one
    included.

    Raises `InputError` if the failing test led to a proof that A is not positive semidefinite.
    """
    _refuse_indefinite(A, learned)
    if not learned.objection:
        return learned
    best = learned
    for candidate in _classical_candidates(A, B, limits, steps):
        if candidate.work_per_digit < best.work_per_digit:
            best = candidate
        if not candidate.objection:
            break
    if best.direct is None:  # nothing gains a digit: what is surely positive definite
        hierarchy = relaxation_hierarchy(A, B)
        best = Candidate(RELAXATION, hierarchy, direct_solver(hierarchy), math.inf, "")
    return best


def _classical_candidates(A: csr_array | bsr_array, B: np.ndarray, limits: Limits, steps: int) -> Iterator[Candidate]:
    for name in RECIPES:
        if A.format == "csr" or not name.startswith("classical"):
            yield examine(name, classical_hierarchy(A, B, name, limits), steps)
    yield examine(RELAXATION, relaxation_hierarchy(A, B), steps)


def _refuse_indefinite(A: csr_array | bsr_array, candidate: Candidate) -> None:
    quotient = 0.0
    if candidate.direct is not None and candidate.direct.least_vector is not None:
        x = candidate.direct.least_vector
        for level in reversed(candidate.hierarchy.levels[:-1]):
            x = level.P @ x
        quotient = rayleigh_quotient(A, x)
    if candidate.objection and quotient >= -NEGATIVE:
        quotient = least_quotient(A)
    if quotient < -NEGATIVE:
        raise InputError(
            "the matrix is not positive definite: relative to its diagonal it has the negative Rayleigh quotient "
            f"{quotient:.3g} for some vector, expected positive ones only; check the signs of its assembly, or use a "
            "solver for indefinite systems such as scipy.sparse.linalg.minres"
        )

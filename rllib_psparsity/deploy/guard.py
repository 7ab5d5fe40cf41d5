"""Whether a learned hierarchy is kept, decided by a cheap test of it; otherwise a classical one is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from rllib_psparsity.amg.conjugate_gradients import solve_block
from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.direct_solver import DENSE_LIMIT, DirectSolver
from rllib_psparsity.amg.hierarchy import Hierarchy, Level
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.deploy.classical import RECIPES, classical_hierarchy, relaxation_hierarchy
from rllib_psparsity.deploy.definiteness import NEGATIVE, least_coarse_quotient, least_quotient
from rllib_psparsity.errors import InputError, SetupFailure

STEPS = 2
"""Steps of preconditioned conjugate gradients that the test makes."""
STEPS_IN_DOUBT = 4
"""The same where two leave doubt, or hierarchies are told from each other."""
STEPS_TO_REJECT = 8
"""The same before a hierarchy is given up: conjugate gradients stand still while they remove the few errors that a good
cycle may leave, as of a picture's nearly separate regions or a network's hubs, and go on after them."""
GROWTH = 1.2
"""Where the estimate grows by more from one step to the next there is doubt, however small it is: smoothing alone gains
the first digits. `benchmarks.guard` counts what passes nevertheless; of good hierarchies one in a hundred grows so."""
VECTORS = 4
"""Right-hand sides at once, which take twice the time of one."""
LARGE = 10_000
"""Unknowns from which on one right-hand side is enough to tell whether a hierarchy is any good: the estimate strays by
some 5 %. Where hierarchies are told from each other all are used."""
WORK_LIMIT = 10.0
"""Work per digit above which a hierarchy is not kept without a comparison."""
CLEARLY = 1.5
"""By how many times less work a classical hierarchy has to promise to take the learned one's place: so much the
estimates err."""
HOPELESS = 25.0
"""Work per digit up to which the first classical hierarchy speaks for all: where it is not clearly better, the matrix
is hard. Two more set-ups and their tests cost some 90 products, more than a third of a solve to eight digits."""
DOUBT = 5.0
"""Work per digit above which a policy makes its tries in doubt, and no more once one is below."""
DOUBT_PROBABILITY = 0.2
"""What it has to give the coarsening of such a try. With both a twentieth of new problems is tried again, for 0.93 of
their work; a set-up and eight solves of all take 1 % longer (`benchmarks.doubt`)."""
DOUBT_UNKNOWNS = 100_000
"""Up to so many there are tries in doubt. Beyond, a second hierarchy takes seconds, and the memory of a large one."""
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
    work_per_digit : what `estimated_work` says, infinite for a hierarchy that cannot be used, NaN for an untested one
    objection : why it is not kept as it is, in words; empty if it is
    quotient : what `least_coarse_quotient` says
    """

    name: str
    hierarchy: Hierarchy
    direct: DirectSolver | None
    work_per_digit: float
    objection: str
    quotient: float | None = None

    @property
    def singular(self) -> bool:
        """Whether the coarsest level shows that the matrix is singular."""
        return self.quotient is not None and abs(self.quotient) <= NEGATIVE


def direct_solver(hierarchy: Hierarchy) -> DirectSolver:
    """Of the coarsest level; `SetupFailure` if there is none."""
    return DirectSolver(hierarchy.levels[-1].A, as_given=len(hierarchy.levels) == 1)


def estimated_work(
    hierarchy: Hierarchy,
    direct: DirectSolver,
    steps: int = STEPS,
    limit: float | None = None,
    *,
    doubt: float = math.inf,
    singular: bool = False,
) -> float:
    """Work per digit of a few steps of conjugate gradients, in products with the finest matrix.

    ``(cost + 1) * steps / digits``, cost being the cycle complexity with the direct solver counted as it is, and digits
    the mean over seeded random right-hand sides of ``log10(|r_0| / |r_k|)``; they are `VECTORS`, or one for a `LARGE`
    matrix and `steps` up to `STEPS`. With a `limit`, further steps are made while the estimate is above it, up to
    `STEPS_TO_REJECT`, and up to `STEPS_IN_DOUBT` if it is above `doubt`, or has ever grown by `GROWTH`. If it still is
    above the limit, or no digit is gained, and the residuals have grown in any step, as they may at first on matrices
    of fourth order, digits are those of the error's energy norm between the first step and the last, as
    `BlockSolve.energy` tells them. For a singular matrix the right-hand sides are made consistent: D^-1 b, D the
    diagonal, multiplied by A. Infinite if nothing is gained, or not finite.
    """
    finest, coarsest = hierarchy.levels[0].A, hierarchy.levels[-1].A
    cost = hierarchy.cycle_complexity + (direct.work - coarsest.nnz) / finest.nnz
    vectors = 1 if finest.shape[0] >= LARGE and steps <= STEPS else VECTORS
    b = np.random.default_rng(0).random((finest.shape[0], vectors)) - 0.5
    if singular:
        b = finest @ (b / finest.diagonal()[:, None])

    def work(taken: float, digits: float) -> float:
        return (cost + 1.0) * taken / digits if 0.0 < digits < math.inf else math.inf

    gained: list[float] = []  # digits after every step

    def enough(taken: int, relative: np.ndarray) -> bool:
        gained.append(_digits(relative))
        if taken < steps or limit is None:
            return taken >= steps
        estimates = [work(step, digits) for step, digits in enumerate(gained, 1)]
        doubtful = estimates[-1] > doubt or any(later > GROWTH * earlier for earlier, later in pairwise(estimates))
        return estimates[-1] <= limit and (taken >= STEPS_IN_DOUBT or not doubtful)

    with np.errstate(all="ignore"):
        cycle = BlockVCycle(hierarchy.levels, direct.solve)
        solve = solve_block(finest, b, cycle, 10.0**-MOST_DIGITS, max(steps, STEPS_TO_REJECT), enough)
        digits, taken = _digits(solve.relative), float(solve.iterations.mean())
        poor = limit is not None and work(taken, digits) > limit
        if digits <= 0.0 or (poor and min(gained, default=digits) <= 0.0):
            digits, taken = float(np.mean(np.log10(solve.energy.sum(axis=0) / solve.energy[-1]))) / 2, taken - 1.0
    return work(taken, digits)


def _digits(relative: np.ndarray) -> float:
    return float(np.mean(-np.log10(np.maximum(relative, 10.0**-MOST_DIGITS))))


def untested(name: str, hierarchy: Hierarchy) -> Candidate:
    """The hierarchy as it is; `SetupFailure` if its coarsest level cannot be solved."""
    direct = direct_solver(hierarchy)
    return Candidate(name, hierarchy, direct, math.nan, "", least_coarse_quotient(hierarchy, direct))


def examine(
    name: str,
    hierarchy: Hierarchy,
    steps: int = STEPS,
    work_limit: float = WORK_LIMIT,
    *,
    doubt: float = math.inf,
) -> Candidate:
    """The test: can the hierarchy be used at all, and does it solve well enough?

    Where `steps` leave doubt, which an estimate above `doubt` is too, up to `STEPS_IN_DOUBT` decide, and up to
    `STEPS_TO_REJECT` against it.
    """
    coarsest = hierarchy.levels[-1].A.shape[0]
    if hierarchy.failed and coarsest > DENSE_LIMIT:
        return Candidate(name, hierarchy, None, math.inf, f"its set-up failed: {hierarchy.failure}")
    try:
        direct = direct_solver(hierarchy)
    except SetupFailure as error:
        return Candidate(name, hierarchy, None, math.inf, str(error))
    candidate = Candidate(name, hierarchy, direct, math.nan, "", least_coarse_quotient(hierarchy, direct))
    work = estimated_work(hierarchy, direct, steps, work_limit, doubt=doubt, singular=candidate.singular)
    objection = (
        "" if work <= work_limit else f"it would take {work:.1f} work units a digit, the limit is {work_limit:g}"
    )
    return replace(candidate, work_per_digit=work, objection=objection)


def choose(learned: Candidate, limits: Limits) -> Candidate:
    """The candidate that is taken for the matrix of `learned`: that one, if its test has no objection.

    Otherwise the first classical hierarchy that passes and is `CLEARLY` better is taken; if none does, the one of least
    work among those that are clearly better and the learned one. If the learned one is not `HOPELESS`, none is built
    after one that is not clearly better. Relaxation alone is the last resort, for a matrix of which no hierarchy gains
    a digit: a few steps cannot tell that it lacks a coarse correction.

    Raises `InputError` if the failing test led to a proof that A is not positive semidefinite.
    """
    if not learned.objection:
        return learned
    finest = learned.hierarchy.levels[0].undecided()
    refuse_negative(least_quotient(finest.A))
    best = learned
    for candidate in _classical_candidates(finest, limits):
        if candidate.work_per_digit < min(best.work_per_digit, learned.work_per_digit / CLEARLY):
            best = candidate
            if not candidate.objection:
                break
        elif learned.work_per_digit <= HOPELESS:
            break
    if best.work_per_digit < math.inf:
        return best
    return examine(RELAXATION, relaxation_hierarchy(finest.A, finest.B), STEPS_IN_DOUBT)


def _classical_candidates(finest: Level, limits: Limits) -> Iterator[Candidate]:
    _ = finest.graph  # one for all
    for name in RECIPES:
        if finest.A.format == "csr" or not name.startswith("classical"):
            yield examine(name, classical_hierarchy(finest, name, limits), STEPS_IN_DOUBT)


def refuse_negative(quotient: float | None) -> None:
    """`InputError` if x^T A x / x^T D x is clearly negative for some x; None, for nothing known, passes."""
    if quotient is not None and quotient < -NEGATIVE:
        raise InputError(
            "the matrix is not positive definite: relative to its diagonal it has the negative Rayleigh quotient "
            f"{quotient:.3g} for some vector, expected positive ones only; check the signs of its assembly, or use a "
            "solver for indefinite systems such as scipy.sparse.linalg.minres"
        )

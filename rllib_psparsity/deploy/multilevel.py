"""A PyAMG solver that knows how it was set up, and can be set up again for other values of its matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.direct_solver import DirectSolver
from rllib_psparsity.amg.hierarchy import PHASES, Hierarchy, Level, build_on
from rllib_psparsity.amg.new_values import with_new_values
from rllib_psparsity.amg.products import transpose
from rllib_psparsity.amg.solver import HierarchySolver, pyamg_level
from rllib_psparsity.deploy.artifact import LoadedPolicy
from rllib_psparsity.deploy.decide import RankedDecides
from rllib_psparsity.deploy.definiteness import least_quotient
from rllib_psparsity.deploy.guard import (
    DOUBT,
    DOUBT_PROBABILITY,
    DOUBT_UNKNOWNS,
    LEARNED,
    STEPS,
    STEPS_IN_DOUBT,
    WORK_LIMIT,
    Candidate,
    choose,
    examine,
    refuse_negative,
    untested,
)
from rllib_psparsity.deploy.preparation import System, prepare
from rllib_psparsity.deploy.setup_info import SetupInfo, level_infos
from rllib_psparsity.errors import InputError, SetupFailure

WORSE = 1.5
"""An update is kept as long as its estimated work per digit is below this times that of the last full set-up."""


@dataclass(frozen=True, slots=True)
class _Setup:
    """A hierarchy in the scaled unknowns, ready for use, and the account of how it came about."""

    name: str
    hierarchy: Hierarchy
    direct: DirectSolver
    work: float
    singular: bool
    seconds: dict[str, float]
    tries: int
    updated: bool = False
    stepped_in: bool = False
    reason: str = ""


class LearnedSolver(HierarchySolver):
    """A `pyamg.multilevel.MultilevelSolver` made by `learned_solver`.

    All that PyAMG's class has works as usual: ``solve``, ``aspreconditioner``, ``levels``, ``operator_complexity``. For
    a symmetric positive definite matrix its V-cycle is symmetric positive definite, so conjugate gradients may use it.

    Attributes
    ----------
    setup_info : SetupInfo
        Of the last set-up or update.
    """

    setup_info: SetupInfo

    def __init__(self, A: Any, B: Any, policy: LoadedPolicy, guard: bool, tries: int | None) -> None:
        start = perf_counter()
        system = prepare(A, B)
        usable = [recipe for recipe in policy.menu if system.A.format == "csr" or not recipe.scalar_only]
        always, at_most = (policy.config.tries, policy.config.tries_in_doubt) if tries is None else (tries, tries)
        self._policy, self._guard = policy, guard
        self._tries, self._tries_in_doubt = (min(count, len(usable)) for count in (always, max(always, at_most)))
        checked = perf_counter() - start
        setup = self._full_setup(system)
        self._work_at_first = setup.work
        self._use(system, B is not None, setup, start, checked)

    def update(self, A: Any, B: Any = None) -> SetupInfo:
        """Set up again, in place, for a matrix with other values on nearly the same pattern; returns `setup_info`.

        Strong edges, aggregates and the patterns of the prolongators are kept; the values of the prolongators and the
        Galerkin products are computed again. This is what the matrices of a nonlinear iteration or of time steps ask
        for: features, inference and aggregation are saved. Preconditioners that were taken from this solver before use
        the new matrix from then on. An update with the matrix that it was set up with changes nothing.

        With the guard on, the result is tested as after a set-up. Where it has become much worse (`WORSE` times the
        work per digit of the last full set-up, and above the guard's limit), or cannot be computed, a full set-up
        follows, and `setup_info` says so. If an error is raised, the solver is as it was before.

        Parameters
        ----------
        A : (n, n), as many unknowns, and as large blocks, as before
        B : near-nullspace candidates, by default those of the last set-up or update

        Raises `InputError` as `learned_solver` does, and for a matrix of another size.
        """
        start = perf_counter()
        system = prepare(A, self._given_B if B is None else B, _block(self.levels[0].A))
        checked = perf_counter() - start
        _require_same_form(system, self.levels[0])
        has_patterns = all(level.pattern is not None for level in self._hierarchy.levels[:-1])
        setup = self._kept_patterns(system) if has_patterns else self._full_setup(system)
        if isinstance(setup, str):
            attempt = perf_counter() - start - checked
            full = self._full_setup(system)
            reason = f"after the update {setup}, so that a full set-up followed" + (
                f"; there {full.reason}" if full.reason else ""
            )
            seconds = {**full.seconds, "guard": full.seconds["guard"] + attempt}
            setup = replace(full, stepped_in=True, reason=reason, seconds=seconds)
            self._work_at_first = setup.work
        self._use(system, B is not None or self._given_B is not None, setup, start, checked)
        return self.setup_info

    def _full_setup(self, system: System) -> _Setup:
        """By the policy, or by what the guard takes instead."""
        seconds: dict[str, float] = {**dict.fromkeys(PHASES, 0.0), "guard": 0.0}
        learned, tries = self._learned(system, seconds)
        chosen = learned
        if self._guard:
            start = perf_counter()
            chosen = choose(learned, self._policy.limits)
            seconds["guard"] += perf_counter() - start
        if chosen.direct is None:
            raise SetupFailure(chosen.objection)
        return _Setup(
            chosen.name,
            chosen.hierarchy,
            chosen.direct,
            chosen.work_per_digit,
            chosen.singular,
            seconds,
            tries,
            stepped_in=chosen is not learned,
            reason=learned.objection if self._guard else "",
        )

    def _learned(self, system: System, seconds: dict[str, float]) -> tuple[Candidate, int]:
        """The best of the policy's hierarchies, and how many there were; what all took is added to `seconds`."""
        policy, finest = self._policy, Level(system.scaled_A, system.scaled_B)
        best, made, steps = None, 0, STEPS if self._tries == 1 else STEPS_IN_DOUBT
        at_most = self._tries_in_doubt if finest.A.shape[0] <= DOUBT_UNKNOWNS else self._tries
        decides = RankedDecides(policy.inference, self._tries, at_most, DOUBT_PROBABILITY)
        for decide in decides:
            hierarchy = build_on(finest, decide, menu=policy.menu, limits=policy.limits, keep_patterns=True)
            made += 1
            for phase in PHASES:
                seconds[phase] += hierarchy.seconds[phase]
            start = perf_counter()
            further = decides.finest is not None
            tested = self._guard or further or made > 1
            doubt = 0.0 if made > 1 else DOUBT if further else math.inf  # so that all are told apart by as many steps
            candidate = examine(LEARNED, hierarchy, steps, doubt=doubt) if tested else untested(LEARNED, hierarchy)
            refuse_negative(candidate.quotient)
            if self._guard and best is not None and best.objection and not candidate.objection:
                # A poor hierarchy may show an indefinite matrix, also where another one happens to pass.
                refuse_negative(least_quotient(finest.A))
            if best is None or candidate.work_per_digit < best.work_per_digit:
                best = candidate
            if tested:
                seconds["guard"] += perf_counter() - start
            if made >= self._tries and best.work_per_digit <= DOUBT:
                break
            finest = hierarchy.levels[0].undecided(decides.finest)
        assert best is not None
        return best, made

    def _kept_patterns(self, system: System) -> _Setup | str:
        """The updated hierarchy, or why it cannot be used."""
        name = self.setup_info.method
        try:
            hierarchy = with_new_values(self._hierarchy, system.scaled_A, system.scaled_B)
            start = perf_counter()
            if self._guard:
                limit = max(WORK_LIMIT, WORSE * self._work_at_first)
                steps = STEPS if self.setup_info.tries == 1 else STEPS_IN_DOUBT
                candidate = examine(name, hierarchy, steps, limit)
            else:
                candidate = untested(name, hierarchy)
        except SetupFailure as error:
            return str(error)
        refuse_negative(candidate.quotient)
        if candidate.direct is None or candidate.objection:
            return candidate.objection
        seconds = {**hierarchy.seconds, "guard": perf_counter() - start}
        work, singular = candidate.work_per_digit, candidate.singular
        tries = self.setup_info.tries
        return _Setup(name, hierarchy, candidate.direct, work, singular, seconds, tries, updated=True)

    def _use(self, system: System, B_was_given: bool, setup: _Setup, start: float, checked: float) -> None:
        """Become the solver of the set-up."""
        hierarchy, scaling = setup.hierarchy, system.scaling
        super().__init__(
            hierarchy.levels,
            _direct_on_finest(system, setup),
            _finest_in_given_units(system, hierarchy) if scaling is not None else None,
            None if scaling is None else scaling.s,
            _inverse_blocks(system, hierarchy),
        )
        self._given_B = system.B if B_was_given else None  # a copy of the user's
        self._hierarchy = setup.hierarchy
        for level in self._hierarchy.levels:
            level.release_caches()
        seconds = {"check": checked, **setup.seconds}
        seconds["other"] = perf_counter() - start - sum(seconds.values())
        self.setup_info = SetupInfo(
            method=setup.name,
            levels=level_infos(setup.hierarchy),
            operator_complexity=setup.hierarchy.operator_complexity,
            seconds=seconds,
            tries=setup.tries,
            guarded=self._guard,
            guard_stepped_in=setup.stepped_in,
            guard_reason=setup.reason,
            work_per_digit=setup.work,
            updated=setup.updated,
            block_size=_block(system.A),
            singular=setup.singular,
        )


def _require_same_form(system: System, finest: Any) -> None:
    for what, new, old in (
        ("unknowns", system.A.shape[0], finest.A.shape[0]),
        ("unknowns a block", _block(system.A), _block(finest.A)),
        ("near-nullspace candidates", system.B.shape[1], finest.B.shape[1]),
    ):
        if new != old:
            raise InputError(
                f"the update has {new} {what}, expected {old} as at the set-up; make a new solver with learned_solver"
            )


def _finest_in_given_units(system: System, hierarchy: Hierarchy) -> Any:
    """The finest level for PyAMG, whose matrix is the user's."""
    P = hierarchy.levels[0].P
    if P is None or system.scaling is None:
        return pyamg_level(system.A, system.B)
    P = system.scaling.prolongator(P)
    return pyamg_level(system.A, system.B, P, transpose(P))


def _block(A: csr_array | bsr_array) -> int:
    return int(A.blocksize[0]) if A.format == "bsr" else 1


def _inverse_blocks(system: System, hierarchy: Hierarchy) -> list[np.ndarray] | None:
    """Of a block matrix, the inverses of its diagonal blocks by level.

    They are taken from the scaled matrix: a block whose unknowns differ by many decades looks singular.
    """
    if system.A.format == "csr":
        return None
    inverses = [level.relaxation().inverse for level in hierarchy.levels[:-1]]
    if system.scaling is not None and inverses:
        s = system.scaling.s.reshape(len(inverses[0]), -1)
        inverses[0] = s[:, :, None] * inverses[0] * s[:, None, :]
    return inverses


def _direct_on_finest(system: System, setup: _Setup) -> DirectSolver:
    """The direct solver; of a hierarchy of one level it has to be that of the matrix as it was given."""
    if len(setup.hierarchy.levels) > 1 or system.scaling is None:
        return setup.direct
    return DirectSolver(system.A, as_given=True)

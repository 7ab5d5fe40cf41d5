"""The triage document's reward: energy that one V-cycle removes, less a penalty for complexity."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy import energies

VECTORS = 6
RELAXATIONS = 25
OMEGA = 2.0 / 3.0
FREE_COMPLEXITY = 1.35
FLOOR = -3.0
"""A failed set-up: below a hierarchy that gains nothing at the default cap on operator complexity, -(4 - 1.35)."""


class EnergyReduction:
    """``-mean_k log(E_k(after) / E_k(before)) - max(0, OC - 1.35)``, E the energy e^T A e, for one V-cycle on 6 random
    vectors that 25 sweeps of Jacobi (omega 2/3) have made smooth.

    Always 6 vectors: the number is part of the document's definition, so `reward.vectors` has no say here.
    """

    floor = FLOOR

    def __init__(self, vectors: int) -> None:
        del vectors

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> Quality:
        A = hierarchy.levels[0].A
        diagonal = A.diagonal()[:, None]
        errors = rng.standard_normal((A.shape[0], VECTORS))
        for _ in range(RELAXATIONS):
            errors -= OMEGA * (A @ errors) / diagonal
        initial, before = energies(A, errors)
        final, after = energies(A, cycle(np.zeros_like(errors), errors))
        gain = float(np.mean(np.log(initial / final)))
        excess = hierarchy.operator_complexity - FREE_COMPLEXITY
        value = gain - max(0.0, excess)
        return Quality(max(value, self.floor), before, after * np.exp(-gain), 1.0, 1.0 if excess > 0 else 0.0)

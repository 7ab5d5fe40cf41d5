"""The triage document's reward: energy that one V-cycle removes, less a penalty for complexity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_vectors import multiply
from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.amg.relaxation import jacobi
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy import energies

VECTORS = 6
RELAXATIONS = 25
OMEGA = 2.0 / 3.0
FREE_COMPLEXITY = 1.35
FLOOR = -3.0
"""A failed set-up: below a hierarchy that gains nothing at the default cap on operator complexity, -(4 - 1.35)."""


@dataclass(frozen=True, slots=True)
class SmoothErrors:
    """Relaxed errors (n, K), their products with A, energies (K,), and shares of those by node (N,)."""

    errors: np.ndarray
    products: np.ndarray
    initial: np.ndarray
    before: np.ndarray


class EnergyReduction:
    """``-mean_k log(E_k(after) / E_k(before)) - max(0, OC - 1.35)``, E the energy e^T A e, for one V-cycle on 6 random
    vectors that 25 sweeps of Jacobi (omega 2/3) have made smooth.

    Always 6 vectors: the number is part of the document's definition, so `reward.vectors` has no say here.
    """

    floor = FLOOR
    solves = False

    def __init__(self, vectors: int) -> None:
        del vectors

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> SmoothErrors:
        errors = jacobi(A, rng.standard_normal((A.shape[0], VECTORS)), OMEGA, RELAXATIONS)
        initial, before = energies(A, errors)
        return SmoothErrors(errors, multiply(A, errors), initial, before)

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: SmoothErrors) -> Quality:
        # The cycle for b = 0 is linear in the error, so the product with A need not be done again on every level.
        remaining = test_vectors.errors - cycle(test_vectors.products)
        final, after = energies(hierarchy.levels[0].A, remaining)
        gain = float(np.mean(np.log(test_vectors.initial / final)))
        excess = hierarchy.operator_complexity - FREE_COMPLEXITY
        value = gain - max(0.0, excess)
        work_price = 1.0 if excess > 0 else 0.0
        return Quality(max(value, self.floor), test_vectors.before, after * np.exp(-gain), 1.0, work_price)

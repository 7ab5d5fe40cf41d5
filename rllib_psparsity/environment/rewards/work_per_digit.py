"""Minus the logarithm of the work per digit, from the V-cycle's asymptotic rate: the cheaper measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy import energies

FAILED_WORK_PER_DIGIT = 100.0
"""What a failed set-up counts as; more than unpreconditioned conjugate gradients need on the training problems."""
DISCARDED_CYCLES = 3
MEASURED_CYCLES = 4


@dataclass(frozen=True, slots=True)
class RandomErrors:
    """Errors (n, K), their energies (K,), and shares of those by node (N,)."""

    errors: np.ndarray
    initial: np.ndarray
    before: np.ndarray


class WorkPerDigit:
    """``-log((CC + 1) / digits)``, digits per iteration of conjugate gradients preconditioned by the V-cycle.

    K random errors go through V-cycles of their own; the first cycles are discarded, and rho is the geometric mean over
    the vectors of the reduction of the energy norm per cycle. The error propagator of the symmetric V-cycle has its
    spectrum in [0, rho], so the preconditioned matrix has condition 1/(1 - rho), and conjugate gradients reduce the
    error per iteration by

        sigma = (1 - sqrt(1 - rho)) / (1 + sqrt(1 - rho)),   digits = -log10(sigma)

    (Saad, Iterative Methods for Sparse Linear Systems, 2003, eq. 6.128). With the acceleration left out, the reward
    would weigh convergence against work as nobody runs it: over 216 hierarchies its spread against the measured work
    per digit of PCG is 0.18 in the logarithm, and 0.07 with it (`benchmarks/reward_fidelity.py`).
    """

    floor = -float(np.log(FAILED_WORK_PER_DIGIT))
    solves = False

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> RandomErrors:
        errors = rng.standard_normal((A.shape[0], self.vectors))
        return RandomErrors(errors, *energies(A, errors))

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: RandomErrors) -> Quality:
        A, errors = hierarchy.levels[0].A, test_vectors.errors
        zero = np.zeros_like(errors)
        for _ in range(DISCARDED_CYCLES):
            errors = cycle(zero, errors)
        discarded, _ = energies(A, errors)
        for _ in range(MEASURED_CYCLES):
            errors = cycle(zero, errors)
        final, after = energies(A, errors)
        rho = float(np.exp(np.mean(np.log(final / discarded)) / (2 * MEASURED_CYCLES)))
        work = hierarchy.cycle_complexity + 1.0
        value = -np.log(work / digits_per_iteration(rho)) if rho < 1.0 else self.floor
        total_gain = max(float(np.mean(np.log(test_vectors.initial / final))), 1.0)
        # `energies` divides every vector by its total, so only shares are left in `after`: put the reduction back.
        after = after * np.exp(-total_gain)
        return Quality(max(float(value), self.floor), test_vectors.before, after, 1.0 / total_gain, 2.0 / work)


def digits_per_iteration(rho: float) -> float:
    """Digits that an iteration of conjugate gradients gains when the V-cycle alone reduces the error by rho."""
    root = np.sqrt(1.0 - min(max(rho, 1e-12), 1.0 - 1e-12))
    return float(-np.log10((1.0 - root) / (1.0 + root)))

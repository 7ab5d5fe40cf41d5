"""How fast the V-cycle alone converges, for the work that it is."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy import energies

CYCLES = 5
LEAST_DIGITS = 1e-3


class ConvergenceRate:
    """``log(digits / cycle complexity)``, digits of the energy norm that a V-cycle gains; K random errors."""

    floor = float(np.log(LEAST_DIGITS / 10))
    solves = False

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((A.shape[0], self.vectors))

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: np.ndarray) -> Quality:
        A, errors = hierarchy.levels[0].A, test_vectors
        initial, before = energies(A, errors)
        for _ in range(CYCLES):
            errors = cycle(np.zeros_like(errors), errors)  # the right-hand side is 0, so x is the error
        final, after = energies(A, errors)
        gain = float(np.mean(np.log(initial / final)))
        digits = max(gain / (2 * CYCLES * np.log(10)), LEAST_DIGITS)
        value = max(float(np.log(digits / hierarchy.cycle_complexity)), self.floor)
        # The gain is additive in the logarithm of the nodes' energies, the work in the complexity: their derivatives.
        gain = max(gain, 1.0)
        return Quality(value, before, after * np.exp(-gain), 1.0 / gain, 1.0 / hierarchy.cycle_complexity)

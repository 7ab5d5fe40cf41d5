"""The mean of the document's reward and of the iterations that conjugate gradients need."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy_reduction import EnergyReduction, SmoothErrors
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations, RightHandSides


class Hybrid:
    """``(energy_reduction + pcg_iterations) / 2``.

    One cycle on smooth errors says what the coarse levels remove; the iterations say what the worst errors cost. The
    nodes are credited by the energies of the former, at the mean of both prices.
    """

    solves = False

    def __init__(self, vectors: int) -> None:
        self._parts = (EnergyReduction(vectors), PCGIterations(vectors))
        self.floor = sum(part.floor for part in self._parts) / 2

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> tuple[SmoothErrors, RightHandSides]:
        energy, pcg = self._parts
        return energy.test_vectors(A, rng), pcg.test_vectors(A, rng)

    def quality(
        self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: tuple[SmoothErrors, RightHandSides]
    ) -> Quality:
        smooth, right_hand_sides = test_vectors
        energy = self._parts[0].quality(hierarchy, cycle, smooth)
        pcg = self._parts[1].quality(hierarchy, cycle, right_hand_sides)
        return Quality(
            (energy.value + pcg.value) / 2,
            energy.before,
            energy.after,
            (energy.gain_price + pcg.gain_price) / 2,
            (energy.work_price + pcg.work_price) / 2,
        )

"""The mean of the document's reward and of the iterations that conjugate gradients need."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy_reduction import EnergyReduction
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations


class Hybrid:
    """``(energy_reduction + pcg_iterations) / 2``.

    One cycle on smooth errors says what the coarse levels remove; the iterations say what the worst errors cost. The
    nodes are credited by the energies of the former, at the mean of both prices.
    """

    def __init__(self, vectors: int) -> None:
        self._parts = (EnergyReduction(vectors), PCGIterations(vectors))
        self.floor = sum(part.floor for part in self._parts) / 2

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> Quality:
        energy, pcg = (part.quality(hierarchy, cycle, rng) for part in self._parts)
        return Quality(
            (energy.value + pcg.value) / 2,
            energy.before,
            energy.after,
            (energy.gain_price + pcg.gain_price) / 2,
            (energy.work_price + pcg.work_price) / 2,
        )

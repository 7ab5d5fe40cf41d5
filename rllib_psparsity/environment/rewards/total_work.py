"""Minus the logarithm of the work of a whole solve, set-up included: for policies that are to save time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.amg.setup_cost import setup_price, setup_work
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations, RightHandSides

DIGITS = 8.0
"""Of a solve that pays for the set-up: the tolerance of `pcg_iterations`."""


class TotalWork:
    """``-log(WPD + S / (8 k))``: the work per digit of one of k solves to 1e-8, with its share of the set-up's work S.

    WPD as `PCGIterations` measures it, S by the cost model of `amg.setup_cost`, in passes over the nonzeros of A. A
    clock would measure the machine; the model has every recipe's cost once and for all.
    """

    floor = PCGIterations.floor
    solves = True

    def __init__(self, vectors: int, solves_per_setup: int = 1) -> None:
        self._solve = PCGIterations(vectors)
        self._digits = DIGITS * solves_per_setup

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> RightHandSides:
        return self._solve.test_vectors(A, rng)

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: RightHandSides) -> Quality:
        solve = self._solve.quality(hierarchy, cycle, test_vectors)
        total = solve.work_per_digit + setup_work(hierarchy) / self._digits
        share = solve.work_per_digit / total
        return replace(
            solve,
            value=max(-float(np.log(total)), self.floor),
            gain_price=solve.gain_price * share,
            # A nonzero of a coarse matrix is passed over by the cycles, and coarsened in its turn.
            work_price=solve.work_price * share + setup_price(hierarchy) / (self._digits * total),
        )

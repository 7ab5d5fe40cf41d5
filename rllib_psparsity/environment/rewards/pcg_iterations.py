"""Minus the logarithm of the work per digit, from iterations of conjugate gradients really run: the default reward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.conjugate_gradients import solve_block
from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy import inner_products
from rllib_psparsity.environment.rewards.work_per_digit import FAILED_WORK_PER_DIGIT

TOLERANCE = 1e-8
MAX_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class RightHandSides:
    """Right-hand sides (n, K), A's diagonal (n, 1), unknowns per node, and the nodes' shares (N,) of b^T D^-1 b."""

    b: np.ndarray
    diagonal: np.ndarray
    block: int
    before: np.ndarray


class PCGIterations:
    """``-log((CC + 1) iterations / digits)``, the mean over K systems A x = b with normal b, each run to 1e-8.

    The definition of work per digit itself (`amg.measurement`), for K right-hand sides at once. It is the default since
    the recipes of a menu often differ by less than the asymptotic measure's spread of 7 % against real solves, while
    another real solve is within 1 % (`benchmarks/reward_fidelity.py`). After 100
    iterations the digits gained so far decide.
    """

    floor = -float(np.log(FAILED_WORK_PER_DIGIT))
    solves = True

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> RightHandSides:
        b = rng.standard_normal((A.shape[0], self.vectors))
        diagonal = A.diagonal()[:, None]
        block = A.blocksize[0] if A.format == "bsr" else 1
        return RightHandSides(b, diagonal, block, inner_products(b, b / diagonal, block)[1])

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: RightHandSides) -> Quality:
        A = hierarchy.levels[0].A
        solve = solve_block(A, test_vectors.b, cycle, TOLERANCE, MAX_ITERATIONS)
        digits = -np.log10(np.maximum(solve.relative, 1e-300))
        work = hierarchy.cycle_complexity + 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = -np.log(work * solve.iterations / np.maximum(digits, 0.0))
        value = max(float(np.mean(np.nan_to_num(np.maximum(logs, self.floor), nan=self.floor))), self.floor)
        _, after = inner_products(solve.residuals, solve.residuals / test_vectors.diagonal, test_vectors.block)
        gain = max(float(2.0 * np.log(10.0) * np.mean(digits)), 1.0)
        return Quality(value, test_vectors.before, after * np.exp(-gain), 1.0 / gain, 2.0 / work, float(np.exp(-value)))

"""Minus the logarithm of the work per digit, from iterations of conjugate gradients really run: the default reward."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.work_per_digit import FAILED_WORK_PER_DIGIT

TOLERANCE = 1e-8
MAX_ITERATIONS = 100


class PCGIterations:
    """``-log((CC + 1) iterations / digits)``, the mean over K systems A x = b with normal b, each run to 1e-8.

    The definition of work per digit itself (`amg.measurement`), for K right-hand sides at once. It is the default since
    the recipes of a menu often differ by less than the asymptotic measure's spread of 7 % against real solves, while
    another real solve is within 1 % (`benchmarks/reward_fidelity.py`). After 100
    iterations the digits gained so far decide.
    """

    floor = -float(np.log(FAILED_WORK_PER_DIGIT))

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> Quality:
        A = hierarchy.levels[0].A
        r = rng.standard_normal((A.shape[0], self.vectors))
        diagonal = A.diagonal()[:, None]
        before = r * r / diagonal
        initial = np.linalg.norm(r, axis=0)
        iterations, digits = np.zeros(self.vectors), np.zeros(self.vectors)
        running = np.ones(self.vectors, dtype=bool)
        after = before.copy()
        z = cycle(r)
        p = z.copy()
        rz = np.einsum("ik,ik->k", r, z)
        for _ in range(MAX_ITERATIONS):
            Ap = A @ p
            # A system that has converged stands still; the others go on.
            alpha = np.where(running, rz / np.where(running, np.einsum("ik,ik->k", p, Ap), 1.0), 0.0)
            r = r - alpha * Ap
            iterations += running
            relative = np.linalg.norm(r, axis=0) / initial
            digits = np.where(running, -np.log10(np.maximum(relative, 1e-300)), digits)
            after[:, running] = (r * r / diagonal)[:, running]
            running &= relative > TOLERANCE
            if not running.any() or not np.isfinite(relative).all():
                break
            z = cycle(r)
            new_rz = np.einsum("ik,ik->k", r, z)
            p = z + np.where(running, new_rz / np.where(running, rz, 1.0), 0.0) * p
            rz = new_rz
        work = hierarchy.cycle_complexity + 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = -np.log(work * iterations / np.maximum(digits, 0.0))
        value = max(float(np.mean(np.nan_to_num(np.maximum(logs, self.floor), nan=self.floor))), self.floor)
        block = A.blocksize[0] if A.format == "bsr" else 1
        by_node = [
            (values / values.sum(axis=0)).sum(axis=1).reshape(-1, block).sum(axis=1) for values in (before, after)
        ]
        gain = max(float(2.0 * np.log(10.0) * np.mean(digits)), 1.0)
        return Quality(value, by_node[0], by_node[1] * np.exp(-gain), 1.0 / gain, 2.0 / work)

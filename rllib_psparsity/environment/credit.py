"""From the quality of a hierarchy to a reward per level and a credit per node.

Levels. Let Q_l be the quality of the hierarchy cut at level l and solved exactly there, Q_0 = 0, and Q_L that of the
finished one. Potential-based shaping (Ng, Harada and Russell 1999) pays ``gamma Q_{l+1} - Q_l`` for a level and, at the
end, ``Q_L - Q_{L-1}``, so the optimum stays where it is; for gamma = 1 the rewards add up to Q_L.

Nodes. A scalar says nothing about which of thousands of edges were good. The error that the cycle leaves behind lives
on nodes, and so does the work of the coarse matrix; node i of the level is credited ``r + c_i`` with c of mean zero:

    c_i = gain_price (x_i - mean x) - work_price (w_i - mean w)

    x_i = -log(remaining / initial energy around node i),   w_i = N/nnz(A_0) nnz(row of i's coarse node)/(its nodes)

The mean of the credits over the level's nodes is the level's reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rllib_psparsity.amg.hierarchy import Level
from rllib_psparsity.compiled import compiled

CREDIT_BOUND = 1.0
"""Bound of |c_i|: local ratios of energies have heavy tails that would drown the level's reward."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a hierarchy is, and where it is not.

    Attributes
    ----------
    value : the reward's figure, larger is better
    before, after : (N_0,) energy of the test errors on the finest nodes, before and after the measured cycles
    gain_price, work_price : what a unit of x_i and of w_i is worth in the units of `value`
    work_per_digit : by real solves (`amg.measurement`), NaN if none were run
    """

    value: float
    before: np.ndarray
    after: np.ndarray
    gain_price: float
    work_price: float
    work_per_digit: float = float("nan")


def node_credit(quality: Quality, levels: list[Level]) -> np.ndarray:
    """The deviations c_i of the nodes of ``levels[-2]``, whose decision made ``levels[-1]``.

    Returns
    -------
    (N,) float32 of mean zero.
    """
    fine, coarse = levels[-2], levels[-1]
    before, after = quality.before, quality.after
    for level in levels[:-2]:
        before, after = _sum_over(level, before), _sum_over(level, after)
    gain = -np.log(_neighbourhood(fine, after) / _neighbourhood(fine, before))
    c = quality.gain_price * (gain - gain.mean()) - quality.work_price * _centred(_local_work(fine, coarse, levels[0]))
    return _centred(np.clip(c, -CREDIT_BOUND, CREDIT_BOUND)).astype(np.float32)


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean()


def _seen(level: Level) -> tuple[np.ndarray, np.ndarray]:
    assert level.aggregates is not None
    seen = level.aggregates >= 0
    return seen, level.aggregates[seen]


def _sum_over(level: Level, values: np.ndarray) -> np.ndarray:
    """(N,) on the level's nodes to sums over its coarse nodes."""
    assert level.P is not None
    block = level.P.blocksize[1] if level.P.format == "bsr" else 1
    seen, aggregates = _seen(level)
    return np.bincount(aggregates, weights=values[seen], minlength=level.P.shape[1] // block)


def _neighbourhood(level: Level, energy: np.ndarray) -> np.ndarray:
    """A node's own energy and the mean of its aggregate, half each: an edge acts on its whole aggregate. Positive."""
    energy = np.maximum(energy, 0.0)
    around = _half_the_mean(level.aggregates, energy)
    around += 1e-3 * energy.mean() + np.finfo(float).tiny
    return around


@compiled()
def _half_the_mean(aggregates, energy):
    total, count = np.zeros(len(energy)), np.zeros(len(energy))
    for i, aggregate in enumerate(aggregates):
        if aggregate >= 0:
            total[aggregate] += energy[i]
            count[aggregate] += 1.0
    around = energy.copy()
    for i, aggregate in enumerate(aggregates):
        if aggregate >= 0:
            around[i] = 0.5 * (energy[i] + total[aggregate] / count[aggregate])
    return around


def _local_work(fine: Level, coarse: Level, finest: Level) -> np.ndarray:
    """w_i: nonzeros of the coarse matrix by fine node; their mean is the level's share of the operator complexity."""
    block = coarse.A.blocksize[0] if coarse.A.format == "bsr" else 1
    row = np.diff(coarse.A.indptr) * block * block
    seen, aggregates = _seen(fine)
    nodes = np.maximum(np.bincount(aggregates, minlength=len(row)), 1)
    work = np.zeros(fine.num_nodes)
    work[seen] = (row / nodes)[aggregates]
    return work * fine.num_nodes / finest.A.nnz

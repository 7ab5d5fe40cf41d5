"""Generalised advantage estimation on the hierarchy: returns flow from coarse nodes to the fine nodes they stand for.

An episode's steps are levels. Node i of level l is paid its credit r_l(i) and, from the next level on, what its coarse
node a(i) is paid. With V_l(i) the value of node i, before the recipe is known, and Q_l(i, m) after recipe m was chosen,
V = sum_m pi(m) Q(., m):

    G_l(i)      = r_l(i) + gamma ((1 - lambda) V_{l+1}(a(i)) + lambda G_{l+1}(a(i)))
    edge adv.   = G_l(i) - Q_l(i, m)        the recipe's own merit is taken out

The network's values are in deviations of the batch's returns from their mean. The episode ends with G = r. This is GAE
(Schulman et al. 2016, eq. 16) with the next state of node i being its coarse node; nodes that the coarse level does not
see have no next state.

The recipe is judged by the level's own rewards to go, without a bootstrap: a hierarchy cut below the level and solved
exactly there looks the better the more work it leaves to the levels below, and a value that is still learning does not
know that. With bootstrapped returns the recipe head settled on the recipe with the dearest coarse levels. Its baseline
is the mean over other episodes of the same problem, or the value where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.graph.level_graph import LevelGraph


def _nothing() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)


@dataclass(slots=True)
class Step:
    """One level of one episode, as the learner sees it.

    Attributes
    ----------
    graph, decision : what was observed and decided
    unit_log_prob : (U,) float32, log-probability of every unit of the mask (an edge, or a row) when it was drawn
    recipe_log_prob : float
    advantage : (N,) float32, of the mask by node
    recipe_advantage : float
    reward_to_go : float, sum of the (discounted) rewards from this level on
    target : (N,) float32, what the value of the chosen recipe is fitted to, normalised over the batch

    The last four are filled in by the learner's connector.
    """

    graph: LevelGraph
    decision: Decision
    unit_log_prob: np.ndarray
    recipe_log_prob: float
    advantage: np.ndarray = field(default_factory=_nothing)
    recipe_advantage: float = 0.0
    reward_to_go: float = 0.0
    target: np.ndarray = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class LevelOutcome:
    """What followed a step: credit (N,) and aggregates (N,), as the environment's info has them."""

    credit: np.ndarray
    aggregates: np.ndarray


def hierarchical_returns(
    outcomes: Sequence[LevelOutcome], values: Sequence[np.ndarray] | None, gamma: float, lambda_: float
) -> list[np.ndarray]:
    """The lambda-returns G_l of an episode.

    Parameters
    ----------
    outcomes : of its L steps, finest first
    values : V_l (N_l,) of its L steps; None where nothing is bootstrapped (lambda = 1)
    gamma, lambda_ : discount and trace decay

    Returns
    -------
    L arrays (N_l,) float64.
    """
    returns: list[np.ndarray] = []
    following = np.zeros(0)
    for level in reversed(range(len(outcomes))):
        outcome = outcomes[level]
        G = outcome.credit.astype(np.float64)
        if len(returns):
            seen = outcome.aggregates >= 0
            G[seen] += gamma * following[outcome.aggregates[seen]]
        returns.append(G)
        following = G if values is None else (1.0 - lambda_) * values[level].astype(np.float64) + lambda_ * G
    return returns[::-1]


def rewards_to_go(outcomes: Sequence[LevelOutcome], gamma: float) -> list[float]:
    """Discounted sum of the rewards from each of the L steps on; a step's reward is the mean of its credits."""
    sums: list[float] = []
    rest = 0.0
    for outcome in reversed(outcomes):
        rest = float(outcome.credit.mean()) + gamma * rest
        sums.append(rest)
    return sums[::-1]


def moments(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """(count, sum, sum of squares) over all entries: what has to be summed over learners for mean and deviation."""
    return np.array(
        [
            sum(a.size for a in arrays),
            sum(a.sum(dtype=np.float64) for a in arrays),
            sum(np.square(a, dtype=np.float64).sum() for a in arrays),
        ]
    )


def mean_and_std(sums: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation from `moments`."""
    count, total, squares = sums
    mean = total / max(count, 1.0)
    return float(mean), float(np.sqrt(max(squares / max(count, 1.0) - mean * mean, 0.0)))

"""The probability of the set that a row draws, whatever the order: k edges without replacement, as in `TopKRows`.

Let every edge j of a row arrive at a time that is exponential with rate w_j = exp(logit): the first k are a
Plackett-Luce draw of k. The set S comes first if all of it arrives before the first of the others, whose rates add up
to W. With r_j = w_j / W and x the time of that first one in units of its mean,

    P(S) = int_0^inf exp(-x) prod_{j in S} (1 - exp(-r_j x)) dx,

a sum over the 2^k subsets of S if it is written out, which cancels for unlikely sets. The integral has positive terms
only. In y = log x its integrand is smooth and falls off on both sides, so that the trapezoidal rule is exact to 1e-6.
"""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled

STEP = 0.35
_y = np.arange(-16.0, 3.8, STEP)
TIMES = np.exp(_y)
WEIGHTS = np.exp(_y - TIMES)
WEIGHTS /= WEIGHTS.sum()
"""Nodes x and weights of the rule."""
LARGEST = 60.0
"""Of a margin's magnitude: an edge that is exp(60) times as likely as all others together is certain."""
CERTAIN = 0.5 * np.exp(LARGEST)


def set_log_prob(margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of the rows' sets (N,), and their derivatives (N, k) by the margins, float64.

    `margin` (N, k) is the logit of each edge of the set less the logarithm of W; infinite where nothing else was left
    to draw, or where a row has fewer than k edges.
    """
    bounded = np.clip(margin.astype(np.float64), -LARGEST, LARGEST)
    return _set_log_prob(np.exp(bounded), TIMES, WEIGHTS)


@compiled()
def _set_log_prob(ratio, times, weights):
    rows, k = ratio.shape
    log_prob, derivative = np.zeros(rows), np.zeros((rows, k))
    arrived, unlikely = np.empty(k), np.empty(k)
    for i in range(rows):
        if ratio[i].min() >= CERTAIN:  # nothing is decided here
            continue
        # Unlikely edges by their logarithm, since a product of them may be too small for a float.
        for j in range(k):
            unlikely[j] = min(ratio[i, j], 1.0)
        total = 0.0
        for q in range(len(times)):
            product = weights[q]
            for j in range(k):
                arrived[j] = -np.expm1(-ratio[i, j] * times[q])
                product *= arrived[j] / unlikely[j]
            total += product
            for j in range(k):
                derivative[i, j] += product * ratio[i, j] * times[q] * (1.0 / arrived[j] - 1.0)
        log_prob[i] = np.log(total) + np.log(unlikely).sum()
        derivative[i] /= total
    return log_prob, derivative

"""The probability of a row's set against a sum over all orders, by a slow definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rllib_psparsity.policy.row_sets import set_log_prob


def by_orders(logits: np.ndarray, drawn: list[int]) -> float:
    """Logarithm of the probability that the first draws without replacement are these, in any order."""
    logs = []
    for order in itertools.permutations(drawn):
        left, total = list(range(len(logits))), 0.0
        for pick in order:
            total += logits[pick] - np.logaddexp.reduce(logits[left])
            left.remove(pick)
        logs.append(total)
    return float(np.logaddexp.reduce(logs))


def margins(logits: np.ndarray, drawn: list[int]) -> np.ndarray:
    rest = [j for j in range(len(logits)) if j not in drawn]
    return logits[drawn] - np.logaddexp.reduce(logits[rest])


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0, 8.0])
def test_the_sum_over_orders(spread):
    rng = np.random.default_rng(0)
    for _ in range(40):
        logits, drawn = spread * rng.standard_normal(8), rng.permutation(8)[:5].tolist()
        assert set_log_prob(margins(logits, drawn)[None])[0][0] == pytest.approx(by_orders(logits, drawn), abs=2e-6)


def test_the_derivative():
    margin, step = np.random.default_rng(1).standard_normal((6, 4)) * 3.0, 1e-5
    _, derivative = set_log_prob(margin)
    for j in range(4):
        shift = step * (np.arange(4) == j)
        difference = (set_log_prob(margin + shift)[0] - set_log_prob(margin - shift)[0]) / (2 * step)
        assert derivative[:, j] == pytest.approx(difference, abs=1e-6)


def test_rows_that_decide_less():
    infinite = math.inf
    log_prob, derivative = set_log_prob(np.array([[infinite] * 3, [0.0, infinite, infinite], [500.0, 400.0, 90.0]]))
    assert log_prob == pytest.approx([0.0, math.log(0.5), 0.0], abs=1e-6)  # one edge against another as likely
    assert derivative[0].tolist() == [0.0] * 3 and derivative[1] == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)


def test_a_hopeless_set_is_finite():
    log_prob, derivative = set_log_prob(np.full((1, 5), -1e6))
    assert -400.0 < log_prob[0] < -200.0 and np.isfinite(derivative).all()

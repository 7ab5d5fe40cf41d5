"""Hierarchical GAE against recursion in plain Python, and against the textbook for one node a level."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.training.advantages import LevelOutcome, hierarchical_returns, mean_and_std, moments, rewards_to_go


def random_tree(seed: int) -> tuple[list[LevelOutcome], list[np.ndarray]]:
    """Levels that shrink, with some nodes that no coarse node stands for."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(20, 40)), int(rng.integers(6, 12)), int(rng.integers(2, 5)), 1][: int(rng.integers(1, 5))]
    outcomes, values = [], []
    for size, coarse in zip(sizes, [*sizes[1:], 3], strict=True):  # the last level is followed by no decision
        aggregates = rng.integers(0, coarse, size).astype(np.int32)
        aggregates[rng.random(size) < 0.2] = -1
        outcomes.append(LevelOutcome(rng.standard_normal(size).astype(np.float32), aggregates))
        values.append(rng.standard_normal(size).astype(np.float32))
    return outcomes, values


def reference(outcomes, values, gamma, lambda_, level, node) -> float:
    """G_l(i), by its definition."""
    total = float(outcomes[level].credit[node])
    parent = int(outcomes[level].aggregates[node])
    if level + 1 < len(outcomes) and parent >= 0:
        following = reference(outcomes, values, gamma, lambda_, level + 1, parent)
        total += gamma * ((1 - lambda_) * float(values[level + 1][parent]) + lambda_ * following)
    return total


@pytest.mark.parametrize(("gamma", "lambda_"), [(1.0, 0.7), (0.9, 0.95), (0.8, 0.0), (1.0, 1.0)])
def test_returns_by_recursion(gamma, lambda_):
    depths = set()
    for seed in range(12):
        outcomes, values = random_tree(seed)
        returns = hierarchical_returns(outcomes, values, gamma, lambda_)
        assert [G.shape for G in returns] == [v.shape for v in values]
        for level, G in enumerate(returns):
            assert G.dtype == np.float64
            expected = [reference(outcomes, values, gamma, lambda_, level, i) for i in range(len(G))]
            assert pytest.approx(expected, rel=1e-12, abs=1e-12) == G
        depths.add(len(returns))
    assert depths == {1, 2, 3, 4}


@pytest.mark.parametrize(("gamma", "lambda_"), [(1.0, 0.7), (0.9, 0.5)])
def test_one_node_a_level_is_textbook_gae(gamma, lambda_):
    rng = np.random.default_rng(0)
    rewards, V = rng.standard_normal(5), rng.standard_normal(5)
    # Schulman et al. 2016, eq. 11 to 16: A_t = sum_k (gamma lambda)^k delta_{t+k}, the end worth nothing.
    after = [*V[1:], 0.0]
    delta = [rewards[t] + gamma * after[t] - V[t] for t in range(5)]
    advantage = [sum((gamma * lambda_) ** k * delta[t + k] for k in range(5 - t)) for t in range(5)]
    outcomes = [LevelOutcome(np.array([r]), np.zeros(1, np.int32)) for r in rewards]
    returns = hierarchical_returns(outcomes, [np.array([v]) for v in V], gamma, lambda_)
    assert [float(G[0]) - v for G, v in zip(returns, V, strict=True)] == pytest.approx(advantage, rel=1e-12)


def test_the_limits_of_lambda():
    for seed in range(8):
        outcomes, values = random_tree(seed)
        other_values = [value + 1.0 for value in values]
        for level, (one_step, outcome) in enumerate(
            zip(hierarchical_returns(outcomes, values, 0.9, 0.0), outcomes, strict=True)
        ):
            expected = outcome.credit.astype(float)
            if level + 1 < len(outcomes):
                expected += [0.9 * float(values[level + 1][a]) if a >= 0 else 0.0 for a in outcome.aggregates]
            assert one_step == pytest.approx(expected)
        for a, b in zip(
            hierarchical_returns(outcomes, values, 0.9, 1.0),
            hierarchical_returns(outcomes, other_values, 0.9, 1.0),
            strict=True,
        ):
            assert np.array_equal(a, b), "sampled returns know no values"


def test_rewards_to_go_are_discounted_means_of_credits():
    for seed in range(6):
        outcomes, _ = random_tree(seed)
        rewards = [float(np.mean(outcome.credit, dtype=float)) for outcome in outcomes]
        expected = [
            sum(0.9 ** (t - start) * rewards[t] for t in range(start, len(rewards))) for start in range(len(rewards))
        ]
        assert rewards_to_go(outcomes, 0.9) == pytest.approx(expected, abs=1e-6)


def test_inputs_stay_as_they_were_and_may_be_read_only():
    outcomes, values = random_tree(3)
    copies = [(o.credit.copy(), o.aggregates.copy()) for o in outcomes]
    for array in [*values, *(o.credit for o in outcomes), *(o.aggregates for o in outcomes)]:
        array.flags.writeable = False
    hierarchical_returns(outcomes, values, 1.0, 0.7)
    assert all(
        np.array_equal(o.credit, credit) and np.array_equal(o.aggregates, aggregates)
        for o, (credit, aggregates) in zip(outcomes, copies, strict=True)
    )


def test_moments_of_halves_add_up_to_those_of_the_whole():
    rng = np.random.default_rng(0)
    arrays = [(rng.standard_normal(n) * 3 + 1).astype(np.float32) for n in (5, 0, 40, 7)]
    sums = moments(arrays[:2]) + moments(arrays[2:])
    joined = np.concatenate(arrays).astype(float)
    assert mean_and_std(sums) == pytest.approx((joined.mean(), joined.std()), rel=1e-9)
    assert mean_and_std(moments([])) == (0.0, 0.0)
    assert mean_and_std(moments([np.full(10, 0.1)]))[1] == pytest.approx(0.0, abs=1e-8)

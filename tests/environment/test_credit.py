"""Node-wise credit against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.environment.credit import CREDIT_BOUND, Quality, node_credit
from rllib_psparsity.environment.sparsify import SparsifyEnv
from tests.environment.tiny import ELASTIC, SCALAR, run_episode, textbook, tiny_config


def reference(quality: Quality, levels: list) -> list[float]:
    """`credit`'s docstring, one node at a time."""
    before, after = list(quality.before), list(quality.after)
    for level in levels[:-2]:  # down to the level whose decision is credited
        before, after = (coarse_sums(level.aggregates, energy) for energy in (before, after))
    fine, coarse = levels[-2], levels[-1]
    around_before, around_after = (around(fine.aggregates, energy) for energy in (before, after))
    block = coarse.A.blocksize[0] if coarse.A.format == "bsr" else 1
    dense = coarse.A.toarray()
    x, w = [], []
    for i, aggregate in enumerate(fine.aggregates):
        x.append(-math.log(around_after[i] / around_before[i]))
        if aggregate < 0:
            w.append(0.0)
            continue
        stored = sum(
            block * block
            for other in range(len(dense) // block)
            if (coarse.A.indices[coarse.A.indptr[aggregate] : coarse.A.indptr[aggregate + 1]] == other).any()
        )
        nodes = sum(1 for a in fine.aggregates if a == aggregate)
        w.append(fine.num_nodes / levels[0].A.nnz * stored / nodes)
    mean_x, mean_w = sum(x) / len(x), sum(w) / len(w)
    c = [
        quality.gain_price * (x_i - mean_x) - quality.work_price * (w_i - mean_w) for x_i, w_i in zip(x, w, strict=True)
    ]
    c = [min(max(c_i, -CREDIT_BOUND), CREDIT_BOUND) for c_i in c]
    return [c_i - sum(c) / len(c) for c_i in c]


def coarse_sums(aggregates, energy) -> list[float]:
    sums = [0.0] * (max(aggregates) + 1)
    for aggregate, e in zip(aggregates, energy, strict=True):
        if aggregate >= 0:
            sums[aggregate] += e
    return sums


def around(aggregates, energy) -> list[float]:
    """Half a node's own energy and half the mean of its aggregate, and a thousandth of the level's mean."""
    energy = [max(e, 0.0) for e in energy]
    out = []
    for aggregate, e in zip(aggregates, energy, strict=True):
        members = [f for a, f in zip(aggregates, energy, strict=True) if a == aggregate]
        out.append((0.5 * (e + sum(members) / len(members)) if aggregate >= 0 else e) + 1e-3 * np.mean(energy))
    return out


@pytest.mark.parametrize("reward", ["work_per_digit", "energy_reduction", "pcg_iterations"])
@pytest.mark.parametrize("problems", [SCALAR, ELASTIC])
def test_credit_by_plain_loops(problems, reward):
    env = SparsifyEnv(tiny_config(problems, f"reward.name={reward}", "environment.max_coarse=5"))
    rng = np.random.default_rng(0)

    def holed(graph):
        """Some nodes lose all their strong edges, so that no aggregate takes them."""
        decision = textbook(graph)
        alone = rng.random(graph.num_nodes) < 0.05
        decision.edge_is_strong[alone[graph.edge_index].any(axis=0)] = False
        return decision

    unseen = depths = 0
    for index in range(3):
        run_episode(env, index, holed)
        levels = env.hierarchy.levels
        test_vectors = env.reward.test_vectors(levels[0].A, np.random.default_rng(1))
        for last in range(2, len(levels) + 1):
            cycle = BlockVCycle(levels[:last])
            quality = env.reward.quality(env.hierarchy, cycle, test_vectors)
            credit = node_credit(quality, levels[:last])
            assert credit.dtype == np.float32 and abs(credit.mean(dtype=float)) < 1e-6
            assert credit == pytest.approx(reference(quality, levels[:last]), rel=1e-4, abs=1e-5)
            unseen += (levels[last - 2].aggregates < 0).sum()
            depths = max(depths, last)
    assert unseen > 0 and depths > 2


def test_heavy_tails_are_cut():
    env = SparsifyEnv(tiny_config(SCALAR))
    run_episode(env, 0)
    levels = env.hierarchy.levels[:2]
    n = levels[0].num_nodes
    after = np.full(n, 1e-6)
    after[0] = 1e6
    credit = node_credit(Quality(0.0, np.ones(n), after, 1.0, 0.0), levels)
    assert credit.min() < -0.9 and np.ptp(credit) <= 2 * CREDIT_BOUND + 1e-6


def test_more_energy_left_is_less_credit_and_denser_rows_too():
    env = SparsifyEnv(tiny_config(SCALAR))
    run_episode(env, 0)
    levels = env.hierarchy.levels[:2]
    n = levels[0].num_nodes
    after = np.full(n, 0.1)
    after[levels[0].aggregates == 0] = 0.3
    gain = node_credit(Quality(0.0, np.ones(n), after, 0.5, 0.0), levels)
    assert gain[levels[0].aggregates == 0].max() < gain[levels[0].aggregates != 0].min()
    work = node_credit(Quality(0.0, np.ones(n), np.ones(n), 0.0, 0.5), levels)
    price = np.diff(levels[1].A.indptr) / np.bincount(levels[0].aggregates)
    by_aggregate = np.array([work[levels[0].aggregates == a][0] for a in range(len(price))])
    assert (np.argsort(by_aggregate, kind="stable") == np.argsort(-price, kind="stable")).all()

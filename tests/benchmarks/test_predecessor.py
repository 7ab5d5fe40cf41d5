"""The predecessor's loop does what its description says, and learns."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from scipy.sparse import csr_array

from benchmarks.predecessor import STRONG_PER_ROW, Trainer, draw, reward
from rllib_psparsity.config.load import load_config
from rllib_psparsity.problems.distribution import ProblemDistribution


def small_problem():
    ranges = "{epsilon: [0.01, 0.1], theta: [0.5, 1.0]}"
    family = f"problems.families=[{{family: anisotropic_diffusion_fd, size: [12, 12], parameters: {ranges}}}]"
    return ProblemDistribution(load_config(overrides=(family,)).problems, 0).training(0)


def test_two_updates_change_every_layer():
    problem, trainer = small_problem(), Trainer(width=8)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    rewards = [trainer.update(csr_array(problem.A), problem.B) for _ in range(2)]
    assert np.isfinite(rewards).all() and rewards[0] != rewards[1]
    # The head's last bias moves no softmax, so nothing can be learned about it.
    changed = {name: not torch.equal(p, before[name]) for name, p in trainer.network.named_parameters()}
    assert all(done for name, done in changed.items() if name != "head.2.bias")
    assert trainer.updates == 2 and trainer.mean != rewards[0]


def test_rows_are_drawn_without_replacement_and_short_ones_whole():
    torch.manual_seed(0)
    rows = torch.tensor([0] * 7 + [1] * 3 + [2] * 5)
    chosen, _ = draw(torch.randn(len(rows)), rows, 3)
    assert len(chosen.unique()) == len(chosen)
    assert torch.bincount(rows[chosen]).tolist() == [STRONG_PER_ROW, 3, 5]


def test_log_probability_is_that_of_the_ordered_draw(monkeypatch):
    monkeypatch.setattr("benchmarks.predecessor.STRONG_PER_ROW", 2)
    torch.manual_seed(1)
    logits, rows = torch.tensor([0.3, -1.0, 0.7, 0.1]), torch.zeros(4, dtype=torch.int64)
    p = torch.softmax(logits, 0)
    exact = {pair: float(p[pair[0]] * p[pair[1]] / (1 - p[pair[0]])) for pair in permutations(range(4), 2)}
    counts = dict.fromkeys(exact, 0)
    for _ in range(2000):
        chosen, log_prob = draw(logits, rows, 1)
        pair = tuple(chosen.tolist())
        counts[pair] += 1
        assert abs(float(log_prob.exp()) - exact[pair]) < 1e-6
    assert max(abs(counts[pair] / 2000 - exact[pair]) for pair in exact) < 0.04


def test_reward_knows_strong_from_weak():
    problem = small_problem()
    A = csr_array(problem.A)
    size = np.abs(A.toarray() - np.diag(A.diagonal()))
    half = np.median(size[size > 0])

    def paid(pattern):
        C = csr_array(np.where(pattern, 1.0, 0.0) + np.eye(len(size)))
        return reward(A, problem.B, C, np.random.default_rng(0))

    assert paid(size > half) > paid((size > 0) & (size <= half))

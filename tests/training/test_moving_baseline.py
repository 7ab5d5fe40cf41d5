"""REINFORCE's baseline against the predecessor's, its credit, and its state."""

from __future__ import annotations

import numpy as np
import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from benchmarks.predecessor import Trainer
from rllib_psparsity.config.schema import BaselineConfig
from rllib_psparsity.training.connectors import STEPS
from rllib_psparsity.training.moving_baseline import ADVANTAGE, BASELINE, MovingBaseline
from rllib_psparsity.training.scalar_credit import ScalarCredit
from tests.environment.tiny import tiny_config
from tests.training.runners import local_runner

RNG = np.random.default_rng(0)


class Episode:
    """As much of one as the baseline looks at: levels of three nodes."""

    def __init__(self, index: int, rewards: list[float]) -> None:
        self.id_ = str(index)
        noise = np.array([-1.0, 0.0, 1.0])
        self.infos = [{}] + [{"credit": reward + noise, "aggregates": np.zeros(3, int)} for reward in rewards]

    def get_infos(self) -> list[dict]:
        return self.infos

    def of(self, key: str) -> list[float]:
        return [info[key] for info in self.infos[1:]]


def episodes_of(rewards: list[list[float]], first: int = 0) -> list[Episode]:
    return [Episode(first + number, of_levels) for number, of_levels in enumerate(rewards)]


def test_with_two_levels_it_is_the_predecessors():
    predecessor, baseline = Trainer(width=4), MovingBaseline(BaselineConfig(), gamma=1.0)
    rewards = (3.0 + RNG.standard_normal(130)).tolist()
    episodes = episodes_of([[reward] for reward in rewards])
    for start in range(0, 130, 10):  # whatever order they came in
        baseline(episodes[start : start + 10][::-1])
    means = []
    for reward, episode in zip(rewards, episodes, strict=True):
        means.append(predecessor.mean if predecessor.updates else reward)
        assert episode.of(ADVANTAGE) == pytest.approx([predecessor._advantage(reward)], rel=1e-9, abs=1e-12)
    assert [episode.of(BASELINE)[0] for episode in episodes] == pytest.approx(means)
    residuals = np.array(rewards) - means
    assert episodes[99].of(ADVANTAGE)[0] == pytest.approx(residuals[99])  # the warm-up is over after 100
    assert abs(episodes[100].of(ADVANTAGE)[0] - residuals[100]) > 1e-3


def test_momenta_normalisation_and_warm_up_are_settings():
    rewards = [2.0, 5.0, 1.0]
    plain, scaled = (
        MovingBaseline(BaselineConfig(momentum=0.5, variance_momentum=0.0, normalise=n, warm_up=1), gamma=1.0)
        for n in (False, True)
    )
    for baseline, expected in ((plain, [0.0, 3.0, -2.5]), (scaled, [0.0, 1.0, -1.0])):
        episodes = episodes_of([[reward] for reward in rewards])
        baseline(episodes)
        assert [episode.of(ADVANTAGE)[0] for episode in episodes] == pytest.approx(expected)
        assert [episode.of(BASELINE)[0] for episode in episodes] == pytest.approx([2.0, 2.0, 3.5])


def test_every_level_has_rewards_to_go_and_an_average_of_its_own():
    baseline = MovingBaseline(BaselineConfig(momentum=0.5, normalise=False), gamma=0.5)
    episodes = episodes_of([[1.0, 2.0], [3.0], [5.0, 4.0, 8.0]])
    baseline(episodes)
    # Rewards to go: 2, 2; 3; 9, 8, 8.
    assert [episode.of(BASELINE) for episode in episodes] == [[2.0, 2.0], [2.0], [2.5, 2.0, 8.0]]
    assert [episode.of(ADVANTAGE) for episode in episodes] == [[0.0, 0.0], [1.0], [6.5, 6.0, 0.0]]


def test_a_restored_one_goes_on_as_if_nothing_had_been():
    rewards = [RNG.standard_normal(1 + number % 3).tolist() for number in range(60)]
    config = BaselineConfig(warm_up=10)
    unbroken, first, second = (MovingBaseline(config, 1.0) for _ in range(3))
    expected, episodes = episodes_of(rewards), episodes_of(rewards)
    unbroken(expected)
    first(episodes[:30])
    second.set_state(first.get_state())
    second(episodes[30:])
    assert [e.of(ADVANTAGE) for e in episodes] == [e.of(ADVANTAGE) for e in expected]
    assert second.get_state() == unbroken.get_state()


def test_all_that_was_decided_on_a_level_has_its_one_advantage():
    config = tiny_config("training.algorithm=reinforce", "training.epochs=1", "training.baseline.normalise=false")
    episodes = local_runner(config).sample(indices=list(range(6)))
    MovingBaseline(config.training.baseline, 1.0)(episodes)
    logged: dict[str, float] = {}

    class Recorder:
        def log_dict(self, figures, *, key, window):
            logged.update(figures)

    batch = ScalarCredit(config)(episodes=episodes, metrics=Recorder(), batch={})
    steps = {id(step.decision): step for group in batch[DEFAULT_MODULE_ID][STEPS] for step in group}
    returns, residuals = [], []
    for episode in episodes:
        rewards = episode.get_rewards()
        for t in range(len(episode)):
            step, info = steps.pop(id(episode.get_actions(t))), episode.get_infos(t + 1)
            G = float(sum(rewards[t:]))
            assert step.reward_to_go == pytest.approx(G, abs=1e-5)
            assert info[ADVANTAGE] == pytest.approx(G - info[BASELINE], abs=1e-5)
            assert step.recipe_advantage == info[ADVANTAGE]
            assert step.advantage.shape == (step.graph.num_nodes,)
            assert (step.advantage == np.float32(info[ADVANTAGE])).all()
            returns.append(G)
            residuals.append(G - info[BASELINE])
    assert not steps and len(set(np.round(residuals, 6))) > 3
    assert logged["explained_variance"] == pytest.approx(1.0 - np.var(residuals) / np.var(returns), abs=1e-4)
    assert logged["advantage_std"] == pytest.approx(np.std(residuals), rel=1e-4)

"""Episodes by index: whole, in order, and the same from any runner."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.env_runner import EnvPool, SparsifyEnvRunner, sample_chunk
from rllib_psparsity.training.inference_module import NETWORK, WeightsMissing
from tests.environment.tiny import run_episode, tiny_config
from tests.training.runners import local_runner, same_episode


@pytest.mark.parametrize("action", ["edges", "top_k"])
def test_whole_episodes_in_the_order_of_the_indices(action):
    config = tiny_config(
        f"policy.action={action}", "problems.families=[{family: anisotropic_diffusion_fd, size: [5, 14]}]"
    )
    runner = local_runner(config)
    indices = [7, 2, 5, 11]
    episodes = runner.sample(indices=indices)
    assert [episode.id_ for episode in episodes] == ["7", "2", "5", "11"]
    assert all(episode.is_done and len(episode) >= 1 for episode in episodes)
    assert len({len(episode) for episode in episodes}) > 1, "all are of one length: finished ones were never left out"
    env = SparsifyEnv(config)
    for index, episode in zip(indices, episodes, strict=True):
        graph, _ = env.reset(options={"index": index})
        for step in range(len(episode)):  # the environment itself, stepped with the recorded decisions
            assert np.array_equal(graph.node_features, episode.get_observations(step).node_features)
            graph, reward, *_ = env.step(episode.get_actions(step))
            assert reward == episode.get_rewards(step)
        assert env.hierarchy.end == episode.get_infos()[-1]["end"]
        assert episode.get_observations(-1).num_nodes == 1


def test_an_index_gives_the_same_episode_again_and_elsewhere():
    config = tiny_config()
    runner = local_runner(config)
    first = runner.sample(indices=[4, 5, 6])
    runner.sample(indices=[0, 1])
    for again in (runner.sample(indices=[4, 5, 6]), local_runner(config).sample(indices=[4, 5, 6])):
        assert all(same_episode(a, b) for a, b in zip(first, again, strict=True))
    other = local_runner(tiny_config("seed=1")).sample(indices=[4, 5, 6])
    assert not any(same_episode(a, b) for a, b in zip(first, other, strict=True))


def test_draws_differ_between_episodes_of_one_problem():
    runner = local_runner(tiny_config("problems.training_problems=1"))
    a, b = runner.sample(indices=[0, 1])
    assert np.array_equal(a.get_observations(0).edge_features, b.get_observations(0).edge_features)
    assert not np.array_equal(a.get_actions(0).edge_is_strong, b.get_actions(0).edge_is_strong)


def test_rollouts_of_a_problem_differ_in_their_draws_only():
    runner = local_runner(tiny_config("training.rollouts_per_problem=2"))
    plain = local_runner(tiny_config()).sample(indices=[0, 1])
    episodes = runner.sample(indices=[0, 1, 2, 3])
    graphs = [episode.get_observations(0).edge_features for episode in episodes]
    for k in range(4):
        assert np.array_equal(graphs[k], plain[k // 2].get_observations(0).edge_features)
    assert not np.array_equal(episodes[0].get_actions(0).edge_is_strong, episodes[1].get_actions(0).edge_is_strong)


def test_difficulty_reaches_the_problems():
    runner = local_runner(tiny_config())
    easy, hard = (
        [episode.get_observations(0).num_nodes for episode in runner.sample(indices=range(4), difficulty=difficulty)]
        for difficulty in (0.0, 1.0)
    )
    assert easy == [100] * 4 and max(hard) > 100


def test_a_chunk_that_fails_says_where(monkeypatch):
    runner = local_runner(tiny_config())
    monkeypatch.setattr(SparsifyEnvRunner, "_infer", lambda self, *arguments: 1 // 0)
    chunk = sample_chunk(runner, 3, [0], 1.0)
    assert chunk.number == 3 and chunk.episodes == [] and isinstance(chunk.error, RuntimeError)
    assert str(chunk.error).startswith("an env runner failed\nTraceback") and "ZeroDivisionError" in str(chunk.error)


def test_an_episode_that_raises_or_pays_nan_is_dropped_and_the_others_are_as_ever(monkeypatch):
    config = tiny_config()
    expected = local_runner(config).sample(indices=range(6))
    runner, step, reset = local_runner(config), SparsifyEnv.step, SparsifyEnv.reset
    envs = runner.env.take(6)

    def broken_reset(self, **kwargs):
        if self is envs[0]:
            raise MemoryError("no room\nat all")
        return reset(self, **kwargs)

    def broken_step(self, action):
        graph, reward, terminated, truncated, info = step(self, action)
        if self is envs[1]:
            raise ArithmeticError("the hierarchy is upside down")
        if self is envs[3]:
            reward = float("nan")
        if self is envs[4] and terminated:
            info["credit"] = np.full_like(info["credit"], np.inf)
        return graph, reward, terminated, truncated, info

    monkeypatch.setattr(SparsifyEnv, "reset", broken_reset)
    monkeypatch.setattr(SparsifyEnv, "step", broken_step)
    chunk = sample_chunk(runner, 0, range(6), 1.0)
    assert chunk.error is None and [episode.id_ for episode in chunk.episodes] == ["2", "5"]
    assert all(same_episode(a, b) for a, b in zip(chunk.episodes, [expected[2], expected[5]], strict=True))
    reasons = {episode.index: episode.reason for episode in chunk.dropped}
    assert sorted(reasons) == [0, 1, 3, 4]
    assert reasons[0].startswith("MemoryError: no room at all (test_env_runner.py:")
    assert reasons[1].startswith("ArithmeticError: the hierarchy is upside down (test_env_runner.py:")
    assert "the reward nan or its share of a node is not finite" in reasons[3] and "not finite" in reasons[4]

    monkeypatch.undo()
    again = sample_chunk(runner, 1, range(6), 1.0)
    assert again.dropped == [] and all(same_episode(a, b) for a, b in zip(again.episodes, expected, strict=True))


def test_without_exploration_the_mode_is_taken():
    config = tiny_config()
    network = untrained_network(config.policy, config.seed)
    with torch.no_grad():
        network.recipe_head[-1].bias[2] += 5.0
    (episode,) = local_runner(config, network).sample(indices=[3], explore=False)
    env = SparsifyEnv(config)
    steps = run_episode(env, 3, policy_decide(inference_of(network)))
    assert [step[1] for step in steps] == list(episode.get_rewards())
    assert {decision.recipe for decision in episode.get_actions()} == {2}


@pytest.mark.parametrize("backbone", ["sparse", "gin"])
def test_weights_that_arrive_are_used_at_once_and_kept(backbone):
    """By RLlib's sync, which hands over the learner's own memory where both are in one process."""
    config = tiny_config(f"policy.backbone={backbone}")
    runner, network = local_runner(config), untrained_network(config.policy, config.seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    state = {NETWORK + name: tensor.numpy() for name, tensor in network.state_dict().items()}

    def figures(of) -> np.ndarray:
        (episode,) = of.sample(indices=[3])
        return np.concatenate(
            [
                episode.get_extra_model_outputs("recipe_log_prob")[:1],
                episode.get_extra_model_outputs("unit_log_prob")[0],
            ]
        )

    before, changed = figures(runner), figures(local_runner(config, network))
    assert not np.array_equal(before, changed)
    runner.set_state({"rl_module": {"default_policy": state}, "weights_seq_no": 1})
    assert np.array_equal(figures(runner), changed)
    assert runner.module.get_state().keys() == state.keys()
    with torch.no_grad():
        network.temperature.fill_(0.5)
    assert np.array_equal(figures(runner), changed)


def test_a_runner_without_weights_looks_lost():
    """It raises, and RLlib then gives it what its predecessor had."""
    runner = SparsifyEnvRunner(config=SparsifyPPOConfig().apply_run(tiny_config()))
    assert runner.module.get_state() == {}
    with pytest.raises(WeightsMissing, match="asked for decisions before it was given weights"):
        sample_chunk(runner, 0, [0], 1.0)


def test_a_chunk_brings_its_number_and_metrics():
    runner = local_runner(tiny_config())
    chunk = sample_chunk(runner, 9, [0, 1], 1.0)
    episodes = chunk.episodes
    assert chunk.number == 9 and [episode.id_ for episode in episodes] == ["0", "1"] and chunk.error is None
    peeked = {name: stats.peek() for name, stats in chunk.metrics.items() if hasattr(stats, "peek")}
    assert peeked["num_env_steps_sampled"] == sum(len(episode) for episode in episodes)
    assert peeked["num_episodes"] == 2
    assert peeked["episode_return_mean"] == pytest.approx(np.mean([episode.get_return() for episode in episodes]))


def test_an_environment_pool_makes_a_problem_once(monkeypatch):
    made = []
    training = ProblemDistribution.training

    def counted(self, index, difficulty=1.0):
        made.append(index)
        return training(self, index, difficulty)

    monkeypatch.setattr(ProblemDistribution, "training", counted)
    for k, env in enumerate(EnvPool(tiny_config()).take(6)):
        env.reset(options={"index": k // 3, "difficulty": 1.0})
    assert made == [0, 1]


def test_a_finished_episode_leaves_no_hierarchy_behind():
    runner = local_runner(tiny_config())
    runner.sample(indices=[0, 1])
    for env in runner.env.envs:
        with pytest.raises(InputError, match="the environment has no hierarchy"):
            _ = env.hierarchy

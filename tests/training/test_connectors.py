"""From sampled episodes to steps with normalised advantages, and log-probabilities that the learner finds again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.training import runner_connectors
from rllib_psparsity.training.advantages import LevelOutcome, hierarchical_returns
from rllib_psparsity.training.connectors import STEPS, HierarchicalGAE
from rllib_psparsity.training.loss import StepBatch
from rllib_psparsity.training.rollouts import count_graphs
from tests.environment.tiny import tiny_config
from tests.training.runners import local_runner

INDICES = list(range(6))


class Recorder:
    """Stands for RLlib's metrics logger."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def log_dict(self, figures, *, key, window):
        assert key == DEFAULT_MODULE_ID and window == 1
        self.figures |= figures


@pytest.fixture(scope="module")
def sampled():
    config = tiny_config("training.gamma=0.9")
    network = untrained_network(config.policy, config.seed)
    with torch.no_grad():  # values of the size of the returns
        network.value_head[-1].weight *= 30.0
    return config, network, local_runner(config, network).sample(indices=INDICES)


def connected_groups(config, episodes):
    recorder = Recorder()
    batch = HierarchicalGAE(config)(episodes=episodes, metrics=recorder, batch={})
    return list(batch[DEFAULT_MODULE_ID][STEPS]), recorder.figures


def connected(config, episodes):
    """The steps in the order of the episodes, whatever groups they came in."""
    groups, figures = connected_groups(config, episodes)
    by_decision = {id(step.decision): step for group in groups for step in group}
    return [by_decision[id(episode.get_actions(t))] for episode in episodes for t in range(len(episode))], figures


def by_hand(config, network, episodes):
    """(G, G - Q of the chosen recipe, rewards to go, mean of V) of every step, one graph at a time."""
    gamma = config.training.gamma
    outcomes_of = [[LevelOutcome(i["credit"], i["aggregates"]) for i in e.get_infos()[1:]] for e in episodes]
    returns = [hierarchical_returns(outcomes, None, gamma, 1.0) for outcomes in outcomes_of]
    pooled = np.concatenate([G for of_episode in returns for G in of_episode])
    mean, std = pooled.mean(), pooled.std()  # where the network's values count from
    out = []
    for episode, outcomes in zip(episodes, outcomes_of, strict=True):
        V, Q = [], []
        for step in range(len(episode)):
            with torch.no_grad():
                output = network(GraphBatch.from_graphs([episode.get_observations(step)]), with_value=True)
            chances = output.recipe_logits[0].softmax(0).numpy()
            values = mean + std * output.node_values.numpy()
            V.append(np.array([sum(c * q for c, q in zip(chances, row, strict=True)) for row in values]))
            Q.append(values[:, episode.get_actions(step).recipe])
        returns = hierarchical_returns(outcomes, V, gamma, config.training.lambda_)
        rewards = episode.get_rewards()
        to_go = [sum(gamma ** (t - s) * rewards[t] for t in range(s, len(rewards))) for s in range(len(rewards))]
        out += [
            (G, (G - mean) / std, G - q, rest, v.mean()) for G, v, q, rest in zip(returns, V, Q, to_go, strict=True)
        ]
    return out


def test_advantages_are_normalised_over_the_batch(sampled):
    config, network, episodes = sampled
    steps, figures = connected(config, episodes)
    assert len(steps) == sum(len(episode) for episode in episodes)
    advantages = np.concatenate([step.advantage for step in steps]).astype(float)
    recipes = np.array([step.recipe_advantage for step in steps])
    assert abs(advantages.mean()) < 1e-5 and advantages.std() == pytest.approx(1.0, abs=1e-4)
    assert abs(recipes.mean()) < 1e-5 and recipes.std() == pytest.approx(1.0, abs=1e-4)

    expected = by_hand(config, network, episodes)
    residuals = np.concatenate([residual for _, _, residual, _, _ in expected])
    returns = np.concatenate([G for G, *_ in expected])
    merits = np.array([rest - value for *_, rest, value in expected])  # nobody else had the same problem
    for step, merit, (_, target, residual, rest, _) in zip(steps, merits, expected, strict=True):
        assert step.target == pytest.approx(target, abs=1e-4) and step.target.dtype == np.float32
        assert step.reward_to_go == pytest.approx(rest, abs=1e-5)
        assert step.advantage == pytest.approx((residual - residuals.mean()) / residuals.std(), abs=1e-4)
        assert step.recipe_advantage == pytest.approx((merit - merits.mean()) / merits.std(), abs=1e-4)
    assert figures["explained_variance"] == pytest.approx(1.0 - residuals.var() / returns.var(), abs=1e-4)
    assert abs(figures["explained_variance"]) > 0.01, "values too small to tell"
    assert figures["advantage_std"] == pytest.approx(residuals.std(), rel=1e-4)
    assert figures["recipe_advantage_std"] == pytest.approx(merits.std(), rel=1e-4)


def test_advantages_can_be_left_as_they_are(sampled):
    config, network, episodes = sampled
    plain = config.model_copy(update={"training": config.training.model_copy(update={"normalise_advantages": False})})
    steps, figures = connected(plain, episodes)
    for step, (_, _, residual, rest, value) in zip(steps, by_hand(config, network, episodes), strict=True):
        assert step.advantage == pytest.approx(residual, abs=1e-4) and step.advantage.dtype == np.float32
        assert step.recipe_advantage == pytest.approx(rest - value, abs=1e-4)
    assert figures == connected(config, episodes)[1]


def test_recipes_are_compared_with_those_of_the_same_problem():
    """Episodes 0, 1 and 2 share problem 0, episodes 3 and 4 problem 1, and episode 8 has problem 2 to itself."""
    config = tiny_config("training.rollouts_per_problem=3", "training.gamma=0.9")
    runner = local_runner(config)
    indices = [0, 1, 2, 3, 4, 8]
    episodes = runner.sample(indices=indices)
    steps, _ = connected(config, episodes)
    expected = by_hand(config, untrained_network(config.policy, config.seed), episodes)
    where = [(index // 3, level) for index, e in zip(indices, episodes, strict=True) for level in range(len(e))]
    merits = []
    for k, (*_, rest, value) in enumerate(expected):
        others = [expected[n][3] for n in range(len(where)) if n != k and where[n] == where[k]]
        merits.append(rest - (sum(others) / len(others) if others else value))
    merits = np.array(merits)
    actual = np.array([step.recipe_advantage for step in steps])
    assert actual == pytest.approx((merits - merits.mean()) / merits.std(), abs=1e-4)


def test_with_a_sibling_baseline_the_masks_are_compared_too():
    """Episodes 0, 1 and 2 share problem 0, and episode 3 has problem 1 to itself."""
    plain = tiny_config("training.rollouts_per_problem=3", "training.gamma=0.9")
    compared = tiny_config(
        "training.rollouts_per_problem=3",
        "training.gamma=0.9",
        "training.sibling_baseline=true",
        "training.normalise_advantages=false",
    )
    indices = [0, 1, 2, 3]
    episodes = local_runner(plain).sample(indices=indices)
    steps, figures = connected(compared, episodes)
    expected = by_hand(plain, untrained_network(plain.policy, plain.seed), episodes)
    where = [(index // 3, level) for index, e in zip(indices, episodes, strict=True) for level in range(len(e))]
    lone = 0
    for k, (step, (_, _, residual, _, _)) in enumerate(zip(steps, expected, strict=True)):
        others = [expected[n][2].mean() for n in range(len(where)) if n != k and where[n] == where[k]]
        lone += not others
        baseline = sum(others) / len(others) if others else 0.0
        assert step.advantage == pytest.approx(residual - baseline, abs=1e-4) and step.advantage.dtype == np.float32
    assert 0 < lone < len(steps)
    by_values = connected(plain, episodes)[1]
    assert figures["explained_variance"] == by_values["explained_variance"], "of the values, whatever the baseline"
    assert figures["advantage_std"] != by_values["advantage_std"]


def test_rollouts_of_a_problem_share_its_finest_graph():
    """Episodes 0, 1 and 2 share problem 0, and episode 3 begins problem 1."""
    config = tiny_config("training.rollouts_per_problem=3")
    runner = local_runner(config)
    episodes = runner.sample(indices=[0, 1, 2, 3])
    groups, _ = connected_groups(config, episodes)
    deeper = sum(len(episode) - 1 for episode in episodes)
    assert deeper > 0 and sorted(map(len, groups)) == [1] * (deeper + 1) + [3]
    assert count_graphs(episodes, 3) == len(groups)
    for group in groups:
        for step in group:
            assert (step.graph.edge_features == group[0].graph.edge_features).all()
    (shared,) = [group for group in groups if len(group) == 3]
    assert [step.decision for step in shared] == [episode.get_actions(0) for episode in episodes[:3]]


def test_steps_are_those_of_the_episodes(sampled):
    config, _, episodes = sampled
    groups, _ = connected_groups(config, episodes)
    assert all(len(group) == 1 for group in groups)
    steps = (group[0] for group in groups)
    for episode in episodes:
        for t in range(len(episode)):
            step = next(steps)
            assert step.graph is episode.get_observations(t) and step.decision is episode.get_actions(t)
            assert step.unit_log_prob.shape == (step.graph.num_edges,)
            assert step.advantage.shape == step.target.shape == (step.graph.num_nodes,)
    assert next(steps, None) is None, "the terminal dummy is no step"


def test_several_learners_normalise_over_all_their_batches(sampled, monkeypatch):
    config, _, episodes = sampled
    whole, figures = connected(config, episodes)
    barrier = threading.Barrier(2)
    shared: dict[int, torch.Tensor] = {}

    def all_reduce(tensor: torch.Tensor) -> None:
        shared[threading.get_ident()] = tensor.clone()
        barrier.wait(timeout=60)
        tensor.copy_(sum(shared.values()))
        barrier.wait(timeout=60)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    with ThreadPoolExecutor(2) as learners:
        parts = list(learners.map(lambda half: connected(config, half), (episodes[:2], episodes[2:])))
    for step, expected in zip([*parts[0][0], *parts[1][0]], whole, strict=True):
        assert step.advantage == pytest.approx(expected.advantage, abs=1e-4)
        assert step.recipe_advantage == pytest.approx(expected.recipe_advantage, abs=1e-4)
    assert parts[0][1] == pytest.approx(figures, rel=1e-4) and parts[0][1] == parts[1][1]


def test_the_learner_finds_the_probabilities_of_sampled_sets_again():
    config = tiny_config("policy.action=top_k", "policy.k=3", "training.likelihood=set")
    network = untrained_network(config.policy, config.seed)
    steps, _ = connected(config, local_runner(config, network).sample(indices=INDICES))
    batch = StepBatch.from_steps([[step] for step in steps])
    with torch.no_grad():
        output = network(batch.graphs, with_value=True)
        sets, orders = (
            make_actions(config.policy, output, batch.decisions, likelihood).evaluate()[0].units
            for likelihood in ("set", "exact")
        )
    assert torch.allclose(sets, batch.unit_log_prob, rtol=1e-6, atol=1e-5)
    assert (sets > orders + 0.5).float().mean() > 0.5, "a set is likelier than one of its orders"


@pytest.mark.parametrize("action", ["edges", "top_k"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_learner_finds_the_sampled_log_probabilities_again(action, temperature):
    config = tiny_config(f"policy.action={action}", "policy.k=3", f"policy.temperature.initial={temperature}")
    network = untrained_network(config.policy, config.seed)
    steps, _ = connected(config, local_runner(config, network).sample(indices=INDICES))
    batch = StepBatch.from_steps([[step] for step in steps])
    with torch.no_grad():
        output = network(batch.graphs, with_value=True)
        log_prob, _ = make_actions(config.policy, output, batch.decisions).evaluate()
    assert torch.allclose(log_prob.units, batch.unit_log_prob, rtol=1e-6, atol=1e-6)
    assert torch.allclose(log_prob.recipe, batch.recipe_log_prob, rtol=1e-6, atol=1e-6)
    if action == "edges":  # and they are those of logits that the temperature has divided
        with torch.no_grad():
            network.temperature.fill_(1.0)
            plain = network(batch.graphs, with_value=False)
        chosen = plain.edge_logits.gather(1, batch.decisions.recipe[batch.graphs.edge_graph][:, None])[:, 0]
        odds = torch.sigmoid(chosen / temperature)
        expected = torch.where(batch.decisions.edge_is_strong, odds, 1.0 - odds).log()
        assert torch.allclose(batch.unit_log_prob, expected, atol=1e-4)


def test_objects_of_equal_length_stay_objects():
    column = runner_connectors.objects([np.zeros(3), np.ones(3)])
    assert column.dtype == object and column.shape == (2,)

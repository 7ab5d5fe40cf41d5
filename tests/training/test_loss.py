"""The loss against a reference that goes edge by edge, and what its gradient must and must not hold."""

from __future__ import annotations

import math

import pytest
import torch

from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.training.loss import StepBatch, _clipped, ppo_loss
from tests.environment.tiny import tiny_config
from tests.training.steps import network_of, random_steps

ACTIONS = pytest.mark.parametrize("action", ["edges", "top_k"])


def of_action(action: str, *overrides: str):
    return tiny_config(f"policy.action={action}", "policy.k=3", *overrides)


def softmax(logits: list[float]) -> list[float]:
    largest = max(logits)
    weights = [math.exp(x - largest) for x in logits]
    return [w / sum(weights) for w in weights]


def entropy_of(p: list[float]) -> float:
    return -sum(x * math.log(x) for x in p if x > 0)


def edge_units(step, logits):
    """(log-probability, entropy, advantage) of every edge."""
    for edge, (i, j) in enumerate(step.graph.edge_index.T):
        p = 1.0 / (1.0 + math.exp(-logits[edge]))
        chosen = p if step.decision.edge_is_strong[edge] else 1.0 - p
        yield math.log(chosen), entropy_of([p, 1.0 - p]), (step.advantage[i] + step.advantage[j]) / 2.0


def row_units(step, logits):
    """The same of every row: its draws without replacement, one after the other."""
    for row in range(step.graph.num_nodes):
        left = [e for e in range(step.graph.num_edges) if row in step.graph.edge_index[:, e]]
        log_prob = entropy = 0.0
        for pick in step.decision.row_picks[row]:
            if pick < 0:
                continue
            p = softmax([logits[e] for e in left])
            log_prob += math.log(p[left.index(pick)])
            entropy += entropy_of(p)
            left.remove(pick)
        yield log_prob, entropy, step.advantage[row]


def clipped(log_ratio: float, advantage: float, clip: float) -> float:
    ratio = math.exp(log_ratio)
    return min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)


def reference(config, network, steps, coefficient) -> tuple[float, dict[str, float]]:
    training = config.training
    unit_gains, unit_entropies, recipe_gains, recipe_entropies, errors, softmaxes = [], [], [], [], [], []
    for step in steps:
        with torch.no_grad():
            output = network(GraphBatch.from_graphs([step.graph]), with_value=True)
        recipe = step.decision.recipe
        logits = output.edge_logits[:, recipe].double().tolist()
        units = edge_units(step, logits) if config.policy.action == "edges" else row_units(step, logits)
        for old, (log_prob, entropy, advantage) in zip(step.unit_log_prob, units, strict=True):
            unit_gains.append(clipped(log_prob - old, advantage, training.clip))
            unit_entropies.append(entropy)
        chances = softmax(output.recipe_logits[0].double().tolist())
        recipe_gains.append(
            clipped(math.log(chances[recipe]) - step.recipe_log_prob, step.recipe_advantage, training.clip)
        )
        recipe_entropies.append(entropy_of(chances))
        values = output.node_values[:, recipe].tolist()
        errors += [(v - g) ** 2 for v, g in zip(values, step.target, strict=True)]
        softmaxes.append(entropy_of(softmax(logits)) if logits else 0.0)

    def mean(values):
        return sum(values) / len(values)

    policy_loss = -mean(unit_gains) - mean(recipe_gains)
    loss = (
        policy_loss
        + training.value_coefficient * mean(errors)
        - coefficient * mean(unit_entropies)
        - training.recipe_entropy_coefficient * mean(recipe_entropies)
    )
    return loss, {
        "policy_loss": policy_loss,
        "value_loss": mean(errors),
        "entropy_edge": mean(unit_entropies),
        "entropy_recipe": mean(recipe_entropies),
        "entropy_softmax_over_edges": mean(softmaxes),
    }


def loss_of(config, network, steps, coefficient, **kwargs):
    batch = StepBatch.from_steps([[step] for step in steps])
    return ppo_loss(network(batch.graphs, with_value=True), batch, config, coefficient, **kwargs)


def gradient(config, network, steps, coefficient, **kwargs) -> torch.Tensor:
    network.zero_grad()
    loss_of(config, network, steps, coefficient, **kwargs)[0].backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@ACTIONS
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_loss_edge_by_edge(action, temperature):
    config = of_action(
        action,
        "training.recipe_entropy_coefficient=0.3",
        "training.value_coefficient=0.7",
        f"policy.temperature.initial={temperature}",
    )
    network = network_of(config)
    for seed in range(3):
        steps = random_steps(config, network, seed)
        loss, figures = loss_of(config, network, steps, 0.2)
        expected, expected_figures = reference(config, network, steps, 0.2)
        assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert figures == pytest.approx(expected_figures, rel=1e-5, abs=1e-6)


@ACTIONS
def test_entropies_have_a_gradient_and_detached_ones_have_exactly_none(action):
    def gradients(config):
        network = network_of(config)
        steps = random_steps(config, network)
        return [gradient(config, network, steps, c) for c in (0.0, 0.02, 1.0)]

    for entropy_of_recipes in ("0.0", "0.5"):
        weight = f"training.recipe_entropy_coefficient={entropy_of_recipes}"
        live = gradients(of_action(action, weight))
        assert not torch.allclose(live[0], live[1]) and not torch.allclose(live[1], live[2])
        # Linear in the coefficient: the step from 0 to 1 is fifty times that from 0 to 0.02.
        assert torch.allclose((live[1] - live[0]) * 50, live[2] - live[0], atol=1e-4)
        detached = gradients(of_action(action, weight, "entropy.detach=true"))
        assert torch.equal(detached[0], detached[1]) and torch.equal(detached[1], detached[2])
    none = gradients(of_action(action, "entropy.detach=true", "training.recipe_entropy_coefficient=0.0"))
    assert torch.equal(none[0], detached[0]), "the recipe's entropy has a gradient although it is detached"
    assert torch.allclose(none[0], gradients(of_action(action, "training.recipe_entropy_coefficient=0.0"))[0])


@ACTIONS
def test_detached_entropies_are_still_reported(action):
    live, detached = of_action(action), of_action(action, "entropy.detach=true")
    network = network_of(live)
    steps = random_steps(live, network)
    (loss, figures), (same_loss, same) = (loss_of(config, network, steps, 0.02) for config in (live, detached))
    assert figures == same and torch.equal(loss, same_loss)
    assert figures["entropy_edge"] > 0 and figures["entropy_recipe"] > 0
    assert figures["entropy_softmax_over_edges"] > 0


@ACTIONS
@pytest.mark.parametrize("better", [True, False])
def test_a_ratio_beyond_the_clip_has_no_gradient(action, better):
    config = of_action(
        action, "training.recipe_entropy_coefficient=0", "training.value_coefficient=0", "training.clip=0.2"
    )
    network = network_of(config)
    steps = random_steps(config, network, spread=0.0)
    # All chosen more often than before with a good advantage, or less often with a bad one: enough is enough.
    sign = 1.0 if better else -1.0

    def moved(by: float) -> torch.Tensor:
        for step, unit_log_prob, recipe_log_prob in zip(steps, units, recipes, strict=True):
            step.unit_log_prob, step.recipe_log_prob = unit_log_prob - by, recipe_log_prob - by
            step.advantage = abs(step.advantage) * sign
            step.recipe_advantage = abs(step.recipe_advantage) * sign
        return gradient(config, network, steps, 0.0)

    units, recipes = [step.unit_log_prob for step in steps], [step.recipe_log_prob for step in steps]
    assert moved(sign * 0.5).abs().max() == 0.0
    assert moved(sign * 0.01).abs().max() > 1e-4
    assert moved(-sign * 0.5).abs().max() > 1e-4, "a change for the worse must be taken back"


@ACTIONS
def test_two_learners_have_the_gradient_of_the_union(monkeypatch, action):
    config = of_action(action)
    network = network_of(config)
    steps = [*random_steps(config, network, 1), *random_steps(config, network, 2)]
    halves = (steps[:3], steps[3:])  # of quite different numbers of nodes
    counts: list[torch.Tensor] = []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: counts.append(tensor.clone()))
    for half in halves:
        gradient(config, network, half, 0.02, world_size=2)
    union = counts[0] + counts[1]
    assert counts[0].tolist() != counts[1].tolist()
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.copy_(union))
    # DDP averages what the learners find.
    average = sum(gradient(config, network, half, 0.02, world_size=2) for half in halves) / 2
    whole = gradient(config, network, steps, 0.02)
    assert torch.allclose(average, whole, rtol=1e-5, atol=1e-5 * whole.abs().max().item())
    naive = sum(gradient(config, network, half, 0.02) for half in halves) / 2
    assert (naive - whole).norm() > 0.05 * whole.norm(), "the halves are too alike for this test to fail"
    figures = [loss_of(config, network, half, 0.02, world_size=2)[1] for half in halves]
    _, expected = loss_of(config, network, steps, 0.02)
    for name in ("policy_loss", "value_loss", "entropy_edge", "entropy_recipe"):
        assert sum(part[name] for part in figures) / 2 == pytest.approx(expected[name], rel=1e-5)


@ACTIONS
def test_steps_on_one_graph_give_the_loss_and_gradient_of_steps_on_copies(action):
    config = of_action(action)
    network = network_of(config)
    steps = [*random_steps(config, network, 1), *random_steps(config, network, 1, draws=7)]
    pairs = [list(pair) for pair in zip(steps[: len(steps) // 2], steps[len(steps) // 2 :], strict=True)]
    assert any((a.decision.edge_is_strong != b.decision.edge_is_strong).any() for a, b in pairs)
    results = []
    for groups in (pairs, [[step] for pair in pairs for step in pair]):
        network.zero_grad()
        batch = StepBatch.from_steps(groups)
        assert batch.graphs.num_graphs == len(groups)
        loss, figures = ppo_loss(network(batch.graphs, with_value=True), batch, config, 0.02)
        loss.backward()
        results.append((figures, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


def test_the_clipped_objective_has_the_gradient_of_its_formula():
    generator = torch.Generator().manual_seed(0)
    log_ratio = torch.randn(40, dtype=torch.float64, generator=generator).requires_grad_()
    advantage = torch.randn(40, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda x: _clipped(x, advantage, 0.2), log_ratio)

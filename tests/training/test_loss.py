"""The loss against a reference that goes edge by edge, and what its gradient must and must not hold."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.training.clipped_ratio import clipped_gain
from rllib_psparsity.training.loss import StepBatch, policy_loss
from tests.environment.tiny import tiny_config
from tests.training.steps import network_of, random_steps

ACTIONS = pytest.mark.parametrize("action", ["edges", "top_k"])
ALGORITHMS = pytest.mark.parametrize("algorithm", ["ppo", "a2c", "reinforce"])
FORMS = pytest.mark.parametrize("form", ["per_decision", "softmax_over_edges"])


def of_action(action: str, *overrides: str):
    return tiny_config(f"policy.action={action}", "policy.k=3", "training.epochs=1", *overrides)


def entropy_of(p: torch.Tensor) -> torch.Tensor:
    return -(p * p.log()).sum()


def edge_units(step, logits):
    """(log-probability, entropy, advantage) of every edge."""
    for edge, (i, j) in enumerate(step.graph.edge_index.T):
        p = 1.0 / (1.0 + torch.exp(-logits[edge]))
        chosen = p if step.decision.edge_is_strong[edge] else 1.0 - p
        yield chosen.log(), entropy_of(torch.stack([p, 1.0 - p])), (step.advantage[i] + step.advantage[j]) / 2.0


def row_units(step, logits):
    """The same of every row: its draws without replacement, one after the other."""
    for row in range(step.graph.num_nodes):
        left = [e for e in range(step.graph.num_edges) if row in step.graph.edge_index[:, e]]
        log_prob, entropy = torch.zeros(2, dtype=torch.float64)
        for pick in step.decision.row_picks[row]:
            if pick < 0:
                continue
            p = logits[left].softmax(0)
            log_prob = log_prob + p[left.index(pick)].log()
            entropy = entropy + entropy_of(p)
            left.remove(pick)
        yield log_prob, entropy, step.advantage[row]


def gain(training, log_prob, old, advantage: float) -> torch.Tensor:
    if training.algorithm != "ppo":
        return log_prob * float(advantage)
    ratio = (log_prob - float(old)).exp()
    return torch.minimum(ratio * float(advantage), ratio.clamp(1 - training.clip, 1 + training.clip) * float(advantage))


def reference(config, network, steps, coefficient) -> tuple[torch.Tensor, dict[str, float]]:
    """Loss with gradient, and figures, decision by decision in double precision."""
    training = config.training
    unit_gains, unit_entropies, recipe_gains, recipe_entropies, errors, softmaxes = [], [], [], [], [], []
    for step in steps:
        output = network(GraphBatch.from_graphs([step.graph]), with_value=True)
        recipe = step.decision.recipe
        logits = output.edge_logits[:, recipe].double()
        units = edge_units(step, logits) if config.policy.action == "edges" else row_units(step, logits)
        for old, (log_prob, entropy, advantage) in zip(step.unit_log_prob, units, strict=True):
            unit_gains.append(gain(training, log_prob, old, advantage))
            unit_entropies.append(entropy)
        chances = output.recipe_logits[0].double().softmax(0)
        recipe_gains.append(gain(training, chances[recipe].log(), step.recipe_log_prob, step.recipe_advantage))
        recipe_entropies.append(entropy_of(chances))
        errors += [
            (v - float(g)) ** 2 for v, g in zip(output.node_values[:, recipe].double(), step.target, strict=True)
        ]
        softmaxes.append(entropy_of(logits.softmax(0)))

    def mean(values):
        return torch.stack(values).mean()

    policy = -training.edge_weight * mean(unit_gains) - training.recipe_weight * mean(recipe_gains)
    loss = policy - training.recipe_entropy_coefficient * mean(recipe_entropies)
    if training.algorithm != "reinforce":
        loss = loss + training.value_coefficient * mean(errors)
    bonus = mean(unit_entropies if config.entropy.form == "per_decision" else softmaxes)
    figures = {
        "policy_loss": policy,
        "value_loss": mean(errors),
        "entropy_edge": mean(unit_entropies),
        "entropy_recipe": mean(recipe_entropies),
        "entropy_softmax_over_edges": mean(softmaxes),
        "entropy_bonus": bonus,
    }
    return loss - coefficient * bonus, {name: figure.item() for name, figure in figures.items()}


def loss_of(config, network, steps, coefficient, teacher=None, **kwargs):
    batch = StepBatch.from_steps([[step] for step in steps])
    if teacher is not None:
        kwargs["teacher_logits"] = teacher(batch.graphs, with_value=False).recipe_logits
    return policy_loss(network(batch.graphs, with_value=True), batch, config, coefficient, **kwargs)


def gradient_of(network, loss: torch.Tensor) -> torch.Tensor:
    network.zero_grad()
    loss.backward()
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in network.parameters()]
    )


def gradient(config, network, steps, coefficient, **kwargs) -> torch.Tensor:
    return gradient_of(network, loss_of(config, network, steps, coefficient, **kwargs)[0])


@ACTIONS
@ALGORITHMS
@FORMS
def test_loss_and_gradient_decision_by_decision(action, algorithm, form):
    config = of_action(
        action,
        f"training.algorithm={algorithm}",
        f"entropy.form={form}",
        "training.recipe_entropy_coefficient=0.3",
        "training.value_coefficient=0.7",
        "training.edge_weight=3.0",
        "training.recipe_weight=0.6",
        "policy.temperature.initial=0.7",
    )
    network = network_of(config)
    steps = random_steps(config, network, 1)
    loss, figures = loss_of(config, network, steps, 0.2)
    expected, expected_figures = reference(config, network, steps, 0.2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    assert figures == pytest.approx(expected_figures, rel=1e-5, abs=1e-6)
    found, slow = gradient_of(network, loss), gradient_of(network, expected)
    torch.testing.assert_close(found, slow, rtol=1e-3, atol=1e-5 * slow.abs().max().item())


KICKSTART = ("training.start_from=default", "training.kickstart_coefficient=0.7")


def teacher_of(action):
    """Another policy that is sure of its recipes."""
    return network_of(of_action(action, "policy.head_scale=10"), seed=5).requires_grad_(False)


def divergence_on_finest(network, teacher, steps) -> torch.Tensor:
    """Mean over all graphs, recipe by recipe in double precision; those of other levels count nothing."""
    total = torch.zeros((), dtype=torch.float64)
    for step in steps:
        batch = GraphBatch.from_graphs([step.graph])
        p, q = (net(batch, with_value=False).recipe_logits[0].double().softmax(0) for net in (teacher, network))
        if step.graph.level == 0:
            total = total + sum(p[r] * (p[r].log() - q[r].log()) for r in range(len(p)) if p[r] > 0)
    return total / len(steps)


@ACTIONS
def test_teacher_counts_on_finest_levels_alone(action):
    config = of_action(action, *KICKSTART)
    network, teacher = network_of(config), teacher_of(action)
    steps = random_steps(config, network)
    for step, level in zip(steps, (0, 1, 0, 2, 0), strict=True):
        step.graph = dataclasses.replace(step.graph, level=level)
    loss, figures = loss_of(config, network, steps, 0.02, teacher=teacher)
    without, others = loss_of(config, network, steps, 0.02)
    expected = divergence_on_finest(network, teacher, steps)
    assert expected.item() > 1e-4
    assert figures == others | {"kickstart_divergence": pytest.approx(expected.item(), rel=1e-5)}
    assert (loss - without).item() == pytest.approx(0.7 * expected.item(), rel=1e-4)
    found, slow = gradient_of(network, loss - without), gradient_of(network, 0.7 * expected)
    torch.testing.assert_close(found, slow, rtol=1e-3, atol=1e-5 * slow.abs().max().item())


@ACTIONS
def test_reinforce_leaves_the_value_head_alone_without_cutting_it_off(action):
    config = of_action(action, "training.algorithm=reinforce")
    network = network_of(config)
    loss_of(config, network, random_steps(config, network), 0.02)[0].backward()
    norms = {
        part: sum(float(p.grad.norm()) for p in parameters) for part, parameters in network.parameter_groups().items()
    }
    assert norms.pop("value_head") == 0.0 and min(norms.values()) > 0.0
    assert all(p.grad is not None for p in network.parameters()), "several learners wait for every gradient"


@ACTIONS
def test_a2c_has_the_gradient_of_the_first_update_of_ppo(action):
    """At a ratio of one, whose derivative is that of the log-probability."""
    masks_only = ("training.value_coefficient=0", "training.recipe_weight=0", "training.recipe_entropy_coefficient=0")
    ppo, a2c = (of_action(action, f"training.algorithm={name}", *masks_only) for name in ("ppo", "a2c"))
    network = network_of(ppo)
    steps = random_steps(ppo, network, spread=0.0)
    expected = gradient(ppo, network, steps, 0.0)
    torch.testing.assert_close(gradient(a2c, network, steps, 0.0), expected, rtol=1e-4, atol=1e-6)
    for step in steps:
        step.unit_log_prob = step.unit_log_prob - 0.1
    later = gradient(ppo, network, steps, 0.0)
    torch.testing.assert_close(later, math.exp(0.1) * expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient(a2c, network, steps, 0.0), expected, rtol=1e-4, atol=1e-6)


@ACTIONS
@ALGORITHMS
@FORMS
def test_entropies_have_a_gradient_and_detached_ones_have_exactly_none(action, algorithm, form):
    kind = (f"training.algorithm={algorithm}", f"entropy.form={form}")

    def gradients(*overrides):
        config = of_action(action, *kind, *overrides)
        network = network_of(config)
        steps = random_steps(config, network)
        return [gradient(config, network, steps, c) for c in (0.0, 0.02, 1.0)]

    for entropy_of_recipes in ("0.0", "0.5"):
        weight = f"training.recipe_entropy_coefficient={entropy_of_recipes}"
        live = gradients(weight)
        assert not torch.allclose(live[0], live[1]) and not torch.allclose(live[1], live[2])
        # Linear in the coefficient: the step from 0 to 1 is fifty times that from 0 to 0.02.
        assert torch.allclose((live[1] - live[0]) * 50, live[2] - live[0], atol=1e-4)
        detached = gradients(weight, "entropy.detach=true")
        assert torch.equal(detached[0], detached[1]) and torch.equal(detached[1], detached[2])
    none = gradients("entropy.detach=true", "training.recipe_entropy_coefficient=0.0")
    assert torch.equal(none[0], detached[0]), "the recipe's entropy has a gradient although it is detached"
    assert torch.allclose(none[0], gradients("training.recipe_entropy_coefficient=0.0")[0])


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
@ALGORITHMS
@FORMS
def test_two_learners_have_the_gradient_of_the_union(monkeypatch, action, algorithm, form):
    config = of_action(action, f"training.algorithm={algorithm}", f"entropy.form={form}", *KICKSTART)
    network, teacher = network_of(config), teacher_of(action)
    steps = [*random_steps(config, network, 1), *random_steps(config, network, 2)]
    halves = (steps[:3], steps[3:])  # of quite different numbers of nodes
    counts: list[torch.Tensor] = []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: counts.append(tensor.clone()))
    for half in halves:
        gradient(config, network, half, 0.02, teacher=teacher, world_size=2)
    union = counts[0] + counts[1]
    assert counts[0].tolist() != counts[1].tolist()
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.copy_(union))
    # DDP averages what the learners find.
    average = sum(gradient(config, network, half, 0.02, teacher=teacher, world_size=2) for half in halves) / 2
    whole = gradient(config, network, steps, 0.02, teacher=teacher)
    assert torch.allclose(average, whole, rtol=1e-5, atol=1e-5 * whole.abs().max().item())
    naive = sum(gradient(config, network, half, 0.02, teacher=teacher) for half in halves) / 2
    assert (naive - whole).norm() > 0.05 * whole.norm(), "the halves are too alike for this test to fail"
    figures = [loss_of(config, network, half, 0.02, teacher=teacher, world_size=2)[1] for half in halves]
    _, expected = loss_of(config, network, steps, 0.02, teacher=teacher)
    for name in expected:
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
        loss, figures = policy_loss(network(batch.graphs, with_value=True), batch, config, 0.02)
        loss.backward()
        results.append((figures, torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


def test_the_clipped_objective_has_the_gradient_of_its_formula():
    generator = torch.Generator().manual_seed(0)
    log_ratio = torch.randn(40, dtype=torch.float64, generator=generator).requires_grad_()
    advantage = torch.randn(40, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda x: clipped_gain(x, advantage, 0.2), log_ratio)

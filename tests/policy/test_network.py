import math

import numpy as np
import pytest
import torch

from rllib_psparsity.config.schema import BACKBONE_NAMES, PolicyConfig, TemperatureConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy.backbones import make_encoder
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.inference import PRIOR_BOUND
from rllib_psparsity.policy.network import SparsifierPolicy
from tests.policy.random_graphs import random_graph, renumbered

NETWORKS = [{"backbone": name} for name in BACKBONE_NAMES] + [{"network": "pooled"}]
every_network = pytest.mark.parametrize("settings", NETWORKS, ids=lambda settings: next(iter(settings.values())))


def _policy(seed: int = 0, **settings) -> SparsifierPolicy:
    torch.manual_seed(seed)
    return SparsifierPolicy(PolicyConfig(**settings))


@every_network
def test_renumbering_the_nodes_permutes_everything(settings):
    policy = _policy(**settings)
    graph = random_graph(0, nodes=15, edges=30)
    permutation = np.random.default_rng(1).permutation(15)
    other, old_edge = renumbered(graph, permutation)
    with torch.no_grad():
        before = policy(GraphBatch.from_graphs([graph]), with_value=True)
        after = policy(GraphBatch.from_graphs([other]), with_value=True)
    torch.testing.assert_close(after.edge_logits, before.edge_logits[old_edge], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.recipe_logits, before.recipe_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.node_values[permutation], before.node_values, atol=1e-5, rtol=1e-5)
    assert before.edge_logits.std(0).min() > 0.1
    assert before.node_values.shape == (15, len(policy.menu)) and before.node_values.std() > 0


@every_network
def test_disjoint_union_gives_each_graphs_own_result(settings):
    policy = _policy(**settings)
    graphs = [
        random_graph(0),
        random_graph(1, nodes=1, edges=0),
        random_graph(2, nodes=7, edges=9, block_size=2),
        random_graph(3, nodes=4, edges=0),
    ]
    union = GraphBatch.from_graphs(graphs)
    with torch.no_grad():
        together = policy(union, with_value=True)
        for g, graph in enumerate(graphs):
            alone = policy(GraphBatch.from_graphs([graph]), with_value=True)
            mine = together.edge_logits[union.edge_graph == g]
            torch.testing.assert_close(mine, alone.edge_logits, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(together.recipe_logits[g], alone.recipe_logits[0], atol=1e-5, rtol=1e-5)
            values = together.node_values[union.node_graph == g]
            torch.testing.assert_close(values, alone.node_values, atol=1e-5, rtol=1e-5)
    assert torch.isfinite(together.edge_logits).all() and torch.isfinite(together.node_values).all()


@every_network
@pytest.mark.parametrize("separate", [True, False])
def test_every_parameter_is_in_one_group_and_has_a_gradient(settings, separate):
    if settings.get("network") == "pooled" and not separate:
        with pytest.raises(ValueError, match="separate_value_trunk is false: a pooled network"):
            _policy(**settings, separate_value_trunk=False)
        return
    policy = _policy(**settings, separate_value_trunk=separate)
    groups = policy.parameter_groups()
    assert list(groups) == ["encoder", "edge_head", "recipe_head", "value_head"]
    listed = [id(parameter) for group in groups.values() for parameter in group]
    assert len(set(listed)) == len(listed) and set(listed) == {id(parameter) for parameter in policy.parameters()}
    output = policy(GraphBatch.from_graphs([random_graph(0), random_graph(1)]), with_value=True)
    (output.edge_logits.square().sum() + output.recipe_logits.square().sum() + output.node_values.sum()).backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


def test_a_pooled_network_equals_plain_python():
    policy = _policy(network="pooled", width=4)
    with torch.no_grad():
        policy.prior.offset += 0.1
    graph = random_graph(0)
    with torch.no_grad():
        output = policy(GraphBatch.from_graphs([graph]), with_value=False)
    strong = []
    for r, recipe in enumerate(policy.menu):
        feature, threshold, steepness = recipe.strength_test
        margin = graph.edge_features[:, EDGE_FEATURES.index(feature)] - (threshold + 0.1)
        expected = np.clip(steepness * margin, -PRIOR_BOUND, PRIOR_BOUND) / policy.temperature.item()
        np.testing.assert_allclose(output.edge_logits[:, r].numpy(), expected, atol=1e-5, rtol=1e-5)
        strong.append((margin > 0).mean())
    assert 0 < min(strong) < max(strong) < 1
    moments = [f(x, axis=0) for x in (graph.node_features, graph.edge_features) for f in (np.mean, np.std)]
    first, _, second = policy.recipe_head
    pooled = np.concatenate([*moments, strong])
    hidden = np.maximum(first.weight.detach().numpy() @ pooled + first.bias.detach().numpy(), 0)
    logits = (second.weight.detach().numpy() @ hidden + second.bias.detach().numpy()) / policy.temperature.item()
    np.testing.assert_allclose(output.recipe_logits[0].numpy(), logits, atol=1e-5, rtol=1e-5)


def test_prior_equals_plain_python_and_starts_as_the_measures_say():
    policy = _policy()
    graph = random_graph(0)
    logits = policy.prior_output(GraphBatch.from_graphs([graph])).edge_logits
    for r, recipe in enumerate(policy.menu):
        feature, threshold, steepness = recipe.strength_test
        assert policy.prior.steepness()[r].item() == steepness
        for e in range(graph.num_edges):
            margin = float(graph.edge_features[e, EDGE_FEATURES.index(feature)]) - threshold
            expected = max(-PRIOR_BOUND, min(PRIOR_BOUND, steepness * margin))
            assert logits[e, r].item() == pytest.approx(expected, abs=1e-5)


def test_prior_alone_does_not_follow_learning():
    policy = _policy()
    batch = GraphBatch.from_graphs([random_graph(0)])
    before, learned_before = policy.prior_output(batch), policy.prior(batch.edge_features)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3
        policy.temperature.fill_(0.5)
    assert torch.equal(policy.prior_output(batch).edge_logits, before.edge_logits)
    assert not torch.allclose(policy.prior(batch.edge_features), learned_before)


def test_untrained_network_is_a_small_perturbation_of_the_prior():
    policy = _policy(temperature=TemperatureConfig(initial=1.0))
    batch = GraphBatch.from_graphs([random_graph(s, nodes=40, edges=90) for s in range(4)])
    with torch.no_grad():
        difference = policy(batch, with_value=False).edge_logits - policy.prior_output(batch).edge_logits
    assert 0 < difference.abs().max() < 0.5
    assert difference.std() > 1e-4


def test_head_scale_scales_what_the_heads_add_at_first_and_the_gradients_of_the_encoders():
    batch = GraphBatch.from_graphs([random_graph(s, nodes=40, edges=90) for s in range(4)])

    def first(scale: float) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        policy = _policy(head_scale=scale)
        out = policy(batch, with_value=True)
        own = [out.edge_logits - policy.prior_output(batch).edge_logits / policy.temperature, out.recipe_logits]
        sum(part.sum() for part in (*own, out.node_values)).backward()
        encoders = [p.grad for p in (*policy.encoder.parameters(), *policy.value_encoder.parameters())]
        return [*own, out.node_values], encoders

    (usual, of_usual), (large, of_large) = first(0.1), first(0.5)
    for one, five in zip(usual + of_usual, large + of_large, strict=True):
        torch.testing.assert_close(5 * one, five, atol=1e-4, rtol=1e-3)
    assert max(gradient.abs().max() for gradient in of_usual) > 1e-2


def test_temperature_divides_both_kinds_of_logits():
    batch = GraphBatch.from_graphs([random_graph(0)])
    warm = _policy(temperature=TemperatureConfig(initial=2.0))(batch, with_value=False)
    plain = _policy(temperature=TemperatureConfig(initial=1.0))(batch, with_value=False)
    torch.testing.assert_close(warm.edge_logits * 2, plain.edge_logits)
    torch.testing.assert_close(warm.recipe_logits[:, 0] * 2, plain.recipe_logits[:, 0])
    assert plain.node_values is None


def test_block_matrices_never_get_scalar_recipes():
    policy = _policy(recipes=("classical/direct/classical", "sa/jacobi/symmetric"))
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, block_size=3)])
    for output in (policy(batch, with_value=False), policy.prior_output(batch)):
        probabilities = output.recipe_logits.softmax(1)
        assert probabilities[0, 0] > 0.1
        assert probabilities[1].tolist() == [0.0, 1.0]


def test_initial_weights_depend_on_the_global_generator_alone():
    one, two, three = _policy(1).state_dict(), _policy(1).state_dict(), _policy(2).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["edge_head.out.weight"], three["edge_head.out.weight"])
    assert one["temperature"].shape == () and math.isclose(one["temperature"].item(), 0.2, rel_tol=1e-6)


def test_unknown_backbone_is_refused():
    with pytest.raises(InputError, match="there is no backbone 'mlp': it is not one of sparse, gat, gcn, sage, gin"):
        make_encoder("mlp", 3, 2, 8, 1)

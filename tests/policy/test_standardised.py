"""Standardised inputs: the layer, its statistics, and that they leave everything else as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.encoder import Encoder
from rllib_psparsity.policy.network import SparsifierPolicy, untrained_network
from rllib_psparsity.policy.standardised import LEAST_DEVIATION, StandardisedLinear, statistics
from tests.policy.random_graphs import random_graph


def test_the_layer_is_that_of_standardised_inputs():
    torch.manual_seed(0)
    linear, inputs = nn.Linear(4, 3), 5.0 + 2.0 * torch.randn(50, 4)
    layer = StandardisedLinear(linear)
    torch.testing.assert_close(layer(inputs), linear(inputs))
    assert layer.weight is linear.weight and layer.bias is linear.bias
    layer.mean.copy_(inputs.mean(0))
    layer.deviation.copy_(inputs.std(0))
    torch.testing.assert_close(layer(inputs), linear((inputs - inputs.mean(0)) / inputs.std(0)))


def test_every_array_counts_as_much_as_another_in_the_statistics():
    rng = np.random.default_rng(0)
    small, large = rng.standard_normal((2, 3)), 4.0 + rng.standard_normal((500, 3))
    large[:, 2], small[:, 2] = 1.0, 1.0 + 1e-3
    found = statistics([small, large])
    assert found.keys() == {"mean", "deviation"} and found["mean"].dtype == found["deviation"].dtype == np.float32
    np.testing.assert_allclose(found["mean"], (small.mean(0) + large.mean(0)) / 2, rtol=1e-6)
    repeated = np.concatenate([np.tile(small, (250, 1)), large])
    np.testing.assert_allclose(found["deviation"][:2], repeated.std(0)[:2], rtol=1e-6)
    assert found["deviation"][2] == np.float32(LEAST_DEVIATION)


@pytest.mark.parametrize("settings", [{}, {"backbone": "gat"}, {"network": "pooled"}, {"separate_value_trunk": False}])
def test_before_the_statistics_are_given_nothing_changes(settings):
    config = PolicyConfig(width=8, layers=1, **settings)
    plain, other = (untrained_network(config.model_copy(update={"standardise": on}), 3) for on in (False, True))
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1)])
    with torch.no_grad():
        expected, found = plain(batch, with_value=True), other(batch, with_value=True)
    torch.testing.assert_close(found.edge_logits, expected.edge_logits)
    torch.testing.assert_close(found.node_values, expected.node_values)
    assert other.parameter_groups().keys() == plain.parameter_groups().keys()
    assert [p.shape for p in other.parameters()] == [p.shape for p in plain.parameters()]


def test_an_untrained_network_takes_the_statistics_of_another():
    config = PolicyConfig(width=8, layers=1, standardise=True)
    trained = untrained_network(config, 0)
    for name, buffer in trained.named_buffers():
        if name.endswith((".mean", ".deviation")):
            buffer.uniform_(0.5, 2.0)
    weights = {name: tensor.numpy() for name, tensor in trained.state_dict().items()}
    other = untrained_network(config, 1, weights).state_dict()
    for name, array in weights.items():
        same = np.array_equal(other[name].numpy(), array)
        assert same or not name.endswith((".mean", ".deviation")), name
    assert not np.array_equal(other["encoder.input.weight"].numpy(), weights["encoder.input.weight"])
    plain = config.model_copy(update={"standardise": False})
    assert untrained_network(plain, 1, weights).state_dict().keys() == SparsifierPolicy(plain).state_dict().keys()


def test_an_encoder_that_cannot_says_so():
    with pytest.raises(InputError, match=r"backbone Encoder does not standardise its inputs; set policy.standardise"):
        Encoder().standardise()

"""The statistics that inputs are standardised by: of the training problems' levels, in the network before it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.sparse import node_inputs
from rllib_psparsity.policy.standardised import LEAST_DEVIATION
from rllib_psparsity.training import input_statistics as module
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.export import load_network
from rllib_psparsity.training.inference_module import NETWORK
from rllib_psparsity.training.input_statistics import input_statistics
from rllib_psparsity.training.session import TrainingSession
from tests.environment.tiny import ELASTIC, textbook, tiny_config
from tests.training.test_algorithm import weights

SETTINGS = ("problems.training_problems=3", "training.iterations=2", "checkpoint.every=1")
LAYERS = ("encoder.input", "edge_head.from_features", "value_encoder.input")
RECIPES = [f"recipe_head.0.{name}" for name in ("mean", "deviation")]
NAMES = [f"{layer}.{name}" for layer in LAYERS for name in ("mean", "deviation")]


def test_they_are_of_all_levels_of_the_training_problems():
    config = tiny_config(*SETTINGS)
    env, levels, edges = SparsifyEnv(config), [], []
    for index in range(3):
        graph, _ = env.reset(options={"index": index})
        ended = False
        while not ended:
            levels.append(node_inputs(GraphBatch.from_graphs([graph])).numpy().astype(float))
            edges.append(graph.edge_features.astype(float))
            graph, _, terminated, truncated, _ = env.step(textbook(graph))
            ended = terminated or truncated
    assert len(levels) > 3
    found = input_statistics(config)
    assert set(found) == {*NAMES, *RECIPES}
    for layer, inputs in zip(LAYERS, (levels, edges, levels), strict=True):
        mean = np.mean([level.mean(0) for level in inputs], axis=0)
        square = np.mean([((level - mean) ** 2).mean(0) for level in inputs], axis=0)
        np.testing.assert_allclose(found[f"{layer}.mean"], mean, rtol=1e-5, atol=1e-6)
        deviation = np.maximum(np.sqrt(square), LEAST_DEVIATION)
        np.testing.assert_allclose(found[f"{layer}.deviation"], deviation, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", ["pooled", "graph"])
def test_the_recipe_head_sees_graphs_standardised_but_its_encoder_as_it_is(network: str) -> None:
    config = tiny_config(*SETTINGS, f"policy.network={network}", "policy.width=4")
    found = {name: input_statistics(config)[f"recipe_head.0.{name}"] for name in ("mean", "deviation")}
    env, seen = SparsifyEnv(config), []
    for index in range(3):
        graph, _ = env.reset(options={"index": index})
        ended = False
        while not ended:
            nodes, edges = graph.node_features.astype(float), graph.edge_features.astype(float)
            columns, thresholds, steepness = (
                np.array([getter(recipe.strength_test) for recipe in env.menu])
                for getter in (lambda test: EDGE_FEATURES.index(test[0]), lambda test: test[1], lambda test: test[2])
            )
            logits = np.clip(steepness * (edges[:, columns] - thresholds), -10, 10)
            strong = logits > 0 if network == "pooled" else 1 / (1 + np.exp(-logits))
            of_nodes = [nodes.mean(0), nodes.std(0)] if network == "pooled" else []
            seen.append(np.concatenate([*of_nodes, edges.mean(0), edges.std(0), strong.mean(0)]))
            graph, _, terminated, truncated, _ = env.step(textbook(graph))
            ended = terminated or truncated
    of_encoder = 0 if network == "pooled" else 8
    assert not found["mean"][:of_encoder].any() and (found["deviation"][:of_encoder] == 1).all()
    np.testing.assert_allclose(found["mean"][of_encoder:], np.mean(seen, axis=0), rtol=1e-4, atol=1e-5)
    deviation = np.maximum(np.std(seen, axis=0), LEAST_DEVIATION)
    np.testing.assert_allclose(found["deviation"][of_encoder:], deviation, rtol=1e-3, atol=1e-5)


def test_only_encoders_that_there_are_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBLEMS", 1)
    assert input_statistics(tiny_config("policy.standardise=false")) == {}
    shared = input_statistics(tiny_config("policy.separate_value_trunk=false"))
    assert set(shared) == {*NAMES[:4], *RECIPES}
    pooled = input_statistics(tiny_config("policy.network=pooled"))
    assert set(pooled) == {*NAMES[4:], *RECIPES}
    classical_first = "policy.recipes=[classical/modified/classical, sa/jacobi/evolution]"
    blocks = input_statistics(tiny_config(ELASTIC, classical_first))
    assert all(np.isfinite(array).all() for array in blocks.values())


def test_learner_and_runners_have_them_and_a_resume_keeps_them(local_ray: None, tmp_path: Path) -> None:
    config = tiny_config(*SETTINGS)
    expected = input_statistics(config)
    with TrainingSession(config, tmp_path / "run") as session:
        runner = session._algorithm.env_runner.module.get_state()
        assert all(np.array_equal(runner[NETWORK + name], array) for name, array in expected.items())
        session.step()
        learned = weights(session._algorithm)
    assert all(np.array_equal(learned[name].numpy(), array) for name, array in expected.items())
    checkpoint, iteration, _ = newest_checkpoint(tmp_path / "run")
    exported = load_network(checkpoint, config).state_dict()
    assert all(np.array_equal(exported[name].numpy(), array) for name, array in expected.items())
    # Problems of another seed have other statistics; the checkpoint's count.
    with TrainingSession(tiny_config(*SETTINGS, "seed=5"), tmp_path / "run", checkpoint, iteration) as session:
        resumed = weights(session._algorithm)
    assert all(np.array_equal(resumed[name].numpy(), learned[name].numpy()) for name in learned)

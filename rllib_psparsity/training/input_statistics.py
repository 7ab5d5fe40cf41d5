"""What `policy.standardise` standardises by: statistics of the graphs that a run's training problems give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.classical import textbook
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.policy.sparse import node_inputs
from rllib_psparsity.policy.standardised import statistics

PROBLEMS = 32
"""Training problems that are looked at, where there are as many."""


def input_statistics(config: Config) -> dict[str, np.ndarray]:
    """By the names of the network's ``state_dict``; empty without `policy.standardise`.

    Of the first training problems, at full difficulty, and of all levels that the menu's first recipe gives them with
    its measure at the textbook threshold.
    """
    if not config.policy.standardise:
        return {}
    env = SparsifyEnv(config)
    problems = min(PROBLEMS, config.problems.training_problems or PROBLEMS)
    graphs = [graph for index in range(problems) for graph in _levels(env, index)]
    of_nodes = statistics([node_inputs(GraphBatch.from_graphs([graph])).numpy() for graph in graphs])
    of_edges = statistics([graph.edge_features for graph in graphs if graph.num_edges])
    layers = {"recipe_head.0": _of_graphs(config, graphs)}
    if config.policy.separate_value_trunk:
        layers |= {"value_encoder.input": of_nodes}
    if config.policy.network == "graph":
        layers |= {"encoder.input": of_nodes, "edge_head.from_features": of_edges}
    return {f"{layer}.{name}": array for layer, found in layers.items() for name, array in found.items()}


def _of_graphs(config: Config, graphs: Sequence[LevelGraph]) -> dict[str, np.ndarray]:
    """Of what the recipe head sees before anything is learned; what an encoder gives it stays as it is."""
    network = untrained_network(config.policy, config.seed)
    seen: list[np.ndarray] = []
    network.recipe_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    with torch.no_grad():
        for graph in graphs:
            network(GraphBatch.from_graphs([graph]), with_value=False)
    found = statistics(seen)
    of_encoder = slice(2 * config.policy.width if config.policy.network == "graph" else 0)
    found["mean"][of_encoder], found["deviation"][of_encoder] = 0.0, 1.0
    return found


def _levels(env: SparsifyEnv, index: int) -> Iterator[LevelGraph]:
    graph, _ = env.reset(options={"index": index, "solve": False})
    allowed = (r for r, recipe in enumerate(env.menu) if not (recipe.scalar_only and graph.block_size > 1))
    first, ended = next(allowed), False
    while not ended:
        yield graph
        strong = textbook(env.menu[first])(graph).edge_is_strong
        graph, _, terminated, truncated, _ = env.step(Decision(strong, first))
        ended = terminated or truncated

"""Small configurations and decisions for the tests of the environment and of training."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph

SCALAR = "problems.families=[{family: anisotropic_diffusion_fd, size: [10, 14]}]"
RECIPES = ("sa/energy1/evolution", "rootnode/energy2/evolution", "sa/jacobi/evolution", "classical/modified/classical")
"""A menu of its own, so that no test depends on the default one."""
MENU = f"policy.recipes=[{', '.join(RECIPES)}]"
ELASTIC = "problems.families=[{family: elasticity, size: [7, 9]}]"


def tiny_config(*overrides: str) -> Config:
    """Scalar problems of 100 to 196 nodes and a thin network; one or two decisions an episode.

    Whatever a test may depend on is set here, so that the defaults can be tuned without touching the tests.
    """
    return load_config(
        overrides=(
            SCALAR,
            MENU,
            "problems.heldout_problems=2",
            "environment.max_coarse=10",
            "reward={name: work_per_digit, shaping: true, vectors: 4, normalise: false}",
            "policy.width=8",
            "policy.layers=1",
            "policy.standardise=true",
            "policy.temperature={initial: 1.0, factor: 1.0, floor: 0.5}",
            "training.overlap=false",
            "training.epochs=2",
            "training.lr=3e-3",
            "training.lr_factor=1.0",
            "training.grad_clip=5.0",
            "training.entropy_coefficient=0.02",
            "training.recipe_entropy_coefficient=0.02",
            "training.gamma=1.0",
            "training.lambda=0.7",
            "training.edge_weight=1.0",
            "training.recipe_weight=1.0",
            "training.clip=0.2",
            "training.value_coefficient=0.5",
            "training.node_credit=true",
            "training.episodes_per_iteration=6",
            "training.rollouts_per_problem=1",
            "training.minibatch_graphs=8",
            "env_runners.count=0",
            "env_runners.episodes_per_chunk=3",
            *overrides,
        )
    )


def textbook(graph: LevelGraph, recipe: int = 0) -> Decision:
    """The evolution measure's strong edges."""
    return Decision(graph.edge_features[:, EDGE_FEATURES.index("evolution_max")] >= 0.25, recipe)


def run_episode(env: SparsifyEnv, index: int, decide=textbook) -> list[tuple]:
    """The results of all steps of training episode `index`: (graph, reward, terminated, truncated, info) each."""
    graph, _ = env.reset(options={"index": index})
    steps = []
    while True:
        steps.append(env.step(decide(graph)))
        graph, _, terminated, truncated, _ = steps[-1]
        if terminated or truncated:
            return steps


def random_decision(rng: np.random.Generator, num_recipes: int, share: float = 0.7):
    """A rule that draws masks and recipes blindly."""

    def decide(graph: LevelGraph) -> Decision:
        return Decision(rng.random(graph.num_edges) < share, int(rng.integers(num_recipes)))

    return decide

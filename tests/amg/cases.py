"""Problems, masks and decisions that the tests of `amg` and `graph` share."""

from __future__ import annotations

import numpy as np
import pyamg
from scipy.sparse import csr_array

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.hierarchy import HierarchyBuilder, Level
from rllib_psparsity.amg.recipe import PROLONGATIONS, Recipe, parse_menu
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.problem import Problem

MENU = parse_menu(tuple(f"{c}/{p}/{'evolution'}" for c, names in PROLONGATIONS.items() for p in names))
"""Every way to coarsen, each once."""

SCALAR = ("five_point", "nine_point", "fd", "jump", "unstructured", "graph_laplacian", "three_d")


def problem(name: str, size: int = 14, seed: int = 7) -> Problem:
    rng = np.random.default_rng(seed)

    def make(family: str, **parameters: float) -> Problem:
        return FAMILIES[family].make(rng, size, **parameters)

    match name:
        case "five_point":
            A = csr_array(pyamg.gallery.poisson((size, size), format="csr"))
            return Problem(A, np.ones((A.shape[0], 1)), name, name)
        case "nine_point":
            return make("anisotropic_diffusion_fe", epsilon=0.01, theta=0.6)
        case "fd":
            return make("anisotropic_diffusion_fd", epsilon=0.03, theta=2.0)
        case "jump":
            return make("jump_diffusion", decades=5.0, correlation=0.1)
        case "unstructured":
            return make("unstructured_diffusion", epsilon=0.05, theta=1.0, turn=1.5)
        case "graph_laplacian":
            return make("graph_laplacian", degree=8.0, sigma=1.0, shift=1e-4)
        case "three_d":
            return FAMILIES["diffusion_3d"].make(rng, max(size // 2, 3), k_x=1.0, k_y=0.1, k_z=0.01)
        case "elasticity":
            return make("elasticity", youngs_modulus=1e4, poisson_ratio=0.3)
    raise AssertionError(name)


def prior_mask(graph: LevelGraph, recipe: Recipe) -> np.ndarray:
    """The edges that the measure of a recipe calls strong."""
    feature, threshold, _ = recipe.strength_test
    return graph.edge_features[:, EDGE_FEATURES.index(feature)] >= threshold


def prior(menu: tuple[Recipe, ...], recipe: int) -> Decide:
    return lambda graph: Decision(prior_mask(graph, menu[recipe]), recipe)


def random_decisions(rng: np.random.Generator, recipe: int, share: float) -> Decide:
    return lambda graph: Decision(rng.random(graph.num_edges) < share, recipe)


def coarse_level(name: str, size: int = 14) -> tuple:
    """(A, B) of the second level of a problem."""
    case = problem(name, size)
    builder = HierarchyBuilder(Level(case.A, case.B), MENU)
    graph = builder.observe()
    builder.coarsen(Decision(np.ones(graph.num_edges, dtype=bool), 1))
    level = builder.hierarchy.levels[1]
    return level.A, level.B

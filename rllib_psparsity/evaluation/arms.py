"""A policy as methods of a comparison, beside what it started from."""

from __future__ import annotations

import numpy as np
from pyamg import MultilevelSolver

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.deploy.artifact import LoadedPolicy
from rllib_psparsity.deploy.classical import relaxation_hierarchy
from rllib_psparsity.deploy.decide import policy_decide, prior_decide
from rllib_psparsity.deploy.solver import learned_solver
from rllib_psparsity.evaluation.method import Method
from rllib_psparsity.policy.inference import Inference
from rllib_psparsity.problems.problem import FILE, Problem

PRIOR_ALONE = "prior alone"
LEARNED_SOLVER = "learned solver"
UNTRAINED_NETWORK = "untrained network"
TRAINED_POLICY = "trained policy"
RELAXATION_ALONE = "relaxation alone"


def policy_methods(
    trained: Inference, untrained: Inference, menu: tuple[Recipe, ...], limits: Limits
) -> tuple[Method, Method, Method]:
    """The classical prior alone, the network before training, and after it; only the difference is training's merit.

    None of them has a guard.
    """
    return (
        _method(PRIOR_ALONE, prior_decide(untrained), menu, limits),
        _method(UNTRAINED_NETWORK, policy_decide(untrained), menu, limits),
        _method(TRAINED_POLICY, policy_decide(trained), menu, limits),
    )


def guarded_method(policy: LoadedPolicy) -> Method:
    """`learned_solver` as a user calls it: checks of the matrix and the guard are part of its set-up."""

    def build(problem: Problem) -> MultilevelSolver:
        # A file has no candidates, and learned_solver knows best what to take then.
        B = None if problem.family == FILE else problem.B
        return learned_solver(problem.A, B, policy=policy)

    return Method(LEARNED_SOLVER, build)


def relaxation_method() -> Method:
    """Gauss-Seidel without coarse levels, but for the candidates: what is left of multigrid where it is not needed.

    In the kernels that the policies cycle in.
    """
    return Method(RELAXATION_ALONE, lambda problem: relaxation_hierarchy(problem.A, problem.B).to_pyamg())


def recipe_methods(menu: tuple[Recipe, ...], limits: Limits) -> tuple[Method, ...]:
    """Every recipe of the menu with all edges strong: together they run all code that a policy may come to run."""

    def decide_by(recipe: int) -> Decide:
        return lambda graph: Decision(np.ones(graph.num_edges, dtype=bool), recipe)

    return tuple(_method(str(recipe), decide_by(index), menu, limits) for index, recipe in enumerate(menu))


def _method(name: str, decide: Decide, menu: tuple[Recipe, ...], limits: Limits) -> Method:
    def build(problem: Problem) -> MultilevelSolver:
        return build_hierarchy(problem.A, problem.B, decide, menu=menu, limits=limits).to_pyamg()

    return Method(name, build)

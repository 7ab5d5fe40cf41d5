"""Exclusive seconds, and a package that is left as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.phases import Phases
from rllib_psparsity.amg import hierarchy
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.graph import features
from rllib_psparsity.problems.families import FAMILIES

TARGETS = {
    "features": ("rllib_psparsity.graph.features:level_graph",),
    "coarsen": ("rllib_psparsity.amg.hierarchy:HierarchyBuilder.coarsen",),
    "product": ("rllib_psparsity.amg.products:galerkin_product",),
    "parse": ("rllib_psparsity.amg.recipe:Recipe.parse",),
}


def ticking() -> Callable[[], float]:
    """A clock that is one second later whenever it is read."""
    ticks = iter(range(10**6))
    return lambda: float(next(ticks))


def build() -> int:
    problem = FAMILIES["anisotropic_diffusion_fd"].make(np.random.default_rng(0), 12, epsilon=0.5, theta=0.3)
    menu = parse_menu(("sa/jacobi/symmetric",))
    result = build_hierarchy(problem.A, problem.B, lambda g: Decision(np.ones(g.num_edges, bool), 0), menu=menu)
    return len(result.levels) - 1


def test_inner_phases_are_taken_out_of_outer_ones() -> None:
    phases = Phases({}, ticking())
    with phases.phase("outer"):
        with phases.phase("inner"):
            pass
        with phases.phase("inner"):
            pass
    # Six readings, 0 to 5: the outer block lasts 5, each inner one 1.
    assert phases.seconds == {"outer": 3.0, "inner": 2.0}
    assert phases.calls == {"outer": 1, "inner": 2}


def test_a_phase_inside_itself_counts_once() -> None:
    phases = Phases({}, ticking())
    with phases.phase("a"), phases.phase("b"), phases.phase("a"):
        pass
    assert sum(phases.seconds.values()) == 5.0
    assert phases.seconds == {"a": 3.0, "b": 2.0}


def test_functions_methods_and_class_methods_are_timed_wherever_they_were_imported() -> None:
    phases = Phases(TARGETS)
    with phases.measuring():
        levels = build()
    assert levels > 0
    assert phases.calls == {"parse": 1, "features": levels, "coarsen": levels, "product": levels}
    assert all(seconds > 0 for seconds in phases.seconds.values())


def test_the_package_is_as_before_also_after_an_error() -> None:
    functions = (features.level_graph, hierarchy.level_graph, hierarchy.HierarchyBuilder.coarsen)
    phases = Phases(TARGETS)
    with pytest.raises(ZeroDivisionError), phases.measuring():
        assert features.level_graph is hierarchy.level_graph is not functions[0]
        raise ZeroDivisionError
    assert functions == (features.level_graph, hierarchy.level_graph, hierarchy.HierarchyBuilder.coarsen)
    build()
    assert not phases.calls


def test_an_inherited_method_is_inherited_again() -> None:
    target = "rllib_psparsity.policy.inference:SparseInference.prior_logits"
    from rllib_psparsity.policy.inference import SparseInference

    with Phases({"prior": (target,)}).measuring():
        assert "prior_logits" in vars(SparseInference)
    assert "prior_logits" not in vars(SparseInference)


def test_a_function_that_is_gone_is_an_error_and_not_a_phase_of_zero() -> None:
    with pytest.raises(AttributeError, match="no_such"), Phases({"x": ("rllib_psparsity.errors:no_such",)}).measuring():
        pass

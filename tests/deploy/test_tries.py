"""Several hierarchies, of which the best is kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from pyamg.gallery import diffusion_stencil_2d, linear_elasticity, poisson, stencil_grid

from rllib_psparsity import learned_solver, load_policy
from rllib_psparsity.amg.hierarchy import Level, build_hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.deploy import guard, multilevel
from rllib_psparsity.deploy.decide import RankedDecides, policy_decide
from rllib_psparsity.deploy.guard import (
    DOUBT,
    DOUBT_PROBABILITY,
    STEPS,
    STEPS_IN_DOUBT,
    WORK_LIMIT,
    direct_solver,
    estimated_work,
)
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.choice import mode
from rllib_psparsity.problems.validation import check_matrix

POLICY = load_policy("many_solves")
DEFAULT = load_policy("default")
ANISOTROPIC = stencil_grid(diffusion_stencil_2d(epsilon=0.01, theta=0.5, type="FE"), (30, 30), format="csr")


def _alone(A, rank: int):
    """The policy's hierarchy of that rank, decided anew on every level."""
    A, B = check_matrix(A)

    def decide(graph):
        logits = POLICY.inference.logits([graph])
        return mode(POLICY.config, logits, rank if graph.level == 0 else 0).decisions[0]

    return build_hierarchy(A, B, decide, menu=POLICY.menu, limits=POLICY.limits)


def test_ranks_are_the_finest_recipes_by_coarsening_and_logits():
    graph = Level(*check_matrix(ANISOTROPIC)).graph
    logits = POLICY.inference.logits([graph]).recipe_logits[0]
    recipes = [decide(graph).recipe for decide in RankedDecides(POLICY.inference, len(POLICY.menu))]
    assert sorted(recipes) == list(range(len(POLICY.menu)))
    coarsenings = [POLICY.menu[recipe].coarsening for recipe in recipes]
    assert len(set(coarsenings[:3])) == 3  # all that there are, each by its likeliest recipe
    for k in range(3):
        assert logits[recipes[k]] == max(logits[r] for r in recipes if POLICY.menu[r].coarsening == coarsenings[k])
    assert (np.diff(logits[recipes[:3]]) <= 0).all() and (np.diff(logits[recipes[3:]]) <= 0).all()
    assert recipes[0] == policy_decide(POLICY.inference)(graph).recipe


def test_recipes_that_blocks_cannot_have_come_last():
    A, B = linear_elasticity((8, 8), format="bsr")
    graph = Level(*check_matrix(A, B)).graph
    recipes = [decide(graph).recipe for decide in RankedDecides(POLICY.inference, len(POLICY.menu))]
    scalar_only = [POLICY.menu[recipe].scalar_only for recipe in recipes]
    assert scalar_only == sorted(scalar_only) and any(scalar_only)
    assert len({POLICY.menu[recipe].coarsening for recipe in recipes[:2]}) == 2


def test_below_the_finest_level_every_rank_decides_alike():
    finest = Level(*check_matrix(ANISOTROPIC)).graph
    below = replace(finest, level=1)
    first, _, third = ((decide(finest), decide(below))[1] for decide in RankedDecides(POLICY.inference, 3))
    assert first.recipe == third.recipe and (first.edge_is_strong == third.edge_is_strong).all()


def test_the_finest_graph_is_kept_while_another_try_is_to_come():
    graph = Level(*check_matrix(ANISOTROPIC)).graph
    decides, kept = RankedDecides(POLICY.inference, 3), []
    for decide in decides:
        decide(graph)
        kept.append(decides.finest)
    assert kept == [graph, graph, None]


def test_the_finest_level_is_inferred_once_and_another_matrix_anew(monkeypatch):
    graphs = [Level(*check_matrix(A)).graph for A in (ANISOTROPIC, poisson((9, 9), format="csr"))]
    seen, infer = [], type(POLICY.inference).logits
    monkeypatch.setattr(type(POLICY.inference), "logits", lambda self, of: (seen.append(of), infer(self, of))[1])
    for graph in graphs:
        assert len({decide(graph).recipe for decide in RankedDecides(POLICY.inference, 3)}) == 3
    assert seen == [[graphs[0]], [graphs[1]]]


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("A", [poisson((30, 30), format="csr"), ANISOTROPIC], ids=["poisson", "anisotropic"])
def test_the_hierarchy_of_least_estimated_work_is_kept(A, guard):
    hierarchies = [_alone(A, rank) for rank in range(4)]
    works = [estimated_work(one, direct_solver(one), STEPS_IN_DOUBT) for one in hierarchies]
    ml = learned_solver(A, policy=POLICY, tries=4, guard=guard)
    assert ml.setup_info.work_per_digit == min(works) < max(works)
    best = hierarchies[int(np.argmin(works))]
    assert [level.A.nnz for level in ml.levels] == [level.A.nnz for level in best.levels]
    assert ml.setup_info.tries == 4 and ml.setup_info.method == "learned"
    assert str(ml.setup_info).startswith("learned hierarchy, the best of 4: ")


def test_more_tries_never_take_more_estimated_work():
    works = [learned_solver(ANISOTROPIC, policy=POLICY, tries=k).setup_info.work_per_digit for k in (2, 4, 99)]
    assert works[0] >= works[1] >= works[2]


def test_a_policy_says_how_many_and_a_caller_may_say_otherwise():
    A = poisson((12, 12), format="csr")
    assert POLICY.config.tries == 4
    assert learned_solver(A, policy=POLICY).setup_info.tries == 4
    ml = learned_solver(A, policy=POLICY, tries=1)
    assert ml.setup_info.tries == 1 and "best of" not in str(ml.setup_info)


def test_a_block_matrix_has_no_more_tries_than_recipes_that_it_can_have():
    A, B = linear_elasticity((10, 10), format="bsr")
    usable = sum(not recipe.scalar_only for recipe in POLICY.menu)
    ml = learned_solver(A, B, policy=POLICY, tries=100)
    assert ml.setup_info.tries == usable < len(POLICY.menu)
    assert measure_solve(ml).work_per_digit < 15


def test_an_update_keeps_the_best_and_is_measured_as_it_was():
    ml = learned_solver(ANISOTROPIC, policy=POLICY)
    before = ml.setup_info.work_per_digit
    info = ml.update(2.0 * ANISOTROPIC)
    assert info.updated and math.isclose(info.work_per_digit, before, rel_tol=1e-6)
    assert str(info).startswith("learned hierarchy, the best of 4, aggregates and patterns kept by an update: ")


@pytest.mark.parametrize("tries", [0, -1, 1.5, True, "4"])
def test_what_is_no_number_of_tries_is_refused(tries):
    with pytest.raises(InputError, match=f"tries is {tries!r}, expected a whole number above 0"):
        learned_solver(poisson((4, 4)), tries=tries)


def _shares(graph) -> dict[str, float]:
    """What `default` gives each coarsening on a finest level."""
    logits = DEFAULT.inference.logits([graph]).recipe_logits[0].astype(float)
    probability = np.exp(logits) / np.exp(logits).sum()
    return {
        name: sum(p for p, recipe in zip(probability, DEFAULT.menu, strict=True) if recipe.coarsening == name)
        for name in {recipe.coarsening for recipe in DEFAULT.menu}
    }


def test_tries_in_doubt_are_of_coarsenings_that_are_probable_enough():
    graph = Level(*check_matrix(ANISOTROPIC)).graph
    shares = sorted(_shares(graph).values())
    for probability in (0.0, 0.99 * shares[0], 1.01 * shares[0], 0.99 * shares[1], 1.01 * shares[1]):
        recipes = [decide(graph).recipe for decide in RankedDecides(DEFAULT.inference, 1, 3, probability)]
        expected = 1 + sum(share >= probability for share in shares[:-1])
        assert len({DEFAULT.menu[recipe].coarsening for recipe in recipes}) == len(recipes) == expected
    assert sum(decide(graph) is not None for decide in RankedDecides(DEFAULT.inference, 2, 3, 1.0)) == 2


def _doubt(monkeypatch, work: float, share: float) -> None:
    """Doubt above that work, and of a coarsening that has that share of what `default` gives the second one."""
    second = sorted(_shares(Level(*check_matrix(ANISOTROPIC)).graph).values())[-2]
    monkeypatch.setattr(multilevel, "DOUBT", work)
    monkeypatch.setattr(multilevel, "DOUBT_PROBABILITY", share * second)


@pytest.mark.parametrize("guard", [True, False])
def test_default_tries_again_where_the_first_is_poor_and_it_was_not_sure(guard, monkeypatch):
    first, both = (learned_solver(ANISOTROPIC, tries=tries).setup_info for tries in (1, 2))
    _doubt(monkeypatch, 0.99 * first.work_per_digit, 0.99)
    ml = learned_solver(ANISOTROPIC, guard=guard)
    assert ml.setup_info.tries == 2 and ml.setup_info.work_per_digit == both.work_per_digit
    assert str(ml.setup_info).startswith("learned hierarchy, the best of 2: ")
    if guard:
        info = ml.update(3.0 * ANISOTROPIC)
        assert info.updated and info.tries == 2
        assert math.isclose(info.work_per_digit, both.work_per_digit, rel_tol=1e-6)


@pytest.mark.parametrize(("work", "share"), [(1.01, 0.99), (0.99, 1.01)], ids=["good", "sure"])
def test_default_tries_once_where_the_first_is_good_or_it_was_sure(work, share, monkeypatch):
    first = learned_solver(ANISOTROPIC, tries=1).setup_info
    _doubt(monkeypatch, work * first.work_per_digit, share)
    info = learned_solver(ANISOTROPIC).setup_info
    assert info.tries == 1 and info.work_per_digit == first.work_per_digit
    bare = learned_solver(ANISOTROPIC, guard=False).setup_info  # tested only where there may be another try
    assert bare.tries == 1 and math.isnan(bare.work_per_digit) == (share > 1)


@pytest.mark.parametrize("large", [1, 10**9], ids=["large", "small"])
def test_both_are_told_apart_by_the_same_test(large, monkeypatch):
    monkeypatch.setattr(guard, "LARGE", large)
    _doubt(monkeypatch, 0.0, 0.99)
    tested, examine = [], multilevel.examine

    def watched(*args, **options):
        tested.append(examine(*args, **options))
        return tested[-1]

    monkeypatch.setattr(multilevel, "examine", watched)
    learned_solver(ANISOTROPIC)
    works = [estimated_work(one.hierarchy, one.direct, STEPS, WORK_LIMIT, doubt=0.0) for one in tested]
    four = [estimated_work(one.hierarchy, one.direct, STEPS_IN_DOUBT) for one in tested]
    assert (works == four) == (large > ANISOTROPIC.shape[0])  # of a large matrix by one right-hand side
    assert [one.work_per_digit for one in tested] == works and len(works) == 2


def test_an_estimate_above_the_doubt_is_made_by_more_steps():
    hierarchy = _alone(ANISOTROPIC, 0)
    direct = direct_solver(hierarchy)
    two, four = (estimated_work(hierarchy, direct, steps) for steps in (STEPS, STEPS_IN_DOUBT))
    assert two != four
    for doubt, expected in ((0.99 * two, four), (1.01 * two, two)):
        assert estimated_work(hierarchy, direct, STEPS, WORK_LIMIT, doubt=doubt) == expected


def test_a_large_matrix_is_not_tried_again_but_by_a_caller(monkeypatch):
    _doubt(monkeypatch, 0.0, 0.99)
    monkeypatch.setattr(multilevel, "DOUBT_UNKNOWNS", ANISOTROPIC.shape[0] - 1)
    assert learned_solver(ANISOTROPIC).setup_info.tries == 1
    assert learned_solver(ANISOTROPIC, tries=2).setup_info.tries == 2
    monkeypatch.setattr(multilevel, "DOUBT_UNKNOWNS", ANISOTROPIC.shape[0])
    assert learned_solver(ANISOTROPIC).setup_info.tries == 2


def test_a_caller_who_names_a_number_gets_it_without_a_doubt(monkeypatch):
    _doubt(monkeypatch, math.inf, math.inf)
    assert [learned_solver(ANISOTROPIC, tries=tries).setup_info.tries for tries in (1, 2, 3)] == [1, 2, 3]


def test_the_shipped_default_has_a_second_try_in_doubt_alone():
    assert (DEFAULT.config.tries, DEFAULT.config.tries_in_doubt) == (1, 2)
    assert 0.0 < DOUBT_PROBABILITY < 0.5 and DOUBT < WORK_LIMIT

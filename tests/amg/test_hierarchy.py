from __future__ import annotations

import json
import warnings

import numpy as np
import pyamg
import pytest
from pyamg.aggregation.aggregate import standard_aggregation
from pyamg.strength import symmetric_strength_of_connection

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import Hierarchy, HierarchyBuilder, Level, build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.products import galerkin_product, transpose
from rllib_psparsity.amg.recipe import Recipe, parse_menu
from rllib_psparsity.deploy.classical import textbook
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.evaluation.suite import load_suite
from rllib_psparsity.graph.features import level_graph
from tests.amg.cases import MENU, prior, problem, random_decisions
from tests.goldens.hierarchies import FILE, hierarchies, summary

NAMES = ("five_point", "nine_point", "fd", "jump", "unstructured", "graph_laplacian", "three_d", "elasticity")
CASES = [
    (name, recipe)
    for name in NAMES
    for recipe in range(len(MENU))
    if name != "elasticity" or not MENU[recipe].scalar_only
]
SA_ENERGY, CLASSICAL = 1, 7


def build(name: str, recipe: int, share: float | None = None, size: int = 14, **limits) -> Hierarchy:
    case = problem(name, size)
    rng = np.random.default_rng(3)
    decide = prior(MENU, recipe) if share is None else random_decisions(rng, recipe, share)
    return build_hierarchy(case.A, case.B, decide, menu=MENU, limits=Limits(**{"max_coarse": 10, **limits}))


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_levels_are_galerkin_products_and_know_their_decisions(name, recipe):
    h = build(name, recipe)
    assert h.end == "coarse" and not h.failed and h.failure == ""
    assert len(h.levels) >= 2
    for number, (fine, coarse) in enumerate(zip(h.levels[:-1], h.levels[1:], strict=True)):
        expected = fine.P.T.toarray() @ fine.A.toarray() @ fine.P.toarray()
        np.testing.assert_allclose(coarse.A.toarray(), expected, atol=1e-12 * np.abs(expected).max())
        assert coarse.A.format == fine.A.format and coarse.A.has_sorted_indices
        assert coarse.B.shape[0] == coarse.A.shape[0]
        assert coarse.num_nodes < fine.num_nodes
        assert fine.recipe is MENU[recipe] and fine.decision.recipe == recipe
        assert len(fine.aggregates) == fine.num_nodes and fine.aggregates.max() + 1 == coarse.num_nodes
        assert fine.graph.level == number and fine.graph.num_nodes == fine.num_nodes
    last = h.levels[-1]
    assert last.P is last.decision is last.recipe is last.aggregates is None
    assert last.num_nodes <= 10 < h.levels[-2].num_nodes


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_galerkin_operators_stay_symmetric_positive_definite(name, recipe, share):
    h = build(name, recipe, share, size=10, stall_ratio=0.99)
    for level in h.levels:
        A = level.A.toarray()
        np.testing.assert_allclose(A, A.T, atol=1e-12 * np.abs(A).max())
        # Aggregates with fewer unknowns than candidates leave rows that are empty.
        used = np.abs(A).max(axis=1) > 1e-10 * np.abs(A).max()
        assert used.all() or name == "elasticity"
        scale = 1.0 / np.sqrt(A.diagonal()[used])
        assert np.linalg.eigvalsh(A[np.ix_(used, used)] * scale * scale[:, None]).min() > 0


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_complexities_equal_those_of_pyamg(name, recipe):
    h = build(name, recipe)
    ml = h.to_pyamg()
    assert h.operator_complexity == pytest.approx(ml.operator_complexity(), rel=1e-14)
    assert h.cycle_complexity == pytest.approx(ml.cycle_complexity("V"), rel=1e-14)


def test_complexity_counts_the_nonzeros_of_every_level():
    h = build("five_point", SA_ENERGY)
    nnz = [np.count_nonzero(level.A.toarray()) for level in h.levels]
    assert h.operator_complexity == pytest.approx(sum(nnz) / nnz[0])
    assert h.cycle_complexity == pytest.approx((2 * sum(nnz) - nnz[-1]) / nnz[0])


@pytest.mark.parametrize(("name", "recipe"), [("five_point", 1), ("nine_point", 6), ("jump", 8), ("elasticity", 4)])
def test_the_solver_for_pyamg_users_converges(name, recipe):
    h = build(name, recipe)
    ml = h.to_pyamg()
    A = h.levels[0].A
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    x = ml.solve(b, tol=1e-10, maxiter=100, accel="cg")
    assert np.linalg.norm(b - A @ x) <= 1e-8 * np.linalg.norm(b)
    assert [level.A.format for level in ml.levels] == [A.format] * len(h.levels)


@pytest.mark.parametrize(
    ("A", "B"), [(case.A, case.B) for case in (problem("five_point", 32), problem("nine_point", 30))], ids=["5", "9"]
)
def test_equals_the_hierarchy_of_pyamg(A, B, monkeypatch):
    """PyAMG's own symmetric strength as the mask gives PyAMG's own operators.

    PyAMG's aggregation visits neighbours in the order in which a product left them; ours are sorted, so are C's here.
    """

    def sorted_aggregation(C):
        C = C.copy()
        C.sort_indices()
        return standard_aggregation(C)

    monkeypatch.setattr("pyamg.aggregation.aggregation.standard_aggregation", sorted_aggregation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ml = pyamg.smoothed_aggregation_solver(
            A, B.copy(), strength=("symmetric", {"theta": 0.1}), smooth=("energy", {"degree": 1}), max_coarse=50
        )
    builder = HierarchyBuilder(Level(A, B), parse_menu(("sa/energy1/symmetric",)))
    while builder.hierarchy.end is None:
        graph = builder.observe()
        C = symmetric_strength_of_connection(builder.hierarchy.levels[-1].A, theta=0.1).toarray()
        builder.coarsen(Decision(C[tuple(graph.edge_index)] != 0, 0))
    h = builder.hierarchy
    assert len(ml.levels) == len(h.levels) >= 3
    for ours, theirs in zip(h.levels, ml.levels, strict=True):
        expected = theirs.A.toarray()
        np.testing.assert_allclose(ours.A.toarray(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_a_small_matrix_is_one_level_and_asks_for_nothing():
    case = problem("five_point", size=4)
    h = build_hierarchy(case.A, case.B, lambda graph: pytest.fail("asked"), menu=MENU, limits=Limits(max_coarse=16))
    assert (h.end, len(h.levels), h.operator_complexity, h.cycle_complexity) == ("coarse", 1, 1.0, 1.0)


def test_ends_at_the_level_limit():
    h = build("five_point", SA_ENERGY, max_levels=2, max_coarse=1)
    assert h.end == "levels" and len(h.levels) == 2 and not h.failed


def test_a_coarsening_that_keeps_most_nodes_has_stalled():
    h = build("five_point", SA_ENERGY, stall_ratio=0.1)
    assert h.end == "stalled" and h.failed and len(h.levels) == 1
    coarse = len(set(level_aggregates("five_point")))
    assert h.failure == f"196 nodes were coarsened to {coarse} only"
    # The level was not added, and the one above is as before it was tried.
    assert h.levels[0].P is None and h.levels[0].decision is None


def level_aggregates(name: str) -> list[int]:
    return build(name, SA_ENERGY).levels[0].aggregates.tolist()


def test_the_stall_ratio_is_a_bound_on_the_share_of_nodes_kept():
    ratio = build("five_point", SA_ENERGY).levels[1].num_nodes / 196
    assert build("five_point", SA_ENERGY, stall_ratio=ratio + 1e-9).end == "coarse"
    assert build("five_point", SA_ENERGY, stall_ratio=ratio - 1e-9).end == "stalled"


def test_a_hierarchy_over_the_cap_on_complexity_has_exploded():
    reached = build("nine_point", SA_ENERGY, max_levels=2).operator_complexity
    h = build("nine_point", SA_ENERGY, max_operator_complexity=reached - 0.01)
    assert h.end == "exploded" and h.failed and len(h.levels) == 1
    assert h.failure == f"the operator complexity reached {reached:.2f}"
    assert h.operator_complexity == 1.0
    assert build("nine_point", SA_ENERGY, max_operator_complexity=reached + 0.01, max_levels=2).end == "levels"


def test_an_empty_mask_fails():
    h = build("five_point", SA_ENERGY, share=0.0)
    assert h.end == "failed" and h.failed and len(h.levels) == 1
    assert h.failure == "the mask leaves no two nodes connected, so there is no aggregate"


def test_a_failure_on_a_lower_level_keeps_the_levels_above():
    case = problem("five_point")

    def decide(graph):
        return Decision(np.full(graph.num_edges, graph.level == 0), SA_ENERGY)

    h = build_hierarchy(case.A, case.B, decide, menu=MENU, limits=Limits(max_coarse=5))
    assert h.end == "failed" and len(h.levels) == 2
    assert h.levels[0].P is not None and h.levels[1].P is None


def test_classical_coarsening_of_blocks_fails():
    h = build("elasticity", CLASSICAL)
    assert h.end == "failed" and h.failure.endswith("classical coarsening does not take block matrices")


def test_a_galerkin_product_that_is_not_finite_is_refused():
    h = build("five_point", SA_ENERGY)
    P = h.levels[0].P.copy()
    P.data[0] = np.inf
    with pytest.raises(SetupFailure, match=r"^the Galerkin product is not finite$"), np.errstate(all="ignore"):
        galerkin_product(transpose(P), h.levels[0].A, P)


def test_recipes_may_differ_by_level():
    case = problem("nine_point", size=24)
    order = [7, 1, 5, 0]
    h = build_hierarchy(
        case.A, case.B, lambda g: prior(MENU, order[g.level])(g), menu=MENU, limits=Limits(max_coarse=4)
    )
    assert not h.failed and len(h.levels) >= 4
    assert [level.recipe for level in h.levels[:-1]] == [MENU[order[number]] for number in range(len(h.levels) - 1)]


@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_building_twice_gives_the_same_bits_and_leaves_the_input_alone(name):
    case = problem(name)
    A, B = case.A.copy(), case.B.copy()
    first, second = (build_hierarchy(case.A, case.B, prior(MENU, 4), menu=MENU) for _ in range(2))
    for one, two in zip(first.levels, second.levels, strict=True):
        np.testing.assert_array_equal(one.A.data, two.A.data)
        np.testing.assert_array_equal(one.B, two.B)
    np.testing.assert_array_equal(case.A.data, A.data)
    np.testing.assert_array_equal(case.B, B)
    np.testing.assert_array_equal(first.levels[0].B, B)


def test_the_observation_is_made_once_and_is_the_levels_graph():
    case = problem("five_point")
    builder = HierarchyBuilder(Level(case.A, case.B), MENU)
    graph = builder.observe()
    assert builder.observe() is graph
    expected = level_graph(case.A, case.B, 0)
    np.testing.assert_array_equal(graph.edge_features, expected.edge_features)
    np.testing.assert_array_equal(graph.node_features, expected.node_features)


@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_hierarchies_on_one_finest_level_share_what_it_holds_and_leave_it_alone(name):
    case = problem(name)
    finest = Level(case.A, case.B)
    held = (finest.graph, finest.relaxation(), finest.candidates())
    candidates = finest.candidates().copy()
    decisions = [random_decisions(np.random.default_rng(seed), recipe, 0.9) for seed, recipe in ((0, 1), (1, 4))]
    alone = [build_hierarchy(case.A, case.B, d, menu=MENU) for d in decisions]
    decisions = [random_decisions(np.random.default_rng(seed), recipe, 0.9) for seed, recipe in ((0, 1), (1, 4))]
    for decide, expected in zip(decisions, alone, strict=True):
        builder = HierarchyBuilder(finest, MENU)
        assert builder.observe() is held[0]
        while builder.hierarchy.end is None:
            builder.coarsen(decide(builder.observe()))
        first = builder.hierarchy.levels[0]
        assert first is not finest and first.P is not None
        assert (finest.graph, first.relaxation(), first.candidates()) == held
        assert [level.A.nnz for level in builder.hierarchy.levels] == [level.A.nnz for level in expected.levels]
        np.testing.assert_array_equal(builder.hierarchy.levels[-1].A.data, expected.levels[-1].A.data)
    assert finest.P is finest.R is finest.decision is finest.recipe is finest.aggregates is None
    np.testing.assert_array_equal(finest.candidates(), candidates)


@pytest.mark.parametrize("relaxed_levels", [1, 2, 10])
def test_candidates_are_relaxed_on_the_first_levels(relaxed_levels):
    levels = build("five_point", SA_ENERGY, size=60, relaxed_levels=relaxed_levels).levels
    assert len(levels) > 3
    np.testing.assert_array_equal(levels[0].B, 1.0)
    for level in levels[:-1]:
        B = level.B.copy()
        if level.number < relaxed_levels:
            zero = np.zeros_like(B)
            for _ in range(4):
                pyamg.relaxation.relaxation.gauss_seidel(level.A, B, zero, sweep="symmetric")
        np.testing.assert_allclose(level.candidates(), B, rtol=1e-11)
        # What the prolongator reproduces is what the next level starts from.
        np.testing.assert_allclose(level.P @ levels[level.number + 1].B, B, rtol=1e-6)


def test_relaxing_them_on_every_level_saves_work_where_coefficients_jump():
    """As PyAMG's root-node method does: on this problem its own two ways differ as much."""
    (case,) = (one.make() for one in load_suite("sizes").problems if one.name == "jump_diffusion/7.0")
    recipe = Recipe.parse("rootnode/energy2/evolution")
    A, B, menu = case.A, case.B, (recipe,)
    built = [build_hierarchy(A, B, textbook(recipe), menu=menu, limits=Limits(relaxed_levels=k)) for k in (1, 10)]
    finest, every = (measure_solve(hierarchy.to_pyamg()).work_per_digit for hierarchy in built)
    assert every < 0.85 * finest


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_restrictions_are_the_transposed_prolongators(name, recipe):
    h = build(name, recipe)
    for level in h.levels[:-1]:
        np.testing.assert_array_equal(level.R.toarray(), level.P.toarray().T)
        assert level.R.format == level.A.format and level.R.has_sorted_indices
    assert h.levels[-1].R is None


def test_goldens():
    """Regenerate with ``python -m tests.goldens.hierarchies`` when a change of the numbers is meant."""
    golden = json.loads(FILE.read_text())
    built = {key: summary(h) for key, h in hierarchies()}
    assert list(built) == list(golden)
    for key, expected in golden.items():
        for name in ("end", "unknowns", "nnz"):
            assert built[key][name] == expected[name], (key, name)
        np.testing.assert_allclose(built[key]["sum_abs"], expected["sum_abs"], rtol=1e-8, err_msg=key)


def test_a_decided_level_keeps_no_graph_but_gives_the_same_again():
    case = problem("fd", size=20)
    builder = HierarchyBuilder(Level(case.A, case.B), MENU, Limits(max_coarse=12))
    before = builder.observe()
    builder.coarsen(prior(MENU, 0)(before))
    decided = builder.hierarchy.levels[0]
    assert decided._graph is None
    assert (decided.graph.edge_features == before.edge_features).all()

"""The guard against the figures that it estimates, and what it does with policies that are no good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pyamg.gallery import diffusion_stencil_2d, linear_elasticity, poisson, stencil_grid
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.sparse.csgraph import laplacian

from rllib_psparsity import learned_solver, load_policy
from rllib_psparsity.amg.conjugate_gradients import solve_block
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import Level, build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.deploy import guard
from rllib_psparsity.deploy.artifact import LoadedPolicy
from rllib_psparsity.deploy.classical import RECIPES, classical_hierarchy, relaxation_hierarchy
from rllib_psparsity.deploy.definiteness import least_quotient
from rllib_psparsity.deploy.guard import (
    CLEARLY,
    HOPELESS,
    LEARNED,
    RELAXATION,
    STEPS,
    STEPS_IN_DOUBT,
    STEPS_TO_REJECT,
    VECTORS,
    WORK_LIMIT,
    choose,
    direct_solver,
    estimated_work,
    examine,
)
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.problems.validation import check_matrix

MENU = load_policy("default").menu
ANISOTROPIC = stencil_grid(diffusion_stencil_2d(epsilon=0.001, theta=0.5, type="FE"), (40, 40), format="csr")


def _random_edges(share: float, recipe: int):
    rng = np.random.default_rng(0)
    return lambda graph: Decision(rng.random(graph.num_edges) < share, recipe)


@pytest.mark.parametrize("A", [poisson((40, 40), format="csr"), ANISOTROPIC], ids=["poisson", "anisotropic"])
def test_the_estimate_is_near_the_measured_work(A):
    A, B = check_matrix(A)
    for name in RECIPES:
        hierarchy = classical_hierarchy(Level(A, B), name, Limits())
        estimate = estimated_work(hierarchy, direct_solver(hierarchy))
        measured = measure_solve(hierarchy.to_pyamg()).work_per_digit
        assert 0.6 < estimate / measured < 1.5, name


def test_a_poor_hierarchy_is_replaced_by_a_better_classical_one():
    A, B = check_matrix(ANISOTROPIC)
    poor = build_hierarchy(A, B, _random_edges(0.3, 1), menu=MENU)
    chosen = choose(examine(LEARNED, poor), Limits())
    assert "work units a digit, the limit is 10" in examine(LEARNED, poor).objection
    assert chosen.hierarchy is not poor and chosen.name in (*RECIPES, RELAXATION)
    works = [measure_solve(h.to_pyamg()).work_per_digit for h in (chosen.hierarchy, poor)]
    assert works[0] < 0.7 * works[1]


def test_doubt_is_settled_by_more_steps():
    """Two steps see mostly smoothing: of random edges they promise too much, of a large grid's good ones too little."""
    A, B = check_matrix(ANISOTROPIC)
    poor = build_hierarchy(A, B, _random_edges(0.3, 1), menu=MENU)
    direct = direct_solver(poor)
    few, more = (estimated_work(poor, direct, steps) for steps in (STEPS, STEPS_TO_REJECT))
    assert 10.0 < few < more == examine(LEARNED, poor).work_per_digit
    good = classical_hierarchy(Level(A, B), "classical/modified/evolution", Limits())
    few, more = (estimated_work(good, direct_solver(good), steps) for steps in (STEPS, STEPS_IN_DOUBT))
    limit = (few + more) / 2
    assert more < limit < few and examine(LEARNED, good, STEPS, limit).objection == ""


@pytest.mark.parametrize(("n", "vectors"), [(60, VECTORS), (101, 1)])
def test_an_estimate_that_grows_is_in_doubt(monkeypatch, n, vectors):
    """Hardly anything is coarsened: the first steps smooth, and two of them see a good solver."""
    A, B = check_matrix(poisson((n, n), format="csr"))
    made = []
    monkeypatch.setattr(guard, "solve_block", lambda *a: made.append(solve_block(*a)) or made[-1])
    poor = build_hierarchy(A, B, _random_edges(0.05, 0), menu=MENU)
    assert estimated_work(poor, direct_solver(poor)) < WORK_LIMIT < examine(LEARNED, poor).work_per_digit
    assert examine(LEARNED, poor, STEPS, 10.0 * WORK_LIMIT).objection == ""
    taken = [solve.iterations.tolist() for solve in made]
    assert taken == [[steps] * vectors for steps in (STEPS, STEPS_TO_REJECT, STEPS_IN_DOUBT)]
    good = classical_hierarchy(Level(A, B), RECIPES[0], Limits())
    assert choose(examine(LEARNED, poor), Limits()).name == RECIPES[0]
    made.clear()
    assert examine(LEARNED, good).work_per_digit == estimated_work(good, direct_solver(good))
    assert [solve.iterations.tolist() for solve in made] == [[STEPS] * vectors] * 2


def test_a_solve_that_stands_still_at_first_is_waited_for():
    """Two well connected graphs that hardly hang together: the cycle leaves one error, how they differ."""
    rng, n = np.random.default_rng(0), 300
    i = np.repeat(np.arange(2 * n), 6)
    j = rng.integers(0, n, len(i)) + i // n * n
    weights = coo_array((np.append(np.ones(len(i)), 1e-4), (np.append(i, 0), np.append(j, n))), shape=(2 * n, 2 * n))
    A, B = check_matrix(csr_array(laplacian((weights + weights.T).tocsr()) + 1e-6 * eye_array(2 * n)))
    hierarchy = relaxation_hierarchy(A, B)
    direct = direct_solver(hierarchy)
    estimates = [estimated_work(hierarchy, direct, steps) for steps in (STEPS, STEPS_IN_DOUBT, STEPS_TO_REJECT)]
    assert estimates[0] < WORK_LIMIT and estimates[2] < WORK_LIMIT < HOPELESS < estimates[1]
    assert measure_solve(hierarchy.to_pyamg()).work_per_digit < estimates[2]
    assert examine(LEARNED, hierarchy).objection == ""


def test_a_good_hierarchy_is_kept_and_none_is_built_beside_it(monkeypatch):
    A, B = check_matrix(poisson((40, 40), format="csr"))
    good = classical_hierarchy(Level(A, B), RECIPES[0], Limits())
    monkeypatch.setattr("rllib_psparsity.deploy.guard.classical_hierarchy", None)
    chosen = choose(examine(LEARNED, good), Limits())
    assert chosen.hierarchy is good and chosen.objection == "" and chosen.work_per_digit <= WORK_LIMIT


def test_where_none_passes_only_a_clearly_better_one_is_taken(monkeypatch):
    """A matrix on which every estimate is high, as of a million unknowns: a few per cent are the estimate's error."""
    A, B = check_matrix(ANISOTROPIC)
    monkeypatch.setattr("rllib_psparsity.deploy.guard.examine.__defaults__", (STEPS_IN_DOUBT, 0.1))
    rivals = {name: examine(name, classical_hierarchy(Level(A, B), name, Limits())) for name in RECIPES}
    least = min(rival.work_per_digit for rival in rivals.values())
    poor = examine(LEARNED, build_hierarchy(A, B, _random_edges(0.3, 1), menu=MENU))
    assert poor.work_per_digit > CLEARLY * least and choose(poor, Limits()).work_per_digit == least
    for rival in rivals.values():
        chosen = choose(rival, Limits())
        assert rival.objection and (chosen is rival) == (rival.work_per_digit <= CLEARLY * least)


@pytest.mark.parametrize(("work", "built"), [(HOPELESS, 1), (HOPELESS + 1.0, len(RECIPES))])
def test_of_a_hard_matrix_one_classical_hierarchy_is_built(monkeypatch, work, built):
    """Where the first is not clearly better it is the matrix that is hard; to a hopeless one all are compared."""
    A, B = check_matrix(ANISOTROPIC)
    one = examine(LEARNED, classical_hierarchy(Level(A, B), RECIPES[0], Limits()))
    tested = []

    def hard(name, *_):
        tested.append(name)
        return replace(one, name=name, work_per_digit=20.0, objection="much work")

    monkeypatch.setattr("rllib_psparsity.deploy.guard.classical_hierarchy", lambda *_: one.hierarchy)
    monkeypatch.setattr("rllib_psparsity.deploy.guard.examine", hard)
    learned = replace(one, work_per_digit=work, objection="much work")
    assert choose(learned, Limits()) is learned and tested == list(RECIPES[:built])


def test_a_set_up_that_fails_falls_back_and_says_why():
    config = PolicyConfig(prior=False)
    torch.manual_seed(0)
    network = SparsifierPolicy(config).eval()
    with torch.no_grad():
        network.edge_head.out.bias -= 1e3  # no edge is ever strong
    policy = LoadedPolicy(inference_of(network), config, network.menu, Limits())
    A = poisson((40, 40), format="csr")
    ml = learned_solver(A, policy=policy)
    info = ml.setup_info
    assert info.guard_stepped_in and info.method == RECIPES[0] and "set-up failed" in info.guard_reason
    assert f"guard: stepped in, since {info.guard_reason}" in str(info)
    b = np.ones(1600)
    assert np.linalg.norm(b - A @ ml.solve(b, accel="cg", tol=1e-8)) < 1e-6 * 40
    assert ml.update(2.0 * A).updated and ml.setup_info.method == RECIPES[0]


def test_random_networks_cannot_make_a_bad_or_indefinite_solver():
    """Whatever the network says: no more than twice the work of the first fallback, and positive definite."""
    A, B = check_matrix(stencil_grid(diffusion_stencil_2d(epsilon=0.01, theta=0.5, type="FE"), (20, 20), format="csr"))
    fallback = measure_solve(classical_hierarchy(Level(A, B), RECIPES[0], Limits()).to_pyamg()).work_per_digit
    for seed in range(8):
        torch.manual_seed(seed)
        config = PolicyConfig(prior=False)
        network = SparsifierPolicy(config).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter *= 5.0
        policy = LoadedPolicy(inference_of(network), config, network.menu, Limits())
        ml = learned_solver(A, policy=policy)
        assert measure_solve(ml).work_per_digit < max(WORK_LIMIT, 2 * fallback)
        M = np.column_stack([ml.aspreconditioner() @ unit for unit in np.eye(400)])
        np.testing.assert_allclose(M, M.T, atol=1e-10 * abs(M).max())
        assert np.linalg.eigvalsh((M + M.T) / 2)[0] > 0


def test_relaxation_solves_what_cannot_be_coarsened():
    ml = learned_solver(np.diag(np.arange(1.0, 800.0)))
    assert ml.setup_info.method == RELAXATION and measure_solve(ml).iterations == 1
    K, modes = check_matrix(*linear_elasticity((8, 8), format="bsr"))
    solver = relaxation_hierarchy(K, modes).to_pyamg()
    M = np.column_stack([solver.aspreconditioner() @ unit for unit in np.eye(K.shape[0])])
    assert np.linalg.eigvalsh((M + M.T) / 2)[0] > 0


def test_without_the_guard_the_learned_hierarchy_is_used_as_it_is():
    A = poisson((40, 40), format="csr")
    policy = load_policy("default")
    guarded, bare = learned_solver(A), learned_solver(A, guard=False)
    assert bare.setup_info.seconds["guard"] == 0.0 and np.isnan(bare.setup_info.work_per_digit)
    assert "guard: off" in str(bare.setup_info)
    for ours, theirs in zip(guarded.levels, bare.levels, strict=True):
        assert (ours.A != theirs.A).nnz == 0
    assert guarded.setup_info.levels == bare.setup_info.levels
    assert {level.recipe for level in bare.setup_info.levels[:-1]} <= {recipe.name for recipe in policy.menu}


def test_lanczos_stays_within_the_spectrum():
    rng = np.random.default_rng(0)
    for negative in (False, True):
        A = poisson((20, 20), format="csr").toarray()
        A[:, 0] *= 3.0
        A[0, :] *= 3.0
        if negative:
            x = rng.standard_normal(400)
            A -= 3.0 * np.outer(x, x) / (x @ x)
        d = np.sqrt(np.diag(A))
        least = np.linalg.eigvalsh(A / d / d[:, None])[0]
        found = least_quotient(csr_array(A))
        assert least - 1e-10 <= found < (0 if negative else 0.1)

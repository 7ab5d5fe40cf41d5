"""The measures of quality against slow references: dense operators, PyAMG's own cycle, plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import eigvals

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.setup_cost import setup_price, setup_work
from rllib_psparsity.config.schema import RewardConfig
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards import make_reward
from rllib_psparsity.environment.rewards.energy import energies
from rllib_psparsity.environment.rewards.energy_reduction import EnergyReduction
from rllib_psparsity.environment.rewards.hybrid import Hybrid
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations
from rllib_psparsity.environment.rewards.total_work import TotalWork
from rllib_psparsity.environment.rewards.work_per_digit import WorkPerDigit, digits_per_iteration
from rllib_psparsity.environment.sparsify import SparsifyEnv
from tests.environment.tiny import ELASTIC, SCALAR, run_episode, textbook, tiny_config


def built(problems: str, index: int = 0, recipe: int = 0) -> Hierarchy:
    env = SparsifyEnv(tiny_config(problems, "environment.max_coarse=5"))
    run_episode(env, index, lambda graph: textbook(graph, recipe))
    assert not env.hierarchy.failed
    return env.hierarchy


def measure(reward, hierarchy: Hierarchy, cycle: BlockVCycle, rng) -> Quality:
    return reward.quality(hierarchy, cycle, reward.test_vectors(hierarchy.levels[0].A, rng))


BOTH = pytest.mark.parametrize("problems", [SCALAR, ELASTIC])


def energy(A: np.ndarray, e: np.ndarray) -> float:
    return sum(e[i] * A[i, j] * e[j] for i in range(len(e)) for j in range(len(e)))


@BOTH
def test_energies_by_vector_and_by_node(problems):
    A = built(problems).levels[-1].A
    errors = np.random.default_rng(0).standard_normal((A.shape[0], 3)) * [1.0, 1e-3, 1e3]
    dense, block = A.toarray(), A.blocksize[0] if A.format == "bsr" else 1
    totals, by_node = energies(A, errors)
    assert totals == pytest.approx([energy(dense, errors[:, k]) for k in range(3)], rel=1e-12)
    for i in range(A.shape[0] // block):
        own = range(i * block, (i + 1) * block)
        share = sum(errors[p, k] * (dense[p] @ errors[:, k]) / totals[k] for p in own for k in range(3))
        assert by_node[i] == pytest.approx(share, rel=1e-9, abs=1e-12)
    assert by_node.sum() == pytest.approx(3.0)


def test_an_error_that_is_gone_has_an_energy_with_a_logarithm():
    A = built(SCALAR).levels[0].A
    totals, by_node = energies(A, np.zeros((A.shape[0], 2)))
    assert np.isfinite(np.log(totals)).all() and (by_node == 0).all()


def test_digits_per_iteration_follow_the_bound_of_conjugate_gradients():
    for rho in (0.01, 0.3, 0.9, 0.999):
        condition = 1.0 / (1.0 - rho)
        sigma = (math.sqrt(condition) - 1.0) / (math.sqrt(condition) + 1.0)
        assert digits_per_iteration(rho) == pytest.approx(-math.log10(sigma), rel=1e-9)
    assert digits_per_iteration(0.0) == pytest.approx(digits_per_iteration(1e-12)) and digits_per_iteration(0.0) < 14
    assert 0 < digits_per_iteration(2.0) < 1e-5


@BOTH
def test_work_per_digit_is_that_of_the_dense_cycle(problems):
    hierarchy = built(problems)
    A = hierarchy.levels[0].A.toarray()
    cycle = BlockVCycle(hierarchy.levels)
    n = len(A)
    # Column j of the error propagator: what a cycle for b = 0 makes of the j-th unit vector.
    E = cycle(np.zeros((n, n)), np.eye(n))
    errors = np.random.default_rng(3).standard_normal((n, 4))
    logs = []
    for k in range(4):
        third, seventh = (np.linalg.matrix_power(E, power) @ errors[:, k] for power in (3, 7))
        logs.append(math.log((seventh @ A @ seventh) / (third @ A @ third)))
    rho = math.exp(sum(logs) / 4 / 2 / 4)
    quality = measure(WorkPerDigit(4), hierarchy, cycle, np.random.default_rng(3))
    expected = (hierarchy.cycle_complexity + 1.0) / digits_per_iteration(rho)
    assert math.exp(-quality.value) == pytest.approx(expected, rel=1e-6)
    # E is self-adjoint in the energy norm, so its spectral radius is its norm there: the limit of rho.
    spectrum = eigvals(E)
    assert abs(spectrum.imag).max() < 1e-6 and spectrum.real.min() > -1e-6
    assert rho == pytest.approx(spectrum.real.max(), abs=0.12) and rho <= spectrum.real.max() + 1e-9


@BOTH
def test_work_per_digit_predicts_the_measured_one(problems):
    for recipe in range(3):
        hierarchy = built(problems, 1, recipe)
        predicted = measure(WorkPerDigit(8), hierarchy, BlockVCycle(hierarchy.levels), np.random.default_rng(0)).value
        measured = measure_solve(hierarchy.to_pyamg()).work_per_digit
        assert -predicted == pytest.approx(math.log(measured), abs=0.35)


@BOTH
@pytest.mark.parametrize("recipe", [0, 1])
def test_energy_reduction_by_plain_loops_and_pyamgs_cycle(problems, recipe):
    hierarchy = built(problems, 2, recipe)
    A = hierarchy.levels[0].A
    dense, solver = A.toarray(), hierarchy.to_pyamg()
    n = len(dense)
    errors = np.random.default_rng(7).standard_normal((n, 6))
    ratios = []
    for k in range(6):
        e = errors[:, k].copy()
        for _ in range(25):
            residual = dense @ e
            e = np.array([e[i] - 2.0 / 3.0 * residual[i] / dense[i, i] for i in range(n)])
        after = solver.solve(np.zeros(n), x0=e, maxiter=1, tol=1e-300, cycle="V")
        ratios.append(math.log((after @ dense @ after) / (e @ dense @ e)))
    complexity = sum(level.A.nnz for level in hierarchy.levels) / A.nnz
    expected = -sum(ratios) / 6 - max(0.0, complexity - 1.35)
    for vectors in (1, 9):  # the document says six
        quality = measure(EnergyReduction(vectors), hierarchy, BlockVCycle(hierarchy.levels), np.random.default_rng(7))
        assert quality.value == pytest.approx(expected, rel=1e-8)
    assert quality.work_price == (1.0 if complexity > 1.35 else 0.0)


def test_energy_reduction_pays_for_complexity_above_the_free_one():
    hierarchy = built(SCALAR)
    cycle = BlockVCycle(hierarchy.levels)
    qualities = []
    for complexity in (1.0, 1.35, 2.35):
        counted = type("Counted", (Hierarchy,), {"operator_complexity": complexity})(hierarchy.levels)
        qualities.append(measure(EnergyReduction(4), counted, cycle, np.random.default_rng(0)))
    light, free, heavy = qualities
    assert light.value == free.value == pytest.approx(heavy.value + 1.0)
    assert (light.work_price, free.work_price, heavy.work_price) == (0.0, 0.0, 1.0)


class Columns:
    """Stands for a generator: column k is what ``default_rng(seeds[k])`` draws, as `measure_solve` does."""

    def __init__(self, *seeds: int) -> None:
        self.seeds = seeds

    def standard_normal(self, shape):
        return np.stack([np.random.default_rng(seed).standard_normal(shape[0]) for seed in self.seeds], axis=1)


@BOTH
def test_pcg_iterations_are_those_of_the_measurement(problems):
    hierarchy = built(problems, 1)
    solver, cycle = hierarchy.to_pyamg(), BlockVCycle(hierarchy.levels)
    measured = [measure_solve(solver, seed) for seed in (0, 1, 2)]
    logs = [-math.log(solve.work_per_digit) for solve in measured]
    for seed in (0, 1, 2):
        quality = measure(PCGIterations(1), hierarchy, cycle, Columns(seed))
        assert quality.value == pytest.approx(logs[seed], rel=1e-6)
    together = measure(PCGIterations(3), hierarchy, cycle, Columns(0, 1, 2))
    assert together.value == pytest.approx(sum(logs) / 3, rel=1e-6)
    digits = sum(solve.digits for solve in measured) / 3
    assert together.gain_price == pytest.approx(1.0 / (2 * math.log(10) * digits), rel=1e-6)


def test_hybrid_is_the_mean_of_its_parts():
    hierarchy = built(SCALAR, 1)
    cycle = BlockVCycle(hierarchy.levels)
    rng = np.random.default_rng(5)
    energy_part = measure(EnergyReduction(4), hierarchy, cycle, rng)
    pcg_part = measure(PCGIterations(4), hierarchy, cycle, rng)
    hybrid = measure(Hybrid(4), hierarchy, cycle, np.random.default_rng(5))
    assert hybrid.value == pytest.approx((energy_part.value + pcg_part.value) / 2)
    assert hybrid.gain_price == pytest.approx((energy_part.gain_price + pcg_part.gain_price) / 2)
    assert hybrid.work_price == pytest.approx((energy_part.work_price + pcg_part.work_price) / 2)
    assert np.array_equal(hybrid.before, energy_part.before) and np.array_equal(hybrid.after, energy_part.after)
    assert Hybrid(4).floor == (EnergyReduction(4).floor + PCGIterations(4).floor) / 2


@pytest.mark.parametrize("name", ["work_per_digit", "energy_reduction", "pcg_iterations", "hybrid", "total_work"])
def test_a_reward_keeps_no_state_and_prefers_the_better_hierarchy(name):
    reward = make_reward(RewardConfig(name=name))
    good = built(SCALAR, 1)
    # Too few strong edges, at random: one V-cycle of this hierarchy removes little.
    env = SparsifyEnv(tiny_config("environment.max_coarse=5"))
    rng = np.random.default_rng(0)

    def blind(graph):
        decision = textbook(graph)
        decision.edge_is_strong[rng.random(graph.num_edges) < 0.6] = False
        return decision

    run_episode(env, 1, blind)
    poor = env.hierarchy
    assert not poor.failed
    values = [measure(reward, h, BlockVCycle(h.levels), np.random.default_rng(0)).value for h in (good, poor, good)]
    assert values[0] == values[2] > values[1] >= reward.floor


@BOTH
@pytest.mark.parametrize("solves", [1, 3])
def test_total_work_is_that_of_a_solve_and_its_share_of_the_set_up(problems, solves):
    hierarchy = built(problems)
    cycle = BlockVCycle(hierarchy.levels)
    solve = measure(PCGIterations(4), hierarchy, cycle, np.random.default_rng(3))
    reward = make_reward(RewardConfig(name="total_work", solves_per_setup=solves))
    total = measure(reward, hierarchy, cycle, np.random.default_rng(3))
    setup = setup_work(hierarchy)
    assert math.exp(-total.value) == pytest.approx(math.exp(-solve.value) + setup / 8 / solves)
    assert total.work_per_digit == solve.work_per_digit == pytest.approx(math.exp(-solve.value))
    assert setup > 0 and total.gain_price < solve.gain_price and (total.after == solve.after).all()


@pytest.mark.parametrize("solves", [1, 3])
def test_a_unit_of_work_is_worth_what_it_adds_to_the_total(solves):
    """By a difference quotient: nonzeros of the coarse matrix cost the cycles and its own coarsening."""
    hierarchy = built(SCALAR)
    cycle = BlockVCycle(hierarchy.levels)
    total = measure(TotalWork(4, solves), hierarchy, cycle, np.random.default_rng(3))
    work, setup = total.work_per_digit, setup_work(hierarchy)
    price = 2.0 * work / (hierarchy.cycle_complexity + 1.0) + setup_price(hierarchy) / 8 / solves
    assert total.work_price == pytest.approx(price / (work + setup / 8 / solves))

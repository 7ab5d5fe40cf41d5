"""Studies pay what the environment pays."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT, ClassicalMethod
from rllib_psparsity.environment.sparsify import SparsifyEnv
from studies.episode import MENU, Episodes
from studies.rules import every_edge, textbook
from tests.environment.tiny import ELASTIC, run_episode, tiny_config

NAMES = tuple(recipe.name for recipe in MENU)


@pytest.mark.parametrize("reward", ["energy_reduction", "work_per_digit", "pcg_iterations"])
def test_an_episode_is_paid_what_the_environment_pays_over_its_levels(reward: str) -> None:
    config = tiny_config(f"reward.name={reward}", f"policy.recipes=[{', '.join(NAMES)}]")
    decide = textbook("sa/energy1/evolution")
    paid = sum(step[1] for step in run_episode(SparsifyEnv(config), 3, decide))
    assert Episodes(config).run(3, decide).reward == pytest.approx(paid, rel=1e-9)


def test_held_out_problems_are_those_of_the_final_comparison() -> None:
    config = tiny_config()
    trained, held = Episodes(config), Episodes(config, "heldout")
    assert held.problem(1).name.endswith("heldout-1") and trained.problem(1).name.endswith("training-1")
    assert held.run(1, every_edge()) != trained.run(1, every_edge())


@pytest.mark.parametrize("overrides", [(), (ELASTIC,), ("environment.max_levels=2",)])
def test_pyamgs_default_is_paid_for_its_own_cycle(overrides: tuple[str, ...]) -> None:
    config = tiny_config("reward.name=energy_reduction", *overrides)
    episodes = Episodes(config)
    outcome = episodes.classical(0, PYAMG_DEFAULT)
    problem = episodes.problem(0)
    solver = PYAMG_DEFAULT.build(problem.A, problem.B)
    del solver.levels[config.environment.max_levels :]
    assert outcome.levels == len(solver.levels)
    assert outcome.operator_complexity == pytest.approx(solver.operator_complexity())
    assert outcome.reward > 0 and 0 < outcome.coarse_share < 0.5
    if not overrides:  # one cycle from PyAMG itself, on the same relaxed vectors
        vectors = episodes._starts.training(0, 1.0).test_vectors
        zero = np.zeros(problem.num_unknowns)
        logs = []
        for error in vectors.errors.T:
            after = solver.solve(zero, x0=error, maxiter=1, tol=1e-30)
            logs.append(np.log((error @ (problem.A @ error)) / (after @ (problem.A @ after))))
        assert outcome.reward == pytest.approx(np.mean(logs) - max(0, outcome.operator_complexity - 1.35), rel=1e-6)


def test_every_method_of_the_portfolio_has_a_reward_and_leaves_the_problem_alone() -> None:
    episodes = Episodes(tiny_config("reward.name=energy_reduction"))
    before = episodes.run(0, every_edge())
    rewards = {method.name: episodes.classical(0, method).reward for method in PORTFOLIO}
    assert np.isfinite(list(rewards.values())).all() and len(set(rewards.values())) > 5
    assert episodes.run(0, every_edge()) == before


def test_what_the_limits_refuse_has_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = Episodes(tiny_config("reward.name=energy_reduction", "environment.max_operator_complexity=1.01"))
    assert episodes.classical(0, PYAMG_DEFAULT).reward == -3.0
    fails = ClassicalMethod("fails", "smoothed_aggregation_solver", {"strength": ("no such measure", {})})
    assert Episodes(tiny_config("reward.name=energy_reduction")).classical(0, fails).reward == -3.0
    monkeypatch.setattr(BlockVCycle, "__call__", lambda self, b, x=None: np.full_like(b, np.nan))
    assert Episodes(tiny_config("reward.name=energy_reduction")).classical(0, PYAMG_DEFAULT).reward == -3.0

"""The contract of the environment: spaces, rewards that add up, determinism, failures that end an episode only."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.environment import sparsify, start
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError, SetupFailure
from tests.environment.tiny import ELASTIC, random_decision, run_episode, textbook, tiny_config

REWARDS = ("work_per_digit", "energy_reduction", "pcg_iterations", "hybrid", "total_work")


def weakest_first_level(graph):
    """Textbook on the finest level; no strong edges below, so the second set-up fails."""
    return textbook(graph) if graph.level == 0 else Decision(np.zeros(graph.num_edges, bool), 0)


def quality(env: SparsifyEnv, index: int, levels: int | None = None) -> float:
    """The reward's figure of the first levels of the hierarchy, measured from outside."""
    hierarchy = copy.copy(env.hierarchy)
    hierarchy.levels = hierarchy.levels[:levels]
    rng = np.random.default_rng(np.random.SeedSequence(env.config.seed, spawn_key=(start.TEST_VECTORS, index)))
    test_vectors = env.reward.test_vectors(hierarchy.levels[0].A, rng)
    return env.reward.quality(hierarchy, BlockVCycle(hierarchy.levels), test_vectors).value


@pytest.mark.parametrize("problems", [None, ELASTIC])
@pytest.mark.parametrize("reward", REWARDS)
def test_episode_follows_the_contract(reward, problems):
    env = SparsifyEnv(tiny_config(f"reward.name={reward}", *([problems] if problems else [])))
    decide = random_decision(np.random.default_rng(0), len(env.menu) - 1)
    levels = set()
    for index in range(3):
        graph, info = env.reset(options={"index": index})
        assert f"training-{index}" in info["problem"]
        for level in itertools.count():
            assert env.observation_space.contains(graph) and graph.level == level
            action = textbook(graph) if index else decide(graph)
            assert env.action_space.contains(action)
            after, paid, terminated, truncated, info = env.step(action)
            assert isinstance(paid, float) and isinstance(terminated, bool) and isinstance(truncated, bool)
            assert info["credit"].shape == info["aggregates"].shape == (graph.num_nodes,)
            assert info["credit"].dtype == np.float32 and info["aggregates"].dtype == np.int32
            assert np.mean(info["credit"], dtype=float) == pytest.approx(paid, abs=1e-5)
            assert ("end" in info) == (terminated or truncated)
            if terminated or truncated:
                break
            assert info["aggregates"].max() == after.num_nodes - 1
            graph = after
        levels.add(level)
        assert after.num_nodes == 1 and after.num_edges == 0 and env.observation_space.contains(after)
        assert terminated is not truncated
        assert truncated == (info["end"] in ("stalled", "exploded", "failed"))
        assert info["operator_complexity"] == env.hierarchy.operator_complexity
        assert np.isfinite(info["work_per_digit"]) == terminated
        with pytest.raises(InputError, match=r"^the episode is over; call reset\(\) before the next step$"):
            env.step(action)
    assert max(levels) >= 1, "no episode had two levels"


def test_step_or_hierarchy_before_a_reset_is_refused():
    env = SparsifyEnv(tiny_config())
    with pytest.raises(InputError, match="the episode is over; call reset"):
        env.step(Decision(np.zeros(0, bool), 0))
    with pytest.raises(InputError, match="the environment has no hierarchy yet; call reset"):
        _ = env.hierarchy


def test_a_mask_of_another_length_is_refused_and_changes_nothing():
    env = SparsifyEnv(tiny_config())
    graph, _ = env.reset(options={"index": 0})
    expected = (
        f"^the decision has {graph.num_edges - 1} entries for {graph.num_edges} edges; "
        "give one per edge of the observation$"
    )
    with pytest.raises(InputError, match=expected):
        env.step(Decision(np.ones(graph.num_edges - 1, bool), 0))
    assert len(env.hierarchy.levels) == 1
    assert env.step(textbook(graph))[3] is False


def test_a_problem_with_nothing_to_decide_is_refused():
    env = SparsifyEnv(tiny_config("environment.max_coarse=400"))
    with pytest.raises(InputError, match=r"needs more than environment\.max_coarse = 400; take larger sizes"):
        env.reset(options={"index": 0})


@pytest.mark.parametrize("reward", REWARDS)
def test_rewards_add_up_to_the_quality_with_shaping_and_without(reward):
    shaped = SparsifyEnv(tiny_config(f"reward.name={reward}", "reward.shaping=true"))
    plain = SparsifyEnv(tiny_config(f"reward.name={reward}", "reward.shaping=false"))
    lengths = set()
    for index in range(3):
        with_shaping = [step[1] for step in run_episode(shaped, index)]
        without = [step[1] for step in run_episode(plain, index)]
        assert without[:-1] == [0.0] * (len(without) - 1)
        assert sum(with_shaping) == pytest.approx(without[-1], rel=1e-9)
        assert without[-1] == quality(plain, index)
        assert with_shaping[0] == quality(shaped, index, levels=2)
        lengths.add(len(with_shaping))
    assert max(lengths) > 1


def test_discounted_shaping_leaves_the_discounted_quality_of_the_end():
    env = SparsifyEnv(tiny_config("training.gamma=0.8"))
    for index in range(3):
        rewards = [step[1] for step in run_episode(env, index)]
        discounted = sum(0.8**t * reward for t, reward in enumerate(rewards))
        assert discounted == pytest.approx(0.8 ** (len(rewards) - 1) * quality(env, index), rel=1e-9)


def test_credit_is_by_node_unless_told_otherwise():
    by_node = run_episode(SparsifyEnv(tiny_config()), 0)
    by_level = run_episode(SparsifyEnv(tiny_config("training.node_credit=false")), 0)
    for (*_, info), (_, reward, _, _, flat) in zip(by_node, by_level, strict=True):
        assert info["credit"].std() > 1e-3
        assert (flat["credit"] == np.float32(reward)).all()


def test_work_per_digit_is_reported_whatever_is_paid():
    env = SparsifyEnv(tiny_config("reward.name=pcg_iterations"))
    (*_, last) = run_episode(env, 0)
    expected = np.exp(-quality(env, 0))
    assert last[4]["work_per_digit"] == pytest.approx(expected, rel=1e-12)
    for reward in REWARDS:
        other = SparsifyEnv(tiny_config(f"reward.name={reward}"))
        assert run_episode(other, 0)[-1][4]["work_per_digit"] == pytest.approx(expected, rel=1e-12)


def test_solves_can_be_left_out_where_something_else_is_paid():
    for reward, measured in (("energy_reduction", False), ("pcg_iterations", True)):
        env = SparsifyEnv(tiny_config(f"reward.name={reward}"))
        full = run_episode(env, 0)
        graph, _ = env.reset(options={"index": 0, "solve": False})
        for step in full:
            graph, paid, terminated, _, info = env.step(textbook(graph))
            assert paid == step[1]
        assert terminated and np.isfinite(info["work_per_digit"]) == measured
        assert info["operator_complexity"] == full[-1][4]["operator_complexity"]


def _same(a, b) -> bool:
    (graph_a, *paid_a, info_a), (graph_b, *paid_b, info_b) = a, b
    return (
        paid_a == paid_b
        and info_a.keys() == info_b.keys()
        and all(np.array_equal(info_a[key], info_b[key]) for key in info_a)
        and np.array_equal(graph_a.node_features, graph_b.node_features)
        and np.array_equal(graph_a.edge_features, graph_b.edge_features)
        and np.array_equal(graph_a.edge_index, graph_b.edge_index)
    )


def test_an_index_names_an_episode_bit_for_bit():
    config = tiny_config()
    env = SparsifyEnv(config)
    first = run_episode(env, 5)
    run_episode(env, 6)
    for again in (run_episode(env, 5), run_episode(SparsifyEnv(config), 5)):
        assert len(first) == len(again) and all(map(_same, first, again))
    other_seed = run_episode(SparsifyEnv(tiny_config("seed=1")), 5)
    assert first[0][1] != other_seed[0][1]
    assert first[0][1] != run_episode(env, 6)[0][1]


def test_a_fixed_set_of_problems_repeats_its_episodes():
    env = SparsifyEnv(tiny_config("problems.training_problems=3"))
    first, again = run_episode(env, 1), run_episode(env, 4)
    assert len(first) == len(again) and all(map(_same, first, again))
    assert run_episode(env, 2)[0][1] != first[0][1]


def test_without_an_index_the_environments_own_seed_draws():
    env = SparsifyEnv(tiny_config())
    names = [env.reset(seed=seed)[1]["problem"] for seed in (3, 3, 4)]
    assert names[0] == names[1] != names[2]
    assert env.reset()[1]["problem"] != names[2]


def test_difficulty_reaches_the_problem():
    env = SparsifyEnv(tiny_config())
    easy = [env.reset(options={"index": i, "difficulty": 0.0})[0].num_nodes for i in range(4)]
    hard = [env.reset(options={"index": i, "difficulty": 1.0})[0].num_nodes for i in range(4)]
    assert easy == [100] * 4 and max(hard) > 100


def _failed(env, steps):
    """The episode ended in a failure that pays exactly the floor less the potential."""
    *before, (graph, reward, terminated, truncated, info) = steps
    assert (terminated, truncated) == (False, True)
    assert reward == env.reward.floor - sum(step[1] for step in before) and np.isfinite(reward)
    assert (info["credit"] == np.float32(reward)).all() and (info["aggregates"] == -1).all()
    assert np.isnan(info["work_per_digit"]) and np.isfinite(info["operator_complexity"])
    assert env.observation_space.contains(graph) and graph.num_nodes == 1
    assert env.hierarchy.failed and env.hierarchy.failure
    with pytest.raises(InputError, match="the episode is over"):
        env.step(Decision(np.zeros(0, bool), 0))
    return info["end"]


@pytest.mark.parametrize("reward", REWARDS)
def test_no_strong_edges_fail_on_the_first_level_and_on_the_second(reward):
    env = SparsifyEnv(tiny_config(f"reward.name={reward}"))
    for recipe in range(len(env.menu)):
        steps = run_episode(env, 0, lambda graph, r=recipe: Decision(np.zeros(graph.num_edges, bool), r))
        assert _failed(env, steps) == "failed" and len(steps) == 1
    index = next(i for i in range(10) if len(run_episode(env, i)) > 1)
    steps = run_episode(env, index, weakest_first_level)
    assert len(steps) == 2 and steps[0][1] != 0.0
    assert _failed(env, steps) == "failed"


def test_a_classical_recipe_fails_on_a_block_matrix():
    env = SparsifyEnv(tiny_config(ELASTIC))
    classical = next(r for r, recipe in enumerate(env.menu) if recipe.scalar_only)
    steps = run_episode(env, 0, lambda graph: textbook(graph, classical))
    assert _failed(env, steps) == "failed"
    assert "classical coarsening does not take block matrices" in env.hierarchy.failure


@pytest.mark.parametrize(
    ("limit", "end"),
    [("environment.stall_ratio=0.05", "stalled"), ("environment.max_operator_complexity=1.01", "exploded")],
)
def test_a_level_beyond_the_limits_fails(limit, end):
    env = SparsifyEnv(tiny_config(limit))
    assert _failed(env, run_episode(env, 0)) == end
    assert len(env.hierarchy.levels) == 1


def test_the_level_limit_is_no_failure():
    env = SparsifyEnv(tiny_config("environment.max_levels=2"))
    ((_, _, terminated, truncated, info),) = run_episode(env, 0)
    assert (terminated, truncated, info["end"]) == (True, False, "levels")


def test_a_cycle_that_cannot_be_set_up_fails(monkeypatch):
    def refuse(levels):
        raise SetupFailure("the coarsest matrix is singular")

    monkeypatch.setattr(sparsify, "BlockVCycle", refuse)
    env = SparsifyEnv(tiny_config())
    assert _failed(env, run_episode(env, 0)) == "failed"
    assert env.hierarchy.failure == "the coarsest matrix is singular"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("reward", REWARDS)
def test_a_cycle_that_is_not_finite_fails(monkeypatch, reward, value):
    class Broken(BlockVCycle):
        def __call__(self, b, x=None):
            return np.full_like(b, value)

    monkeypatch.setattr(sparsify, "BlockVCycle", Broken)
    env = SparsifyEnv(tiny_config(f"reward.name={reward}"))
    assert _failed(env, run_episode(env, 0)) == "failed"


@pytest.mark.parametrize("reward", REWARDS)
def test_a_cycle_that_diverges_is_bounded(monkeypatch, reward):
    class Diverging(BlockVCycle):
        def __call__(self, b, x=None):
            return -1e6 * (b if x is None else x + b)

    monkeypatch.setattr(sparsify, "BlockVCycle", Diverging)
    env = SparsifyEnv(tiny_config(f"reward.name={reward}"))
    steps = run_episode(env, 0)
    assert sum(step[1] for step in steps) >= env.reward.floor - 1e-12
    assert all(np.isfinite(step[4]["credit"]).all() for step in steps)

"""The algorithm without remote runners: exact resumption, the learner's figures, schedules, seeds, export."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_psparsity import learned_solver, load_policy
from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.metrics import METRICS
from rllib_psparsity.training.algorithm import balanced_shards, even_size
from rllib_psparsity.training.checkpoint import save_checkpoint
from rllib_psparsity.training.export import export_policy
from rllib_psparsity.training.record import EPISODES, LEARNER_COLUMNS, metrics_row
from tests.environment.tiny import tiny_config
from tests.training.runners import local_runner, same_episode

TIMES = ("seconds", "episodes_per_second", "seconds_sampling", "seconds_learning")


def train(algorithm, iterations, rows=()):
    """The rows of some more iterations, and the raw results."""
    rows, results = list(rows), []
    for _ in range(iterations):
        results.append(algorithm.train())
        rows.append(metrics_row(results[-1], rows[-1] if rows else None, 1.0))
    return rows, results


def weights(algorithm) -> dict[str, torch.Tensor]:
    module = algorithm.learner_group._learner.module[DEFAULT_MODULE_ID].unwrapped()
    return {name: tensor.clone() for name, tensor in module.network.state_dict().items()}


def equal(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.overlap=false",),
        ("training.overlap=true",),
        (
            "training.overlap=false",
            "training.algorithm=reinforce",
            "training.epochs=1",
            "training.baseline.warm_up=9",
            "entropy={form: softmax_over_edges, target: 4.0, rate: 0.5}",
            "policy.action=top_k",
            "policy.prior=false",
            "policy.recipes=[sa/jacobi/evolution]",
        ),
    ],
    ids=["ppo", "overlap", "reinforce"],
)
def test_four_iterations_are_two_and_a_resume_and_two(build, tmp_path, overrides):
    config = tiny_config(
        "seed=3",
        "training.rollouts_per_problem=4",
        "training.lr_factor=0.8",
        "training.minibatch_graphs=5",
        "reward.normalise=true",
        "policy.temperature={initial: 1.0, factor: 0.9, floor: 0.5}",
        "problems.curriculum={enabled: true, step: 0.25, improvement: 100.0, patience: 1}",
        *overrides,
    )
    unbroken = build(config)
    expected, results = train(unbroken, 4)
    assert [result[EPISODES]["difficulty"] for result in results] == [0.0, 0.25, 0.5, 0.75]
    # With overlap an iteration's episodes are those of the policy, and the temperature, of an update before.
    temperatures = [1.0, 1.0, 0.9, 0.81] if config.training.overlap else [1.0, 0.9, 0.81, 0.729]
    assert [row["temperature"] for row in expected] == pytest.approx(temperatures)
    assert [row["learning_rate"] for row in expected] == pytest.approx([3e-3 * 0.8**k for k in range(4)])
    assert expected[0]["reward_mean"] != expected[2]["reward_mean"]

    first = build(config)
    rows, _ = train(first, 2)
    path = save_checkpoint(first, tmp_path / "checkpoints", 2, keep=1)
    first.stop()
    second = build(config)
    assert not equal(weights(second), weights(first))
    second.restore_from_path(str(path / "algorithm"))
    assert equal(weights(second), weights(first))
    assert second.reward_normaliser.get_state() == first.reward_normaliser.get_state()
    rows, _ = train(second, 2, rows)

    assert second.iteration == unbroken.iteration == 4
    for ours, theirs in zip(rows, expected, strict=True):
        for metric in METRICS:
            if metric.name not in TIMES:
                assert ours[metric.name] == theirs[metric.name], (ours["iteration"], metric.name)
    assert equal(weights(second), weights(unbroken))
    assert second.reward_normaliser.get_state() == unbroken.reward_normaliser.get_state()
    for algorithm in (unbroken, second):
        assert (algorithm.baseline is not None) == (len(overrides) > 1)
    if second.baseline is not None:
        assert second.baseline.get_state() == unbroken.baseline.get_state()
        assert second.baseline.get_state()["levels"][0]["updates"] == 24
        coefficients = [row["entropy_coefficient"] for row in rows]
        assert len(set(coefficients)) == 4 and coefficients[0] == pytest.approx(0.02, rel=0.5)
        assert all(row["entropy_recipe"] == 0.0 for row in rows)
    assert second.curriculum.get_state() == unbroken.curriculum.get_state()
    assert second.episodes_started == unbroken.episodes_started == 24


def test_every_figure_of_the_learner_is_there_and_finite(build):
    algorithm = build(tiny_config("training.minibatch_graphs=64", "training.epochs=1"))
    rows, results = train(algorithm, 2)
    for row, result in zip(rows, results, strict=True):
        learner = result["learners"][DEFAULT_MODULE_ID]
        assert all(math.isfinite(row[name]) for name in LEARNER_COLUMNS)
        assert learner["updates"] == 1
        parts = ["encoder", "edge_head", "recipe_head", "value_head"]
        squares = [float(learner[f"grad_norm_{part}"]) ** 2 for part in parts]
        assert min(squares) > 0 and row["grad_norm"] ** 2 == pytest.approx(sum(squares), rel=1e-5)
        assert 0 < row["entropy_edge"] <= math.log(2) and 0 < row["entropy_recipe"] <= math.log(4) + 1e-6
        assert row["learning_rate"] == pytest.approx(algorithm.config.run_config.training.lr)
        assert row["entropy_coefficient"] == pytest.approx(algorithm.config.run_config.training.entropy_coefficient)
        assert row["explained_variance"] <= 1.0
        # RLlib's own name for the same figure: Tune ranks trials by it.
        assert result["env_runners"]["episode_return_mean"] == pytest.approx(row["reward_mean"], rel=1e-9)
        assert result["env_runners"]["num_episodes"] == 6
    assert rows[1]["env_steps"] == results[1]["env_runners"]["num_env_steps_sampled_lifetime"]


@pytest.mark.parametrize(("clip", "share"), [("1e-9", 1.0), ("null", 0.0)])
def test_share_of_clipped_updates(build, clip, share):
    (row,), _ = train(build(tiny_config(f"training.grad_clip={clip}")), 1)
    assert row["clipped_share"] == share and row["grad_norm"] > 1e-3, "the norm is that before the clip"


def test_temperature_follows_its_schedule_in_learner_and_runner(build):
    config = tiny_config("policy.temperature={initial: 1.0, factor: 0.5, floor: 0.4}")
    algorithm = build(config)
    rows = []
    for _, expected in zip(range(3), (1.0, 0.5, 0.4), strict=True):
        temperature = algorithm.env_runner.module.inference.weights()["temperature"]
        assert float(temperature) == pytest.approx(expected)
        rows, _ = train(algorithm, 1, rows)
        assert rows[-1]["temperature"] == pytest.approx(expected)


def test_the_learning_rate_decays_and_is_the_one_that_adam_uses(build):
    algorithm = build(tiny_config("training.lr=1e-2", "training.lr_factor=1e-6", "training.epochs=1"))
    before = weights(algorithm)
    rows, _ = train(algorithm, 1)
    after = weights(algorithm)
    rows, _ = train(algorithm, 1, rows)
    last = weights(algorithm)
    assert [row["learning_rate"] for row in rows] == pytest.approx([1e-2, 1e-8])
    learned = [name for name in before if name != "temperature"]
    assert max((before[name] - after[name]).abs().max() for name in learned) > 1e-3
    assert max((after[name] - last[name]).abs().max() for name in learned) < 1e-6


def test_the_entropys_weight_fades_and_goes_on_after_a_resume(build, tmp_path):
    config = tiny_config("training.entropy_coefficient=0.4", "entropy.fade=4", "training.epochs=1")
    rows, _ = train(algorithm := build(config), 2)
    path = save_checkpoint(algorithm, tmp_path / "checkpoints", 2, keep=1)
    algorithm.stop()
    algorithm = build(config)
    algorithm.restore_from_path(str(path / "algorithm"))
    rows, _ = train(algorithm, 3, rows)
    assert [row["entropy_coefficient"] for row in rows] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])


def test_a_seed_decides_the_weights(build):
    torch.manual_seed(11)
    first = weights(build(tiny_config("seed=5")))
    torch.manual_seed(12)
    assert equal(first, weights(build(tiny_config("seed=5"))))
    assert not equal(first, weights(build(tiny_config("seed=6"))))


def test_the_reward_rises(build):
    """On four problems that a textbook mask treats badly, with one recipe that is better than the other."""
    config = tiny_config(
        "problems.families=[{family: anisotropic_diffusion_fd, size: [12, 12], parameters: {epsilon: [0.01, 0.01]}}]",
        "problems.training_problems=4",
        "environment.max_coarse=20",
        "policy.recipes=[sa/jacobi/symmetric, sa/energy2/evolution]",
        "training.episodes_per_iteration=16",
        "training.minibatch_graphs=16",
        "training.lr=0.02",
        "training.epochs=2",
        "training.lambda=0.7",
        "training.entropy_coefficient=0.01",
        "training.recipe_entropy_coefficient=0.0",
        "env_runners.episodes_per_chunk=16",
    )
    rows, _ = train(build(config), 20)
    rewards = [row["reward_mean"] for row in rows]
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.08


def test_a_detached_entropy_changes_no_update(build):
    after = []
    for coefficient in (0.0, 0.5):
        algorithm = build(
            tiny_config(
                "entropy.detach=true",
                f"training.entropy_coefficient={coefficient}",
                f"training.recipe_entropy_coefficient={coefficient}",
            )
        )
        (row,), _ = train(algorithm, 1)
        assert row["entropy_coefficient"] == coefficient and row["entropy_edge"] > 0
        after.append(weights(algorithm))
    assert equal(*after)
    live = build(tiny_config("training.entropy_coefficient=0.5"))
    train(live, 1)
    assert not equal(weights(live), after[0])


def test_failed_set_ups_are_counted_and_training_goes_on(build):
    algorithm = build(tiny_config("environment.max_operator_complexity=1.02"))
    rows, _ = train(algorithm, 2)
    assert [row["failed_setups"] for row in rows] == [6, 6]
    assert all(math.isnan(row["work_per_digit_mean"]) for row in rows)
    assert rows[1]["reward_mean"] == pytest.approx(-math.log(100))
    assert all(tensor.isfinite().all() for tensor in weights(algorithm).values())


@pytest.mark.parametrize(
    "overrides",
    [
        ("policy.action=top_k", "policy.k=2"),
        ("policy.backbone=gat", "policy.separate_value_trunk=false"),
        ("policy.network=pooled",),
        ("reward.name=energy_reduction", "training.node_credit=false"),
        ("training.algorithm=a2c", "training.epochs=1", "training.normalise_advantages=false", "policy.prior=false"),
        ("problems.families=[{family: elasticity, size: [7, 9]}]", "reward.name=hybrid", "reward.shaping=false"),
    ],
)
def test_other_configurations_train(build, overrides):
    algorithm = build(tiny_config(*overrides))
    before = weights(algorithm)
    (row,), _ = train(algorithm, 1)
    assert all(math.isfinite(row[name]) for name in LEARNER_COLUMNS) and math.isfinite(row["reward_mean"])
    assert not equal(before, weights(algorithm))


def test_shards_are_whole_episodes_balanced_by_nodes():
    config = tiny_config("problems.families=[{family: anisotropic_diffusion_fd, size: [5, 14]}]")
    episodes = local_runner(config).sample(indices=range(11))

    def nodes(shard):
        return sum(graph.num_nodes for episode in shard for graph in episode.get_observations())

    for count in (1, 2, 3, 11):
        shards = balanced_shards(episodes, count)
        assert len(shards) == count and all(shards)
        assert sorted(int(episode.id_) for shard in shards for episode in shard) == list(range(11))
        assert all(any(episode is other for other in episodes) for shard in shards for episode in shard)
        largest = max(nodes([episode]) for episode in episodes)
        assert max(map(nodes, shards)) - min(map(nodes, shards)) <= largest
    for rollouts, count in ((3, 2), (4, 3), (6, 2)):  # siblings stay together
        shards = balanced_shards(episodes, count, rollouts)
        assert all(shards) and sum(map(len, shards)) == 11
        problems = [{int(episode.id_) // rollouts for episode in shard} for shard in shards]
        assert sum(map(len, problems)) == len(set().union(*problems))
    assert all(balanced_shards(episodes, 3, 11)), "one problem for three learners: siblings part"
    with pytest.raises(RuntimeError) as error:
        balanced_shards(episodes[:1], 2)
    assert str(error.value) == ("1 episodes cannot be shared by 2 learners; raise training.episodes_per_iteration")


def test_local_sampling_goes_through_chunks(build):
    config = tiny_config("training.episodes_per_iteration=5", "env_runners.episodes_per_chunk=3")
    algorithm = build(config)
    seen = []
    algorithm._learn = lambda episodes, learn=algorithm._learn: (seen.extend(episodes), learn(episodes))[1]
    train(algorithm, 2)
    assert [int(episode.id_) for episode in seen] == list(range(10))
    runner = local_runner(config)
    expected = [*runner.sample(indices=[0, 1, 2]), *runner.sample(indices=[3, 4])]
    assert all(same_episode(a, b) for a, b in zip(seen[:5], expected, strict=True))


def test_export_carries_the_learners_weights(build, tmp_path):
    config = tiny_config("policy.temperature={initial: 1.0, factor: 0.9, floor: 0.5}")
    algorithm = build(config)
    train(algorithm, 2)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "config.json").write_text(resolved_json(config))
    older = save_checkpoint(build(config), run_dir / "checkpoints", 1, keep=5)
    newest = save_checkpoint(algorithm, run_dir / "checkpoints", 2, keep=5)
    export_policy(run_dir, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    assert equal(loaded.inference.weights(), weights(algorithm)) and loaded.config == config.policy
    assert "2 iterations of 6 episodes" in (tmp_path / "policy" / "README.md").read_text()
    export_policy(newest, tmp_path / "same")
    assert equal(load_policy(tmp_path / "same").inference.weights(), weights(algorithm))
    export_policy(older, tmp_path / "older")
    assert not equal(load_policy(tmp_path / "older").inference.weights(), weights(algorithm))
    problem = local_runner(config).env.envs[0].problems.heldout(0)
    residuals: list[float] = []
    learned_solver(problem.A, policy=loaded).solve(
        np.ones(problem.num_unknowns), tol=1e-8, accel="cg", residuals=residuals
    )
    assert residuals[-1] < 1e-7 * residuals[0]

    # What cannot be exported is refused, and nothing is left behind.
    victim = newest / "algorithm" / "algorithm_state.pkl"
    victim = victim if victim.exists() else next(path for path in (newest / "algorithm").rglob("*.pkl"))
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"is damaged: .* is missing or differs from its checksum; name another one"):
        export_policy(newest, tmp_path / "refused")
    export_policy(run_dir, tmp_path / "the one before")
    assert equal(
        load_policy(tmp_path / "the one before").inference.weights(),
        load_policy(tmp_path / "older").inference.weights(),
    )
    with pytest.raises(InputError, match="is not empty, and a policy overwrites nothing; name a new directory"):
        export_policy(run_dir, tmp_path / "policy")
    with pytest.raises(InputError, match="is not a directory; name a run directory or one of its checkpoints"):
        export_policy(tmp_path / "nowhere", tmp_path / "refused")
    with pytest.raises(InputError, match="holds no checkpoint to resume from"):
        export_policy(tmp_path / "policy", tmp_path / "refused")
    astray = tmp_path / "moved" / "checkpoints" / older.name
    shutil.copytree(older, astray)
    with pytest.raises(InputError, match=r"config\.json"):
        export_policy(astray, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(("count", "most", "size"), [(225, 48, 45), (7, 48, 7), (48, 48, 48), (49, 48, 25), (5, 1, 1)])
def test_minibatches_are_of_equal_size(count, most, size):
    assert even_size(count, most) == size
    assert size <= most and math.ceil(count / size) == math.ceil(count / most)

"""Remote env runners: the same episodes from any number of them, and none lost when they die."""

from __future__ import annotations

import os
import time
from functools import partial

import numpy as np
import pytest
import ray
from ray.exceptions import RayActorError
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_psparsity.errors import InputError, RunStopped
from rllib_psparsity.training import sampling
from rllib_psparsity.training.checkpoint import save_checkpoint
from rllib_psparsity.training.env_runner import sample_chunk
from rllib_psparsity.training.record import metrics_row
from rllib_psparsity.training.sampling import Sampling
from tests.environment.tiny import tiny_config
from tests.training.runners import local_runner, same_episode


def deadly(victims: dict[int, str]):
    """A `sample_chunk` in which a runner dies in the midst of a chunk: in its second step of an environment.

    `victims` maps a chunk to a file that remembers its death.
    """

    def run(runner, number, indices, difficulty):
        if number in victims and not os.path.exists(victims[number]):
            taken = []

            def watched(step, action):
                if taken:
                    open(victims[number], "w").close()
                    os.kill(os.getpid(), 9)
                taken.append(action)
                return step(action)

            for env in runner.env.take(len(indices)):
                env.step = partial(watched, env.step)
        return sample_chunk(runner, number, indices, difficulty)

    return run


def test_two_runners_give_the_episodes_of_none_even_if_one_dies(build, tmp_path, monkeypatch):
    algorithm = build(tiny_config("env_runners.count=2"))
    alone = local_runner(tiny_config())
    chunks = [list(range(start, start + 3)) for start in range(0, 24, 3)]
    expected = [episode for chunk in chunks for episode in alone.sample(indices=chunk)]

    def sample(indices=range(24), ahead=False):
        sampling = Sampling(algorithm.env_runner_group, indices, 3, 1.0)
        if ahead:
            sampling.begin()
        return sampling.finish(lambda: algorithm.restore_env_runners(algorithm.env_runner_group))

    # An error that has no cure is raised at once, with its place; the runner is not taken for lost and asked again.
    with pytest.raises(RuntimeError, match="an env runner failed\nTraceback"):
        sample(["no index"])
    assert algorithm.env_runner_group.num_healthy_remote_workers() == 2

    for dying, ahead in [(False, False), (True, False), (False, True), (True, True)]:
        death = tmp_path / f"dead {ahead}"
        if dying:
            monkeypatch.setattr(sampling, "sample_chunk", deadly({2: str(death)}))
        sampled = sample(ahead=ahead)
        assert death.exists() == dying
        assert [int(episode.id_) for episode in sampled.episodes] == list(range(24))
        assert all(episode.is_done for episode in sampled.episodes) and len(sampled.metrics) == 8
        assert all(same_episode(a, b) for a, b in zip(sampled.episodes, expected, strict=True))
        assert sampled.seconds > 0
    deadline = time.monotonic() + 120.0
    while algorithm.env_runner_group.num_healthy_remote_workers() < 2:
        assert time.monotonic() < deadline, "the one that died does not come back"
        algorithm.restore_env_runners(algorithm.env_runner_group)


@pytest.mark.parametrize(("backbone", "imported"), [("sparse", False), ("gin", True)])
def test_a_runner_computes_on_one_thread_and_without_torch_if_it_can(build, backbone, imported):
    """Runners share a machine with as many others as it has cores."""
    algorithm = build(tiny_config("env_runners.count=1", f"policy.backbone={backbone}"))
    algorithm.train()

    def look(runner):
        import sys

        torch = sys.modules.get("torch")
        return os.environ["OMP_NUM_THREADS"], torch is not None, 1 if torch is None else torch.get_num_threads()

    (found,) = algorithm.env_runner_group.foreach_env_runner(look, local_env_runner=False)
    assert found == ("1", imported, 1)


def test_a_runner_that_died_unnoticed_samples_with_the_current_weights(build):
    """Ray brings a process back by itself, and RLlib does not hear of it when nothing was asked for meanwhile."""
    alone, remote = build(tiny_config()), build(tiny_config("env_runners.count=1"))
    theirs = metrics_row(alone.train(), None, 1.0)
    ours = metrics_row(remote.train(), None, 1.0)
    group = remote.env_runner_group
    (actor,) = group._worker_manager.actors().values()
    (old,) = group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False)
    os.kill(old, 9)
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        try:
            if ray.get(actor.apply.remote(lambda runner: os.getpid())) != old:
                break
        except RayActorError:
            time.sleep(0.2)
    assert group.num_healthy_remote_workers() == 1, "it was noticed, so this shows nothing"
    theirs, ours = (metrics_row(algorithm.train(), theirs, 1.0) for algorithm in (alone, remote))
    assert timeless(theirs) == timeless(ours)


def timeless(row: dict) -> dict:
    return {name: value for name, value in row.items() if not name.startswith("seconds_")}


@pytest.mark.parametrize("overlap", [False, True])
def test_a_runner_samples_with_the_restored_weights_and_comes_back_with_the_current_ones(
    build, tmp_path, monkeypatch, overlap
):
    overrides = (
        "policy.temperature={initial: 1.0, factor: 0.8, floor: 0.5}",
        f"training.overlap={str(overlap).lower()}",
    )
    config = tiny_config(*overrides)
    alone = build(config)
    rows = [metrics_row(alone.train(), None, 1.0)]
    path = save_checkpoint(alone, tmp_path, 1, keep=1)

    remote = build(tiny_config(*overrides, "env_runners.count=1"))
    # The runner is busy, and a weight sync waits behind that, as after a build on a slow machine.
    group = remote.env_runner_group
    group.foreach_env_runner_async(lambda runner: time.sleep(3.0), tag="busy")
    group.sync_weights(from_worker_or_learner_group=remote.learner_group, inference_only=True)
    remote.restore_from_path(str(path / "algorithm"))
    source = alone.env_runner.module if overlap else remote.learner_group._learner.module[DEFAULT_MODULE_ID]
    expected = source.get_state()
    (of_runner,) = group.foreach_env_runner(lambda runner: runner.module.get_state(), local_env_runner=False)
    assert expected.keys() == of_runner.keys()
    assert all(np.array_equal(expected[name], of_runner[name]) for name in expected)
    assert float(of_runner["network.temperature"]) == pytest.approx(1.0 if overlap else 0.8)

    # The only runner dies; the iterations are nevertheless those of the algorithm that samples by itself.
    theirs = [metrics_row(alone.train(), rows[0], 1.0) for _ in range(2)]
    monkeypatch.setattr(sampling, "sample_chunk", deadly({1: str(tmp_path / "dead")}))
    ours = [metrics_row(remote.train(), rows[0], 1.0) for _ in range(2)]
    assert (tmp_path / "dead").exists()
    assert [timeless(row) for row in theirs] == [timeless(row) for row in ours]
    assert remote.episodes_started == alone.episodes_started == 18


def test_bad_input_in_an_episode_is_raised_as_such(build):
    """Some of these problems have nothing to decide, which nobody could know before they are drawn."""
    algorithm = build(
        tiny_config(
            "problems.families=[{family: anisotropic_diffusion_fd, size: [4, 14]}]",
            "environment.max_coarse=60",
        )
    )
    with pytest.raises(InputError, match=r"needs more than environment\.max_coarse = 60; take larger sizes"):
        algorithm.train()


def test_sampling_gives_up_when_nobody_answers(monkeypatch):
    class Dead:
        """A group all of whose runners are gone for good."""

        def num_remote_workers(self):
            return 2

        def healthy_worker_ids(self):
            return []

        def fetch_ready_async_reqs(self, tags, timeout_seconds):
            return []

    monkeypatch.setattr(sampling, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(sampling, "RESTORE_SECONDS", 0.05)
    attempts: list[int] = []
    with pytest.raises(RunStopped, match="no env runner has been alive for 0 s, 2 are lost; see that nodes"):
        Sampling(Dead(), range(4), 2, 1.0).finish(lambda: attempts.append(1))  # type: ignore[arg-type]
    assert len(attempts) >= 2


def gradients(algorithm) -> list[dict[str, np.ndarray]]:
    """Of every learner's last update, by parameter, after the clip."""

    def of(learner):
        network = learner.module[DEFAULT_MODULE_ID].unwrapped().network
        return {name: p.grad.numpy().copy() for name, p in network.named_parameters() if p.grad is not None}

    return [result.get() for result in algorithm.learner_group.foreach_learner(of)]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        (
            "training.algorithm=reinforce",
            "training.baseline.warm_up=2",
            "entropy={form: softmax_over_edges, target: 0.5, rate: 1.0}",
            "policy.prior=false",
            "policy.recipes=[sa/jacobi/evolution]",
        ),
    ],
    ids=["ppo", "reinforce"],
)
def test_two_learners_update_as_one(build, overrides):
    """Every episode is one step here, so a minibatch is all of a shard, and the union of both is all of the batch."""
    common = ("seed=2", "environment.max_levels=2", "training.epochs=1", "training.rollouts_per_problem=3", *overrides)
    one = build(tiny_config(*common, "training.minibatch_graphs=6"))
    two = build(tiny_config(*common, "training.minibatch_graphs=3", "learner.count=2"))
    sizes = []
    original = two.learner_group.update

    def update(*, episodes_refs, **kwargs):
        shards = ray.get(episodes_refs)
        sizes.append([sum(e.get_observations(0).num_nodes for e in shard) for shard in shards])
        assert [len(shard) for shard in shards] == [3, 3]
        return original(episodes_refs=episodes_refs, **kwargs)

    two.learner_group.update = update
    expected, row = (metrics_row(algorithm.train(), None, 1.0) for algorithm in (one, two))
    assert sizes and sizes[0][0] != sizes[0][1]
    assert all(np.isfinite(value) for value in row.values())
    for name, value in timeless(expected).items():
        assert row[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    (whole,), shared = gradients(one), gradients(two)
    scale = max(np.abs(gradient).max() for gradient in whole.values())
    assert scale > 0.0 and len(shared) == 2
    for gradient in shared:  # that of the union of both minibatches, in either learner
        assert gradient.keys() == whole.keys()
        for name, value in whole.items():
            assert np.abs(gradient[name] - value).max() <= 1e-5 * scale, name
    theirs, ours = (algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID] for algorithm in (one, two))
    for name, value in theirs.items():
        assert np.asarray(ours[name]) == pytest.approx(np.asarray(value), abs=2e-4), name
    more = metrics_row(two.train(), row, 1.0)
    again = metrics_row(one.train(), expected, 1.0)
    assert more["entropy_coefficient"] == pytest.approx(again["entropy_coefficient"], rel=1e-4)
    assert (more["entropy_coefficient"] < 0.02) == bool(overrides)
    assert all(np.isfinite(value) for value in more.values()) and more["episodes"] == 12

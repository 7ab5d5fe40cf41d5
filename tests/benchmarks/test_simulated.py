"""Simulated environments: real data, told costs; and the algorithms that the benchmarks run."""

from __future__ import annotations

import time

import numpy as np
import pytest
import ray

from benchmarks import cluster
from benchmarks.algorithms import IdleLearner, TimedLearner, build, iterate, local_ray
from benchmarks.overhead import bare_in_runner, bare_inference, bare_loop
from benchmarks.saturation import sample_and_weigh
from benchmarks.simulated import SLEEP, SPIN, SimulatedEnv, SimulatedEnvRunner, SimulatedPool, record_episode
from tests.environment.tiny import tiny_config


@pytest.fixture(scope="module")
def any_ray():
    """A Ray of this module's own, unless another test has one; RLlib would start one itself, and leave it running."""
    if ray.is_initialized():
        yield
    else:
        with local_ray(cpus=1):
            yield


@pytest.fixture(scope="module")
def recording():
    return record_episode(tiny_config())


def test_every_episode_has_arrays_of_its_own(recording):
    one, other = (SimulatedEnv(recording, 0.0, SPIN) for _ in range(2))
    assert not np.shares_memory(one.reset()[0].edge_features, other.reset()[0].edge_features)
    while True:
        mine, theirs = one.step(None), other.step(None)  # type: ignore[arg-type]
        assert np.array_equal(mine[0].node_features, theirs[0].node_features)
        assert not np.shares_memory(mine[0].node_features, theirs[0].node_features)
        assert not np.shares_memory(mine[4]["credit"], theirs[4]["credit"])
        if mine[2]:
            break
    assert mine[4]["end"] == recording.results[-1][4]["end"] and len(mine[0].node_features) == 1


@pytest.mark.parametrize(("mode", "clock"), [(SPIN, time.thread_time), (SLEEP, time.perf_counter)])
def test_a_step_takes_at_least_what_it_was_told(recording, mode, clock):
    env = SimulatedEnv(recording, 0.02, mode)
    env.reset()
    start, cpu = clock(), time.thread_time()
    env.step(None)  # type: ignore[arg-type]
    assert clock() - start >= 0.02
    assert (time.thread_time() - cpu >= 0.02) == (mode == SPIN)


def test_without_runners_or_learning_the_algorithm_samples_what_the_bare_loop_does(any_ray, recording):
    config = tiny_config("training.episodes_per_iteration=6", "env_runners.episodes_per_chunk=3")
    algorithm = build(config, IdleLearner, SimulatedEnvRunner, {"seconds": 0.001, "mode": SLEEP})
    try:
        before = algorithm.learner_group.get_weights()
        done = iterate(algorithm)
        after = algorithm.learner_group.get_weights()
        pool = SimulatedPool(config, 0.001, SLEEP)
        bare = bare_loop(pool, bare_inference(config, algorithm.env_runner), episodes=6, chunk=3)
        assert bare_in_runner(algorithm.env_runner, episodes=6)["steps"] == bare["steps"]
    finally:
        algorithm.stop()
    assert done.episodes == 6 and done.steps == bare["steps"] == 6 * len(recording.results)
    assert done.seconds >= 0.001 * done.steps and bare["seconds"] >= 0.001 * bare["steps"]
    for module, weights in before.items():
        assert all(np.array_equal(after[module][name], value) for name, value in weights.items())


def test_the_timed_learner_learns_and_knows_how_long_it_took(any_ray):
    algorithm = build(tiny_config(), TimedLearner)
    try:
        count = len(TimedLearner.updates)
        done = iterate(algorithm)
        sampled = sample_and_weigh(algorithm.env_runner, 0, 2)
    finally:
        algorithm.stop()
    ((wall, cpu),) = TimedLearner.updates[count:]
    assert 0 < wall < done.seconds and cpu > 0
    assert sampled["sampling_seconds"] > 0 and sampled["episode_bytes"] > 10_000


def test_cluster_figures_compare_with_runners_that_only_wait():
    def row(rate):
        return {"steps_per_second": rate, "driver_busy": 0.1, "cores_busy": 1.0}

    figures = cluster.summarise([{"1": row(20.0), "4": row(72.0)}], [1, 4], step=0.05)
    assert figures["4"]["share_of_ideal"]["median"] == pytest.approx(0.9)
    assert figures["1"]["share_of_ideal"]["median"] == 1.0

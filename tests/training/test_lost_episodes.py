"""Chunks that hang, and chunks that runners die over: the culprit is found and dropped, the others come whole."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from rllib_psparsity.training import sampling
from rllib_psparsity.training.sampling import DEATHS, Sampling
from tests.environment.tiny import tiny_config
from tests.training.runners import local_runner, same_episode


class Clockwork:
    """Two runners of a group and the time, moved by what is asked of them; a second passes with every look.

    Parameters
    ----------
    hang, kill : episodes that hang, and that their runner dies of
    deaths : how many runners die by themselves over the very first chunk they are given
    """

    def __init__(self, runner: Any, hang: set[int], kill: set[int], deaths: int = 0) -> None:
        self.runner, self.hang, self.kill, self.deaths = runner, hang, kill, deaths
        self.now = 0.0
        self.queues: dict[int, list[Any]] = {1: [], 2: []}
        self.healthy = {1, 2}
        self.ended: list[tuple[int, float]] = []

    def num_remote_workers(self) -> int:
        return 2

    def healthy_worker_ids(self) -> list[int]:
        return sorted(self.healthy)

    def foreach_env_runner_async(self, call: Any, tag: str, remote_worker_ids: list[int]) -> int:
        self.queues[remote_worker_ids[0]].append(call)
        return 1

    def fetch_ready_async_reqs(self, tags: str, timeout_seconds: float) -> list[tuple[int, Any]]:
        self.now += 1.0
        ready = []
        for worker in sorted(self.healthy):
            indices = set(self.queues[worker][0].keywords["indices"]) if self.queues[worker] else set()
            if indices & self.kill:
                self.lose(worker)
            elif indices and self.deaths:
                self.deaths -= 1
                self.lose(worker)
            elif indices and not indices & self.hang:
                ready.append((worker, self.queues[worker].pop(0)(self.runner)))
        return ready

    def lose(self, worker: int) -> None:
        self.healthy.discard(worker)
        self.queues[worker].clear()

    def start_anew(self, worker: int) -> None:
        self.ended.append((worker, self.now))
        self.lose(worker)

    def restore(self) -> None:
        self.healthy = {1, 2}


@pytest.fixture(scope="module")
def runner():
    return local_runner(tiny_config())


@pytest.fixture(scope="module")
def expected(runner):
    return runner.sample(indices=range(12))


@pytest.mark.parametrize(
    ("hang", "kill", "deaths", "ended"),
    [
        (set(), set(), 0, 0),
        ({4}, set(), 0, 2),  # once with its chunk, once alone
        ({4, 5}, set(), 0, 3),
        (set(), {0}, 0, 0),  # now and then one dies while the other is restored
        ({11}, {3}, 0, 2),
        (set(), set(), DEATHS - 1, 0),  # nodes that left: nothing is blamed on the episodes
    ],
)
def test_culprits_are_dropped_and_all_others_come_once(runner, expected, monkeypatch, hang, kill, deaths, ended):
    group = Clockwork(runner, hang, kill, deaths)
    monkeypatch.setattr(sampling, "time", SimpleNamespace(monotonic=lambda: group.now))
    task = Sampling(group, range(12), 3, 1.0, episode_timeout=10.0)  # type: ignore[arg-type]
    task.begin()
    group.now += 1000.0  # the learner's: it is held against nobody
    sampled = task.finish(group.restore)
    assert {episode.index for episode in sampled.dropped} == hang | kill
    reasons = {episode.index: episode.reason for episode in sampled.dropped}
    assert all(reasons[index] == "it took more than 10 s" for index in hang)
    assert all(reasons[index] == f"{DEATHS} env runners died over it" for index in kill)
    rest = [episode for episode in expected if int(episode.id_) not in hang | kill]
    assert all(same_episode(a, b) for a, b in zip(sampled.episodes, rest, strict=True))
    assert len(group.ended) == ended
    if ended:
        assert 1030.0 < group.ended[0][1] < 1040.0, "ten seconds for each of three, from when they are waited for"


def test_a_runner_that_hangs_is_ended_and_comes_back(build):
    """With Ray: a process that answers to nothing any more."""
    algorithm = build(tiny_config("env_runners.count=1"))
    group = algorithm.env_runner_group
    algorithm.train()
    group.foreach_env_runner_async(lambda runner: time.sleep(100_000.0), tag="hung")
    group.start_anew(1)
    assert group.num_healthy_remote_workers() == 0
    deadline = time.monotonic() + 180.0
    while not group.num_healthy_remote_workers():
        assert time.monotonic() < deadline
        algorithm.restore_env_runners(group)
    algorithm.train()
    assert algorithm.episodes_started == 12 and algorithm.dropped == []

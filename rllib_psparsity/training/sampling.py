"""Chunks of episodes, handed to whichever env runner is free."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.training.env_runner import Chunk, sample_chunk

TAG = "chunks"
IN_FLIGHT = 2
"""Chunks that a runner is given at a time, so that it never waits for the driver."""
AHEAD = 0.75
"""Share of the chunks that is handed out before the driver turns to something else; the others even out the runners."""
POLL_SECONDS = 0.005
"""RLlib waits as long as this for all that is asked for, before it hands over what is ready."""
PATIENCE_SECONDS = 300.0
"""How long no chunk may come back before sampling gives up."""
RESTORE_SECONDS = 2.0
"""Pause between two attempts to bring lost runners back."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Episodes in the order of their numbers, the runners' metrics (one a chunk), and how long a runner was busy with
    them, in seconds on average."""

    episodes: list[SingleAgentEpisode]
    metrics: list[dict[str, Any]]
    seconds: float


class Sampling:
    """Episodes of given numbers in the making, whoever runs them, with the weights that the runners have.

    A chunk whose runner was lost is given to another one, so an episode is neither missed nor counted twice.

    Parameters
    ----------
    group : the algorithm's env runners; with none that are remote, the local one samples, in `finish`
    indices : consecutive lifetime numbers of the episodes
    chunk_size : episodes stepped together
    difficulty : of the curriculum, in [0, 1]
    """

    def __init__(self, group: EnvRunnerGroup, indices: Sequence[int], chunk_size: int, difficulty: float) -> None:
        self._group = group
        self._difficulty = difficulty
        self._chunks = [list(indices[start : start + chunk_size]) for start in range(0, len(indices), chunk_size)]
        self._results: dict[int, Chunk] = {}
        self._waiting = deque(range(len(self._chunks)))
        self._in_flight: dict[int, list[int]] = defaultdict(list)

    def begin(self) -> None:
        """Give the remote runners work for a while, in which the driver does something else."""
        if self._group.num_remote_workers():
            self._hand_out(math.ceil(AHEAD * len(self._chunks) / self._group.num_remote_workers()))

    def finish(self, restore: Callable[[], Any]) -> Sampled:
        """Wait for all of the episodes; `restore` is called now and then while runners are missing.

        What an episode raised is raised here.
        """
        if self._group.num_remote_workers() == 0:
            for k, indices in enumerate(self._chunks):
                self._take(sample_chunk(self._group.local_env_runner, k, indices, self._difficulty))
        else:
            self._gather(restore)
        ordered = [self._results[k] for k in range(len(self._chunks))]
        return Sampled(
            [episode for chunk in ordered for episode in chunk.episodes],
            [chunk.metrics for chunk in ordered],
            sum(chunk.seconds for chunk in ordered) / max(1, self._group.num_remote_workers()),
        )

    def _gather(self, restore: Callable[[], Any]) -> None:
        group = self._group
        last_progress = last_restore = time.monotonic()
        while len(self._results) < len(self._chunks):
            healthy = self._hand_out(IN_FLIGHT)
            for worker, chunk in group.fetch_ready_async_reqs(tags=TAG, timeout_seconds=POLL_SECONDS):
                if chunk.number not in self._in_flight[worker]:
                    continue  # a late answer of a runner that was taken for lost: its chunk was given away
                self._in_flight[worker].remove(chunk.number)
                self._take(chunk)
                last_progress = time.monotonic()
            now = time.monotonic()
            if now - last_progress > PATIENCE_SECONDS:
                raise RuntimeError(
                    f"no env runner has returned an episode for {PATIENCE_SECONDS:.0f} s; {healthy} of "
                    f"{group.num_remote_workers()} answer"
                )
            if healthy < group.num_remote_workers() and now - last_restore > RESTORE_SECONDS:
                restore()
                last_restore = now

    def _hand_out(self, most: int) -> int:
        """Chunks to the runners that are well, up to so many each; how many of them there are."""
        waiting, in_flight = self._waiting, self._in_flight
        healthy = set(self._group.healthy_worker_ids())
        for worker in [worker for worker in in_flight if worker not in healthy]:
            waiting.extendleft(reversed(in_flight.pop(worker)))
        for depth in range(most):
            for worker in sorted(healthy):
                # A runner has its next chunk at hand, unless the last ones are to be shared out.
                if len(in_flight[worker]) != depth or len(waiting) <= (len(healthy) if depth else 0):
                    continue
                k = waiting.popleft()
                call = partial(sample_chunk, number=k, indices=self._chunks[k], difficulty=self._difficulty)
                if self._group.foreach_env_runner_async(call, tag=TAG, remote_worker_ids=[worker]):
                    in_flight[worker].append(k)
                else:  # still answering something else
                    waiting.appendleft(k)
        return len(healthy)

    def _take(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            raise chunk.error
        self._results[chunk.number] = chunk


def forget(group: EnvRunnerGroup) -> None:
    """Wait until the runners have done all they were asked for, and drop their chunks."""
    group.foreach_env_runner(_wait, local_env_runner=False)
    group.fetch_ready_async_reqs(tags=TAG)


def _wait(runner: Any) -> None:
    """Answered once everything asked for before has been done."""

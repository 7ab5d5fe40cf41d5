"""Chunks of episodes, handed to whichever env runner is free."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.errors import RunStopped
from rllib_psparsity.training.env_runner import Chunk, DroppedEpisode, sample_chunk
from rllib_psparsity.training.env_runner_group import SparsifyEnvRunnerGroup

TAG = "chunks"
IN_FLIGHT = 2
"""Chunks that a runner is given at a time, so that it never waits for the driver."""
AHEAD = 0.75
"""Share of the chunks that is handed out before the driver turns to something else; the others even out the runners."""
POLL_SECONDS = 0.005
"""RLlib waits as long as this for all that is asked for, before it hands over what is ready."""
PATIENCE_SECONDS = 300.0
"""How long all runners may be lost before sampling gives up."""
RESTORE_SECONDS = 2.0
"""Pause between two attempts to bring lost runners back."""
DEATHS = 3
"""So many runners have to die over a chunk before it is held to be the cause."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Episodes in the order of their numbers, those that were dropped, the runners' metrics (one a chunk), how long a
    runner was busy with them, in seconds on average, and how many were there before anyone waited for them."""

    episodes: list[SingleAgentEpisode]
    dropped: list[DroppedEpisode]
    metrics: list[dict[str, Any]]
    seconds: float
    queued: int


class Sampling:
    """Episodes of given numbers in the making, whoever runs them, with the weights that the runners have.

    A chunk whose runner was lost is given to another one, so an episode is neither missed nor counted twice. A chunk
    that hangs, or that runners die over, comes back as chunks of one episode each, and such a one is dropped if that
    happens again: the others are found whole, since an episode is the same in whatever chunk.

    Parameters
    ----------
    group : the algorithm's env runners; with none that are remote, the local one samples, in `finish`, and may hang
    indices : consecutive lifetime numbers of the episodes
    chunk_size : episodes stepped together
    difficulty : of the curriculum, in [0, 1]
    episode_timeout : seconds for each episode of a chunk, while the driver waits for it
    """

    def __init__(
        self,
        group: SparsifyEnvRunnerGroup,
        indices: Sequence[int],
        chunk_size: int,
        difficulty: float,
        episode_timeout: float = math.inf,
    ) -> None:
        self._group = group
        self._difficulty = difficulty
        self._timeout = episode_timeout
        self._chunks = [list(indices[start : start + chunk_size]) for start in range(0, len(indices), chunk_size)]
        self._results: dict[int, Chunk] = {}
        self._waiting = deque(range(len(self._chunks)))
        # By runner: the chunks it was given, the one it works on first, and when it began or was first waited for.
        self._in_flight: dict[int, list[int]] = defaultdict(list)
        self._since: dict[int, float] = {}
        self._deaths: Counter[int] = Counter()
        self._queued: int | None = None

    def begin(self) -> None:
        """Give the remote runners work for a while, in which the driver does something else."""
        if self._group.num_remote_workers():
            self._hand_out(math.ceil(AHEAD * len(self._chunks) / self._group.num_remote_workers()))

    def finish(self, restore: Callable[[], Any]) -> Sampled:
        """Wait for all of the episodes; `restore` is called now and then while runners are missing.

        What an episode raised is raised here. `RunStopped` if all runners are lost for long.
        """
        if self._group.num_remote_workers() == 0:
            for k, indices in enumerate(self._chunks):
                self._take(sample_chunk(self._group.local_env_runner, k, indices, self._difficulty))
        else:
            self._gather(restore)
        done = [self._results[k] for k in range(len(self._chunks))]
        return Sampled(
            sorted((episode for chunk in done for episode in chunk.episodes), key=lambda episode: int(episode.id_)),
            sorted((episode for chunk in done for episode in chunk.dropped), key=lambda episode: episode.index),
            [chunk.metrics for chunk in done if chunk.metrics],
            sum(chunk.seconds for chunk in done) / max(1, self._group.num_remote_workers()),
            self._queued or 0,
        )

    def _gather(self, restore: Callable[[], Any]) -> None:
        group = self._group
        last_alive = last_restore = time.monotonic()
        # What was handed out ahead may be done and only has to be fetched: nobody is late before it was waited for.
        self._since = dict.fromkeys(self._in_flight, last_alive)
        while len(self._results) < len(self._chunks):
            self._hand_out(IN_FLIGHT)
            for worker, chunk in group.fetch_ready_async_reqs(tags=TAG, timeout_seconds=POLL_SECONDS):
                if chunk.number not in self._in_flight[worker]:
                    continue  # a late answer of a runner that was taken for lost: its chunk was given away
                self._in_flight[worker].remove(chunk.number)
                self._since[worker] = time.monotonic()
                self._take(chunk)
            if self._queued is None:
                self._queued = sum(len(chunk.episodes) for chunk in self._results.values())
            now = time.monotonic()
            self._end_the_hung(now)
            # Before they are restored: a runner that comes back knows nothing of what it was asked for.
            healthy = self._take_back_from_the_lost()
            if healthy:
                last_alive = now
            if now - last_alive > PATIENCE_SECONDS:
                raise RunStopped(
                    f"no env runner has been alive for {PATIENCE_SECONDS:.0f} s, {group.num_remote_workers()} are "
                    "lost; see that nodes with free CPUs are up, then resume"
                )
            if len(healthy) < group.num_remote_workers() and now - last_restore > RESTORE_SECONDS:
                restore()
                last_restore = time.monotonic()

    def _hand_out(self, most: int) -> None:
        """Chunks to the runners that are well, up to so many each."""
        healthy = self._take_back_from_the_lost()
        waiting, in_flight = self._waiting, self._in_flight
        for depth in range(most):
            for worker in sorted(healthy):
                # A runner has its next chunk at hand, unless the last ones are to be shared out.
                if len(in_flight[worker]) != depth or len(waiting) <= (len(healthy) if depth else 0):
                    continue
                k = waiting.popleft()
                call = partial(sample_chunk, number=k, indices=self._chunks[k], difficulty=self._difficulty)
                if self._group.foreach_env_runner_async(call, tag=TAG, remote_worker_ids=[worker]):
                    if depth == 0:
                        self._since[worker] = time.monotonic()
                    in_flight[worker].append(k)
                else:  # still answering something else
                    waiting.appendleft(k)

    def _take_back_from_the_lost(self) -> set[int]:
        """The chunks of runners that died, presumably over the first one each; returns the runners that are well."""
        healthy = set(self._group.healthy_worker_ids())
        for worker in [worker for worker in self._in_flight if worker not in healthy]:
            chunks = self._in_flight.pop(worker)
            self._waiting.extendleft(reversed(chunks))
            if chunks:
                self._deaths[chunks[0]] += 1
                if self._deaths[chunks[0]] >= DEATHS:
                    self._waiting.popleft()
                    self._suspect(chunks[0], f"{DEATHS} env runners died over it")
        return healthy

    def _end_the_hung(self, now: float) -> None:
        """Start those runners anew that need too long for a chunk."""
        for worker, (first, *others) in [(worker, chunks) for worker, chunks in self._in_flight.items() if chunks]:
            limit = self._timeout * len(self._chunks[first])
            if now - self._since[worker] > limit:
                self._group.start_anew(worker)
                del self._in_flight[worker]
                self._waiting.extendleft(reversed(others))
                self._suspect(first, f"it took more than {limit:g} s")

    def _suspect(self, k: int, reason: str) -> None:
        """Something is wrong with an episode of chunk k: find out with which, or drop it."""
        indices = self._chunks[k]
        dropped = [DroppedEpisode(indices[0], reason)] if len(indices) == 1 else []
        self._results[k] = Chunk(k, [], {}, 0.0, dropped)
        if not dropped:
            self._waiting.extend(range(len(self._chunks), len(self._chunks) + len(indices)))
            self._chunks.extend([index] for index in indices)

    def _take(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            raise chunk.error
        self._results[chunk.number] = chunk


def forget(group: SparsifyEnvRunnerGroup) -> None:
    """Wait until the runners have done all they were asked for, and drop their chunks."""
    group.foreach_env_runner(_wait, local_env_runner=False)
    group.fetch_ready_async_reqs(tags=TAG)


def _wait(runner: Any) -> None:
    """Answered once everything asked for before has been done."""

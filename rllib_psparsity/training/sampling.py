"""Chunks of episodes, handed to whichever env runner is free."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.training.env_runner import sample_chunk

TAG = "chunks"
IN_FLIGHT = 2
"""Chunks that a runner is given at a time, so that it never waits for the driver."""
POLL_SECONDS = 0.005
"""RLlib waits as long as this for all that is asked for, before it hands over what is ready."""
PATIENCE_SECONDS = 300.0
"""How long no chunk may come back before sampling gives up."""
RESTORE_SECONDS = 2.0
"""Pause between two attempts to bring lost runners back."""


def sample_episodes(
    group: EnvRunnerGroup,
    indices: Sequence[int],
    chunk_size: int,
    difficulty: float,
    restore: Callable[[], Any],
) -> tuple[list[SingleAgentEpisode], list[dict[str, Any]]]:
    """All episodes of the given indices, in their order, whoever ran them.

    A chunk whose runner was lost is given to another one, so an episode is neither missed nor counted twice.

    Parameters
    ----------
    group : the algorithm's env runners; with none that are remote, the local one samples
    indices : consecutive lifetime numbers of the episodes
    chunk_size : episodes stepped together
    difficulty : of the curriculum, in [0, 1]
    restore : called now and then while runners are missing

    Returns
    -------
    The episodes, and the runners' metrics, one a chunk. What an episode raised is raised here.
    """
    chunks = [list(indices[start : start + chunk_size]) for start in range(0, len(indices), chunk_size)]
    if group.num_remote_workers() == 0:
        runner = group.local_env_runner
        results = {k: _checked(*sample_chunk(runner, k, chunk, difficulty)[1:]) for k, chunk in enumerate(chunks)}
    else:
        results = _sample_remotely(group, chunks, difficulty, restore)
    ordered = [results[k] for k in range(len(chunks))]
    return [episode for episodes, _ in ordered for episode in episodes], [metrics for _, metrics in ordered]


def _sample_remotely(
    group: EnvRunnerGroup, chunks: list[list[int]], difficulty: float, restore: Callable[[], Any]
) -> dict[int, tuple[list[SingleAgentEpisode], dict[str, Any]]]:
    results: dict[int, tuple[list[SingleAgentEpisode], dict[str, Any]]] = {}
    waiting = deque(range(len(chunks)))
    in_flight: dict[int, list[int]] = defaultdict(list)
    last_progress = last_restore = time.monotonic()
    while len(results) < len(chunks):
        healthy = set(group.healthy_worker_ids())
        for worker in [worker for worker in in_flight if worker not in healthy]:
            waiting.extendleft(reversed(in_flight.pop(worker)))
        for depth in range(IN_FLIGHT):
            for worker in sorted(healthy):
                # A runner has its next chunk at hand, unless the last ones are to be shared out.
                if len(in_flight[worker]) != depth or len(waiting) <= (len(healthy) if depth else 0):
                    continue
                k = waiting.popleft()
                call = partial(sample_chunk, chunk=k, indices=chunks[k], difficulty=difficulty)
                if group.foreach_env_runner_async(call, tag=TAG, remote_worker_ids=[worker]):
                    in_flight[worker].append(k)
                else:  # still answering something else
                    waiting.appendleft(k)
        for worker, (k, episodes, metrics) in group.fetch_ready_async_reqs(tags=TAG, timeout_seconds=POLL_SECONDS):
            if k not in in_flight[worker]:
                continue  # a late answer of a runner that was taken for lost: its chunk was given away
            in_flight[worker].remove(k)
            results[k] = _checked(episodes, metrics)
            last_progress = time.monotonic()
        now = time.monotonic()
        if now - last_progress > PATIENCE_SECONDS:
            raise RuntimeError(
                f"no env runner has returned an episode for {PATIENCE_SECONDS:.0f} s; {len(healthy)} of "
                f"{group.num_remote_workers()} answer"
            )
        if len(healthy) < group.num_remote_workers() and now - last_restore > RESTORE_SECONDS:
            restore()
            last_restore = now
    return results


def _checked(
    episodes: list[SingleAgentEpisode] | Exception, metrics: dict[str, Any]
) -> tuple[list[SingleAgentEpisode], dict[str, Any]]:
    if isinstance(episodes, Exception):
        raise episodes
    return episodes, metrics

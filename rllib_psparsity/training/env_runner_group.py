"""Env runners as Ray actors: in processes that never import torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.rllib.algorithms import algorithm
from ray.rllib.env.env_runner_group import EnvRunnerGroup

NO_TORCH = "RLLIB_TEST_NO_TORCH_IMPORT"
"""RLlib, which imports torch wherever it is installed, does without in a process with this variable."""


class SparsifyEnvRunnerGroup(EnvRunnerGroup):
    """RLlib's group, with actors that are some 190 MB smaller and start faster for want of torch.

    A policy that needs torch for inference imports it all the same: only RLlib does without.
    """

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        config = config.copy(copy_frozen=False)
        config._learner_class = None  # runners have no use for it, and it would bring torch along
        config.freeze()
        super().__init__(config=config, **kwargs)

    def _setup(self, **kwargs: Any) -> None:
        # RLlib has no setting for an actor's environment; a restarted actor has that of the first one.
        self._remote_args["runtime_env"] = {"env_vars": {NO_TORCH: "1"}}
        super()._setup(**kwargs)

    def start_anew(self, worker_id: int) -> None:
        """End the process of a runner that does not answer any more; Ray starts another one in its place.

        It counts as lost, with all that it was asked for, until `Algorithm.restore_env_runners` finds it alive.
        """
        ray.kill(self._worker_manager.actors()[worker_id], no_restart=False)
        self._worker_manager.set_actor_state(worker_id, healthy=False)


@contextmanager
def own_env_runner_group() -> Iterator[None]:
    """Algorithms that are set up inside have a `SparsifyEnvRunnerGroup`; RLlib has no setting for the group's class."""
    algorithm.EnvRunnerGroup = SparsifyEnvRunnerGroup
    try:
        yield
    finally:
        algorithm.EnvRunnerGroup = EnvRunnerGroup

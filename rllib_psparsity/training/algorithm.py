"""The Algorithm: sample whole episodes, learn from whole graphs, and keep everything that a resume needs."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.rllib.algorithms.ppo.ppo import PPO
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError, RunStopped
from rllib_psparsity.problems.curriculum import Curriculum
from rllib_psparsity.training.env_runner import DroppedEpisode, SparsifyEnvRunner
from rllib_psparsity.training.env_runner_group import own_env_runner_group
from rllib_psparsity.training.inference_module import NETWORK
from rllib_psparsity.training.moving_baseline import MovingBaseline
from rllib_psparsity.training.prometheus import QUEUE
from rllib_psparsity.training.record import EPISODES, episode_figures
from rllib_psparsity.training.reward_normaliser import RewardNormaliser
from rllib_psparsity.training.rollouts import count_graphs, problem_of
from rllib_psparsity.training.sampling import Sampling, forget
from rllib_psparsity.training.schedules import ITERATION

RUN_STATE = "run_state"
RUN_STATE_ENTRIES = (
    "episodes_started",
    "updates",
    "sampling_weights",
    "curriculum",
    "reward_normaliser",
    "baseline",
)
RESTORE_SECONDS = 60.0
"""How long a restore waits for the env runners to take their weights over."""


class SparsifyPPO(PPO):
    """PPO over hierarchies; configured by `SparsifyPPOConfig`.

    Beside RLlib's state, a checkpoint holds the lifetime counters of episodes and updates, the weights that the env
    runners sample with, the curriculum, the reward normaliser and REINFORCE's baseline.

    Attributes
    ----------
    last_update : number of the update after which nothing is sampled ahead; `training.iterations` at first
    dropped : the last iteration's episodes that were not learned from
    """

    @classmethod
    def get_default_config(cls) -> Any:
        from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig

        return SparsifyPPOConfig()

    def setup(self, config: Any) -> None:
        with own_env_runner_group():
            super().setup(config)
        self._sync_runners()  # RLlib's build leaves the local one out, which those that come back start from
        run: Config = self.config.run_config
        self.episodes_started = 0
        self.updates = 0
        self.last_update = run.training.iterations
        self.dropped: list[DroppedEpisode] = []
        self._sampling: Sampling | None = None
        self.curriculum = Curriculum(run.problems.curriculum)
        self.reward_normaliser = RewardNormaliser() if run.reward.normalise else None
        reinforce = run.training.algorithm == "reinforce"
        self.baseline = MovingBaseline(run.training.baseline, run.training.gamma) if reinforce else None

    def training_step(self) -> None:
        """Gather an iteration's episodes and learn from them.

        With `training.overlap` the runners sample the next iteration's while the learner works: these follow the policy
        of one update before, whose weights the local env runner keeps for runners that are lost, and for checkpoints.
        """
        run: Config = self.config.run_config
        group: Any = self.env_runner_group
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            sampling, self._sampling = self._sampling or self._next_sampling(), None
            sampled = sampling.finish(lambda: self.restore_env_runners(group))
            self.metrics.aggregate(sampled.metrics, key=ENV_RUNNER_RESULTS)
        episodes, self.dropped = sampled.episodes, sampled.dropped
        if self.dropped and len(episodes) < max(1, run.learner.count):
            raise RunStopped(
                f"{len(self.dropped)} episodes of iteration {self.updates + 1} were dropped, the first one because: "
                f"{self.dropped[0].reason}; what is left cannot be learned from"
            )
        figures = episode_figures(episodes) | {
            "difficulty": self.curriculum.difficulty,
            "seconds_sampling": sampled.seconds,
            "dropped_episodes": float(len(self.dropped)),
            QUEUE: float(sampled.queued),
        }
        self.episodes_started += len(episodes) + len(self.dropped)
        self.updates += 1
        self.curriculum.update(figures["reward_mean"])
        if run.training.overlap:
            self._sync_runners()
            if self.updates < self.last_update:
                self._sampling = self._next_sampling()
                self._sampling.begin()
        if self.reward_normaliser is not None:
            self.reward_normaliser(episodes)
        if self.baseline is not None:
            self.baseline(episodes)
        start = time.perf_counter()
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.metrics.aggregate(self._learn(episodes), key=LEARNER_RESULTS)
        figures["seconds_learning"] = time.perf_counter() - start
        self.metrics.log_dict(figures, key=EPISODES, window=1)
        if not run.training.overlap:
            self._sync_runners()

    def start_from(self, weights: dict[str, np.ndarray]) -> None:
        """Give the learners, and with them the env runners, these weights of the network, by its ``state_dict``.

        With `training.kickstart_coefficient` they are the teacher's too.
        """
        state = {NETWORK + name: array for name, array in weights.items()}
        learners: Any = self.learner_group
        learners.set_weights({DEFAULT_MODULE_ID: state})
        if self.config.run_config.training.kickstart_coefficient:
            learners.foreach_learner(lambda learner: learner.keep_teacher())
        self._sync_runners()

    def cleanup(self) -> None:
        super().cleanup()
        with suppress(OSError):  # Ray makes a directory in the user's home for every algorithm, and leaves it there
            Path(str(self.logdir)).rmdir()

    def _next_sampling(self) -> Sampling:
        run: Config = self.config.run_config
        first = self.episodes_started
        return Sampling(
            self.env_runner_group,  # type: ignore[arg-type] - RLlib declares as optional what a built algorithm has
            range(first, first + run.training.episodes_per_iteration),
            run.env_runners.episodes_per_chunk,
            self.curriculum.difficulty,
            run.faults.episode_timeout,
        )

    def _sync_runners(self) -> None:
        """The learner's weights to all env runners, the local one included."""
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)

    def _learn(self, episodes: list[SingleAgentEpisode]) -> list[dict[str, Any]]:
        training, learners = self.config.run_config.training, self.config.run_config.learner.count
        arguments: dict[str, Any] = {
            "minibatch_size": even_size(
                count_graphs(episodes, training.rollouts_per_problem), training.minibatch_graphs
            ),
            "num_epochs": training.epochs,
            "shuffle_batch_per_epoch": True,
            "timesteps": {
                NUM_ENV_STEPS_SAMPLED_LIFETIME: self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME)),
                ITERATION: self.updates,
            },
        }
        if learners < 2:
            # One shard has nothing to equalise, and the local learner takes the list as it is.
            episodes_or_refs = {"episodes": episodes} if learners == 0 else {"episodes_refs": [ray.put(episodes)]}
            return self.learner_group.update(**episodes_or_refs, **arguments)
        shards = balanced_shards(episodes, learners, training.rollouts_per_problem)
        graphs = [count_graphs(shard, training.rollouts_per_problem) for shard in shards]
        arguments["minibatch_size"] = min(even_size(count, training.minibatch_graphs) for count in graphs)
        # Learners that disagreed on the number of updates would wait for each other for ever.
        arguments["num_total_minibatches"] = math.ceil(training.epochs * max(graphs) / arguments["minibatch_size"])
        return self.learner_group.update(episodes_refs=[ray.put(shard) for shard in shards], **arguments)

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(RUN_STATE, components, not_components):
            state[RUN_STATE] = {
                "episodes_started": self.episodes_started,
                "updates": self.updates,
                "sampling_weights": self.env_runner.module.get_state(),
                "curriculum": self.curriculum.get_state(),
                "reward_normaliser": self.reward_normaliser and self.reward_normaliser.get_state(),
                "baseline": self.baseline and self.baseline.get_state(),
            }
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if RUN_STATE in state:
            run_state = state[RUN_STATE]
            missing = [name for name in RUN_STATE_ENTRIES if name not in run_state]
            if missing:
                raise InputError(
                    f"the checkpoint lacks {', '.join(missing)}, since an earlier version of rllib_psparsity wrote it; "
                    "resume it with that version, or start over with psparsity train"
                )
            self.episodes_started, self.updates = run_state["episodes_started"], run_state["updates"]
            self._restored_weights = run_state["sampling_weights"]
            self.curriculum.set_state(run_state["curriculum"])
            if self.reward_normaliser is not None and run_state["reward_normaliser"] is not None:
                self.reward_normaliser.set_state(run_state["reward_normaliser"])
            if self.baseline is not None:
                self.baseline.set_state(run_state["baseline"])

    def restore_from_path(self, path: Any, *args: Any, **kwargs: Any) -> None:
        """Restore, and have every env runner sample with the weights that the local one had.

        RLlib 2.60 gives the runners the learner's weights, and even that is dropped while the sync of the build is in
        flight, so that the first iteration would sample with the initial ones.
        """
        group: Any = self.env_runner_group
        self._sampling = None
        forget(group)
        super().restore_from_path(path, *args, **kwargs)
        group.foreach_env_runner(
            partial(SparsifyEnvRunner.take_weights, weights=self._restored_weights), timeout_seconds=RESTORE_SECONDS
        )


def even_size(count: int, most: int) -> int:
    """The size of equal minibatches of at most `most` items each. RLlib fills the last one up with items it had."""
    return math.ceil(count / math.ceil(count / most))


def balanced_shards(
    episodes: list[SingleAgentEpisode], count: int, rollouts: int = 1
) -> list[list[SingleAgentEpisode]]:
    """Whole episodes in `count` shards of nearly equal numbers of nodes, none of them empty.

    RLlib's own sharding cuts episodes to equal lengths, which would break the flow of credit from level to level. The
    `rollouts` of a problem stay together, since they are each other's baseline, unless there are too few problems.
    """
    if len(episodes) < count:
        raise RuntimeError(
            f"{len(episodes)} episodes cannot be shared by {count} learners; raise training.episodes_per_iteration"
        )
    groups = [list(group) for _, group in groupby(episodes, lambda episode: problem_of(episode, rollouts))]
    if len(groups) < count:
        groups = [[episode] for episode in episodes]
    nodes = [
        group[0].get_observations(0).num_nodes  # their finest graph, which the network sees once
        + sum(graph.num_nodes for episode in group for graph in episode.get_observations()[1:])
        for group in groups
    ]
    shards: list[list[SingleAgentEpisode]] = [[] for _ in range(count)]
    load = [0] * count
    for k in sorted(range(len(groups)), key=lambda k: -nodes[k]):
        lightest = load.index(min(load))
        shards[lightest].extend(groups[k])
        load[lightest] += nodes[k]
    return shards

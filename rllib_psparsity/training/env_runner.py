"""The EnvRunner: whole episodes by index, a chunk of them stepped together."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.environment.start import Starts
from rllib_psparsity.errors import InputError
from rllib_psparsity.training.heap import let_go_of_object_store, trim_heap
from rllib_psparsity.training.inference_module import InferenceModule, WeightsMissing
from rllib_psparsity.training.runner_connectors import RNGS

SAMPLING = 3
"""Spawn key of the generators that decisions are drawn with."""

NODES_PER_TRIM = 150_000
"""Nodes of all levels between two trims of memory: a trim takes some milliseconds, and page faults afterwards."""


class EnvPool:
    """As many environments as the largest chunk has needed, with the attributes that RLlib reads from a vector env.

    They share the starts of their episodes: the rollouts of a problem are side by side in a chunk.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._starts = Starts(config)
        self.envs = [SparsifyEnv(config, self._starts)]
        self.observation_space = self.single_observation_space = self.envs[0].observation_space
        self.action_space = self.single_action_space = self.envs[0].action_space
        self.num_envs = 1

    @property
    def unwrapped(self) -> EnvPool:
        return self

    def take(self, count: int) -> list[SparsifyEnv]:
        while len(self.envs) < count:
            self.envs.append(SparsifyEnv(self.config, self._starts))
        return self.envs[:count]

    def close(self) -> None:
        for env in self.envs:
            env.close()


class SparsifyEnvRunner(SingleAgentEnvRunner):
    """Samples episodes that the algorithm names by index.

    Problem, test vectors and draws of episode i follow from (seed, i), and the episodes of a chunk share every
    inference, so that a run gives the same episodes whoever samples the chunks, and after a resume. RLlib's own loop
    would need environments that run on after a sample, and would drop their unfinished episodes.

    Attributes
    ----------
    dropped : the episodes that the last `sample` left out

    Nothing here needs torch, nor does this module import it: it would be a third of a runner's memory.
    """

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        EnvRunner.__init__(self, config=config, **kwargs)  # the next class's own asks torch for a device
        self.spaces = kwargs.get("spaces") or {}
        if self.worker_index != 0 or self.config.num_env_runners == 0:  # 0 is the local one, beside remote ones
            self.make_env()
        self._env_to_module = self.config.build_env_to_module_connector(env=self.env, spaces=self.spaces)
        self._module_to_env = self.config.build_module_to_env_connector(env=self.env, spaces=self.spaces)
        self.make_module()
        self._weights_seq_no = self._untrimmed = 0
        self.dropped: list[DroppedEpisode] = []
        self._done_episodes_for_metrics: list[SingleAgentEpisode] = []
        self._ongoing_episodes_for_metrics: dict[str, list[SingleAgentEpisode]] = {}

    def make_env(self) -> None:
        self.env = EnvPool(self.config.run_config)  # type: ignore[assignment]
        self.num_envs = self.env.num_envs

    def make_module(self) -> None:
        self.module = InferenceModule(
            model_config={"policy": self.config.run_config.policy.model_dump(mode="json", by_alias=True)},
            inference_only=True,
        )

    def sample(
        self, *, indices: Sequence[int], difficulty: float = 1.0, explore: bool = True, **kwargs: Any
    ) -> list[SingleAgentEpisode]:
        """Run one whole episode per index, all together; returns them in the order of the indices.

        An episode whose environment raises, or pays what is not finite, is left out and noted in `dropped`. The others
        are what they would have been beside it.
        """
        seed, rollouts = self.config.run_config.seed, self.config.run_config.training.rollouts_per_problem
        envs = self.env.take(len(indices))
        rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SAMPLING, i))) for i in indices]
        episodes = [SingleAgentEpisode(id_=str(index)) for index in indices]
        self.dropped = []
        for env, index, episode in zip(envs, indices, episodes, strict=True):
            # Work per digit is measured in one rollout of every problem, where the reward is another.
            options = {"index": index // rollouts, "difficulty": difficulty, "solve": index % rollouts == 0}
            with self._dropping(index):
                graph, info = env.reset(options=options)
                episode.add_env_reset(observation=graph, infos=info)
        running = self._all_but_dropped(range(len(indices)), indices)
        while running:
            outputs = self._infer([episodes[k] for k in running], [rngs[k] for k in running], explore)
            actions = outputs.pop("actions")
            for position, k in enumerate(running):
                with self._dropping(indices[k]):
                    graph, reward, terminated, truncated, info = envs[k].step(actions[position])
                    if not (np.isfinite(reward) and np.isfinite(info["credit"]).all()):
                        raise FloatingPointError(f"the reward {reward} or its share of a node is not finite")
                    episodes[k].add_env_step(
                        observation=graph,
                        action=actions[position],
                        reward=reward,
                        infos=info,
                        terminated=terminated,
                        truncated=truncated,
                        extra_model_outputs={name: column[position] for name, column in outputs.items()},
                    )
                    if episodes[k].is_done:
                        envs[k].close()
            running = [k for k in self._all_but_dropped(running, indices) if not episodes[k].is_done]
        episodes = [episodes[k] for k in self._all_but_dropped(range(len(indices)), indices)]
        self._untrimmed += sum(graph.num_nodes for episode in episodes for graph in episode.get_observations())
        if self._untrimmed >= NODES_PER_TRIM:
            self._untrimmed = 0
            trim_heap()
            let_go_of_object_store()
        self._done_episodes_for_metrics.extend(episodes)
        self._increase_sampled_metrics(sum(len(episode) for episode in episodes), len(episodes))
        return episodes

    def take_weights(self, weights: dict[str, Any]) -> None:
        """Sample with these from now on, until newer ones come from the learner.

        RLlib counts the states of a learner, and would refuse the one that it last sent, older ones having come since.
        """
        self.module.set_state(weights)
        self._weights_seq_no = 0

    @contextmanager
    def _dropping(self, index: int) -> Iterator[None]:
        """Drops the episode whose environment raises. Bad input is for the user, and is raised."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            self.dropped.append(DroppedEpisode(index, _in_a_line(error)))

    def _all_but_dropped(self, positions: Iterable[int], indices: Sequence[int]) -> list[int]:
        dropped = {episode.index for episode in self.dropped}
        return [k for k in positions if indices[k] not in dropped]

    def _infer(self, episodes: list[Any], rngs: list[np.random.Generator], explore: bool) -> dict[str, Any]:
        shared = {RNGS: rngs}
        common: dict[str, Any] = {"rl_module": self.module, "explore": explore, "shared_data": shared}
        batch = self._env_to_module(batch={}, episodes=episodes, metrics=self.metrics, **common)
        forward = self.module.forward_exploration if explore else self.module.forward_inference
        return self._module_to_env(batch=forward(batch), episodes=episodes, metrics=self.metrics, **common)


@dataclass(frozen=True, slots=True)
class DroppedEpisode:
    """Lifetime number of an episode that is not learned from, and why, in a line."""

    index: int
    reason: str


def _in_a_line(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({Path(place.filename).name}:{place.lineno})"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some episodes that a runner has sampled together, the runner's metrics, and the seconds that it took.

    An exception takes the place of the episodes: a runner that raised one would look lost, and be asked again.
    """

    number: int
    episodes: list[SingleAgentEpisode]
    metrics: dict[str, Any]
    seconds: float
    dropped: list[DroppedEpisode] = field(default_factory=list)
    error: Exception | None = None


def sample_chunk(runner: Any, number: int, indices: Sequence[int], difficulty: float) -> Chunk:
    """What a `SparsifyEnvRunner` is asked for.

    `WeightsMissing` is raised: it is from a runner that died and came back unnoticed, and that is to look lost.
    """
    start = time.perf_counter()
    try:
        episodes = runner.sample(indices=indices, difficulty=difficulty)
        return Chunk(number, episodes, runner.get_metrics(), time.perf_counter() - start, runner.dropped)
    except WeightsMissing:
        raise
    except InputError as error:
        return Chunk(number, [], {}, 0.0, error=error)
    except Exception:
        return Chunk(number, [], {}, 0.0, error=RuntimeError(f"an env runner failed\n{traceback.format_exc()}"))

"""An environment whose steps cost what they are told to: real level graphs, recorded beforehand, and a wait.

Only the numerical work is left out. Observations, credits and aggregates have their true sizes and are copied, so that
each is shipped as in training, where no two episodes share an array.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from rllib_psparsity.training.env_runner import SparsifyEnvRunner

SPIN, SLEEP = "spin", "sleep"
MODES = (SPIN, SLEEP)
STRONG = 0.25
"""Of the evolution measure, for the decisions of the recorded episode."""

Result = tuple[LevelGraph, float, bool, bool, dict[str, Any]]


@dataclass(frozen=True)
class Recording:
    """One real episode: the first graph, and the results of all steps."""

    first: LevelGraph
    results: list[Result]


def record_episode(config: Config, index: int = 0) -> Recording:
    """Training episode `index` of the configuration, decided by the evolution measure and the menu's first recipe."""
    env = SparsifyEnv(config)
    graph, _ = env.reset(options={"index": index})
    first, results, done = graph, [], False
    while not done:
        strong = graph.edge_features[:, EDGE_FEATURES.index("evolution_max")] >= STRONG
        results.append(env.step(Decision(strong, 0)))
        graph, done = results[-1][0], results[-1][2] or results[-1][3]
    return Recording(first, results)


class SimulatedEnv:
    """Plays the recording to its end, whatever is decided; every step takes `seconds`.

    spin: of CPU time of this thread, as a real step does, in competition with all else that runs.
    sleep: of wall time, so that more runners than cores can be simulated.
    """

    def __init__(self, recording: Recording, seconds: float, mode: str) -> None:
        self.recording, self.seconds, self.mode = recording, seconds, mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[LevelGraph, dict]:
        self.level = 0
        return _copy(self.recording.first), {"problem": "recorded"}

    def step(self, action: Decision) -> Result:
        clock = time.thread_time if self.mode == SPIN else time.perf_counter
        end = clock() + self.seconds
        graph, reward, terminated, truncated, info = self.recording.results[self.level]
        self.level += 1
        copied = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in info.items()}
        result = _copy(graph), reward, terminated, truncated, copied
        if self.mode == SLEEP:
            time.sleep(max(0.0, end - clock()))
        else:
            while clock() < end:
                pass
        return result

    def close(self) -> None:
        pass


class SimulatedPool:
    """In the place of the env runner's pool of environments, with the attributes that RLlib reads."""

    num_envs = 1

    def __init__(self, config: Config, seconds: float, mode: str) -> None:
        real = SparsifyEnv(config)
        self.observation_space = self.single_observation_space = real.observation_space
        self.action_space = self.single_action_space = real.action_space
        self.recording, self.seconds, self.mode = record_episode(config), seconds, mode
        self.envs: list[SimulatedEnv] = []

    @property
    def unwrapped(self) -> SimulatedPool:
        return self

    def take(self, count: int) -> list[SimulatedEnv]:
        while len(self.envs) < count:
            self.envs.append(SimulatedEnv(self.recording, self.seconds, self.mode))
        return self.envs[:count]

    def close(self) -> None:
        pass


class SimulatedEnvRunner(SparsifyEnvRunner):
    """The package's env runner on simulated environments; ``env_config`` holds `seconds` and `mode`."""

    def make_env(self) -> None:
        config: Any = self.config
        pool = SimulatedPool(config.run_config, **config.env_config)
        self.env, self.num_envs = pool, pool.num_envs  # type: ignore[assignment]


def _copy(graph: LevelGraph) -> LevelGraph:
    arrays = {field.name: getattr(graph, field.name) for field in dataclasses.fields(graph) if field.init}
    return dataclasses.replace(graph, **{k: v.copy() for k, v in arrays.items() if isinstance(v, np.ndarray)})

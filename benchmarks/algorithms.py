"""The package's own algorithm for benchmarks: with a learner that is timed, or one that does nothing."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import ray
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from benchmarks.record import ROOT
from rllib_psparsity.config.schema import Config
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.env_runner import SparsifyEnvRunner
from rllib_psparsity.training.learner import SparsifyLearner
from rllib_psparsity.training.record import EPISODES

OBJECT_STORE_BYTES = 400_000_000


class IdleLearner(SparsifyLearner):
    """Learns nothing: what is left of an iteration is sampling, shipping, metrics and the broadcast of weights."""

    def update(self, *args: Any, **kwargs: Any) -> Any:
        self.metrics.log_value((DEFAULT_MODULE_ID, "idle"), 1.0, window=1)
        return self.metrics.reduce()


class TimedLearner(SparsifyLearner):
    """Remembers wall and CPU time of its updates; for a learner in the driver, where the benchmark can read them."""

    updates: ClassVar[list[tuple[float, float]]] = []

    def update(self, *args: Any, **kwargs: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        results = super().update(*args, **kwargs)
        self.updates.append((time.perf_counter() - wall, time.process_time() - cpu))
        return results


@dataclass(frozen=True)
class Iteration:
    """Wall time of some `train()`s, CPU time of the driver in them, and what they sampled."""

    seconds: float
    driver_seconds: float
    steps: int
    episodes: int


def iterate(algorithm: Any, iterations: int = 1) -> Iteration:
    """Some iterations, timed. Nothing is sampled ahead at the end, which would run into what is measured next."""
    algorithm.last_update = algorithm.updates + iterations
    start, cpu = time.perf_counter(), time.process_time()
    figures = [algorithm.train()[EPISODES] for _ in range(iterations)]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Iteration(seconds, cpu, *(int(sum(row[key] for row in figures)) for key in ("env_steps", "episodes")))


def build(
    config: Config,
    learner: type[SparsifyLearner] = SparsifyLearner,
    env_runner: type[SparsifyEnvRunner] = SparsifyEnvRunner,
    env_config: dict[str, Any] | None = None,
) -> Any:
    """The `SparsifyPPO` of a run, with another learner or env runner in place of its own.

    RLlib declares as optional what a built algorithm always has, hence the type.
    """
    settings = SparsifyPPOConfig().apply_run(config)
    settings.training(learner_class=learner)
    settings.env_runner_cls = env_runner
    settings.env_config = env_config or {}
    return settings.build_algo()


@contextmanager
def prepared_process() -> Iterator[None]:
    """One thread for torch, RLlib's start-up warnings off, and a Ray that is down at the end whatever happens.

    Worker processes find the benchmarks by PYTHONPATH.
    """
    torch.set_num_threads(1)
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def local_ray(cpus: int) -> Iterator[None]:
    """A Ray of our own on this machine, started as `psparsity train` starts it."""
    with prepared_process():
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        yield

"""One small local Ray for all tests of training, and env runners without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import ray
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.training.algorithm import SparsifyPPO
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    torch.set_num_threads(1)
    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


@pytest.fixture
def build(local_ray: None) -> Iterator[Callable[[Config], SparsifyPPO]]:
    """Builds algorithms, and stops them when the test is over."""
    built: list[SparsifyPPO] = []

    def build(config: Config) -> SparsifyPPO:
        built.append(SparsifyPPOConfig().apply_run(config).build_algo())
        return built[-1]

    yield build
    for algorithm in built:
        algorithm.stop()

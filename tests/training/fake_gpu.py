"""A run with its learner on a GPU that is none, on a machine without one; run by test_gpu.

Ray hands out a GPU, and the process group has, like NCCL's, nothing for tensors on the CPU. In place of CUDA the
learner takes the CPU, since it has to compute somewhere. Prints, as JSON, where the learner ran and how far it came.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray
import torch
from ray.rllib.core.learner import learner_group
from ray.rllib.core.learner.torch import torch_learner

from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training import run
from rllib_psparsity.training.algorithm import SparsifyPPO
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.learner import SparsifyLearner
from tests.environment.tiny import tiny_config

NO_CPU = "cuda:gloo"
backend_config = learner_group._get_backend_config


class LearnerWithoutCuda(SparsifyLearner):
    def build(self) -> None:
        torch_learner.get_device = lambda config, gpus: torch.device("cpu")
        super().build()


def without_nccl(learner_class: type) -> Any:
    config: Any = backend_config(learner_class)
    config.backend = NO_CPU
    return config


def look(learner: SparsifyLearner) -> dict[str, Any]:
    group = torch.distributed
    return {"gpus": len(ray.get_gpu_ids()), "backend": group.get_backend_config(), "world": group.get_world_size()}


def main(run_dir: Path) -> None:
    ray.init(
        address="local",
        num_cpus=1,
        num_gpus=1,
        include_dashboard=False,
        object_store_memory=80_000_000,
        logging_level="ERROR",
        log_to_driver=False,
    )
    found: list[dict[str, Any]] = []
    train = SparsifyPPO.train

    def looking(self: SparsifyPPO) -> Any:
        found.extend(result.get() for result in self.learner_group.foreach_learner(look))
        return train(self)

    learner_group._get_backend_config = without_nccl
    SparsifyPPOConfig.get_default_learner_class = lambda self: LearnerWithoutCuda
    SparsifyPPO.train = looking
    run.ray_session = lambda num_cpus: nullcontext()
    run.reference_figures = lambda config: {}
    run.conclude = lambda config, run_dir, rows: None
    config = tiny_config("training.iterations=1", "learner={count: 1, gpus: 1}")
    try:
        code = run.train(config, run_dir)
    finally:
        ray.shutdown()
    rows = MetricsFile(run_dir / "metrics.parquet").rows
    print(json.dumps({"code": code, "saved": newest_checkpoint(run_dir)[1], "row": rows[-1], "learners": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

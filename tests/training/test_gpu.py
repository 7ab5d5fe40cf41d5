"""Learners on GPUs, as far as a machine without one can tell."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rllib_psparsity import training
from rllib_psparsity.training.connectors import moments_over_learners
from rllib_psparsity.training.learner import SparsifyLearner
from rllib_psparsity.training.loss import StepBatch, policy_loss
from tests.environment.tiny import tiny_config
from tests.training.script import answer_of
from tests.training.steps import network_of, random_steps

ELSEWHERE = torch.device("meta")
"""A device whose tensors hold no data: it stands for a GPU."""


def test_a_learner_on_a_gpu_trains_where_nothing_can_be_shared_on_the_cpu(tmp_path: Path):
    answer = answer_of("fake_gpu", tmp_path / "run")
    assert answer["learners"] == [{"gpus": 1, "backend": "cuda:gloo", "world": 1}]
    assert (answer["code"], answer["saved"], answer["row"]["iteration"], answer["row"]["episodes"]) == (0, 1, 1, 6)
    assert answer["row"]["grad_norm"] > 0.0 and answer["row"]["skipped_updates"] == 0.0


def moments() -> None:
    moments_over_learners([[np.ones(3)]], ELSEWHERE)


def counts() -> None:
    config = tiny_config()
    network = network_of(config)
    batch = StepBatch.from_steps([[step] for step in random_steps(config, network)])
    with torch.no_grad():
        output = network(batch.graphs, with_value=True)
    policy_loss(moved(output), moved(batch), config, 0.0, world_size=2)


def mean_entropy() -> None:
    learner = SparsifyLearner.__new__(SparsifyLearner)
    learner._device = ELSEWHERE
    learner._mean_over_learners(0.5, world_size=2)


def moved(value):
    """A tensor, or a dataclass of tensors, on the other device."""
    if isinstance(value, torch.Tensor):
        return value.to(ELSEWHERE)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: moved(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


SHARED = (moments, counts, mean_entropy)


class Shared(Exception):
    """Raised in place of the sum, which a device without data cannot give."""


@pytest.mark.parametrize("share", SHARED)
def test_what_learners_share_is_on_their_device(share: Callable[[], None], monkeypatch):
    """NCCL knows no tensors on the CPU."""

    def all_reduce(tensor: torch.Tensor) -> None:
        assert tensor.device == ELSEWHERE
        raise Shared

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    with pytest.raises(Shared):
        share()


def test_nothing_else_is_shared():
    sources = [path.read_text() for path in Path(training.__file__).parent.glob("*.py")]
    called = re.findall(r"distributed\.(\w+)\(", "".join(sources))
    assert sorted(called) == ["all_reduce"] * len(SHARED) + ["get_world_size", "is_initialized"]

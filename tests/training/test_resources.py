"""Runs that a cluster cannot carry are refused with the numbers; where nodes come and go, they are waited for."""

from __future__ import annotations

import re

import pytest
import ray.autoscaler.sdk

from rllib_psparsity.errors import InputError
from rllib_psparsity.training import resources
from rllib_psparsity.training.resources import require_resources
from tests.environment.tiny import tiny_config


class StandIn:
    """A cluster that gets nodes of 2 CPUs whenever it is looked at, up to `most`."""

    def __init__(self, now: int, most: int, labels: dict[str, str] | None = None) -> None:
        self.count, self.most, self.labels = now, most, labels or {}
        self.requests: list[int] = []

    def nodes(self):
        self.count = min(self.count + 1, self.most)
        return [{"NodeID": str(k), "Alive": True, "Labels": self.labels} for k in range(self.count)]

    def cluster_resources(self):
        return {"CPU": 2.0 * self.count}


@pytest.fixture
def cluster(monkeypatch):
    def use(stand_in: StandIn) -> StandIn:
        monkeypatch.setattr(resources.ray, "nodes", stand_in.nodes)
        monkeypatch.setattr(resources.ray, "cluster_resources", stand_in.cluster_resources)
        monkeypatch.setattr(
            ray.autoscaler.sdk, "request_resources", lambda bundles: stand_in.requests.append(len(bundles))
        )
        monkeypatch.setattr(resources, "POLL_SECONDS", 0.01)
        return stand_in

    return use


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["env_runners.count=5"], "the run needs 5 CPUs, but the cluster has 4; lower env_runners.count"),
        (["env_runners.count=4", "learner.count=1"], "the run needs 5 CPUs, but the cluster has 4;"),
        (["env_runners.count=4", "learner={count: 2, gpus: 0.5}"], "the run needs 1 GPUs, but the cluster has 0;"),
        (
            ["env_runners.count=9", "learner={count: 1, gpus: 1}"],
            "the run needs 9 CPUs, but the cluster has 4 and 1 GPUs, but the cluster has 0;",
        ),
        (
            ["learner.gpus=1"],
            "learner.gpus is 1 with the learner in the driver, but PyTorch finds no GPU on",
        ),
    ],
)
def test_what_a_cluster_lacks_is_refused_at_once(cluster, monkeypatch, overrides, sentence):
    monkeypatch.setattr(resources.torch.cuda, "is_available", lambda: False)
    stand_in = cluster(StandIn(2, 2))
    with pytest.raises(InputError, match=re.escape(sentence)):
        require_resources(tiny_config(*overrides))
    assert stand_in.requests == []
    require_resources(tiny_config("env_runners.count=4"))


def test_nodes_that_come_are_waited_for(cluster, monkeypatch, capsys):
    monkeypatch.setattr(resources, "PATIENCE_SECONDS", 0.3)
    grouped = {resources.NODE_GROUP: "workers"}
    stand_in = cluster(StandIn(0, 4, grouped))
    require_resources(tiny_config("env_runners.count=8"))
    assert stand_in.requests == [8, 0], "the autoscaler is asked, and in the end released"
    assert "waiting for nodes: the run needs 8 CPUs, but the cluster has" in capsys.readouterr().out
    with pytest.raises(InputError, match="the run needs 10 CPUs, but the cluster has 8;"):
        require_resources(tiny_config("env_runners.count=10"))
    # The escape where Ray does not know of an autoscaler, and the other way round.
    cluster(StandIn(0, 4))
    require_resources(tiny_config("env_runners.count=8", "cluster.patience=5"))
    stand_in = cluster(StandIn(1, 4, grouped))
    with pytest.raises(InputError, match="the run needs 8 CPUs"):
        require_resources(tiny_config("env_runners.count=8", "cluster.patience=0"))
    assert stand_in.requests == []

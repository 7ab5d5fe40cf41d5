"""Which Ray a run is on."""

from __future__ import annotations

import pytest
import ray

from rllib_psparsity.config.schema import Config
from rllib_psparsity.training.run import _local_ray


@pytest.mark.parametrize("address", [None, "192.0.2.1:6379"])
def test_a_run_has_a_ray_of_its_own_unless_the_environment_names_one(address: str | None, monkeypatch):
    calls = []
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    with _local_ray(Config()):
        (options,) = calls
    # A cluster's address comes from the environment, and its size is not ours to say; "local" joins nothing.
    assert options.get("address") == (None if address else "local")
    assert ("num_cpus" in options) is (address is None)

"""Which Ray a run is on."""

from __future__ import annotations

import pytest
import ray

from rllib_psparsity.training.ray_session import STARTS, ray_session


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The options of every `ray.init`, which starts nothing."""
    found: list[dict] = []
    monkeypatch.setattr(ray, "init", lambda **options: found.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return found


@pytest.mark.parametrize("address", [None, "192.0.2.1:6379"])
def test_a_run_has_a_ray_of_its_own_unless_the_environment_names_one(address, calls, monkeypatch):
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    with ray_session(num_cpus=2):
        (options,) = calls
    # A cluster's address comes from the environment, and its size is not ours to say; "local" joins nothing.
    assert options.get("address") == (None if address else "local")
    assert ("num_cpus" in options) is (address is None)


def test_a_named_cluster_is_joined(calls):
    with ray_session(num_cpus=2, address="192.0.2.1:6379"):
        (options,) = calls
    assert options["address"] == "192.0.2.1:6379" and "num_cpus" not in options


@pytest.mark.parametrize("failures", [1, STARTS])
def test_a_node_that_does_not_start_in_time_is_started_again(failures, calls, monkeypatch, capsys):
    def init(**options: object) -> None:
        calls.append(options)
        if len(calls) <= failures:
            raise RuntimeError("timed out")

    monkeypatch.setattr(ray, "init", init)
    if failures < STARTS:
        with ray_session(num_cpus=2):
            assert len(calls) == failures + 1
        assert "attempt 2 of 3" in capsys.readouterr().out
    else:
        with pytest.raises(RuntimeError, match="timed out"), ray_session(num_cpus=2):
            pass
        assert len(calls) == STARTS

"""The Ray that a command works with: a cluster that is there, or one of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

OBJECT_STORE_BYTES = 400_000_000
STARTS = 3
"""Ray gives a node 30 seconds to start, which on a busy machine may be too few."""


@contextmanager
def ray_session(num_cpus: int, address: str | None = None) -> Iterator[None]:
    """Join the cluster at `address`, or the one that the environment names (as in a submitted job), or start a Ray."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # RLlib warns at every start that it runs on its new API, as it is meant to.
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address or os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, **common)
    else:
        _start(num_cpus, common)
    try:
        yield
    finally:
        ray.shutdown()


def _start(num_cpus: int, common: dict[str, Any]) -> None:
    for attempt in range(1, STARTS + 1):
        try:
            # Without an address Ray would join any cluster that was started on this machine, if only by somebody else.
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **common,
            )
            return
        except Exception:  # Ray raises plain ones for a node that does not start in time
            ray.shutdown()
            if attempt == STARTS:
                raise
            print(f"psparsity: Ray did not start in time; attempt {attempt + 1} of {STARTS}", flush=True)

"""Weights that a run starts from in place of random ones: those of an exported policy."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import load_policy
from rllib_psparsity.errors import InputError

NETWORK_KEYS = ("backbone", "width", "layers", "recipes", "separate_value_trunk", "standardise")
MEANING_KEYS = ("action", "k", "prior")
"""What the weights' shapes follow from, and what else their use depends on."""


def starting_weights(config: Config) -> dict[str, np.ndarray] | None:
    """By the names of the network's ``state_dict``, with the run's first temperature; None if it starts from nothing.

    Raises `InputError` if `training.start_from` cannot be loaded or is of another network than `policy` describes.
    """
    name = config.training.start_from
    if name is None:
        return None
    policy = load_policy(name)
    for key in (*NETWORK_KEYS, *MEANING_KEYS):
        ours, theirs = getattr(config.policy, key), getattr(policy.config, key)
        if ours != theirs:
            raise InputError(
                f"training.start_from: the policy {name!r} has policy.{key} {_shown(theirs)}, but this run has "
                f"{_shown(ours)}; set policy.{key} to the policy's, or start from nothing"
            )
    temperature = np.float32(config.policy.temperature.initial)
    return {**policy.inference.weights(), "temperature": np.asarray(temperature)}


def _shown(value: object) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else repr(value)

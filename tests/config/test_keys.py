from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rllib_psparsity.config.keys import config_keys, nearest_key
from rllib_psparsity.config.load import load_config, resolved_json

NAMES = {key.name for key in config_keys()}


def leaves(value: object, name: str) -> Iterator[str]:
    """Dotted names of a JSON value, only the first element of a list of mappings."""
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from leaves(member, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from leaves(value[0], f"{name}.0")
    else:
        yield name


def test_the_keys_are_those_of_the_resolved_configuration() -> None:
    # `problems.families` is a list and a section: the only one whose own name is no leaf of the JSON.
    written = set(leaves(json.loads(resolved_json(load_config())), ""))
    assert {key.name for key in config_keys() if not key.is_section} == written


def test_every_value_is_described() -> None:
    assert [key.name for key in config_keys() if not key.is_section and not key.description] == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lr", "training.lr"),
        ("training.learning_rate", "training.lr"),
        ("trainin.lr", "training.lr"),
        ("training.lambda_", "training.lambda"),
        ("grad_clp", "training.grad_clip"),
        ("entropy_coef", "training.entropy_coefficient"),
        ("env_runners.num", "env_runners.count"),
        ("temperature.initial", "policy.temperature.initial"),
        ("problems.families.2.weigth", "problems.families.2.weight"),
        ("training.seed", "seed"),
    ],
)
def test_nearest_key(typed: str, meant: str) -> None:
    assert nearest_key(typed) == meant


@pytest.mark.parametrize(("typed", "meant"), [("trainin", "training"), ("temperature", "policy.temperature")])
def test_nearest_section(typed: str, meant: str) -> None:
    assert nearest_key(typed, is_section=True) == meant


def test_a_valid_key_is_nearest_to_itself() -> None:
    assert all(nearest_key(key.name, is_section=key.is_section) == key.name for key in config_keys())
    assert "training.lambda" in NAMES

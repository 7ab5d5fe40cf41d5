from __future__ import annotations

import pytest
from pydantic import ValidationError

from rllib_psparsity.amg.limits import Limits


def test_defaults():
    assert Limits().model_dump() == {
        "max_coarse": 50,
        "max_levels": 10,
        "stall_ratio": 0.9,
        "max_operator_complexity": 4.0,
        "relaxed_levels": 1,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_coarse", 0),
        ("max_coarse", 2.5),
        ("max_levels", 1),
        ("stall_ratio", 0.0),
        ("stall_ratio", 1.0),
        ("max_operator_complexity", 1.0),
        ("max_operator_complexity", float("inf")),
        ("max_operator_complexity", float("nan")),
        ("relaxed_levels", 0),
        ("max_depth", 3),
    ],
)
def test_impossible_limits_are_refused_by_name(field, value):
    with pytest.raises(ValidationError) as error:
        Limits.model_validate({field: value})
    assert [entry["loc"] for entry in error.value.errors()] == [(field,)]


def test_limits_do_not_change():
    limits = Limits()
    with pytest.raises(ValidationError, match="frozen"):
        limits.max_coarse = 10


def test_every_limit_is_documented():
    assert all(field.description for field in Limits.model_fields.values())

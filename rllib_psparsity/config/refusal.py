"""One sentence for a configuration that the schema refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from rllib_psparsity.config.keys import nearest_key

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "too_short": "a list of {min_length} or more elements",
    "too_long": "a list of {max_length} or fewer elements",
}
"""pydantic's error types -> what the value must be, with the names of the error's context."""


Nearest = Callable[..., str]
"""Finds the valid key for an unknown one, as `nearest_key` does."""


def sentence(error: ValidationError, nearest: Nearest = nearest_key) -> str:
    """Name the first thing wrong with dotted key, value and expectation, and count the others.

    Unknown keys come first: a misspelt key often makes another one missing.
    """
    errors = error.errors(include_url=False)
    places = [one["loc"] for one in errors]
    # A refused element also leaves its list too short: what is wrong further inside says it better.
    errors = [one for one in errors if not any(_inside(place, one["loc"]) for place in places)]
    errors.sort(key=lambda one: one["type"] != "extra_forbidden")
    first = _explain(errors[0], nearest)
    others = len(errors) - 1
    if others:
        first += f" (and {others} more {'mistake' if others == 1 else 'mistakes'})"
    return first


def _explain(error: Any, nearest: Nearest) -> str:
    key = ".".join(str(part) for part in error["loc"])
    value, context = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        key, value = _down_to_leaf(key, value)
        valid = nearest(key, is_section=isinstance(value, dict))
        return f"unknown key {key!r}; the nearest valid key is {valid!r}"
    if error["type"] == "missing":
        return f"{key} is missing; give it a value"
    if error["type"] == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])  # no key: it is about several
    expected = _EXPECTED.get(error["type"])
    if expected is None:
        return f"{key} is {_shown(value)}: {error['msg']}"
    bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
    return f"{key} is {_shown(value)}, but must be {expected.format(**bounds)}"


def _inside(place: tuple, outer: tuple) -> bool:
    return len(place) > len(outer) and place[: len(outer)] == outer


def _down_to_leaf(key: str, value: Any) -> tuple[str, Any]:
    """`trainin: {lr: 1}` is about `trainin.lr`: the whole name finds the nearest key better."""
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        key = f"{key}.{name}"
    return key, value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."

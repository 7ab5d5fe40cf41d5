"""`--set key=value`: one change to the configuration, by dotted key."""

from __future__ import annotations

from typing import Any

from rllib_psparsity.config.yaml_text import parse_yaml
from rllib_psparsity.errors import InputError


def apply_override(data: dict[str, Any], text: str) -> None:
    """Change `data` in place by a text such as `training.lr=1e-3` or `problems.families.0.weight=2`.

    The value is YAML. Keys that the schema does not know are written too: the schema refuses them, with a hint.
    """
    key, equals, value_text = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise InputError(f"--set {text!r} is not of the form key=value, for example training.lr=1e-3")
    if not value_text.strip():
        raise InputError(f"--set {text!r} gives {key} no value; write {key}=null where none is meant")
    value = parse_yaml(value_text, f"--set {text!r}")
    *path, last = key.split(".")
    holder: Any = data
    for depth, part in enumerate(path):
        holder = _enter(holder, part, ".".join(path[:depth]), key)
    if isinstance(holder, list):
        holder[_index(holder, last, ".".join(path), key)] = value
    elif isinstance(holder, dict):
        holder[last] = value
    else:
        raise _not_a_section(".".join(path), key)


def _enter(holder: Any, part: str, name: str, key: str) -> Any:
    if isinstance(holder, list):
        return holder[_index(holder, part, name, key)]
    if isinstance(holder, dict):
        return holder.setdefault(part, {})
    raise _not_a_section(name, key)


def _index(holder: list, part: str, name: str, key: str) -> int:
    if not part.isdecimal() or int(part) >= len(holder):
        raise InputError(
            f"--set {key}: {part!r} is no element of {name}, which has {len(holder)}; "
            f"name one by its number from 0, or set {name} as a whole"
        )
    return int(part)


def _not_a_section(name: str, key: str) -> InputError:
    return InputError(f"--set {key}: {name} is a single value and holds no keys; set {name} itself")

"""The dotted keys of the configuration, such as `training.lr`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import get_args

from pydantic import BaseModel

from rllib_psparsity.config.schema import Config


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration.

    Attributes
    ----------
    name : str, dotted; 0 stands for any index of a list
    description : str, one sentence
    is_section : bool, whether it holds further keys
    """

    name: str
    description: str
    is_section: bool


def config_keys() -> tuple[Key, ...]:
    """Every key, sections before their members, in the order of the schema."""
    return tuple(_walk(Config, ""))


def nearest_key(name: str, *, is_section: bool = False) -> str:
    """The valid dotted key that an unknown one most likely means.

    A key is near when its dotted name is similar, when its last part has much of what was typed (a bare `lr` finds
    `training.lr`), or when its description says the words (`learning_rate` finds it too).
    """
    section, _, leaf = name.rpartition(".")
    words = leaf.replace("_", " ").lower()
    index = next((part for part in name.split(".") if part.isdecimal()), "0")

    def likeness(key: Key) -> float:
        other_section, _, other = key.name.rpartition(".")
        same_section = bool(section) and section == other_section
        described = len(words) > 3 and words in key.description.lower()
        return _ratio(name, key.name) + _ratio(leaf, other) + _coverage(leaf, other) + described + same_section / 2

    best = max((key for key in config_keys() if key.is_section == is_section), key=likeness)
    return ".".join(index if part == "0" else part for part in best.name.split("."))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for field_name, field in model.model_fields.items():
        name = prefix + (field.alias or field_name)
        section = _section(field.annotation)
        yield Key(name, " ".join((field.description or "").split()), section is not None)
        if section is not None:
            yield from _walk(section, name + "." if section is field.annotation else name + ".0.")


def _section(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, itself or as the element of a list."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _coverage(typed: str, other: str) -> float:
    """Share of the typed letters that the other has in the same order."""
    blocks = SequenceMatcher(None, typed, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / max(len(typed), 1)

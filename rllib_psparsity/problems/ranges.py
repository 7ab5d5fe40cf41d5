"""The numbers that one member of a mix draws: checked ranges, and easier ones for a curriculum."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families import MIN_SIZE, Family, Parameter

Range = tuple[float, float]
MOST_NAMES = 30
"""That a sentence lists."""


def nearest(name: str, known: Collection[str]) -> str:
    """The known name most like this one, and where none is alike all of them, or the first; for error sentences."""
    alike = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if alike:
        return f"did you mean {alike[0]!r}?"
    names = sorted(known)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"use one of {', '.join(names[:MOST_NAMES])}{more}"


def checked_size(family: str, size: tuple[int, int]) -> tuple[int, int]:
    """The range of sizes; `InputError` if it is empty or holds a size too small for any family."""
    low, high = size
    if low > high:
        raise InputError(
            f"the size of {family!r} ranges from {low} to {high}, expected the smaller number first; exchange them"
        )
    if low < MIN_SIZE:
        raise InputError(
            f"the size of {family!r} starts at {low}, expected at least {MIN_SIZE} grid points a side; raise it"
        )
    return low, high


def checked_ranges(family: Family, given: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every parameter of the family, the given ones instead of its own.

    Raises
    ------
    InputError
        A parameter that the family does not have, an empty range, or one outside of the parameter's bounds.
    """
    for name, (low, high) in given.items():
        if name not in family.parameters:
            hint = nearest(name, family.parameters)
            raise InputError(f"the family {family.name!r} has no parameter {name!r}, expected one of its own; {hint}")
        where = f"the parameter {name!r} of {family.name!r} ranges from {low:g} to {high:g}"
        if low > high:
            raise InputError(f"{where}, expected the smaller number first; exchange them")
        parameter = family.parameters[name]
        if low < parameter.minimum or high > parameter.maximum:
            raise InputError(
                f"{where}, expected a range within {parameter.minimum:g} and {parameter.maximum:g}; narrow it"
            )
    return {name: given.get(name, (own.low, own.high)) for name, own in family.parameters.items()}


def draw_size(rng: np.random.Generator, size: tuple[int, int], difficulty: float) -> int:
    """A size up to the share `difficulty` of the range; at 0 the smallest."""
    low, high = size
    high = low + round(difficulty * (high - low))
    return min(high, low + int(rng.random() * (high - low + 1)))


def draw(rng: np.random.Generator, parameter: Parameter, values: Range, difficulty: float) -> float:
    """A number from the share `difficulty` of the range next to its easy end; always one random number is used up."""
    low, high = values
    share = rng.random()
    if parameter.easy == "low":
        share = difficulty * share
    elif parameter.easy == "high":
        share = 1 - difficulty * (1 - share)
    value = low * (high / low) ** share if parameter.log else low + share * (high - low)
    return min(high, max(low, value))

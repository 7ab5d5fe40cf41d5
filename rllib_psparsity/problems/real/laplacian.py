"""-Laplace(u), u = 0 on the boundary, by scikit-fem's elements on a mesh that is given."""

from __future__ import annotations

from typing import Any

from scipy.sparse import csr_array

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.ranges import nearest

ELEMENTS = {
    "MeshTri": {"P1": "ElementTriP1", "P2": "ElementTriP2", "P3": "ElementTriP3", "CR": "ElementTriCR"},
    "MeshQuad": {"Q1": "ElementQuad1"},
    "MeshTet": {"P1": "ElementTetP1", "P2": "ElementTetP2"},
    "MeshHex": {"Q1": "ElementHex1"},
}
"""scikit-fem's kinds of meshes -> its elements by their usual names, the first where none is named."""


def laplacian(mesh: Any, element: str, name: str) -> tuple[csr_array, str]:
    """The stiffness matrix of the interior unknowns, and the name in `ELEMENTS` of the element.

    `mesh` is scikit-fem's, `element` may be empty; errors speak of the mesh by `name`. Rounding in the assembly is
    averaged away.
    """
    import skfem
    from skfem.models.poisson import laplace

    elements = next(found for kind, found in ELEMENTS.items() if isinstance(mesh, getattr(skfem, kind)))
    element = element or next(iter(elements))
    if element not in elements:
        raise InputError(f"the mesh {name!r} cannot have the element {element!r}; {nearest(element, elements)}")
    basis = skfem.Basis(mesh, getattr(skfem, elements[element])())
    interior = basis.complement_dofs(basis.get_dofs())
    if len(interior) == 0:
        raise InputError(f"the mesh {name!r} has no interior point; refine it more often")
    return symmetric_csr(laplace.assemble(basis)[interior][:, interior]), element


def checked_refinements(name: str, digits: str, example: str) -> int:
    """How often the mesh of this name is to be refined."""
    if not digits.isdecimal() or int(digits) > 9:
        raise InputError(f"the mesh {name!r} does not go on with a number of refinements from 0 to 9; write {example}")
    return int(digits)

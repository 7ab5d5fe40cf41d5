"""Meshes in the place where sfepy has its own; sfepy itself is in the suite's tests, where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skfem
from skfem.models.poisson import laplace

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.real import MissingPackage, package, real_problem, sfepy_meshes

meshio = pytest.importorskip("meshio")
from skfem.io.meshio import to_meshio  # noqa: E402  which needs meshio

MESHES = {
    "part.mesh": skfem.MeshTri.init_circle(2),
    "flat.vtk": skfem.MeshTri.init_lshaped().refined(2),
    "quads.mesh": skfem.MeshQuad.init_tensor(np.linspace(0, 1, 5), np.linspace(0, 3, 6)),
    "ball.vtk": skfem.MeshTet.init_ball(2),
    "cube.mesh": skfem.MeshHex.init_tensor(*(np.linspace(0, side, 4) for side in (1, 2, 5))),
}


@pytest.fixture(autouse=True)
def as_if_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meshes" / "3d" / "special").mkdir(parents=True)
    (tmp_path / "meshes" / "2d").mkdir()
    for name, mesh in MESHES.items():
        write(tmp_path / "meshes" / ("2d" if mesh.dim() == 2 else "3d/special") / name, mesh)
    monkeypatch.setattr(sfepy_meshes, "directory_of", lambda *names: tmp_path)
    return tmp_path


def write(path: Path, mesh: skfem.Mesh, **other_cells: np.ndarray) -> None:
    """As meshio writes it, in three coordinates for .vtk, and with a point that no cell has."""
    points = np.vstack([np.full(mesh.dim(), 77.0), mesh.p.T])
    if path.suffix == ".vtk" and mesh.dim() == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    cells = {block.type: block.data + 1 for block in to_meshio(mesh).cells}
    meshio.Mesh(points, other_cells | cells).write(path)


def laplacian(mesh: skfem.Mesh, element: skfem.Element) -> np.ndarray:
    basis = skfem.Basis(mesh, element)
    interior = basis.complement_dofs(basis.get_dofs())
    return laplace.assemble(basis).toarray()[np.ix_(interior, interior)]


@pytest.mark.parametrize(
    ("name", "refined", "element"),
    [
        ("part.mesh", 1, skfem.ElementTriP1()),
        ("part.mesh/1/P3", 1, skfem.ElementTriP3()),
        ("flat.vtk", 0, skfem.ElementTriP1()),
        ("quads.mesh", 1, skfem.ElementQuad1()),
        ("ball.vtk", 0, skfem.ElementTetP1()),
        ("ball.vtk/0/P2", 0, skfem.ElementTetP2()),
        ("cube.mesh", 0, skfem.ElementHex1()),
    ],
)
def test_it_is_the_stiffness_matrix_of_the_mesh_in_the_file(name: str, refined: int, element: skfem.Element) -> None:
    file = name.partition("/")[0]
    full = name if "/" in name else f"{name}/{refined}"
    problem = real_problem(f"sfepy/{full}")
    expected = laplacian(MESHES[file].refined(refined), element)
    assert (problem.name, problem.family) == (f"sfepy/{full}", "sfepy mesh")
    # Files of ten digits and another order of the points: spectra are compared.
    found, wanted = (np.linalg.eigvalsh(matrix) for matrix in (problem.A.toarray(), expected))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.array_equal(problem.B, np.ones((len(expected), 1)))


def test_surfaces_that_a_file_holds_beside_its_cells_do_not_count(as_if_installed: Path) -> None:
    plain = real_problem("sfepy/ball.vtk/0").A
    surface = MESHES["ball.vtk"].facets[:, MESHES["ball.vtk"].boundary_facets()].T + 1
    write(as_if_installed / "meshes" / "3d" / "marked.vtk", MESHES["ball.vtk"], triangle=surface)
    assert abs(real_problem("sfepy/marked.vtk/0").A - plain).max() <= 1e-12


def test_what_cannot_be_had_is_refused_in_a_sentence(as_if_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quads = MESHES["quads.mesh"]
    write(as_if_installed / "meshes" / "2d" / "mixed.mesh", quads, triangle=quads.t[:3].T + 1)
    for name, sentence in {
        "prat.mesh/1": r"^sfepy has no mesh 'prat.mesh' in two or three dimensions; did you mean 'part.mesh'\?$",
        "part.mesh": r"^the mesh 'part.mesh' does not go on with a number of refinements from 0 to 9; write ",
        "part.mesh/0/Q1": r"^the mesh 'part.mesh/0/Q1' cannot have the element 'Q1'; did you mean 'P1'\?$",
        "mixed.mesh/0": r"^sfepy's mesh 'mixed.mesh' has cells of kind quad, triangle, expected one kind alone, of ",
    }.items():
        with pytest.raises(InputError, match=sentence):
            real_problem(f"sfepy/{name}")
    monkeypatch.setattr(sfepy_meshes, "directory_of", package.directory_of)
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"^sfepy is not installed; run pip install sfepy$"):
        real_problem("sfepy/part.mesh/1")

"""Matrices of another finite element code, NGSolve, for `psparsity evaluate --suite DIR`.

    pip install ngsolve
    python -m studies.ngsolve_matrices --out runs/ngsolve
    psparsity evaluate --suite runs/ngsolve --out runs/ngsolve.parquet

None of them is made, meshed or numbered by this package: geometries by Open Cascade, meshes by Netgen (Schoeberl 1997),
elements of NGSolve, whose bases of degree two and more are hierarchical, not nodal, so that constants are not vectors
of ones. No policy is trained on them or chosen by them; they are here to find out what the policies do on matrices of
others. Rows of fixed values are left out, and displacements are numbered point by point.
"""

# NGSolve is not installed with the project.
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp


def assembled(form: Any, space: Any, block: int = 1) -> sp.sparray:
    """The matrix of the bilinear `form` for the unknowns that are free; by blocks if components follow one another."""
    form.Assemble()
    rows, columns, values = (np.asarray(part) for part in form.mat.COO())
    whole = sp.csr_array((values, (rows, columns)), shape=(space.ndof, space.ndof))
    free = np.asarray(space.FreeDofs(), dtype=bool)
    if block == 1:
        return whole[free][:, free]
    points = free.reshape(block, -1)
    kept = np.flatnonzero(points.all(axis=0))
    order = (kept[:, None] + np.arange(block) * points.shape[1]).ravel()
    return sp.bsr_array(whole[order][:, order], blocksize=(block, block))


def meshed(shape: Any, maxh: float, dimension: int = 3, refinements: int = 0, **options: Any) -> Any:
    """Netgen's mesh of an Open Cascade shape, with elements of at most `maxh`."""
    from netgen.occ import OCCGeometry
    from ngsolve import Mesh

    mesh = Mesh(OCCGeometry(shape, dim=dimension).GenerateMesh(maxh=maxh, **options))
    for _ in range(refinements):
        mesh.Refine()
    return mesh


def diffusion(mesh: Any, coefficient: Any = 1.0, mass: Any = 0.0, degree: int = 1, fixed: str = ".*") -> sp.sparray:
    """-div(coefficient grad u) + mass u on H1 elements, u = 0 on the boundaries that `fixed` matches."""
    from ngsolve import H1, BilinearForm, dx, grad

    space = H1(mesh, order=degree, dirichlet=fixed)
    u, v = space.TnT()
    return assembled(BilinearForm((coefficient * grad(u)) * grad(v) * dx + mass * u * v * dx), space)


def adapted(mesh: Any, coefficient: Any, degree: int, unknowns: int) -> sp.sparray:
    """Diffusion on a mesh refined where the flux and its continuous average differ most (Zienkiewicz and Zhu 1987)."""
    from ngsolve import H1, BilinearForm, GridFunction, HDiv, Integrate, LinearForm, TaskManager, dx, grad

    while True:
        space = H1(mesh, order=degree, dirichlet=".*")
        if space.ndof > unknowns:
            return diffusion(mesh, coefficient, degree=degree)
        u, v = space.TnT()
        form, load = BilinearForm(coefficient * grad(u) * grad(v) * dx), LinearForm(v * dx)
        solution = GridFunction(space)
        with TaskManager():
            solution.vec.data = form.Assemble().mat.Inverse(space.FreeDofs()) * load.Assemble().vec
        flux = coefficient * grad(solution)
        smooth = GridFunction(HDiv(mesh, order=1))
        smooth.Set(flux)
        errors = np.asarray(Integrate((flux - smooth) * (flux - smooth) / coefficient, mesh, element_wise=True))
        for element, error in zip(mesh.Elements(), errors, strict=True):
            mesh.SetRefinementFlag(element, bool(error > 0.25 * errors.max()))
        mesh.Refine()


def elasticity(mesh: Any, degree: int, fixed: str) -> sp.sparray:
    """Linear elasticity, Young's modulus 1 and Poisson's ratio 0.3, clamped at `fixed`, with a block a point."""
    from ngsolve import BilinearForm, Grad, Id, InnerProduct, Sym, Trace, VectorH1, dx

    space = VectorH1(mesh, order=degree, dirichlet=fixed)
    u, v = space.TnT()
    lame, shear = 0.3 / (1.3 * 0.4), 0.5 / 1.3
    strain = Sym(Grad(u))
    stress = 2 * shear * strain + lame * Trace(strain) * Id(mesh.dim)
    return assembled(BilinearForm(InnerProduct(stress, Sym(Grad(v))) * dx), space, mesh.dim)


def chip(maxh: float) -> Any:
    """Three materials with corners between them, ``base``, ``die`` and ``top``."""
    from netgen.occ import Glue, MoveTo

    base = MoveTo(0, 0).Rectangle(1, 0.6).Face()
    die = MoveTo(0.2, 0.15).Rectangle(0.6, 0.1).Face()
    top = MoveTo(0.35, 0.25).Rectangle(0.3, 0.2).Face()
    base.faces.name, die.faces.name, top.faces.name = "base", "die", "top"
    return meshed(Glue([base - die - top, die, top]), maxh, 2)


def plate(maxh: float, refinements: int = 0, **options: Any) -> Any:
    """A plate with three holes, its left edge called ``left``."""
    from netgen.occ import Circle, MoveTo, X

    shape = MoveTo(0, 0).Rectangle(2, 1).Face()
    for x, y, radius in ((0.5, 0.5, 0.25), (1.2, 0.3, 0.15), (1.5, 0.7, 0.1)):
        shape -= Circle((x, y), radius).Face()
    shape.edges.Min(X).name = "left"
    return meshed(shape, maxh, 2, refinements, **options)


def bracket(maxh: float, refinements: int = 0) -> Any:
    """An angle bracket with a rounded corner and two bores; its foot is called ``foot``."""
    from netgen.occ import Box, Cylinder, X, Z

    body = Box((0, 0, 0), (1, 0.6, 0.15)) + Box((0, 0, 0), (0.15, 0.6, 0.8))
    body -= Cylinder((0.7, 0.3, -1), Z, r=0.12, h=2)
    body -= Cylinder((-1, 0.3, 0.5), X, r=0.1, h=2)
    body = body.MakeFillet([body.edges.Nearest((0.15, 0.3, 0.15))], 0.05)
    body.faces.Min(Z).name = "foot"
    return meshed(body, maxh, 3, refinements)


def spheres(maxh: float) -> Any:
    """A cube with seven balls of another material, called ``ball``."""
    from netgen.occ import Box, Glue, Sphere

    cube = Box((0, 0, 0), (1, 1, 1))
    centres = ((0.25, 0.25, 0.25), (0.75, 0.3, 0.3), (0.3, 0.75, 0.3), (0.7, 0.7, 0.25), (0.5, 0.5, 0.55))
    balls = [Sphere(centre, 0.15) for centre in (*centres, (0.2, 0.2, 0.75), (0.8, 0.75, 0.75))]
    for ball in balls:
        ball.mat("ball")
        cube -= ball
    cube.mat("matrix")
    return meshed(Glue([cube, *balls]), maxh)


def l_shape(maxh: float) -> Any:
    from netgen.occ import MoveTo

    return meshed(MoveTo(-1, -1).Rectangle(2, 2).Face() - MoveTo(0, -1).Rectangle(1, 1).Face(), maxh, 2)


def chip_adapted(degree: int, unknowns: int) -> sp.sparray:
    mesh = chip(0.1)
    return adapted(mesh, mesh.MaterialCF({"base": 1.0, "die": 1000.0, "top": 10.0}), degree, unknowns)


def plate_rotated() -> sp.sparray:
    """A hundredth of the conductivity across a direction that is no axis."""
    from ngsolve import CF

    c, s = np.cos(0.7), np.sin(0.7)
    mixed = 0.99 * c * s
    return diffusion(plate(0.025), CF((c * c + 0.01 * s * s, mixed, mixed, s * s + 0.01 * c * c), dims=(2, 2)))


def plate_smooth_coefficient() -> sp.sparray:
    from ngsolve import exp, sin, x, y

    return diffusion(plate(0.02), exp(4 * sin(9 * x) * sin(7 * y)))


def plate_nonconforming() -> sp.sparray:
    """Crouzeix-Raviart elements."""
    from ngsolve import BilinearForm, FESpace, dx, grad

    space = FESpace("nonconforming", plate(0.03), order=1, dirichlet=".*")
    u, v = space.TnT()
    return assembled(BilinearForm(grad(u) * grad(v) * dx), space)


def plate_discontinuous() -> sp.sparray:
    """The symmetric interior penalty method with elements of degree two."""
    from ngsolve import L2, BilinearForm, ds, dx, grad, specialcf

    space = L2(plate(0.05), order=2, dgjumps=True)
    u, v = space.TnT()
    n, penalty = specialcf.normal(2), 40 / specialcf.mesh_size
    jump_u, jump_v = u - u.Other(), v - v.Other()
    mean_u, mean_v = 0.5 * n * (grad(u) + grad(u.Other())), 0.5 * n * (grad(v) + grad(v.Other()))
    form = BilinearForm(grad(u) * grad(v) * dx)
    form += (penalty * jump_u * jump_v - mean_u * jump_v - mean_v * jump_u) * dx(skeleton=True)
    form += (penalty * u * v - n * grad(u) * v - n * grad(v) * u) * ds(skeleton=True)
    return assembled(form, space)


def boundary_layer() -> sp.sparray:
    """Quadrilaterals that are up to a hundred times thinner at the wall."""
    from ngsolve.meshes import MakeStructured2DMesh

    return diffusion(MakeStructured2DMesh(nx=80, ny=80, mapping=lambda x, y: (x, (100.0**y - 1) / 99)))


def sphere_surface() -> sp.sparray:
    """The Laplace-Beltrami operator and a thousandth of the mass."""
    from netgen.meshing import MeshingStep
    from netgen.occ import Sphere
    from ngsolve import H1, BilinearForm, ds, grad

    space = H1(meshed(Sphere((0, 0, 0), 1.0), 0.05, perfstepsend=MeshingStep.MESHSURFACE), order=1)
    u, v = space.TnT()
    return assembled(BilinearForm((grad(u).Trace() * grad(v).Trace() + 1e-3 * u * v) * ds), space)


def conducting_spheres(conductivity: float) -> sp.sparray:
    mesh = spheres(0.04)
    return diffusion(mesh, mesh.MaterialCF({"matrix": 1.0, "ball": conductivity}))


def thin_plate() -> sp.sparray:
    """Flat tetrahedra: a plate a fiftieth as thick as wide."""
    from ngsolve.meshes import MakeStructured3DMesh

    cells = {"hexes": False, "nx": 32, "ny": 32, "nz": 8}
    return diffusion(MakeStructured3DMesh(**cells, mapping=lambda x, y, z: (x, y, 0.02 * z)), fixed="left")


def hexahedra_quadratic() -> sp.sparray:
    from ngsolve.meshes import MakeStructured3DMesh

    return diffusion(MakeStructured3DMesh(nx=11, ny=11, nz=11), degree=2)


MATRICES: dict[str, Callable[[], sp.sparray]] = {
    "chip_adapted": lambda: chip_adapted(1, 12_000),
    "chip_adapted_quadratic": lambda: chip_adapted(2, 9_000),
    "l_shape_adapted": lambda: adapted(l_shape(0.2), 1.0, 1, 10_000),
    "plate_linear": lambda: diffusion(plate(0.02)),
    "plate_fine": lambda: diffusion(plate(0.02, refinements=2)),
    "plate_quadrilaterals": lambda: diffusion(plate(0.02, quad_dominated=True)),
    "plate_cubic": lambda: diffusion(plate(0.05), degree=3),
    "plate_insulated": lambda: diffusion(plate(0.04, refinements=1), fixed="left"),
    "plate_time_step": lambda: diffusion(plate(0.02), 1e-3, 1.0, fixed=""),
    "plate_rotated": plate_rotated,
    "plate_smooth_coefficient": plate_smooth_coefficient,
    "plate_nonconforming": plate_nonconforming,
    "plate_discontinuous": plate_discontinuous,
    "plate_elasticity": lambda: elasticity(plate(0.025), 1, "left"),
    "plate_elasticity_quadratic": lambda: elasticity(plate(0.05), 2, "left"),
    "boundary_layer": boundary_layer,
    "sphere_surface": sphere_surface,
    "bracket_linear": lambda: diffusion(bracket(0.03), fixed="foot"),
    "bracket_refined": lambda: diffusion(bracket(0.08, refinements=1)),
    "bracket_fine": lambda: diffusion(bracket(0.04, refinements=1), fixed="foot"),
    "bracket_quadratic": lambda: diffusion(bracket(0.07), degree=2, fixed="foot"),
    "bracket_time_step": lambda: diffusion(bracket(0.03), 1e-2, 1.0, fixed="foot"),
    "bracket_elasticity": lambda: elasticity(bracket(0.06), 1, "foot"),
    "spheres_conducting": lambda: conducting_spheres(1e4),
    "spheres_insulating": lambda: conducting_spheres(1e-4),
    "thin_plate": thin_plate,
    "hexahedra_quadratic": hexahedra_quadratic,
}
"""What makes each, by its name."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/ngsolve"), help="a new directory (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.out.exists():
        print(f"{options.out} is there already, expected a new directory; take another name", file=sys.stderr)
        return 2
    try:
        import ngsolve
    except ImportError:
        print("studies.ngsolve_matrices: ngsolve is not installed, expected it; pip install ngsolve", file=sys.stderr)
        return 2
    print(f"NGSolve {ngsolve.__version__}")
    options.out.mkdir(parents=True)
    for name, make in MATRICES.items():
        made = make()
        sp.save_npz(options.out / f"{name}.npz", made)
        print(f"{name}: {made.shape[0]} unknowns, {made.nnz} entries", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The Laplacian on the surface of a brain: the mesh fsaverage5 (Fischl et al. 1999) that comes with nilearn."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families.family import symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.ranges import nearest
from rllib_psparsity.problems.real.package import directory_of
from rllib_psparsity.problems.surface_laplacian import surface_laplacian

FAMILY = "real mesh"
SURFACES = tuple(f"{surface}_{side}" for surface in ("pial", "white", "infl", "sphere") for side in ("left", "right"))
"""Outer and inner boundary of the grey matter, the latter inflated, and laid on a sphere."""


def problem(name: str) -> Problem:
    """-Laplace-Beltrami(u), linear elements, on a surface such as ``pial_left``: 10,242 points, the last removed.

    The surface is closed, and so the matrix of all points singular. Folds give it obtuse triangles, and those positive
    entries off the diagonal.
    """
    if name not in SURFACES:
        raise InputError(f"there is no surface {name!r}; {nearest(name, SURFACES)}")
    directory = directory_of("nilearn", "nilearn") / "datasets" / "data" / "fsaverage5"
    from nibabel.gifti.gifti import GiftiImage

    surface = GiftiImage.from_filename(directory / f"{name}.gii.gz")
    points, triangles = (array.data for array in surface.darrays)
    matrix = symmetric_csr(surface_laplacian(points.astype(float), triangles)[:-1, :-1])
    return Problem(matrix, np.ones((matrix.shape[0], 1)), f"nilearn/{name}", FAMILY, {})

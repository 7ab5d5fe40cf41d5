"""The near-nullspace of linear elasticity: what a body does without being strained."""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.errors import InputError


def rigid_body_modes(points: Any) -> np.ndarray:
    """Translations and infinitesimal rotations about the centre, as candidates B of a matrix of linear elasticity.

    Parameters
    ----------
    points : (N, 2) or (N, 3) array
        Coordinates of the nodes, in the order of the matrix's blocks; of those that it has, without fixed nodes.

    Returns
    -------
    B : (2 N, 3) or (3 N, 6) float64
        Displacements of a node side by side. Columns are the translations along the axes, then the rotation about z,
        then, in three dimensions, those about x and y.

    Raises
    ------
    InputError
        No such array, or coordinates that are not finite.

    Notes
    -----
    As PETSc's ``MatNullSpaceCreateRigidBody``, but not orthonormalised. For smoothed aggregation with these modes see
    Vanek, Mandel and Brezina, Computing 56 (1996).
    """
    try:
        x = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"points are {type(points).__name__} that holds no numbers, expected coordinates") from None
    if x.ndim != 2 or x.shape[1] not in (2, 3) or len(x) == 0:
        raise InputError(
            f"points have shape {x.shape}, expected (N, 2) or (N, 3); pass a row of coordinates for each node"
        )
    if not np.isfinite(x).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise InputError(f"points have {x[place]} at {place}, expected finite coordinates; pass those of the nodes")
    d = x.shape[1]
    x = x - x.mean(axis=0)
    planes = ((0, 1), (1, 2), (2, 0))[: 2 * d - 3]
    modes = np.zeros((len(x), d, d + len(planes)))
    modes[:, range(d), range(d)] = 1
    for column, (i, j) in enumerate(planes, start=d):
        modes[:, i, column], modes[:, j, column] = -x[:, j], x[:, i]
    return modes.reshape(len(x) * d, -1)

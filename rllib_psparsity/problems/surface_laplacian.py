"""Linear elements on a triangulated surface in space."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array


def surface_laplacian(points: np.ndarray, triangles: np.ndarray) -> Any:
    """(n, n) CSR stiffness matrix of linear elements on a surface; points (n, 3), triangles (t, 3) of their indices.

    The gradients of a triangle's hat functions are its opposite edges e, turned by a right angle and divided by twice
    the area: entries ``e_i . e_j / (4 area)``, the cotangent formula (Pinkall and Polthier 1993).
    """
    corners = points[triangles]
    edges = corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]]
    area = 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    values = np.einsum("tid,tjd->tij", edges, edges) / (4.0 * area[:, None, None])
    rows, columns = np.repeat(triangles, 3, axis=1), np.tile(triangles, 3)
    n = len(points)
    return coo_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=(n, n)).tocsr()

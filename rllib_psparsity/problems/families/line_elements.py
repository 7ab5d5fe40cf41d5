"""Finite elements of any degree on a line of cells, of which tensor-product elements are made.

But for splines, the basis of a cell is Lagrange's at the Gauss-Lobatto points. The constant has all coefficients one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from scipy.interpolate import BSpline
from scipy.sparse import coo_array, csr_array, kron

from rllib_psparsity.problems.families.family import symmetric_csr


def widths(rng: np.random.Generator, cells: int, grading: float) -> np.ndarray:
    """(cells,) lognormal widths of mean one; `grading` is the standard deviation of their logarithm."""
    drawn = np.exp(grading * rng.standard_normal(cells))
    return drawn / drawn.mean()


@lru_cache(maxsize=16)
def unit_cell(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(d, d) stiffness and mass of a cell of width one, and (2, d) derivatives at its ends, d being degree + 1."""
    inner = legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))
    to_basis = np.linalg.inv(legendre.legvander(np.concatenate([[-1.0], np.sort(inner), [1.0]]), degree))
    points, weights = legendre.leggauss(degree + 1)
    derive = legendre.legder(np.eye(degree + 1))  # columns: the Legendre polynomials
    values = legendre.legvander(points, degree) @ to_basis
    slopes = legendre.legval(np.concatenate([points, [-1.0, 1.0]]), derive).T @ to_basis * 2
    mass = values.T @ (values * weights[:, None]) / 2
    stiffness = slopes[:-2].T @ (slopes[:-2] * weights[:, None]) / 2
    return (stiffness + stiffness.T) / 2, (mass + mass.T) / 2, slopes[-2:]


def continuous(h: np.ndarray, degree: int) -> tuple[csr_array, csr_array]:
    """Stiffness and mass of continuous elements on cells of widths h; u = 0 at both ends, where it is no unknown."""
    stiffness, mass, _ = unit_cell(degree)
    unknowns = np.arange(len(h))[:, None] * degree + np.arange(degree + 1) - 1  # (cells, d)
    unknowns[-1, -1] = -1
    return assembled(unknowns, stiffness / h[:, None, None]), assembled(unknowns, mass * h[:, None, None])


def discontinuous(h: np.ndarray, degree: int, penalty: float) -> tuple[csr_array, csr_array]:
    """Stiffness and mass of discontinuous elements, by the symmetric interior penalty method (Arnold 1982).

    A face between widths g and h has the penalty ``penalty degree^2 (1 / g + 1 / h) / 2``, an end of the line, where
    u = 0 is imposed weakly, ``penalty degree^2 2 / h``; with `penalty` above 1 the stiffness is positive definite.
    """
    stiffness, mass, slopes = unit_cell(degree)
    d, cells = degree + 1, len(h)
    unknowns = np.arange(cells * d).reshape(cells, d)
    parts = [assembled(unknowns, stiffness / h[:, None, None])]
    for face in range(cells + 1):
        sides = [(cell, sign) for cell, sign in ((face - 1, 1.0), (face, -1.0)) if 0 <= cell < cells]
        jump, slope = np.zeros((len(sides), d)), np.zeros((len(sides), d))
        for row, (cell, sign) in enumerate(sides):  # slopes all point in one direction, as the signs do
            end = 1 if sign > 0 else 0
            jump[row, -1 if end else 0] = sign
            slope[row] = slopes[end] / h[cell] / len(sides)
        strength = sum(1 / h[cell] for cell, _ in sides) / 2 if len(sides) == 2 else 2 / h[sides[0][0]]
        j, s = jump.ravel(), slope.ravel()
        entries = penalty * degree**2 * strength * np.outer(j, j) - np.outer(j, s) - np.outer(s, j)
        parts.append(assembled(unknowns[[cell for cell, _ in sides]].reshape(1, -1), entries[None], cells * d))
    return symmetric_csr(sum(parts[1:], parts[0])), assembled(unknowns, mass * h[:, None, None])


def splines(h: np.ndarray, degree: int) -> tuple[csr_array, csr_array]:
    """Stiffness and mass of B-splines as smooth as their degree allows, u = 0 at both ends (Hughes et al. 2005).

    One unknown for each of the ``len(h) + degree`` splines but the first and the last; all splines sum up to one.
    """
    ends = np.concatenate([[0.0], np.cumsum(h)])
    knots = np.concatenate([np.zeros(degree), ends, np.full(degree, ends[-1])])
    points, weights = legendre.leggauss(degree + 1)
    x = (ends[:-1, None] + (points + 1) / 2 * h[:, None]).ravel()
    w = (weights / 2 * h[:, None]).ravel()[:, None]
    basis = BSpline(knots, np.eye(len(h) + degree), degree)
    values, slopes = (csr_array(b(x)[:, 1:-1]) for b in (basis, basis.derivative()))
    return symmetric_csr(slopes.T @ (slopes * w)), symmetric_csr(values.T @ (values * w))


def tensor_matrix(axes: list[tuple[csr_array, csr_array]], conductivity: list[float], reaction: float) -> csr_array:
    """-div(K grad u) + reaction u, K diagonal: tensor products of `axes`, (stiffness, mass), the first one fastest."""
    terms = [reaction * _product([mass for _, mass in axes])]
    for along, k in enumerate(conductivity):
        terms.append(k * _product([pair[0 if axis == along else 1] for axis, pair in enumerate(axes)]))
    return symmetric_csr(sum(terms[1:], terms[0]))


def _product(factors: list[csr_array]) -> csr_array:
    product = factors[-1]
    for factor in factors[-2::-1]:
        product = csr_array(kron(product, factor))
    return product


def assembled(unknowns: np.ndarray, elements: np.ndarray, size: int | None = None) -> csr_array:
    """Sum of (cells, d, d) elements; unknowns (cells, d), -1 for none."""
    d = unknowns.shape[1]
    rows, columns = np.repeat(unknowns, d, axis=1).ravel(), np.tile(unknowns, (1, d)).ravel()
    used = (rows >= 0) & (columns >= 0)
    size = size or int(unknowns.max()) + 1
    return symmetric_csr(coo_array((elements.ravel()[used], (rows[used], columns[used])), shape=(size, size)))

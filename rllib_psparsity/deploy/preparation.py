"""A user's matrix as the policy should see it: in sane units, with candidates that fit to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import bsr_array, csr_array
from scipy.sparse.csgraph import connected_components

from rllib_psparsity.amg.relaxation import Relaxation
from rllib_psparsity.problems.validation import check_matrix

UNIFORM_SPREAD = 20
"""Scaling exponents of the unknowns that differ by at most this are replaced by their median: 2^40 in the diagonal."""
USUAL_EXPONENT = 10
"""A common exponent within plus and minus this is left out: a diagonal between some 1e-6 and 1e6, candidates between
some 1e-3 and 1e3."""
CLEARLY = 0.1
"""Other candidates replace constants only if their Rayleigh quotient is below this share of the constants'."""
SWEEPS = 20
"""Of symmetric Gauss-Seidel on default candidates where every unknown has units of its own. There 1 / sqrt(a_ii) is off
by the variation of the original diagonal, also on a part that nothing holds: a coarse level that knows its nullspace up
to some 1e-3 looks definite, and its solves multiply rounding by 1e7. One in 1,300 small matrices was not solved so."""
LEAST_LEFT = 1e-2
"""Share of a candidate's largest entry that has to be left of it."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Powers of two s (n,): the hierarchy is built for S A S, S = diag(s), with candidates S^-1 B.

    Symmetric Gauss-Seidel commutes with such a scaling, so a V-cycle for S A S is one for A if the finest prolongator
    is multiplied by S from the left. Powers of two round nothing.
    """

    s: np.ndarray

    def matrix(self, A: csr_array | bsr_array) -> csr_array | bsr_array:
        """S A S."""
        return _times(A, self.s, self.s)

    def candidates(self, B: np.ndarray) -> np.ndarray:
        """S^-1 B."""
        return B / self.s[:, None]

    def prolongator(self, P: csr_array | bsr_array) -> csr_array | bsr_array:
        """S P."""
        return _times(P, self.s, None)


@dataclass(frozen=True, slots=True)
class System:
    """A user's checked matrix.

    Attributes
    ----------
    A, B : the matrix in canonical form, and its candidates
    scaling : of the unknowns, None where the matrix needs none
    scaled_A, scaled_B : what hierarchies are built for
    """

    A: csr_array | bsr_array
    B: np.ndarray
    scaling: Scaling | None
    scaled_A: csr_array | bsr_array
    scaled_B: np.ndarray


def prepare(A: Any, B: Any, block_size: int | None = None) -> System:
    """Check a matrix and its candidates, and bring them into the units that hierarchies are built in.

    `block_size` is for a matrix that has no blocks of its own, as in `check_matrix`.
    """
    matrix, candidates = check_matrix(A, B, block_size=block_size)
    diagonal = matrix.diagonal()
    if B is None:
        candidates = default_candidates(matrix, diagonal, candidates)
    scaled = scaling_of(diagonal)
    if scaled is None:
        return System(matrix, candidates, None, matrix, of_usual_length(candidates))
    scaled_A, scaled_B = scaled.matrix(matrix), of_usual_length(scaled.candidates(candidates))
    if B is None and np.ptp(scaled.s) > 0:
        scaled_B = of_usual_length(_relaxed(scaled_A, scaled_B))
    return System(matrix, candidates, scaled, scaled_A, scaled_B)


def scaling_of(diagonal: np.ndarray) -> Scaling | None:
    """The scaling that a matrix with this diagonal needs, None for usual ones.

    A common factor where the diagonal stays within twelve decades, so that ``learned_solver(c * A)`` decides as for A;
    otherwise the diagonal is brought near 1, unknown by unknown.
    """
    exponents = np.round(-np.log2(diagonal) / 2)
    if np.ptp(exponents) <= UNIFORM_SPREAD:
        exponents[:] = np.round(np.median(exponents))
        if abs(exponents[0]) <= USUAL_EXPONENT:
            return None
    return Scaling(np.exp2(exponents))


def of_usual_length(B: np.ndarray) -> np.ndarray:
    """Candidates of which products neither overflow nor vanish: columns near 1, by powers of two, where one is not.

    A factor of a candidate changes nothing that is built from it.
    """
    exponents = np.frexp(np.abs(B).max(axis=0))[1]
    return B if (np.abs(exponents) <= USUAL_EXPONENT).all() else np.ldexp(B, -exponents)


def default_candidates(A: csr_array | bsr_array, diagonal: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """What stands for the near-nullspace where a user gave nothing: constants, or 1 / sqrt(a_ii) times constants.

    Both are judged by b^T A b / b^T D b, D the diagonal of A, which no diagonal scaling of A and b changes. For
    diffusion constants are nearly in the nullspace; once the unknowns are in other units each, ``A -> E A E`` with a
    diagonal matrix E, it is the second, up to the variation of the original diagonal.

    Parameters
    ----------
    diagonal : (n,) of A; constants : (n, K_b), one per unknown of a block
    """
    scaled = constants / np.sqrt(diagonal)[:, None]
    if (diagonal == diagonal[0]).all():
        return constants
    return scaled if _quotient(A, diagonal, scaled) < CLEARLY * _quotient(A, diagonal, constants) else constants


def _relaxed(A: csr_array | bsr_array, B: np.ndarray) -> np.ndarray:
    """After `SWEEPS` on A B = 0, but as it was on connected parts where they leave next to nothing.

    What a diagonal entry alone holds, or a strong shift, has no smooth error.
    """
    relaxed = Relaxation(A).smooth(B, SWEEPS)
    nodes = len(A.indptr) - 1
    pattern = csr_array((np.ones(len(A.indices)), A.indices, A.indptr), shape=(nodes, nodes))
    count, part = connected_components(pattern, directed=False)
    part = np.repeat(part, len(B) // nodes)
    before, after = np.zeros((2, count, B.shape[1]))
    np.maximum.at(before, part, np.abs(B))
    np.maximum.at(after, part, np.abs(relaxed))
    return np.where((after < LEAST_LEFT * before)[part], B, relaxed)


def _quotient(A: csr_array | bsr_array, diagonal: np.ndarray, B: np.ndarray) -> float:
    return float(np.sum(B * (A @ B)) / np.sum(B * B * diagonal[:, None]))


def _times(M: csr_array | bsr_array, rows: np.ndarray, columns: np.ndarray | None) -> csr_array | bsr_array:
    """diag(rows) M diag(columns), sharing M's indices."""
    if M.format == "csr":
        data = M.data * np.repeat(rows, np.diff(M.indptr))
        if columns is not None:
            data *= columns[M.indices]
    else:
        height, width = M.blocksize
        block_rows = np.repeat(np.arange(len(M.indptr) - 1), np.diff(M.indptr))
        data = M.data * rows.reshape(-1, height)[block_rows][:, :, None]
        if columns is not None:
            data *= columns.reshape(-1, width)[M.indices][:, None, :]
    return type(M)((data, M.indices, M.indptr), shape=M.shape)

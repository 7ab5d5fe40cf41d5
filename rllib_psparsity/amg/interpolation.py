"""Classical coarsening of scalar problems: the C/F splitting, and interpolation from its coarse points.

PyAMG has the same formulas (`pyamg.classical.interpolate`), but its kernels print a line on the terminal wherever a
denominator vanishes. A mask that a policy draws does that often, so here such a row of P is empty, silently.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pyamg import amg_core
from scipy.sparse import csr_array

from rllib_psparsity.compiled import compiled

VANISHING = 1e-14
"""A denominator below this share of the magnitudes it was summed from counts as zero."""
LEAST_CANDIDATE = 1e-3
"""Smallest over largest entry of a candidate that interpolation is fitted to."""

Kind = Literal["direct", "modified"]


def without_diagonal(C: csr_array) -> csr_array:
    """The off-diagonal entries of a strength matrix, (N, N) csr_array with sorted indices and entries 1 of int8."""
    indptr, indices = np.zeros_like(C.indptr), np.empty_like(C.indices)
    count = _drop_diagonal(C.indptr, C.indices, indptr, indices)
    return csr_array((np.ones(count, dtype=np.int8), indices[:count], indptr), shape=C.shape)


def split(S: csr_array) -> np.ndarray:
    """C/F splitting of Ruge and Stueben (1987), first pass, by PyAMG's kernel.

    Parameters
    ----------
    S : (N, N) csr_array, the strong couplings without a diagonal; symmetric, sorted indices

    Returns
    -------
    (N,) int32, 1 at C points and 0 at F points
    """
    splitting, influence = np.empty(S.shape[0], dtype=np.int32), np.zeros(S.shape[0], dtype=np.int32)
    # The kernel takes S and its transpose, which are the same.
    amg_core.rs_cf_splitting(S.shape[0], S.indptr, S.indices, S.indptr, S.indices, influence, splitting)
    return splitting


def strongest_column(P: csr_array) -> np.ndarray:
    """(N,) int32: for each row the column with the largest magnitude, the first one of equals; -1 for an empty row."""
    strongest = np.full(P.shape[0], -1, dtype=np.int32)
    _strongest_column(P.indptr, P.indices, P.data, strongest)
    return strongest


def interpolate_candidate(A: csr_array, S: csr_array, splitting: np.ndarray, kind: Kind, b: np.ndarray) -> csr_array:
    """`interpolate`, fitted to a candidate b (N,): where A b vanishes, P reproduces b from its values at C points.

    The weights of classical interpolation reproduce constants, since its coarse points stand for a smooth error that is
    nearly constant. Below a level of smoothed aggregation it is not, but like the candidate; nor is it near a boundary,
    where relaxation has made the candidate small. So the weights are those of ``diag(b) A diag(b)``, for which b is
    the constant, scaled back: adaptive AMG's fitting to a candidate (Brezina, Falgout, MacLachlan, Manteuffel,
    McCormick and Ruge, SIAM J. Sci. Comput. 27, 2006). A constant b changes nothing, and one that has not one sign, or
    entries `LEAST_CANDIDATE` times smaller than others, is left alone.
    """
    largest = b[np.argmax(np.abs(b))]
    b = b / largest if largest != 0.0 else b
    least = b.min()
    if not LEAST_CANDIDATE < least < 1.0:
        return interpolate(A, S, splitting, kind)
    scaled = csr_array((_scaled(A.indptr, A.indices, A.data, b), A.indices, A.indptr), shape=A.shape)
    P = interpolate(scaled, S, splitting, kind)
    _scale_back(P.indptr, P.indices, P.data, b, b[splitting == 1])
    return P


def interpolate(A: csr_array, S: csr_array, splitting: np.ndarray, kind: Kind) -> csr_array:
    """The prolongator of a C/F splitting: the identity at C points, weights of the strong C points elsewhere.

    Parameters
    ----------
    A : (N, N) csr_array with sorted indices
    S : (N, N) csr_array with sorted indices, the strong couplings, without a diagonal; its values play no role, and a
        coupling where A has no entry is not one
    splitting : (N,) int, 1 at C points and 0 at F points
    kind : "direct" or "modified"

    Returns
    -------
    (N, N_C) csr_array. The row of an F point is empty if none of its strong neighbours is a C point, or if the
    denominator of its weights vanishes.

    Notes
    -----
    With C_i the strong C neighbours of the F point i, and all sums without k = i:

    direct (Stueben, in Trottenberg, Oosterlee and Schueller, Multigrid, 2001, page 479): negative and
    positive couplings are interpolated apart,

        w_ij = -alpha_i a_ij / a_ii,   alpha_i = sum_{k: a_ik < 0} a_ik / sum_{k in C_i: a_ik < 0} a_ik

    for a_ij < 0, and alike with beta_i for a_ij > 0. Without a positive coupling in C_i, the positive ones are added to
    a_ii.

    modified (De Sterck, Falgout, Nolting and Yang 2008, eq. 9): strong F neighbours k that share a strong C point with
    i are interpolated from C_i first, all others are lumped into the diagonal,

        w_ij = -(a_ij + sum_k a_ik ~a_kj / sum_{m in C_i} ~a_km) / (a_ii + sum of the other a_ik)

    with ~a_km = a_km unless it has the sign of a_kk, then 0. A k all of whose ~a_km are 0 is left out.
    """
    splitting = np.asarray(splitting, dtype=np.int32)
    is_coarse = splitting == 1
    number = (np.cumsum(is_coarse) - 1).astype(np.int32)
    fill = {"direct": _direct, "modified": _modified}[kind]
    # A C point takes one entry, an F point at most one for each strong coupling.
    capacity = S.nnz + int(is_coarse.sum())
    indptr = np.zeros(A.shape[0] + 1, dtype=np.int32)
    indices = np.empty(capacity, dtype=np.int32)
    data = np.empty(capacity)
    count = fill(A.indptr, A.indices, A.data, S.indptr, S.indices, is_coarse, number, indptr, indices, data)
    return csr_array((data[:count], indices[:count], indptr), shape=(A.shape[0], int(is_coarse.sum())))


@compiled()
def _direct(indptr, indices, data, s_indptr, s_indices, is_coarse, number, p_indptr, p_indices, p_data):
    n = len(is_coarse)
    chosen = np.full(n, -1, dtype=np.int32)  # chosen[j] == i: j is in C_i
    count = 0
    for i in range(n):
        if is_coarse[i]:
            p_indices[count] = number[i]
            p_data[count] = 1.0
            count += 1
        else:
            _mark_coarse_neighbours(s_indptr, s_indices, is_coarse, i, chosen)
            diagonal, negative, positive, chosen_negative, chosen_positive = 0.0, 0.0, 0.0, 0.0, 0.0
            for e in range(indptr[i], indptr[i + 1]):
                j, a = indices[e], data[e]
                if j == i:
                    diagonal += a
                elif a < 0.0:
                    negative += a
                    if chosen[j] == i:
                        chosen_negative += a
                else:
                    positive += a
                    if chosen[j] == i:
                        chosen_positive += a
            magnitude = abs(diagonal)
            if chosen_positive == 0.0:
                diagonal += positive
            if abs(diagonal) > VANISHING * magnitude:
                alpha = negative / chosen_negative if chosen_negative != 0.0 else 0.0
                beta = positive / chosen_positive if chosen_positive != 0.0 else 0.0
                for e in range(indptr[i], indptr[i + 1]):
                    j, a = indices[e], data[e]
                    if chosen[j] == i:
                        p_indices[count] = number[j]
                        p_data[count] = -(alpha if a < 0.0 else beta) * a / diagonal
                        count += 1
        p_indptr[i + 1] = count
    return count


@compiled()
def _modified(indptr, indices, data, s_indptr, s_indices, is_coarse, number, p_indptr, p_indices, p_data):
    n = len(is_coarse)
    chosen = np.full(n, -1, dtype=np.int32)  # chosen[j] == i: j is in C_i
    strong = np.full(n, -1, dtype=np.int32)  # strong[j] == i: j is a strong neighbour of i
    numerator = np.zeros(n)
    count = 0
    for i in range(n):
        if is_coarse[i]:
            p_indices[count] = number[i]
            p_data[count] = 1.0
            count += 1
        else:
            _mark_coarse_neighbours(s_indptr, s_indices, is_coarse, i, chosen)
            for e in range(s_indptr[i], s_indptr[i + 1]):
                strong[s_indices[e]] = i
                numerator[s_indices[e]] = 0.0
            denominator, magnitude = 0.0, 0.0
            for e in range(indptr[i], indptr[i + 1]):
                k, a = indices[e], data[e]
                if chosen[k] == i:
                    numerator[k] += a
                elif strong[k] == i and _shares_coarse_point(s_indptr, s_indices, chosen, i, k):
                    _interpolate_neighbour(indptr, indices, data, chosen, i, k, a, numerator)
                else:
                    denominator += a
                    magnitude += abs(a)
            if abs(denominator) > VANISHING * magnitude:
                for e in range(indptr[i], indptr[i + 1]):
                    j = indices[e]
                    if chosen[j] == i:
                        p_indices[count] = number[j]
                        p_data[count] = -numerator[j] / denominator
                        count += 1
        p_indptr[i + 1] = count
    return count


@compiled()
def _mark_coarse_neighbours(s_indptr, s_indices, is_coarse, i, chosen):
    for e in range(s_indptr[i], s_indptr[i + 1]):
        if is_coarse[s_indices[e]]:
            chosen[s_indices[e]] = i


@compiled()
def _shares_coarse_point(s_indptr, s_indices, chosen, i, k):
    """Whether a strong neighbour of k is in C_i."""
    shares = False
    for e in range(s_indptr[k], s_indptr[k + 1]):
        shares |= chosen[s_indices[e]] == i
    return shares


@compiled()
def _interpolate_neighbour(indptr, indices, data, chosen, i, k, a_ik, numerator):
    """Distribute a_ik over C_i in proportion to ~a_km."""
    diagonal = 0.0
    for e in range(indptr[k], indptr[k + 1]):
        if indices[e] == k:
            diagonal += data[e]
    total = 0.0
    for e in range(indptr[k], indptr[k + 1]):
        if chosen[indices[e]] == i and data[e] * diagonal < 0.0:
            total += data[e]
    if total != 0.0:
        for e in range(indptr[k], indptr[k + 1]):
            if chosen[indices[e]] == i and data[e] * diagonal < 0.0:
                numerator[indices[e]] += a_ik * data[e] / total


@compiled()
def _drop_diagonal(indptr, indices, s_indptr, s_indices):
    count = 0
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] != i:
                s_indices[count] = indices[e]
                count += 1
        s_indptr[i + 1] = count
    return count


@compiled()
def _strongest_column(indptr, indices, data, strongest):
    for i in range(len(strongest)):
        largest = -1.0
        for e in range(indptr[i], indptr[i + 1]):
            if abs(data[e]) > largest:
                largest = abs(data[e])
                strongest[i] = indices[e]


@compiled()
def _scaled(indptr, indices, data, b):
    scaled = np.empty_like(data)
    for i in range(len(b)):
        for e in range(indptr[i], indptr[i + 1]):
            scaled[e] = data[e] * b[i] * b[indices[e]]
    return scaled


@compiled()
def _scale_back(indptr, indices, data, b, b_coarse):
    for i in range(len(b)):
        for e in range(indptr[i], indptr[i + 1]):
            data[e] *= b[i] / b_coarse[indices[e]]

"""From the strength matrix C to the prolongator P of one level, by the rules of a recipe.

C decides twice: which nodes form an aggregate (or become coarse points), and, as the filter of the prolongation
smoothing, where P may have entries.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from pyamg.aggregation.aggregate import standard_aggregation
from pyamg.aggregation.smooth import energy_prolongation_smoother, jacobi_prolongation_smoother
from pyamg.aggregation.tentative import fit_candidates
from pyamg.classical.split import RS
from pyamg.util.utils import get_Cpt_params, scale_T
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.interpolation import interpolate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.errors import SetupFailure

ENERGY_ITERATIONS = 4
"""CG iterations of the energy minimisation, PyAMG's default."""


@dataclass(frozen=True, slots=True)
class Prolongation:
    """The transfer of one level.

    Attributes
    ----------
    P : (n, n_coarse) csr_array for scalar problems, else bsr_array
    B_coarse : (n_coarse, K_b) near-nullspace candidates of the coarse level
    aggregates : (N,) int32
        Coarse node that each node belongs to: its aggregate, or, after a C/F splitting, the coarse node with the
        largest interpolation weight; -1 for a node that the coarse level does not see. Credit flows along it.
    """

    P: csr_array | bsr_array
    B_coarse: np.ndarray
    aggregates: np.ndarray


def prolongate(A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe) -> Prolongation:
    """Build P for the level (A, B) from the strength matrix C.

    Raises `SetupFailure` when there is no coarse node, or P is not finite.
    """
    build = {"sa": _smoothed_aggregation, "rootnode": _root_node, "classical": _classical}[recipe.coarsening]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # PyAMG and SciPy warn of conversions that are meant, and of divisions whose result is checked below.
        warnings.simplefilter("ignore")
        try:
            result = build(A, B, C, recipe)
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError) as error:
            raise SetupFailure(f"{recipe.name}: {error}") from error
    if not np.isfinite(result.P.data).all():
        raise SetupFailure(f"{recipe.name}: the prolongator has entries that are not finite")
    return result


def _aggregate(C: csr_array) -> tuple[csr_array, np.ndarray, np.ndarray]:
    """Standard aggregation (Vanek, Mandel and Brezina 1996): AggOp, root nodes, and the map node -> aggregate."""
    AggOp, roots = standard_aggregation(C)
    if len(roots) == 0:
        raise SetupFailure("the mask leaves no two nodes connected, so there is no aggregate")
    aggregates = np.full(C.shape[0], -1, dtype=np.int32)
    aggregates[np.diff(AggOp.indptr) > 0] = AggOp.indices
    return AggOp, roots, aggregates


def _smoothed_aggregation(A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe) -> Prolongation:
    AggOp, _, aggregates = _aggregate(C)
    T, B_coarse = fit_candidates(AggOp, B)
    if recipe.prolongation == "jacobi":
        # Local weights: a spectral radius from a random start would make P differ from run to run.
        P = jacobi_prolongation_smoother(A, T, C, B_coarse, filter_entries=True, weighting="local")
    else:
        P = energy_prolongation_smoother(
            A, T, C, B_coarse, None, (False, {}), maxiter=ENERGY_ITERATIONS, degree=_degree(recipe)
        )
    return Prolongation(_in_format_of(A, P), B_coarse, aggregates)


def _root_node(A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe) -> Prolongation:
    """Root-node aggregation: P is the identity at the roots (Manteuffel, Olson, Schroder and Southworth 2017)."""
    AggOp, roots, aggregates = _aggregate(C)
    block = A.blocksize[0] if A.format == "bsr" else 1
    T, _ = fit_candidates(AggOp, B[:, :block])
    parameters = get_Cpt_params(A, roots, AggOp, T)
    T = scale_T(T, parameters["P_I"], parameters["I_F"])
    B_coarse = np.asarray(parameters["P_I"].T @ B)
    P = energy_prolongation_smoother(
        A, T, C, B_coarse, B, (True, parameters), maxiter=ENERGY_ITERATIONS, degree=_degree(recipe)
    )
    return Prolongation(_in_format_of(A, P), B_coarse, aggregates)


def _classical(A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe) -> Prolongation:
    """Ruge-Stueben C/F splitting and interpolation; scalar problems only."""
    if A.format == "bsr":
        raise SetupFailure(f"{recipe.name}: classical coarsening does not take block matrices")
    S = C.copy()
    S.setdiag(0.0)
    S.eliminate_zeros()
    splitting = RS(S)
    coarse = np.flatnonzero(splitting)
    if len(coarse) == 0:
        raise SetupFailure("the mask leaves no coarse point")
    P = interpolate(A, S, splitting, "direct" if recipe.prolongation == "direct" else "modified")
    return Prolongation(P, B[coarse], _strongest_column(P))


def _strongest_column(P: csr_array) -> np.ndarray:
    """For each row the column with the largest magnitude, the first one of equals; -1 for an empty row."""
    strongest = np.full(P.shape[0], -1, dtype=np.int32)
    rows = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
    order = np.lexsort((-np.arange(P.nnz), np.abs(P.data), rows))
    strongest[rows[order]] = P.indices[order]  # the last assignment to a row wins: its largest, then its first
    return strongest


def _degree(recipe: Recipe) -> int:
    return int(recipe.prolongation.removeprefix("energy"))


def _in_format_of(A: csr_array | bsr_array, P: csr_array | bsr_array) -> csr_array | bsr_array:
    """Scalar problems stay CSR: PyAMG's aggregation smoothers return BSR with 1 x 1 blocks."""
    return P if A.format == "bsr" else csr_array(P)

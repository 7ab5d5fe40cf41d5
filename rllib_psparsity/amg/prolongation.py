"""From the strength matrix C to the prolongator P of one level, by the rules of a recipe.

C decides twice: which nodes form an aggregate (or become coarse points), and, as the filter of the prolongation
smoothing, where P may have entries.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from pyamg import amg_core
from pyamg.aggregation.tentative import fit_candidates
from pyamg.util.utils import get_Cpt_params, scale_T
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_energy import minimise_block_energy
from rllib_psparsity.amg.block_jacobi import smooth_blocks_by_jacobi
from rllib_psparsity.amg.energy_minimisation import minimise_energy
from rllib_psparsity.amg.interpolation import (
    interpolate,
    interpolate_candidate,
    split,
    strongest_column,
    without_diagonal,
)
from rllib_psparsity.amg.jacobi import smooth_by_jacobi
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.reproduction import reproduce_candidates
from rllib_psparsity.amg.tentative import fit_root_node, fit_smoothed_aggregation
from rllib_psparsity.errors import SetupFailure


@dataclass(frozen=True, slots=True)
class Coarsening:
    """The coarse nodes of a level; with C all that sets the pattern of P.

    Attributes
    ----------
    roots : (N_c,) int32, the node that each aggregate was grown from, or the C points of a C/F splitting, ascending
    aggregates : (N,) int32, -1 for a node without strong neighbours; None for a C/F splitting
    """

    roots: np.ndarray
    aggregates: np.ndarray | None


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
    coarsening : what P was built on
    """

    P: csr_array | bsr_array
    B_coarse: np.ndarray
    aggregates: np.ndarray
    coarsening: Coarsening


def prolongate(
    A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe, coarsening: Coarsening | None = None
) -> Prolongation:
    """Build P for the level (A, B) from the strength matrix C, on the coarse nodes of `coarsening` if they are given.

    Scalar problems with one candidate have kernels of their own, all others are blocks, scalar ones of one unknown.

    Raises `SetupFailure` when there is no coarse node, or P is not finite.
    """
    if recipe.coarsening == "classical":
        result = _classical(A, B, C, recipe, coarsening)
    else:
        if coarsening is None:
            aggregates, roots = aggregate(C)
            coarsening = Coarsening(roots, aggregates)
        if A.format == "csr" and B.shape[1] == 1:
            result = _scalar(A, B, C, recipe, coarsening)
        else:
            result = _by_blocks(A, B, C, recipe, coarsening)
    if not np.isfinite(result.P.data).all():
        raise SetupFailure(f"{recipe.name}: the prolongator has entries that are not finite")
    return result


def aggregate(C: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Standard aggregation (Vanek, Mandel and Brezina 1996), by PyAMG's kernel.

    Returns
    -------
    aggregates : (N,) int32, -1 for a node without strong neighbours
    roots : (N_c,) int32, the node that each aggregate was grown from
    """
    n = C.shape[0]
    aggregates, roots = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    count = amg_core.standard_aggregation(n, C.indptr, C.indices, aggregates, roots)
    if count == 0:
        raise SetupFailure("the mask leaves no two nodes connected, so there is no aggregate")
    return aggregates, roots[:count].copy()


def _scalar(A: csr_array, B: np.ndarray, C: csr_array, recipe: Recipe, coarsening: Coarsening) -> Prolongation:
    aggregates, roots = coarsening.aggregates, coarsening.roots
    assert aggregates is not None
    b = np.ascontiguousarray(B[:, 0], dtype=np.float64)
    if recipe.coarsening == "rootnode":
        T = fit_root_node(aggregates, roots, b)
    else:
        T = fit_smoothed_aggregation(aggregates, len(roots), b)
    P = smooth_by_jacobi(A, T, C) if recipe.prolongation == "jacobi" else minimise_energy(A, T, C, _degree(recipe))
    return Prolongation(P, T.b_coarse[:, None], aggregates, coarsening)


def _by_blocks(
    A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe, coarsening: Coarsening
) -> Prolongation:
    aggregates, roots = coarsening.aggregates, coarsening.roots
    assert aggregates is not None
    blocks = A if A.format == "bsr" else A.tobsr((1, 1))
    inside = aggregates >= 0
    indptr = np.zeros(len(aggregates) + 1, dtype=np.int32)
    np.cumsum(inside, out=indptr[1:])
    AggOp = csr_array((np.ones(indptr[-1], dtype=np.int32), aggregates[inside], indptr), (len(inside), len(roots)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # PyAMG and SciPy warn of conversions that are meant, and of divisions whose result is checked later.
        warnings.simplefilter("ignore")
        try:
            if recipe.coarsening == "rootnode":
                P, B_coarse = _root_node(blocks, B, C, recipe, AggOp, roots)
            else:
                T, B_coarse = fit_candidates(AggOp, B)
                if recipe.prolongation == "jacobi":
                    P = smooth_blocks_by_jacobi(blocks, T, C, B_coarse)
                else:
                    P = minimise_block_energy(blocks, T, C, _degree(recipe), B_coarse)
            reproduce_candidates(P, B_coarse, B, aggregates)
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError) as error:
            raise SetupFailure(f"{recipe.name}: {error}") from error
    return Prolongation(P if A.format == "bsr" else csr_array(P), B_coarse, aggregates, coarsening)


def _root_node(
    A: bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe, AggOp: csr_array, roots: np.ndarray
) -> tuple[bsr_array, np.ndarray]:
    """P is the identity at the roots (Manteuffel, Olson, Schroder and Southworth 2017)."""
    m = A.blocksize[0]
    T, _ = fit_candidates(AggOp, B[:, :m])
    parameters = get_Cpt_params(A, roots, AggOp, T)
    T = scale_T(T, parameters["P_I"], parameters["I_F"])
    B_coarse = np.asarray(parameters["P_I"].T @ B)
    P = minimise_block_energy(A, T, C, _degree(recipe), B_coarse, roots, B if B.shape[1] > m else None)
    return P, B_coarse


def _classical(
    A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Recipe, coarsening: Coarsening | None
) -> Prolongation:
    """Ruge-Stueben C/F splitting and interpolation, fitted to a candidate if there is one; scalar problems only."""
    if A.format == "bsr":
        raise SetupFailure(f"{recipe.name}: classical coarsening does not take block matrices")
    S = without_diagonal(C)
    if coarsening is None:
        splitting = split(S)
        coarsening = Coarsening(np.flatnonzero(splitting).astype(np.int32), None)
    else:
        splitting = np.zeros(A.shape[0], dtype=np.int32)
        splitting[coarsening.roots] = 1
    if len(coarsening.roots) == 0:
        raise SetupFailure("the mask leaves no coarse point")
    kind = "direct" if recipe.prolongation == "direct" else "modified"
    P = interpolate_candidate(A, S, splitting, kind, B[:, 0]) if B.shape[1] == 1 else interpolate(A, S, splitting, kind)
    return Prolongation(P, B[coarsening.roots], strongest_column(P), coarsening)


def _degree(recipe: Recipe) -> int:
    return int(recipe.prolongation.removeprefix("energy"))

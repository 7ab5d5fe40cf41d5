"""The tentative prolongator of scalar problems with one candidate.

`fit_smoothed_aggregation` and `fit_root_node` give the numbers of PyAMG's `fit_candidates`, `get_Cpt_params` and
`scale_T`, where the QR factorisation of an aggregate's candidate is nothing but its norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rllib_psparsity.compiled import compiled


@dataclass(frozen=True, slots=True)
class Tentative:
    """T with at most one entry a row: ``values[i]`` in column ``columns[i]``.

    Attributes
    ----------
    columns : (N,) int32, -1 for a row without an entry
    values : (N,)
    is_root : (N,) bool, rows that smoothing leaves alone; none in smoothed aggregation
    b_coarse : (N_c,) the coarse candidate, with T b_coarse = b
    """

    columns: np.ndarray
    values: np.ndarray
    is_root: np.ndarray
    b_coarse: np.ndarray


def fit_smoothed_aggregation(aggregates: np.ndarray, num_aggregates: int, b: np.ndarray) -> Tentative:
    """The candidate b (N,) restricted to each aggregate and normalised (Vanek, Mandel and Brezina 1996).

    A candidate that is zero on an aggregate leaves entries that are zero.
    """
    values, norms = np.empty(len(b)), np.zeros(num_aggregates)
    _normalise(aggregates, b, values, norms)
    return Tentative(aggregates, values, np.zeros(len(b), dtype=bool), norms)


def fit_root_node(aggregates: np.ndarray, roots: np.ndarray, b: np.ndarray) -> Tentative:
    """Smoothed aggregation's T with columns scaled to be 1 at the roots (Manteuffel, Olson, Schroder and Southworth
    2017). Entries that are zero, as in a column whose root's candidate is zero, are none."""
    T = fit_smoothed_aggregation(aggregates, len(roots), b)
    at_roots = T.values[roots]
    scale = np.divide(1.0, at_roots, out=np.zeros(len(roots)), where=at_roots != 0)
    values = np.where(aggregates >= 0, T.values * scale[aggregates], 0.0)
    values[roots] = 1.0
    T.is_root[roots] = True
    return Tentative(np.where(values != 0, aggregates, np.int32(-1)), values, T.is_root, b[roots])


@compiled()
def _normalise(aggregates, b, values, norms):
    for i in range(len(b)):
        if aggregates[i] >= 0:
            norms[aggregates[i]] += b[i] * b[i]
    for j in range(len(norms)):
        norms[j] = np.sqrt(norms[j])
    for i in range(len(b)):
        norm = norms[aggregates[i]] if aggregates[i] >= 0 else 0.0
        values[i] = b[i] * (1.0 / norm) if norm != 0.0 else 0.0

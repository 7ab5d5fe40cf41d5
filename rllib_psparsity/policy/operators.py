"""The fixed operators that the sparse encoder multiplies with."""

from __future__ import annotations

import math

import numpy as np

from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy.row_kernels import normalise_operators

LOG_SYMMETRIC = EDGE_FEATURES.index("log_symmetric")
EVOLUTION_MAX = EDGE_FEATURES.index("evolution_max")
NUM_OPERATORS = 3


def operator_values(edge_features: np.ndarray, edge_index: np.ndarray, num_nodes: int) -> np.ndarray:
    """Values (E, R) float32 of the R = 3 symmetric operators D^-1/2 W D^-1/2 on the edges.

    W holds ones, the symmetric strength |a_ij| / sqrt(a_ii a_jj), and the evolution measure; D is its row sum (Kipf
    and Welling 2017, eq. 2, without the self-loop, since a layer has a weight of its own for the node itself).
    """
    values = np.empty((len(edge_features), NUM_OPERATORS), dtype=np.float32)
    values[:, 0] = 1
    values[:, 1] = np.exp(math.log(10.0) * edge_features[:, LOG_SYMMETRIC])
    values[:, 2] = edge_features[:, EVOLUTION_MAX]
    normalise_operators(values, edge_index, num_nodes)
    return values

"""The features of `rllib_psparsity.graph`, written out on dense matrices with plain loops: slow, and easy to check."""

from __future__ import annotations

import math

import numpy as np

from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES


def reduced_matrix(A, B: np.ndarray) -> np.ndarray:
    """One number per pair of nodes."""
    dense = A.toarray()
    if A.format != "bsr":
        n = len(dense)
        if all(B[i, 0] != 0 for i in range(n)):
            return np.array([[B[i, 0] * dense[i, j] * B[j, 0] for j in range(n)] for i in range(n)])
        return np.array([[dense[i, j] / math.sqrt(dense[i, i] * dense[j, j]) for j in range(n)] for i in range(n)])
    block = A.blocksize[0]
    n = len(dense) // block
    W = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                W[i, j] = -math.sqrt(
                    sum(dense[i * block + p, j * block + q] ** 2 for p in range(block) for q in range(block))
                )
    for i in range(n):
        W[i, i] = -sum(W[i]) or 1.0
    return W


def features(A, B: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """node_features (N, F_n), edge_index (2, E), edge_features (E, F_e), in float64."""
    W = reduced_matrix(A, B)
    n = len(W)
    for i in range(n):
        for j in range(n):
            if i != j and abs(W[i, j]) / math.sqrt(W[i, i]) / math.sqrt(W[j, j]) < 1e-12:  # left by rounding
                W[i, j] = 0.0
    block = A.blocksize[0] if A.format == "bsr" else 1
    neighbours = [[j for j in range(n) if j != i and W[i, j] != 0] for i in range(n)]
    nodes = np.zeros((n, len(NODE_FEATURES)))
    for i in range(n):
        nodes[i] = [_node_feature(name, W, neighbours, i, level, block) for name in NODE_FEATURES]
    pairs = [(i, j) for i in range(n) for j in neighbours[i] if i < j]
    distance = _evolution_distances(W, pairs)
    edges = np.zeros((len(pairs), len(EDGE_FEATURES)))
    for e, (i, j) in enumerate(pairs):
        edges[e] = [_edge_feature(name, W, neighbours, distance, i, j) for name in EDGE_FEATURES]
    return nodes, np.array(pairs, dtype=int).reshape(-1, 2).T, edges


def _node_feature(name: str, W: np.ndarray, neighbours: list[list[int]], i: int, level: int, block: int) -> float:
    sizes = [abs(W[i, j]) for j in neighbours[i]]
    total = sum(sizes)
    relative = [abs(W[i, j]) / math.sqrt(W[i, i] * W[j, j]) for j in neighbours[i]]
    match name:
        case "log_degree":
            return math.log1p(len(sizes)) / 3
        case "row_sum_abs":
            return min(sum(relative), 10.0)
        case "row_max":
            return min(max(relative, default=0.0), 10.0)
        case "positive_share":
            return sum(W[i, j] for j in neighbours[i] if W[i, j] > 0) / total if sizes else 0.0
        case "null_residual":  # A b = 0 for a b of the near-nullspace
            return min(abs(sum(W[i])) / W[i, i], 10.0)
        case "concentration":  # 1 for a single coupling, 1/degree for equal ones
            return sum(size**2 for size in sizes) / total**2 if sizes else 0.0
        case "level":
            return level / 4
        case "log_size":
            return math.log10(len(W)) / 6
        case "block_size":
            return (block - 1) / 2
    raise AssertionError(name)


def _evolution_distances(W: np.ndarray, pairs: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """Distance from the constant, across each edge, of delta functions after two sweeps of l1-Jacobi."""
    n = len(W)
    sweep = np.array([[(i == j) - W[i, j] / sum(abs(W[i])) for j in range(n)] for i in range(n)])
    evolved = sweep @ sweep  # column i: the delta function of i, evolved
    result = {}
    for i, j in pairs:
        one_way = []
        for start, end in ((i, j), (j, i)):
            response = evolved[end, start] / evolved[start, start]
            one_way.append(min(abs(1 - 1 / response), 1e3) if response > 1e-3 else 1e3)
        result[i, j] = result[j, i] = max(sum(one_way) / 2, 1e-4)
    return result


def _edge_feature(
    name: str, W: np.ndarray, neighbours: list[list[int]], distance: dict[tuple[int, int], float], i: int, j: int
) -> float:
    def from_node(kind: str, a: int, b: int) -> float:
        match kind:
            case "classical":
                largest = max(-W[a, k] for k in neighbours[a])
                return max(-W[a, b], 0.0) / largest if largest > 0 else 0.0
            case "share":
                return abs(W[a, b]) / sum(abs(W[a, k]) for k in neighbours[a])
            case "rank":  # couplings that are equal but for rounding have the same rank
                larger = [k for k in neighbours[a] if abs(W[a, k]) > abs(W[a, b]) * (1 + 1e-6)]
                return len(larger) / len(neighbours[a])
            case "evolution":
                return min(distance[a, k] for k in neighbours[a]) / distance[a, b]
        raise AssertionError(kind)

    if name.endswith(("_min", "_max")):
        kind, end = name.rsplit("_", 1)
        both = from_node(kind, i, j), from_node(kind, j, i)
        return min(both) if end == "min" else max(both)
    match name:
        case "log_symmetric":
            return max(math.log10(abs(W[i, j]) / math.sqrt(W[i, i] * W[j, j])), -8.0)
        case "sign":
            return 1.0 if W[i, j] > 0 else -1.0
        case "common_neighbours":
            common = set(neighbours[i]) & set(neighbours[j])
            return len(common) / min(len(neighbours[i]), len(neighbours[j]))
    raise AssertionError(name)

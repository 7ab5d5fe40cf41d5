"""Laplacians of random networks that are wired like power grids: trees with a few loops, and weights over decades."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.graph_laplacian import laplacian
from rllib_psparsity.problems.problem import Problem

HUBS = 1.5
"""Standard deviation of the logarithm of a node's attraction: its chance to be the end of a shortcut or a dead end."""


def make(
    rng: np.random.Generator, size: int, *, loops: float, shortcuts: float, leaves: float, sigma: float
) -> Problem:
    """Susceptance matrix of a random power grid: a tree with some loops and dead ends, one node grounded.

    Of size^2 nodes the share `leaves` has one edge. The others are points drawn in the unit square, joined by the
    shortest tree in their Delaunay triangulation and by `loops` times as many further edges: the shortest others of
    the triangulation, but for the share `shortcuts`, which join any two. The ends of shortcuts and dead ends crowd at a
    few nodes. An edge has the weight exp(sigma z), z standard normal. The node drawn first is the reference: it is
    removed, and size^2 - 1 unknowns remain.

    MATPOWER's cases (`problems.real.power_grids`) have 2.4 to 3.1 edges a node on average and up to 41, 17 to 41 % of
    the nodes have one edge, and the logarithms of the weights deviate by 1.1 to 2.4.
    """
    n = size * size
    inner = n - round(leaves * n)
    points = rng.random((inner, 2))
    corners = np.sort(Delaunay(points).simplices, axis=1)
    pairs = np.unique(corners[:, [[0, 1], [0, 2], [1, 2]]].reshape(-1, 2), axis=0)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    tree = minimum_spanning_tree(csr_array((length, pairs.T), shape=(inner, inner))).tocoo()
    in_tree = np.isin(pairs[:, 0] * inner + pairs[:, 1], tree.row.astype(np.int64) * inner + tree.col)
    others = np.flatnonzero(~in_tree)
    added = others[np.argsort(length[others], kind="stable")[: round((1 - shortcuts) * loops * inner)]]
    chosen = np.sort(np.concatenate([np.flatnonzero(in_tree), added]))

    attraction = np.exp(HUBS * rng.standard_normal(inner))
    attraction /= attraction.sum()
    lines = np.sort(rng.choice(inner, (round(shortcuts * loops * inner), 2), p=attraction), axis=1)
    lines = lines[lines[:, 0] < lines[:, 1]]
    hosts = rng.choice(inner, n - inner, p=attraction)
    dead_ends = np.stack([hosts, np.arange(inner, n)], axis=1)
    ends = np.unique(np.concatenate([pairs[chosen], lines, dead_ends]), axis=0)
    weights = np.exp(sigma * rng.standard_normal(len(ends)))
    first, second = ends.T
    whole = laplacian(first, second, weights, n, 0.0)
    return scalar_problem(
        csr_array(whole[1:, 1:]), FAMILY.name, size, loops=loops, shortcuts=shortcuts, leaves=leaves, sigma=sigma
    )


FAMILY = Family(
    "power_network",
    make,
    {
        "loops": Parameter(0.2, 0.7, minimum=0.0, maximum=1.5, easy="low"),
        "shortcuts": Parameter(0.1, 0.4, minimum=0.0, maximum=1.0, easy="low"),
        "leaves": Parameter(0.05, 0.35, minimum=0.0, maximum=0.5, easy="low"),
        "sigma": Parameter(0.5, 2.2, minimum=0.0, maximum=4.0, easy="low"),
    },
)

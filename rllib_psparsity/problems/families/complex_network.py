"""Laplacians of networks that grow as those of people, papers and web pages: few nodes have most of the links."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.graph_laplacian import laplacian
from rllib_psparsity.problems.problem import Problem

RECENT = 20
"""Nodes that count as recent."""


def make(
    rng: np.random.Generator, size: int, *, links: float, triangles: float, recent: float, sigma: float, shift: float
) -> Problem:
    """Laplacian of a grown network with lognormal weights, plus a small multiple of the identity.

    size^2 nodes join one after another, each with `links` links on average to nodes that are there: one of the `RECENT`
    newest ones with the chance `recent`; else a node in proportion to its links (Barabasi and Albert 1999), or, once
    the new node has a link and with the chance `triangles`, a neighbour of the last node it was joined to (Holme and
    Kim 2002). A link that is there already is not made again. Weights are exp(sigma z), z standard normal, so the
    median weight is 1. A = L + shift I.
    """
    n = size * size
    first, second = grown(rng, n, links, triangles, recent)
    matrix = laplacian(first, second, np.exp(sigma * rng.standard_normal(len(first))), n, shift)
    parameters = {"links": links, "triangles": triangles, "recent": recent, "sigma": sigma}
    return scalar_problem(matrix, FAMILY.name, size, **parameters, shift=shift)


def grown(
    rng: np.random.Generator, n: int, links: float, triangles: float, recent: float
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of all links, the older ones first, each link once; connected."""
    wanted = int(links) + (rng.random(n) < links - int(links))
    chance = rng.random((n, int(links) + 1, 2))
    neighbours: list[list[int]] = [[] for _ in range(n)]
    ends = [0]  # every node as often as it has links; the first once more, so that the second finds it
    for node in range(1, n):
        last = -1
        for way, place in chance[node, : wanted[node]]:
            if way < recent:
                other = node - 1 - int(place * min(RECENT, node))
            elif last >= 0 and way < recent + (1 - recent) * triangles:
                other = neighbours[last][int(place * len(neighbours[last]))]
            else:
                other = ends[int(place * len(ends))]
            if other == node:
                continue
            last = other
            if other not in neighbours[node]:
                neighbours[node].append(other)
                neighbours[other].append(node)
                ends += [node, other]
    pairs = np.array([(other, node) for node in range(n) for other in sorted(neighbours[node]) if other < node])
    return pairs[:, 0], pairs[:, 1]


FAMILY = Family(
    "complex_network",
    make,
    {
        "links": Parameter(1.5, 5.0, minimum=1.0, maximum=20.0, easy="low"),
        "triangles": Parameter(0.0, 0.9, minimum=0.0, maximum=1.0),
        "recent": Parameter(0.0, 0.9, minimum=0.0, maximum=1.0, easy="high"),
        "sigma": Parameter(0.1, 2.0, minimum=0.0, maximum=4.0, easy="low"),
        "shift": Parameter(1e-6, 1e-2, minimum=1e-8, maximum=1e3, log=True, easy="high"),
    },
)

"""Draw docs/strong_edges.png: `python docs/draw_strong_edges.py FILE`. A test holds the gallery to its figures.

A shipped policy beside the prior that its training started from, on diffusion with the same anisotropy in every point,
by both discretisations that the package has.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from rllib_psparsity import load_policy
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.deploy.decide import policy_decide, prior_decide
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.reporting.plots import ORANGE, draw_edges, new_figure

POLICY = "default"
SIDE = 24
"""Nodes along a side: few enough that single edges can be seen."""
ANISOTROPY, DEGREES = 100, 30
DISCRETISATIONS = {"anisotropic_diffusion_fe": "bilinear elements", "anisotropic_diffusion_fd": "finite differences"}


@dataclass(frozen=True)
class Panel:
    """One hierarchy: the decision on its finest level, and the work per digit of conjugate gradients with all of it.

    `textbook` are the edges that the classical test of the recipe calls strong by itself.
    """

    discretisation: str
    method: str
    recipe: str
    edge_index: np.ndarray
    strong: np.ndarray
    textbook: np.ndarray
    work_per_digit: float


def panels() -> list[Panel]:
    """In the order of the picture."""
    policy = load_policy(POLICY)
    methods = {"prior alone": prior_decide(policy.inference), POLICY: policy_decide(policy.inference)}
    found = []
    for family, discretisation in DISCRETISATIONS.items():
        problem = FAMILIES[family].make(
            np.random.default_rng(0), SIDE, epsilon=1 / ANISOTROPY, theta=float(np.radians(DEGREES))
        )
        graph = level_graph(problem.A, problem.B, 0)
        for method, decide in methods.items():
            decision = decide(graph)
            textbook = policy.inference.prior_logits([graph]).edge_logits(np.array([decision.recipe]))[0] > 0
            hierarchy = build_hierarchy(problem.A, problem.B, decide, menu=policy.menu, limits=policy.limits)
            found.append(
                Panel(
                    discretisation=discretisation,
                    method=method,
                    recipe=policy.menu[decision.recipe].name,
                    edge_index=graph.edge_index,
                    strong=decision.edge_is_strong,
                    textbook=textbook,
                    work_per_digit=measure_solve(hierarchy.to_pyamg()).work_per_digit,
                )
            )
    return found


def draw() -> Figure:
    """Panels side by side; the direction of the strong coupling is an orange line."""
    figure = new_figure(12.5, 4.3)
    node = np.arange(SIDE * SIDE)
    coordinates = np.stack([node % SIDE, node // SIDE], axis=1).astype(float)
    along = SIDE / 5 * np.array([np.cos(np.radians(DEGREES)), np.sin(np.radians(DEGREES))])
    middle = (SIDE - 1) / 2
    found = panels()
    for ax, panel in zip(figure.subplots(1, len(found)), found, strict=True):
        draw_edges(ax, panel.edge_index, coordinates, panel.strong)
        ax.plot(*(middle + np.outer(along, [-1, 1])), color=ORANGE, linewidth=3, zorder=3, solid_capstyle="round")
        ax.set_title(
            f"{panel.discretisation}, {panel.method}\n{panel.recipe}\n"
            f"{panel.strong.sum():,} of {len(panel.strong):,} edges strong\nwork per digit {panel.work_per_digit:.2f}",
            fontsize=10,
        )
    figure.suptitle(
        f"Strong edges of the finest level: anisotropy of {ANISOTROPY} along {DEGREES} degrees, the orange line"
    )
    return figure


def save(figure: Figure, path: Path) -> None:
    """In few colours: slanted lines in many shades make files several times as large."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/draw_strong_edges.py FILE")
    save(draw(), Path(sys.argv[1]))

"""The picture of a solve: how the residual falls, over iterations and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rllib_psparsity.reporting.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure

# The rest of Okabe and Ito's colours; yellow is too pale for a line.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class ConvergenceCurve:
    """One method.

    Attributes
    ----------
    name : str
    residuals : (iterations + 1,) float, relative to the right-hand side
    setup_seconds, solve_seconds : float
        The iterations share the solve's time equally.
    """

    name: str
    residuals: np.ndarray
    setup_seconds: float
    solve_seconds: float


def convergence_figure(curves: Sequence[ConvergenceCurve], tol: float, title: str) -> Figure:
    """Relative residual over iterations, and over seconds from the start of the set-up on; `tol` as a line."""
    figure = new_figure(12, 4.8)
    over_iterations, over_seconds = figure.subplots(1, 2, sharey=True)
    for index, curve in enumerate(curves):
        look = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": STYLES[index % len(STYLES)] if index else "-",
            "linewidth": 2.2 if index == 0 else 1.5,
            "label": curve.name,
            "zorder": 3 if index == 0 else 2,
        }
        count = len(curve.residuals)
        over_iterations.plot(np.arange(count), curve.residuals, **look)
        # The flat part is the set-up, in which nothing is gained.
        seconds = curve.setup_seconds + curve.solve_seconds * np.linspace(0, 1, count)
        over_seconds.plot([0.0, *seconds], [1.0, *curve.residuals], **look)
    for ax in (over_iterations, over_seconds):
        ax.axhline(tol, color=GREY, linestyle=(0, (1, 2)), linewidth=1, label=f"tolerance {tol:g}")
        _tidy(ax)
    over_iterations.xaxis.set_major_locator(MaxNLocator(integer=True))
    over_iterations.set_xlabel("iteration")
    over_iterations.set_ylabel("relative residual")
    over_seconds.set_xlabel("seconds from the start of the set-up")
    over_iterations.legend(fontsize=8.5)
    figure.suptitle(title, fontsize=11)
    return figure


def _tidy(ax: Axes) -> None:
    ax.set_yscale("log")
    ax.set_xlim(left=0)
    ax.grid(True, color="#EBEBEB", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)

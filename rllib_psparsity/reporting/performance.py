"""Figures of an evaluation: performance profiles, and one method against the virtual best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from rllib_psparsity.reporting.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, new_figure

COLORS = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FARTHEST = 10.0
"""Ratios beyond this are not drawn: the curve ends there at the share that it has reached."""


def profile_figure(
    work: Mapping[str, Sequence[float]], time: Mapping[str, Sequence[float]], cases: Mapping[str, int]
) -> Figure:
    """Share of the cases on which a method is within a factor of the virtual best; one panel a figure.

    Parameters
    ----------
    work, time : method -> ratios to the virtual best of the cases that it solved; NaN where there is none
    cases : method -> the number of cases that it was tried on

    As the performance profiles of Dolan and More (2002), but relative to the virtual best of the portfolio, so that a
    method may be left of 1.
    """
    figure = new_figure(13, 5.6)
    for ax, ratios, title in zip(figure.subplots(1, 2), (work, time), ("Work per digit", "Total time"), strict=True):
        finite = [value for values in ratios.values() for value in values if np.isfinite(value)]
        end = min(FARTHEST, max(2.0, 1.05 * max(finite, default=2.0)))
        for (method, values), color, style in zip(ratios.items(), cycle(COLORS), _styles(), strict=False):
            found = np.sort(np.array([value for value in values if np.isfinite(value)]))
            share = np.arange(1, len(found) + 1) / max(cases[method], 1)
            if len(found) == 0:
                continue
            x = np.concatenate([found[:1], found, [max(end, found[-1])]])
            y = np.concatenate([[0.0], share, share[-1:]])
            ax.step(x, y, where="post", color=color, linestyle=style, linewidth=1.7, label=method)
        ax.axvline(1.0, color=GREY, linewidth=1)
        ax.set_xlim(0.95 * min([1.0, *finite]), end)
        ax.set_ylim(0, 1.02)
        ax.set_title(f"{title}: within this factor of the virtual best", fontsize=10.5)
        ax.set_xlabel("ratio to the virtual best of the portfolio")
        ax.set_ylabel("share of the cases")
        _log_axes(ax, "x")
    _legend_below(figure)
    return figure


def _styles() -> cycle:
    """One line style for all colours, then the next one."""
    return cycle([style for style in STYLES for _ in COLORS])


def scatter_figure(
    method: str,
    families: Sequence[str],
    work: Sequence[tuple[float, float]],
    time: Sequence[tuple[float, float]],
) -> Figure:
    """A method against the virtual best, a point a case; below the diagonal it is better.

    Parameters
    ----------
    families : of the cases
    work : products with the matrix for a digit, of the virtual best and of the method
    time : seconds of set-up and solve, likewise
    """
    figure = new_figure(12, 5.8)
    panels = ((work, "Work per digit, products with A"), (time, "Total time, seconds"))
    for ax, (pairs, title) in zip(figure.subplots(1, 2), panels, strict=True):
        points = np.array(pairs, float).reshape(-1, 2)
        for family, color, marker in zip(dict.fromkeys(families), cycle(COLORS), cycle(MARKERS), strict=False):
            own = points[[name == family for name in families]]
            ax.scatter(*own.T, s=30, color=color, marker=marker, alpha=0.8, linewidths=0, label=family)
        finite = points[np.isfinite(points).all(axis=1)]
        low, high = (finite.min() / 1.15, finite.max() * 1.15) if len(finite) else (0.5, 2.0)
        ax.plot([low, high], [low, high], color=GREY, linewidth=1)
        ax.set_xlim(low, high)
        ax.set_ylim(low, high)
        ax.set_aspect("equal")
        ax.set_title(title, fontsize=10.5)
        ax.set_xlabel("virtual best of the portfolio")
        ax.set_ylabel(method)
        _log_axes(ax, "both")
    _legend_below(figure)
    return figure


def _legend_below(figure: Figure) -> None:
    """One legend for all panels, where it hides nothing."""
    labelled = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        labelled |= dict(zip(labels, handles, strict=True))
    if labelled:
        figure.legend(list(labelled.values()), list(labelled), fontsize=8, ncols=4, loc="outside lower center")


def _log_axes(ax: Axes, which: str) -> None:
    """Logarithmic, with plain numbers where they fit and the grid of the other figures."""
    ax.grid(True, color="#EBEBEB", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    for name, set_scale, axis in (("x", ax.set_xscale, ax.xaxis), ("y", ax.set_yscale, ax.yaxis)):
        if which in (name, "both"):
            low, high = axis.get_view_interval()
            set_scale("log")
            if high / low < 1e3:
                steps = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 10 else (1, 2, 5)
                ticks = [t * 10.0**e for e in range(-9, 10) for t in steps if low <= t * 10.0**e <= high]
                axis.set_ticks(ticks)
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())

"""Figures: the curves of a training run, and the strong edges before and after it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from rllib_psparsity.errors import InputError

# Okabe and Ito's colours (2008), told apart with every common colour blindness.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#8C8C8C"
FAINT = "#D0D0D0"


def training_figure(rows: Sequence[Mapping[str, Any]], grad_clip: float | None = None) -> Figure:
    """The curves of a run from its metrics rows (at least one), one panel a question, over iterations.

    `grad_clip`, if given, is drawn where the gradient norms are. `InputError` without rows.
    """
    if not rows:
        raise InputError("there are no metrics rows to draw; let the training finish at least one iteration")
    x = np.array([row["iteration"] for row in rows])
    column = {name: np.array([row[name] for row in rows], float) for name in rows[0]}
    figure = new_figure(13.5, 12.5)
    axes = iter(figure.subplots(4, 3).ravel())

    def curves(title: str, unit: str, **lines: str) -> Axes:
        ax = next(axes)
        for (label, name), color in zip(lines.items(), (BLUE, ORANGE, GREEN, PURPLE), strict=False):
            ax.plot(x, column[name], color=color, label=label.replace("_", " "), **_marks(len(x)))
        ax.set_title(title, fontsize=10.5)
        ax.set_ylabel(unit)
        _tidy(ax)
        return ax

    ax = curves("Reward", "sum over an episode", mean="reward_mean")
    low, high = column["reward_mean"] - column["reward_std"], column["reward_mean"] + column["reward_std"]
    ax.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0, label="+- std of episodes")
    ax.legend(fontsize=8)
    curves("Work per digit", "products with A per digit", mean="work_per_digit_mean")
    curves("Operator complexity", "sum nnz(A_l) / nnz(A_0)", mean="operator_complexity_mean")
    ax = curves("Entropy of a decision", "nats", edge="entropy_edge", recipe="entropy_recipe")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=8)
    ax = curves("Entropy of one softmax over all edges", "nats", mean="entropy_softmax_over_edges")
    _limit(ax, 1.0, "criterion: above 1")
    ax = curves("Explained variance of the value head", "share", mean="explained_variance")
    _limit(ax, 0.2, "criterion: above 0.2")
    ax = curves(
        "Gradient norms before the clip",
        "2-norm",
        all="grad_norm",
        encoder="grad_norm_encoder",
        edge_head="grad_norm_edge_head",
        value_head="grad_norm_value_head",
    )
    if any((column[name] > 0).any() for name in column if name.startswith("grad_norm")):
        ax.set_yscale("log")
    if grad_clip is not None:
        ax.axhline(grad_clip, color=GREY, linestyle="--", linewidth=1, label=f"clip {grad_clip:g}")
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        ax.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
    ax.legend(fontsize=8, ncols=3, loc="upper center")
    curves("Updates whose gradient was clipped", "share", share="clipped_share").set_ylim(-0.04, 1.04)
    curves("Advantage before normalisation", "standard deviation", std="advantage_std")
    curves("Episodes per second", "1/s", rate="episodes_per_second").set_ylim(bottom=0)
    ax = curves("Temperature and entropy coefficient", "temperature", temperature="temperature")
    twin = ax.twinx()
    twin.plot(x, column["entropy_coefficient"], color=ORANGE, **_marks(len(x)))
    twin.set_ylabel("entropy coefficient", color=ORANGE)
    twin.spines["top"].set_visible(False)
    ax.yaxis.label.set_color(BLUE)
    for side in (ax, twin):
        top = 1.15 * side.dataLim.y1
        side.set_ylim(bottom=0, top=top if np.isfinite(top) and top > 0 else 1.0)
    ax = curves("Failed set-ups", "episodes of an iteration", failed="failed_setups")
    ax.set_ylim(bottom=0, top=max(1.0, 1.08 * column["failed_setups"].max()))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in figure.axes:
        ax.set_xlim(x[0] - 0.6, x[-1] + 0.6)
        ax.set_xlabel("iteration")
    return figure


def edges_figure(
    edge_index: np.ndarray,
    coordinates: np.ndarray,
    strong_before: np.ndarray,
    strong_after: np.ndarray,
    labels: tuple[str, str],
    rewards: Sequence[float],
) -> Figure:
    """Strong edges of one level on the mesh, before and after training, and the curve of the mean reward.

    Parameters
    ----------
    edge_index : (2, E) int
    coordinates : (N, 2) float
    strong_before, strong_after : (E,) bool
    labels : titles of the two masks
    rewards : mean reward of iterations 1, 2, ...

    Strong edges are lines, weak ones faint grey.
    """
    figure = new_figure(14, 5.2)
    before, after, curve = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
    for ax, label, strong in ((before, labels[0], strong_before), (after, labels[1], strong_after)):
        draw_edges(ax, edge_index, coordinates, np.asarray(strong, bool))
        ax.set_title(f"{label}: {int(np.sum(strong)):,} of {len(strong):,} edges strong", fontsize=10.5)
    curve.plot(np.arange(1, len(rewards) + 1), rewards, color=BLUE, **_marks(len(rewards)))
    curve.set_title("Mean reward of an episode", fontsize=10.5)
    curve.set_xlabel("iteration")
    curve.set_ylabel("reward")
    _tidy(curve)
    return figure


def settings_figure(figures: Mapping[str, Sequence[float]], metric: str, title: str) -> Figure:
    """A figure of several settings: a point a seed, a bar at the mean of each setting that has any.

    Parameters
    ----------
    figures : setting -> figures of its seeds, in the order from top to bottom
    metric, title : texts
    """
    figure = new_figure(8, 1.6 + 0.35 * len(figures))
    ax = figure.subplots()
    for place, values in enumerate(figures.values()):
        ax.plot(values, [place] * len(values), "o", color=BLUE, alpha=0.6, markersize=6)
        if values:
            ax.plot([float(np.mean(values))], [place], "|", color=ORANGE, markersize=18, markeredgewidth=2.5)
    ax.grid(True, axis="x", color="#EBEBEB", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_yticks(range(len(figures)), list(figures))
    ax.set_ylim(len(figures) - 0.5, -0.5)
    ax.set_xlabel(f"{metric}: seeds (points) and their mean (bars)")
    ax.set_title(textwrap.fill(" ".join(title.split()), 90), fontsize=9.5)
    return figure


def draw_edges(ax: Axes, edge_index: np.ndarray, coordinates: np.ndarray, strong: np.ndarray) -> None:
    """The strong edges (E,) bool of a graph as lines, the weak ones faint grey, and nothing else on the axes."""
    segments = np.stack([coordinates[edge_index[0]], coordinates[edge_index[1]]], axis=1)
    # About 4.5 inches hold sqrt(N) nodes a side: thinner lines for finer meshes, never invisible ones.
    width = float(np.clip(45 / np.sqrt(len(coordinates)), 0.25, 2.0))
    ax.add_collection(LineCollection(list(segments[~strong]), colors=FAINT, linewidths=0.4 * width))
    ax.add_collection(LineCollection(list(segments[strong]), colors=BLUE, linewidths=width, capstyle="round"))
    ax.autoscale_view()
    ax.set_aspect("equal")
    ax.set_axis_off()


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own canvas: nothing of pyplot's global state."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    FigureCanvasAgg(figure)
    return figure


def _marks(points: int) -> dict[str, Any]:
    """Dots only where a line alone would be hard to see."""
    return {"linewidth": 1.5, "marker": "o" if points <= 12 else None, "markersize": 4}


def _tidy(ax: Axes) -> None:
    ax.grid(True, color="#EBEBEB", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _limit(ax: Axes, value: float, label: str) -> None:
    ax.axhline(value, color=GREY, linestyle="--", linewidth=1, label=label)
    ax.legend(fontsize=8)

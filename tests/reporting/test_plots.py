from __future__ import annotations

import numpy as np
import pytest
from matplotlib import _pylab_helpers
from matplotlib.collections import LineCollection

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.plots import edges_figure, training_figure


def curve(figure, title: str):
    return next(ax for ax in figure.axes if ax.get_title() == title)


def test_training_curves_show_the_rows(run_row):
    rows = [run_row(k, reward_mean=-3.0 + k, reward_std=0.5) for k in (1, 2, 3)]
    figure = training_figure(rows, grad_clip=5.0)
    figure.draw_without_rendering()
    reward = curve(figure, "Reward")
    assert reward.lines[0].get_xydata().tolist() == [[1, -2], [2, -1], [3, 0]]
    band = reward.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (-2.5, 0.5)
    norms = curve(figure, "Gradient norms before the clip")
    assert [line.get_label() for line in norms.lines] == ["all", "encoder", "edge head", "value head", "clip 5"]
    assert norms.lines[-1].get_ydata()[0] == 5.0
    criterion = curve(figure, "Entropy of one softmax over all edges").lines[1]
    assert criterion.get_ydata()[0] == 1.0
    assert all(ax.get_xlabel() == "iteration" and ax.get_ylabel() for ax in figure.axes)


def test_no_clip_no_line(run_row):
    norms = curve(training_figure([run_row(1)]), "Gradient norms before the clip")
    assert [line.get_label() for line in norms.lines] == ["all", "encoder", "edge head", "value head"]


def test_no_rows():
    with pytest.raises(InputError, match=r"^there are no metrics rows to draw; let the training finish"):
        training_figure([])


def test_edges_are_drawn_on_the_mesh():
    edge_index = np.array([[0, 0, 1, 2], [1, 2, 3, 3]])
    coordinates = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    before, after = np.array([True, True, False, False]), np.array([False, False, False, True])
    figure = edges_figure(edge_index, coordinates, before, after, ("prior", "trained"), [-2.0, -1.0])
    figure.draw_without_rendering()
    left, right, reward = figure.axes
    assert left.get_title() == "prior: 2 of 4 edges strong"
    assert right.get_title() == "trained: 1 of 4 edges strong"
    for ax, strong in ((left, before), (right, after)):
        faint, drawn = (c for c in ax.collections if isinstance(c, LineCollection))
        segments = coordinates[edge_index].transpose(1, 0, 2)
        assert np.array_equal(np.array(drawn.get_segments()), segments[strong])
        assert np.array_equal(np.array(faint.get_segments()), segments[~strong])
        assert drawn.get_linewidth()[0] > 2 * faint.get_linewidth()[0]
    assert reward.lines[0].get_xydata().tolist() == [[1, -2], [2, -1]]


def test_all_or_no_edges_strong(tmp_path):
    edge_index, coordinates = np.array([[0], [1]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    figure = edges_figure(edge_index, coordinates, np.array([True]), np.array([False]), ("a", "b"), [0.0])
    figure.savefig(tmp_path / "edges.png")
    assert (tmp_path / "edges.png").stat().st_size > 1000


def test_nothing_in_the_global_state(run_row):
    training_figure([run_row(1)])
    assert _pylab_helpers.Gcf.get_all_fig_managers() == []

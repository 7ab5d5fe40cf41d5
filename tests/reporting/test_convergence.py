from __future__ import annotations

import numpy as np

from rllib_psparsity.reporting.convergence import ConvergenceCurve, convergence_figure


def test_curves_over_iterations_and_seconds() -> None:
    curves = [
        ConvergenceCurve("learned", np.array([1.0, 1e-3, 1e-9]), 2.0, 4.0),
        ConvergenceCurve("default", np.array([1.0, 1e-9]), 1.0, 3.0),
    ]
    figure = convergence_figure(curves, 1e-8, "a.mtx")
    over_iterations, over_seconds = figure.axes
    by_label = {line.get_label(): line for line in over_iterations.lines}
    assert set(by_label) == {"learned", "default", "tolerance 1e-08"}
    np.testing.assert_array_equal(by_label["learned"].get_xydata(), [[0, 1], [1, 1e-3], [2, 1e-9]])
    np.testing.assert_array_equal(over_seconds.lines[0].get_xydata(), [[0, 1], [2, 1], [4, 1e-3], [6, 1e-9]])
    assert over_iterations.get_yscale() == over_seconds.get_yscale() == "log"
    assert [text.get_text() for text in over_iterations.get_legend().get_texts()] == list(by_label)

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.selector import gather, selector_problem
from rllib_psparsity.amg.portfolio import PORTFOLIO
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation import selector as module
from rllib_psparsity.evaluation.comparison import compare
from rllib_psparsity.evaluation.selector import (
    FEATURES,
    SelectorData,
    pooled_features,
    read_selector_data,
    selector_methods,
    targets,
    write_selector_data,
)
from rllib_psparsity.problems.families import FAMILIES

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def jump(size: int, decades: float, seed: int):
    return FAMILIES["jump_diffusion"].make(np.random.default_rng(seed), size, decades=decades, correlation=0.1)


def test_features_are_finite_and_do_not_change_with_the_scale():
    problem = jump(12, 3.0, 0)
    features = pooled_features(problem)
    assert features.shape == (len(FEATURES),) and np.isfinite(features).all()
    problem.A.data *= 1024.0
    assert np.allclose(pooled_features(problem), features, rtol=1e-5, atol=1e-6)
    graph = module.level_graph(problem.A, problem.B, 0)
    assert features[FEATURES.index("row_max_mean")] == pytest.approx(graph.node_features[:, 2].mean(), rel=1e-5)
    median = features[FEATURES.index("classical_min_q50")]
    assert median == pytest.approx(np.median(graph.edge_features[:, 1]), rel=1e-5)


def test_targets_by_hand():
    names = [method.name for method in PORTFOLIO]

    def row(name: str, work: float) -> dict:
        seconds = {"setup_seconds": 1.0, "solve_seconds": work}
        return {"method": name, "work_per_digit": work, "converged": math.isfinite(work), **seconds}

    rows = [row(names[0], 2.0), row(names[1], 6.0), row(names[2], math.inf)]
    work = targets(rows, "work")
    assert work[:2] == pytest.approx([0.0, math.log(3)])
    assert work[2:] == pytest.approx(math.log(30))  # ten times the worst, for failures and for what does not apply
    assert targets(rows, "time")[1] == pytest.approx(math.log(7 / 3))
    with pytest.raises(InputError, match="no configuration of the portfolio solved"):
        targets(rows[2:], "work")


def test_selector_beats_random_choice_on_a_toy_set():
    """Weak against strong jumps, where configurations differ; the set of the test is not that of the training."""
    members = (3, 0, 20, 24)  # few, so that the test is quick: all others count as failed
    methods = [module.Method.classical(PORTFOLIO[index]) for index in members]
    problems = [jump(10 + k % 4, 0.5 if k % 2 else 6.0, k) for k in range(24)]
    figures = [targets(compare([problem], methods, 0), "work") for problem in problems]
    features = np.array([pooled_features(problem) for problem in problems])
    data = SelectorData(features[:16], np.array(figures[:16]), np.array(figures[:16]))
    chosen, _ = selector_methods(data)
    rest = [replace(problem, name=f"toy-{k}") for k, problem in enumerate(problems[16:])]
    rows = compare(rest, [chosen, *methods], 0)
    logs = {
        name: np.log([r["work_per_digit"] for r in rows if r["method"] == name]) for name in {r["method"] for r in rows}
    }
    own = logs.pop(chosen.name)
    assert own.mean() < np.mean([values.mean() for values in logs.values()]) - 0.02


def test_data_in_a_file_give_the_same_choice(tmp_path):
    rng = np.random.default_rng(0)
    data = SelectorData(rng.random((6, len(FEATURES))), rng.random((6, 27)), rng.random((6, 27)))
    path = tmp_path / "selector.parquet"
    write_selector_data(path, data, {"seed": 5})
    held, metadata = read_selector_data(path)
    assert metadata["seed"] == 5
    assert all(np.array_equal(getattr(held, name), getattr(data, name)) for name in ("features", "work", "time"))
    problem = jump(10, 1.0, 0)
    for one, other in zip(selector_methods(data), selector_methods(held), strict=True):
        assert one.build(problem).levels[1].A.nnz == other.build(problem).levels[1].A.nnz


def test_prediction_is_that_of_scikit_learn():
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(0)
    trees = ExtraTreesRegressor(5, random_state=0).fit(rng.random((30, 4)), rng.random((30, 27)))
    features = rng.random(4)
    assert np.allclose(module.predict(trees, features), trees.predict(features[None])[0], rtol=1e-12)


def test_data_of_other_features_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "selector.parquet"
    data = SelectorData(np.zeros((1, 2)), np.zeros((1, 27)), np.zeros((1, 27)))
    monkeypatch.setattr(module, "FEATURES", ("a", "b"))
    write_selector_data(path, data, {})
    monkeypatch.undo()
    with pytest.raises(
        InputError, match=r"is not of this version's features; make it by python -m benchmarks\.selector"
    ):
        read_selector_data(path)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    data = SelectorData(np.zeros((1, len(FEATURES))), np.zeros((1, 27)), np.zeros((1, 27)))
    with pytest.raises(InputError, match=r"needs scikit-learn, which is not installed; run pip install scikit-learn$"):
        selector_methods(data)


def test_gathering_goes_on_where_it_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.selector.SIZES", {"jump_diffusion": (10, 10), "elasticity": (10, 10)})
    monkeypatch.setattr("benchmarks.selector.PORTFOLIO", PORTFOLIO[:2])
    out = tmp_path / "selector.parquet"
    monkeypatch.setattr("benchmarks.selector.targets", lambda rows, figure: np.full(27, float(len(rows))))
    gather(1, 7, out)
    data = gather(3, 7, out)
    assert read_selector_data(out)[1]["indices"] == [0, 1, 2]
    expected = [pooled_features(selector_problem(7, index)) for index in range(3)]
    assert np.array_equal(data.features, expected)
    with pytest.raises(InputError, match="was made with seed 7, not 8"):
        gather(3, 8, out)

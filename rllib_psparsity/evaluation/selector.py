"""The recipe selector: the honest baseline of anything learned.

Extremely randomised trees (Geurts, Ernst and Wehenkel 2006) on pooled features of the finest level predict, for each of
the 27 configurations of the portfolio, the logarithm of its figure relative to the best one there; the configuration of
the least prediction is set up. What is kept on disk is the data that the trees are grown from, a Parquet file without
anything to execute: trees of the same seed are the same trees.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pyamg import MultilevelSolver

from rllib_psparsity.amg.portfolio import PORTFOLIO
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.comparison import total_seconds, work_per_digit
from rllib_psparsity.evaluation.method import PORTFOLIO_NAMES, Method
from rllib_psparsity.evaluation.rows import Row
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.reporting.atomic import write_atomically

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

Figure = Literal["work", "time"]
FIGURES: dict[Figure, Any] = {"work": work_per_digit, "time": total_seconds}
SELECTOR = "recipe selector"

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
POOLED = ("mean", "std", *(f"q{round(100 * share)}" for share in QUANTILES))
FEATURES = (
    "log_unknowns",
    "entries_a_row",
    *(f"{name}_{statistic}" for statistic in POOLED for name in (*NODE_FEATURES, *EDGE_FEATURES)),
)
POOLED_FROM = 20_000
"""Nodes or edges at most, evenly spaced, that statistics are taken of: their cost does not grow with the matrix."""
FAILED = math.log(10.0)
"""Target of a configuration that did not converge: ten times the work of the worst that did."""
TREES = 200
SEED = 0


def pooled_features(problem: Problem) -> np.ndarray:
    """(F,) float64, in the order of `FEATURES`: statistics of the finest level's node and edge features."""
    sizes = [math.log10(problem.num_unknowns), problem.A.nnz / problem.num_unknowns]
    return np.concatenate([sizes, graph_statistics(level_graph(problem.A, problem.B, 0))])


def graph_statistics(graph: LevelGraph) -> np.ndarray:
    """(statistics * (F_n + F_e),) float64: those of `POOLED`, each of all node and then of all edge features."""
    pooled = np.concatenate([_statistics(graph.node_features), _statistics(graph.edge_features)], axis=1)
    return pooled.ravel()


def _statistics(values: np.ndarray) -> np.ndarray:
    """(statistics, F): mean, deviation and quantiles of each column of (n, F); zeros where n is 0."""
    if len(values) == 0:
        return np.zeros((len(POOLED), values.shape[1]))
    sample = values[:: -(-len(values) // POOLED_FROM)].astype(np.float64)
    return np.vstack([sample.mean(axis=0), sample.std(axis=0), np.quantile(sample, QUANTILES, axis=0)])


def targets(rows: Sequence[Row], figure: Figure) -> np.ndarray:
    """(27,) float64: log of each configuration's figure over the least, from the rows of one problem; `FAILED` more
    than the worst where it did not converge or does not apply. `InputError` if none converged."""
    value = FIGURES[figure]
    solved = {row["method"]: math.log(value(row)) for row in rows if row["converged"]}
    found = np.array([solved.get(name, math.nan) for name in PORTFOLIO_NAMES])
    if np.isnan(found).all():
        raise InputError("no configuration of the portfolio solved this problem; leave it out of the selector's data")
    found -= np.nanmin(found)
    return np.where(np.isnan(found), np.nanmax(found) + FAILED, found)


@dataclass(frozen=True)
class SelectorData:
    """What the trees are grown from; P problems.

    Attributes
    ----------
    features : (P, F) float64, `pooled_features`
    work, time : (P, 27) float64, `targets`
    """

    features: np.ndarray
    work: np.ndarray
    time: np.ndarray


def write_selector_data(path: Path, data: SelectorData, metadata: Mapping[str, object]) -> None:
    """Write a Parquet file, whole or not at all; `metadata` as JSON, beside the names of features and methods."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {"features": FEATURES, "methods": PORTFOLIO_NAMES}
    schema = pa.schema(
        [(name, pa.list_(pa.float64())) for name in ("features", "work", "time")],
        metadata={key: json.dumps(value) for key, value in {**metadata, **names}.items()},
    )
    columns = {name: list(getattr(data, name)) for name in schema.names}
    table = pa.table(columns, schema=schema)
    write_atomically(Path(path), lambda temporary: pq.write_table(table, temporary))


def read_selector_data(path: Path) -> tuple[SelectorData, dict[str, Any]]:
    """Data and metadata; `InputError` for a file that is not of this version's features and methods."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cure = "make it by python -m benchmarks.selector"
    try:
        with Path(path).open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"the selector's data {path} cannot be read as Parquet ({reason}); {cure}") from None
    metadata = {key.decode(): json.loads(value) for key, value in (table.schema.metadata or {}).items()}
    for key, expected in (("features", FEATURES), ("methods", PORTFOLIO_NAMES)):
        if tuple(metadata.get(key, ())) != expected:
            raise InputError(f"the selector's data {path} is not of this version's {key}; {cure} again")
    features, work, time = (np.array(table.column(name).to_pylist()) for name in ("features", "work", "time"))
    return SelectorData(features, work, time), metadata


def predict(trees: ExtraTreesRegressor, features: np.ndarray) -> np.ndarray:
    """(27,) float64 for (F,) features, as `trees.predict`, whose dispatch to threads takes longer than the trees."""
    row = features[None].astype(np.float32)
    return np.mean([tree.tree_.predict(row)[0, :, 0] for tree in trees.estimators_], axis=0)


def selector_methods(data: SelectorData) -> tuple[Method, Method]:
    """The selector that aims at work, and the one that aims at time; features and trees are part of their set-up."""
    if find_spec("sklearn") is None:
        raise InputError("the recipe selector needs scikit-learn, which is not installed; run pip install scikit-learn")
    from sklearn.ensemble import ExtraTreesRegressor

    def method(figure: Figure) -> Method:
        trees = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=SEED)
        trees.fit(data.features, getattr(data, figure))

        def build(problem: Problem) -> MultilevelSolver:
            predicted = predict(trees, pooled_features(problem))
            possible = [index for index, method in enumerate(PORTFOLIO) if method.applies_to(problem)]
            best = min(possible, key=lambda index: predicted[index])
            return PORTFOLIO[best].build(problem.A, problem.B)

        return Method(f"{SELECTOR}, {figure}", build)

    return method("work"), method("time")

from __future__ import annotations

import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.metrics import METRICS, SCHEMA, MetricsFile

COLUMNS = [
    "iteration",
    "env_steps",
    "episodes",
    "seconds",
    "episodes_per_second",
    "seconds_sampling",
    "seconds_learning",
    "reward_mean",
    "reward_std",
    "work_per_digit_mean",
    "operator_complexity_mean",
    "failed_setups",
    "entropy_edge",
    "entropy_recipe",
    "entropy_softmax_over_edges",
    "explained_variance",
    "advantage_std",
    "grad_norm",
    "grad_norm_encoder",
    "grad_norm_edge_head",
    "grad_norm_value_head",
    "clipped_share",
    "learning_rate",
    "entropy_coefficient",
    "temperature",
    "dropped_episodes",
    "skipped_updates",
]


def row(iteration: int) -> dict:
    return {m.name: iteration if m.is_integer else iteration + 0.25 for m in METRICS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.parquet"


def test_files_of_the_first_versions_are_read_and_continued(path):
    added = ["seconds_sampling", "seconds_learning", "dropped_episodes", "skipped_updates"]
    old = [name for name in COLUMNS if name not in added]
    pq.write_table(pa.Table.from_pylist([row(1)], schema=SCHEMA).select(old), path)
    file = MetricsFile(path)
    (first,) = file.rows
    assert list(first) == COLUMNS and all(math.isnan(first[name]) for name in added)
    assert {name: first[name] for name in old} == {name: row(1)[name] for name in old}
    file.append(row(2))
    assert MetricsFile(path).rows[1] == row(2)


def test_reference_lists_the_columns_in_order():
    assert [metric.name for metric in METRICS] == COLUMNS
    integers = {metric.name for metric in METRICS if metric.is_integer}
    assert integers == {"iteration", "env_steps", "episodes", "failed_setups"}
    assert all(metric.unit and metric.meaning and metric.better in ("higher", "lower", "neither") for metric in METRICS)
    better = {metric.name: metric.better for metric in METRICS}
    assert (better["reward_mean"], better["work_per_digit_mean"], better["temperature"]) == (
        "higher",
        "lower",
        "neither",
    )


def test_append_and_read_again(path):
    metrics = MetricsFile(path)
    assert metrics.rows == []
    for k in (1, 2, 3):
        metrics.append(row(k))
        assert pq.read_table(path).to_pylist() == [row(i) for i in range(1, k + 1)]
    assert pq.read_schema(path).equals(SCHEMA)
    assert [field.type for field in pq.read_schema(path)].count(pa.int64()) == 4
    assert MetricsFile(path).rows == metrics.rows == [row(1), row(2), row(3)]
    assert [file.name for file in path.parent.iterdir()] == ["metrics.parquet"]


def test_numpy_numbers_and_nan(path):
    values = row(1) | {"iteration": np.int32(1), "reward_mean": np.float32(0.5), "seconds": 2, "reward_std": math.nan}
    MetricsFile(path).append(values)
    (back,) = MetricsFile(path).rows
    assert (back["iteration"], back["reward_mean"], back["seconds"]) == (1, 0.5, 2.0)
    assert math.isnan(back["reward_std"])


def test_no_gap_and_no_double(path):
    metrics = MetricsFile(path)
    with pytest.raises(InputError, match=r"iteration 2 does not follow iteration 0 of .*; append iteration 1, or call"):
        metrics.append(row(2))
    assert not path.exists()
    metrics.append(row(1))
    for wrong in (0, 1, 3):
        with pytest.raises(InputError, match=f"iteration {wrong} does not follow iteration 1"):
            metrics.append(row(wrong))
    assert MetricsFile(path).rows == [row(1)]


def test_resume_truncates_and_goes_on(path):
    metrics = MetricsFile(path)
    for k in range(1, 8):
        metrics.append(row(k))
    resumed = MetricsFile(path)
    resumed.truncate_after(5)
    assert MetricsFile(path).rows == [row(k) for k in range(1, 6)]
    resumed.truncate_after(9)
    assert len(resumed.rows) == 5
    resumed.append(row(6))
    assert [r["iteration"] for r in MetricsFile(path).rows] == [1, 2, 3, 4, 5, 6]
    resumed.truncate_after(0)
    assert MetricsFile(path).rows == []


def test_refuses_wrong_columns(path):
    values = row(1)
    del values["grad_norm"]
    sentence = (
        "a metrics row must have exactly the columns of METRICS; missing: grad_norm, unknown: grad_norm_policy, speed"
    )
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        MetricsFile(path).append(values | {"grad_norm_policy": 1.0, "speed": 1.0})


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"episodes": 2.5}, "the metric episodes is 2.5; give an integer"),
        ({"episodes": True}, "the metric episodes is True; give an integer"),
        ({"reward_mean": None}, "the metric reward_mean is None; give a number (NaN where it does not exist)"),
        ({"reward_mean": "1"}, "the metric reward_mean is '1'; give a number (NaN where it does not exist)"),
    ],
)
def test_refuses_wrong_types(path, wrong, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        MetricsFile(path).append(row(1) | wrong)


def test_interrupted_append_leaves_the_old_file(path, monkeypatch):
    metrics = MetricsFile(path)
    metrics.append(row(1))

    def interrupted(table, where):
        where.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            metrics.append(row(2))
    assert MetricsFile(path).rows == [row(1)]
    assert [file.name for file in path.parent.iterdir()] == ["metrics.parquet"]
    metrics.append(row(2))
    assert MetricsFile(path).rows == [row(1), row(2)]


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1 and then nothing"])
def test_damaged_file(path, content):
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"^the metrics file .*metrics.parquet is damaged \(.*\); restore it from a copy"
    ):
        MetricsFile(path)


def test_truncated_file(path):
    metrics = MetricsFile(path)
    metrics.append(row(1))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"^the metrics file .* is damaged"):
        MetricsFile(path)


def test_foreign_columns_and_missing_iterations(path):
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match="has the columns a instead of those of METRICS"):
        MetricsFile(path)
    pq.write_table(pa.Table.from_pylist([row(1), row(3)], schema=SCHEMA), path)
    with pytest.raises(InputError, match="iterations are missing or double"):
        MetricsFile(path)


def test_directories_do_not_become_columns(tmp_path):
    path = tmp_path / "seed=1" / "metrics.parquet"
    MetricsFile(path).append(row(1))
    assert MetricsFile(path).rows == [row(1)]

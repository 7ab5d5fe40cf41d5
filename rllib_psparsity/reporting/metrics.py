"""The metrics of a training run: what each column means, and the Parquet file that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically


@dataclass(frozen=True)
class Metric:
    """A column of ``metrics.parquet``.

    Attributes
    ----------
    name, unit, meaning : str
    better : "higher", "lower" or "neither"
    is_integer : bool
        Stored as int64 without gaps; otherwise float64, NaN where the figure does not exist.
    """

    name: str
    unit: str
    meaning: str
    better: Literal["higher", "lower", "neither"] = "neither"
    is_integer: bool = False


METRICS: tuple[Metric, ...] = (
    Metric("iteration", "count", "number of the update, from 1, without gaps", is_integer=True),
    Metric("env_steps", "levels", "levels decided since the training began", is_integer=True),
    Metric("episodes", "hierarchies", "hierarchies learned from since the training began", is_integer=True),
    Metric("seconds", "s", "wall-clock time since the training began, pauses before a resume left out"),
    Metric("episodes_per_second", "1/s", "hierarchies built in this iteration per second of it", "higher"),
    Metric(
        "seconds_sampling", "s", "of wall-clock time, how long an env runner was busy with this iteration's episodes"
    ),
    Metric("seconds_learning", "s", "of wall-clock time, the learner's update, while the next episodes are sampled"),
    Metric("reward_mean", "reward", "mean over this iteration's episodes of the sum of rewards", "higher"),
    Metric("reward_std", "reward", "standard deviation of the same"),
    Metric(
        "work_per_digit_mean",
        "matrix products per digit",
        "geometric mean of the work that gains a digit in real solves, over one finished hierarchy of each problem, or "
        "all of them where solves are the reward",
        "lower",
    ),
    Metric("operator_complexity_mean", "1", "mean of sum of nnz(A_l) / nnz(A_0) over finished hierarchies", "lower"),
    Metric("failed_setups", "hierarchies", "episodes of this iteration that ended in a failure", "lower", True),
    Metric("entropy_edge", "nats", "mean entropy of one edge decision, at most ln 2 = 0.693 for strong or weak"),
    Metric("entropy_recipe", "nats", "mean entropy of the choice of a level's recipe, at most ln(menu)"),
    Metric(
        "entropy_softmax_over_edges",
        "nats",
        "entropy of one softmax over all edge logits of a graph, ln E if all are equal; the triage document's figure",
    ),
    Metric(
        "explained_variance",
        "1",
        "share of the variance of the returns that the value head explains, or the moving baseline; at most 1",
        "higher",
    ),
    Metric("advantage_std", "reward", "standard deviation of the advantages before they are normalised"),
    Metric("grad_norm", "1", "mean norm of the whole gradient before the clip"),
    Metric("grad_norm_encoder", "1", "mean norm of the encoder's gradient before the clip"),
    Metric("grad_norm_edge_head", "1", "mean norm of the edge head's gradient before the clip"),
    Metric("grad_norm_value_head", "1", "mean norm of the value head's gradient before the clip"),
    Metric("clipped_share", "1", "share of this iteration's updates whose gradient was clipped"),
    Metric("learning_rate", "1", "learning rate of Adam"),
    Metric("entropy_coefficient", "1", "weight of the edge entropy in the objective"),
    Metric("temperature", "1", "softmax temperature in sampling and in the log-probabilities"),
    Metric(
        "dropped_episodes",
        "hierarchies",
        "episodes left out of this iteration, since their environment hung, raised or paid what is not finite",
        "lower",
    ),
    Metric(
        "skipped_updates", "count", "updates of this iteration skipped, since their gradient was not finite", "lower"
    ),
)
"""The metrics reference, in the order of the columns."""

ADDED = ("seconds_sampling", "seconds_learning", "dropped_episodes", "skipped_updates")
"""Columns that files of earlier versions lack; they read as NaN."""

SCHEMA = pa.schema([(m.name, pa.int64() if m.is_integer else pa.float64()) for m in METRICS])

MetricsRow = dict[str, Any]


class MetricsFile:
    """``metrics.parquet``: one row an iteration, numbered 1, 2, 3, ... without gap or double.

    An existing file is read, and refused with `InputError` if it is damaged. Each change rewrites the file through a
    temporary one, so that whatever ends the process, the file on disk is whole.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._table = _read(self.path) if self.path.exists() else SCHEMA.empty_table()

    @property
    def rows(self) -> list[MetricsRow]:
        """All rows, oldest first."""
        return self._table.to_pylist()

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the next iteration; `InputError` unless `row` has exactly the columns and the number is the next one."""
        clean = _clean(row)
        expected = self._table.num_rows + 1
        if clean["iteration"] != expected:
            raise InputError(
                f"the metrics row of iteration {clean['iteration']} does not follow iteration {expected - 1} of "
                f"{self.path}; append iteration {expected}, or call truncate_after first"
            )
        new = pa.Table.from_pylist([clean], schema=SCHEMA)
        self._write(pa.concat_tables([self._table, new]).combine_chunks())

    def truncate_after(self, iteration: int) -> None:
        """Drop the rows beyond `iteration`, that of the checkpoint from which a run resumes."""
        if iteration < self._table.num_rows:
            self._write(self._table.slice(0, max(iteration, 0)).combine_chunks())

    def _write(self, table: pa.Table) -> None:
        write_atomically(self.path, lambda temporary: pq.write_table(table, temporary))
        self._table = table


def _clean(row: Mapping[str, Any]) -> MetricsRow:
    names = [metric.name for metric in METRICS]
    missing = [name for name in names if name not in row]
    unknown = [name for name in row if name not in names]
    if missing or unknown:
        raise InputError(
            f"a metrics row must have exactly the columns of METRICS; missing: {', '.join(missing) or 'none'}, "
            f"unknown: {', '.join(unknown) or 'none'}"
        )
    clean: MetricsRow = {}
    for metric in METRICS:
        value = row[metric.name]
        if metric.is_integer and isinstance(value, Integral) and not isinstance(value, bool):
            clean[metric.name] = int(value)
        elif not metric.is_integer and isinstance(value, Real) and not isinstance(value, bool):
            clean[metric.name] = float(value)
        else:
            kind = "an integer" if metric.is_integer else "a number (NaN where it does not exist)"
            raise InputError(f"the metric {metric.name} is {value!r}; give {kind}")
    return clean


def _read(path: Path) -> pa.Table:
    remedy = "restore it from a copy of the run directory, or start a new run"
    try:
        with path.open("rb") as file:  # by its path, a directory such as seed=1 would become a column
            table = pq.read_table(file).replace_schema_metadata(None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"the metrics file {path} is damaged ({_one_line(error)}); {remedy}") from error
    found = ", ".join(table.schema.names)
    for name in ADDED:
        if name not in table.column_names:
            unknown = pa.array([float("nan")] * table.num_rows, pa.float64())
            table = table.add_column(min(SCHEMA.get_field_index(name), table.num_columns), name, unknown)
    if not table.schema.equals(SCHEMA):
        raise InputError(f"the metrics file {path} has the columns {found} instead of those of METRICS; {remedy}")
    numbers = table.column("iteration").to_pylist()
    if numbers != list(range(1, len(numbers) + 1)) or any(column.null_count for column in table.columns):
        raise InputError(
            f"the metrics file {path} is damaged (iterations are missing or double, or values are); {remedy}"
        )
    return table


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")

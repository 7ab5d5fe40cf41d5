"""The table that every comparison makes: its columns, and its Parquet file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically

Row = dict[str, Any]

COLUMNS = {
    "problem": "string",
    "family": "string",
    "unknowns": "int64",
    "nonzeros": "int64",
    "method": "string",
    "seed": "int64",
    "repeats": "int64",
    "work_per_digit": "float64",
    "iterations": "int64",
    "operator_complexity": "float64",
    "cycle_complexity": "float64",
    "setup_seconds": "float64",
    "solve_seconds": "float64",
    "converged": "bool",
    "failure": "string",
}
"""Column -> Arrow type; one row a problem, method and seed of the right-hand side.

Seconds are CPU time of one thread, medians of `repeats` rounds. After a failed set-up ``work_per_digit`` is infinite,
``iterations`` null, complexities and ``solve_seconds`` NaN. ``failure`` is the reason, empty for a converged solve.
"""


def write_rows(path: Path, rows: Sequence[Row], metadata: Mapping[str, object]) -> None:
    """Write rows (`COLUMNS`) to a Parquet file, whole or not at all.

    `metadata` (seed, commit, command, ...) goes to the schema's metadata, each value as JSON under its own key.
    """
    import pyarrow as pa  # not needed by those who only solve and compare
    import pyarrow.parquet as pq

    fields = [(name, pa.type_for_alias(alias)) for name, alias in COLUMNS.items()]
    schema = pa.schema(fields, metadata={key: json.dumps(value) for key, value in metadata.items()})
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    write_atomically(Path(path), lambda temporary: pq.write_table(table, temporary))


def read_rows(path: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and metadata of a file that `write_rows` wrote; `InputError` for any other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as file:  # by its path, a directory such as seed=1 would become a column
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{path} cannot be read as Parquet ({reason}); name another file") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}, so it is no comparison's; name another file")
    metadata = {key.decode(): json.loads(value) for key, value in (table.schema.metadata or {}).items()}
    return table.select(list(COLUMNS)).to_pylist(), metadata

"""Parquet files with where they come from: the metadata of a schema, each value as JSON under its own key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically

STUDIES = Path(__file__).resolve().parent
RESULTS = STUDIES / "results"


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema, metadata: Mapping[str, Any]) -> None:
    """Write rows, whole or not at all."""
    noted = schema.with_metadata({key: json.dumps(value) for key, value in metadata.items()})
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=noted)
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))


def read_table(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and metadata of what `write_table` wrote."""
    try:
        with path.open("rb") as file:  # by its path, a directory such as seed=1 would become a column
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read ({reason}); restore it, or make it again") from error
    metadata = table.schema.metadata or {}
    return table.to_pylist(), {key.decode(): json.loads(value) for key, value in metadata.items() if key != b"pandas"}

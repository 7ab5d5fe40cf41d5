"""Share of the wall time that sampling and learning take in the default study.

    python -m benchmarks.learner_share [--iterations 15] [--repeats 1] [--run RUN_DIR ...] [--set KEY=VALUE ...]

Runs `psparsity train` (or reads runs that are there already) and takes `seconds_sampling`, how long a runner was busy
on average, and `seconds_learning` from its metrics, from the second iteration on. The two overlap, so their shares of
the iterations' wall time add up to more than one. What learning costs is the time in which the runners did not sample;
that includes weights, metrics and all else that keeps them waiting. Target: at most 25 %.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.record import arguments_parser, result_directory, spread, write_result
from benchmarks.throughput import run_training
from rllib_psparsity.errors import InputError

TARGET = 0.25
COLUMNS = ("iteration", "episodes", "seconds", "seconds_sampling", "seconds_learning")


def shares(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of a run's wall time, without its first iteration; `rows` are those of ``metrics.parquet``."""
    wall = rows[-1]["seconds"] - rows[0]["seconds"]
    sampling, learning = (sum(row[key] for row in rows[1:]) for key in ("seconds_sampling", "seconds_learning"))
    return {
        "sampling": sampling / wall,
        "learning": learning / wall,
        "not_sampling": 1.0 - sampling / wall,
        "episodes_per_second": (rows[-1]["episodes"] - rows[0]["episodes"]) / wall,
    }


def read(run_dir: Path) -> list[dict[str, Any]]:
    """The metrics of a run that is there already."""
    with (run_dir / "metrics.parquet").open("rb") as file:
        table = pq.read_table(file)
    missing = set(COLUMNS) - set(table.column_names)
    if missing or table.num_rows < 2:
        raise InputError(
            f"the metrics of {run_dir} have {table.num_rows} iterations and lack {', '.join(missing) or 'no column'}; "
            "name a run of at least 2 iterations by the current version"
        )
    return table.to_pylist()


def main() -> None:
    parser = arguments_parser(__doc__, repeats=1)
    parser.add_argument("--iterations", type=int, default=15, help="of the default study (15)")
    parser.add_argument("--run", dest="runs", type=Path, nargs="+", default=[], help="finished runs to read instead")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value of the configuration")
    options = parser.parse_args()
    overrides = [f"training.iterations={options.iterations}", "problems.heldout_problems=1", *options.overrides]
    if options.quick:
        overrides += ["training.iterations=3", "training.episodes_per_iteration=32"]
    arguments = [word for override in overrides for word in ("--set", override)]

    runs = [read(run) for run in options.runs]
    while not options.runs and len(runs) < options.repeats:
        with tempfile.TemporaryDirectory() as directory:
            run_training(arguments, run_dir := Path(directory) / "run")
            runs.append(read(run_dir))

    repeats = [{**shares(rows), "iterations": [{key: row[key] for key in COLUMNS} for row in rows]} for rows in runs]
    names = ("sampling", "learning", "not_sampling", "episodes_per_second")
    figures = {"target_not_sampling": TARGET, **{name: spread([repeat[name] for repeat in repeats]) for name in names}}
    for name in names[:3]:
        print(f"{name:<12} {100 * figures[name]['median']:6.1f} % of the wall time")
    print(f"{figures['episodes_per_second']['median']:.1f} episodes a second")
    print(write_result("learner_share", sys.argv[1:], figures, repeats, result_directory(options)))


if __name__ == "__main__":
    main()

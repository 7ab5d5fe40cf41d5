"""Run a study: every arm with every seed as a `psparsity train` of its own, one at a time.

    python -m studies.run studies/NAME.yaml [--seeds 0 1 2] [--arms "one arm" another] [--out runs/studies/NAME]

Each run that ends is added at once to ``studies/results/NAME.parquet``: the metrics of all arms and seeds, and, as
metadata, the study, and configuration, command and commit of every run. A run that this file has already, with the same
configuration, is not run again; an interrupted one is resumed from its newest checkpoint. Ctrl-C stops after the
iteration that runs. A run that fails is named at the end, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import sys
from pathlib import Path
from subprocess import Popen
from typing import Any

import pyarrow as pa

from benchmarks.record import commit
from rllib_psparsity.config.load import from_json
from rllib_psparsity.deploy.artifact import policy_digest
from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.metrics import SCHEMA, MetricsFile
from studies.definition import Arm, Study, load_study
from studies.results_file import RESULTS, read_table, write_table

STUDY_SCHEMA = pa.schema([("arm", pa.string()), ("seed", pa.int64()), *SCHEMA])
FINISHED = "heldout.parquet"
"""What `psparsity train` writes last."""
INTERRUPTED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
"""By itself after an iteration, or at once while it was still starting."""


class Results:
    """``results/NAME.parquet`` of a study; runs are known by ``ARM/SEED``."""

    def __init__(self, study: Study, path: Path) -> None:
        self.path = path
        self._rows, metadata = read_table(path) if path.exists() else ([], {})
        self._runs: dict[str, dict[str, Any]] = metadata.get("runs", {})
        self._study = study

    def has(self, arm: Arm, seed: int) -> bool:
        """Whether the run is there, with the configuration that the study gives it now, from the same start.

        A policy to start from that is not here any more is taken for the one that the run started from.
        """
        found = self._runs.get(f"{arm.name}/{seed}")
        made = found is not None and self._study.made(arm, seed, found["config"])
        return made and not self.has_from_another_start(arm, seed)

    def has_from_another_start(self, arm: Arm, seed: int) -> bool:
        """Whether the run is there, but the policy that it started from is another one now."""
        found, start = self._runs.get(f"{arm.name}/{seed}"), _start(self._study, arm, seed)
        return found is not None and start is not None and start != found.get("start_sha256")

    def add(self, arm: Arm, seed: int, run_dir: Path, command: str) -> None:
        """Add a finished run, in place of an earlier one of the same arm and seed."""
        _, origin = read_table(run_dir / FINISHED)
        rows = [{"arm": arm.name, "seed": seed, **row} for row in MetricsFile(run_dir / "metrics.parquet").rows]
        self._rows = [row for row in self._rows if (row["arm"], row["seed"]) != (arm.name, seed)] + rows
        config = json.loads((run_dir / "config.json").read_text())
        made = {"config": config, "command": command, "commit": origin["commit"]}
        self._runs[f"{arm.name}/{seed}"] = made | {"start_sha256": _start(self._study, arm, seed)}
        study = {
            "about": self._study.about,
            "arms": {arm.name: {"about": arm.about, "triage": arm.triage} for arm in self._study.arms},
        }
        metadata = {"study": study, "runs": self._runs, "collected_at": commit()}
        write_table(self.path, self._rows, STUDY_SCHEMA, metadata)


def _start(study: Study, arm: Arm, seed: int) -> str | None:
    """What identifies the policy that the run starts from; None without one, or if it is not there."""
    start = study.config(arm, seed).training.start_from
    return policy_digest(start) if start is not None and Path(start).is_dir() else None


def run(study: Study, arms: list[Arm], seeds: list[int], directory: Path, results: Results) -> int:
    """Run what is missing, seed by seed, so that an early end leaves every arm with some; the exit code."""
    failed = []
    for seed in seeds:
        for arm in arms:
            if results.has(arm, seed):
                print(f"{study.name}/{arm.name}/{seed}: there already", flush=True)
                continue
            run_dir = directory / arm.name / f"seed-{seed}"
            _refuse_another(study, arm, seed, run_dir)
            if results.has_from_another_start(arm, seed) and (run_dir / FINISHED).exists():
                raise InputError(
                    f"{run_dir} started from another policy than training.start_from holds now; remove it, or name "
                    "another --out"
                )
            command = shlex.join(["psparsity", "train", *study.options(arm, seed)])
            print(f"{study.name}/{arm.name}/{seed}: {command}", flush=True)
            code = train_or_resume(study.options(arm, seed), run_dir)
            if code in INTERRUPTED:
                print(f"interrupted; the same command goes on with {run_dir}")
                return code
            if code:
                failed.append(f"{arm.name}/{seed} (exit code {code})")
            else:
                results.add(arm, seed, run_dir, command)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def train_or_resume(options: list[str], run_dir: Path) -> int:
    """From the newest checkpoint if there is one, otherwise from the beginning; the exit code."""
    if (run_dir / FINISHED).exists():
        return 0
    checkpoints = run_dir / "checkpoints"
    if checkpoints.is_dir() and any(checkpoints.iterdir()):
        words = ["resume", str(run_dir)]
    else:
        shutil.rmtree(run_dir, ignore_errors=True)
        words = ["train", *options, "--run-dir", str(run_dir)]
    process = Popen([sys.executable, "-m", "rllib_psparsity", *words])
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal told the run too: it ends its iteration, saves and exits
            continue


def _refuse_another(study: Study, arm: Arm, seed: int, run_dir: Path) -> None:
    config = run_dir / "config.json"
    if config.exists() and from_json(config) != study.config(arm, seed):
        raise InputError(
            f"{run_dir} holds a run with another configuration than arm {arm.name!r} has now; remove it, or name "
            "another --out"
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", help="in place of the study's own")
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--out", type=Path, help="where the runs go")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the Parquet file goes")
    options = parser.parse_args(arguments)
    try:
        study = load_study(options.study)
        unknown = [name for name in options.arms or () if name not in [arm.name for arm in study.arms]]
        if unknown:
            names = ", ".join(arm.name for arm in study.arms)
            raise InputError(f"{options.study} has no arm {unknown[0]!r}; choose from {names}")
        arms = [arm for arm in study.arms if not options.arms or arm.name in options.arms]
        results = Results(study, options.results / f"{study.name}.parquet")
        directory = options.out or Path("runs") / "studies" / study.name
        return run(study, arms, options.seeds or list(study.seeds), directory, results)
    except InputError as error:
        print(f"studies.run: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

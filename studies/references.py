"""What a study's rewards are compared with: untrained and classical methods, paid by the same environment.

    python -m studies.references --variation B --reward energy_reduction --max-levels 2 [--problems 24] [--seeds 0 1 2]

On training and held-out problems of the triage study, one row a problem and method: the policy's prior alone, every
edge strong (PyAMG's default as far as a decision can say it), the legacy action space's 5 strongest and 5 random edges
a row, PyAMG's default itself, and the 27 of the portfolio. A failed set-up has the reward's floor. The policy's prior
is that of the configuration's first recipe. ``--set`` takes what `psparsity train --set` takes. The file is
``results/references/VARIATION-REWARD-LEVELS.parquet``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import commit
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.config.load import load_config, resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.evaluation.arms import PRIOR_ALONE
from studies.episode import SPLITS, Episodes
from studies.results_file import RESULTS, write_table
from studies.rules import every_edge, random_per_row, strongest_per_row, textbook

LEGACY_K = 5
EVERY_EDGE = "every edge strong"
STRONGEST = f"strongest {LEGACY_K} a row"
RANDOM = f"random {LEGACY_K} a row"
PORTFOLIO_NAMES = tuple(method.name for method in PORTFOLIO)

SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("split", pa.string()),
        ("problem", pa.string()),
        ("method", pa.string()),
        ("reward", pa.float64()),
        ("operator_complexity", pa.float64()),
        ("levels", pa.int64()),
        ("coarse_share", pa.float64()),
    ]
)
"""``coarse_share`` is n_1 / n_0; complexity and share are NaN for what PyAMG could not set up within the limits."""


def add_setting(parser: argparse.ArgumentParser) -> None:
    """The options that say which problems, reward and limits."""
    parser.add_argument("--variation", default="B", help="of the triage study: A (128x128) or B (32x32)")
    parser.add_argument("--reward", default="energy_reduction")
    parser.add_argument("--max-levels", type=int, default=10, help="2 is the legacy action space's limit")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the problems")
    parser.add_argument("--set", nargs="+", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=None, help="file to write")


def setting(options: argparse.Namespace, seed: int) -> Config:
    """The configuration that the options of `add_setting` name."""
    overrides = [f"environment.max_levels={options.max_levels}", f"reward.name={options.reward}", f"seed={seed}"]
    return load_config(None, options.variation, [*overrides, *options.overrides])


def rows_of(episodes: Episodes, split: str, index: int) -> Iterator[dict[str, Any]]:
    """A row for every method on one problem."""
    config = episodes.config
    draws = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(SPLITS.index(split), index)))
    rules = {
        PRIOR_ALONE: textbook(config.policy.recipes[0]),
        EVERY_EDGE: every_edge(),
        STRONGEST: strongest_per_row(LEGACY_K),
        RANDOM: random_per_row(LEGACY_K, draws),
    }
    outcomes = {name: episodes.run(index, decide) for name, decide in rules.items()}
    problem = episodes.problem(index)
    outcomes |= {
        method.name: episodes.classical(index, method)
        for method in (PYAMG_DEFAULT, *PORTFOLIO)
        if method.applies_to(problem)
    }
    for method, outcome in outcomes.items():
        yield {
            "seed": config.seed,
            "split": split,
            "problem": problem.name,
            "method": method,
            "reward": outcome.reward,
            "operator_complexity": outcome.operator_complexity,
            "levels": outcome.levels,
            "coarse_share": outcome.coarse_share,
        }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_setting(parser)
    parser.add_argument("--problems", type=int, default=24, help="of each split and seed")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for split in SPLITS:
            episodes = Episodes(setting(options, seed), split)
            for index in range(options.problems):
                rows.extend(rows_of(episodes, split, index))
                print(f"\rseed {seed}, {split}: {index + 1} of {options.problems}   ", end="", flush=True)
    print()
    name = f"{options.variation}-{options.reward}-{options.max_levels}-levels.parquet"
    path = options.out or RESULTS / "references" / name
    metadata = {
        "config": json.loads(resolved_json(setting(options, options.seeds[0]))),
        "command": shlex.join(["python", "-m", "studies.references", *arguments]),
        **commit(),
    }
    write_table(path, rows, SCHEMA, metadata)
    for method in dict.fromkeys(row["method"] for row in rows):
        if method not in PORTFOLIO_NAMES:
            means = [np.mean([r["reward"] for r in rows if (r["method"], r["split"]) == (method, s)]) for s in SPLITS]
            print(f"{method:<24} " + "  ".join(f"{s} {mean:.4f}" for s, mean in zip(SPLITS, means, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])

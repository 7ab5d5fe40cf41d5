"""Lessons for a behaviour clone: what every recipe of the menu is paid, by problem, and how the best one decides.

The expert has hindsight: on every training problem each recipe of the menu is tried on all levels, its measure at its
own threshold, and paid as in training. The lesson are the levels of the best one's hierarchy, with its decisions.

What every recipe is paid is saved as it is found out: `gather` goes on there after an interruption, and then builds the
best hierarchy of each problem alone. Problem i depends on the configuration and on i alone, so that processes can share
the problems, and lessons are the same for any number of them.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed

from benchmarks.record import commit
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.classical import textbook
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from studies.results_file import read_table, write_table

SAVE_EVERY = 25
PAID = pa.schema([("paid", pa.list_(pa.float64()))])
"""A row a problem, in their order: what every recipe of the menu is paid on all levels."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One problem: its levels' graphs with the expert's decisions, and what every recipe was paid on all levels."""

    graphs: list[LevelGraph]
    decisions: list[Decision]
    paid: np.ndarray


def lesson(env: SparsifyEnv, index: int, known: np.ndarray | None = None) -> Lesson:
    """Try every recipe on training problem `index`; one that the matrix cannot have is paid minus infinity.

    What every recipe is paid may be `known` from an earlier lesson on the same problem: then the best is tried alone.
    """
    paid = np.full(len(env.menu), -np.inf)
    best: tuple[list[LevelGraph], list[Decision]] = [], []
    for r in range(len(env.menu)) if known is None else [int(known.argmax())]:
        recipe = env.menu[r]
        graph, _ = env.reset(options={"index": index, "solve": False})
        if recipe.scalar_only and graph.block_size > 1:
            continue
        rule, graphs, decisions, total, ended = textbook(recipe), [], [], 0.0, False
        while not ended:
            graphs.append(graph)
            decisions.append(Decision(rule(graph).edge_is_strong, r))
            graph, reward, terminated, truncated, _ = env.step(decisions[-1])
            total, ended = total + float(reward), terminated or truncated
        if total > paid.max():
            best = graphs, decisions
        paid[r] = total
    return Lesson(*best, paid if known is None else known)


@lru_cache(maxsize=1)
def _environment(config: str) -> SparsifyEnv:
    return SparsifyEnv(Config.model_validate_json(config))


def _lesson(config: str, index: int, known: np.ndarray | None) -> Lesson:
    """The work of a process, which keeps its environment from one lesson to the next."""
    return lesson(_environment(config), index, known)


def gather(config: Config, problems: int, out: Path, processes: int = 1) -> list[Lesson]:
    """Lessons on problems 0 to `problems` - 1; what `out` says that recipes are paid is not tried again."""
    text = resolved_json(config)
    source = {"config": json.loads(text)}
    rows, metadata = read_table(out) if out.exists() else ([], source)
    if metadata.get("config") != source["config"]:
        raise InputError(f"{out} was made with another configuration; name another --out, or move it away")
    known = [np.array(row["paid"]) for row in rows[:problems]] + [None] * (problems - len(rows))
    shared = Parallel(n_jobs=processes, batch_size=1, return_as="generator")
    start, lessons = time.monotonic(), []
    for one in shared(delayed(_lesson)(text, index, paid) for index, paid in enumerate(known)):
        lessons.append(one)
        if len(lessons) > len(rows):
            rows.append({"paid": one.paid.tolist()})
            if len(rows) % SAVE_EVERY == 0 or len(rows) == problems:
                write_table(out, rows, PAID, source | commit())
        print(f"\rlesson {len(lessons)} of {problems}, {time.monotonic() - start:.0f} s", end="", flush=True)
    print()
    return lessons

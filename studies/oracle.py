"""How far a reward can be driven on one problem: a long pattern search over edges and recipes.

    python -m studies.oracle --variation B --reward energy_reduction --space document --problems 4

A search has three parts. A sixth of the evaluations tries rules: every textbook measure at several thresholds and every
set of stencil directions, one of them halved, with every recipe, the same on all levels. A sixth changes one level of
the best at a time: recipe, measure, threshold, directions. The rest changes patches of edges (`plan.patch`) level by
level from the finest, the levels below following their rules, and keeps what is no worse; annealing at any temperature
found less in as many evaluations. In a space where like edges are treated alike no direction is halved, and the second
part takes all that is left. It is a lower bound of what is possible, nothing more.

One row a problem in ``results/oracle/VARIATION-REWARD-SPACE.parquet``, with PyAMG's default, the best of the portfolio
and the prior alone on the same problem beside it. Problems that the file has already, searched as long, are kept.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import commit
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.amg.recipe import MEASURES
from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.graph.level_graph import LevelGraph
from studies.episode import Episodes, Outcome
from studies.plan import SPACES, LevelPlan, Plan, Space, decide_by, directions, patch, rule_keys
from studies.references import add_setting, setting
from studies.results_file import RESULTS, read_table, write_table
from studies.rules import textbook

THRESHOLDS = {
    "symmetric": (-6.0, -3.0, -2.0, -1.5, -1.0, -0.6),
    "classical": (0.05, 0.1, 0.25, 0.5, 0.7, 0.9),
    "evolution": (0.05, 0.1, 0.25, 0.4, 0.6, 0.8),
}
"""On the edge feature of the measure, as in `MEASURES`."""
RULES_SHARE = 1 / 6
"""Of the evaluations, for each of the first two parts."""
CURVE = 20
"""Points of the curve of the best reward so far."""
DEPTH = 4
"""Levels with a plan of their own; those below follow the last."""

SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("problem", pa.string()),
        ("space", pa.string()),
        ("evaluations", pa.int64()),
        ("pyamg_default", pa.float64()),
        ("prior_alone", pa.float64()),
        ("best_classical", pa.float64()),
        ("best_classical_method", pa.string()),
        ("start", pa.float64()),
        ("best", pa.float64()),
        ("curve", pa.list_(pa.float64())),
        ("recipes", pa.list_(pa.string())),
        ("operator_complexity", pa.float64()),
        ("levels", pa.int64()),
        ("coarse_share", pa.float64()),
        ("edge_is_strong", pa.list_(pa.bool_())),
        ("commit", pa.string()),
    ]
)
"""``start`` is the best of the rules; ``edge_is_strong`` the finest level's; ``curve`` the best so far, every 5 %."""


@dataclass
class Search:
    """The best plan so far, and the evaluations left."""

    evaluate: Callable[[Plan], Outcome]
    evaluations: int
    done: int = 0
    plan: Plan = ()
    best: Outcome = field(default_factory=lambda: Outcome(-math.inf, math.nan, 0, math.nan))
    curve: list[float] = field(default_factory=list)

    def left(self, share: float) -> bool:
        """Whether less than this share of the evaluations is spent."""
        return self.done < share * self.evaluations

    def attempt(self, plan: Plan) -> float:
        """Evaluate a plan, keep it if it is the best, and return its reward."""
        outcome = self.evaluate(plan)
        self.done += 1
        if outcome.reward > self.best.reward:
            self.plan, self.best = plan, outcome
        while len(self.curve) < CURVE * self.done // self.evaluations:
            self.curve.append(self.best.reward)
        return outcome.reward


def search(
    episodes: Episodes, index: int, space: Space, evaluations: int, rng: np.random.Generator
) -> tuple[Search, float]:
    """Drive the reward on training problem `index` as high as it goes; the search, and what the rules alone reached."""
    run = Search(lambda plan: episodes.run(index, decide_by(plan, space)), evaluations)
    graphs = _graphs(episodes, index, (LevelPlan(space.recipes[0]),), space)
    starts = _rules(graphs[0], space)
    for k in rng.permutation(len(starts)):
        if not run.left(RULES_SHARE):
            break
        run.attempt((starts[k],))
    start = run.best.reward
    run.plan = run.plan * min(DEPTH, space.max_levels - 1)
    while run.left(1.0 if space.alike else 2 * RULES_SHARE):
        level = int(rng.integers(len(run.plan)))
        changed = _changed(run.plan[level], graphs[0] if level == 0 else None, space, rng)
        run.attempt((*run.plan[:level], changed, *run.plan[level + 1 :]))
    depth = 0 if space.alike else len(run.plan)
    for level in range(depth):
        graphs = _graphs(episodes, index, run.plan, space)
        if level >= len(graphs):
            break
        # The finest level is worth most: half of what is left goes to it, and to every next one but the last.
        last = level in (depth - 1, len(graphs) - 1)
        _climb(run, graphs[level], level, space, 1.0 if last else 1 - (1 - 2 * RULES_SHARE) * 0.5 ** (level + 1), rng)
    run.curve += [run.best.reward] * (CURVE - len(run.curve))
    return run, start


def _climb(run: Search, graph: LevelGraph, level: int, space: Space, until: float, rng: np.random.Generator) -> None:
    """Change patches of edges on one level, until this share of the evaluations is spent."""
    base = rule_keys(graph, run.plan[level])
    # What ordered the rule's keys breaks ties among the edges that a move makes alike.
    order = base / (1.0 + np.abs(base).max())
    keys, current = base, run.best.reward
    while run.left(until):
        chosen, changed = patch(graph, rng), keys.copy()
        values = rng.choice((-1e4, 1e4)) + order[:, chosen]
        if space.k is None:
            changed[:, chosen] = values
        else:  # the ends of an edge pick for themselves
            ends = ((0,), (1,), (0, 1))[int(rng.integers(3))]
            for end in ends:
                changed[end, chosen] = values[end] + rng.random(len(chosen))
        plan = (*run.plan[:level], replace(run.plan[level], keys=changed), *run.plan[level + 1 :])
        reward = run.attempt(plan)
        if reward >= current:
            keys, current = changed, reward


def _rules(graph: LevelGraph, space: Space) -> list[LevelPlan]:
    """Every measure at every threshold, and directions weak, halved or strong, with every recipe."""
    rules = [LevelPlan(r, measure, t) for r in space.recipes for measure in MEASURES for t in THRESHOLDS[measure]]
    classes = range(int(directions(graph).max()) + 1)
    weak = [frozenset(some) for size in range(len(classes)) for some in combinations(classes, size)]
    halves = () if space.alike else classes
    kinds = [(some, frozenset(half)) for some in weak for half in ((), *((c,) for c in halves if c not in some))]
    return rules + [LevelPlan(r, "symmetric", -1e2, *kind) for r in space.recipes for kind in kinds]


def _changed(level: LevelPlan, finest: LevelGraph | None, space: Space, rng: np.random.Generator) -> LevelPlan:
    """Another recipe, measure, threshold or, on the finest level, set of weak or halved directions."""
    kind = rng.choice(("recipe", "measure", "threshold", "directions"))
    if kind == "recipe":
        return replace(level, recipe=str(rng.choice(space.recipes)))
    if kind == "measure":
        measure = str(rng.choice(list(MEASURES)))
        return replace(level, measure=measure, threshold=float(rng.choice(THRESHOLDS[measure])))
    if kind == "threshold" or finest is None:
        spacing = float(np.ptp(THRESHOLDS[level.measure])) / len(THRESHOLDS[level.measure])
        return replace(level, threshold=level.threshold + spacing * rng.standard_normal())
    flipped = frozenset({int(rng.choice(directions(finest)))})
    if not space.alike and rng.random() < 0.5:
        return replace(level, halved_directions=level.halved_directions ^ flipped)
    return replace(level, weak_directions=level.weak_directions ^ flipped)


def _graphs(episodes: Episodes, index: int, plan: Plan, space: Space) -> list[LevelGraph]:
    """The graphs on which the plan is asked, from the finest."""
    graphs: list[LevelGraph] = []
    decide = decide_by(plan, space)

    def asked(graph: LevelGraph) -> Decision:
        graphs.append(graph)
        return decide(graph)

    episodes.run(index, asked)
    return graphs


def row_of(episodes: Episodes, index: int, name: str, evaluations: int) -> dict[str, Any]:
    """Search one problem."""
    space, config = SPACES[name], episodes.config
    run, start = search(episodes, index, space, evaluations, np.random.default_rng((config.seed, index)))
    problem = episodes.problem(index)
    classical = {m.name: episodes.classical(index, m).reward for m in PORTFOLIO if m.applies_to(problem)}
    best = max(classical, key=classical.__getitem__)
    finest = _graphs(episodes, index, run.plan, space)
    strong = decide_by(run.plan, space)(finest[0]).edge_is_strong
    return {
        "seed": config.seed,
        "problem": problem.name,
        "space": name,
        "evaluations": evaluations,
        "pyamg_default": episodes.classical(index, PYAMG_DEFAULT).reward,
        "prior_alone": episodes.run(index, textbook(config.policy.recipes[0])).reward,
        "best_classical": classical[best],
        "best_classical_method": best,
        "start": start,
        "best": run.best.reward,
        "curve": run.curve,
        "recipes": [run.plan[min(k, len(run.plan) - 1)].recipe for k in range(len(finest))],
        "operator_complexity": run.best.operator_complexity,
        "levels": run.best.levels,
        "coarse_share": run.best.coarse_share,
        "edge_is_strong": strong.tolist(),
        "commit": commit()["commit"],
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_setting(parser)
    parser.add_argument("--space", choices=tuple(SPACES), default="document", help="sets --max-levels too")
    parser.add_argument("--problems", type=int, default=4, help="training problems of each seed")
    parser.add_argument("--evaluations", type=int, default=2000, help="of each search")
    options = parser.parse_args(arguments)
    options.max_levels = SPACES[options.space].max_levels
    name = f"{options.variation}-{options.reward}-{options.space.replace(',', '').replace(' ', '-')}.parquet"
    path = options.out or RESULTS / "oracle" / name
    config = json.loads(resolved_json(setting(options, options.seeds[0])))
    rows, kept = read_table(path) if path.exists() else ([], {})
    if kept and kept["config"] != config:
        rows = []
    rows = [row for row in rows if row["evaluations"] == options.evaluations]
    metadata = {"config": config, "command": shlex.join(["python", "-m", "studies.oracle", *arguments]), **commit()}
    for seed in options.seeds:
        episodes = Episodes(setting(options, seed))
        for index in range(options.problems):
            problem = episodes.problem(index).name
            row = next((row for row in rows if (row["seed"], row["problem"]) == (seed, problem)), None)
            if row is None:
                row = row_of(episodes, index, options.space, options.evaluations)
                rows.append(row)
                write_table(path, rows, SCHEMA, metadata)
            print(
                f"seed {seed} {problem}: default {row['pyamg_default']:.4f}, prior {row['prior_alone']:.4f}, best "
                f"classical {row['best_classical']:.4f}, rules {row['start']:.4f}, oracle {row['best']:.4f} "
                f"(complexity {row['operator_complexity']:.2f}, {row['levels']} levels, {', '.join(row['recipes'])})",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])

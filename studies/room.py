"""What room a trained policy leaves: another decision on one level, in hindsight, and what of it could be learnt.

    python -m studies.room --policy default --variation few_solves [--problems 1500] [--out FILE]

On problems of the training mix that no training saw the policy builds a hierarchy, paid as in its training. Then, on
the finest level or on the next one, it is overruled: by every other recipe of its menu, and by other shares of strong
edges, the likeliest first. All other decisions stay its own. The best alternative of each problem is what *hindsight*
would gain. Part of that is luck, since a hierarchy's figure depends on the right-hand sides and on where an iteration
ends. So what could be *learnt* is measured too: extremely randomised trees (Geurts, Ernst and Wehenkel 2006) predict
from pooled features of the level's graph, and from what the policy makes of it, what every alternative gains; the most
promising one is taken on problems that the trees have not seen (five folds), and what it really gains is counted.

`--out` holds what every alternative was paid and what the trees see; the same command with more problems goes on there,
also after an interruption. The figures go to ``results/room/POLICY.parquet``, for `studies.report`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import commit
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.load import load_config, resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import load_policy
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.selector import graph_statistics
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.inference import Inference
from studies.clone import STUDY
from studies.episode import paid_for
from studies.results_file import RESULTS, read_table, write_table

FIRST = 10_000_000
"""Number of the first problem; no training has come so far."""
LEVELS = ("finest", "second")
SHARES = (0.5, 0.7, 0.85, 1.2, 1.5, 2.0)
"""Of the edges that are strong by the policy's own decision."""
MOST = 0.5
"""A gain or a loss counts up to this, so that no failed set-up, whose reward is a floor, outweighs all others."""
FOLDS = 5
"""Into which the problems are split, for trees that are grown on all others."""
TREES = 300
SAVE_EVERY = 25

TRIED = pa.schema(
    [
        ("index", pa.int64()),
        ("level", pa.string()),
        ("seen", pa.list_(pa.float32())),
        ("recipe", pa.list_(pa.float64())),
        ("share", pa.list_(pa.float64())),
    ]
)
"""A problem and level: what the trees see, and what every recipe and share would gain, in units of the reward; minus
infinity for a recipe that the matrix cannot have."""
FIGURES = pa.schema(
    [
        ("level", pa.string()),
        ("another", pa.string()),
        ("problems", pa.int64()),
        *((name, pa.float64()) for name in ("hindsight", "hindsight_error", "learnt", "learnt_error")),
    ]
)
"""Mean gains in units of the reward, for a logarithm of the work shares of it, with their standard errors."""


def with_share(edge_logits: np.ndarray, recipe: int, factor: float) -> Decision:
    """`recipe` with its likeliest edges, `factor` times as many as it calls strong by itself; equals are all in."""
    count = min(round(factor * int((edge_logits > 0).sum())), len(edge_logits))
    bound = np.partition(edge_logits, -count)[-count] if count else np.inf
    return Decision(edge_logits >= bound, recipe)


def seen(graph: LevelGraph, recipe_logits: np.ndarray, recipe: int, edge_logits: np.ndarray) -> np.ndarray:
    """What the trees see: the graph's statistics, the policy's recipe and its logits, those of the recipe's edges."""
    own = np.zeros(len(recipe_logits))
    own[recipe] = 1.0
    deciles = np.quantile(edge_logits, np.linspace(0, 1, 11)) if len(edge_logits) else np.zeros(11)
    share = [(edge_logits > 0).sum() / max(len(edge_logits), 1)]
    return np.concatenate([graph_statistics(graph), own, recipe_logits, deciles, share])


def tried(env: SparsifyEnv, inference: Inference, index: int) -> Iterator[dict[str, Any]]:
    """A row for each of `LEVELS` that the policy's hierarchy of training problem `index` decides on."""
    policy = policy_decide(inference)
    path: list[tuple[LevelGraph, Decision]] = []

    def watched(graph: LevelGraph) -> Decision:
        path.append((graph, policy(graph)))
        return path[-1][1]

    paid = paid_for(env, index, watched)
    for level, (graph, own) in enumerate(path[: len(LEVELS)]):

        def gain(other: Decision, level: int = level) -> float:
            return paid_for(env, index, lambda asked: other if asked.level == level else policy(asked)) - paid

        logits = inference.logits([graph])
        of_own = logits.edge_logits(np.array([own.recipe]))[0]
        recipes = [
            -np.inf
            if recipe.scalar_only and graph.block_size > 1
            else 0.0
            if r == own.recipe
            else gain(Decision(logits.edge_logits(np.array([r]))[0] > 0, r))
            for r, recipe in enumerate(env.menu)
        ]
        shares = [gain(with_share(of_own, own.recipe, factor)) for factor in SHARES]
        yield {
            "index": index,
            "level": LEVELS[level],
            "seen": seen(graph, logits.recipe_logits[0], own.recipe, of_own),
            "recipe": recipes,
            "share": [*shares, 0.0],
        }


def room(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures, by level and kind of alternative."""
    figures = []
    for level in LEVELS:
        of_level = [row for row in rows if row["level"] == level]
        inputs = np.array([row["seen"] for row in of_level])
        for another in ("recipe", "share"):
            gains = np.array([row[another] for row in of_level]).clip(-MOST, MOST)
            best, learnt = gains.max(axis=1), _learnt(inputs, gains)
            figures.append(
                {"level": level, "another": another, "problems": len(of_level)}
                | {"hindsight": best.mean(), "hindsight_error": _error(best)}
                | {"learnt": learnt.mean(), "learnt_error": _error(learnt)}
            )
    return figures


def room_section(files: Sequence[Path]) -> list[str]:
    """Lines of Markdown for files of figures, each named after its policy."""
    lines = [
        "| policy | level | another | problems | in hindsight | of it learnt by trees |",
        "|---|---|---|---|---|---|",
    ]
    for path in files:
        for row in read_table(path)[0]:
            cells = (f"{row[name]:.1%} ({row[f'{name}_error']:.1%})" for name in ("hindsight", "learnt"))
            words = (f"`{path.stem}`", row["level"], row["another"], str(row["problems"]), *cells)
            lines.append("| " + " | ".join(words) + " |")
    return [*lines, "", LEGEND]


LEGEND = (
    "Less work, as the policy's own reward counts it, when one decision of its hierarchies is another: every other "
    "recipe of its menu, or 0.5 to 2 times as many strong edges, on new problems of its training mix; standard errors "
    "in brackets (`studies.room`). Hindsight takes the best for each problem, which counts luck too; trees choose by "
    "what they see, on problems that they were not taught on."
)


def _learnt(inputs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """(P,) what the alternatives (P, A) gain that trees choose, each by those of the folds without it."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.model_selection import KFold

    found = np.empty(len(gains))
    for taught, apart in KFold(FOLDS).split(inputs):
        trees = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.4, random_state=0)
        predicted = trees.fit(inputs[taught], gains[taught]).predict(inputs[apart])
        found[apart] = gains[apart, predicted.argmax(axis=1)]
    return found


def _error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(len(values)))


def gather(config: Config, inference: Inference, problems: int, out: Path, say: Callable[[str], None]) -> list[dict]:
    """Rows of as many problems; what `out` holds already is kept."""
    source = {"config": json.loads(resolved_json(config)), "weights": _fingerprint(inference)}
    rows, metadata = read_table(out) if out.exists() else ([], source)
    if {key: metadata.get(key) for key in source} != source:
        raise InputError(f"{out} was made with another policy or configuration; name another --out")
    done = max((row["index"] for row in rows), default=FIRST - 1) + 1 - FIRST
    env = SparsifyEnv(config)
    for number in range(done, problems):
        rows += tried(env, inference, FIRST + number)
        if (number + 1) % SAVE_EVERY == 0 or number + 1 == problems:
            write_table(out, rows, TRIED, source | commit())
            say(f"problem {number + 1} of {problems}")
    return [row for row in rows if row["index"] < FIRST + problems]


def _fingerprint(inference: Inference) -> float:
    return float(sum(np.abs(weight).sum(dtype=float) for weight in inference.weights().values()))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="default", help="a shipped policy, or the directory of an exported one")
    parser.add_argument("--variation", default="few_solves", help="of studies/shipped.yaml: its problems and reward")
    parser.add_argument("--problems", type=int, default=1500)
    parser.add_argument("--out", type=Path, help="runs/room/POLICY.parquet without it")
    parser.add_argument("--figures", type=Path, default=RESULTS / "room", help="directory of the figures")
    options = parser.parse_args(arguments)
    name = Path(options.policy).name
    try:
        if options.problems < FOLDS:
            raise InputError(
                f"problems is {options.problems}, expected at least {FOLDS}, one for each fold of the trees"
            )
        # Paid at the end alone: the rewards of an episode add up to the same, and cost less.
        config, inference = load_config(STUDY, options.variation, ["reward.shaping=false"]), load_policy(options.policy)
        if inference.config.recipes != config.policy.recipes:
            raise InputError(
                f"the policy {options.policy} has other recipes than the variation {options.variation} of "
                f"{STUDY.name}; name the --variation that it was trained as"
            )
        out = options.out or Path("runs") / "room" / f"{name}.parquet"
        rows = gather(config, inference.inference, options.problems, out, lambda line: print(line, flush=True))
    except InputError as error:
        print(f"studies.room: {error}", file=sys.stderr)
        return 2
    command = shlex.join(["python", "-m", "studies.room", *arguments])
    figures = options.figures / f"{name}.parquet"
    write_table(figures, room(rows), FIGURES, {"command": command, "seed": config.seed, **commit()})
    print("\n".join(room_section([figures])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The behaviour clone of a shipped policy: the same network, taught by an expert in place of rewards.

    python -m studies.clone --variation many_solves --problems 3000 --out runs/clone

The expert has hindsight: on every training problem each recipe of the menu is tried on all levels, its measure at its
own threshold, and paid as in training. The lesson, on every level of the best one's hierarchy, are its edges and a
recipe drawn by ``softmax(paid / SOFTNESS)``: those that do about as well as the best count as well (behavioural
cloning, Pomerleau 1991; an expert at a temperature, as in distillation, Hinton et al. 2015). The loss is the
cross-entropy with the lesson. A tenth of the problems is kept apart; the epoch whose recipes are paid best there, by
the table of what every recipe was paid, is the clone.

That table is saved beside the clone as it grows (``OUT_lessons.parquet``): the same command goes on there after an
interruption, and then builds the best hierarchy of each problem alone.

It is a policy like any other: what training by reward adds to imitation shows beside it in `psparsity evaluate --policy
runs/clone`, and ``--set training.start_from=runs/clone`` trains on from it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.record import commit
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.load import load_config, resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.deploy.classical import textbook
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import SparsifierPolicy, untrained_network
from rllib_psparsity.training.input_statistics import input_statistics
from studies.results_file import read_table, write_table

STUDY = Path(__file__).with_name("shipped.yaml")
LEARNING_RATE = 2e-3
SOFTNESS = 0.05
"""In units of the reward: for a logarithm of the work, 5 % of it."""
APART = 0.1
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


def gather(config: Config, problems: int, out: Path) -> list[Lesson]:
    """Lessons on problems 0 to `problems` - 1; what `out` says that recipes are paid is not tried again."""
    source = {"config": json.loads(resolved_json(config))}
    rows, metadata = read_table(out) if out.exists() else ([], source)
    if metadata.get("config") != source["config"]:
        raise InputError(f"{out} was made with another configuration; name another --out, or move it away")
    env, start, lessons = SparsifyEnv(config), time.monotonic(), []
    for index in range(problems):
        known = np.array(rows[index]["paid"]) if index < len(rows) else None
        lessons.append(lesson(env, index, known))
        if known is None:
            rows.append({"paid": lessons[-1].paid.tolist()})
            if len(rows) % SAVE_EVERY == 0 or len(rows) == problems:
                write_table(out, rows, PAID, source | commit())
        print(f"\rlesson {index + 1} of {problems}, {time.monotonic() - start:.0f} s", end="", flush=True)
    print()
    return lessons


def cross_entropy(policy: SparsifierPolicy, lessons: Sequence[Lesson]) -> torch.Tensor:
    """Mean over the levels' recipes plus mean over their edges."""
    graphs = [graph for one in lessons for graph in one.graphs]
    batch = GraphBatch.from_graphs(graphs)
    decisions = DecisionBatch.from_decisions([decision for one in lessons for decision in one.decisions], batch)
    output = policy(batch, with_value=False)
    log_prob, _ = make_actions(policy.config, output, decisions).evaluate()
    paid = torch.tensor(np.array([one.paid for one in lessons for _ in one.graphs]), dtype=torch.float32)
    wanted = (paid / SOFTNESS).softmax(1)
    # A recipe that a graph cannot have is neither wanted nor likely: zero times its large logarithm.
    return -(wanted * output.recipe_logits.log_softmax(1)).sum(1).mean() - log_prob.units.mean()


def learn(
    policy: SparsifierPolicy, lessons: Sequence[Lesson], epochs: int, rng: np.random.Generator
) -> Iterator[tuple[int, float, float, float]]:
    """Epoch, its loss, and what the recipes chosen on the finest levels of the lessons apart are paid: by the network,
    and by the expert. The policy is left as it was after the best epoch."""
    apart, taught = np.split(rng.permutation(len(lessons)), [max(1, round(APART * len(lessons)))])
    optimizer = torch.optim.Adam(policy.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, kept = -np.inf, policy.state_dict()
    for epoch in range(1, epochs + 1):
        losses = []
        for part in np.array_split(rng.permutation(taught), max(1, len(taught) // 16)):
            loss = cross_entropy(policy, [lessons[k] for k in part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        paid = np.mean([lessons[k].paid[_recipe(policy, lessons[k])] for k in apart])
        if paid > best:
            best, kept = paid, {name: tensor.clone() for name, tensor in policy.state_dict().items()}
        yield epoch, float(np.mean(losses)), float(paid), float(np.mean([lessons[k].paid.max() for k in apart]))
    policy.load_state_dict(kept)


def _recipe(policy: SparsifierPolicy, one: Lesson) -> int:
    with torch.no_grad():
        return int(policy(GraphBatch.from_graphs(one.graphs[:1]), with_value=False).recipe_logits[0].argmax())


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variation", default="many_solves", help="of studies/shipped.yaml")
    parser.add_argument("--problems", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a new directory")
    options = parser.parse_args(arguments)
    if options.out.exists():
        parser.error(f"{options.out} exists already, and a policy overwrites nothing; name a new directory")
    overrides = [f"seed={options.seed}"]
    config = load_config(STUDY, options.variation, overrides)
    # Paid at the end alone: the rewards of an episode add up to the same, and cost less.
    paid_at_the_end = load_config(STUDY, options.variation, [*overrides, "reward.shaping=false"])
    try:
        lessons = gather(
            paid_at_the_end, options.problems, options.out.with_name(f"{options.out.name}_lessons.parquet")
        )
    except InputError as error:
        parser.error(str(error))
    policy = untrained_network(config.policy, config.seed, input_statistics(config)).train()
    for epoch, loss, paid, expert in learn(policy, lessons, options.epochs, np.random.default_rng(config.seed)):
        print(
            f"epoch {epoch}/{options.epochs} | loss {loss:.3f} | paid apart {paid:.4f}, expert {expert:.4f}", flush=True
        )
    save_policy(policy.eval(), config.environment, options.out, _card(config, options))
    print(f"written to {options.out}")


def _card(config: Config, options: argparse.Namespace) -> str:
    return (
        "# A behaviour clone\n\n"
        f"Taught by the best recipe in hindsight on each of {options.problems} problems of studies/shipped.yaml, "
        f"variation {options.variation}, seed {config.seed}, {options.epochs} epochs, commit "
        f"{commit()['commit'][:10]}. "
        "It is what the policy trained by reward is compared with, not one to use.\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

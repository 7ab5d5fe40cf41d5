"""The behaviour clone of a shipped policy: the same network, taught by an expert in place of rewards.

    python -m studies.clone --variation many_solves --problems 3000 --out runs/clone

What is taught, on every level of the hierarchy by the recipe that is best in hindsight (`studies.lessons`), are its
edges and a recipe drawn by ``softmax(paid / SOFTNESS)``: those that do about as well as the best count as well
(behavioural cloning, Pomerleau 1991; an expert at a temperature, as in distillation, Hinton et al. 2015). The loss is
the cross-entropy with the lesson. A tenth of the problems is kept apart; the epoch whose recipes are paid best there,
by the table of what every recipe was paid, is the clone.

That table is saved beside the clone as it grows (``OUT_lessons.parquet``): the same command goes on there after an
interruption.

It is a policy like any other: what training by reward adds to imitation shows beside it in `psparsity evaluate --policy
runs/clone`, and ``--set training.start_from=runs/clone`` trains on from it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from joblib import cpu_count

from benchmarks.record import commit
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import SparsifierPolicy, untrained_network
from rllib_psparsity.training.input_statistics import input_statistics
from studies.lessons import Lesson, gather

STUDY = Path(__file__).with_name("shipped.yaml")
LEARNING_RATE = 2e-3
SOFTNESS = 0.05
"""In units of the reward: for a logarithm of the work, 5 % of it."""
APART = 0.1


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
    parser.add_argument("--processes", type=int, default=cpu_count(), help="prepare the lessons; all cores without it")
    parser.add_argument("--out", type=Path, required=True, help="a new directory")
    options = parser.parse_args(arguments)
    if options.processes < 1:
        parser.error(f"--processes is {options.processes}; it must be at least 1")
    if options.out.exists():
        parser.error(f"{options.out} exists already, and a policy overwrites nothing; name a new directory")
    overrides = [f"seed={options.seed}"]
    config = load_config(STUDY, options.variation, overrides)
    # Paid at the end alone: the rewards of an episode add up to the same, and cost less.
    paid_at_the_end = load_config(STUDY, options.variation, [*overrides, "reward.shaping=false"])
    table = options.out.with_name(f"{options.out.name}_lessons.parquet")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that joblib ends its processes
    try:
        lessons = gather(paid_at_the_end, options.problems, table, options.processes)
        policy = untrained_network(config.policy, config.seed, input_statistics(config)).train()
        for epoch, loss, paid, expert in learn(policy, lessons, options.epochs, np.random.default_rng(config.seed)):
            apart = f"paid apart {paid:.4f}, expert {expert:.4f}"
            print(f"epoch {epoch}/{options.epochs} | loss {loss:.3f} | {apart}", flush=True)
    except InputError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on from {table}")
        sys.exit(128 + signal.SIGINT)
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

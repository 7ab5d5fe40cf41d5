"""What a run is compared with, before it starts and when it ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from scipy.sparse import coo_array
from scipy.sparse.csgraph import laplacian
from scipy.sparse.linalg import eigsh

from rllib_psparsity.amg.decision import Decide
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import CARD, save_policy
from rllib_psparsity.deploy.decide import policy_decide, prior_decide
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.arms import PRIOR_ALONE, TRAINED_POLICY, policy_methods
from rllib_psparsity.evaluation.comparison import compare, geometric_mean
from rllib_psparsity.evaluation.method import classical_methods
from rllib_psparsity.evaluation.provenance import command_line, commit
from rllib_psparsity.evaluation.rows import write_rows
from rllib_psparsity.evaluation.table import comparison_table
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.plots import edges_figure
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.export import load_network
from rllib_psparsity.training.model_card import model_card

RESULTS = "heldout.parquet"
PICTURE = "strong_edges.png"
POLICY = "policy"
REFERENCE_PROBLEMS = 8


def reference_problems(config: Config) -> Iterator[Problem]:
    """A few held-out problems; `InputError` at one that is too small for anything to be decided."""
    problems = ProblemDistribution(config.problems, config.seed)
    for index in range(min(REFERENCE_PROBLEMS, config.problems.heldout_problems)):
        problem = problems.heldout(index)
        if problem.num_unknowns // problem.block_size <= config.environment.max_coarse:
            raise InputError(
                f"problem {problem.name} has {problem.num_unknowns // problem.block_size} nodes, but needs more than "
                f"environment.max_coarse = {config.environment.max_coarse}; take larger sizes or a lower max_coarse"
            )
        yield problem


def reference_figures(config: Config) -> dict[str, float]:
    """Work per digit of PyAMG's default and of the prior alone, geometric means over a few held-out problems.

    Raises `InputError` if a problem is too small for anything to be decided.
    """
    menu = parse_menu(config.policy.recipes)
    prior = prior_decide(inference_of(untrained_network(config.policy, config.seed)))
    default, alone = [], []
    for problem in reference_problems(config):
        hierarchy = build_hierarchy(problem.A, problem.B, prior, menu=menu, limits=config.environment)
        default.append(measure_solve(PYAMG_DEFAULT.build(problem.A, problem.B)).work_per_digit)
        alone.append(measure_solve(hierarchy.to_pyamg()).work_per_digit)
    return {
        "PyAMG default": geometric_mean(work for work in default if np.isfinite(work)),
        PRIOR_ALONE: geometric_mean(work for work in alone if np.isfinite(work)),
    }


def conclude(config: Config, run_dir: Path, rows: Sequence[dict[str, Any]], command: str | None = None) -> None:
    """Compare on held-out problems, draw, export the policy, and say where everything is.

    `command` is kept with the comparison; that of this process if there is none.
    """
    checkpoint, iteration, _ = newest_checkpoint(run_dir)
    trained = load_network(checkpoint, config)
    earlier = run_dir / f"{POLICY}_before_{iteration}"
    if (run_dir / POLICY).exists() and not earlier.exists():  # the run had ended before, and was then trained on
        (run_dir / POLICY).rename(earlier)
    if not (run_dir / POLICY).exists():
        save_policy(trained, config.environment, run_dir / POLICY, model_card(config, iteration, rows))
    distribution = ProblemDistribution(config.problems, config.seed)
    problems = [distribution.heldout(index) for index in range(config.problems.heldout_problems)]
    learned = inference_of(trained)
    initial = inference_of(untrained_network(config.policy, config.seed, learned.weights()))
    menu = parse_menu(config.policy.recipes)
    methods = [*policy_methods(learned, initial, menu, config.environment), *classical_methods()]
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("comparing on held-out problems")
        compared = compare(
            problems, methods, config.seed, lambda done, total: progress.update(task, completed=done, total=total)
        )
    source = command or command_line()
    metadata = {"seed": config.seed, "iteration": iteration, "commit": commit(), "command": source}
    write_rows(run_dir / RESULTS, compared, metadata)
    card = model_card(config, iteration, rows, compared)
    write_atomically(run_dir / POLICY / CARD, lambda path: path.write_text(card, encoding="utf-8"))
    console.print(comparison_table(compared, title=f"{len(problems)} held-out problems, seed {config.seed}"))
    decides = (prior_decide(initial), policy_decide(learned))
    _draw(problems, decides, rows, run_dir / PICTURE)
    console.print(
        f"policy: {run_dir / POLICY} | comparison: {run_dir / RESULTS} | picture: {run_dir / PICTURE} | "
        f"curves: psparsity diagnose {run_dir}",
        soft_wrap=True,
    )


def _draw(
    problems: Sequence[Problem], decides: tuple[Decide, Decide], rows: Sequence[dict[str, Any]], path: Path
) -> None:
    """The reward curve, and the strong edges by `decides`, the prior alone and the trained policy, on the finest level
    of the problem where they differ most."""
    graphs = [level_graph(problem.A, problem.B, 0) for problem in problems]
    before, after = ([decide(graph).edge_is_strong for graph in graphs] for decide in decides)
    most = int(np.argmax([np.mean(one != other) for one, other in zip(before, after, strict=True)]))
    figure = edges_figure(
        graphs[most].edge_index,
        _coordinates(graphs[most]),
        before[most],
        after[most],
        (PRIOR_ALONE, TRAINED_POLICY),
        [row["reward_mean"] for row in rows],
    )
    figure.suptitle(f"{problems[most].name}, the held-out problem where the two differ most")
    figure.savefig(path, dpi=100)


def _coordinates(graph: LevelGraph) -> np.ndarray:
    """(N, 2): the grid for a square number of nodes, which the families on grids number row by row; otherwise the
    spectral layout, the two smoothest eigenvectors of the graph's Laplacian."""
    n = graph.num_nodes
    side = math.isqrt(n)
    if side * side == n:
        return np.stack([np.arange(n) % side, np.arange(n) // side], axis=1).astype(float)
    i, j = graph.edge_index
    adjacency = coo_array((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    start = np.random.default_rng(0).standard_normal(n)
    _, vectors = eigsh(laplacian(adjacency), k=3, sigma=-1e-3, v0=start)
    return vectors[:, 1:]

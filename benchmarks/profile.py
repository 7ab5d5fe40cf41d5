"""Where the CPU time of an episode goes, for sampling and for the learner.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.profile [--study FILE] [--variation B] [--torch]

The real algorithm, with its env runner and its learner in this process (`env_runners.count=0`, `learner.count=0`), is
trained for a warm-up iteration and then for `--repeats` iterations whose phases are timed from outside; a further
iteration runs under cProfile and, with --torch, another under torch.profiler. Milliseconds are CPU time of this thread
an episode; a phase does not count what another phase inside of it takes. What processes tell each other is not here:
see `benchmarks.overhead`.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ray

from benchmarks.algorithms import build, local_ray
from benchmarks.phases import Phases
from benchmarks.record import arguments_parser, result_directory, spread, write_result
from rllib_psparsity.config.load import load_config

TRAINING = "rllib_psparsity.training"
REWARDS = "rllib_psparsity.environment.rewards"
SAMPLING_PHASES = {
    "problem": ("rllib_psparsity.problems.distribution:ProblemDistribution.training",),
    "features": ("rllib_psparsity.graph.features:level_graph",),
    "relaxed candidates": ("rllib_psparsity.amg.hierarchy:Level.candidates",),
    "inference": (f"{TRAINING}.env_runner:SparsifyEnvRunner._infer",),
    "coarsening and prolongator": ("rllib_psparsity.amg.hierarchy:HierarchyBuilder.coarsen",),
    "Galerkin product": ("rllib_psparsity.amg.products:galerkin_product",),
    "measuring: cycle set-up": ("rllib_psparsity.amg.cycle:BlockVCycle.__init__",),
    "measuring: quality and credit": (
        *(
            f"{REWARDS}.{measure}.{method}"
            for measure in (
                "work_per_digit:WorkPerDigit",
                "energy_reduction:EnergyReduction",
                "pcg_iterations:PCGIterations",
            )
            for method in ("test_vectors", "quality")
        ),
        "rllib_psparsity.environment.credit:node_credit",
    ),
    "environment, the rest": (
        "rllib_psparsity.environment.sparsify:SparsifyEnv.reset",
        "rllib_psparsity.environment.sparsify:SparsifyEnv.step",
    ),
    "RLlib and connectors, the rest": (f"{TRAINING}.sampling:Sampling.finish",),
}
LEARNER_PHASES = {
    "advantages, with values": (f"{TRAINING}.connectors:HierarchicalGAE.__call__",),
    "collation of minibatches": (f"{TRAINING}.loss:StepBatch.from_steps",),
    "forward": (f"{TRAINING}.module:SparsifierModule._forward_train",),
    "loss": (f"{TRAINING}.learner:SparsifyLearner.compute_loss_for_module",),
    "backward": (f"{TRAINING}.learner:SparsifyLearner.compute_gradients",),
    "gradient norms and clip": (f"{TRAINING}.learner:SparsifyLearner.postprocess_gradients",),
    "optimiser": (f"{TRAINING}.learner:SparsifyLearner.apply_gradients",),
    "RLlib, the rest": (f"{TRAINING}.algorithm:SparsifyPPO._learn",),
}
REST = "weights, metrics, the rest"
GROUPS = {"sampling": SAMPLING_PHASES, "learner": LEARNER_PHASES, REST: {REST: ()}}


def build_algorithm(study: Path | None, variation: str | None, episodes: int, settings: Sequence[str]) -> Any:
    """The algorithm of a study with everything in this process, and `episodes` an iteration."""
    local = ("env_runners.count=0", "learner.count=0", f"training.episodes_per_iteration={episodes}")
    return build(load_config(study, variation, (*settings, *local)))


def timed_iteration(algorithm: Any) -> dict[str, Any]:
    """One iteration: CPU milliseconds an episode by phase, and how often each phase was entered."""
    phases = Phases({phase: names for group in GROUPS.values() for phase, names in group.items()})
    episodes = algorithm.episodes_started
    with phases.measuring(), phases.phase(REST):
        wall = time.perf_counter()
        algorithm.train()
        wall = time.perf_counter() - wall
    episodes = algorithm.episodes_started - episodes
    levels = phases.calls["coarsening and prolongator"]
    row: dict[str, Any] = {"episodes": episodes, "levels": levels, "wall_milliseconds": 1e3 * wall / episodes}
    for name, group in GROUPS.items():
        row[name] = {phase: 1e3 * phases.seconds[phase] / episodes for phase in group}
    return row | {"calls": dict(phases.calls)}


def top_functions(algorithm: Any, count: int) -> list[dict[str, Any]]:
    """The functions with the most time of their own in one iteration, by cProfile, which slows Python code."""
    profiler, episodes = cProfile.Profile(time.thread_time), algorithm.episodes_started
    profiler.runcall(algorithm.train)
    episodes = algorithm.episodes_started - episodes
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    rows = [
        {
            "function": f"{_short(file)}:{line} {name}",
            "calls_an_episode": round(calls / episodes, 2),
            "milliseconds_an_episode": round(1e3 * own / episodes, 4),
            "with_callees": round(1e3 * total / episodes, 4),
        }
        for (file, line, name), (_, calls, own, total, _) in stats.items()
    ]
    return sorted(rows, key=lambda row: -row["milliseconds_an_episode"])[:count]


def top_operators(algorithm: Any, count: int) -> list[dict[str, Any]]:
    """torch's dearest operators in the learner of one iteration."""
    from torch.profiler import ProfilerActivity, profile

    learn, episodes = algorithm._learn, algorithm.episodes_started
    profiler = profile(activities=[ProfilerActivity.CPU], acc_events=True)

    def profiled(batch: Any) -> Any:
        with profiler:
            return learn(batch)

    algorithm._learn = profiled
    try:
        algorithm.train()
    finally:
        del algorithm._learn
    episodes = algorithm.episodes_started - episodes
    averages = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)[:count]
    return [
        {
            "operator": event.key,
            "calls_an_episode": round(event.count / episodes, 2),
            "milliseconds_an_episode": round(event.self_cpu_time_total / 1e3 / episodes, 4),
        }
        for event in averages
    ]


def _short(file: str) -> str:
    """The path from the package on, so that results name nobody's directories."""
    return file.rpartition("site-packages/")[2] if "site-packages/" in file else "/".join(Path(file).parts[-3:])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the timed iterations."""
    figures: dict[str, Any] = {
        "unit": "CPU milliseconds an episode",
        "levels_an_episode": round(sum(row["levels"] for row in rows) / sum(row["episodes"] for row in rows), 3),
        "total": spread([sum(sum(row[name].values()) for name in GROUPS) for row in rows]),
    }
    for name, group in GROUPS.items():
        figures[name] = {
            "total": statistics.median(sum(row[name].values()) for row in rows),
            **{phase: statistics.median(row[name][phase] for row in rows) for phase in group},
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print the summary."""
    total = figures["total"]["median"]
    print(f"{total:.2f} ms an episode of {figures['levels_an_episode']:.2f} levels")
    for name in GROUPS:
        print(f"{name:<34}{figures[name]['total']:>9.3f}{figures[name]['total'] / total:>8.1%}")
        for phase, milliseconds in figures[name].items():
            if phase not in ("total", REST):
                print(f"  {phase:<32}{milliseconds:>9.3f}{milliseconds / total:>8.1%}")
    for key in ("functions", "operators"):
        for row in figures.get(key, ()):
            print(f"{row['milliseconds_an_episode']:>9.3f} ms{row['calls_an_episode']:>10.1f} x  {row[key[:-1]]}")


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--study", type=Path, help="a study in YAML; the default study without it")
    parser.add_argument("--variation", help="of the study, or, without --study, of the triage study")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in `psparsity train`")
    parser.add_argument("--episodes", type=int, default=128, help="an iteration (128)")
    parser.add_argument("--top", type=int, default=30, help="functions, and operators, to list (30)")
    parser.add_argument("--torch", action="store_true", help="torch.profiler on the learner")
    options = parser.parse_args(arguments)
    episodes = 8 if options.quick else options.episodes
    # A Ray that is running already belongs to somebody else, who also ends it.
    with nullcontext() if ray.is_initialized() else local_ray(cpus=1):
        algorithm = build_algorithm(options.study, options.variation, episodes, options.set)
        algorithm.train()
        rows = [timed_iteration(algorithm) for _ in range(1 if options.quick else options.repeats)]
        figures = summary(rows)
        figures["functions"] = top_functions(algorithm, options.top)
        if options.torch:
            figures["operators"] = top_operators(algorithm, options.top)
        algorithm.stop()
    show(figures)
    print(write_result("profile", arguments, figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()

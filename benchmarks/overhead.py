"""What RLlib, Ray and the connectors add to an environment step of 20 ms.

    python -m benchmarks.overhead [--mode spin|sleep] [--milliseconds 20] [--iterations 3] [--episodes 64] [--quick]

The environment plays a recorded episode of variation B (32x32, real graphs, credits and aggregates), and waits in every
step until the milliseconds are over: of CPU time (spin, the default: it competes with the driver as a real step does)
or of wall time (sleep). Interleaved:

    bare          a plain loop over chunks of episodes: reset, the policy's decisions for all graphs at once, step
    2 bare        the same in two processes at once, which slow each other down without any help from RLlib
    0 runners     the same by RLlib in this process: connectors, episodes, metrics
    1, 2 runners  by actors: episodes shipped to the driver, weights broadcast to the runners

Each RLlib figure is a number of whole `Algorithm.train()`s whose learner does nothing: sampling, metrics, weights, the
result. The overhead of a step is the runners' wall time per step less that of as many bare loops. Target: at most 10 %
of the step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.algorithms import IdleLearner, build, iterate, local_ray
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from benchmarks.simulated import MODES, SPIN, SimulatedEnvRunner, SimulatedPool
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.choice import sample

TARGET_PERCENT = 10.0
PROCESSES = {"bare": 1, "2 bare": 2, "0 runners": 1, "1 runner": 1, "2 runners": 2}
"""Of each variant, that step environments side by side."""
BARE = {"0 runners": "bare", "1 runner": "bare", "2 runners": "2 bare"}
"""What each of RLlib's variants is compared with."""
Infer = Callable[[Sequence[LevelGraph], Sequence[np.random.Generator]], Sequence[Decision]]


def bare_loop(pool: SimulatedPool, infer: Infer, episodes: int, chunk: int) -> dict[str, float]:
    """Seconds and steps of `episodes` episodes, `chunk` of them stepped together."""
    start, steps = time.perf_counter(), 0
    for first in range(0, episodes, chunk):
        envs = pool.take(min(chunk, episodes - first))
        rngs = [np.random.default_rng([first, k]) for k in range(len(envs))]
        graphs = [env.reset()[0] for env in envs]
        running = list(range(len(envs)))
        while running:
            decisions = infer([graphs[k] for k in running], [rngs[k] for k in running])
            still = []
            for k, decision in zip(running, decisions, strict=True):
                graphs[k], _, terminated, truncated, _ = envs[k].step(decision)
                steps += 1
                if not (terminated or truncated):
                    still.append(k)
            running = still
    return {"seconds": time.perf_counter() - start, "steps": steps}


def bare_inference(config: Config, runner: Any) -> Infer:
    """Decisions and their log-probabilities for a batch of graphs, as the env runner makes them, without connectors."""
    inference = runner.module.inference

    def infer(graphs: Sequence[LevelGraph], rngs: Sequence[np.random.Generator]) -> Sequence[Decision]:
        choice = sample(config.policy, inference.logits(graphs), rngs)
        choice.unit_log_prob()
        choice.recipe_log_prob()
        return choice.decisions

    return infer


def bare_in_runner(runner: Any, episodes: int) -> dict[str, float]:
    """Inside a runner: the bare loop with its environments and its policy."""
    config = runner.config.run_config
    infer = bare_inference(config, runner)
    return bare_loop(runner.env, infer, episodes, config.env_runners.episodes_per_chunk)


def bare_in_runners(algorithm: Any, episodes: int) -> dict[str, float]:
    """In all runners at once, an equal share of the episodes each."""
    group = algorithm.env_runner_group
    call = partial(bare_in_runner, episodes=episodes // group.num_remote_workers())
    done = group.foreach_env_runner(call, local_env_runner=False)
    return {"seconds": max(one["seconds"] for one in done), "steps": sum(one["steps"] for one in done)}


def summarise(rows: Sequence[dict[str, dict[str, float]]], step: float) -> dict[str, Any]:
    """Milliseconds a step and process of every variant, and what RLlib's add to the bare loops, repeat by repeat."""
    per_step = {
        name: [1e3 * row[name]["seconds"] * PROCESSES[name] / row[name]["steps"] for row in rows] for name in PROCESSES
    }
    figures: dict[str, Any] = {name: {"milliseconds_per_step": spread(values)} for name, values in per_step.items()}
    for name, bare in BARE.items():
        added = [mine - theirs for mine, theirs in zip(per_step[name], per_step[bare], strict=True)]
        figures[name]["overhead_milliseconds"] = spread(added)
        figures[name]["overhead_percent"] = spread([100 * value / (1e3 * step) for value in added])
    return figures


def main() -> None:
    parser = arguments_parser(__doc__, repeats=5)
    parser.add_argument("--mode", choices=MODES, default=SPIN)
    parser.add_argument("--milliseconds", type=float, default=20.0, help="of an environment step")
    parser.add_argument("--episodes", type=int, default=64, help="of an iteration")
    parser.add_argument("--iterations", type=int, default=3, help="of RLlib's variants in a repeat")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.episodes = 1, 16
    step = options.milliseconds / 1e3
    common = (f"training.episodes_per_iteration={options.episodes}",)
    env_config = {"seconds": step, "mode": options.mode}
    episodes = options.iterations * options.episodes

    with local_ray(cpus=4):
        algorithms = {
            name: build(
                load_config(variation="B", overrides=(*common, f"env_runners.count={name[0]}")),
                IdleLearner,
                SimulatedEnvRunner,
                env_config,
            )
            for name in BARE
        }
        local = algorithms["0 runners"]
        config = local.config.run_config
        pool = SimulatedPool(config, **env_config)
        infer = bare_inference(config, local.env_runner)
        variants: dict[str, Callable[[], dict[str, float]]] = {
            "bare": partial(bare_loop, pool, infer, episodes, config.env_runners.episodes_per_chunk),
            "2 bare": partial(bare_in_runners, algorithms["2 runners"], episodes),
            **{name: partial(_train, algorithm, options.iterations) for name, algorithm in algorithms.items()},
        }
        interleave(variants, 1)  # compiles, connects, warms up
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = {"mode": options.mode, "step_milliseconds": options.milliseconds, "target_percent": TARGET_PERCENT}
    figures |= summarise(rows, step)
    for name in PROCESSES:
        line = f"{name:<10} {figures[name]['milliseconds_per_step']['median']:7.2f} ms a step"
        if name in BARE:
            line += f", adds {figures[name]['overhead_percent']['median']:5.1f} %"
        print(line)
    print(write_result("overhead", sys.argv[1:], figures, rows, result_directory(options)))


def _train(algorithm: Any, iterations: int) -> dict[str, float]:
    done = iterate(algorithm, iterations)
    return {"seconds": done.seconds, "driver_seconds": done.driver_seconds, "steps": done.steps}


if __name__ == "__main__":
    main()

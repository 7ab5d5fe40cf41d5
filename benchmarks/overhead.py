"""What RLlib, Ray and the connectors add to an environment step of 20 ms.

    python -m benchmarks.overhead [--mode spin|sleep] [--milliseconds 20] [--iterations 3] [--episodes 64] [--quick]

The environment plays a recorded episode of variation B (32x32, real graphs, credits and aggregates), and waits in every
step until the milliseconds are over: of CPU time (spin, the default: it competes with the driver as a real step does)
or of wall time (sleep). Interleaved:

    bare          a plain loop over chunks of episodes: reset, the policy's decisions for all graphs at once, step
    0 runners     the same by RLlib in this process: connectors, episodes, metrics
    1, 2 runners  by actors: episodes shipped to the driver, weights broadcast to the runners

Each RLlib figure is a number of whole `Algorithm.train()`s whose learner does nothing: sampling, metrics, weights, the
result. The overhead of a step is the runners' wall time per step less that of the bare loop. Target: at most 10 % of
the step.
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
from rllib_psparsity.policy.inference import inference_of

TARGET_PERCENT = 10.0
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
    inference = inference_of(runner.module.unwrapped().network)

    def infer(graphs: Sequence[LevelGraph], rngs: Sequence[np.random.Generator]) -> Sequence[Decision]:
        choice = sample(config.policy, inference.logits(graphs), rngs)
        choice.unit_log_prob()
        choice.recipe_log_prob()
        return choice.decisions

    return infer


def summarise(rows: Sequence[dict[str, dict[str, float]]], runners: dict[str, int], step: float) -> dict[str, Any]:
    """Milliseconds a step and runner of every variant, and what it adds to the bare loop, repeat by repeat."""
    figures: dict[str, Any] = {}
    for name in rows[0]:
        per_step = [1e3 * row[name]["seconds"] * max(runners[name], 1) / row[name]["steps"] for row in rows]
        figures[name] = {"milliseconds_per_step": spread(per_step)}
        if name != "bare":
            bare = [1e3 * row["bare"]["seconds"] / row["bare"]["steps"] for row in rows]
            added = [mine - theirs for mine, theirs in zip(per_step, bare, strict=True)]
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
    runners = {"bare": 0, "0 runners": 0, "1 runner": 1, "2 runners": 2}

    with local_ray(cpus=4):
        algorithms = {
            name: build(
                load_config(variation="B", overrides=(*common, f"env_runners.count={count}")),
                IdleLearner,
                SimulatedEnvRunner,
                env_config,
            )
            for name, count in runners.items()
            if name != "bare"
        }
        local = algorithms["0 runners"]
        config = local.config.run_config
        pool = SimulatedPool(config, **env_config)
        infer = bare_inference(config, local.env_runner)
        variants: dict[str, Callable[[], dict[str, float]]] = {
            "bare": partial(
                bare_loop, pool, infer, options.iterations * options.episodes, config.env_runners.episodes_per_chunk
            ),
            **{name: partial(_train, algorithm, options.iterations) for name, algorithm in algorithms.items()},
        }
        interleave(variants, 1)  # compiles, connects, warms up
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = {"mode": options.mode, "step_milliseconds": options.milliseconds, "target_percent": TARGET_PERCENT}
    figures |= summarise(rows, runners, step)
    for name in runners:
        line = f"{name:<10} {figures[name]['milliseconds_per_step']['median']:7.2f} ms a step"
        if name != "bare":
            line += f", adds {figures[name]['overhead_percent']['median']:5.1f} %"
        print(line)
    print(write_result("overhead", sys.argv[1:], figures, rows, result_directory(options)))


def _train(algorithm: Any, iterations: int) -> dict[str, float]:
    done = iterate(algorithm, iterations)
    return {"seconds": done.seconds, "driver_seconds": done.driver_seconds, "steps": done.steps}


if __name__ == "__main__":
    main()

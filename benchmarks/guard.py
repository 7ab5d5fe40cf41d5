"""What the guard of `learned_solver` costs, what it estimates, and what it catches.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.guard [--repeats 15]

share: CPU seconds of the guard's test, divided by those of the whole set-up, by the shipped policy on the matrices of
`benchmarks.setup` with 10,000 unknowns; medians over repeats in one process, after a warm-up.

estimate: the guard's work per digit, two steps of conjugate gradients, against a solve to 1e-8, on held-out problems of
the default study and by hierarchies of the shipped policy and of random networks.

caught: the work per digit of what `learned_solver` gives with those policies, with the guard and without, relative to
PyAMG's default on the same problem, at worst and in the geometric mean; failures are solves that do not converge.
passed: hierarchies that the guard had no objection to though a solve takes more than 15, or 30, work units a digit.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from typing import Any

import numpy as np

from benchmarks.record import arguments_parser, result_directory, spread, write_result

UNKNOWNS = 10_000
NETWORKS = 6
PROBLEMS = 24
GAIN = 4.0
"""Weights of a random network are multiplied by this, so that it follows no prior."""


def shares(repeats: int, unknowns: int) -> dict[str, Any]:
    """Problem -> CPU seconds by phase and the guard's share."""
    import rllib_psparsity.amg.hierarchy as hierarchy
    import rllib_psparsity.deploy.multilevel as multilevel
    from benchmarks.setup import PROBLEMS as MATRICES
    from benchmarks.setup import matrix
    from rllib_psparsity import learned_solver

    kept = multilevel.perf_counter
    multilevel.perf_counter = hierarchy.perf_counter = time.thread_time
    try:
        figures = {}
        for problem in MATRICES:
            A = matrix(problem, unknowns)
            learned_solver(A)
            infos = [learned_solver(A).setup_info for _ in range(repeats)]
            phases = {name: statistics.median(info.seconds[name] for info in infos) for name in infos[0].seconds}
            share = spread([info.seconds["guard"] / info.total_seconds for info in infos])
            figures[problem] = {"share": share, "seconds": phases, "stepped_in": infos[0].guard_stepped_in}
            print(f"{problem}: {share['median']:.1%} of {1e3 * sum(phases.values()):.1f} ms", flush=True)
    finally:
        multilevel.perf_counter = hierarchy.perf_counter = kept
    return figures


def random_policy(seed: int) -> Any:
    """A network without training or prior that decides at random, but for its features."""
    import torch

    from rllib_psparsity.amg.limits import Limits
    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.deploy.artifact import LoadedPolicy
    from rllib_psparsity.policy.inference import inference_of
    from rllib_psparsity.policy.network import SparsifierPolicy

    torch.manual_seed(seed)
    network = SparsifierPolicy(PolicyConfig(prior=False)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= GAIN
    return LoadedPolicy(inference_of(network), network.config, network.menu, Limits())


def work(ml: Any) -> float:
    """Work per digit; infinite where nothing was coarsened: a direct solver has no cycle to count."""
    from rllib_psparsity.amg.measurement import measure_solve

    return measure_solve(ml).work_per_digit if len(ml.levels) > 1 else math.inf


def solves(networks: int, problems: int) -> list[dict[str, Any]]:
    """One row for every policy and problem."""
    from rllib_psparsity import learned_solver, load_policy
    from rllib_psparsity.amg.measurement import measure_solve
    from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
    from rllib_psparsity.config.schema import Config
    from rllib_psparsity.deploy.guard import direct_solver, estimated_work
    from rllib_psparsity.errors import SetupFailure
    from rllib_psparsity.problems.distribution import ProblemDistribution

    policies = {"shipped": load_policy("default")} | {f"random {seed}": random_policy(seed) for seed in range(networks)}
    distribution = ProblemDistribution(Config().problems, seed=0)
    rows = []
    for index in range(problems):
        problem = distribution.heldout(index)
        default = measure_solve(PYAMG_DEFAULT.build(problem.A, problem.B)).work_per_digit
        for name, policy in policies.items():
            guarded = learned_solver(problem.A, problem.B, policy=policy)
            row = {"problem": problem.name, "policy": name, "method": guarded.setup_info.method, "default": default}
            row["guarded"] = work(guarded)
            try:
                bare = learned_solver(problem.A, problem.B, policy=policy, guard=False)
                row["bare"] = work(bare)
                row["estimate"] = estimated_work(bare._hierarchy, direct_solver(bare._hierarchy))
            except SetupFailure:
                row["bare"] = row["estimate"] = math.inf
            rows.append(row)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Correlation of estimate and truth, and what was caught, of the shipped policy and of the random ones."""
    pairs = np.array([(row["estimate"], row["bare"]) for row in rows])
    logs = np.log(pairs[np.isfinite(pairs).all(axis=1)])
    figures: dict[str, Any] = {"correlation_of_logarithms": round(float(np.corrcoef(logs.T)[0, 1]), 3)}
    for kind in ("shipped", "random"):
        of_kind = [row for row in rows if row["policy"].startswith(kind)]
        kept = [row["bare"] for row in of_kind if row["method"] == "learned"]
        figures[kind] = {"solves": len(of_kind), "stepped_in": len(of_kind) - len(kept)}
        figures[kind] |= {f"passed_above_{limit}": sum(bare > limit for bare in kept) for limit in (15, 30)}
        for arm in ("guarded", "bare"):
            ratios = np.array([row[arm] / row["default"] for row in of_kind])
            finite = ratios[np.isfinite(ratios)]
            figures[kind][arm] = {
                "failures": int((~np.isfinite(ratios)).sum()),
                "geometric_mean_to_default": round(float(np.exp(np.log(finite).mean())), 3),
                "worst_to_default": round(float(finite.max()), 3),
            }
    return figures


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = arguments_parser(__doc__, repeats=15).parse_args(arguments)
    share = shares(2 if options.quick else options.repeats, 1_500 if options.quick else UNKNOWNS)
    rows = solves(1 if options.quick else NETWORKS, 3 if options.quick else PROBLEMS)
    figures = {"unit": "CPU seconds, one thread", "share_of_setup": share, **summary(rows)}
    for kind in ("shipped", "random"):
        print(kind, figures[kind])
    print("correlation of the estimate with a solve", figures["correlation_of_logarithms"])
    print(write_result("guard", arguments, figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()

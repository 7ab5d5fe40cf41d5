"""How well cheap measures of a hierarchy predict the work per digit of conjugate gradients.

A reward is measured in every step of training, so it must cost a few V-cycles; what counts in the end is the work per
digit of a real solve. Over hierarchies of rotated anisotropic diffusion (finite differences and finite elements, every
recipe, the prior's mask as it is and blurred by noise), each candidate predicts the logarithm of the work per digit,

    V-cycle alone     log(work / -log10(rho)), rho the asymptotic reduction of the energy norm by one V-cycle
    V-cycle with CG   the project's `WorkPerDigit`: the same rho, accelerated by conjugate gradients
    first 8 PCG       the reduction of the energy norm by the first 8 iterations, on the same number of vectors

and is judged within each problem: the spread of prediction minus truth, after their mean on that problem, and the
correlation of the two. ``another solve`` is a second real solve with another right-hand side: what no measure can beat.

    OMP_NUM_THREADS=1 python -m benchmarks.reward_fidelity [--problems 8] [--size 32] [--seed 5] [--out FILE]

prints the table and writes it, with command, commit and machine, to ``results/reward_fidelity.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.hierarchy import Hierarchy, build_hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.recipe import MEASURES, PROLONGATIONS, parse_menu
from rllib_psparsity.environment.rewards.energy import energies
from rllib_psparsity.environment.rewards.work_per_digit import DISCARDED_CYCLES, MEASURED_CYCLES, WorkPerDigit
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.problems.families import FAMILIES

MENU = parse_menu(tuple(f"{c}/{p}/{m}" for c, names in PROLONGATIONS.items() for p in names for m in MEASURES))
NOISE_LEVELS = (0.0, 2.0)
"""Standard deviations of the noise on the prior's logits."""
FAMILY_NAMES = ("anisotropic_diffusion_fd", "anisotropic_diffusion_fe")
VECTORS = 4
SOLVES = 3
PCG_ITERATIONS = 8
SLOWEST = 1 - 1e-9
"""Largest reduction per cycle: a cycle that stands still must not give infinite work."""


def noisy_prior(recipe: int, noise: float, rng: np.random.Generator) -> Decide:
    """The recipe's textbook measure, with normal noise on its logits."""
    feature, threshold, steepness = MENU[recipe].strength_test
    column = EDGE_FEATURES.index(feature)

    def decide(graph):
        logits = steepness * (graph.edge_features[:, column] - threshold)
        return Decision(logits + noise * rng.standard_normal(graph.num_edges) >= 0, recipe)

    return decide


def vcycle_alone(hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> float:
    """Log of the work per digit of V-cycles without acceleration, from as many cycles as `WorkPerDigit` takes."""
    A = hierarchy.levels[0].A
    errors = rng.standard_normal((A.shape[0], VECTORS))
    zero = np.zeros_like(errors)
    for _ in range(DISCARDED_CYCLES):
        errors = cycle(zero, errors)
    before, _ = energies(A, errors)
    for _ in range(MEASURED_CYCLES):
        errors = cycle(zero, errors)
    after, _ = energies(A, errors)
    rho = min(float(np.exp(np.mean(np.log(after / before)) / (2 * MEASURED_CYCLES))), SLOWEST)
    return float(np.log((hierarchy.cycle_complexity + 1) / -np.log10(rho)))


def vcycle_with_cg(hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> float:
    """Minus the project's `work_per_digit`."""
    reward = WorkPerDigit(VECTORS)
    return -reward.quality(hierarchy, cycle, reward.test_vectors(hierarchy.levels[0].A, rng)).value


def first_iterations(hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> float:
    """Log of the work per digit of the energy norm over the first iterations of PCG on A x = 0 from random x."""
    A = hierarchy.levels[0].A
    x = rng.standard_normal((A.shape[0], VECTORS))
    initial, _ = energies(A, x)
    r = -(A @ x)
    p = z = cycle(r)
    rz = np.einsum("ik,ik->k", r, z)
    for _ in range(PCG_ITERATIONS):
        Ap = A @ p
        alpha = rz / np.einsum("ik,ik->k", p, Ap)
        x = x + alpha * p
        r = r - alpha * Ap
        z = cycle(r)
        rz, before = np.einsum("ik,ik->k", r, z), rz
        p = z + rz / before * p
    final, _ = energies(A, x)
    digits = float(np.mean(np.log10(initial / final))) / (2 * PCG_ITERATIONS)
    return float(np.log((hierarchy.cycle_complexity + 1) / digits))


MEASUREMENTS = {
    "V-cycle alone": vcycle_alone,
    "V-cycle with CG": vcycle_with_cg,
    f"first {PCG_ITERATIONS} PCG": first_iterations,
}
ANOTHER = "another solve"


def measure_problem(number: int, size: int, seed: int) -> tuple[np.ndarray, dict[str, int], dict[str, float]]:
    """Every second recipe, alternating between problems, at every noise level on one problem.

    Returns
    -------
    rows : (hierarchies, 2 + measurements) truth, another solve, and the measurements, in logarithms
    left_out : how many hierarchies failed as set-ups, or did not converge
    seconds : spent by each measurement
    """
    rng = np.random.default_rng([seed, number])
    family = FAMILIES[FAMILY_NAMES[number % len(FAMILY_NAMES)]]
    epsilon, theta = 10 ** rng.uniform(-3, np.log10(0.5)), rng.uniform(0, 2 * np.pi)
    problem = family.make(rng, size, epsilon=epsilon, theta=theta)
    rows, left_out = [], {"failed_setups": 0, "not_converged": 0}
    seconds = dict.fromkeys(MEASUREMENTS, 0.0)
    for recipe in range(number // len(FAMILY_NAMES) % 2, len(MENU), 2):
        for noise in NOISE_LEVELS:
            hierarchy = build_hierarchy(problem.A, problem.B, noisy_prior(recipe, noise, rng), menu=MENU)
            if hierarchy.failed:
                left_out["failed_setups"] += 1
                continue
            ml = hierarchy.to_pyamg()
            solves = [measure_solve(ml, seed=index).work_per_digit for index in range(SOLVES + 1)]
            if not np.isfinite(solves).all():
                left_out["not_converged"] += 1
                continue
            row = [float(np.mean(np.log(solves[:SOLVES]))), float(np.log(solves[SOLVES]))]
            for name, measure in MEASUREMENTS.items():
                start = time.perf_counter()
                row.append(measure(hierarchy, BlockVCycle(hierarchy.levels), np.random.default_rng([seed, number, 1])))
                seconds[name] += time.perf_counter() - start
            rows.append(row)
    return np.array(rows), left_out, seconds


def fidelity(problems: int, size: int, seed: int) -> dict:
    """Measure all problems; the figures that are printed and written."""
    measure_problem(0, 8, seed)  # compiles the kernels
    parts = [measure_problem(number, size, seed) for number in range(problems)]
    centred = np.concatenate([rows - rows.mean(axis=0) for rows, _, _ in parts])
    count = len(centred)
    truth = centred[:, 0]
    measures = {}
    for column, name in enumerate((ANOTHER, *MEASUREMENTS), start=1):
        measures[name] = {
            "residual_std": round(float(np.std(centred[:, column] - truth)), 4),
            "correlation": round(float(np.corrcoef(centred[:, column], truth)[0, 1]), 4),
        }
        if name in MEASUREMENTS:
            spent = sum(seconds[name] for _, _, seconds in parts)
            measures[name]["milliseconds"] = round(1e3 * spent / count, 2)
    return {
        "hierarchies": count,
        **{key: sum(left_out[key] for _, left_out, _ in parts) for key in ("failed_setups", "not_converged")},
        "truth_std": round(float(np.std(truth)), 4),
        "measures": measures,
    }


def provenance() -> dict:
    """Command, commit and machine of this run."""
    root = Path(__file__).parent
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    threads = [f"{name}={os.environ[name]}" for name in names if name in os.environ]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.strip()

    return {
        "command": " ".join([*threads, "python", "-m", "benchmarks.reward_fidelity", *sys.argv[1:]]),
        "commit": git("rev-parse", "HEAD") + (" with local changes" if git("status", "--porcelain") else ""),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "pyamg")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=8, help="27 hierarchies each, on average")
    parser.add_argument("--size", type=int, default=32, help="grid points a side")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "reward_fidelity.json")
    arguments = parser.parse_args()
    if arguments.problems < 1 or arguments.size < 8:
        parser.error(f"--problems {arguments.problems} --size {arguments.size}: at least 1 problem of size 8 is needed")
    result = fidelity(arguments.problems, arguments.size, arguments.seed)

    print(
        f"{result['hierarchies']} hierarchies ({result['failed_setups']} failed set-ups and "
        f"{result['not_converged']} without convergence left out); log work per digit, within each problem, has "
        f"standard deviation {result['truth_std']:.3f}"
    )
    print(f"{'measure':<18}{'residual std':>14}{'correlation':>14}{'ms':>8}")
    for name, figures in result["measures"].items():
        cost = f"{figures['milliseconds']:.1f}" if "milliseconds" in figures else ""
        print(f"{name:<18}{figures['residual_std']:>14.3f}{figures['correlation']:>14.3f}{cost:>8}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**provenance(), **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()

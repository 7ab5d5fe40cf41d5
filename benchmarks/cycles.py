"""Other cycles than V(1,1) with symmetric Gauss-Seidel, on the hierarchies of a shipped policy.

    python -m benchmarks.cycles [--policy default]

Knobs of the cycle that a policy might choose: forward Gauss-Seidel before and backward after, two sweeps in place of
one, Chebyshev polynomials (Adams et al. 2003), W. On new problems of the mix that the policy was trained on, each is
the preconditioner of the same hierarchy. Figures are work in ratio to the V(1,1) cycle's, geometric means over the
problems that both solve: iterations to 1e-8 times the passes over matrices, in nonzeros, half a pass where a kernel
need not read the other half of the rows (Conrad and Wallach 1977). *Best of all* takes for each problem the cycle of
least work in hindsight, the V(1,1) cycle among them: what choosing could gain at most.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import arguments_parser, result_directory, write_result

STUDY = Path(__file__).resolve().parent.parent / "studies" / "shipped.yaml"
VARIATIONS = {"default": "few_solves", "many_solves": "many_solves"}
SEED = 20_000
"""Of the problems; the shipped policies were trained on those of seed 0."""
MOST_ITERATIONS = 400


@dataclass(frozen=True, slots=True)
class Cycle:
    """PyAMG's smoothers before and after, its cycle, and passes over a level's matrix in a visit, residual included."""

    before: Any
    after: Any
    passes: float
    kind: str = "V"


def gauss_seidel(before: str, after: str, iterations: int, passes: float, kind: str = "V") -> Cycle:
    def smoother(sweep: str) -> tuple[str, dict[str, Any]]:
        return "block_gauss_seidel", {"sweep": sweep, "iterations": iterations}

    return Cycle(smoother(before), smoother(after), passes, kind)


def chebyshev(degree: int) -> Cycle:
    smoother = ("chebyshev", {"degree": degree, "iterations": 1})
    return Cycle(smoother, smoother, 2.0 * degree)  # from zero the first residual is the right-hand side


BASE = "V(1,1), symmetric"
CYCLES = {
    BASE: gauss_seidel("symmetric", "symmetric", 1, 3.0),
    "V(1,1), forward and backward": gauss_seidel("forward", "backward", 1, 2.0),
    "V(2,2), symmetric": gauss_seidel("symmetric", "symmetric", 2, 5.0),
    "V, Chebyshev of degree 2": chebyshev(2),
    "V, Chebyshev of degree 3": chebyshev(3),
    "W(1,1), symmetric": gauss_seidel("symmetric", "symmetric", 1, 3.0, "W"),
}


def cost(levels: list[Any], cycle: Cycle) -> float:
    """Of an iteration of conjugate gradients, in products with the finest matrix."""
    total, last = float(levels[0].A.nnz), len(levels) - 1
    for depth, level in enumerate(levels):
        visits = 1 if cycle.kind == "V" else 2 ** min(depth, max(last - 1, 0))
        if depth < last:
            total += visits * (cycle.passes * level.A.nnz + 2 * level.P.nnz)
        else:
            total += visits * level.A.nnz
    return total / levels[0].A.nnz


def works(ml: Any, b: np.ndarray) -> dict[str, float]:
    """Of every cycle, products with the finest matrix to 1e-8; infinite where that is not reached."""
    from pyamg.multilevel import MultilevelSolver
    from pyamg.relaxation.smoothing import change_smoothers

    from rllib_psparsity.amg.preconditioned_cg import preconditioned_cg

    found = {}
    for name, cycle in CYCLES.items():
        change_smoothers(ml, cycle.before, cycle.after)
        M = MultilevelSolver.aspreconditioner(ml, cycle=cycle.kind)
        solve = preconditioned_cg(ml.levels[0].A, b, M, 1e-8, MOST_ITERATIONS)
        found[name] = solve.iterations * cost(ml.levels, cycle) if solve.converged else float("inf")
    return found


def main(arguments: list[str]) -> int:
    from rllib_psparsity import learned_solver
    from rllib_psparsity.config.load import load_config
    from rllib_psparsity.problems.distribution import ProblemDistribution

    parser = arguments_parser(__doc__)
    parser.add_argument("--policy", choices=sorted(VARIATIONS), default="default")
    parser.add_argument("--problems", type=int, default=120, help="of the mix, new ones (120)")
    options = parser.parse_args(arguments)
    problems = ProblemDistribution(load_config(STUDY, VARIATIONS[options.policy], []).problems, SEED)
    rows = []
    for index in range(4 if options.quick else options.problems):
        problem = problems.training(index)
        np.random.seed(0)  # noqa: NPY002 - PyAMG's bounds for Chebyshev start from a vector of the global generator
        ml = learned_solver(problem.A, problem.B, options.policy)
        b = np.random.default_rng(index).standard_normal(problem.A.shape[0])
        rows.append({"problem": problem.name, "unknowns": problem.A.shape[0], "work": works(ml, b)})
        print(f"\rproblem {len(rows)}", end="", flush=True)
    print()
    ratios = {name: np.array([row["work"][name] / row["work"][BASE] for row in rows]) for name in CYCLES}
    figures = {name: _summary(of) for name, of in ratios.items() if name != BASE}
    figures["best of all"] = _summary(np.min(list(ratios.values()), axis=0))
    for name, summary in figures.items():
        print(name, summary)
    print(write_result("cycles", arguments, figures, rows, result_directory(options)))
    return 0


def _summary(ratios: np.ndarray) -> dict[str, float]:
    solved = ratios[np.isfinite(ratios)]
    return {
        "mean": round(float(np.exp(np.log(solved).mean())), 3),
        "min": round(float(solved.min()), 3),
        "max": round(float(solved.max()), 3),
        "solved": len(solved),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

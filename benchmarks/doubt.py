"""A second try where `default` doubts: what it costs, and what it saves.

    python -m benchmarks.doubt [--problems 1500]

On new problems of the mix that the policy was trained on, ``learned_solver(A, B, tries=1)`` and ``learned_solver(A,
B)``, which makes another try where the first hierarchy is poor and the policy was not sure of its coarsening
(`deploy.guard`). Seconds are CPU seconds, the least of some repeats that take turns; the work per digit is that of real
solves, up to 400 iterations. All figures are ratios of the two, geometric means over the problems that both solve, of
all and of those that were tried again.
"""

from __future__ import annotations

import sys
from time import process_time
from typing import Any

import numpy as np

from benchmarks.cycles import STUDY
from benchmarks.record import arguments_parser, result_directory, write_result

SEED = 30_000
"""Of the problems; the shipped policies were trained on those of seed 0."""
REPEATS = 3
SOLVES = (1, 8, 30)
"""That follow a set-up; the policy was paid for 8."""
ONE, IN_DOUBT = "one try", "another in doubt"
TRIES = {ONE: 1, IN_DOUBT: None}


def measured(problem: Any) -> dict[str, dict[str, float]]:
    """By both: tries, products a digit, and CPU seconds of a set-up and of a solve."""
    from rllib_psparsity import learned_solver
    from rllib_psparsity.amg.measurement import measure_solve

    b = np.random.default_rng(0).standard_normal(problem.A.shape[0])
    found: dict[str, dict[str, float]] = {name: {"setup": np.inf, "solve": np.inf} for name in TRIES}
    for _ in range(REPEATS):
        for name, tries in TRIES.items():
            of = found[name]
            start = process_time()
            ml = learned_solver(problem.A, problem.B, tries=tries)
            set_up = process_time()
            ml.solve(b, accel="cg", tol=1e-8)
            solved = process_time()
            of["setup"] = min(of["setup"], round(set_up - start, 6))
            of["solve"] = min(of["solve"], round(solved - set_up, 6))
            if "work" not in of:  # the same in every repeat
                of["tries"], of["work"] = ml.setup_info.tries, round(measure_solve(ml).work_per_digit, 4)
    return found


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Ratios of the second to the first, of `rows`."""
    unsolved = {f"not solved by {name}": sum(row[name]["work"] == np.inf for row in rows) for name in TRIES}
    count, rows = len(rows), [row for row in rows if all(np.isfinite(row[name]["work"]) for name in TRIES)]

    def mean(figure: Any) -> float:
        return round(float(np.exp(np.mean([np.log(figure(row[IN_DOUBT]) / figure(row[ONE])) for row in rows]))), 4)

    works = [row[IN_DOUBT]["work"] / row[ONE]["work"] for row in rows]
    return {
        "problems": count,
        **unsolved,
        "changed": sum(work != 1.0 for work in works),
        "work": mean(lambda of: of["work"]),
        "least work": round(min(works), 3),
        "most work": round(max(works), 3),
        "set-up": mean(lambda of: of["setup"]),
        **{
            f"set-up and {solves} solve{'s' if solves > 1 else ''}": mean(
                lambda of, solves=solves: of["setup"] + solves * of["solve"]
            )
            for solves in SOLVES
        },
    }


def main(arguments: list[str]) -> int:
    from rllib_psparsity.config.load import load_config
    from rllib_psparsity.problems.distribution import ProblemDistribution

    parser = arguments_parser(__doc__)
    parser.add_argument("--problems", type=int, default=1500, help="of the mix, new ones (1500)")
    options = parser.parse_args(arguments)
    problems = ProblemDistribution(load_config(STUDY, "few_solves", []).problems, SEED)
    rows: list[dict[str, Any]] = []
    for index in range(40 if options.quick else options.problems):
        problem = problems.training(index)
        of_both = measured(problem)
        rows.append({"problem": problem.name, "family": problem.family, "unknowns": problem.A.shape[0], **of_both})
        print(f"\rproblem {len(rows)}", end="", flush=True)
    print()
    again = [row for row in rows if row[IN_DOUBT]["tries"] > 1]
    summary = {"all": figures(rows), **({"tried again": figures(again)} if again else {})}
    for name, of in summary.items():
        print(name, of)
    print(write_result("doubt", arguments, summary, rows, result_directory(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

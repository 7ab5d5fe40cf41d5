"""What the set-up of a level costs by recipe, in the unit of the work per digit: the cost model of `reward.setup`.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.setup_cost [--problems 12] [--repeats 5]

Problems of several families are set up by every construction of the menu, with the mask of its textbook measure, and
solved by conjugate gradients with the V-cycle's kernels. A unit of work is the solve's CPU seconds by iteration and by
``cycle complexity + 1``, those in which a solve passes once over the nonzeros of A. The cost of a construction is the
seconds of its coarsenings, that of an observation the seconds of features and a pooled network, which the shipped
`default` has; both over all levels, by unit of work and by the nonzeros of those levels relative to A's. Figures are
medians over problems; scalar ones and those of blocks apart. They go by hand into `amg/setup_cost.py`, which a test
compares with the committed result.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from benchmarks.phases import Phases
from benchmarks.record import arguments_parser, interleave, result_directory, write_result

FAMILIES = {
    "anisotropic_diffusion_fd": (100, 200),
    "anisotropic_diffusion_fe": (100, 200),
    "unstructured_diffusion": (80, 150),
    "jump_diffusion": (100, 200),
    "diffusion_3d": (20, 32),
    "elasticity": (60, 90),
}
QUICK_FAMILIES = {"anisotropic_diffusion_fd": (32, 32), "elasticity": (20, 20)}
OBSERVATION = "observation"
PHASES = {
    OBSERVATION: (
        "rllib_psparsity.graph.features:level_graph",
        "rllib_psparsity.policy.inference:SparseInference.logits",
    ),
    "coarsening": ("rllib_psparsity.amg.hierarchy:HierarchyBuilder.coarsen",),
}


def problems(count: int, quick: bool) -> list[Any]:
    """Held-out problems of a mix of the families."""
    from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig
    from rllib_psparsity.problems.distribution import ProblemDistribution

    made = []
    for family, size in (QUICK_FAMILIES if quick else FAMILIES).items():
        mix = ProblemDistribution(ProblemsConfig(families=(FamilyConfig(family=family, size=size),)), seed=0)
        made += [mix.heldout(index) for index in range(1 if quick else max(1, count // len(FAMILIES)))]
    return made


def constructions() -> list[str]:
    """``coarsening/prolongation`` of every recipe that there can be."""
    from rllib_psparsity.amg.recipe import PROLONGATIONS

    return [f"{coarsening}/{one}" for coarsening, several in PROLONGATIONS.items() for one in several]


def measured(problem: Any, construction: str) -> dict[str, float] | None:
    """Cost of observation and construction in work by nonzero; None where it does not apply or does not solve."""
    from rllib_psparsity.amg.hierarchy import build_hierarchy
    from rllib_psparsity.amg.measurement import measure_solve
    from rllib_psparsity.amg.recipe import Recipe
    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.deploy.decide import prior_decide
    from rllib_psparsity.policy.inference import inference_of
    from rllib_psparsity.policy.network import SparsifierPolicy

    recipe = Recipe.parse(f"{construction}/evolution")
    if recipe.scalar_only and problem.block_size > 1:
        return None
    menu = (recipe.name,) if not recipe.scalar_only else (recipe.name, "sa/jacobi/evolution")
    inference = inference_of(SparsifierPolicy(PolicyConfig(network="pooled", recipes=menu)))
    prior = prior_decide(inference)

    def decide(graph: Any) -> Any:
        inference.logits([graph])  # the prior alone would be cheaper than what a deployed policy pays
        return prior(graph)

    phases = Phases(PHASES)
    with phases.measuring():
        hierarchy = build_hierarchy(problem.A, problem.B, decide, menu=(recipe, recipe))
    if hierarchy.failed or len(hierarchy.levels) < 2:
        return None
    ml = hierarchy.to_pyamg()
    start = time.thread_time()
    solve = measure_solve(ml)
    seconds = time.thread_time() - start
    if not solve.converged:
        return None
    unit = seconds / (solve.iterations * (solve.cycle_complexity + 1))
    nonzeros = sum(level.A.nnz for level in hierarchy.levels[:-1]) / problem.A.nnz
    return {
        OBSERVATION: phases.seconds[OBSERVATION] / unit / nonzeros,
        construction: phases.seconds["coarsening"] / unit / nonzeros,
    }


def main(arguments: list[str]) -> int:
    parser = arguments_parser(__doc__, repeats=5)
    parser.add_argument("--problems", type=int, default=24, help="about how many problems (24)")
    options = parser.parse_args(arguments)
    repeats = 1 if options.quick else options.repeats
    found: dict[str, dict[str, list[float]]] = {"scalar": {}, "block": {}}
    rows = []
    for problem in problems(options.problems, options.quick):
        variants = {name: (lambda p=problem, c=name: measured(p, c)) for name in constructions()}
        interleave(variants, 1)  # compiles and loads everything
        repeated = interleave(variants, repeats)
        kind = "block" if problem.block_size > 1 else "scalar"
        row: dict[str, Any] = {"problem": problem.name, "unknowns": problem.num_unknowns}
        for name in (OBSERVATION, *constructions()):
            values = [one[name] for repeat in repeated for one in repeat.values() if one is not None and name in one]
            if values:
                row[name] = statistics.median(values)
                found[kind].setdefault(name, []).append(row[name])
        rows.append(row)
        print(row, flush=True)
    figures = {kind: {name: statistics.median(values) for name, values in of.items()} for kind, of in found.items()}
    for kind, costs in figures.items():
        print(kind, {name: round(value, 1) for name, value in costs.items()})
    print(write_result("setup_cost", arguments, figures, rows, result_directory(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a deployed set-up costs: `learned_solver` against PyAMG's smoothed aggregation.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.setup [--policy NAME_OR_DIR] [--sizes N ...]
        [--repeats 3] [--no-guard]

Three methods on four matrices: in 2D the 5-point Laplacian and rotated anisotropic diffusion, by finite differences
with 9 points and by bilinear elements, in 3D the 7-point Laplacian.

    learned     ``learned_solver(A, policy=NAME_OR_DIR)``: checking the matrix and the guard included, and loading the
                policy from a directory; a shipped one is loaded once in a process
    default     ``smoothed_aggregation_solver(A)``
    evolution   the same with ``strength=("evolution", {"epsilon": 4.0})``, PyAMG's k = 2, both as `amg.portfolio`
                builds them: max_coarse 50, which is also the learned one's

Times are CPU seconds of one thread, all methods in one process and interleaved, so that each finds caches and clock
rate as the others do; wall times are beside them. So is the part of the program itself, without the system's, which
hands out memory: on a virtual machine a page that is touched for the first time costs many times what it does
elsewhere. Everything has been compiled, loaded and run on a small matrix of the same kind before. The matrix is told
apart from what PyAMG keeps on it by a fresh object for every set-up. The cost per unknown is compared with that of the
smallest size in the same repeat. Memory is the peak resident set above that with the matrix loaded, of one set-up in a
process of its own. The solve, conjugate gradients to 1e-8, is context: a cheap set-up that solves badly is no bargain.

Without --policy: the network before any training. Its masks are nearly those of the classical prior, but its choice of
recipes, which a set-up costs most by, is anything; with --recipe its menu holds that one only. The recipes that were
taken are in the result.
"""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.phases import Phases
from benchmarks.processes import in_fresh_process, resident_peak
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result

PROBLEMS = ("2D 5-point", "2D 9-point", "2D bilinear", "3D 7-point")
METHODS = ("learned", "default", "evolution")
CLASSICAL = {"default": "PyAMG default", "evolution": "sa evolution 4 jacobi"}
SIZES = (10_000, 100_000, 1_000_000)
SMALLEST_REPEATS = 5
MORE_REPEATS_BELOW = 100_000
"""Smaller set-ups are repeated as many times more often as they are smaller: they take milliseconds."""
QUICK_SIZES = (1_000, 2_000)
UNTRAINED = "the network before any training (seed 0)"
WARM_UP_UNKNOWNS = 1_500
MAX_ITERATIONS = 200
PHASES = {
    "policy loading": ("rllib_psparsity.deploy.artifact:load_policy",),
    "check of the matrix": ("rllib_psparsity.problems.validation:check_matrix",),
    "features": ("rllib_psparsity.graph.features:level_graph",),
    "relaxed candidates": ("rllib_psparsity.amg.hierarchy:Level.candidates",),
    # All that is left of the loop over levels once the other phases are taken out.
    "inference": ("rllib_psparsity.amg.hierarchy:build_on",),
    "guard": ("rllib_psparsity.deploy.multilevel:examine", "rllib_psparsity.deploy.multilevel:choose"),
    "coarsening and prolongator": ("rllib_psparsity.amg.hierarchy:HierarchyBuilder.coarsen",),
    "Galerkin product": ("rllib_psparsity.amg.products:galerkin_product",),
    "PyAMG object": ("rllib_psparsity.deploy.multilevel:LearnedSolver._use",),
}
OTHER = "other"
CPU = ("seconds", "user_seconds")
"""All of a set-up, and without the system's part."""


def smallest(method: str) -> str:
    """Name of the variant that sets up the problem's smallest size."""
    return f"{method}, smallest size"


def matrix(problem: str, unknowns: int) -> Any:
    """The matrix of nearly that many unknowns on a square or cubic grid."""
    import numpy as np

    from rllib_psparsity.problems.families import FAMILIES

    rng = np.random.default_rng(0)
    if problem == "3D 7-point":
        return FAMILIES["diffusion_3d"].make(rng, round(unknowns ** (1 / 3)), k_x=1.0, k_y=1.0, k_z=1.0).A
    family = FAMILIES["anisotropic_diffusion_fe" if problem == "2D bilinear" else "anisotropic_diffusion_fd"]
    shape = {"epsilon": 1.0, "theta": 0.0} if problem == "2D 5-point" else {"epsilon": 0.01, "theta": np.pi / 6}
    return family.make(rng, round(unknowns**0.5), **shape).A


def builders(methods: list[str], policy: str, guard: bool) -> dict[str, Callable[[Any], Any]]:
    """Method -> a set-up of the matrix it is given."""
    from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
    from rllib_psparsity.deploy.solver import learned_solver

    classical = {method.name: method for method in (PYAMG_DEFAULT, *PORTFOLIO)}
    return {
        name: (lambda A: learned_solver(A, policy=policy, guard=guard))
        if name == "learned"
        else classical[CLASSICAL[name]].build
        for name in methods
    }


def warm_up(problem: str, methods: list[str], policy: str, guard: bool) -> None:
    """Compile and load everything that the measured set-ups run, every recipe of the menu included."""
    import numpy as np

    from rllib_psparsity.amg.decision import Decision
    from rllib_psparsity.amg.hierarchy import build_hierarchy
    from rllib_psparsity.amg.measurement import measure_solve
    from rllib_psparsity.deploy.artifact import load_policy
    from rllib_psparsity.evaluation.warm_up import load_kernels_of_large_levels
    from rllib_psparsity.problems.validation import check_matrix

    load_kernels_of_large_levels()
    A = matrix(problem, WARM_UP_UNKNOWNS)
    for build in builders(methods, policy, guard).values():
        measure_solve(build(A))
    if "learned" in methods:
        menu = load_policy(policy).menu
        for recipe in range(len(menu)):
            build_hierarchy(*check_matrix(A), lambda g, r=recipe: Decision(np.ones(g.num_edges, bool), r), menu=menu)


def user_seconds() -> float:
    """CPU seconds of this process outside of the system."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def measure(build: Callable[[Any], Any], A: Any) -> dict[str, Any]:
    """One set-up: CPU and wall seconds, phases, and peak memory above that before it."""
    from rllib_psparsity.amg.portfolio import without_caches

    A = without_caches(A)
    phases = Phases(PHASES)
    gc.collect()
    memory = resident_peak()
    with phases.measuring(), phases.phase(OTHER):
        wall, cpu, user = time.perf_counter(), time.process_time(), user_seconds()
        ml = build(A)
        wall, cpu, user = time.perf_counter() - wall, time.process_time() - cpu, user_seconds() - user
    memory = resident_peak() - memory
    levels = [level.A.shape[0] for level in ml.levels]
    return {
        "seconds": cpu,
        "user_seconds": user,
        "wall_seconds": wall,
        "added_peak_bytes": memory,
        "phases": dict(phases.seconds),
        "levels": levels,
    }


def measure_smallest(build: Callable[[Any], Any], A: Any) -> dict[str, float]:
    """Median CPU seconds of some set-ups of the problem's smallest size, in turn with those of the size at hand."""
    rows = [measure(build, A) for _ in range(SMALLEST_REPEATS)]
    return {key: statistics.median(row[key] for row in rows) for key in CPU}


def solve(ml: Any) -> dict[str, Any]:
    """What a hierarchy solves like, and at which CPU seconds."""
    from rllib_psparsity.amg.measurement import measure_solve

    start = time.process_time()
    solved = measure_solve(ml, max_iterations=MAX_ITERATIONS)
    return {
        "solve_seconds": time.process_time() - start,
        "iterations": solved.iterations,
        "converged": solved.converged,
        "operator_complexity": solved.operator_complexity,
    }


def solve_learned(A: Any, policy: str, guard: bool) -> dict[str, Any]:
    """The same of the hierarchy that `learned_solver` gives, the recipes that were taken, and by whom."""
    from rllib_psparsity.deploy.solver import learned_solver

    ml = learned_solver(A, policy=policy, guard=guard)
    recipes = [level.recipe for level in ml.setup_info.levels[:-1]]
    return {**solve(ml), "recipes": recipes, "method": ml.setup_info.method}


def work(task: dict[str, Any]) -> list[dict[str, Any]]:
    """In a process of its own: every method of the task on its matrix, a row per repeat."""
    from scipy.sparse import load_npz

    warm_up(task["problem"], task["methods"], task["policy"], task["guard"])
    A = load_npz(task["matrix"])
    build = builders(task["methods"], task["policy"], task["guard"])
    variants: dict[str, Callable[[], Any]] = {name: partial(measure, build[name], A) for name in build}
    if task["solve"]:
        small = load_npz(task["smallest"])
        variants |= {smallest(name): partial(measure_smallest, build[name], small) for name in build}
    rows = interleave(variants, task["repeats"])
    if task["solve"]:
        for name in build:
            rows[0][name] |= (
                solve_learned(A, task["policy"], task["guard"]) if name == "learned" else solve(build[name](A))
            )
    return rows


def save_matrix(task: dict[str, Any]) -> dict[str, int]:
    """In a process of its own, since making a matrix takes more memory than holding it."""
    from scipy.sparse import save_npz

    A = matrix(task["problem"], task["unknowns"])
    save_npz(task["matrix"], A, compressed=False)
    return {"unknowns": A.shape[0], "nonzeros": int(A.nnz), "bytes": A.data.nbytes + A.indices.nbytes + A.indptr.nbytes}


def save_untrained(task: dict[str, Any]) -> None:
    """The network before any training, as an artifact."""
    import torch

    from rllib_psparsity.amg.limits import Limits
    from rllib_psparsity.config.schema import PolicyConfig
    from rllib_psparsity.deploy.artifact import save_policy
    from rllib_psparsity.policy.network import SparsifierPolicy

    torch.manual_seed(0)
    config = PolicyConfig(recipes=(task["recipe"],)) if task["recipe"] else PolicyConfig()
    save_policy(SparsifierPolicy(config), Limits(), Path(task["policy"]), UNTRAINED)


def measure_case(
    problem: str, unknowns: int, repeats: int, policy: str, guard: bool, directory: Path, smallest_size: int
) -> dict[str, Any]:
    """Matrix, raw repeats and memory of one problem and size."""
    task = {"problem": problem, "policy": policy, "guard": guard, "smallest": str(directory / "smallest.npz")}
    in_fresh_process("benchmarks.setup:save_matrix", task | {"unknowns": smallest_size, "matrix": task["smallest"]})
    task |= {"matrix": str(directory / "matrix.npz")}
    size = in_fresh_process("benchmarks.setup:save_matrix", task | {"unknowns": unknowns})
    rows = in_fresh_process("benchmarks.setup:work", {**task, "methods": METHODS, "repeats": repeats, "solve": True})
    memory = {}
    for method in METHODS:
        (alone,) = in_fresh_process(
            "benchmarks.setup:work", {**task, "methods": [method], "repeats": 1, "solve": False}
        )
        memory[method] = alone[method]["added_peak_bytes"]
    return {"problem": problem, **size, "added_peak_bytes": memory, "rows": rows}


def summary(case: dict[str, Any], fewest: int) -> dict[str, Any]:
    """Medians of a case, as ratios to the PyAMG methods and, by unknown, to the smallest size of `fewest` unknowns."""
    rows, first = case["rows"], case["rows"][0]
    seconds = {name: spread([row[name]["seconds"] for row in rows]) for name in METHODS}
    figures: dict[str, Any] = {key: case[key] for key in ("problem", "unknowns", "nonzeros")}
    for other in METHODS[1:]:
        ratios = [row["learned"]["seconds"] / row[other]["seconds"] for row in rows]
        figures[f"seconds_learned_to_{other}"] = round(statistics.median(ratios), 3)
        peaks = case["added_peak_bytes"]
        figures[f"memory_learned_to_{other}"] = round(peaks["learned"] / peaks[other], 3) if peaks[other] else None
    for name in METHODS:
        per_unknown = seconds[name]["median"] / case["unknowns"]
        growth = {key: cost_growth(rows, name, key, case["unknowns"] / fewest) for key in CPU}
        once = ("solve_seconds", "iterations", "converged", "operator_complexity", "levels")
        figures[name] = {
            "seconds": seconds[name],
            "wall_seconds": statistics.median(row[name]["wall_seconds"] for row in rows),
            "microseconds_per_unknown": round(1e6 * per_unknown, 3),
            "per_unknown_to_smallest": growth["seconds"],
            "per_unknown_to_smallest_user": growth["user_seconds"],
            "added_peak_megabytes": round(case["added_peak_bytes"][name] / 1e6, 1),
            **{key: first[name][key] for key in once},
        }
    figures["learned"] |= {key: first["learned"][key] for key in ("recipes", "method")}
    figures["learned"]["seconds_by_phase"] = {
        phase: statistics.median(row["learned"]["phases"].get(phase, 0.0) for row in rows)
        for phase in (*PHASES, "other")
    }
    return figures


def cost_growth(rows: list[dict[str, Any]], name: str, key: str, times: float) -> float | None:
    """Seconds of a set-up `times` as large as the smallest size's, by unknown and relative to those of the latter.

    None if those of the smallest are always zero: the system counts a process's own seconds by the tick, and may see
    none in the milliseconds of a small set-up.
    """
    ratios = [row[name][key] / row[smallest(name)][key] for row in rows if row[smallest(name)][key]]
    return round(statistics.median(ratios) / times, 3) if ratios else None


def show(figures: dict[str, Any]) -> None:
    """Print one case."""
    print(f"\n{figures['problem']}, {figures['unknowns']} unknowns, {figures['nonzeros']} nonzeros")
    for name in METHODS:
        line = figures[name]
        user = line["per_unknown_to_smallest_user"]
        print(
            f"  {name:<10}{line['seconds']['median']:>9.3f} s  x{line['per_unknown_to_smallest']:<5.2f} a unknown"
            f" ({'unknown' if user is None else f'{user:.2f}'} without the system's part)"
            f"{line['added_peak_megabytes']:>9.1f} MB   solve {line['solve_seconds']:>8.3f} s in {line['iterations']}"
            f"{'' if line['converged'] else ' (not solved)'}, OC {line['operator_complexity']:.2f}"
        )
    ratios = [f"{key}: {value}" for key, value in figures.items() if "_learned_to_" in key]
    print("  " + ", ".join(ratios))
    print("  " + ", ".join(figures["learned"]["recipes"]))
    phases = figures["learned"]["seconds_by_phase"]
    print("  " + ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in phases.items()), flush=True)


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--policy", help="a shipped policy, such as default, or the directory of an exported one")
    parser.add_argument("--no-guard", action="store_true", help="without the guard, to see its part")
    parser.add_argument("--recipe", help="without --policy: the only recipe, such as sa/energy1/evolution")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"numbers of unknowns {SIZES}")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    options = parser.parse_args(arguments)
    if options.policy and options.recipe:
        parser.error("--recipe is for the network before any training; leave it out with --policy")
    sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
    cases, figures, guard = [], [], not options.no_guard
    with tempfile.TemporaryDirectory() as directory:
        policy = options.policy or str(Path(directory, "untrained"))
        if options.policy is None:
            in_fresh_process("benchmarks.setup:save_untrained", {"policy": policy, "recipe": options.recipe})
        for problem in options.problems:
            for unknowns in sorted(sizes):
                repeats = 1 if options.quick else options.repeats * max(1, MORE_REPEATS_BELOW // unknowns)
                cases.append(measure_case(problem, unknowns, repeats, policy, guard, Path(directory), min(sizes)))
                fewest = next(case["unknowns"] for case in cases if case["problem"] == problem)
                figures.append(summary(cases[-1], fewest))
                show(figures[-1])
    untrained = f"{UNTRAINED}, {options.recipe or 'default'} menu"
    described = {
        "policy": options.policy or untrained,
        "guard": guard,
        "unit": "CPU seconds, one thread",
        "cases": figures,
    }
    print(write_result("setup", arguments, described, cases, result_directory(options)))


if __name__ == "__main__":
    main()

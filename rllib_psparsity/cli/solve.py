"""`psparsity solve`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rllib_psparsity.cli.options import WHOLE, require_matplotlib, require_new_file, use_one_thread
from rllib_psparsity.errors import InputError, SetupFailure

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from rllib_psparsity.deploy import LearnedSolver
    from rllib_psparsity.deploy.artifact import LoadedPolicy
    from rllib_psparsity.evaluation.one_matrix import MethodResult
    from rllib_psparsity.problems.problem import Problem

PICTURES = (".png", ".pdf", ".svg")
LEARNED = "learned"
LEAST_TOLERANCE = 1e-15
"""A few rounding units: no residual is smaller for long."""
WIDTH = 120
"""Of tables where there is no terminal."""


def solve(
    matrix: Path,
    /,
    *,
    rhs: Path | None = None,
    policy: str = "default",
    compare: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    plot: Path | None = None,
    tol: float = 1e-8,
    no_guard: Annotated[bool, Parameter(negative=())] = False,
    tries: Annotated[int | None, WHOLE] = None,
) -> int:
    """Solve a linear system with a symmetric positive definite matrix from a file.

    Parameters
    ----------
    matrix
        Matrix Market (.mtx), SciPy (.npz) or PETSc binary (.petsc, .dat, .bin).
    rhs
        The right-hand side: .mtx, .npy, .npz or PETSc binary; a seeded normal vector without one.
    policy
        The name of a policy that ships with the package, or the directory of one.
    compare
        Solve by PyAMG's default, the best of 27 classical configurations, hypre and PETSc too, and print a table.
    out
        A new file for the solution: .npy, .mtx or PETSc binary.
    plot
        A new picture of the convergence: .png, .pdf or .svg.
    tol
        The relative residual to reach.
    no_guard
        Keep the learned hierarchy even where a cheap test finds it poor.
    tries
        How many learned hierarchies are set up, to keep the best; by default what the policy says.
    """
    use_one_thread()
    from rich.console import Console

    from rllib_psparsity.deploy import learned_solver, load_policy
    from rllib_psparsity.deploy.solver import check_tries
    from rllib_psparsity.evaluation.solve import MAX_ITERATIONS, solve_system
    from rllib_psparsity.problems.files import load_matrix
    from rllib_psparsity.problems.vectors import WRITABLE, write_vector
    from rllib_psparsity.reporting.atomic import write_atomically
    from rllib_psparsity.reporting.solve_progress import SolveProgress

    if not LEAST_TOLERANCE <= tol < 1:
        raise InputError(
            f"--tol is {tol:g}, expected a number below 1 and, since double precision holds no more, at least "
            f"{LEAST_TOLERANCE:g}; 1e-8 is the default"
        )
    check_tries(tries)
    if out is not None:
        require_new_file("--out", out, WRITABLE)
    if plot is not None:
        require_new_file("--plot", plot, PICTURES)
        require_matplotlib()
    loaded = load_policy(policy)
    problem = load_matrix(matrix)
    b, origin = _right_hand_side(rhs, problem.num_unknowns)

    def build(problem: Problem) -> LearnedSolver:
        # Without B: a file has none, and learned_solver knows best what to take then.
        return learned_solver(problem.A, policy=loaded, guard=not no_guard, tries=tries)

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH, force_terminal=False)
    print(f"matrix: {matrix}, {problem.num_unknowns:,} unknowns, {problem.A.nnz:,} nonzeros")
    print(f"right-hand side: {origin}", flush=True)
    with SolveProgress(console) as progress:
        progress.show("loading kernels")
        _load_kernels(loaded, build, problem.block_size)
        progress.show("set-up")
        start = perf_counter()
        try:
            ml = build(problem)
        except SetupFailure as error:
            print(f"psparsity: {matrix} is not solved: {error}", file=sys.stderr)
            return 1
        except InputError as error:
            raise InputError(f"{matrix}: {error}") from None
        setup_seconds = perf_counter() - start
        solution = solve_system(problem.A, b, ml.aspreconditioner(), tol, MAX_ITERATIONS, watch=progress.iteration)
    print(ml.setup_info)
    print(
        f"solve: {solution.iterations} iterations, relative residual {solution.relative_residual:.1e}, "
        f"{solution.seconds:.3g} s; with the set-up {setup_seconds + solution.seconds:.3g} s"
    )
    if solution.converged and out is not None:
        write_atomically(out, lambda temporary: write_vector(temporary, solution.x, out.suffix))
        print(f"solution: written to {out}", flush=True)
    curves = [(LEARNED, solution.residuals, setup_seconds, solution.seconds)]
    if compare:
        info = ml.setup_info
        remarks = [f"{LEARNED}: the guard took {info.method}"] if info.guard_stepped_in else []
        results = _compare(problem, b, build, tol, console, remarks)
        curves = [(result.name, result.residuals, result.setup_seconds, result.solve_seconds) for result in results]
    if plot is not None:
        _draw(plot, curves, tol, f"{matrix.name}, {problem.num_unknowns:,} unknowns")
    if solution.converged:
        return 0
    ending = "" if out is None else f", and {out} is not written"
    if ml.setup_info.singular:
        ending += "; the matrix is singular, so pass a --rhs in its range"
    print(
        f"psparsity: {matrix} is not solved: {solution.failure}; the relative residual is "
        f"{solution.relative_residual:.1e} where --tol asks for {tol:g}{ending}",
        file=sys.stderr,
    )
    return 1


def _right_hand_side(rhs: Path | None, n: int) -> tuple[np.ndarray, str]:
    """(n,) and where it comes from."""
    from rllib_psparsity.amg.measurement import random_right_hand_side
    from rllib_psparsity.problems.vectors import load_vector

    if rhs is not None:
        return load_vector(rhs, n), str(rhs)
    return random_right_hand_side(n), "a normal vector of seed 0, since no --rhs is given"


def _load_kernels(policy: LoadedPolicy, build: Callable[[Problem], LearnedSolver], block: int) -> None:
    """Load the kernels, or compile them after an installation, before a clock runs: those of every recipe, since only
    the set-up that is timed shows which ones the policy chooses. The guard's own recipes are mostly among them."""
    from rllib_psparsity.amg.measurement import measure_solve
    from rllib_psparsity.evaluation.arms import recipe_methods
    from rllib_psparsity.evaluation.warm_up import load_kernels_of_large_levels, warm_up_problem

    load_kernels_of_large_levels()
    tiny = warm_up_problem(block, block)
    with suppress(SetupFailure):  # without the guard; the user's matrix may fare better
        measure_solve(build(tiny))
    menu = tuple(recipe for recipe in policy.menu if not (block > 1 and recipe.scalar_only))
    for method in recipe_methods(menu, policy.limits):
        method.build(tiny)


def _compare(
    problem: Problem,
    b: np.ndarray,
    build: Callable[[Problem], LearnedSolver],
    tol: float,
    console: Console,
    remarks: Iterable[str],
) -> tuple[MethodResult, ...]:
    """Print the table of the comparison; its lines."""
    from rllib_psparsity.evaluation.method import Method
    from rllib_psparsity.evaluation.one_matrix import compare_on
    from rllib_psparsity.evaluation.one_matrix_table import one_matrix_table
    from rllib_psparsity.evaluation.solve import MAX_ITERATIONS
    from rllib_psparsity.reporting.solve_progress import SolveProgress

    with SolveProgress(console) as progress:
        comparison = compare_on(
            problem, b, [Method(LEARNED, build)], tol=tol, max_iterations=MAX_ITERATIONS, progress=progress.show
        )
    console.print(one_matrix_table(comparison, problem.name, tol, remarks))
    return comparison.results


def _draw(path: Path, curves: Sequence[tuple[str, np.ndarray, float, float]], tol: float, title: str) -> None:
    from rllib_psparsity.reporting.atomic import write_atomically
    from rllib_psparsity.reporting.convergence import ConvergenceCurve, convergence_figure

    figure = convergence_figure([ConvergenceCurve(*curve) for curve in curves if len(curve[1])], tol, title)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150))
    print(f"picture: written to {path}")

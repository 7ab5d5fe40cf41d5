"""Prolongators and Galerkin products of a level: this package's kernels against PyAMG's functions and SciPy's.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.prolongators [--repeats 7]

Both start from the same aggregates, all edges strong, and give the same matrix (`difference`, relative to its largest
entry; `tests/amg` compares many more), but for elasticity on 362x362 nodes: there PyAMG takes the rotation, in small
parts far from the centre, for a multiple of the translations, and P B_coarse = B holds to 1e-5, by ours to 1e-10.
Seconds are CPU seconds, figures medians of the ratios within a repeat: of filtered Jacobi with local weights, of energy
minimisation of degree 1 and 2 (four steps), of the root-node method with degree 2, each from the aggregates to P, and
of P^T A P of the first, where SciPy multiplies; blocks are multiplied by SciPy here too.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import bsr_array, csr_array

from benchmarks.cycle import matrix
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result

SIDES = {
    "2D 5-point": (32, 120, 512),
    "2D 9-point": (32, 120, 512),
    "3D 7-point": (10, 24, 64),
    "elasticity": (22, 84, 362),
}
QUICK_SIDES = {"2D 9-point": (16,), "elasticity": (8,)}
RECIPES = ("sa/jacobi/symmetric", "sa/energy1/symmetric", "sa/energy2/symmetric", "rootnode/energy2/symmetric")
PRODUCT = "Galerkin product"

Task = Callable[[], Any]


def by_pyamg(A: csr_array | bsr_array, B: np.ndarray, C: csr_array, recipe: Any, AggOp: Any, roots: np.ndarray) -> Any:
    """P of PyAMG 5."""
    from pyamg.aggregation.smooth import energy_prolongation_smoother, jacobi_prolongation_smoother
    from pyamg.aggregation.tentative import fit_candidates
    from pyamg.util.utils import get_Cpt_params, scale_T

    from rllib_psparsity.amg.energy_minimisation import ENERGY_ITERATIONS

    block_size = A.blocksize[0] if A.format == "bsr" else 1
    T, B_coarse = fit_candidates(AggOp, B[:, :block_size] if recipe.coarsening == "rootnode" else B)
    if recipe.prolongation == "jacobi":
        return jacobi_prolongation_smoother(A, T, C, B_coarse, filter_entries=True, weighting="local")
    root_node: tuple[bool, dict] = (False, {})
    if recipe.coarsening == "rootnode":
        parameters = get_Cpt_params(A, roots, AggOp, T)
        T, B_coarse = scale_T(T, parameters["P_I"], parameters["I_F"]), parameters["P_I"].T @ B
        root_node = (True, parameters)
    degree = int(recipe.prolongation[-1])
    return energy_prolongation_smoother(A, T, C, B_coarse, B, root_node, maxiter=ENERGY_ITERATIONS, degree=degree)


def tasks(name: str, side: int) -> dict[str, tuple[Task, Task]]:
    """By what is made: ours, and theirs."""
    from pyamg.aggregation.aggregate import standard_aggregation

    from rllib_psparsity.amg.products import galerkin_product, transpose
    from rllib_psparsity.amg.prolongation import Coarsening, aggregate, prolongate
    from rllib_psparsity.amg.recipe import Recipe
    from rllib_psparsity.problems.validation import check_matrix

    A, B = check_matrix(*matrix(name, side))
    C = csr_array((np.ones(len(A.indices)), A.indices, A.indptr))
    aggregates, roots = aggregate(C)
    AggOp, _ = standard_aggregation(C)
    found: dict[str, tuple[Task, Task]] = {}
    for recipe in map(Recipe.parse, RECIPES):
        found[f"{recipe.coarsening}/{recipe.prolongation}"] = (
            lambda recipe=recipe: prolongate(A, B, C, recipe, Coarsening(roots, aggregates)).P,
            lambda recipe=recipe: by_pyamg(A, B, C, recipe, AggOp, roots),
        )
    if A.format == "bsr":
        return found
    P = prolongate(A, B, C, Recipe.parse(RECIPES[0]), Coarsening(roots, aggregates)).P
    R = transpose(P)
    found[PRODUCT] = (lambda: galerkin_product(R, A, P), lambda: R @ A @ P)
    return found


def seconds(task: Task) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def difference(ours: Any, theirs: Any) -> float:
    """Largest, relative to the largest entry."""
    return float(abs(csr_array(ours) - csr_array(theirs)).max() / abs(theirs).max())


def main(arguments: list[str]) -> int:
    parser = arguments_parser(__doc__, repeats=7)
    options = parser.parse_args(arguments)
    figures, rows = {}, []
    warnings.simplefilter("ignore")  # PyAMG's functions convert formats, and say so
    for name, sides in (QUICK_SIDES if options.quick else SIDES).items():
        for side in sides:
            for what, (ours, theirs) in tasks(name, side).items():
                apart = difference(ours(), theirs())  # compiles and loads everything
                variants = {"kernel": lambda ours=ours: seconds(ours), "theirs": lambda theirs=theirs: seconds(theirs)}
                repeats = interleave(variants, 1 if options.quick else options.repeats)
                ratio = spread([row["kernel"] / row["theirs"] for row in repeats])
                figures[f"{name}, side {side}: {what}"] = ratio
                row = {"matrix": name, "side": side, "what": what, "difference": apart, "repeats": repeats}
                rows.append(row)
                print(f"{name}, side {side}: {what} {ratio['median']:.3f} of the time, difference {apart:.1e}")
    print(write_result("prolongators", arguments, figures, rows, result_directory(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

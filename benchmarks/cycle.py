"""The V-cycle as a preconditioner, and whole solves with it: this package's kernels against PyAMG's own cycle.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.cycle [--repeats 7]

The same `learned_solver`, so the same hierarchy and the same iterations: ``ml.aspreconditioner()`` once, and by PyAMG's
method of the same name that it overrides. Seconds are CPU seconds of one application, the least of `APPLICATIONS`, and
of ``pyamg.krylov.cg`` to 1e-8 with it; figures are medians of the ratios within a repeat. What the kernels make faster
is neither the policy's merit nor more work saved: `psparsity evaluate` gives work and time apart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result

SIDES = {"2D 5-point": (32, 100, 512), "2D 9-point": (32, 100, 512), "3D 7-point": (10, 22, 64), "elasticity": (16, 72)}
QUICK_SIDES = {"2D 5-point": (16,), "elasticity": (8,)}
APPLICATIONS = 5


def matrix(name: str, side: int) -> tuple[Any, Any]:
    """(A, B) of a grid with `side` nodes a side."""
    from pyamg.gallery import diffusion_stencil_2d, linear_elasticity, poisson, stencil_grid

    if name == "elasticity":
        return linear_elasticity((side, side), format="bsr")
    if name == "2D 9-point":
        stencil = diffusion_stencil_2d(epsilon=0.01, theta=np.pi / 6, type="FE")
        return stencil_grid(stencil, (side, side), format="csr"), None
    return poisson((side,) * (3 if name == "3D 7-point" else 2), format="csr"), None


def measured(ml: Any, preconditioner: Callable[[], Any], b: np.ndarray) -> dict[str, float]:
    """CPU seconds of an application and of a solve, and the iterations."""
    from pyamg.krylov import cg

    M, applications = preconditioner(), []
    for _ in range(APPLICATIONS):
        start = time.process_time()
        _ = M @ b
        applications.append(time.process_time() - start)
    residuals: list[float] = []
    start = time.process_time()
    cg(ml.levels[0].A, b, tol=1e-8, M=M, residuals=residuals)
    return {"cycle": min(applications), "solve": time.process_time() - start, "iterations": len(residuals) - 1}


def main(arguments: list[str]) -> int:
    from pyamg.multilevel import MultilevelSolver

    from rllib_psparsity import learned_solver

    parser = arguments_parser(__doc__, repeats=7)
    options = parser.parse_args(arguments)
    figures, rows = {}, []
    for name, sides in (QUICK_SIDES if options.quick else SIDES).items():
        for side in sides:
            A, B = matrix(name, side)
            ml = learned_solver(A, B)
            b = np.random.default_rng(0).standard_normal(A.shape[0])
            variants = {
                "kernels": lambda ml=ml, b=b: measured(ml, ml.aspreconditioner, b),
                "PyAMG": lambda ml=ml, b=b: measured(ml, lambda: MultilevelSolver.aspreconditioner(ml), b),
            }
            interleave(variants, 1)  # compiles and loads everything
            repeats = interleave(variants, 1 if options.quick else options.repeats)
            figures[f"{name}, {A.shape[0]} unknowns"] = {
                what: spread([row["kernels"][what] / row["PyAMG"][what] for row in repeats])
                for what in ("cycle", "solve")
            }
            rows.append({"matrix": name, "unknowns": A.shape[0], "repeats": repeats})
            print(name, A.shape[0], {what: round(of["median"], 2) for what, of in list(figures.values())[-1].items()})
    print(write_result("cycle", arguments, figures, rows, result_directory(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

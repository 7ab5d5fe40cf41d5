"""A nonlinear diffusion sequence: `update` against a full set-up for every matrix.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.sequence [--side 200] [--repeats 3]

Implicit time steps of u_t = div(k(u) grad u), k(u) = 0.02 + u^2, on a square grid with u = 0 on the boundary, from two
hills that spread and join; every step makes `PICARD` linearisations, each a matrix of its own on the same pattern,
solved by conjugate gradients to 1e-8. Three ways to get their preconditioner, interleaved, in one process:

    update      ``ml.update(A)`` from the second matrix on
    full        ``learned_solver(A)`` for every matrix
    PyAMG       ``smoothed_aggregation_solver(A)`` for every matrix, as `amg.portfolio` builds PyAMG's default

CPU seconds of set-up and solve over the whole sequence, iterations, and how often the guard asked for a full set-up.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result

STEPS = 10
PICARD = 2
TIME_STEP = 0.02
WAYS = ("update", "full", "PyAMG")


class Diffusion:
    """Finite volumes on a grid of ``side * side`` inner nodes of the unit square, harmonic means on the faces."""

    def __init__(self, side: int) -> None:
        number = np.arange(side * side).reshape(side, side)
        self.i = np.r_[number[:, :-1].ravel(), number[:-1].ravel()]
        self.j = np.r_[number[:, 1:].ravel(), number[1:].ravel()]
        faces = np.bincount(np.r_[self.i, self.j], minlength=side * side)
        self.boundary_faces = 4.0 - faces
        self.scale = TIME_STEP * (side + 1) ** 2

    def matrix(self, u: np.ndarray) -> sp.csr_array:
        """I - tau div(k(u) grad)."""
        k = 0.02 + u**2
        w = self.scale * 2 / (1 / k[self.i] + 1 / k[self.j])
        W = sp.coo_array((np.r_[w, w], (np.r_[self.i, self.j], np.r_[self.j, self.i])), shape=(len(u), len(u)))
        diagonal = 1.0 + np.bincount(self.i, w, len(u)) + np.bincount(self.j, w, len(u))
        return sp.csr_array(sp.diags_array(diagonal + self.scale * self.boundary_faces * k) - W.tocsr())


def hills(side: int) -> np.ndarray:
    """The initial state."""
    x, y = np.meshgrid(*2 * [np.arange(1, side + 1) / (side + 1)])
    return np.sum([np.exp(-80 * ((x - a) ** 2 + (y - b) ** 2)) for a, b in ((0.3, 0.35), (0.65, 0.6))], axis=0).ravel()


def run(way: str, side: int) -> dict[str, Any]:
    """The whole sequence in one of the three ways."""
    from rllib_psparsity import learned_solver
    from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT

    problem, u = Diffusion(side), hills(side)
    ml = None
    setup = solve = 0.0
    iterations, full_setups = [], 0
    for _ in range(STEPS):
        before = u
        for _ in range(PICARD):
            A = problem.matrix(u)
            start = time.process_time()
            if way == "PyAMG":
                ml = PYAMG_DEFAULT.build(A)
            elif way == "full" or ml is None:
                ml = learned_solver(A)
                full_setups += 1
            else:
                full_setups += not ml.update(A).updated
            setup += time.process_time() - start
            start = time.process_time()
            residuals: list[float] = []
            u = ml.solve(before, x0=u, accel="cg", tol=1e-8, residuals=residuals)
            solve += time.process_time() - start
            if residuals[-1] > 1e-7 * np.linalg.norm(before):
                raise RuntimeError(f"{way}: a system of the sequence was not solved")
            iterations.append(len(residuals) - 1)
    return {
        "setup": setup,
        "solve": solve,
        "iterations": iterations,
        "full_setups": full_setups,
        "u_max": float(u.max()),
    }


def summary(rows: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Medians, and the ratios of update to the other two within a repeat."""
    figures: dict[str, Any] = {"matrices": len(rows[0]["update"]["iterations"])}
    for way in WAYS:
        figures[way] = {
            "setup_seconds": spread([row[way]["setup"] for row in rows]),
            "solve_seconds": spread([row[way]["solve"] for row in rows]),
            "iterations": sum(rows[0][way]["iterations"]),
            "full_setups": rows[0][way]["full_setups"],
        }
    for other in WAYS[1:]:
        figures[f"setup_update_to_{other}"] = spread([row["update"]["setup"] / row[other]["setup"] for row in rows])
        totals = [[row[way]["setup"] + row[way]["solve"] for way in ("update", other)] for row in rows]
        figures[f"total_update_to_{other}"] = spread([ours / theirs for ours, theirs in totals])
    return figures


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--side", type=int, default=None, help="grid nodes along a side (200)")
    options = parser.parse_args(arguments)
    side = options.side or (30 if options.quick else 200)
    for way in WAYS:
        run(way, 20)
    rows = interleave({way: (lambda way=way: run(way, side)) for way in WAYS}, 1 if options.quick else options.repeats)
    figures = {"unit": "CPU seconds, one thread", "unknowns": side * side, **summary(rows)}
    for way in WAYS:
        line = figures[way]
        print(
            f"{way:<8} set-up {line['setup_seconds']['median']:.3f} s, solve {line['solve_seconds']['median']:.3f} s, "
            f"{line['iterations']} iterations, {line['full_setups']} full set-ups by the policy"
        )
    print({key: value["median"] for key, value in figures.items() if "_update_to_" in key})
    print(write_result("sequence", arguments, figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()

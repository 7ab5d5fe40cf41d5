"""How long a user waits for the first solver of a new Python process.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.first_call [--repeats 7]

A process imports the package and sets up `learned_solver` for a matrix of some 1,000 unknowns (5-point Laplacian); the
clock runs from before the import of anything but the matrix's own libraries (NumPy, SciPy and PyAMG, which a user has
imported to have a matrix; their time is measured too) until the solver is there. numba has compiled its kernels
before, in an earlier process: it does so once after an installation, which ``--cold`` measures with an empty cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.record import ROOT, THREADS, arguments_parser, result_directory, spread, write_result

PROGRAM = """
import time
start = time.perf_counter()
from pyamg.gallery import poisson
A = poisson(({side}, {side}), format="csr")
matrix = time.perf_counter()
from rllib_psparsity import learned_solver
ml = learned_solver(A)
done = time.perf_counter()
assert len(ml.levels) > 1
print(matrix - start, done - matrix, time.process_time())
"""


def first_call(side: int, cache: str | None = None) -> dict[str, float]:
    """Seconds of one new process."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    command = [sys.executable, "-c", PROGRAM.format(side=side)]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    matrix, call, cpu = (float(word) for word in done.stdout.split())
    return {"process": whole, "matrix": matrix, "import_and_setup": call, "cpu": cpu}


def main(arguments: list[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__, repeats=7)
    parser.add_argument("--cold", action="store_true", help="once more with an empty cache of compiled kernels")
    options = parser.parse_args(arguments)
    first_call(32)
    rows = [first_call(32) for _ in range(1 if options.quick else options.repeats)]
    figures = {"unit": "wall seconds", "unknowns": 32 * 32}
    figures |= {name: spread([row[name] for row in rows]) for name in rows[0]}
    if options.cold:
        with tempfile.TemporaryDirectory() as cache:
            figures["cold"] = first_call(32, cache)
    print({name: value for name, value in figures.items() if name != "unit"})
    print(write_result("first_call", arguments, figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()

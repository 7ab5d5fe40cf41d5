"""Whether `learned_solver` takes anyone's matrix: thousands of random ones, none of which may end in surprise.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.any_matrix [--cases 5000] [--seed 0]

Every case draws a structure (`STRUCTURES`), a size, a scaling (`SCALINGS`) and the form in which the matrix is handed
over (`FORMS`); one in ten is then spoilt (`DAMAGE`). A sound matrix has to be solved: conjugate gradients to 1e-8 for a
consistent right-hand side, with the true residual below 1e-6. A spoilt one has to be refused by an `InputError` of one
sentence. The preconditioner is checked to be symmetric positive definite, for a singular matrix semidefinite, by the
Lanczos process. Policy, guard, updates and candidates of the caller's are drawn as well (`USES`). The exit code
is 1 if any case went wrong; cases are named by what they drew, so that `make_case` makes them again.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.record import arguments_parser, result_directory, write_result

LANCZOS_STEPS = 40
ROUNDING = 1e-12
MAX_ITERATIONS = 400
TOLERANCE, TRUE_RESIDUAL = 1e-8, 1e-6


@dataclass(frozen=True)
class Case:
    """What is drawn of a case; `make_case` makes the matrix."""

    structure: str
    size: int
    scaling: str
    form: str
    seed: int
    damage: str = ""
    use: str = "default"


USES: dict[str, dict[str, Any]] = {
    "default": {},
    "default, no guard": {"guard": False},
    "default, three tries": {"tries": 3},
    "many_solves": {"policy": "many_solves"},
    "update": {},
    "two candidates": {},
}
"""How the solver is made: arguments of `learned_solver`; "update" also updates it with twice the matrix and back, and
"two candidates" passes constants and a random vector as B."""


def _laplacian(rng: np.random.Generator, n: int, edges: int, weights: np.ndarray | None = None) -> sp.csr_array:
    i, j = rng.integers(0, n, (2, edges))
    w = (np.ones(edges) if weights is None else weights) * (i != j)
    W = sp.coo_array((np.r_[w, w], (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    return sp.csr_array(sp.diags_array(W.sum(axis=1)) - W)


def _plus(L: Any, diagonal: Any) -> sp.csr_array:
    return sp.csr_array(L + sp.diags_array(np.broadcast_to(diagonal, L.shape[:1]).astype(float)))


def _grid(rng: np.random.Generator, n: int) -> sp.csr_array:
    side = max(1, round(n**0.5))
    one = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    weight = 10.0 ** rng.uniform(-3, 0)
    return sp.csr_array(sp.kronsum(one, weight * one))


def _neumann(rng: np.random.Generator, n: int) -> sp.csr_array:
    A = _grid(rng, n)
    return _isolated_pinned(sp.csr_array(A - sp.diags_array(A.sum(axis=1))))


def _isolated_pinned(L: sp.csr_array) -> sp.csr_array:
    return _plus(L, L.diagonal() == 0)


def _components(rng: np.random.Generator, n: int) -> sp.csr_array:
    """Several singular Laplacians beside each other, and unknowns on their own."""
    parts = [_laplacian(rng, size, 3 * size) for size in rng.integers(1, max(2, n // 3), 3)]
    return _isolated_pinned(sp.csr_array(sp.block_diag(parts)))


def _jumps(rng: np.random.Generator, n: int) -> sp.csr_array:
    return _plus(_laplacian(rng, n, 3 * n, 10.0 ** rng.uniform(-4, 4, 3 * n)), 1e-2)


def _gram(rng: np.random.Generator, n: int) -> sp.csr_array:
    G = sp.random_array((n, n), density=min(1.0, 3 / n), rng=rng, data_sampler=rng.standard_normal)
    return _plus(G @ G.T, 0.1)


def _arrow(rng: np.random.Generator, n: int) -> sp.csr_array:
    row = rng.uniform(-1, 1, n)
    A = sp.lil_array((n, n))
    A[0, :], A[:, 0] = row[None, :], row[:, None]
    A.setdiag(1.0)
    A[0, 0] = 1.0 + row @ row
    return sp.csr_array(A)


STRUCTURES: dict[str, Callable[[np.random.Generator, int], sp.csr_array]] = {
    "grid": _grid,
    "graph": lambda rng, n: _plus(_laplacian(rng, n, 2 * n), 0.1),
    "jumps": _jumps,
    "disconnected": _components,
    "neumann": _neumann,
    "gram": _gram,
    "diagonal": lambda rng, n: sp.csr_array(sp.diags_array(rng.uniform(0.5, 2.0, n))),
    "dense row": _arrow,
    "dense": lambda rng, n: sp.csr_array(np.ones((n, n)) + np.diag(rng.uniform(0.5, 2.0, n))),
    "positive couplings": lambda rng, n: _plus(abs(_laplacian(rng, n, 2 * n)), 1.0),
    "chain": lambda rng, n: sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))),
    "few edges": lambda rng, n: _plus(_laplacian(rng, n, max(1, n // 10)), 1.0),
}
SCALINGS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "none": lambda rng, n: np.ones(n),
    "1e150": lambda rng, n: np.full(n, 1e75),
    "1e-150": lambda rng, n: np.full(n, 1e-75),
    "1e9": lambda rng, n: np.full(n, 10.0**4.5),
    "eight decades": lambda rng, n: 10.0 ** rng.uniform(-4, 4, n),
}
"""The square roots that rows and columns are multiplied by."""


def _duplicates(A: sp.csr_array) -> sp.coo_array:
    C = A.tocoo()
    halves = np.r_[C.data / 4, C.data * 0.75]
    return sp.coo_array((halves, tuple(np.r_[i, i] for i in C.coords)), shape=A.shape)


def _unsorted(A: sp.csr_array) -> sp.csr_array:
    order = np.concatenate([np.arange(*A.indptr[i : i + 2])[::-1] for i in range(A.shape[0])])
    return sp.csr_array((A.data[order], A.indices[order], A.indptr), shape=A.shape)


def _explicit_zeros(A: sp.csr_array) -> sp.csr_array:
    C = A.tocoo()
    n = A.shape[0]
    corner = (np.r_[C.coords[0], n - 1, 0], np.r_[C.coords[1], 0, n - 1])
    return sp.csr_array(sp.coo_array((np.r_[C.data, 0.0, 0.0], corner), shape=A.shape))


def _long_indices(A: sp.csr_array) -> sp.csr_array:
    A = A.copy()
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


FORMS: dict[str, Callable[[sp.csr_array], Any]] = {
    "csr": lambda A: A,
    "csr matrix": sp.csr_matrix,
    "csc": lambda A: A.tocsc(),
    "coo with duplicates": _duplicates,
    "bsr": lambda A: A.tobsr((2, 2)) if A.shape[0] % 2 == 0 else A.tobsr((1, 1)),
    "dense": lambda A: A.toarray(),
    "numpy matrix": lambda A: np.asmatrix(A.toarray()),
    "lil": lambda A: A.tolil(),
    "dia": lambda A: A.todia(),
    "float32": lambda A: A.astype(np.float32),
    "int64 indices": _long_indices,
    "unsorted": _unsorted,
    "explicit zeros": _explicit_zeros,
}
INTEGERS = "integers"
"""A form of its own: values are rounded, the diagonal made dominant."""


def _set(A: Any, i: int, j: int, value: Any) -> sp.csr_array:
    A = sp.lil_array(A, dtype=type(value) if isinstance(value, complex) else None)
    A[i, j] = value
    return sp.csr_array(A)


DAMAGE: dict[str, Callable[[sp.csr_array, int], Any]] = {
    "nan": lambda A, i: _set(A, i, i, np.nan),
    "inf": lambda A, i: _set(A, i, i, -np.inf),
    "complex": lambda A, i: _set(A, i, i, 1j),
    "zero diagonal": lambda A, i: _set(A, i, i, 0.0),
    "negative diagonal": lambda A, i: _set(A, i, i, -A[i, i]),
    "nonsymmetric": lambda A, i: sp.csr_array(sp.block_array([[A, None], [sp.csr_array(A[[i]]), A[[i]][:, [i]]]])),
    "rectangular": lambda A, i: sp.csr_array(sp.vstack([A, A[[i]]])),
    "indefinite pair": lambda A, i: _set(_set(A, i, i - 1, -3 * _largest(A)), i - 1, i, -3 * _largest(A)),
    "empty": lambda A, i: sp.csr_array((0, 0)),
    "text": lambda A, i: "matrix.mtx",
    "none": lambda A, i: None,
    "list of rows": lambda A, i: [[1.0, 2.0], [3.0]],
    "objects": lambda A, i: np.array([[object(), 1], [1, object()]], dtype=object),
    "three dimensions": lambda A, i: np.ones((2, 2, 2)),
}


def _largest(A: sp.csr_array) -> float:
    return float(A.diagonal().max())


def draw(rng: np.random.Generator) -> Case:
    """A random case."""
    size = int(
        rng.choice([1, 2, 3, int(rng.integers(4, 60)), int(rng.integers(60, 700))], p=[0.04, 0.03, 0.03, 0.3, 0.6])
    )
    form = str(rng.choice([*FORMS, INTEGERS]))
    scaling = "none" if form in ("float32", INTEGERS) else str(rng.choice(list(SCALINGS)))
    damage = str(rng.choice(list(DAMAGE))) if rng.random() < 0.1 else ""
    seed, structure = int(rng.integers(2**31)), str(rng.choice(list(STRUCTURES)))
    return Case(structure, size, scaling, form, seed, damage, str(rng.choice(list(USES))))


def make_case(case: Case) -> Any:
    """The matrix of a case as a user would hand it over."""
    rng = np.random.default_rng(case.seed)
    A = STRUCTURES[case.structure](rng, case.size)
    if case.damage:
        return DAMAGE[case.damage](A, int(rng.integers(A.shape[0])))
    if case.form == INTEGERS:
        A = sp.csr_array(A)
        A.data = np.round(np.clip(A.data, -100, 100))
        A.setdiag(0)
        return _plus(A, 1 + abs(A).sum(axis=1)).astype(np.int64)
    s = sp.diags_array(SCALINGS[case.scaling](rng, A.shape[0]))
    A = sp.csr_array(s @ A @ s)
    A = sp.csr_array((A + A.T) / 2)  # scaling rounds both halves alike but for the order of its factors
    return FORMS[case.form](A)


def check(case: Case) -> str:
    """What went wrong with a case; empty if nothing did."""
    from rllib_psparsity import learned_solver
    from rllib_psparsity.errors import InputError

    A = make_case(case)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            ml = learned_solver(A, _candidates(case, A), **USES[case.use])
            if case.use == "update":
                ml.update(2 * A)
                ml.update(A)
    except InputError as error:
        sentence = str(error)
        if not case.damage:
            return f"refused: {sentence}"
        return "" if "\n" not in sentence and "; " in sentence else f"no sentence with a fix: {sentence}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if case.damage:
        return "not refused"
    return _unsolved(ml, case) or _not_spd(ml, case)


def _candidates(case: Case, A: Any) -> np.ndarray | None:
    if case.use != "two candidates" or case.damage:
        return None
    return np.column_stack([np.ones(A.shape[0]), np.random.default_rng(case.seed).standard_normal(A.shape[0])])


def _unsolved(ml: Any, case: Case) -> str:
    A = ml.levels[0].A
    diagonal = np.sqrt(A.diagonal())
    b = A @ (np.random.default_rng(case.seed).standard_normal(A.shape[0]) / diagonal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, info = ml.solve(b, tol=TOLERANCE, maxiter=MAX_ITERATIONS, accel="cg", return_info=True)
    residual = np.linalg.norm(b - A @ x) / np.linalg.norm(b)
    if not residual <= TRUE_RESIDUAL:
        return f"residual {residual:.1e}, info {info}, {ml.setup_info.method}"
    return ""


def _not_spd(ml: Any, case: Case) -> str:
    """By u^T M v = v^T M u, and the least Ritz value of the scaled preconditioner D^1/2 M D^1/2 (Lanczos 1950)."""
    root, cycle = np.sqrt(ml.levels[0].A.diagonal()), ml.aspreconditioner()
    n = len(root)

    def apply(x: np.ndarray) -> np.ndarray:
        return root * (cycle @ (root * x))

    rng = np.random.default_rng(case.seed)
    u, v = rng.standard_normal((2, n))
    Mu, Mv = apply(u), apply(v)
    gap = abs(u @ Mv - v @ Mu) / max(abs(u @ Mu), abs(v @ Mv))
    basis = [v / np.linalg.norm(v)]
    for _ in range(min(LANCZOS_STEPS, n) - 1):
        w = apply(basis[-1])
        for _ in range(2):  # once more, since rounding leaves a part
            w -= np.array(basis).T @ (np.array(basis) @ w)
        if np.linalg.norm(w) < 1e-8 * np.linalg.norm(Mv) / np.linalg.norm(v):
            break
        basis.append(w / np.linalg.norm(w))
    Q = np.array(basis)
    T = Q @ np.column_stack([apply(q) for q in Q])
    ritz = np.linalg.eigvalsh((T + T.T) / 2)
    bound = -ROUNDING * ritz[-1] if ml.setup_info.singular else 0.0
    definite = gap < 1e-8 and ritz[0] > bound
    return "" if definite else f"preconditioner: asymmetry {gap:.1e}, least Ritz value {ritz[0]:.1e} of {ritz[-1]:.1e}"


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = arguments_parser(__doc__)
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    start, wrong = time.perf_counter(), []
    structures: Counter[str] = Counter()
    for _ in range(200 if options.quick else options.cases):
        case = draw(rng)
        structures[(case.damage and f"spoilt: {case.damage}") or case.structure] += 1
        trouble = check(case)
        if trouble:
            wrong.append({"case": repr(case), "trouble": trouble})
            print(f"{case}: {trouble}", flush=True)
    figures = {"cases": structures.total(), "wrong": len(wrong), "by_kind": dict(sorted(structures.items()))}
    figures["seconds"] = round(time.perf_counter() - start, 1)
    print(f"{figures['cases']} matrices in {figures['seconds']} s, {len(wrong)} went wrong")
    print(write_result("any_matrix", arguments, figures, wrong, result_directory(options)))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

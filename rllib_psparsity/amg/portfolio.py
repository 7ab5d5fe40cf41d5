"""The classical methods that anything learned is compared with: 27 configurations of PyAMG."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyamg

from rllib_psparsity.errors import SetupFailure

MAX_COARSE = 50


class HasBlockSize(Protocol):
    @property
    def block_size(self) -> int: ...


@dataclass(frozen=True)
class ClassicalMethod:
    """One configuration of a PyAMG solver; PyAMG's own defaults for everything that is not named.

    Attributes
    ----------
    name : str
        For example ``"sa evolution 4 energy 1"``.
    solver : "smoothed_aggregation_solver", "rootnode_solver" or "ruge_stuben_solver"
    options : mapping
        Keyword arguments of the solver; a method is a name, or a pair of a name and its own options.
    """

    name: str
    solver: str
    options: Mapping[str, tuple[str, Mapping[str, object]]] = field(default_factory=dict)

    def applies_to(self, problem: HasBlockSize) -> bool:
        """Ruge and Stueben's splitting is of unknowns, so it is used for scalar problems only."""
        return self.solver != "ruge_stuben_solver" or problem.block_size == 1

    def build(self, A, B: np.ndarray | None = None, seed: int = 0) -> pyamg.MultilevelSolver:
        """Set up the hierarchy for `A` (csr or bsr) with near-nullspace candidates `B` (n, K).

        Raises `SetupFailure`, with the reason, if PyAMG raises or leaves a level that is not finite. PyAMG draws the
        start of a spectral radius estimate from numpy's global generator: it is seeded for the set-up and put back.
        """
        # PyAMG extends lists of methods in place, so every build gets dictionaries and tuples of its own.
        options = {key: (method, dict(values)) for key, (method, values) in self.options.items()}
        candidates = {} if self.solver == "ruge_stuben_solver" else {"B": B}
        try:
            with _seeded(seed):
                ml = getattr(pyamg, self.solver)(without_caches(A), **candidates, **options, max_coarse=MAX_COARSE)
        except Exception as error:
            raise SetupFailure(f"{self.name}: {type(error).__name__}: {error}") from error
        for index, level in enumerate(ml.levels):
            if not np.isfinite(level.A.data).all():
                raise SetupFailure(f"{self.name}: the matrix of level {index} is not finite")
        return ml


def without_caches(A):
    """The same csr or bsr matrix, sharing its arrays, as an object of its own.

    PyAMG keeps inverse diagonals, spectral radii and the symmetry as attributes of the matrix that it is given: left
    there, they would make the next set-up cheaper, and depend on which came first.
    """
    return type(A)((A.data, A.indices, A.indptr), shape=A.shape)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Fixed draws from numpy's global generator, and PyAMG's warnings (conversions, small candidates) kept quiet."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


_STRENGTHS = {
    "symmetric 0": ("symmetric", {"theta": 0.0}),
    "symmetric 0.1": ("symmetric", {"theta": 0.1}),
    "symmetric 0.25": ("symmetric", {"theta": 0.25}),
    "evolution 2": ("evolution", {"epsilon": 2.0, "k": 2}),
    "evolution 4": ("evolution", {"epsilon": 4.0}),
}
_SMOOTHINGS = {
    "jacobi": ("jacobi", {"omega": 4 / 3}),
    "filtered jacobi": ("jacobi", {"omega": 4 / 3, "filter_entries": True}),
    "energy 1": ("energy", {"degree": 1, "maxiter": 4}),
    "energy 2": ("energy", {"degree": 2, "maxiter": 4}),
}

PORTFOLIO: tuple[ClassicalMethod, ...] = (
    *(
        ClassicalMethod(
            f"sa {strength} {smoothing}",
            "smoothed_aggregation_solver",
            {"strength": _STRENGTHS[strength], "smooth": _SMOOTHINGS[smoothing]},
        )
        for strength in _STRENGTHS
        for smoothing in _SMOOTHINGS
    ),
    *(
        ClassicalMethod(
            f"rootnode {strength} energy 2",
            "rootnode_solver",
            {"strength": _STRENGTHS[strength], "smooth": _SMOOTHINGS["energy 2"]},
        )
        for strength in ("evolution 2", "evolution 4", "symmetric 0.1")
    ),
    *(
        ClassicalMethod(
            f"ruge-stuben classical {theta}", "ruge_stuben_solver", {"strength": ("classical", {"theta": theta})}
        )
        for theta in (0.1, 0.25, 0.5, 0.7)
    ),
)
"""The 27: smoothed aggregation (Vanek, Mandel and Brezina 1996) with filtering, energy minimisation (Olson, Schroder
and Tuminaro 2011) and the evolution measure (2010); root-node (Manteuffel, Olson, Schroder and Southworth 2017); Ruge
and Stueben (1987). ``evolution 2`` takes two steps (k = 2, also PyAMG's default)."""

PYAMG_DEFAULT = ClassicalMethod("PyAMG default", "smoothed_aggregation_solver")
"""``smoothed_aggregation_solver(A, B)`` as it is but for the portfolio's `MAX_COARSE`: ``sa symmetric 0 jacobi``."""

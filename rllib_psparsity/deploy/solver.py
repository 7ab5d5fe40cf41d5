"""Solvers for a user's matrix, set up by a trained policy."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.deploy.artifact import LoadedPolicy, load_policy
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.deploy.multilevel import LearnedSolver
from rllib_psparsity.deploy.preparation import prepare
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.features import level_graph


def learned_solver(
    A: Any,
    B: Any = None,
    policy: str | Path | LoadedPolicy = "default",
    guard: bool = True,
    *,
    tries: int | None = None,
) -> LearnedSolver:
    """Set up a multigrid solver whose strong edges and recipes a trained policy chooses on every level.

    Parameters
    ----------
    A : (n, n) sparse or dense array or matrix, real
        Symmetric positive definite, or semidefinite with consistent right-hand sides; as `bsr_array` with square blocks
        for systems such as elasticity. Without blocks and B, displacements that come node by node are found out
        (`problems.blocks`) and taken as blocks. Never changed, and copied.
    B : (n, K_b) or (n,) array, optional
        Near-nullspace candidates. Rigid body modes for elasticity. By default constants, which suit diffusion, or, for
        unknowns that are clearly in other units each, 1 / sqrt(a_ii).
    policy : name of a shipped policy, directory of an exported one, or the result of `load_policy`
    guard : whether a cheap test of the hierarchy decides if it is kept; otherwise a classical one takes its place
    tries : how many hierarchies are set up, one for each of the policy's likeliest recipes of the finest level, to keep
        the one that the test finds best; by default what the policy says: `default` makes a second one where the first
        is poor and the policy was not sure. Each costs a set-up, which is worth it where many right-hand sides follow.

    Returns
    -------
    LearnedSolver
        A `pyamg.multilevel.MultilevelSolver`: ``ml.solve(b, accel="cg")``, or ``ml.aspreconditioner()`` for SciPy's
        Krylov methods. ``ml.setup_info`` tells what the set-up did, ``ml.update(A)`` repeats it for other values.

    Raises
    ------
    InputError
        For a matrix, candidates or policy that cannot be used, in one sentence; a `ValueError`.
    SetupFailure
        Without the guard only: no hierarchy came about that can be used.

    Examples
    --------
    >>> from pyamg.gallery import poisson
    >>> from rllib_psparsity import learned_solver
    >>> A = poisson((100, 100), format="csr")
    >>> ml = learned_solver(A)
    >>> x = ml.solve(A.sum(axis=1), accel="cg", tol=1e-8)
    >>> bool(abs(x - 1).max() < 1e-6)
    True
    """
    check_tries(tries)
    if not isinstance(guard, bool | np.bool_):
        raise InputError(f"guard is {guard!r}, expected True or False; False keeps a hierarchy that a test finds poor")
    loaded = _loaded(policy)
    return LearnedSolver(A, B, loaded, bool(guard), None if tries is None else int(tries))


def strength_of_connection(A: Any, policy: str | Path | LoadedPolicy = "default", B: Any = None) -> csr_array:
    """The (N, N) strength-of-connection matrix C of the finest level, for people who build their own hierarchy.

    N is the number of blocks for a `bsr_array`, else of unknowns. Symmetric, entries 1, with its diagonal: what
    `learned_solver` takes at its first try. For the arguments see there.
    """
    loaded = _loaded(policy)
    system = prepare(A, B, block_size=1)  # whoever asks for rows of unknowns builds on them
    graph = level_graph(system.scaled_A, system.scaled_B, 0)
    return strength_matrix(graph, policy_decide(loaded.inference)(graph).edge_is_strong).astype(float)


def check_tries(tries: Any) -> None:
    """Refuse what is no number of hierarchies; None, for as many as the policy says, is fine."""
    if tries is not None and (not isinstance(tries, Integral) or isinstance(tries, bool) or tries < 1):
        raise InputError(f"tries is {tries!r}, expected a whole number above 0; 1 sets up the likeliest one alone")


def _loaded(policy: str | Path | LoadedPolicy) -> LoadedPolicy:
    return policy if isinstance(policy, LoadedPolicy) else load_policy(policy)

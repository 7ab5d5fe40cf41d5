"""Solvers for a user's matrix, set up by a trained policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.sparse import csr_array

from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.deploy.artifact import LoadedPolicy, load_policy
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.problems.validation import check_matrix

if TYPE_CHECKING:
    from pyamg.multilevel import MultilevelSolver


def learned_solver(A: Any, B: Any = None, *, policy: str | Path | LoadedPolicy) -> MultilevelSolver:
    """Set up a multigrid solver whose strong edges and recipes a trained policy chooses on every level.

    Parameters
    ----------
    A : (n, n) sparse array or matrix
        Symmetric positive definite; as `bsr_array` with square blocks for systems such as elasticity.
    B : (n, K_b) or (n,) array, optional
        Near-nullspace candidates; constants by default, which suit diffusion. Rigid body modes for elasticity.
    policy : directory of an exported policy, or the result of `load_policy`

    Returns
    -------
    pyamg.multilevel.MultilevelSolver
        ``ml.solve(b, accel="cg")``, or ``ml.aspreconditioner()`` for SciPy's Krylov methods.

    Raises `InputError` for a matrix, candidates or policy that cannot be used.
    """
    loaded = _loaded(policy)
    matrix, candidates = check_matrix(A, B)
    decide = policy_decide(loaded.inference)
    return build_hierarchy(matrix, candidates, decide, menu=loaded.menu, limits=loaded.limits).to_pyamg()


def strength_of_connection(A: Any, B: Any = None, *, policy: str | Path | LoadedPolicy) -> csr_array:
    """The (N, N) strength-of-connection matrix C of the finest level, for people who build their own hierarchy.

    N is the number of blocks for a `bsr_array`, else of unknowns. Symmetric, entries 1, with its diagonal. For the
    arguments see `learned_solver`.
    """
    loaded = _loaded(policy)
    matrix, candidates = check_matrix(A, B)
    graph = level_graph(matrix, candidates, 0)
    return strength_matrix(graph, policy_decide(loaded.inference)(graph).edge_is_strong)


def _loaded(policy: str | Path | LoadedPolicy) -> LoadedPolicy:
    return policy if isinstance(policy, LoadedPolicy) else load_policy(policy)

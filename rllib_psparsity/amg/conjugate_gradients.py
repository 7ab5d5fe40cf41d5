"""Preconditioned conjugate gradients for K systems with one matrix, every pass over it serving all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_vectors import multiply
from rllib_psparsity.compiled import compiled


@dataclass(frozen=True, slots=True)
class BlockSolve:
    """Where K solves ended.

    Attributes
    ----------
    residuals : (n, K) recurrence residuals
    iterations : (K,) float64, done by each
    relative : (K,) 2-norms of the residuals, divided by those of the right-hand sides
    energy : (iterations, K) by how much each step has made the squared energy norm of the error smaller, which needs no
        solution: alpha_j r_j^T z_j (Hestenes and Stiefel 1952, theorem 6:1)
    """

    residuals: np.ndarray
    iterations: np.ndarray
    relative: np.ndarray
    energy: np.ndarray


def solve_block(
    A: csr_array | bsr_array,
    b: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
    max_iterations: int,
    enough: Callable[[int, np.ndarray], bool] | None = None,
) -> BlockSolve:
    """Solve A x = b (n, K) from zero, as K independent solves (Hestenes and Stiefel 1952).

    A system whose residual is below ``tolerance`` times its right-hand side stands still; the others go on, until none
    is left, `max_iterations` are done, `enough` says so of the iterations done and `BlockSolve.relative`, or one of
    them is not finite any more.
    """
    r = b.copy()
    p = np.zeros_like(b)
    rz = np.ones(b.shape[1])
    running = np.ones(b.shape[1], dtype=bool)
    iterations = np.zeros(b.shape[1])
    initial = np.linalg.norm(b, axis=0)
    relative = np.ones(b.shape[1])
    energy = []
    for iteration in range(1, max_iterations + 1):
        _turn(r, precondition(r), running, rz, p)
        squares, gained = _step(p, multiply(A, p), running, rz, r)
        relative = np.sqrt(squares) / initial
        energy.append(gained)
        iterations += running
        running &= relative > tolerance
        if not running.any() or not np.isfinite(relative).all() or (enough is not None and enough(iteration, relative)):
            break
    return BlockSolve(r, iterations, relative, np.array(energy).reshape(-1, b.shape[1]))


@compiled(error_model="numpy")
def _turn(r, z, running, rz, p):
    # The next directions; rz becomes r^T z.
    n, num_vectors = r.shape
    before = rz.copy()
    rz[:] = 0.0
    for i in range(n):
        for k in range(num_vectors):
            rz[k] += r[i, k] * z[i, k]
    beta = np.where(running, rz / before, 0.0)
    for i in range(n):
        for k in range(num_vectors):
            p[i, k] = z[i, k] + beta[k] * p[i, k]


@compiled(error_model="numpy")
def _step(p, Ap, running, rz, r):
    # The next residuals, their squared norms, and the gain of each step.
    n, num_vectors = r.shape
    pAp, squares = np.zeros(num_vectors), np.zeros(num_vectors)
    for i in range(n):
        for k in range(num_vectors):
            pAp[k] += p[i, k] * Ap[i, k]
    alpha = np.where(running, rz / pAp, 0.0)
    for i in range(n):
        for k in range(num_vectors):
            r[i, k] -= alpha[k] * Ap[i, k]
            squares[k] += r[i, k] * r[i, k]
    return squares, alpha * rz

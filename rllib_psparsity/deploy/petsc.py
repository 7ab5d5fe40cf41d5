"""A hierarchy handed over to PETSc, where it goes on under MPI."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, issparse

from rllib_psparsity.amg.direct_solver import DENSE_LIMIT, DirectSolver
from rllib_psparsity.errors import InputError

if TYPE_CHECKING:
    from pyamg.multilevel import MultilevelSolver

HOW_TO_INSTALL = (
    "conda install -c conda-forge petsc4py brings it with MPI and hypre, apt install python3-petsc4py for Debian's own "
    "Python, and PETSC_CONFIGURE_OPTIONS=--download-hypre pip install petsc petsc4py builds it"
)
NO_DIVERGENCE = 1e300
"""Growth of the residual at which PETSc gives up. Where units differ by many decades it may well grow by its default of
1e4 on the way to the solution, since conjugate gradients make another norm fall."""


def load_petsc() -> Any:
    """The module ``petsc4py.PETSc``, started without the arguments of this process.

    Raises `InputError` if it is not there, or cannot be loaded, or was built for complex numbers.
    """
    try:
        import_module("petsc4py").init([])
        PETSc = import_module("petsc4py.PETSc")
    except Exception as error:  # a build for another NumPy or MPI fails in many ways
        what = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded ({error})"
        raise InputError(f"petsc4py {what}; {HOW_TO_INSTALL}") from error
    if np.dtype(PETSc.ScalarType) != np.float64:
        raise InputError(
            f"this petsc4py was built for {np.dtype(PETSc.ScalarType)}, expected float64; use a build with real "
            "numbers in double precision"
        )
    return PETSc


def to_petsc(ml: MultilevelSolver, comm: Any = None) -> Any:
    """A PETSc Krylov solver with the hierarchy of `ml` as its preconditioner.

    Parameters
    ----------
    ml : MultilevelSolver
        From `learned_solver`, or any of PyAMG with one operator and its prolongators a level, symmetric positive
        definite.
    comm : MPI communicator of petsc4py or mpi4py, optional
        Whose processes share the rows of every level; this process alone if not given. Each of them calls `to_petsc`
        with the same `ml`, and keeps its rows.

    Returns
    -------
    petsc4py.PETSc.KSP
        Conjugate gradients to a relative residual of 1e-8 in the 2-norm, preconditioned by one V-cycle: the operators
        and transfers of `ml`, a symmetric Gauss-Seidel sweep before and one after (of blocks where A has blocks), as
        `learned_solver` and PyAMG's defaults have it, and a direct solve on the coarsest level.
        ``x, b = ksp.getOperators()[0].createVecs()``, then ``ksp.solve(b, x)``.

    Raises `InputError` if petsc4py is not there or `ml` is not a hierarchy.

    Notes
    -----
    On one process every step is that of PyAMG's V-cycle, so the numbers of iterations are equal up to rounding. On
    several, PETSc's Gauss-Seidel (`MatSOR`) goes through each process's own rows only: a few iterations more.
    PETSc counts levels from the coarsest, PyAMG from the finest.
    """
    levels = getattr(ml, "levels", None)
    if not levels or not issparse(getattr(levels[0], "A", None)):
        raise InputError(
            f"to_petsc got {type(ml).__name__}, expected a hierarchy of PyAMG; pass what learned_solver returned"
        )
    PETSc = load_petsc()
    for number, level in enumerate(levels[:-1]):
        if not level.A.diagonal().all():
            row = int(np.argmin(level.A.diagonal() != 0))
            raise InputError(
                f"level {number} has a zero on its diagonal in row {row}, which PETSc's Gauss-Seidel cannot divide by; "
                "fix one unknown of every part that nothing holds, and set the hierarchy up again"
            )
    comm = PETSc.COMM_SELF if comm is None else comm
    operators = [petsc_matrix(PETSc, level.A, comm) for level in levels]
    ksp = PETSc.KSP().create(comm)
    ksp.setOperators(operators[0])
    ksp.setType("cg")
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=1e-8, atol=0.0, divtol=NO_DIVERGENCE, max_it=400)
    pc = ksp.getPC()
    pc.setType("mg")
    pc.setMGLevels(len(levels))
    coarsest = len(levels) - 1
    for index, (level, operator) in enumerate(zip(levels, operators, strict=True)):
        number = coarsest - index
        if index == coarsest:
            inverse = _inverse(PETSc, level.A, comm, as_given=index == 0)
            _solve_directly(pc.getMGCoarseSolve(), operator, inverse)
        else:
            fine, coarse = block_size(level.A), block_size(levels[index + 1].A)
            pc.setMGInterpolation(number, _transfer(PETSc, level.P, (fine, coarse), comm))
            pc.setMGRestriction(number, _transfer(PETSc, level.R, (coarse, fine), comm))
            _relax(pc.getMGSmoother(number), operator)
    return ksp


def _relax(smoother: Any, operator: Any) -> None:
    """One symmetric Gauss-Seidel sweep; PETSc takes the same solver after the coarse correction."""
    smoother.setOperators(operator)
    smoother.setType("richardson")
    smoother.setTolerances(max_it=1)
    smoother.getPC().setType("sor")  # by default a symmetric sweep of relaxation factor 1


def _solve_directly(solver: Any, operator: Any, inverse: Any) -> None:
    """A product with the inverse where there is one; otherwise LU, of the whole level on every process."""
    solver.setOperators(operator, operator if inverse is None else inverse)
    solver.setType("preonly")
    solver.getPC().setType("redundant" if inverse is None else "mat")


def _inverse(PETSc: Any, A: Any, comm: Any, *, as_given: bool) -> Any:
    """The inverse of a small coarsest level, None of a larger one.

    By `DirectSolver`, which takes singular matrices too and whatever their units are; PETSc's own LU and
    pseudo-inverse call small what is small beside 1.
    """
    if A.shape[0] > DENSE_LIMIT:
        return None
    inverse = csr_array(DirectSolver(A, as_given).solve(np.eye(A.shape[0])))
    return _transfer(PETSc, inverse, (block_size(A), block_size(A)), comm)


def petsc_matrix(PETSc: Any, A: Any, comm: Any) -> Any:
    """The square matrix `A` as PETSc's AIJ, or, a bsr_array with blocks larger than 1, BAIJ.

    Each process of `comm` has all of A and keeps its share of the block rows.
    """
    block = block_size(A)
    A = csr_array(A) if block == 1 else A
    rows = _share(A.shape[0] // block, comm)
    csr = _rows_of(PETSc, A, rows)
    size = (len(rows) * block, A.shape[0])
    if block == 1:
        return PETSc.Mat().createAIJ((size, size), csr=csr, comm=comm)
    return PETSc.Mat().createBAIJ((size, size), block, csr=csr, comm=comm)


def _transfer(PETSc: Any, P: Any, blocks: tuple[int, int], comm: Any) -> Any:
    """A transfer as AIJ, its rows and columns divided as those of the operators with these block sizes."""
    P = csr_array(P)
    nodes = [_share(size // block, comm) for size, block in zip(P.shape, blocks, strict=True)]
    rows, columns = (range(s.start * b, s.stop * b) for s, b in zip(nodes, blocks, strict=True))
    size = ((len(rows), P.shape[0]), (len(columns), P.shape[1]))
    return PETSc.Mat().createAIJ(size, csr=_rows_of(PETSc, P, rows), comm=comm)


def block_size(A: Any) -> int:
    """Unknowns a node."""
    return A.blocksize[0] if A.format == "bsr" else 1


def _share(total: int, comm: Any) -> range:
    """The block rows of this process: equal shares, the first processes one more where that does not go up."""
    least, more = divmod(total, comm.size)
    start = comm.rank * least + min(comm.rank, more)
    return range(start, start + least + (comm.rank < more))


def _rows_of(PETSc: Any, A: Any, rows: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """indptr, global indices and values of some (block) rows, in PETSc's types."""
    begin, end = A.indptr[rows.start], A.indptr[rows.stop]
    return (
        (A.indptr[rows.start : rows.stop + 1] - begin).astype(PETSc.IntType),
        A.indices[begin:end].astype(PETSc.IntType),
        A.data[begin:end].astype(PETSc.ScalarType),
    )

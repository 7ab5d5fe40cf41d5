from __future__ import annotations

import numpy as np
import pyamg
import pytest
from pyamg.classical.interpolate import classical_interpolation, direct_interpolation
from pyamg.classical.split import RS
from scipy.sparse import csr_array, diags_array

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.interpolation import (
    LEAST_CANDIDATE,
    interpolate,
    interpolate_candidate,
    split,
    strongest_column,
    without_diagonal,
)
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.prolongation import prolongate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.validation import check_matrix

PYAMG = {"direct": direct_interpolation, "modified": classical_interpolation}
KINDS = ("direct", "modified")


def problem(name: str) -> csr_array:
    rng = np.random.default_rng(7)
    if name == "poisson":
        return csr_array(pyamg.gallery.poisson((11, 9), format="csr"))
    if name == "jump":
        return FAMILIES["jump_diffusion"].make(rng, 12, decades=6.0, correlation=0.05).A
    family = FAMILIES[f"anisotropic_diffusion_{name}"]
    return family.make(rng, 12, epsilon=0.01, theta=0.6).A


PROBLEMS = ("poisson", "fd", "fe", "jump")


def random_strength(A: csr_array, rng: np.random.Generator, share: float) -> csr_array:
    """A symmetric random choice of A's couplings, without a diagonal."""
    keep = np.triu(rng.random(A.shape) < share, 1)
    S = csr_array((A.toarray() != 0) & (keep | keep.T)).astype(float)
    S.sort_indices()
    return S


def without_isolated(S: csr_array, splitting: np.ndarray) -> np.ndarray:
    splitting = splitting.copy()
    splitting[np.diff(S.indptr) == 0] = 0
    return splitting


def assert_as_pyamg(A: csr_array, S: csr_array, splitting: np.ndarray, kind: str, compared_at_least: float) -> None:
    P = interpolate(A, S, splitting, kind)
    ours = P.toarray()
    assert np.isfinite(ours).all()
    with np.errstate(all="ignore"):
        theirs = PYAMG[kind](A, S.copy(), splitting.astype(np.int32)).toarray()
    # Where a denominator vanishes, PyAMG's row is infinite, or rounding blown up.
    usable = np.isfinite(theirs).all(axis=1) & (np.abs(theirs).max(axis=1, initial=0.0) < 1e8)
    assert usable.mean() >= compared_at_least
    np.testing.assert_allclose(ours[usable], theirs[usable], rtol=1e-12, atol=1e-12)
    assert not ours[~usable].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("seed", range(4))
def test_equals_pyamg_for_random_masks_and_ruge_stueben_splittings(name, kind, seed):
    A = problem(name)
    S = random_strength(A, np.random.default_rng(seed), share=(0.9, 0.6, 0.4, 0.2)[seed])
    assert_as_pyamg(A, S, without_isolated(S, RS(S)), kind, 0.9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("seed", range(4))
def test_equals_pyamg_for_random_masks_and_random_splittings(name, kind, seed):
    A = problem(name)
    rng = np.random.default_rng(seed)
    S = random_strength(A, rng, share=0.7)
    assert_as_pyamg(A, S, (rng.random(A.shape[0]) < 0.4).astype(np.int32), kind, 0.8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_equals_pyamg_for_all_couplings_strong(name, kind):
    A = problem(name)
    S = random_strength(A, np.random.default_rng(0), share=1.1)
    assert_as_pyamg(A, S, RS(S), kind, 0.9)


def reference_direct(A: np.ndarray, S: np.ndarray, coarse: list[int]) -> np.ndarray:
    P = np.zeros((len(A), len(coarse)))
    for i in range(len(A)):
        if i in coarse:
            P[i, coarse.index(i)] = 1.0
            continue
        chosen = [k for k in coarse if S[i, k] and A[i, k]]
        others = [k for k in range(len(A)) if k != i]
        diagonal = A[i, i]
        if not any(A[i, k] > 0 for k in chosen):
            diagonal += sum(A[i, k] for k in others if A[i, k] > 0)
        for j in chosen:
            same = [k for k in others if A[i, k] * A[i, j] > 0]
            share = sum(A[i, k] for k in same) / sum(A[i, k] for k in same if k in chosen)
            P[i, coarse.index(j)] = -share * A[i, j] / diagonal
    return P


def reference_modified(A: np.ndarray, S: np.ndarray, coarse: list[int]) -> np.ndarray:
    n = len(A)
    P = np.zeros((n, len(coarse)))

    def tilde(k, m):
        return 0.0 if A[k, m] * A[k, k] > 0 else A[k, m]

    for i in range(n):
        if i in coarse:
            P[i, coarse.index(i)] = 1.0
            continue
        chosen = [k for k in coarse if S[i, k] and A[i, k]]
        fine = [k for k in range(n) if k != i and k not in coarse and S[i, k] and any(S[k, m] for m in chosen)]
        denominator = sum(A[i, k] for k in range(n) if k not in chosen and k not in fine)
        for j in chosen:
            weight = A[i, j]
            for k in fine:
                total = sum(tilde(k, m) for m in chosen)
                weight += A[i, k] * tilde(k, j) / total if total else 0.0
            P[i, coarse.index(j)] = -weight / denominator
    return P


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_equals_the_formulas_written_out(name, kind):
    rng = np.random.default_rng(11)
    A = csr_array(problem(name)[:40, :40])
    S = random_strength(A, rng, share=0.8)
    splitting = (rng.random(40) < 0.4).astype(np.int32)
    reference = {"direct": reference_direct, "modified": reference_modified}[kind]
    expected = reference(A.toarray(), S.toarray(), [int(i) for i in np.flatnonzero(splitting)])
    usable = np.abs(expected).max(axis=1) < 1e8
    P = interpolate(A, S, splitting, kind).toarray()
    np.testing.assert_allclose(P[usable], expected[usable], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_vanishing_denominator_gives_an_empty_row_without_a_word(kind, capfd):
    # Row 0: the diagonal 1 and what is lumped into it add up to 0, for both formulas.
    lumped = -1.0
    A = csr_array(np.array([[1.0, -1.0, lumped], [-1.0, 4.0, 0.0], [lumped, 0.0, 4.0]]))
    if kind == "direct":
        A = csr_array(np.array([[-1.0, -1.0, 1.0], [-1.0, 4.0, 0.0], [1.0, 0.0, 4.0]]))
    S = csr_array(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    P = interpolate(A, S, np.array([0, 1, 0]), kind)
    np.testing.assert_array_equal(P.toarray(), [[0.0], [1.0], [0.0]])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", PROBLEMS)
def test_splits_as_pyamg(name, seed):
    A = problem(name)
    S = random_strength(A, np.random.default_rng(seed), share=(0.9, 0.6, 0.4, 0.2, 0.05, 0.0)[seed])
    np.testing.assert_array_equal(split(S), RS(S))


def test_the_diagonal_is_taken_out():
    A = problem("jump")
    S = random_strength(A, np.random.default_rng(0), share=0.6)
    C = csr_array(S + csr_array(np.eye(A.shape[0])))
    C.sort_indices()
    np.testing.assert_array_equal(without_diagonal(C).toarray(), (S.toarray() != 0).astype(float))


def test_the_strongest_column_is_the_first_of_the_largest():
    P = csr_array(np.array([[0, 0, 0, 0], [0.2, -0.5, 0.5, 0], [0, 0, 0, -1e-30], [-3, 2, 0, 1]]))
    np.testing.assert_array_equal(strongest_column(P), [-1, 1, 3, 0])
    assert strongest_column(P).dtype == np.int32


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_stay_untouched(kind):
    A = problem("fe")
    S = random_strength(A, np.random.default_rng(0), share=0.6)
    splitting = RS(S)
    before = A.data.copy(), S.data.copy(), splitting.copy()
    interpolate(A, S, splitting, kind)
    for array, kept in zip((A.data, S.data, splitting), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_prolongation_says_nothing_on_the_terminal(name, kind, capfd):
    A = problem(name)
    recipe = Recipe.parse(f"classical/{kind}/classical")
    for seed in range(12):
        rng = np.random.default_rng(seed)
        C = csr_array(random_strength(A, rng, share=rng.uniform(0.05, 1.0)) + csr_array(np.eye(A.shape[0])))
        C.sort_indices()
        prolongate(A, np.ones((A.shape[0], 1)), C, recipe)
    assert capfd.readouterr() == ("", "")


def all_strong(A: csr_array) -> csr_array:
    S = csr_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    return without_diagonal(S)


@pytest.mark.parametrize("kind", KINDS)
def test_a_candidate_without_energy_is_reproduced(kind):
    """D N D, N a matrix whose rows sum to zero, has the candidate D^-1 1."""
    nine_point = pyamg.gallery.stencil_grid(np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1.0]]), (9, 8), format="csr")
    neumann = csr_array(nine_point - diags_array(nine_point.sum(axis=1)))
    b = np.random.default_rng(0).uniform(0.2, 1.0, neumann.shape[0])
    A = csr_array(diags_array(1 / b) @ neumann @ diags_array(1 / b))
    S = all_strong(A)
    splitting = split(S)
    for sign in (1.0, -3.0):
        P = interpolate_candidate(A, S, splitting, kind, sign * b)
        np.testing.assert_allclose(P @ b[splitting == 1], b, rtol=1e-12)
        assert (P.toarray()[splitting == 1] == np.eye(int(splitting.sum()))).all()
    plain = interpolate(A, S, splitting, kind)
    assert abs(plain @ b[splitting == 1] - b).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_candidate_weighs_as_the_formula_says(name, kind):
    A = problem(name)
    rng = np.random.default_rng(3)
    S = random_strength(A, rng, share=0.8)
    splitting = without_isolated(S, RS(S))
    b = rng.uniform(0.1, 2.0, A.shape[0])
    expected = interpolate(csr_array(diags_array(b) @ A @ diags_array(b)), S, splitting, kind).toarray()
    expected = b[:, None] * expected / b[splitting == 1]
    P = interpolate_candidate(A, S, splitting, kind, b)
    np.testing.assert_allclose(P.toarray(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_that_say_nothing_change_no_bit(kind):
    A = problem("fe")
    S = all_strong(A)
    splitting = split(S)
    plain = interpolate(A, S, splitting, kind)
    ones = np.ones(A.shape[0])
    changes_sign, tiny, zero = ones.copy(), ones.copy(), ones.copy()
    changes_sign[3], tiny[3], zero[3] = -1.0, LEAST_CANDIDATE / 2, 0.0
    for b in (ones, 1e200 * ones, -1e-200 * ones, 0 * ones, changes_sign, tiny, zero):
        np.testing.assert_array_equal(interpolate_candidate(A, S, splitting, kind, b).toarray(), plain.toarray())


def test_below_aggregates_classical_coarsening_keeps_the_singular_matrix_singular():
    """What smoothed aggregation leaves of a pure Neumann problem has a null vector that is not constant."""
    neumann = pyamg.gallery.poisson((30, 30), format="csr")
    A, B = check_matrix(neumann - diags_array(neumann.sum(axis=1)))
    menu = (Recipe.parse("sa/jacobi/evolution"), Recipe.parse("classical/modified/classical/0.1"))

    def decide(graph):
        return Decision(np.ones(graph.num_edges, dtype=bool), int(graph.level > 0))

    hierarchy = build_hierarchy(A, B, decide, menu=menu, limits=Limits(max_coarse=12))
    assert len(hierarchy.levels) > 2
    for level in hierarchy.levels[1:]:
        energies = np.linalg.eigvalsh(level.A.toarray())
        assert abs(energies[0]) < 1e-12 * energies[-1] < energies[1]

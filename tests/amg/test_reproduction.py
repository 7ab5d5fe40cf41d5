"""Candidates that are nearly dependent are reproduced as well as others."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.amg import prolongation
from rllib_psparsity.amg.prolongation import prolongate
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.amg.reproduction import DEPENDENT
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.graph.features import level_graph
from tests.amg.cases import problem

RECIPES = ("sa/jacobi/evolution", "sa/energy2/evolution", "rootnode/energy2/evolution")
NEARLY = 1e-5
"""How far the last candidate is from a combination of the others; the normal equations lose the square of it."""


def nearly_dependent(name: str) -> tuple:
    case = problem(name)
    noise = np.random.default_rng(0).standard_normal((case.A.shape[0], 1))
    return case.A, np.column_stack([case.B, case.B.sum(axis=1, keepdims=True) + NEARLY * noise])


def error(P, B_coarse: np.ndarray, B: np.ndarray, aggregates: np.ndarray) -> float:
    nodes = (P @ B_coarse - B).reshape(len(aggregates), -1)
    return abs(nodes[aggregates >= 0]).max() / abs(B).max()


def least_change(
    P: np.ndarray, B_coarse: np.ndarray, B: np.ndarray, aggregates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Row by row the P nearest to this one, on its pattern, that reproduces B; by orthogonal factors of the pattern's
    candidates, whose condition is not squared. And the rows where rounding does not decide whether the pattern has all
    candidates: no singular value is within a decade of the cut."""
    changed, block, cut = P.copy(), len(P) // len(aggregates), DEPENDENT**0.5
    clear = np.ones(len(P), dtype=bool)
    for i in np.flatnonzero(np.repeat(aggregates >= 0, block)):
        pattern = np.flatnonzero(P[i - i % block : i - i % block + block].any(axis=0))
        wrong = B[i] - P[i, pattern] @ B_coarse[pattern]
        step, _, _, singular = np.linalg.lstsq(B_coarse[pattern].T, wrong, rcond=cut)
        changed[i, pattern] += step
        clear[i] = not ((singular > 0.1 * cut * singular[0]) & (singular < 10 * cut * singular[0])).any()
    return changed, clear


@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
@pytest.mark.parametrize("recipe", RECIPES[:2])
def test_nearly_dependent_candidates_are_reproduced(name: str, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    A, B = nearly_dependent(name)
    graph = level_graph(A, B, 0)
    C = strength_matrix(graph, np.random.default_rng(0).random(graph.num_edges) < 0.6)
    refined = prolongate(A, B, C, Recipe.parse(recipe))
    monkeypatch.setattr(prolongation, "reproduce_candidates", lambda *_: None)
    as_it_comes = prolongate(A, B, C, Recipe.parse(recipe))
    errors = [error(one.P, one.B_coarse, B, one.aggregates) for one in (refined, as_it_comes)]
    assert errors[0] < 1e-9 < errors[1]
    expected, clear = least_change(as_it_comes.P.toarray(), as_it_comes.B_coarse, B, as_it_comes.aggregates)
    assert clear.mean() > 0.98
    np.testing.assert_allclose(refined.P.toarray()[clear], expected[clear], rtol=0, atol=1e-4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_other_prolongators_keep_their_bits(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = problem("elasticity")
    graph = level_graph(case.A, case.B, 0)
    C = strength_matrix(graph, np.random.default_rng(0).random(graph.num_edges) < 0.6)
    checked = prolongate(case.A, case.B, C, Recipe.parse(recipe))
    monkeypatch.setattr(prolongation, "reproduce_candidates", lambda *_: None)
    as_it_comes = prolongate(case.A, case.B, C, Recipe.parse(recipe))
    np.testing.assert_array_equal(checked.P.data, as_it_comes.P.data)

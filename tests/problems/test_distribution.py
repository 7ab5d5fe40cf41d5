"""Drawing by counter, difficulty, and what is refused on construction."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.ranges import nearest

GOLDEN = Path(__file__).with_name("golden.json")


def mix(*families, **settings):
    return ProblemsConfig(families=tuple(FamilyConfig(**family) for family in families), **settings)


def everything():
    return mix(*({"family": name, "size": (4, 8)} for name in sorted(FAMILIES)))


def same(first, second):
    return (
        first.name == second.name
        and first.parameters == second.parameters
        and first.A.shape == second.A.shape
        and np.array_equal(first.A.toarray(), second.A.toarray())
        and np.array_equal(first.B, second.B)
    )


def test_golden():
    """Families, sizes and parameters of a mix: the random streams must not change from one machine to another."""
    distribution = ProblemDistribution(everything(), seed=7)
    expected = json.loads(GOLDEN.read_text())["distribution"]
    for index, golden in enumerate(expected):
        for problem, numbers in zip((distribution.training(index), distribution.heldout(index)), golden, strict=True):
            trace = float(problem.A.diagonal().sum())
            assert problem.family == numbers["family"]
            assert {**problem.parameters, "trace": trace} == pytest.approx(numbers["numbers"], rel=1e-12)


def test_problems_need_no_state():
    first, second = ProblemDistribution(everything(), 3), ProblemDistribution(everything(), 3)
    forward = [first.training(index) for index in range(10)]
    for index in reversed(range(10)):
        assert same(forward[index], second.training(index))


def test_a_distribution_travels_to_another_process():
    distribution = ProblemDistribution(everything(), 3)
    assert same(pickle.loads(pickle.dumps(distribution)).training(2), distribution.training(2))


def test_training_and_heldout_never_meet():
    distribution = ProblemDistribution(mix({"family": "anisotropic_diffusion_fd", "size": (3, 3)}), 0)
    drawn = [distribution.training(index).parameters["theta"] for index in range(200)]
    drawn += [distribution.heldout(index).parameters["theta"] for index in range(200)]
    assert len(set(drawn)) == 400
    assert distribution.training(4).name == "anisotropic_diffusion_fd-3/training-4"
    assert distribution.heldout(4).name == "anisotropic_diffusion_fd-3/heldout-4"


def test_seeds_differ():
    first, second = (ProblemDistribution(everything(), seed) for seed in (0, 1))
    assert not any(same(first.training(index), second.training(index)) for index in range(5))


def test_fixed_training_set_repeats():
    config = mix({"family": "jump_diffusion", "size": (4, 8)}, training_problems=3)
    distribution = ProblemDistribution(config, 0)
    for index in range(3):
        assert same(distribution.training(index), distribution.training(index + 3))
        assert same(distribution.training(index), distribution.training(index + 300))
    assert not same(distribution.training(0), distribution.training(1))
    assert not same(distribution.heldout(0), distribution.heldout(3))


def test_weights_are_shares():
    config = mix(
        {"family": "helmholtz_shifted", "size": (3, 3), "weight": 3.0},
        {"family": "anisotropic_diffusion_fd", "size": (3, 3), "weight": 1.0},
    )
    distribution = ProblemDistribution(config, 0)
    families = [distribution.training(index).family for index in range(800)]
    assert families.count("helmholtz_shifted") / 800 == pytest.approx(0.75, abs=0.05)


def test_ranges_are_filled_uniformly_or_log_uniformly():
    config = mix({"family": "anisotropic_diffusion_fd", "size": (3, 6), "parameters": {"epsilon": (1e-4, 1.0)}})
    distribution = ProblemDistribution(config, 0)
    drawn = [distribution.training(index).parameters for index in range(1200)]
    exponents = np.log10([p["epsilon"] for p in drawn])
    np.testing.assert_allclose(np.histogram(exponents, 4, (-4, 0))[0] / 1200, 0.25, atol=0.05)
    np.testing.assert_allclose(np.histogram([p["theta"] for p in drawn], 4, (0, 2 * np.pi))[0] / 1200, 0.25, atol=0.05)
    np.testing.assert_allclose(np.bincount([p["size"] for p in drawn])[3:] / 1200, 0.25, atol=0.05)


def test_easiest_problems():
    distribution = ProblemDistribution(everything(), 5)
    for index in range(30):
        problem = distribution.training(index, difficulty=0.0)
        assert problem.parameters["size"] == 4
        for name, parameter in FAMILIES[problem.family].parameters.items():
            if parameter.easy is not None:
                easiest = parameter.low if parameter.easy == "low" else parameter.high
                assert problem.parameters[name] == pytest.approx(easiest, rel=1e-12)


def test_difficulty_shrinks_ranges_towards_the_easy_end():
    config = mix({"family": "anisotropic_diffusion_fd", "size": (4, 12), "parameters": {"epsilon": (1e-4, 1.0)}})
    distribution = ProblemDistribution(config, 0)
    drawn = [distribution.training(index, difficulty=0.5).parameters for index in range(300)]
    epsilons = [p["epsilon"] for p in drawn]
    assert 0.01 < min(epsilons) < 0.012
    assert 0.95 < max(epsilons) < 1
    assert {p["size"] for p in drawn} == {4, 5, 6, 7, 8}
    assert max(p["theta"] for p in drawn) > 6.2

    config = mix({"family": "jump_diffusion", "size": (4, 4), "parameters": {"decades": (1.0, 5.0)}})
    distribution = ProblemDistribution(config, 0)
    decades = [distribution.training(index, difficulty=0.5).parameters["decades"] for index in range(300)]
    assert min(decades) < 1.05
    assert 2.9 < max(decades) < 3


def test_same_index_is_the_same_kind_at_every_difficulty():
    distribution = ProblemDistribution(everything(), 5)
    for index in range(10):
        easy, hard = distribution.training(index, 0.2), distribution.training(index, 1.0)
        assert easy.family == hard.family
        assert easy.parameters["size"] <= hard.parameters["size"]


def test_range_of_a_single_value():
    config = mix({"family": "anisotropic_diffusion_fd", "size": (5, 5), "parameters": {"epsilon": (0.3, 0.3)}})
    assert ProblemDistribution(config, 0).training(0).parameters["epsilon"] == 0.3


def save(path, value):
    sp.save_npz(path, sp.csr_array(np.array([[value, -1.0], [-1.0, value]])))


def test_file_members(tmp_path):
    for name, value in (("b.npz", 2.0), ("a.npz", 3.0)):
        save(tmp_path / name, value)
    one = ProblemDistribution(mix({"family": f"file:{tmp_path / 'b.npz'}"}), 0)
    assert one.training(0).A[0, 0] == one.heldout(9).A[0, 0] == 2
    assert one.training(0).family == "file"
    assert one.training(1).name == "b.npz/training-1"
    several = ProblemDistribution(mix({"family": f"file:{tmp_path}"}), 0)
    values = [several.training(index).A[0, 0] for index in range(200)]
    assert values.count(2) / 200 == pytest.approx(0.5, abs=0.15)
    assert values.count(2) + values.count(3) == 200


FD = {"family": "anisotropic_diffusion_fd"}
REFUSALS = {
    "family": (
        {"family": "jump_difusion"},
        "there is no problem family 'jump_difusion', expected a family or file:PATH; did you mean 'jump_diffusion'?",
    ),
    "strange family": (
        {"family": "zzz"},
        "there is no problem family 'zzz', expected a family or file:PATH; use one of " + ", ".join(sorted(FAMILIES)),
    ),
    "parameter": (
        {**FD, "parameters": {"epsilom": (0.1, 0.2)}},
        "the family 'anisotropic_diffusion_fd' has no parameter 'epsilom', expected one of its own; did you mean "
        "'epsilon'?",
    ),
    "strange parameter": (
        {**FD, "parameters": {"zzz": (0.1, 0.2)}},
        "the family 'anisotropic_diffusion_fd' has no parameter 'zzz', expected one of its own; use one of epsilon, "
        "theta",
    ),
    "empty range": (
        {**FD, "parameters": {"epsilon": (0.2, 0.1)}},
        "the parameter 'epsilon' of 'anisotropic_diffusion_fd' ranges from 0.2 to 0.1, expected the smaller number "
        "first; exchange them",
    ),
    "below the bounds": (
        {**FD, "parameters": {"epsilon": (0.0, 0.1)}},
        "the parameter 'epsilon' of 'anisotropic_diffusion_fd' ranges from 0 to 0.1, expected a range within 1e-08 and "
        "1; narrow it",
    ),
    "above the bounds": (
        {"family": "elasticity", "parameters": {"poisson_ratio": (0.1, 0.5)}},
        "the parameter 'poisson_ratio' of 'elasticity' ranges from 0.1 to 0.5, expected a range within 0 and 0.4999; "
        "narrow it",
    ),
    "size": (
        {**FD, "size": (40, 20)},
        "the size of 'anisotropic_diffusion_fd' ranges from 40 to 20, expected the smaller number first; exchange them",
    ),
    "small size": (
        {**FD, "size": (1, 20)},
        "the size of 'anisotropic_diffusion_fd' starts at 1, expected at least 3 grid points a side; raise it",
    ),
    "file": (
        {"family": "file:no/such.mtx"},
        "no/such.mtx is not there, expected a matrix file; check the path",
    ),
}


@pytest.mark.parametrize(("family", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_on_construction(family, sentence):
    with pytest.raises(InputError) as caught:
        ProblemDistribution(mix(FD, family), 0)
    assert str(caught.value) == sentence


def test_default_mix_makes_problems():
    distribution = ProblemDistribution(ProblemsConfig(), 0)
    families = {distribution.training(index).family for index in range(40)}
    assert families == {
        "graph_laplacian",
        "helmholtz_shifted",
        "anisotropic_diffusion_fd",
        "anisotropic_diffusion_fe",
        "jump_diffusion",
        "unstructured_diffusion",
    }


def test_importing_needs_none_of_the_heavy_libraries():
    code = (
        "import sys, rllib_psparsity.problems.distribution, rllib_psparsity.problems.curriculum; "
        "print([m for m in ('ray', 'torch', 'pyamg', 'skfem', 'pydantic', 'matplotlib', 'numba') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_a_sentence_lists_no_more_than_thirty_names() -> None:
    known = [f"case{k:02d}" for k in range(35)]
    assert nearest("zzz", known) == f"use one of {', '.join(known[:30])} and 5 more"
    assert nearest("zzz", known[:30]) == f"use one of {', '.join(known[:30])}"

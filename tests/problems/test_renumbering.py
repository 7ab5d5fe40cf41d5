from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.renumbering import renumbered
from rllib_psparsity.problems.validation import check_matrix


def mix(name: str, share: float) -> ProblemDistribution:
    return ProblemDistribution(ProblemsConfig(families=(FamilyConfig(family=name, size=(4, 7)),), renumbered=share), 3)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_it_is_the_permuted_matrix_in_the_form_of_a_problem(name: str) -> None:
    problem = mix(name, 0.0).training(0)
    size = problem.block_size
    order = np.random.default_rng(1).permutation(problem.num_unknowns // size)
    unknowns = (order[:, None] * size + np.arange(size)).ravel()
    other = renumbered(problem, order)
    np.testing.assert_array_equal(other.A.toarray(), problem.A.toarray()[np.ix_(unknowns, unknowns)])
    np.testing.assert_array_equal(other.B, problem.B[unknowns])
    assert type(other.A) is type(problem.A)
    assert other.A.has_sorted_indices
    assert other.A.indices.dtype == other.A.indptr.dtype == np.int32
    assert other.A.nnz == problem.A.nnz
    checked, _ = check_matrix(other.A, other.B)
    np.testing.assert_array_equal(checked.toarray(), other.A.toarray())


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 40)])
def test_a_distribution_renumbers_the_share_that_it_is_told_to(share: float, expected: int) -> None:
    assert _different("jump_diffusion", share) == expected


def test_half_of_them() -> None:
    assert 10 <= _different("jump_diffusion", 0.5) <= 30


def test_renumbered_problems_need_no_state_either() -> None:
    first, second = mix("elasticity", 1.0), mix("elasticity", 1.0)
    backward = [second.training(index).A.toarray() for index in reversed(range(4))]
    for index, A in enumerate(reversed(backward)):
        np.testing.assert_array_equal(first.training(index).A.toarray(), A)


def _different(name: str, share: float) -> int:
    plain, shuffled = mix(name, 0.0), mix(name, share)
    pairs = [(plain.training(index), shuffled.training(index)) for index in range(40)]
    for one, other in pairs:
        assert one.parameters == other.parameters
        assert one.name == other.name
        assert one.A.diagonal().sum() == pytest.approx(other.A.diagonal().sum(), rel=1e-12)
    return sum(not np.array_equal(one.A.toarray(), other.A.toarray()) for one, other in pairs)

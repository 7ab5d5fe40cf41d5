from __future__ import annotations

import numpy as np
import pytest
from pyamg.gallery import poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.amg.energy_by_rows import minimise_by_rows
from rllib_psparsity.amg.energy_minimisation import MANY_ROWS, minimise_energy
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.tentative import fit_smoothed_aggregation
from rllib_psparsity.evaluation.warm_up import kind_of, load_kernels_of_large_levels, warm_up_problem
from rllib_psparsity.graph import kernels
from rllib_psparsity.graph.features import large_level_graph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.problems.validation import check_matrix


@pytest.mark.parametrize(("block", "num_candidates"), [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 6), (3, 1)])
def test_every_kind_of_kernel_is_run(block, num_candidates):
    problem = warm_up_problem(block, num_candidates)
    assert kind_of(problem) == (block, num_candidates)
    A, B = check_matrix(problem.A, problem.B)
    assert np.linalg.matrix_rank(B) == num_candidates
    ml = learned_solver(A, B)
    assert len(ml.levels) >= 3  # a coarse level that is coarsened in its turn
    if block > 1:
        assert ml.levels[1].A.blocksize == (num_candidates, num_candidates)


def test_large_levels_run_no_other_kernels():
    A, B = check_matrix(poisson((370, 370), format="csr"))
    assert A.shape[0] > MANY_ROWS
    learned_solver(A[:900, :900])
    load_kernels_of_large_levels()
    names = ("edges", "own_feature", "edge_features", "features_of", "nearest_of", "nearness")
    asked = [minimise_by_rows, *(getattr(kernels, name) for name in names)]
    compiled = [list(kernel.signatures) for kernel in asked]
    learned_solver(A)
    aggregates, roots = aggregate(A)
    minimise_energy(A, fit_smoothed_aggregation(aggregates, len(roots), B[:, 0]), A, 1)
    for column in range(len(EDGE_FEATURES)):
        large_level_graph(A, B, 0).edge_feature(column)
    assert all(compiled) and [list(kernel.signatures) for kernel in asked] == compiled

from __future__ import annotations

import numpy as np
import pytest
from pyamg.gallery import poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.evaluation.warm_up import kind_of, load_large_graph_kernels, warm_up_problem
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


def test_large_graphs_run_no_other_kernels():
    A, B = check_matrix(poisson((130, 130), format="csr"))
    learned_solver(A[:900, :900])
    load_large_graph_kernels()
    names = ("edges", "own_feature", "edge_features", "features_of", "nearest_of", "nearness")
    asked = [getattr(kernels, name) for name in names]
    compiled = [list(kernel.signatures) for kernel in asked]
    learned_solver(A)
    for column in range(len(EDGE_FEATURES)):
        large_level_graph(A, B, 0).edge_feature(column)
    assert all(compiled) and [list(kernel.signatures) for kernel in asked] == compiled

import subprocess
import sys

import numpy as np
import pytest
import torch
from pyamg.gallery import linear_elasticity, poisson
from scipy.sparse import csr_array, diags_array

from rllib_psparsity import learned_solver, load_policy, strength_of_connection
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.deploy.artifact import LoadedPolicy, save_policy
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.validation import check_matrix


def _policy(**settings) -> LoadedPolicy:
    torch.manual_seed(0)
    network = SparsifierPolicy(PolicyConfig(**settings)).eval()
    return LoadedPolicy(inference_of(network), network.config, network.menu, Limits())


@pytest.fixture
def directory(tmp_path):
    torch.manual_seed(0)
    save_policy(SparsifierPolicy(PolicyConfig()), Limits(), tmp_path / "policy", "")
    return tmp_path / "policy"


def test_solver_from_a_directory_converges(directory):
    A = poisson((40, 40), format="csr")
    ml = learned_solver(A, policy=str(directory))
    assert len(ml.levels) > 1
    b = np.random.default_rng(0).standard_normal(1600)
    residuals = []
    x = ml.solve(b, tol=1e-8, accel="cg", residuals=residuals)
    assert np.linalg.norm(b - A @ x) < 1e-6 * np.linalg.norm(b) and len(residuals) < 30


def test_solver_of_a_block_matrix_never_takes_a_scalar_recipe():
    A, B = linear_elasticity((12, 12), format="bsr")
    policy = _policy(recipes=("classical/modified/classical", "sa/energy1/symmetric"))
    matrix, candidates = check_matrix(A, B)
    hierarchy = build_hierarchy(matrix, candidates, policy_decide(policy.inference), menu=policy.menu)
    assert not hierarchy.failed and len(hierarchy.levels) > 1
    assert {level.recipe.name for level in hierarchy.levels[:-1]} == {"sa/energy1/symmetric"}
    x = learned_solver(A, B, policy=policy).solve(np.ones(A.shape[0]), tol=1e-8, accel="cg")
    assert np.linalg.norm(1 - A @ x) < 1e-6 * np.sqrt(A.shape[0])


def test_top_k_policy_builds_a_solver():
    ml = learned_solver(poisson((20, 20), format="csr"), policy=_policy(action="top_k", k=2))
    assert ml.levels[1].A.shape[0] < 400


def test_strength_is_symmetric_with_unit_diagonal_and_the_finest_decision(directory):
    A = poisson((10, 10), format="csr")
    C = strength_of_connection(A, policy=load_policy(directory))
    assert isinstance(C, csr_array) and C.shape == (100, 100)
    assert (C != C.T).nnz == 0 and (C.diagonal() == 1).all() and set(C.data) == {1.0}
    assert C.dtype == np.float64  # as PyAMG has it
    assert (abs(C) > (abs(A) > 0)).nnz == 0 and C.nnz > 100


def test_scaling_the_matrix_changes_no_decision(directory):
    A = csr_array(poisson((15, 15), format="csr"))
    policy = load_policy(directory)
    assert (strength_of_connection(A, policy=policy) != strength_of_connection(1024.0 * A, policy=policy)).nnz == 0


@pytest.mark.parametrize("decades", [4, 10])
def test_strength_is_what_the_solver_takes_in_any_units(decades):
    E = diags_array(10.0 ** np.random.default_rng(0).uniform(-decades, decades, 900))
    A = csr_array(E @ poisson((30, 30), format="csr") @ E)
    share = (strength_of_connection(A).nnz - 900) / (A.nnz - 900)
    assert share == pytest.approx(learned_solver(A).setup_info.levels[0].strong_share)


def test_policy_and_guard_may_come_by_position():
    A = poisson((12, 12), format="csr")
    ml = learned_solver(A, None, "many_solves", False)
    assert not ml.setup_info.guarded and ml.setup_info.tries == 4
    assert (strength_of_connection(A, "many_solves") != strength_of_connection(A, policy="many_solves")).nnz == 0


def test_more_candidates_than_a_coarse_level_can_hold_are_refused():
    with pytest.raises(InputError, match="B of the matrix have 900 columns, expected at most 50; pass the few"):
        learned_solver(poisson((30, 30), format="csr"), np.eye(900))


def test_matrices_without_edges_work(directory):
    diagonal = diags_array(np.arange(1.0, 4.0), format="csr")
    assert strength_of_connection(diagonal, policy=directory).nnz == 3
    x = learned_solver(diagonal, policy=directory).solve(np.ones(3), tol=1e-10)
    np.testing.assert_allclose(x, 1 / np.arange(1.0, 4.0))


def test_bad_input_is_refused(directory):
    A = poisson((4, 4), format="csr")
    with pytest.raises(InputError, match=r"policy 'nowhere' is neither a shipped policy \(default, many_solves\) nor"):
        learned_solver(A, policy="nowhere")
    with pytest.raises(InputError, match="expected a square"):
        learned_solver(A[:3], policy=directory)
    with pytest.raises(InputError, match="near-nullspace candidates"):
        strength_of_connection(A, directory, np.ones(3))
    with pytest.raises(InputError, match="guard is 'no', expected True or False"):
        learned_solver(A, policy=directory, guard="no")


def test_neither_torch_nor_ray_is_needed(directory):
    """Where both cannot be imported, a policy loads, and sets up the same solver."""
    A = poisson((20, 20), format="csr")
    code = f"""
import sys
for name in ("torch", "ray", "gymnasium", "torch_geometric"):
    sys.modules[name] = None
from pyamg.gallery import poisson
from rllib_psparsity import learned_solver
print([(level.A.shape[0], level.A.nnz) for level in learned_solver(poisson((20, 20), format="csr"),
       policy={str(directory)!r}).levels])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    levels = learned_solver(A, policy=directory).levels
    assert len(levels) > 1
    assert done.stdout.strip() == str([(level.A.shape[0], level.A.nnz) for level in levels])


def test_other_backbones_ask_for_torch_in_one_sentence(tmp_path):
    save_policy(SparsifierPolicy(PolicyConfig(backbone="gin", width=8, layers=1)), Limits(), tmp_path / "gin", "")
    code = f"""
import sys
for name in ("torch", "torch_geometric"):
    sys.modules[name] = None
from rllib_psparsity import load_policy
from rllib_psparsity.errors import InputError
try:
    load_policy({str(tmp_path / "gin")!r})
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "a policy with the backbone gin needs torch, which is not installed; run "
        "pip install 'rllib_psparsity[train]', or train with the backbone sparse"
    )


def test_displacements_without_blocks_are_solved_as_blocks():
    """Found out where neither blocks nor candidates are given; an update keeps to what the set-up found."""
    problem = FAMILIES["elasticity"].make(np.random.default_rng(0), 20, youngs_modulus=1.0, poisson_ratio=0.3)
    plain = csr_array(problem.A)
    b = np.random.default_rng(1).standard_normal(plain.shape[0])
    found, given = learned_solver(plain), learned_solver(problem.A)
    assert found.setup_info.block_size == given.setup_info.block_size == 2
    assert "2 unknowns a node" in str(found.setup_info)
    np.testing.assert_array_equal(found.solve(b, accel="cg"), given.solve(b, accel="cg"))
    as_scalars = learned_solver(plain, np.ones(plain.shape[0]))
    assert as_scalars.setup_info.block_size == 1 and "a node" not in str(as_scalars.setup_info)
    shifted = csr_array(plain + diags_array(plain.diagonal()))  # translations cost as much as anything else now
    assert learned_solver(shifted).setup_info.block_size == 1
    info = found.update(shifted)
    assert info.block_size == 2
    x = found.solve(b, accel="cg", tol=1e-10)
    assert np.linalg.norm(b - shifted @ x) < 1e-9 * np.linalg.norm(b)
    assert found.update(plain, problem.B[:, :2]).block_size == 2
    assert as_scalars.update(shifted).block_size == 1
    assert strength_of_connection(plain).shape == plain.shape

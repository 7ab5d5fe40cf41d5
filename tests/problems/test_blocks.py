"""Displacements that come node by node are found, and nothing else is taken for them."""

from __future__ import annotations

import numpy as np
import pytest
import skfem
from pyamg.gallery import poisson
from scipy.sparse import bsr_array, csr_array, kron
from skfem.models.elasticity import lame_parameters, linear_elasticity

from rllib_psparsity.problems.blocks import LEAST_NODES, unknowns_a_node
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.validation import check_matrix
from tests.goldens.problems import IN_SPACE


def drawn(name: str, seed: int):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(8, 13) if name in IN_SPACE else rng.integers(16, 40))
    parameters = {
        key: np.exp(rng.uniform(np.log(p.low), np.log(p.high))) if p.log else rng.uniform(p.low, p.high)
        for key, p in FAMILIES[name].parameters.items()
    }
    return FAMILIES[name].make(rng, size, **parameters)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("seed", range(5))
def test_families(name, seed):
    """Those of elasticity as their blocks are, all others as scalar ones."""
    problem = drawn(name, seed)
    assert unknowns_a_node(csr_array(problem.A)) == problem.block_size
    assert (problem.block_size > 1) == ("elasticity" in name)


def elastic(mesh, element, fixed) -> csr_array:
    basis = skfem.Basis(mesh, skfem.ElementVector(element))
    whole = linear_elasticity(*lame_parameters(1.0, 0.3)).assemble(basis)
    free = basis.complement_dofs(basis.get_dofs(fixed))
    matrix = csr_array(whole[free][:, free])
    matrix.data[np.abs(matrix.data) < 1e-14] = 0  # equal cells have couplings that are zero but for rounding
    matrix.eliminate_zeros()
    return matrix


@pytest.mark.parametrize(
    ("mesh", "element", "size"),
    [
        (skfem.MeshTri.init_lshaped().refined(3), skfem.ElementTriP1(), 2),
        (skfem.MeshTri.init_symmetric().refined(4), skfem.ElementTriP1(), 2),
        (skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, 17)] * 2), skfem.ElementQuad1(), 2),
        (skfem.MeshTet.init_ball(3), skfem.ElementTetP1(), 3),
        (skfem.MeshHex.init_tensor(*[np.linspace(0, 1, 9)] * 3), skfem.ElementHex1(), 3),
    ],
)
def test_elements_of_others(mesh, element, size):
    assert unknowns_a_node(elastic(mesh, element, lambda x: x[0] <= x[0].min() + 1e-9)) == size
    assert unknowns_a_node(elastic(mesh, element, lambda x: np.zeros(x.shape[1], bool))) == size  # that nothing holds


@pytest.mark.parametrize("name", ["elasticity", "tetrahedral_elasticity"])
def test_the_order_of_nodes_is_free_and_that_of_unknowns_is_not(name):
    problem = drawn(name, 0)
    size, A = problem.block_size, csr_array(problem.A)
    rng = np.random.default_rng(1)
    nodes = rng.permutation(A.shape[0] // size)
    by_nodes = (size * nodes[:, None] + np.arange(size)).ravel()
    assert unknowns_a_node(csr_array(A[by_nodes][:, by_nodes])) == size
    by_components = by_nodes.reshape(-1, size).T.ravel()
    for other in (by_components, rng.permutation(len(by_nodes))):
        assert unknowns_a_node(csr_array(A[other][:, other])) == 1


def coupled(scalar, coupling) -> csr_array:
    """The Kronecker product: fields at each point of the scalar problem."""
    matrix = csr_array(kron(scalar, coupling, format="csr"))
    matrix.eliminate_zeros()
    return matrix


COUPLING = np.array([[2.0, 1.0], [1.0, 2.0]])


def test_systems_that_are_no_elasticity():
    laplacian = csr_array(poisson((20, 20), format="csr"))
    two_fields = coupled(laplacian, np.eye(2))
    assert unknowns_a_node(two_fields) == 1  # blocks are half empty
    assert unknowns_a_node(coupled(laplacian, COUPLING)) == 2  # coupled everywhere
    assert unknowns_a_node(csr_array(two_fields + 5.0 * coupled(np.eye(400), COUPLING))) == 1
    assert unknowns_a_node(coupled(np.eye(400), COUPLING)) == 1  # full, but translations cost as much as anything else
    row_sums = csr_array(np.diag(laplacian.sum(axis=1)))
    assert unknowns_a_node(coupled(laplacian - row_sums, COUPLING)) == 2  # nothing at all


def test_small_ones_are_left_alone():
    assert unknowns_a_node(coupled(poisson((LEAST_NODES - 1,), format="csr"), COUPLING)) == 1
    assert unknowns_a_node(coupled(poisson((LEAST_NODES,), format="csr"), COUPLING)) == 2


def test_check_matrix_takes_them_as_blocks_unless_it_is_told():
    problem = drawn("elasticity", 3)
    plain = csr_array(problem.A)
    A, B = check_matrix(plain)
    expected, translations = check_matrix(problem.A)
    assert A.format == "bsr" and A.blocksize == (2, 2)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(A, part), getattr(expected, part))
    np.testing.assert_array_equal(B, translations)
    assert check_matrix(plain, np.ones(plain.shape[0]))[0].format == "csr"
    assert check_matrix(plain, block_size=1)[0].format == "csr"
    assert check_matrix(plain, problem.B, block_size=2)[0].format == "bsr"
    assert check_matrix(csr_array(poisson((15, 15), format="csr")), block_size=2)[0].format == "csr"  # 225 is odd
    in_sixes = bsr_array(plain[: 6 * (plain.shape[0] // 6)][:, : 6 * (plain.shape[0] // 6)].tobsr((6, 6)))
    assert check_matrix(in_sixes)[0].blocksize == (6, 6)

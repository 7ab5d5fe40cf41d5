"""The example of docs/extending.md: each part by itself, and all of them in a training that Ray's workers run."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pyamg
import pytest
import torch

import rllib_psparsity
from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import DEFAULT_MENU, parse_menu
from rllib_psparsity.deploy import learned_solver, load_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.problems.validation import check_matrix
from tests.extensions.conftest import EXAMPLE, PACKAGE
from tests.policy.random_graphs import random_graph, renumbered


def test_examples_are_short():
    for path in (EXAMPLE / PACKAGE).glob("*.py"):
        assert len(path.read_text().splitlines()) <= 45


def test_family_is_diffusion_on_a_checkerboard(installed):
    family = import_module(f"{PACKAGE}.family").FAMILY
    rng = np.random.default_rng(0)
    uniform = family.make(rng, 7, squares=3.0, contrast=1.0)
    np.testing.assert_allclose(uniform.A.toarray(), pyamg.gallery.poisson((7, 7)).toarray())

    problem = family.make(rng, 8, squares=2.0, contrast=100.0)
    matrix, _ = check_matrix(problem.A, problem.B)
    dense = matrix.toarray()
    assert np.linalg.eigvalsh(dense)[0] > 0
    # 4 x 4 points a square, the first of them poor: inside it, inside the next one, and across their side.
    assert dense[0, 1] == -1 and dense[4, 5] == -100
    np.testing.assert_allclose(dense[3, 4], -2 / (1 + 1 / 100))
    assert dense[7, 8] == 0  # the end of a row of points and the beginning of the next


def test_reward_is_the_rate_of_the_cycle(installed):
    reward = import_module(f"{PACKAGE}.reward").ConvergenceRate(4)
    A, B = check_matrix(pyamg.gallery.poisson((10, 10), format="csr"), None)
    menu = parse_menu(DEFAULT_MENU)

    def quality(strong: bool):
        def decide(graph):
            return Decision(np.full(graph.num_edges, strong), 0)

        hierarchy = build_hierarchy(A, B, decide, menu=menu, limits=Limits(max_coarse=10))
        cycle = BlockVCycle(hierarchy.levels)
        rng = np.random.default_rng(0)
        return hierarchy, cycle, reward.quality(hierarchy, cycle, reward.test_vectors(A, rng))

    hierarchy, cycle, measured = quality(strong=True)
    # The reference applies the error propagator I - M A as a dense matrix.
    dense = A.toarray()
    propagator = np.eye(100) - np.column_stack(
        [cycle(np.repeat(column[:, None], 4, axis=1))[:, 0] for column in dense.T]
    )
    errors = reward.test_vectors(A, np.random.default_rng(0))
    final = np.linalg.matrix_power(propagator, 5) @ errors
    ratio = np.einsum("ik,ij,jk->k", final, dense, final) / np.einsum("ik,ij,jk->k", errors, dense, errors)
    digits = -np.mean(np.log10(ratio)) / 10
    np.testing.assert_allclose(measured.value, np.log(digits / hierarchy.cycle_complexity), rtol=1e-6)
    assert measured.value > reward.floor
    assert measured.before.shape == measured.after.shape == (100,)


def test_backbone_follows_its_graph_and_no_other(installed):
    torch.manual_seed(0)
    encoder = import_module(f"{PACKAGE}.backbone").GatedEncoder(len(NODE_FEATURES), len(EDGE_FEATURES), 8, 2)
    graphs = [random_graph(0, nodes=12), random_graph(1, nodes=7)]

    def embedding(*members):
        return encoder(encoder.prepare(GraphBatch.from_graphs(members)))

    together = embedding(*graphs)
    torch.testing.assert_close(together, torch.cat([embedding(graph) for graph in graphs]))
    order = np.random.default_rng(0).permutation(12)
    other, _ = renumbered(graphs[0], order)
    torch.testing.assert_close(embedding(other)[order], together[:12], atol=1e-5, rtol=1e-5)
    together.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_extensions_train_in_rays_workers_and_are_deployed(installed: Path, tmp_path: Path, monkeypatch):
    run_dir = tmp_path / "run"
    root = Path(rllib_psparsity.__file__).parents[1]
    settings = (
        "training.iterations=1",
        "training.episodes_per_iteration=4",
        "training.minibatch_graphs=8",
        "env_runners.count=1",
        "env_runners.episodes_per_chunk=2",
        "problems.heldout_problems=2",
    )
    command = [sys.executable, "-m", "rllib_psparsity", "train", "--config", str(EXAMPLE / "study.yaml")]
    trained = subprocess.run(
        [*command, "--run-dir", str(run_dir), *(word for setting in settings for word in ("--set", setting))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(installed), str(root)))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert trained.returncode == 0, trained.stdout[-2000:] + trained.stderr[-2000:]

    policy = load_policy(run_dir / "policy")
    assert policy.config.backbone == "gated"
    A = import_module(f"{PACKAGE}.family").FAMILY.make(np.random.default_rng(0), 16, squares=4.0, contrast=100.0).A
    b = np.ones(A.shape[0])
    x = learned_solver(A, policy=policy).solve(b, tol=1e-8, accel="cg")
    assert np.linalg.norm(b - A @ x) < 1e-6 * np.linalg.norm(b)

    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(installed)])
    with pytest.raises(InputError, match="there is no backbone 'gated'"):
        load_policy(run_dir / "policy")

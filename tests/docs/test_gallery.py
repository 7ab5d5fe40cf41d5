"""docs/gallery.md: what its captions say of strong edges and iterations is what the shipped policy does today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import load_npz

from rllib_psparsity import learned_solver
from rllib_psparsity.amg.measurement import measure_solve, random_right_hand_side
from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = " ".join((DOCS / "gallery.md").read_text().split())
DRAW_AGAIN = "another policy ships: draw the pictures again, and mend their captions"


def test_strong_edges():
    script = runpy.run_path(str(DOCS / "draw_strong_edges.py"))
    fe_prior, fe, fd_prior, fd = script["panels"]()
    assert np.array_equal(fe.strong, fe_prior.strong) and fe.recipe != fe_prior.recipe, DRAW_AGAIN
    problem = script["FAMILIES"]["anisotropic_diffusion_fd"].make(
        np.random.default_rng(0), script["SIDE"], epsilon=1 / script["ANISOTROPY"], theta=np.radians(script["DEGREES"])
    )
    positive = problem.A.toarray()[tuple(fd.edge_index)] > 0
    assert np.array_equal(fd.strong, ~positive) and fd.recipe.startswith("sa/energy"), DRAW_AGAIN
    for text in (
        f"same {fe.strong.sum():,} of {len(fe.strong):,} edges by another recipe",
        f"({fe.work_per_digit:.2f} products a digit instead of {fe_prior.work_per_digit:.2f})",
        f"({fd_prior.strong.sum():,}, {fd_prior.work_per_digit:.2f})",
        f"({fd.strong.sum():,} edges, {fd.work_per_digit:.2f})",
    ):
        assert text in PAGE, f"{text}: {DRAW_AGAIN}"


def test_convergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code = (DOCS / "gallery.md").read_text().split("convergence.png)\n\n")[1].split("\n\nand then")[0]
    exec(re.sub(r"^    ", "", code, flags=re.MULTILINE), {})
    A = load_npz("anisotropic.npz")
    b = random_right_hand_side(A.shape[0])
    learned, default = (
        measure_solve(ml, b=b) for ml in (learned_solver(A), PYAMG_DEFAULT.build(A, np.ones((A.shape[0], 1))))
    )
    for text in (
        f"takes {learned.iterations} iterations where PyAMG's default takes {default.iterations}",
        f"({learned.work_per_digit:.2f}; {default.work_per_digit:.2f}",
    ):
        assert text in PAGE, f"{text}: {DRAW_AGAIN}"


@pytest.mark.parametrize("picture", sorted(DOCS.glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_small(picture: Path):
    assert picture.stat().st_size < 150_000

"""The model card says what the files of a run say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from rllib_psparsity.config.load import from_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.deploy.artifact import CARD, SHIPPED, shipped_policies
from rllib_psparsity.evaluation.comparison import COLUMNS, geometric_mean
from rllib_psparsity.training.model_card import model_card

RUN = Path(__file__).parents[2] / "studies" / "results" / "default" / "seed-0"


def _row(problem: str, method: str, work: float, converged: bool = True) -> dict:
    row = dict.fromkeys(COLUMNS, 0) | {"problem": problem, "family": problem[0], "method": method}
    return row | {"work_per_digit": work, "converged": converged}


def test_the_card_has_the_figures_of_the_run() -> None:
    metrics, heldout = (pq.read_table(RUN / name).to_pylist() for name in ("metrics.parquet", "heldout.parquet"))
    card = model_card(from_json(RUN / "config.json"), 45, metrics, heldout)
    works = {(row["problem"], row["method"]): row["work_per_digit"] for row in heldout}
    ratios = [works[p, m] / works[p, "PyAMG default"] for p, m in works if m == "trained policy"]
    assert f"| all | {geometric_mean(ratios):.2f} | " in card
    assert f"5760 hierarchies in {metrics[-1]['seconds']:.0f} seconds" in card


def test_the_card_has_the_problems_of_the_training() -> None:
    families = [
        {"family": "elasticity", "weight": 1.5, "size": [8, 12]},
        {"family": "anisotropic_diffusion_fd", "size": [20, 64], "parameters": {"epsilon": [0.001, 1.0]}},
    ]
    config = Config.model_validate({"problems": {"families": families, "renumbered": 0.25}})
    lines = model_card(config, 1).splitlines()
    assert "- elasticity: weight 1.5, size 8 to 12" in lines
    assert "- anisotropic_diffusion_fd: weight 1, size 20 to 64, epsilon 0.001 to 1" in lines
    assert "The nodes of 25% of the problems were in random order." in lines
    plain = model_card(Config(), 1)
    assert "random order" not in plain and "went on" not in plain


def test_the_card_says_what_the_training_went_on_from() -> None:
    config = Config.model_validate({"training": {"start_from": "runs/clone"}})
    assert "It went on from the policy `runs/clone`." in model_card(config, 1)
    config = Config.model_validate({"training": {"start_from": "runs/clone", "kickstart_coefficient": 0.05}})
    assert "`runs/clone`, held to its recipes on the finest level by a weight of 0.05 (kick" in model_card(config, 1)


def test_shipped_policies_say_what_they_reach_and_where_they_fail() -> None:
    for name in shipped_policies():
        card = (SHIPPED / name / CARD).read_text()
        assert all(f"## {part}\n" in card for part in ("Training", "Results", "Where it fails"))


def test_failures_and_losses_are_named() -> None:
    works = {"trained policy": 3.0, "PyAMG default": 2.0, "prior alone": 3.0, "sa symmetric 0 jacobi": 1.5}
    rows = [_row("a1", method, work) for method, work in works.items()]
    rows += [_row("b1", "trained policy", 9.0, converged=False), _row("b1", "PyAMG default", 4.0)]
    card = model_card(Config(), 3, (), rows)
    assert "| a | 1.50 | 1.00 | 2.00 | 1 |" in card and "did not solve: b1." in card
    assert "more work than PyAMG's default on 1 held-out problem: a1 (1.50)" in card
    assert "Farthest from the best of the portfolio: a1 (2.00)." in card


def test_without_results_or_metrics_nothing_is_claimed() -> None:
    card = model_card(Config(), 3)
    assert "Results" not in card and "seconds" not in card and "Where it fails" in card and "3 iterations of" in card

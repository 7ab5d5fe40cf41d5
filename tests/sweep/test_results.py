"""Ranking over seeds, and the rows of trials."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from rllib_psparsity.reporting.metrics import METRICS, MetricsFile
from rllib_psparsity.sweep.figures import FIGURES, heldout_figures
from rllib_psparsity.sweep.live import RUNNING, SweepTable, ranking_table
from rllib_psparsity.sweep.plan import TrialPlan
from rllib_psparsity.sweep.results import FAILED, FINISHED, STOPPED, rank, trial_row, write_results


def row(setting: str, seed: int, figure: float, status: str = FINISHED) -> dict:
    return {"setting": setting, "seed": seed, "figure": figure, "status": status}


ROWS = [
    row("lucky", 0, 9.0),
    row("lucky", 1, 1.0),
    row("lucky", 2, 2.0),
    row("steady", 0, 5.0),
    row("steady", 1, 5.5),
    row("steady", 2, 4.5),
    row("broken", 0, 20.0),
    row("broken", 1, 22.0),
    row("broken", 2, math.nan, FAILED),
    row("stopped", 0, 8.0, STOPPED),
    row("stopped", 1, 6.0, STOPPED),
    row("stopped", 2, math.nan, STOPPED),
]


def test_settings_are_ranked_by_the_mean_over_seeds_and_not_by_the_best() -> None:
    ranked = rank(ROWS, "reward_mean")
    assert [one.setting for one in ranked] == ["steady", "lucky", "broken", "stopped"]
    steady, lucky, broken, stopped = ranked
    assert (steady.mean, steady.spread, steady.figures, steady.finished) == (5.0, 0.5, (5.0, 5.5, 4.5), 3)
    assert lucky.mean == 4.0 and lucky.spread == pytest.approx(math.sqrt(19.0))  # (25 + 9 + 4) / 2
    assert (broken.mean, broken.finished, broken.seeds) == (21.0, 2, 3)
    assert (stopped.mean, stopped.figures, stopped.finished) == (7.0, (8.0, 6.0), 0)


def test_less_is_better_where_it_is() -> None:
    assert FIGURES["work_per_digit_mean"] == "lower"
    assert [one.setting for one in rank(ROWS[:6], "work_per_digit_mean")] == ["lucky", "steady"]


def test_one_seed_has_no_spread() -> None:
    (one,) = rank(ROWS[:1], "reward_mean")
    assert one.mean == 9.0 and math.isnan(one.spread)
    text = io.StringIO()
    Console(file=text, width=100).print(ranking_table([one], "reward_mean"))
    assert "lucky" in text.getvalue() and "1/1" in text.getvalue()


def metrics(run_dir: Path, rewards: list[float]) -> None:
    file = MetricsFile(run_dir / "metrics.parquet")
    for number, reward in enumerate(rewards, start=1):
        values = {metric.name: 0 if metric.is_integer else 0.5 for metric in METRICS}
        file.append({**values, "iteration": number, "seconds": 2.0 * number, "reward_mean": reward})


def test_a_row_is_what_the_directory_says(tmp_path: Path) -> None:
    plan = TrialPlan("one", 3, {"training.lr": 1e-3})
    run_dir = plan.directory(tmp_path)
    empty = trial_row(plan, run_dir, "reward_mean")
    assert (empty["status"], empty["iterations"]) == ("unfinished", 0) and math.isnan(empty["figure"])
    metrics(run_dir, [0.0] * 18 + [1.0, 3.0])
    running = trial_row(plan, run_dir, "reward_mean")
    assert (running["status"], running["figure"], running["iterations"], running["seconds"]) == (
        "unfinished", 2.0, 20, 40.0,
    )  # fmt: skip
    assert trial_row(plan, run_dir, "reward_mean", "RuntimeError: no")["status"] == FAILED
    (run_dir / "stopped.json").write_text("{}")
    assert trial_row(plan, run_dir, "reward_mean")["status"] == STOPPED
    write_results(tmp_path / "results.parquet", [empty, running], {"sweep": {"seeds": [3]}})
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.num_rows == 2 and table.column("setting").to_pylist() == ["one", "one"]
    assert b"seeds" in table.schema.metadata[b"sweep"]


def test_heldout_figures_are_over_the_problems_that_both_solved(tmp_path: Path) -> None:
    from rllib_psparsity.evaluation.comparison import COLUMNS, PORTFOLIO_NAMES, write_rows

    def solve(problem: str, method: str, work: float) -> dict:
        text = {"problem": problem, "family": "f", "method": method, "failure": ""}
        rest = {name: 1 for name in COLUMNS if name not in text}
        return {**rest, **text, "work_per_digit": work, "converged": math.isfinite(work)}

    rows = [
        *(solve("a", method, work) for method, work in (("trained policy", 4.0), ("prior alone", 8.0))),
        *(solve("b", method, work) for method, work in (("trained policy", 9.0), ("prior alone", math.inf))),
        *(solve("c", method, work) for method, work in (("trained policy", math.inf), ("prior alone", 1.0))),
        *(solve(problem, "PyAMG default", 12.0) for problem in "abc"),
        *(solve(problem, PORTFOLIO_NAMES[0], 6.0) for problem in "abc"),
        *(solve(problem, PORTFOLIO_NAMES[1], 3.0) for problem in "a"),
    ]
    write_rows(tmp_path / "heldout.parquet", rows, {})
    assert heldout_figures(tmp_path / "heldout.parquet") == pytest.approx(
        {
            "heldout_work_per_digit": 6.0,
            "heldout_ratio_to_prior": 0.5,
            "heldout_ratio_to_default": 0.5,
            "heldout_ratio_to_best": math.sqrt(4 / 3 * 9 / 6),
            "heldout_solved": 2 / 3,
        }
    )
    assert all(math.isnan(figure) for figure in heldout_figures(tmp_path / "none").values())


@pytest.mark.parametrize("terminal", [False, True])
def test_the_table_shows_trials_and_never_fails(terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, height=40)
    with SweepTable("reward_mean", 2, {"one/seed-0": 20, "one/seed-1": 20}, console) as table:
        table.update("one/seed-0", RUNNING, 20)
        for iteration in range(1, 21):
            table.update(
                "one/seed-0", RUNNING, 20, {"iteration": iteration, "seconds": 1.0, "reward_mean": iteration / 7}
            )
        table.update("one/seed-0", FINISHED, 20)
        table.update("two/seed-0", RUNNING, 5, {"nothing": "known"})
    assert "one/seed-0" in text.getvalue() and "2.857" in text.getvalue()
    if not terminal:
        lines = text.getvalue().splitlines()
        assert len(lines) == 12 and lines[-1] == "one/seed-0 | finished | iteration 20/20 | reward_mean 2.857"

"""The profile of an iteration: every phase is found, and together they are the whole iteration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import profile


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict:
    out: Path = tmp_path_factory.mktemp("profile")
    settings = ["--set", "problems.heldout_problems=1", "--set", "training.epochs=1"]
    profile.main(["--quick", "--torch", "--variation", "B", "--top", "7", *settings, "--out", str(out)])
    return json.loads((out / "profile.json").read_text())


def test_no_phase_is_empty(result: dict) -> None:
    for group in profile.GROUPS:
        empty = [phase for phase, milliseconds in result["figures"][group].items() if milliseconds <= 0]
        assert not empty
    assert result["figures"]["levels_an_episode"] >= 1


def test_the_phases_add_up_to_the_iteration(result: dict) -> None:
    (row,) = result["repeats"]
    assert row["episodes"] == 8
    assert row["calls"]["coarsening and prolongator"] == row["levels"]
    total = sum(sum(row[group].values()) for group in profile.GROUPS)
    assert result["figures"]["total"]["median"] == pytest.approx(total)
    # CPU time of one thread: never more than the wall time, but for the clocks' grain.
    assert total <= 1.02 * row["wall_milliseconds"]


def test_the_dearest_functions_and_operators_come_first(result: dict) -> None:
    for key in ("functions", "operators"):
        own = [row["milliseconds_an_episode"] for row in result["figures"][key]]
        assert len(own) == 7 and own == sorted(own, reverse=True) and own[-1] > 0
    assert not any(row["function"].startswith("/") for row in result["figures"]["functions"])

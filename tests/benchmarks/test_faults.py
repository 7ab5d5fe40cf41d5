"""The soak test in short, and the ledger of episodes."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks.faults.ledger import Ledger
from benchmarks.faults.soak import faults, soak, summarise
from benchmarks.record import ROOT


def test_a_short_soak_leaves_nothing_behind():
    figures, looks = soak(iterations=30, every=0.2, patience=600.0)
    assert figures["iterations"] == 30 and len(looks) >= 2
    left = [wrong for wrong in faults(figures) if not wrong.startswith(("driver_mb", "runner_mb"))]  # too short for it
    assert left == []
    assert figures["checkpoints"] == 3 and figures["event_files"] == 1
    assert figures["runners"] == {"min": 2, "max": 2}
    assert figures["driver_mb"]["last"] - figures["driver_mb"]["first"] < 60.0


def test_growth_is_that_of_the_second_half():
    looks = [
        {
            "iteration": k,
            "driver_mb": 100.0 + (k if k < 50 else 50 + 0.5 * (k - 50)),
            "runner_mb": 7.0,
            "driver_files": 3 + k % 2,
            **dict.fromkeys(("driver_threads", "runner_files", "runners", "processes"), 2),
        }
        for k in range(1, 100)
    ]
    figures = summarise(looks)
    assert figures["driver_mb"]["growth_in_1000_iterations"] == pytest.approx(500.0)
    assert figures["runner_mb"]["growth_in_1000_iterations"] == pytest.approx(0.0, abs=1e-9)
    assert figures["driver_files"] == {"min": 3, "max": 4}
    assert [text.split(":")[0] for text in faults(figures | {"processes_left": 0})] == ["driver_mb"]
    assert faults(figures | {"driver_mb": figures["runner_mb"], "temporary_files_left": ["a"]}) == [
        "temporary_files_left: ['a']"
    ]


@pytest.mark.parametrize("name", ["load", "nodes"])
def test_runners_are_killed_and_a_node_leaves_and_no_episode_is_lost(name):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.faults.{name}", "--quick"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{what}: 0" in done.stdout for what in ("dropped", "missing", "double"))


def test_the_ledger_finds_what_is_missing_and_what_is_double():
    algorithm = SimpleNamespace(episodes_started=6, dropped=["one"], _learn=len)
    ledger = Ledger(algorithm)
    assert algorithm._learn([SimpleNamespace(id_=str(k)) for k in (0, 1, 1, 3)]) == 4
    assert ledger.figures() == {"episodes": 4, "dropped": 1, "missing": 2, "double": 1}

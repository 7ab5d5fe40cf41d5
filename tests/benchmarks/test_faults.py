"""The soak test in short, and the ledger of episodes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.faults.ledger import Ledger
from benchmarks.faults.soak import soak, summarise


def test_a_short_soak_leaves_nothing_behind():
    figures, looks = soak(iterations=30, every=0.2, patience=600.0)
    assert figures["iterations"] == 30 and len(looks) >= 2
    assert figures["processes_left"] == 0 and figures["unfinished_files_left"] == []
    assert all(name.startswith("torchinductor") for name in figures["temporary_files_left"]), (
        "PyTorch has a cache there"
    )
    assert figures["checkpoints"] == 3 and figures["event_files"] == 1
    assert figures["runners"] == {"min": 2, "max": 2}
    assert figures["processes"]["max"] - figures["processes"]["min"] <= 1
    assert figures["driver_files"]["max"] - figures["driver_files"]["min"] < 20
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


def test_the_ledger_finds_what_is_missing_and_what_is_double():
    algorithm = SimpleNamespace(episodes_started=6, dropped=["one"], _learn=len)
    ledger = Ledger(algorithm)
    assert algorithm._learn([SimpleNamespace(id_=str(k)) for k in (0, 1, 1, 3)]) == 4
    assert ledger.figures() == {"episodes": 4, "dropped": 1, "missing": 2, "double": 1}

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from rllib_psparsity.reporting.live import LiveTable

REFERENCE = {"PyAMG default": 9.25, "prior alone": 8.0}


def shown(rows, *, terminal: bool, total: int = 60) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=90, color_system=None, legacy_windows=False)
    with LiveTable(total, REFERENCE, console) as live:
        for row in rows:
            live.update(row)
    return stream.getvalue()


def test_one_plain_line_an_iteration(run_row):
    lines = shown([run_row(12)], terminal=False).splitlines()
    assert lines == [
        "iteration 12/60 | 768 episodes | 41.2 episodes/s | reward -2.000 | work per digit 7.40"
        " | 0.80 x PyAMG default (9.25) | 0.93 x prior alone (8.00) | operator complexity 1.50 | edge entropy 0.500"
        " | softmax entropy 6.00 | explained variance 0.50 | failed set-ups 1 | ETA 2 min 24 s"
    ]


def test_diagnostics_every_ten_iterations_in_both_modes(run_row):
    rows = [run_row(k) for k in range(1, 21)]
    plain = shown(rows, terminal=False).splitlines()
    assert len(plain) == 22
    assert [line.split(" | ")[0] for line in plain if line.startswith("diagnostics")] == [
        "diagnostics 10",
        "diagnostics 20",
    ]
    assert plain[10].startswith(
        "diagnostics 10 | gradient norm 3 (encoder 2, edge head 0.5, value head 1) | clipped 25% | "
    )
    for part in (
        "entropy edge 0.5000, recipe 1.2500, softmax over edges 6.000",
        "learning rate 0.003",
        "temperature 0.9",
    ):
        assert part in plain[10]
    drawn = shown(rows, terminal=True)
    assert len(re.findall(r"diagnostics \d+ \|", drawn)) == 2


def test_terminal_redraws_a_table(run_row):
    drawn = shown([run_row(1), run_row(2, reward_mean=-1.5)], terminal=True)
    assert "iteration 2 of 60" in drawn
    last = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).splitlines()]
    assert any(re.match(r"reward +-2.000 +-1.500 +\+- 0.250 between episodes$", line) for line in last)
    assert any(re.match(r"work per digit +7.40 +7.40 +0.80 x PyAMG default \(9.25\)$", line) for line in last)
    assert any(re.search(r"0.93 x prior alone \(8.00\)$", line) for line in last)
    assert "\x1b[" in drawn  # the cursor goes back: one table, not two


@pytest.mark.parametrize("terminal", [False, True])
def test_losses_are_shown_once_there_are_any(run_row, terminal):
    older = {"dropped_episodes": float("nan"), "skipped_updates": float("nan")}
    quiet = shown([run_row(1, **older), run_row(2)], terminal=terminal)
    assert "dropped" not in quiet and "skipped" not in quiet
    rows = [run_row(1), run_row(2, dropped_episodes=3.0), run_row(3, dropped_episodes=1.0)]
    lost = shown(rows, terminal=terminal)
    assert "skipped" not in lost
    last = [line for line in lost.splitlines() if "dropped episodes" in line][-1]
    assert re.search(r"dropped episodes +4", last)


def test_time_left_is_that_of_this_process(run_row):
    # Resumed at 11 after a slow start of 100 s an iteration; now 2 s each, 48 iterations left.
    lines = shown([run_row(11, seconds=1000.0), run_row(12, seconds=1002.0)], terminal=False).splitlines()
    assert lines[-1].endswith("ETA 1 min 36 s")
    assert shown([run_row(1, seconds=120.0)], terminal=False, total=61).strip().endswith("ETA 2 h 00 min")
    assert shown([run_row(60)], terminal=False).splitlines()[0].endswith("ETA 0 min 00 s")


@pytest.mark.parametrize("terminal", [False, True])
def test_figures_that_do_not_exist(run_row, terminal):
    row = run_row(10, **{name: float("nan") for name in run_row(10) if isinstance(run_row(10)[name], float)})
    assert "nan" in shown([row], terminal=terminal)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_failure_to_draw_is_logged_once_and_swallowed(run_row, terminal, caplog):
    shown([{"iteration": 1}, {"iteration": 2}], terminal=terminal)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the live table has stopped, the training goes on: KeyError" in caplog.text


def test_closed_output_and_foreign_exceptions(run_row, caplog):
    stream = io.StringIO()
    live = LiveTable(60, REFERENCE, Console(file=stream))
    with pytest.raises(KeyboardInterrupt), live:
        stream.close()
        live.update(run_row(1))
        raise KeyboardInterrupt
    assert len(caplog.records) == 1

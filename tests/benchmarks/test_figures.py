"""From raw measurements to figures: throughput, shares, runners, overhead, memory, saturation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import learner_share, memory, overhead, runners, throughput
from benchmarks.saturation import Costs, saturation, study, summarise, weigh
from rllib_psparsity.errors import InputError

ROWS = [
    {"episodes": 128 * k, "seconds": 3.0 + 2.0 * k, "seconds_sampling": 1.4, "seconds_learning": 0.5} for k in (1, 2, 3)
]


def test_throughput_leaves_the_first_iteration_and_the_comparison_out_and_nothing_else():
    found = throughput.rates(ROWS, throughput.Times(first_row=15.0, last_row=20.0, end=32.0))
    assert found == pytest.approx(
        {
            "episodes_per_second": 256 / 5.0,
            "episodes_per_second_iterations_only": 256 / 4.0,
            "start_seconds": 10.0,
            "first_iteration_seconds": 5.0,
            "episodes_per_second_with_start": 384 / 20.0,
            "comparison_seconds": 12.0,
            "episodes_per_second_whole_command": 384 / 32.0,
        }
    )


def test_multiples_are_taken_within_a_repeat():
    pairs = [(50.0, 10.0), (80.0, 20.0), (60.0, 10.0)]
    rows = [{"psparsity": {"episodes_per_second": a}, "predecessor": {"episodes_per_second": b}} for a, b in pairs]
    figures = throughput.summarise(rows)
    assert figures["multiple"] == {"median": 5.0, "min": 4.0, "max": 6.0}
    assert figures["multiple_of_published"] == pytest.approx(60.0 / 1.85)


def test_shares_of_the_wall_time():
    found = learner_share.shares(ROWS)
    assert found == pytest.approx({"sampling": 0.7, "learning": 0.25, "not_sampling": 0.3, "episodes_per_second": 64.0})


def test_runs_without_the_columns_are_refused(tmp_path):
    pq.write_table(
        pa.Table.from_pylist([{"iteration": 1, "episodes": 8, "seconds": 1.0}]), tmp_path / "metrics.parquet"
    )
    with pytest.raises(
        InputError, match=r"have 1 iterations and lack seconds_\w+, seconds_\w+; name a run of at least"
    ):
        learner_share.read(tmp_path)


def test_gain_from_more_runners():
    rates = {"sampling, 1 runner": 50.0, "sampling, 2 runners": 90.0, "end to end, 1 runner": 40.0}
    rates |= {"end to end, 2 runners": 60.0, "alone, 1 runner": 100.0, "alone, 2 runners": 190.0}
    row = {
        name: {"episodes_per_second": rate, "cpu_milliseconds_per_episode": 1000 / rate} for name, rate in rates.items()
    }
    figures = runners.summarise([row], [1, 2])
    assert figures["alone, 1 runner, CPU ms an episode"]["median"] == 10.0
    assert figures["sampling, ratio"]["median"] == 1.8 and figures["end to end, ratio"]["median"] == 1.5


def test_overhead_counts_the_time_of_every_runner_against_as_many_bare_loops():
    row = {
        "bare": {"seconds": 2.1, "steps": 100},
        "2 bare": {"seconds": 1.15, "steps": 100},
        "0 runners": {"seconds": 2.1, "steps": 100},
        "1 runner": {"seconds": 2.3, "steps": 100},
        "2 runners": {"seconds": 1.2, "steps": 100},
    }
    figures = overhead.summarise([row], step=0.02)
    assert figures["1 runner"]["overhead_percent"]["median"] == pytest.approx(10.0)
    assert figures["2 runners"]["overhead_milliseconds"]["median"] == pytest.approx(1.0)


def test_growth_is_the_slope_of_the_second_half():
    episodes = np.arange(40, 2040, 40)
    noise = np.random.default_rng(0).standard_normal(len(episodes))
    filling = 500 - 300 * np.exp(-episodes / 100.0)
    steady = memory.growth(episodes, filling + 0.1 * noise)
    assert abs(steady["mb_per_1000_episodes"]) < 3 * steady["standard_error"] + 0.1
    leaking = memory.growth(episodes, filling + 25.0 * episodes / 1000 + 0.1 * noise)
    assert leaking["mb_per_1000_episodes"] == pytest.approx(25.0, abs=0.5)


def test_memory_of_this_process_by_kind():
    before = memory.resident_memory()
    block = np.ones(5_000_000)
    after = memory.resident_memory()
    assert after["own_mb"] - before["own_mb"] == pytest.approx(block.nbytes / 1e6, abs=5)
    assert after["resident_mb"] == pytest.approx(sum(after[key] for key in ("own_mb", "shared_mb", "files_mb")), abs=1)


def test_at_the_limit_supply_meets_demand():
    costs = Costs(400e3, 0.02, 0.004, 0.001, 50e3)
    limits = saturation(costs, 10e9, 128)
    assert limits["learner"] == pytest.approx(5.0) and limits["driver"] == pytest.approx(4.0)
    assert limits["episodes_per_second"] == pytest.approx(200.0) == limits["driver"] / costs.sampling_seconds
    rate = limits["network"] / costs.sampling_seconds
    sent = rate * costs.episode_bytes + rate / 128 * limits["network"] * costs.broadcast_bytes
    assert 8 * sent == pytest.approx(10e9)
    free = saturation(Costs(400e3, 0.02, 0.004, 0.001, 0.0), 10e9, 128)
    assert free["network"] == pytest.approx(10e9 / 8 / 400e3 * 0.02) and free["network"] > limits["network"]


def test_saturation_by_size_uses_the_medians():
    keys = (*Costs.__dataclass_fields__, "broadcast_seconds")
    rows = [{"32": dict.fromkeys(keys, value)} for value in (1.0, 2.0, 6.0)]
    figures = summarise(rows, 8.0, study(32))
    assert figures["sizes"]["32"]["runners"]["driver"] == pytest.approx(0.5)
    assert figures["sizes"]["32"]["costs"]["episode_bytes"] == {"median": 2.0, "min": 1.0, "max": 6.0}
    assert figures["chunks_per_iteration"] == 8


def test_arrays_that_are_shared_are_sent_once():
    array = np.zeros(10_000)
    assert 80_000 < weigh([array, array]) < 81_000 and weigh([array, array.copy()]) > 160_000


def test_studies_of_large_grids_fit_the_machine():
    run = study(512).training
    assert (run.episodes_per_iteration, run.minibatch_graphs) == (2, 1)
    run = study(32).training
    assert (run.episodes_per_iteration, run.minibatch_graphs) == (64, 96)

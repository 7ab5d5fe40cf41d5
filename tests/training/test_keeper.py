"""What cannot be written is kept, tried again, and in the end stops the run; nothing written before is lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from rllib_psparsity.errors import RunStopped, StorageLost
from rllib_psparsity.reporting.metrics import METRICS, MetricsFile
from rllib_psparsity.training import keeper as keeper_module
from rllib_psparsity.training.board import Board
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.keeper import Keeper
from rllib_psparsity.training.limits import beyond_limits
from tests.environment.tiny import tiny_config
from tests.training.test_checkpoint import FakeAlgorithm

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk(FakeAlgorithm):
    """An algorithm whose next saves fail in their midst."""

    failing = 0

    def save_to_path(self, path: Path) -> None:
        super().save_to_path(path)
        if self.failing:
            self.failing -= 1
            raise FULL


def row(iteration: int) -> dict:
    return {metric.name: iteration if metric.is_integer else 0.5 for metric in METRICS}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """(disk, keeper, what it has said); checkpoints of every second iteration are asked for by the test."""
    monkeypatch.setattr(keeper_module, "PAUSE_SECONDS", 0.0)
    disk, said = Disk(), []
    config = tiny_config("checkpoint.keep=5", "faults.write_attempts=3")
    keeper = Keeper(disk, MetricsFile(tmp_path / "metrics.parquet"), tmp_path, config, said.append)
    for iteration in (1, 2):
        keeper.keep(row(iteration), checkpoint=iteration == 2)
    return disk, keeper, said


class Storage:
    """A mirror whose next pushes fail."""

    uri = "s3://bucket/runs/x?a=1&b=2"

    def __init__(self) -> None:
        self.failing = self.pushes = 0

    def push(self) -> None:
        self.pushes += 1
        if self.failing:
            self.failing -= 1
            raise OSError(f"{self.uri} could not be brought up to date (it does not answer)")


@pytest.fixture
def stored(run, tmp_path):
    """(storage, disk, keeper, what it has said) of the run above, kept in a storage from now on."""
    disk, keeper, said = run
    keeper._mirror = storage = Storage()
    return storage, disk, keeper, said


def saved(run_dir: Path) -> tuple[int, list[str]]:
    names = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    return newest_checkpoint(run_dir)[1], names


def test_a_checkpoint_that_fails_comes_after_the_next_iteration(run, tmp_path):
    disk, keeper, said = run
    disk.failing = 2
    for iteration, newest in ((3, 2), (4, 2), (5, 5)):
        keeper.keep(row(iteration), checkpoint=iteration == 3)
        assert saved(tmp_path)[0] == newest
    assert saved(tmp_path)[1] == ["iteration_000002", "iteration_000005"]
    assert said == [
        f"the checkpoint of iteration {iteration} could not be written ([Errno 28] No space left on device); earlier "
        "checkpoints are intact, and it is tried again after the next iteration"
        for iteration in (3, 4)
    ]
    keeper.finish()
    assert saved(tmp_path)[1] == ["iteration_000002", "iteration_000005"], "there was nothing left to do"


def test_it_stops_after_so_many_attempts_in_a_row(run, tmp_path):
    disk, keeper, _ = run
    disk.failing = 99
    keeper.keep(row(3), checkpoint=True)
    keeper.keep(row(4), checkpoint=False)
    with pytest.raises(RunStopped) as stopped:
        keeper.keep(row(5), checkpoint=False)
    assert str(stopped.value) == (
        "the checkpoint of iteration 5 could not be written ([Errno 28] No space left on device), after 3 attempts "
        f"in a row; earlier checkpoints are intact: make {tmp_path} writable, then go on with: psparsity resume "
        f"{tmp_path}"
    )
    assert saved(tmp_path) == (2, ["iteration_000002"])


def test_the_last_one_is_tried_again_at_once(run, tmp_path):
    disk, keeper, said = run
    keeper.keep(row(3), checkpoint=False)
    disk.failing = 2
    keeper.finish()
    assert saved(tmp_path)[0] == 3 and len(said) == 2
    keeper.keep(row(4), checkpoint=False)
    disk.failing = 3
    with pytest.raises(RunStopped, match="after 3 attempts in a row"):
        keeper.finish()


def test_a_storage_that_fails_is_tried_after_every_iteration_and_in_the_end_stops_the_run(stored, tmp_path):
    storage, disk, keeper, said = stored
    failure = f"{storage.uri} could not be brought up to date (it does not answer)"
    storage.failing = 2
    for iteration in (3, 4, 5, 6):
        keeper.keep(row(iteration), checkpoint=iteration == 3)
    assert storage.pushes == 3, "two that fail, and one that brings what they did not"
    intact = f"what it had is intact, everything is in {tmp_path}"
    assert said == [f"{failure}; {intact}, and it is tried again after the next iteration"] * 2
    # Failures of either kind are counted together, as long as something is missing.
    storage.failing, disk.failing = 99, 1
    keeper.keep(row(7), checkpoint=True)
    keeper.keep(row(8), checkpoint=False)
    with pytest.raises(StorageLost) as lost:
        keeper.keep(row(9), checkpoint=False)
    assert str(lost.value) == (
        f"{failure}, after 3 attempts in a row; what it had is intact, and the whole run is in {tmp_path} alone: copy "
        f"it there once the storage answers, or go on here with: psparsity resume {tmp_path}"
    )
    assert saved(tmp_path)[0] == 8 and len(MetricsFile(tmp_path / "metrics.parquet").rows) == 9


def test_the_end_of_a_run_does_not_wait_for_its_storage(stored, tmp_path):
    storage, _, keeper, said = stored
    storage.failing = 99
    keeper.keep(row(3), checkpoint=True)
    keeper.keep(row(4), checkpoint=False)
    keeper.finish()
    assert saved(tmp_path)[0] == 4 and storage.pushes == 3
    assert said[-1].endswith("and it is tried again when the run has ended")


def test_a_full_disk_beside_a_storage_names_the_storage(stored, tmp_path):
    _, disk, keeper, _ = stored
    keeper.keep(row(3), checkpoint=False)
    disk.failing = 99
    with pytest.raises(RunStopped, match=r"writable, then go on with: psparsity resume 's3://bucket/runs/x\?a=1&b=2'$"):
        keeper.finish()


def test_metrics_are_caught_up_and_no_checkpoint_is_ahead_of_them(run, tmp_path, monkeypatch):
    _, keeper, said = run

    def full(self, table):
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "_write", full)
        for iteration in (3, 4):
            keeper.keep(row(iteration), checkpoint=True)
        assert saved(tmp_path)[0] == 2 and "the metrics of iteration 4 could not be written" in said[1]
    keeper.keep(row(5), checkpoint=False)
    assert saved(tmp_path)[0] == 5
    assert [r["iteration"] for r in MetricsFile(tmp_path / "metrics.parquet").rows] == [1, 2, 3, 4, 5]


def test_tensorboard_never_costs_a_run(tmp_path, monkeypatch):
    with Board(tmp_path / "board", 1) as board:
        board.add(row(1))
        monkeypatch.setattr(board._writer, "flush", lambda: (_ for _ in ()).throw(FULL))
        for iteration in range(2, 40):
            board.add(row(iteration))
    assert board.failure is FULL
    (tmp_path / "file").write_text("in the way of a directory")
    with Board(tmp_path / "file", 1) as board:
        board.add(row(1))
    assert isinstance(board.failure, OSError)


def test_tensorboard_reads_what_was_added(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for first in (1, 3):  # the second is a resumed run, which counts from 3 again
        with Board(tmp_path, first) as board:
            for iteration in range(first, first + 3):
                board.add(row(iteration) | {"reward_mean": first + iteration / 8})
    events = loader.EventAccumulator(str(tmp_path))
    events.Reload()
    found = {event.step: event.value for event in events.Scalars("reward_mean")}
    assert found == {1: 1.125, 2: 1.25, 3: 3.375, 4: 3.5, 5: 3.625}


def test_limits_count_over_the_whole_run():
    faults = tiny_config("faults.dropped_episodes=3", "faults.skipped_updates=0").faults
    quiet = {"dropped_episodes": 0.0, "skipped_updates": 0.0}
    older = dict.fromkeys(quiet, float("nan"))
    assert beyond_limits([older, quiet, quiet | {"dropped_episodes": 3.0}], faults) is None
    reason = beyond_limits([older, quiet | {"dropped_episodes": 3.0}, quiet | {"dropped_episodes": 1.0}], faults)
    assert reason is not None and reason.startswith("4 episodes were dropped, since their environment hung, raised or")
    assert reason.endswith("and faults.dropped_episodes allows 3")
    reason = beyond_limits([quiet | {"skipped_updates": 1.0}], faults)
    assert reason == "1 updates were skipped, since their gradient was not finite, and faults.skipped_updates allows 0"

"""Checkpoints are whole or not there, and damage is found before one is used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rllib_psparsity.errors import InputError
from rllib_psparsity.training.checkpoint import check_checkpoint, checkpoints_in, newest_checkpoint, save_checkpoint


class FakeAlgorithm:
    """Writes what `save_to_path` would: a tree of files."""

    def __init__(self, content: str = "weights") -> None:
        self.content = content

    def save_to_path(self, path: Path) -> None:
        if not path.is_absolute():
            raise ValueError(f"URI has empty scheme: {path}")  # as RLlib answers
        (path / "learner_group").mkdir(parents=True)
        (path / "state.pkl").write_text(self.content)
        (path / "learner_group" / "weights.pkl").write_text(self.content * 100)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for iteration in (2, 4, 6):
        save_checkpoint(FakeAlgorithm(f"weights {iteration}"), tmp_path / "checkpoints", iteration, keep=5)
    return tmp_path


def numbers(run_dir: Path) -> list[int]:
    return [int(path.name.removeprefix("iteration_")) for path in checkpoints_in(run_dir / "checkpoints")]


def test_the_newest_are_kept(run_dir):
    assert numbers(run_dir) == [2, 4, 6]
    path = save_checkpoint(FakeAlgorithm(), run_dir / "checkpoints", 8, keep=2)
    assert path.name == "iteration_000008" and numbers(run_dir) == [6, 8]
    assert newest_checkpoint(run_dir) == (path, 8, [])
    assert sorted(p.name for p in (run_dir / "checkpoints").iterdir()) == ["iteration_000006", "iteration_000008"]


def test_a_relative_directory_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_checkpoint(save_checkpoint(FakeAlgorithm(), Path("run/checkpoints"), 2, keep=1)) == 2


def test_saving_an_iteration_twice_replaces_it(run_dir):
    path = save_checkpoint(FakeAlgorithm("other weights"), run_dir / "checkpoints", 6, keep=5)
    assert numbers(run_dir) == [2, 4, 6]
    assert (path / "algorithm" / "state.pkl").read_text() == "other weights"
    assert check_checkpoint(path) == 6


def test_a_half_written_one_is_ignored_and_gives_way(run_dir):
    partial = run_dir / "checkpoints" / "iteration_000008.partial"
    (partial / "algorithm").mkdir(parents=True)
    (partial / "algorithm" / "rest.pkl").write_text("of a process that was killed")
    assert numbers(run_dir) == [2, 4, 6] and newest_checkpoint(run_dir)[1] == 6
    path = save_checkpoint(FakeAlgorithm(), run_dir / "checkpoints", 8, keep=5)
    assert not partial.exists() and not (path / "algorithm" / "rest.pkl").exists()
    assert newest_checkpoint(run_dir)[1] == 8


def test_a_failing_save_leaves_the_others(run_dir):
    class Failing(FakeAlgorithm):
        def save_to_path(self, path: Path) -> None:
            super().save_to_path(path)
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(Failing(), run_dir / "checkpoints", 6, keep=1)
    assert numbers(run_dir) == [2, 4, 6] and newest_checkpoint(run_dir)[1:] == (6, [])
    assert len(list((run_dir / "checkpoints").iterdir())) == 3, "the half-written one takes up no room"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "a flipped byte": lambda p: flip(p / "algorithm" / "learner_group" / "weights.pkl"),
    "a truncated file": lambda p: (p / "algorithm" / "state.pkl").write_text("wei"),
    "an empty file": lambda p: (p / "algorithm" / "state.pkl").write_text(""),
    "a missing file": lambda p: (p / "algorithm" / "state.pkl").unlink(),
    "a missing directory": lambda p: shutil.rmtree(p / "algorithm"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_one_before_is_used(run_dir, damage):
    newest = checkpoints_in(run_dir / "checkpoints")[-1]
    DAMAGE[damage](newest)
    with pytest.raises(InputError) as error:
        check_checkpoint(newest)
    sentence = str(error.value)
    assert sentence.startswith(f"{newest} is damaged: algorithm/")
    assert sentence.endswith("is missing or differs from its checksum; name another one")
    path, iteration, remarks = newest_checkpoint(run_dir)
    assert iteration == 4 and path.name == "iteration_000004"
    assert remarks == [sentence.removesuffix("; name another one")]

    # The run goes on from there: the damaged one neither counts as one of the two kept, nor is it in the way.
    save_checkpoint(FakeAlgorithm(), run_dir / "checkpoints", 5, keep=2)
    assert numbers(run_dir) == [4, 5, 6] and newest_checkpoint(run_dir)[1] == 5
    save_checkpoint(FakeAlgorithm(), run_dir / "checkpoints", 6, keep=2)
    assert numbers(run_dir) == [5, 6] and newest_checkpoint(run_dir)[1:] == (6, [])


MANIFESTS = {
    "none": lambda p: p.unlink(),
    "cut": lambda p: p.write_text(p.read_text()[:20]),
    "a list": lambda p: p.write_text("[]"),
    "no files": lambda p: p.write_text(json.dumps({"iteration": 6})),
    "no number": lambda p: p.write_text(json.dumps({"iteration": None, "sha256": {}})),
    "no text": lambda p: p.write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", MANIFESTS)
def test_a_bad_manifest_is_no_whole_checkpoint(run_dir, damage):
    newest = checkpoints_in(run_dir / "checkpoints")[-1]
    MANIFESTS[damage](newest / "manifest.json")
    with pytest.raises(InputError) as error:
        check_checkpoint(newest)
    assert str(error.value) == (
        f"{newest} is not a whole checkpoint (its manifest.json is missing or unreadable); name another one"
    )
    assert newest_checkpoint(run_dir)[1] == 4


def test_none_left(run_dir, tmp_path):
    for path in checkpoints_in(run_dir / "checkpoints"):
        flip(path / "algorithm" / "state.pkl")
    with pytest.raises(InputError) as error:
        newest_checkpoint(run_dir)
    sentence = str(error.value)
    assert (
        sentence.startswith(f"no checkpoint of {run_dir} can be used: ") and "iteration_000006 is damaged" in sentence
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError) as error:
        newest_checkpoint(empty)
    assert str(error.value) == (f"{empty} holds no checkpoint to resume from; start over with psparsity train")

"""One command from nothing to a shipped policy: clone, train, and go on where it was interrupted."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rllib_psparsity.deploy import load_policy
from studies import run as runner
from studies.clone import STUDY
from studies.ship import main, ship


class Trainings:
    """In place of subprocesses: their words, and the code they end with, after a checkpoint."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.code = 0

    def __call__(self, words: list[str]) -> Trainings:
        self.asked.append(words[3:])
        run_dir = Path(words[words.index("--run-dir") + 1]) if "--run-dir" in words else Path(words[-1])
        (run_dir / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
        return self

    def wait(self) -> int:
        return self.code


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    trainings = Trainings()
    monkeypatch.setattr(runner, "Popen", trainings)
    monkeypatch.setattr(runner.signal, "signal", lambda *_: None)
    return trainings


def test_clone_training_and_going_on(trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--problems", "2", "--epochs", "1")
    trainings.code = -signal.SIGINT
    assert ship("few_solves", 3, tmp_path, ["training.iterations=2"], few) == -signal.SIGINT
    assert "clone is there already" not in capsys.readouterr().out
    assert load_policy(tmp_path / "clone").config.network == "pooled"
    sets = [f"training.start_from={tmp_path / 'clone'}", "seed=3", "training.iterations=2"]
    words = ["--config", str(STUDY), "--variation", "few_solves", *(w for one in sets for w in ("--set", one))]
    assert trainings.asked == [["train", *words, "--run-dir", str(tmp_path / "run")]]
    trainings.code = 0
    assert ship("few_solves", 3, tmp_path, ["training.iterations=2"], few) == 0
    assert "clone is there already" in capsys.readouterr().out
    assert trainings.asked[1:] == [["resume", str(tmp_path / "run")]]


def test_what_cannot_be_trained_is_refused_before_any_lesson(
    trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--variation", "no_solves", "--out", str(tmp_path / "out")]) == 2
    assert "no_solves" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and trainings.asked == []

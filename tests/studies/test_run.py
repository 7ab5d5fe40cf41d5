"""The runner: what is there is skipped, what was interrupted goes on, and all ends in one file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from rllib_psparsity.config.load import resolved_json
from rllib_psparsity.deploy.artifact import MANIFEST, WEIGHTS
from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.metrics import METRICS, MetricsFile
from studies import run as runner
from studies.definition import Study, load_study
from studies.results_file import read_table, write_table
from studies.run import Results, run

TEXT = """
about: a test
arms:
  slow: {about: one, triage: [T1], set: {training.iterations: 2}}
  fast: {about: two, from: slow, set: {training.lr: 1e-2}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "tiny.yaml").write_text(TEXT)
    return load_study(tmp_path / "tiny.yaml")


class Trainings:
    """In place of subprocesses: `asked` has their words, and each leaves what a training leaves, or ends with `code`
    after a checkpoint."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.asked: list[list[str]] = []
        self.code = 0

    def __call__(self, words: list[str]) -> Trainings:
        words = words[3:]
        self.asked.append(words)
        run_dir = Path(words[1] if words[0] == "resume" else words[words.index("--run-dir") + 1])
        arm = next(arm for arm in self.study.arms if arm.name == run_dir.parent.name)
        seed = int(run_dir.name.removeprefix("seed-"))
        (run_dir / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
        (run_dir / "config.json").write_text(resolved_json(self.study.config(arm, seed)))
        if self.code == 0:
            metrics = MetricsFile(run_dir / "metrics.parquet")
            for iteration in (1, 2):
                row = {m.name: 2 if m.is_integer else iteration + seed / 8 for m in METRICS}
                metrics.append(row | {"iteration": iteration, "episodes": 128 * iteration})
            write_table(run_dir / runner.FINISHED, [], pa.schema([]), {"commit": "abc", "command": "train"})
        return self

    def wait(self) -> int:
        return self.code


@pytest.fixture
def trainings(study: Study, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    trainings = Trainings(study)
    monkeypatch.setattr(runner, "Popen", trainings)
    monkeypatch.setattr(runner.signal, "signal", lambda *_: None)
    return trainings


def started(study: Study, tmp_path: Path, arms=None, seeds=(0, 1)) -> int:
    results = Results(study, tmp_path / "results" / "tiny.parquet")
    return run(study, list(arms or study.arms), list(seeds), tmp_path / "runs", results)


def test_all_runs_end_in_one_file(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    assert started(study, tmp_path) == 0
    rows, metadata = read_table(tmp_path / "results" / "tiny.parquet")
    assert [(r["arm"], r["seed"], r["iteration"]) for r in rows] == [
        (arm, seed, k) for seed in (0, 1) for arm in ("slow", "fast") for k in (1, 2)
    ]
    assert rows[-1]["reward_mean"] == 2 + 1 / 8
    found = metadata["runs"]["fast/1"]
    assert found["commit"] == "abc" and found["config"] == json.loads(resolved_json(study.config(study.arms[1], 1)))
    assert found["command"] == "psparsity train --set training.iterations=2 --set training.lr=0.01 --set seed=1"
    assert metadata["study"]["arms"]["slow"] == {"about": "one", "triage": ["T1"]}
    assert trainings.asked[0][:-2] == ["train", "--set", "training.iterations=2", "--set", "seed=0"]


def test_what_is_there_is_skipped_and_a_changed_arm_runs_again(
    study: Study, trainings: Trainings, tmp_path: Path
) -> None:
    started(study, tmp_path)
    assert started(study, tmp_path) == 0 and len(trainings.asked) == 4
    (tmp_path / "tiny.yaml").write_text(TEXT.replace("1e-2", "1e-1"))
    trainings.study = changed = load_study(tmp_path / "tiny.yaml")
    with pytest.raises(InputError, match="holds a run with another configuration than arm 'fast' has now"):
        started(changed, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "fast")
    assert started(changed, tmp_path) == 0 and len(trainings.asked) == 6
    rows, metadata = read_table(tmp_path / "results" / "tiny.parquet")
    assert len(rows) == 8 and metadata["runs"]["fast/0"]["config"]["training"]["lr"] == 0.1


def test_a_run_from_a_policy_that_has_changed_runs_again(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    start = tmp_path / "start"
    text = TEXT.replace("training.lr: 1e-2", f'training.start_from: "{start}"')
    (tmp_path / "tiny.yaml").write_text(text)
    trainings.study = study = load_study(tmp_path / "tiny.yaml")
    start.mkdir()
    for name in (MANIFEST, WEIGHTS):
        (start / name).write_text("first")
    assert started(study, tmp_path, seeds=[0]) == started(study, tmp_path, seeds=[0]) == 0
    assert len(trainings.asked) == 2
    (start / WEIGHTS).write_text("second")
    with pytest.raises(
        InputError, match=r"fast/seed-0 started from another policy than training\.start_from holds now"
    ):
        started(study, tmp_path, seeds=[0])
    shutil.rmtree(tmp_path / "runs" / "fast")
    assert started(study, tmp_path, seeds=[0]) == 0 and len(trainings.asked) == 3
    shutil.rmtree(start)
    assert started(study, tmp_path, seeds=[0]) == 0 and len(trainings.asked) == 3, "nothing to compare with"


def test_a_run_from_before_a_key_existed_had_its_default(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    started(study, tmp_path)
    path = tmp_path / "results" / "tiny.parquet"
    rows, metadata = read_table(path)
    del metadata["runs"]["slow/0"]["config"]["training"]["likelihood"]
    metadata["runs"]["fast/0"]["config"]["training"]["a_key_that_is_no_more"] = 1
    del metadata["runs"]["slow/1"]["config"]["policy"]["standardise"]
    write_table(path, rows, runner.STUDY_SCHEMA, metadata)
    results, (slow, fast) = Results(study, path), study.arms
    assert results.has(slow, 0) and not results.has(fast, 0) and results.has(fast, 1)
    assert not results.has(slow, 1)  # none standardised its inputs before there was a key for it


def test_an_interrupted_run_is_resumed(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    trainings.code = 130
    assert started(study, tmp_path) == 130 and len(trainings.asked) == 1
    trainings.code = 0
    assert started(study, tmp_path) == 0
    assert trainings.asked[1] == ["resume", str(tmp_path / "runs" / "slow" / "seed-0")]
    assert [words[0] for words in trainings.asked[2:]] == ["train"] * 3


def test_a_run_without_a_checkpoint_starts_over(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    trainings.code = 143
    started(study, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "slow" / "seed-0" / "checkpoints")
    trainings.code = 0
    assert started(study, tmp_path) == 0 and trainings.asked[1][0] == "train"


def test_a_finished_run_that_was_not_collected_is(study: Study, trainings: Trainings, tmp_path: Path) -> None:
    started(study, tmp_path)
    (tmp_path / "results" / "tiny.parquet").unlink()
    assert started(study, tmp_path) == 0 and len(trainings.asked) == 4
    assert len(read_table(tmp_path / "results" / "tiny.parquet")[0]) == 8


def test_a_failure_is_named_and_the_others_go_on(
    study: Study, trainings: Trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.code = 1
    assert started(study, tmp_path, seeds=(3,)) == 1 and len(trainings.asked) == 2
    assert "failed: slow/3 (exit code 1), fast/3 (exit code 1)" in capsys.readouterr().out
    assert not (tmp_path / "results" / "tiny.parquet").exists()


def test_bad_input_is_one_sentence(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "tiny.yaml")
    assert runner.main([file, "--arms", "third"]) == 2
    assert capsys.readouterr().err == f"studies.run: {file} has no arm 'third'; choose from slow, fast\n"

"""The loop around the algorithm: stopped, resumed, out of room, and with more faults than it may bear."""

from __future__ import annotations

import errno
import math
import os
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from pyarrow import fs

from rllib_psparsity import cli
from rllib_psparsity.errors import InputError, RunStopped, StorageLost
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.training import algorithm as algorithm_module
from rllib_psparsity.training import learner, remote_run, run
from rllib_psparsity.training import mirror as mirror_module
from rllib_psparsity.training.algorithm import SparsifyPPO
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.mirror import Mirror
from tests.environment.tiny import tiny_config
from tests.training.test_mirror import storage, whole_checkpoints

TIMES = ("seconds", "episodes_per_second", "seconds_sampling", "seconds_learning")
SETTINGS = (
    "training.iterations=5",
    "training.overlap=true",
    "training.lr_factor=0.8",
    "policy.temperature={initial: 1.0, factor: 0.9, floor: 0.5}",
    "entropy.target=0.5",
    "checkpoint.every=2",
)


@pytest.fixture
def loop(local_ray, monkeypatch):
    """`run` in the tests' Ray, without the comparisons before and after."""
    monkeypatch.setattr(run, "ray_session", lambda num_cpus: nullcontext())
    monkeypatch.setattr(run, "reference_figures", lambda config: {})
    monkeypatch.setattr(run, "conclude", lambda config, run_dir, rows: None)


def rows(run_dir: Path) -> list[dict]:
    return [
        {name: value for name, value in row.items() if name not in TIMES}
        for row in MetricsFile(run_dir / "metrics.parquet").rows
    ]


def contents(run_dir: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


def test_a_run_that_is_stopped_and_resumed_equals_an_unbroken_one(loop, tmp_path, monkeypatch, capsys):
    """Pre-empted by SIGTERM in an iteration without a checkpoint of its own, then resumed from one that is damaged."""
    assert run.train(tiny_config(*SETTINGS), tmp_path / "unbroken") == 0
    train = SparsifyPPO.train

    def stopped(self):
        if self.updates == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(self)

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(SparsifyPPO, "train", stopped)
        assert run.train(tiny_config(*SETTINGS), broken) == 143
    assert newest_checkpoint(broken)[1] == 3 and len(rows(broken)) == 3
    assert f"interrupted after iteration 3; go on with: psparsity resume {broken}" in capsys.readouterr().out

    # A resume that cannot be is refused, and changes nothing.
    before = contents(broken)
    with monkeypatch.context() as patch:
        patch.setattr(algorithm_module, "RUN_STATE_ENTRIES", (*algorithm_module.RUN_STATE_ENTRIES, "what came later"))
        with pytest.raises(InputError) as refused:
            run.resume(broken, ["training.iterations=9"])
    assert str(refused.value) == (
        f"{broken}/checkpoints/iteration_000003 cannot be resumed: the checkpoint lacks what came later, since an "
        "earlier version of rllib_psparsity wrote it; resume it with that version, or start over with psparsity train"
    )
    assert contents(broken) == before

    (file,) = (broken / "checkpoints" / "iteration_000003" / "algorithm").glob("algorithm_state*")
    file.write_bytes(file.read_bytes()[:-7])
    assert run.resume(broken) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"psparsity: {broken}/checkpoints/iteration_000003 is damaged: algorithm/{file.name} is missing or differs "
        "from its checksum; the one before it is used"
    ) in said
    assert rows(broken) == rows(tmp_path / "unbroken")
    assert [row["iteration"] for row in rows(broken)] == [1, 2, 3, 4, 5]
    assert len({row["entropy_coefficient"] for row in rows(broken)}) == 5
    assert [path.name for path in sorted((broken / "checkpoints").iterdir())][-1] == "iteration_000005"

    (broken / "metrics.parquet").unlink()
    with pytest.raises(InputError, match=r"ends with iteration 0, but .*000005 is of iteration 5; restore it"):
        run.resume(broken, ["training.iterations=6"])


def lifetimes(result: dict, path: str = "") -> dict[str, float]:
    """All that RLlib has counted since the training began."""
    found = {}
    for name, value in result.items():
        if isinstance(value, dict) and name != "config":
            found |= lifetimes(value, f"{path}{name}/")
        elif not isinstance(value, dict) and "lifetime" in name and "throughput" not in name:
            found[path + name] = float(value)
    return found


def test_counters_and_schedules_go_on_after_a_resume(build, tmp_path):
    """RLlib's issue 53877: after a restore, metrics and schedules began anew."""
    config = tiny_config(*SETTINGS)
    unbroken, first, second = (build(config) for _ in range(3))
    expected = [unbroken.train() for _ in range(3)][-1]
    for _ in range(2):
        first.train()
    first.save_to_path(tmp_path / "checkpoint")
    second.restore_from_path(str(tmp_path / "checkpoint"))
    assert second.iteration == 2
    result = second.train()
    assert result["training_iteration"] == expected["training_iteration"] == 3
    counters = lifetimes(expected)
    assert counters["env_runners/num_episodes_lifetime"] == 18.0
    assert counters["learners/__all_modules__/num_env_steps_trained_lifetime"] > 0
    assert lifetimes(result) == counters
    ours, theirs = (r["learners"]["default_policy"] for r in (result, expected))
    for name in ("learning_rate", "temperature", "entropy_coefficient"):
        assert float(ours[name]) == float(theirs[name]), name
    assert float(ours["learning_rate"]) == pytest.approx(3e-3 * 0.8**2)
    assert float(ours["temperature"]) == pytest.approx(0.9), "that of the episodes, which are of an update before"


def poisoned(calls: set[int]):
    """A `policy_loss` that is not a number in some of its calls."""
    loss, count = learner.policy_loss, iter(range(10**6))

    def policy_loss(*arguments):
        value, figures = loss(*arguments)
        return (value * math.nan, figures) if next(count) in calls else (value, figures)

    return policy_loss


def test_an_update_with_nan_is_skipped_counted_and_in_the_end_stops_the_run(loop, tmp_path, monkeypatch):
    minibatches = ("training.iterations=3", "training.epochs=1", "training.minibatch_graphs=4", "checkpoint.every=9")
    config = tiny_config(*minibatches, "faults.skipped_updates=1")
    with monkeypatch.context() as patch:
        # One update of the first iteration, and more than it has of the second.
        patch.setattr(learner, "policy_loss", poisoned({1}))
        assert run.train(config, tmp_path / "one") == 0
        patch.setattr(learner, "policy_loss", poisoned(set(range(3, 99))))
        with pytest.raises(RunStopped) as stopped:
            run.train(config, tmp_path / "many")
    assert [row["skipped_updates"] for row in rows(tmp_path / "one")] == [1.0, 0.0, 0.0]
    assert all(math.isfinite(row["grad_norm"]) for row in rows(tmp_path / "one"))
    many = rows(tmp_path / "many")
    skipped = many[-1]["skipped_updates"]
    assert len(many) == 2 and skipped > 1 and math.isnan(many[-1]["grad_norm"])
    assert str(stopped.value) == (
        f"{sum(row['skipped_updates'] for row in many):.0f} updates were skipped, since their gradient was not "
        "finite, and faults.skipped_updates allows 1; iteration 2 is saved, mend the cause or raise the limit, then go "
        f"on with: psparsity resume {tmp_path / 'many'}"
    )
    # What was saved is sound.
    assert newest_checkpoint(tmp_path / "many")[1] == 2
    assert run.resume(tmp_path / "many", ["faults.skipped_updates=99"]) == 0
    last = rows(tmp_path / "many")[-1]
    assert last["iteration"] == 3 and last["skipped_updates"] == 0.0 and math.isfinite(last["grad_norm"])


def test_dropped_episodes_are_counted_and_the_others_keep_their_numbers(loop, tmp_path, monkeypatch, capsys):
    sample = algorithm_module.SparsifyEnvRunner.sample
    seen: list[int] = []

    def lossy(self, *, indices, **kwargs):
        """Episode 7 is in the second iteration; from 12 on, in the third, all are lost."""

        def broken(env, action, step=env_step):
            if getattr(env, "unlucky", False):
                raise ArithmeticError("upside down")
            return step(env, action)

        for env, index in zip(self.env.take(len(indices)), indices, strict=True):
            env.unlucky = index == 7 or index >= 12
        monkeypatch.setattr(type(self.env.envs[0]), "step", broken)
        episodes = sample(self, indices=indices, **kwargs)
        seen.extend(int(episode.id_) for episode in episodes)
        return episodes

    from rllib_psparsity.environment.sparsify import SparsifyEnv

    env_step = SparsifyEnv.step
    monkeypatch.setattr(algorithm_module.SparsifyEnvRunner, "sample", lossy)
    with pytest.raises(RunStopped, match=r"^6 episodes of iteration 3 were dropped, the first one because: Arithmetic"):
        run.train(tiny_config("training.iterations=4", "checkpoint.every=1"), tmp_path / "run")
    assert seen == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    found = rows(tmp_path / "run")
    assert [row["dropped_episodes"] for row in found] == [0.0, 1.0] and [row["episodes"] for row in found] == [6, 11]
    said = " ".join(capsys.readouterr().out.split())
    assert "1 episodes dropped; episode 7: ArithmeticError: upside down (" in said and "| dropped episodes 1 |" in said
    assert newest_checkpoint(tmp_path / "run")[1] == 2


def test_a_full_disk_stops_the_run_and_leaves_the_checkpoint_before(loop, tmp_path, monkeypatch, capsys):
    save = SparsifyPPO.save_to_path

    def full(self, path, *arguments, **kwargs):
        save(self, path, *arguments, **kwargs)
        if self.updates > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(SparsifyPPO, "save_to_path", full)
        patch.setattr("rllib_psparsity.training.keeper.PAUSE_SECONDS", 0.0)
        with pytest.raises(RunStopped, match=r"No space left on device\), after 2 attempts in a row; earlier"):
            run.train(tiny_config(*SETTINGS, "faults.write_attempts=2"), run_dir)
    assert [path.name for path in (run_dir / "checkpoints").iterdir()] == ["iteration_000002"]
    assert newest_checkpoint(run_dir)[1:] == (2, []) and len(rows(run_dir)) == 5
    assert "the checkpoint of iteration 4 could not be written" in capsys.readouterr().out
    assert run.resume(run_dir) == 0 and len(rows(run_dir)) == 5 and newest_checkpoint(run_dir)[1] == 5


def test_a_storage_that_stops_answering_stops_the_run_and_leaves_it_here(loop, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mirror_module, "PAUSE_SECONDS", 0.0)
    handler = storage(tmp_path / "bucket")
    mirror = Mirror("mock://bucket/x", fs.PyFileSystem(handler), "x")
    monkeypatch.setattr(remote_run, "Mirror", lambda uri: mirror)
    train = SparsifyPPO.train

    def cut_off(self):
        if self.updates == 2:
            handler.left = 0
        return train(self)

    monkeypatch.setattr(SparsifyPPO, "train", cut_off)
    config = tiny_config("training.iterations=9", "checkpoint.every=2", "faults.write_attempts=2")
    with pytest.raises(StorageLost) as lost:
        remote_run.train(config, "mock://bucket/x")
    sentence = str(lost.value)
    assert sentence.startswith("mock://bucket/x could not be brought up to date (") and "after 2 attempts" in sentence
    assert sentence.endswith(f"or go on here with: psparsity resume {mirror.directory}")
    said = " ".join(capsys.readouterr().out.split())
    assert f"everything is in {mirror.directory}, and it is tried again after the next iteration" in said
    # The fourth iteration saved a checkpoint, and the fifth, which was trained nevertheless, tried once more.
    assert whole_checkpoints(tmp_path / "bucket") == [2] and whole_checkpoints(mirror.directory)[-1] == 4
    assert len(rows(mirror.directory)) == 5
    monkeypatch.setattr(SparsifyPPO, "train", train)
    assert run.resume(mirror.directory, ["training.iterations=6"]) == 0
    mirror.discard()


def test_a_storage_that_fails_at_the_end_costs_the_exit_code_alone(loop, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mirror_module, "PAUSE_SECONDS", 0.0)
    handler = storage(tmp_path / "bucket")
    mirror = Mirror("mock://bucket/x", fs.PyFileSystem(handler), "x")
    monkeypatch.setattr(remote_run, "Mirror", lambda uri: mirror)

    def trained(config, run_dir, its_mirror):
        (run_dir / "results").write_text("done")
        handler.left = 0
        return 0

    monkeypatch.setattr(run, "train", trained)
    assert remote_run.train(tiny_config(), "mock://bucket/x") == 1
    said = capsys.readouterr().out
    assert f"the run is in {mirror.directory} alone; copy it, or go on with psparsity resume {mirror.directory}" in said
    assert (mirror.directory / "results").exists()
    mirror.discard()


def test_a_known_reason_is_one_sentence_and_exit_code_1(tmp_path, monkeypatch, capsys):
    def stop(config, run_dir):
        raise RunStopped("the disk\nis full")

    monkeypatch.setattr(run, "train", stop)
    assert cli.main(["train", "--run-dir", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "psparsity: the disk is full\n"

"""What a user of sweeps goes through: launch, lose the driver, resume; and a population that is interrupted twice.

All of it takes four sessions of Ray.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rllib_psparsity.cli import main
from rllib_psparsity.config.load import from_json
from rllib_psparsity.training.checkpoint import newest_checkpoint
from tests.journeys.session import iterations
from tests.journeys.sweeps import SETTINGS, results_of, rows_of, times, tune

SHORT, LONG = 2, 60
SWEEP = {
    "about": "two settings, of which one takes long",
    "set": SETTINGS,
    "settings": {"short": {"training.iterations": SHORT}, "long": {"training.lr": 1e-2}},
    "seeds": [0, 1],
    "iterations": LONG,
    "metric": "reward_mean",
}
POPULATION = {
    "about": "two members",
    "set": SETTINGS,
    "space": {"training.lr": {"log_uniform": [1e-4, 1e-2]}, "training.entropy_coefficient": {"uniform": [0.01, 0.1]}},
    "seeds": [0],
    "iterations": 100000,
    "metric": "reward_mean",
    "search": {"name": "random", "settings": 2},
    "scheduler": {"name": "population", "every": 3, "quantile": 0.5},
}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The directory and the log of a sweep whose driver was killed, and that was resumed to its end.

    Between the two, the last trial's configuration was spoilt, so that it fails.
    """
    cwd = tmp_path_factory.mktemp("sweep")
    (cwd / "tiny.yaml").write_text(yaml.safe_dump(SWEEP))
    directory = cwd / "out"
    trials = [directory / "trials" / setting / f"seed-{seed}" for seed in (0, 1) for setting in ("short", "long")]

    def ended() -> list[Path]:
        return [trial for trial in trials if (trial / "heldout.parquet").exists()]

    def halfway() -> bool:
        return bool(ended()) and any(len(iterations(trial)) >= 2 for trial in trials if trial not in ended())

    with tune(cwd, "tiny.yaml", "--run-dir", "out") as session:
        session.wait_until(halfway)
        session.kill()
    finished, last = ended(), trials[-1]
    assert last not in finished
    begun = [trial for trial in trials if trial not in finished and trial != last and iterations(trial)]
    saved = {trial: newest_checkpoint(trial)[1] if (trial / "checkpoints").exists() else 0 for trial in begun}
    rows = {trial: rows_of(trial) for trial in begun}
    untouched = {trial: times(trial) for trial in finished}
    last.mkdir(parents=True, exist_ok=True)
    config = json.loads((finished[0] / "config.json").read_text())
    (last / "config.json").write_text(json.dumps(config))

    with tune(cwd, "tiny.yaml", "--run-dir", "out", "--resume") as session:
        assert session.wait() == 1, session.log.read_text()
    assert {trial: times(trial) for trial in finished} == untouched, "a finished trial was run again (Ray #43266)"
    for trial in begun:
        kept = saved[trial]
        assert rows_of(trial)[:kept] == rows[trial][:kept], "it did not go on from its checkpoint"
    yield directory, session.log.read_text()


def test_every_trial_but_the_spoilt_one_has_all_its_iterations_once(resumed: tuple[Path, str]) -> None:
    directory, _ = resumed
    for name, count in (("short/seed-0", SHORT), ("short/seed-1", SHORT), ("long/seed-0", LONG)):
        run_dir = directory / "trials" / name
        assert iterations(run_dir) == list(range(1, count + 1))
        assert [row["episodes"] for row in rows_of(run_dir)] == [6 * k for k in range(1, count + 1)]
        config = from_json(run_dir / "config.json")
        assert (config.seed, config.training.iterations) == (int(name[-1]), count)


def test_a_trial_that_fails_is_named_and_the_others_go_on(resumed: tuple[Path, str]) -> None:
    directory, log = resumed
    table = results_of(directory)
    status = {(row["setting"], row["seed"]): row["status"] for row in table}
    assert status == {
        ("short", 0): "finished",
        ("long", 0): "finished",
        ("short", 1): "finished",
        ("long", 1): "failed",
    }
    (failed,) = [row for row in table if row["status"] == "failed"]
    sentence = "holds a run with another configuration; remove it"
    assert failed["error"].endswith(sentence) and failed["error"].count("\n") == 0
    assert f"failed: long/seed-1 after iteration {failed['iterations']}: {failed['error']}\n" in log
    assert (directory / "results.png").stat().st_size > 1000
    long = directory / "trials" / "long" / "seed-0"
    (row,) = [row for row in table if (row["setting"], row["seed"]) == ("long", 0)]
    assert row["iterations"] == LONG and row["seconds"] == rows_of(long)[-1]["seconds"]
    assert row["figure"] == pytest.approx(sum(one["reward_mean"] for one in rows_of(long)[-6:]) / 6)


def test_a_trial_is_a_run(resumed: tuple[Path, str], tmp_path: Path) -> None:
    run_dir = resumed[0] / "trials" / "short" / "seed-1"
    assert main(["diagnose", str(run_dir)]) == 0
    assert main(["export", str(run_dir), str(tmp_path / "policy")]) == 0
    assert (tmp_path / "policy" / "policy.safetensors").exists()
    assert any((run_dir / "tensorboard").iterdir())


def test_a_sweep_is_not_started_over_nor_resumed_as_another(
    resumed: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    directory, _ = resumed
    file = directory.parent / "tiny.yaml"
    assert main(["tune", str(file), "--run-dir", str(directory)]) == 2
    assert f"psparsity tune {file} --run-dir {directory} --resume" in capsys.readouterr().err
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**SWEEP, "iterations": LONG + 1}))
    assert main(["tune", str(other), "--run-dir", str(directory), "--resume"]) == 2
    assert "was started from another sweep than the file describes now; undo the change" in capsys.readouterr().err
    assert main(["tune", str(file), "--run-dir", str(tmp_path / "none"), "--resume"]) == 2
    assert "no sweep was started there; leave --resume out" in capsys.readouterr().err
    greedy = yaml.safe_dump({**SWEEP, "set": {**SETTINGS, "env_runners.count": 10_000}})
    other.write_text(greedy)
    assert main(["tune", str(other), "--run-dir", str(tmp_path / "new")]) == 2
    assert "a trial needs 10001 CPUs and 0 GPUs at once" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_member_that_takes_over_weights_keeps_its_own_rate_and_an_interrupt_keeps_everything(tmp_path: Path) -> None:
    """Ray #62173: after an exploit, the restored checkpoint's learning rate came back."""
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(POPULATION))
    out = tmp_path / "out"

    def exchanges() -> dict[Path, str]:
        """What the members took over that have trained on since."""
        notes = {note.parent: note.read_text() for note in (out / "trials").glob("*/seed-0/origin.json")}
        return {
            member: text
            for member, text in notes.items()
            if len(iterations(member)) > json.loads(text)["from"]["iteration"]
        }

    def interrupt(number: signal.Signals, enough: Callable[[], bool], *more: str) -> str:
        """Let the sweep go on until there is enough, and interrupt it; the log of it."""
        with tune(tmp_path, "tiny.yaml", "--run-dir", "out", *more) as session:
            session.wait_until(enough)
            if number == signal.SIGINT:
                os.killpg(session.process.pid, number)  # the terminal's Ctrl-C reaches all of the group
            else:
                session.process.send_signal(number)
            assert session.wait() == 128 + number, session.log.read_text()
        assert len(results_of(out)) == 2
        for member in exchanges():
            assert_whole(member)
        return session.log.read_text()

    log = interrupt(signal.SIGINT, lambda: bool(exchanges()))
    assert "interrupted; go on with: psparsity tune tiny.yaml --run-dir out --resume" in log
    before = exchanges()
    assert before
    reached = {member: len(rows_of(member)) for member in (out / "trials").glob("*/seed-0")}

    def went_on() -> bool:
        """Each member has trained on, and one took over weights that it had not."""
        further = all(len(iterations(member)) > count for member, count in reached.items())
        return further and any(text != before.get(member) for member, text in exchanges().items())

    interrupt(signal.SIGTERM, went_on, "--resume")


def assert_whole(member: Path) -> None:
    """Of a member that took over weights: no gap, no double row, everything saved, and its own values since then."""
    origin = json.loads((member / "origin.json").read_text())
    rows, taken = rows_of(member), origin["from"]["iteration"]
    assert [row["iteration"] for row in rows] == list(range(1, len(rows) + 1)), "a gap or a double row"
    assert newest_checkpoint(member)[1] == len(rows), "the last finished iteration is saved"
    for row in rows[taken:]:
        assert row["learning_rate"] == pytest.approx(origin["values"]["training.lr"])
        assert row["entropy_coefficient"] == pytest.approx(origin["values"]["training.entropy_coefficient"])
    own = rows[taken]["learning_rate"], rows[taken]["entropy_coefficient"]
    others = rows[taken - 1]["learning_rate"], rows[taken - 1]["entropy_coefficient"]
    assert own != pytest.approx(others), "nothing was changed, so nothing is tested"
    assert 1e-4 <= own[0] <= 1e-2 and 0.01 <= own[1] <= 0.1

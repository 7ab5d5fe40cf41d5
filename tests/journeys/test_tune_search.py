"""Sweeps by successive halving and by Optuna, through Ray Tune: killed and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from rllib_psparsity.config.load import from_json, load_config
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.policy.network import untrained_network
from tests.journeys.session import iterations
from tests.journeys.sweeps import SETTINGS, results_of, rows_of, times, tune

FAMILY = "anisotropic_diffusion_fd"
HARD = [{"family": FAMILY, "size": [24, 30], "parameters": {"epsilon": [0.001, 0.001], "theta": [0.5, 0.5]}}]
"""Slower than the others, so that they are at a rung first, and worse at every rung."""
GRACE, LONG = 2, 40
HALVING = {
    "about": "good and bad settings",
    "set": {**SETTINGS, "training.start_from": "start"},
    "settings": {
        "short": {"training.iterations": GRACE - 1},
        "good": {},
        "bad": {"problems.families": HARD},
        "late": {"problems.families": HARD, "training.lr": 1e-4},
    },
    "seeds": [0],
    "iterations": LONG,
    "metric": "work_per_digit_mean",
    "scheduler": {"name": "asha", "grace": GRACE, "reduction": 2},
}
OPTUNA = {
    "about": "three suggestions, two seeds each",
    "set": SETTINGS,
    "space": {"training.lr": {"log_uniform": [1e-4, 1e-2]}},
    "seeds": [0, 1],
    "iterations": 3,
    "metric": "reward_mean",
    "search": {"name": "optuna", "settings": 3},
}


def test_halving_stops_bad_trials_for_good(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(HALVING, sort_keys=False))
    # By a path that is relative to where the command is typed, as for a single training.
    config = load_config(overrides=[f"{key}={json.dumps(value)}" for key, value in SETTINGS.items()])
    save_policy(untrained_network(config.policy, 0), config.environment, tmp_path / "start", "a card")
    trials = tmp_path / "out" / "trials"
    short, good, bad, late = (trials / name / "seed-0" for name in HALVING["settings"])

    with tune(tmp_path, "tiny.yaml", "--run-dir", "out") as session:
        session.wait_until((bad / "stopped.json").exists)
        session.kill()
    assert (short / "heldout.parquet").exists() and len(iterations(good)) < LONG
    ended = {trial: times(trial) for trial in (short, bad)}

    with tune(tmp_path, "tiny.yaml", "--run-dir", "out", "--resume") as session:
        assert session.wait() == 0, session.log.read_text()
    assert {trial: times(trial) for trial in (short, bad)} == ended, "a trial that has ended was run again"
    results = {row["setting"]: row for row in results_of(tmp_path / "out")}
    assert {setting: row["status"] for setting, row in results.items()} == {
        "short": "finished",
        "good": "finished",
        "bad": "stopped",
        "late": "stopped",
    }
    assert GRACE <= results["bad"]["iterations"] < LONG and GRACE <= results["late"]["iterations"] < LONG
    assert iterations(good) == list(range(1, LONG + 1))
    assert json.loads((late / "stopped.json").read_text())["iteration"] == results["late"]["iterations"]
    assert "bad/seed-0 | stopped | " in session.log.read_text()


def test_optuna_goes_on_with_its_suggestions(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(OPTUNA))
    trials = tmp_path / "out" / "trials"

    def ended() -> list[Path]:
        return [file.parent for file in trials.glob("*/seed-*/heldout.parquet")]

    with tune(tmp_path, "tiny.yaml", "--run-dir", "out") as session:
        session.wait_until(lambda: len(ended()) >= 2)
        session.kill()
    finished = {trial: times(trial) for trial in ended()}
    begun = {trial: rows_of(trial) for trial in trials.glob("*/seed-*") if trial not in finished and iterations(trial)}
    assert len(finished) < 6

    with tune(tmp_path, "tiny.yaml", "--run-dir", "out", "--resume") as session:
        assert session.wait() == 0, session.log.read_text()
    assert {trial: times(trial) for trial in finished} == finished, "a trial that has ended was run again"
    results = results_of(tmp_path / "out")
    assert [row["status"] for row in results] == ["finished"] * 6
    directories = [trials / row["setting"] / f"seed-{row['seed']}" for row in results]
    assert sorted(trials.glob("*/seed-*")) == sorted(directories), "a suggestion was lost"
    assert set(finished) | set(begun) <= set(directories)
    for row, run_dir in zip(results, directories, strict=True):
        config = from_json(run_dir / "config.json")
        assert (config.seed, config.training.lr) == (row["seed"], json.loads(row["values"])["training.lr"])
        assert iterations(run_dir) == [1, 2, 3] and 1e-4 <= config.training.lr <= 1e-2
    rates = {row["setting"]: json.loads(row["values"])["training.lr"] for row in results}
    assert len(rates) == 3 == len(set(rates.values()))

"""Sweeps as YAML: all that ship are sound, and what is not is refused before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rllib_psparsity
from rllib_psparsity.cli import main
from rllib_psparsity.errors import InputError
from rllib_psparsity.sweep.definition import load_sweep, shipped_sweep
from rllib_psparsity.sweep.plan import bundles, number_of_trials, planned_trials, refuse_impossible

ROOT = Path(rllib_psparsity.__file__).parents[1]
SHIPPED = {
    "learning_rate": 4,
    "gradient_clip": 5,
    "entropy": 4,
    "batch_of_problems": 4,
    "baseline_momentum": 3,
    "temperature": 3,
    "backbone": 7,
    "random_search": 12,
    "optuna_search": 12,
    "population": 4,
}
"""Name -> how many settings."""

TEXT = """
about: a test
base: {study: base.yaml, variation: B}
set: {policy.width: 8}
settings:
  one: {training.lr: 1e-4}
  two: {training.lr: 1e-3, training.grad_clip: null}
seeds: [4, 5]
iterations: 7
metric: reward_mean
"""
SPACE = TEXT.replace("settings:", "space:").replace("one: {training.lr: 1e-4}", "training.lr: {log_uniform: [1e-4, 1]}")
SPACE = SPACE.replace("  two: {training.lr: 1e-3, training.grad_clip: null}\n", "")
POPULATION = SPACE.replace("[4, 5]", "[4]") + "search: {name: random, settings: 3}\nscheduler: {name: population}\n"


@pytest.fixture
def write(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("training: {gamma: 0.5}\nvariations: {B: {policy: {layers: 1}}}\n")

    def sweep(text: str) -> Path:
        (tmp_path / "tiny.yaml").write_text(text)
        return tmp_path / "tiny.yaml"

    return sweep


def test_a_trial_is_the_base_then_set_then_its_setting_then_its_seed(write) -> None:
    sweep, base = load_sweep(write(TEXT))
    trials = planned_trials(sweep)
    assert [trial.name for trial in trials] == ["one/seed-4", "two/seed-4", "one/seed-5", "two/seed-5"]
    config = trials[3].config(base)
    assert (config.seed, config.training.lr, config.training.grad_clip, config.policy.width) == (5, 1e-3, None, 8)
    assert (config.training.gamma, config.policy.layers, config.training.iterations) == (0.5, 1, 7)
    assert trials[0].config(base).training.grad_clip is not None


def test_draws_are_within_their_range_and_the_same_every_time(write) -> None:
    text = SPACE + "search: {name: random, settings: 20}\n"
    trials = planned_trials(load_sweep(write(text))[0])
    assert trials == planned_trials(load_sweep(write(text))[0])
    assert len(trials) == 40 and len({trial.name for trial in trials}) == 40
    values = {trial.values["training.lr"] for trial in trials}
    assert len(values) == 20 and all(1e-4 <= value <= 1 for value in values)
    assert sum(value < 1e-2 for value in values) > 4, "not uniform in the logarithm"
    assert trials[0].values == trials[20].values and trials[0].seed != trials[20].seed


RANDOM = "search: {name: random, settings: 3}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT.replace("training.lr: 1e-3", "training.lrr: 1e-3"), "settings.two: unknown key 'training.lrr'; the "
         "nearest valid key is 'training.lr'"),
        (TEXT.replace("policy.width", "policy.witdh"), "base and set: unknown key 'policy.witdh'; the nearest"),
        (TEXT.replace("lr: 1e-3", "lr: -1.0"), "settings.two: training.lr is -1.0, but must be greater than 0"),
        (TEXT.replace("seeds:", "sedes:"), "unknown key 'sedes'; the nearest valid key is 'seeds'"),
        (TEXT.replace("reward_mean", "rewad_mean"), "is no figure with a good direction; the nearest one is "
         "'reward_mean'"),
        (TEXT.replace("[4, 5]", "[4, 4]"), "seeds [4, 4] names a seed twice"),
        (TEXT.replace("  one:", "  on/e:"), "settings: 'on/e' names a directory"),
        (TEXT.replace("policy.width: 8", "seed: 8"), "seed is set; give the seeds under seeds"),
        (TEXT + "search: {name: optuna, settings: 3}\n", "search optuna needs space and no settings"),
        (SPACE, "search grid needs settings and no space"),
        (SPACE.replace("[1e-4, 1]", "[0, 1]") + RANDOM, "log_uniform goes from 0 to 1"),
        (SPACE.replace("lr: {log_uniform: [1e-4, 1]}", "lr_factor: {uniform: [0.5, 2]}") + RANDOM, "space.training."
         "lr_factor: training.lr_factor is 2.0"),
        (POPULATION.replace("[4]", "[4, 5]"), "scheduler population needs search random and one seed"),
        (POPULATION.replace("training.lr:", "training.lr_factor:"), "space: training.lr_factor cannot change while"),
        (TEXT.replace("reward_mean", "heldout_solved") + "scheduler: {name: asha}\n", "asha needs a metric of every"),
    ],
)  # fmt: skip
def test_mistakes_are_named(write, text: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        load_sweep(write(text))
    assert sentence in str(refusal.value)


def test_all_sweeps_ship_with_the_settings_of_the_document() -> None:
    assert {path.stem for path in (ROOT / "tune_configs").glob("*.yaml")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sweeps_resolve_to_distinct_trials(name: str) -> None:
    sweep, base = load_sweep(shipped_sweep(name))
    trials = planned_trials(sweep)
    refuse_impossible(base, trials)
    assert number_of_trials(sweep) == SHIPPED[name] * len(sweep.seeds)
    configs = [trial.config(base) for trial in trials]
    assert len({config.model_dump_json() for config in configs}) == len(trials)
    assert len(trials) == (0 if name == "optuna_search" else number_of_trials(sweep))
    assert all(bundles(config) == [{"CPU": 1.0}] for config in configs), "two side by side on two cores"
    assert name == "population" or len(sweep.seeds) > 1
    assert sweep.search.name != "grid" or len(sweep.seeds) >= 3


def test_the_settings_are_those_of_the_document() -> None:
    def values(name: str, key: str) -> list:
        return [setting.get(key) for setting in load_sweep(shipped_sweep(name))[0].settings.values()]

    assert values("learning_rate", "training.lr") == [1e-4, 5e-4, 1e-3, 5e-3]
    assert values("gradient_clip", "training.grad_clip") == [0.5, 1.0, 5.0, 10.0, None]
    assert values("entropy", "training.entropy_coefficient") == [0.01, 0.05, 0.1, None]
    assert values("baseline_momentum", "training.baseline.momentum") == [0.9, 0.95, 0.99]
    sweep, base = load_sweep(shipped_sweep("batch_of_problems"))
    updates = [trial.config(base).training for trial in planned_trials(sweep)]
    episodes = [one.iterations * one.episodes_per_iteration for one in updates]
    assert max(episodes) <= min(episodes) + 8, "all settings see the same number of episodes"


def test_a_dry_run_prints_trials_and_resources_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from rllib_psparsity.cli import main\n"
        "code = main(['tune', 'learning_rate', '--dry-run'])\n"
        "assert not {'ray', 'torch', 'gymnasium'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "12 trials of 1 CPUs and 0 GPUs each" and len(lines) == 15
    assert "5e-4/seed-1: 120 iterations, 1 CPUs and 0 GPUs: training.lr=0.0005" in lines
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "none.yaml"]) == 2
    assert capsys.readouterr().err == "psparsity: none.yaml does not exist; name a file that does\n"

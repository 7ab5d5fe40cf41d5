"""Which trials can be placed on which nodes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from rllib_psparsity.cli import main
from rllib_psparsity.errors import InputError
from rllib_psparsity.sweep import run
from rllib_psparsity.sweep.definition import load_sweep
from rllib_psparsity.sweep.plan import bundles, configurations, distinct_bundles, planned_trials, refuse_unplaceable
from tests.environment.tiny import tiny_config


def test_a_trial_needs_its_driver_runners_and_learners() -> None:
    assert bundles(tiny_config()) == [{"CPU": 1.0}]
    assert bundles(tiny_config("env_runners.count=2")) == [{"CPU": 1.0}] * 3
    assert bundles(tiny_config("learner.gpus=1")) == [{"CPU": 1.0, "GPU": 1.0}]
    remote = bundles(tiny_config("learner.count=2", "learner.gpus=0.5"))
    assert remote == [{"CPU": 1.0}, {"CPU": 1.0, "GPU": 0.5}, {"CPU": 1.0, "GPU": 0.5}]


@pytest.mark.parametrize(
    ("settings", "nodes", "fits"),
    [
        (["env_runners.count=1"], [{"CPU": 2.0}], True),
        (["env_runners.count=2"], [{"CPU": 2.0}], False),
        (["env_runners.count=2"], [{"CPU": 1.0}] * 3, True),
        (["env_runners.count=2"], [{"CPU": 1.5}] * 2, False),
        (["learner.gpus=1"], [{"CPU": 8.0}], False),
        (["learner.gpus=1"], [{"CPU": 8.0}, {"CPU": 0.5, "GPU": 1.0}], False),
        (["learner.gpus=1", "env_runners.count=1"], [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}], True),
    ],
)
def test_what_can_never_be_placed_is_refused(settings: list[str], nodes: list[dict[str, float]], fits: bool) -> None:
    needed = bundles(tiny_config(*settings))
    if fits:
        refuse_unplaceable(needed, nodes)
    else:
        with pytest.raises(InputError, match=r"a trial needs .* at once, but the .* have .*; set env_runners.count: 0"):
            refuse_unplaceable(needed, nodes)
    assert all(count >= 0 for node in nodes for count in node.values()), "the nodes are not used up"


CPU, GPU = {"CPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}
SWEEP = {
    "about": "a test",
    "set": {"env_runners.count": 1, "problems.heldout_problems": 1},
    "settings": {"cpu": {"env_runners.count": 1}, "gpu": {"env_runners.count": 0, "learner.gpus": 1}},
    "seeds": [0, 1],
    "iterations": 1,
    "metric": "reward_mean",
}
OPTUNA = {key: value for key, value in SWEEP.items() if key != "settings"} | {
    "space": {
        "training.lr": {"log_uniform": [1e-4, 1e-2]},
        "env_runners.count": {"choice": [0, 2]},
        "learner.gpus": {"uniform": [0, 1]},
    },
    "search": {"name": "optuna", "settings": 3},
}


@pytest.mark.parametrize(
    ("sweep", "kinds", "last_line"),
    [
        (SWEEP, [[CPU, CPU], [GPU]], "2 trials of 2 CPUs and 0 GPUs each, 2 trials of 1 CPUs and 1 GPUs each"),
        (
            OPTUNA,
            [[CPU], [GPU], [CPU, CPU, CPU], [GPU, CPU, CPU]],
            "6 trials of 1 CPUs and 0 GPUs or 1 CPUs and 1 GPUs or 3 CPUs and 0 GPUs or 3 CPUs and 1 GPUs each",
        ),
    ],
)
def test_every_kind_of_trial_is_placed_and_shown(
    sweep: dict,
    kinds: list,
    last_line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep))
    loaded, base = load_sweep(file)
    assert distinct_bundles(configurations(loaded, base, planned_trials(loaded))) == kinds
    assert main(["tune", str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == last_line

    # Tune would wait without a word for the GPU of one setting.
    waited: list = []
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}]
    monkeypatch.setattr(run, "ray_session", lambda **_: nullcontext())
    monkeypatch.setattr(run, "await_nodes", lambda needed, patience: waited.append(needed))
    monkeypatch.setattr(run.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(run.os, "cpu_count", lambda: 4)
    with pytest.raises(
        InputError, match=r"a trial needs 1 CPUs and 1 GPUs at once, but the 1 node\(s\) here have 4 CPUs"
    ):
        run.run_sweep(loaded, base, file, tmp_path / "out")
    assert waited == kinds[:2] and not (tmp_path / "out").exists()


def test_storage_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "learning_rate", "--run-dir", "s3://bucket/sweeps/first"]) == 2
    assert capsys.readouterr().err == (
        "psparsity: --run-dir s3://bucket/sweeps/first is a URI, but a sweep needs a directory that all nodes see; "
        "name one on a file system that they share, such as /shared/sweeps/first\n"
    )
    assert not list(tmp_path.iterdir())

"""A run that starts from an exported policy: learner and runners have its weights, a resume has the checkpoint's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_psparsity import cli, load_policy
from rllib_psparsity.deploy.artifact import save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.network import untrained_network
from rllib_psparsity.training.checkpoint import newest_checkpoint
from rllib_psparsity.training.inference_module import NETWORK
from rllib_psparsity.training.session import TrainingSession
from rllib_psparsity.training.starting_weights import starting_weights
from tests.environment.tiny import tiny_config
from tests.training.test_algorithm import weights

SETTINGS = ("training.iterations=2", "checkpoint.every=1", "policy.temperature.initial=0.7")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An exported policy of the tests' network, with other weights than a run starts from."""
    config = tiny_config("seed=77")
    save_policy(untrained_network(config.policy, config.seed), config.environment, tmp_path / "other", "# other")
    return tmp_path / "other"


def test_learner_and_runners_start_from_it_and_a_resume_does_not(local_ray: None, other: Path, tmp_path: Path) -> None:
    config = tiny_config(*SETTINGS, f"training.start_from={other}")
    expected = load_policy(other).inference.weights() | {"temperature": np.float32(0.7)}
    with TrainingSession(config, tmp_path / "run") as session:
        ours = weights(session._algorithm)
        assert ours.keys() == expected.keys()
        assert all(np.array_equal(ours[name].numpy(), expected[name]) for name in expected)
        runner = session._algorithm.env_runner.module.get_state()
        assert all(np.array_equal(runner[NETWORK + name], expected[name]) for name in expected)
        session.step()
        learned = weights(session._algorithm)
    assert any(not np.array_equal(learned[name].numpy(), expected[name]) for name in expected)
    for file in other.iterdir():  # a resume does without
        file.unlink()
    checkpoint, iteration, _ = newest_checkpoint(tmp_path / "run")
    with TrainingSession(config, tmp_path / "run", checkpoint, iteration) as session:
        resumed = weights(session._algorithm)
    assert all(np.array_equal(resumed[name].numpy(), learned[name].numpy()) for name in learned)


def test_what_it_starts_from_stays_its_teacher(local_ray: None, other: Path, tmp_path: Path) -> None:
    config = tiny_config(*SETTINGS, f"training.start_from={other}", "training.kickstart_coefficient=0.5")
    expected = load_policy(other).inference.weights() | {"temperature": np.float32(0.7)}

    def teacher(session: TrainingSession) -> dict[str, np.ndarray]:
        (told,) = session._algorithm.learner_group.foreach_learner(lambda learner: learner.teacher.state_dict())
        return {name: tensor.numpy() for name, tensor in told.get().items()}

    def is_expected(told: dict[str, np.ndarray]) -> bool:
        return told.keys() == expected.keys() and all(np.array_equal(told[name], expected[name]) for name in expected)

    with TrainingSession(config, tmp_path / "run") as session:
        session.step()
        assert is_expected(teacher(session))
        checkpoint, iteration, _ = newest_checkpoint(tmp_path / "run")
        session.step()
        unbroken = weights(session._algorithm)
    for file in other.iterdir():  # the checkpoint has it
        file.unlink()
    with TrainingSession(config, tmp_path / "run", checkpoint, iteration) as session:
        assert is_expected(teacher(session))
        session.step()
        resumed = weights(session._algorithm)
    assert all(np.array_equal(resumed[name].numpy(), unbroken[name].numpy()) for name in unbroken)


def test_a_teacher_holds_the_policy_back(local_ray: None, other: Path, tmp_path: Path) -> None:
    def divergence(coefficient: float) -> float:
        config = tiny_config(*SETTINGS, f"training.start_from={other}", f"training.kickstart_coefficient={coefficient}")
        with TrainingSession(config, tmp_path / str(coefficient)) as session:
            results = [session._algorithm.train() for _ in range(3)]
        return results[-1]["learners"][DEFAULT_MODULE_ID]["kickstart_divergence"]

    free, held = divergence(1e-9), divergence(100.0)
    assert 0.0 < held < 0.5 * free


def test_a_run_starts_from_nothing_by_default() -> None:
    assert starting_weights(tiny_config()) is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("policy.width=6", "policy.width 8, but this run has 6; set policy.width"),
        ("policy.recipes=[sa/jacobi/evolution]", "this run has [sa/jacobi/evolution]; set policy.recipes"),
        ("policy.prior=false", "policy.prior True, but this run has False; set policy.prior"),
        ("policy.standardise=false", "policy.standardise True, but this run has False; set policy.standardise"),
    ],
)
def test_another_network_is_refused(other: Path, override: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        starting_weights(tiny_config(override, f"training.start_from={other}"))
    assert said in str(error.value)


def test_the_command_refuses_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "run"
    arguments = ["train", "--run-dir", str(run_dir), "--set", "training.start_from=nowhere"]
    assert cli.main(arguments) == 2
    assert "policy 'nowhere' is neither a shipped policy" in capsys.readouterr().err
    assert not run_dir.exists()


def test_the_configuration_of_a_shipped_policy_can_go_on_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = load_policy("many_solves").config
    settings = ["training.start_from=many_solves", f"policy.recipes=[{', '.join(shipped.recipes)}]"]
    settings += [f"policy.{key}={getattr(shipped, key)}" for key in ("network", "width", "layers", "standardise")]
    assert cli.main(["train", "--dry-run", *(word for setting in settings for word in ("--set", setting))]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[: shown.rindex("}") + 1])["training"]["start_from"] == "many_solves"

"""Names from other packages: found where a configuration says them, refused in one sentence where they cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.cli import main
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import REWARD_NAMES, PolicyConfig, ProblemsConfig, RewardConfig
from rllib_psparsity.deploy import load_policy, save_policy
from rllib_psparsity.environment.rewards import REWARDS, make_reward
from rllib_psparsity.errors import InputError
from rllib_psparsity.extensions import registered
from rllib_psparsity.policy.backbones import make_encoder
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.problems.distribution import ProblemDistribution
from tests.extensions.conftest import EXAMPLE, PACKAGE, register


def distribution(family: str) -> ProblemDistribution:
    problems = {"families": [{"family": family, "size": [4, 6]}]}
    return ProblemDistribution(ProblemsConfig.model_validate(problems), 0)


def test_a_configuration_knows_every_built_in_reward():
    assert tuple(REWARDS) == REWARD_NAMES


def test_names_are_known_without_importing_anything(installed, capsys):
    assert registered("families") == ("checkerboard",)
    assert registered("rewards") == ("convergence_rate",)
    assert registered("backbones") == ("gated",)
    assert main(["info"]) == 0
    rows = {line.partition("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "checkerboard" in rows["families"] and "jump_diffusion" in rows["families"]
    assert "convergence_rate" in rows["rewards"] and "gated" in rows["backbones"]
    assert PACKAGE not in sys.modules


def test_the_examples_study_is_a_valid_configuration(installed):
    config = load_config(EXAMPLE / "study.yaml")
    assert (config.reward.name, config.policy.backbone) == ("convergence_rate", "gated")
    drawn = ProblemDistribution(config.problems, config.seed)
    assert {drawn.training(i).family for i in range(20)} == {"checkerboard", "anisotropic_diffusion_fd"}
    assert make_reward(config.reward).floor < 0


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("policy.backbone=gate", "use the nearest, 'gated', or install"),
        ("reward.name=convergence", "use the nearest, 'convergence_rate', or install"),
    ],
)
def test_a_misspelt_name_finds_the_registered_one(installed, override, sentence):
    with pytest.raises(InputError, match=sentence):
        load_config(overrides=[override])


def test_a_misspelt_family_finds_the_registered_one(installed):
    with pytest.raises(InputError, match="did you mean 'checkerboard'"):
        distribution("chekerboard")


def test_what_is_not_installed_is_refused_before_any_work(capsys, tmp_path):
    run_dir = tmp_path / "run"
    assert main(["train", "--run-dir", str(run_dir), "--set", "reward.name=convergence_rate"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "there is no reward 'convergence_rate'" in line and "install the package that registers it" in line
    assert not run_dir.exists()


def test_a_policy_whose_backbone_is_not_installed_is_refused_in_one_sentence(site, tmp_path, monkeypatch):
    with monkeypatch.context() as installation:
        gone = tmp_path / "gone"
        register(gone, "gone", {"rllib_psparsity.extensions.backbones": {"sparse_twin": "twin:SparseEncoder"}})
        (gone / "twin.py").write_text("from rllib_psparsity.policy.sparse import SparseEncoder\n")
        installation.syspath_prepend(gone)
        policy = SparsifierPolicy(PolicyConfig(backbone="sparse_twin", width=8, layers=1))
        save_policy(policy, Limits(), tmp_path / "policy", "")
        assert load_policy(tmp_path / "policy").config.backbone == "sparse_twin"
    with pytest.raises(InputError, match=r"there is no backbone 'sparse_twin'.*install the package") as refusal:
        load_policy(tmp_path / "policy")
    assert str(refusal.value).count(";") == 1


def module(site: Path, kind: str, content: str) -> None:
    """Register `thing` of a module with this content."""
    (site / "broken.py").write_text(content)
    register(site, "broken", {f"rllib_psparsity.extensions.{kind}": {"thing": "broken:thing"}})


def test_a_package_that_cannot_be_imported_is_named(site):
    module(site, "rewards", "import a_module_that_nobody_has\n")
    with pytest.raises(
        InputError, match=r"reward\.name: the reward 'thing' cannot be imported from broken:thing \(Mod"
    ):
        load_config(overrides=["reward.name=thing"])


def test_two_packages_with_the_same_name_are_named(site):
    module(site, "rewards", "thing = 3\n")
    register(site, "another", {"rllib_psparsity.extensions.rewards": {"thing": "broken:thing"}})
    with pytest.raises(InputError, match="the reward 'thing' is registered by another and broken; uninstall"):
        load_config(overrides=["reward.name=thing"])


def test_a_built_in_name_is_never_replaced(site):
    module(site, "backbones", "raise AssertionError\n")
    register(site, "shadow", {"rllib_psparsity.extensions.backbones": {"sparse": "broken:thing"}})
    assert type(make_encoder(PolicyConfig(backbone="sparse").backbone, 3, 2, 8, 1)).__name__ == "SparseEncoder"


@pytest.mark.parametrize(
    ("kind", "content", "use", "sentence"),
    [
        ("families", "thing = 3", lambda: distribution("thing"), "is int, not a Family"),
        (
            "families",
            "from rllib_psparsity.problems.families import FAMILIES\nthing = FAMILIES['elasticity']",
            lambda: distribution("thing"),
            "calls itself 'elasticity'",
        ),
        (
            "rewards",
            "class thing:\n    def __init__(self, k): pass",
            lambda: make_reward(RewardConfig(name="thing")),
            "has no",
        ),
        ("backbones", "thing = lambda *sizes: 3", lambda: make_encoder("thing", 3, 2, 8, 1), "makes a int, not an Enc"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(site, kind, content, use, sentence):
    module(site, kind, content)
    with pytest.raises(InputError, match=f"'thing' {sentence}.*; mend the package that registers it"):
        use()

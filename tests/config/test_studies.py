from __future__ import annotations

import math
from pathlib import Path

import pytest

from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config
from rllib_psparsity.config.studies import study_path
from rllib_psparsity.config.yaml_text import parse_yaml, read_text
from rllib_psparsity.problems.distribution import ProblemDistribution
from studies.definition import is_study

STUDIES = [path for path in sorted(study_path("default").parent.glob("*.yaml")) if not is_study(path)]
"""Those for `psparsity train`; what has arms is for `python -m studies.run`, see tests/studies."""


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_resolves_in_every_variation(path: Path) -> None:
    content = parse_yaml(read_text(path), str(path))
    assert isinstance(content, dict)
    for variation in (None, *content.get("variations", {})):
        config = load_config(path, variation)
        ProblemDistribution(config.problems, config.seed)


def test_the_default_study_is_the_defaults_and_names_every_key() -> None:
    path = study_path("default")
    assert load_config(path) == Config()
    assert parse_yaml(read_text(path), str(path)) == load_config().model_dump(mode="json", by_alias=True)


def test_the_triage_study_is_that_of_the_document() -> None:
    for variation, grid in (("A", 128), ("B", 32), (None, 32)):
        config = load_config(study_path("triage"), variation)
        (family,) = config.problems.families
        assert family.family == "anisotropic_diffusion_fd"
        assert family.size == (grid, grid)
        assert family.parameters == {"epsilon": (0.001, 0.5), "theta": (0.0, 2 * math.pi)}
        assert config.problems.training_problems == 150
        assert config.reward.name == "energy_reduction"


def test_the_predecessor_is_that_of_the_document() -> None:
    config = load_config(study_path("predecessor"))
    triage = load_config(study_path("triage"), "B")
    assert config.problems == triage.problems and config.reward.name == triage.reward.name
    assert config.environment.max_levels == 2
    assert (config.policy.action, config.policy.k, config.policy.backbone) == ("top_k", 5, "gat")
    assert (config.training.algorithm, config.training.grad_clip, config.entropy.detach) == ("reinforce", 1.0, True)
    baseline, temperature = config.training.baseline, config.policy.temperature
    assert (baseline.momentum, baseline.variance_momentum, baseline.normalise, baseline.warm_up) == (
        0.95,
        0.99,
        True,
        100,
    )
    epoch = config.problems.training_problems // config.training.episodes_per_iteration
    assert (temperature.initial, temperature.floor) == (0.9, 0.5)
    assert 0.9 * temperature.factor ** (3 * epoch) < 0.5  # the whole schedule, in the three epochs of the run
    assert config.training.iterations == 3 * epoch


def test_a_variation_without_a_file_is_one_of_the_triage_study() -> None:
    assert load_config(None, "A") == load_config(study_path("triage"), "A")

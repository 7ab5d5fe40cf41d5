"""Studies as YAML: inheritance, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rllib_psparsity.config.load import load_config
from rllib_psparsity.errors import InputError
from studies.definition import Study, is_study, load_study
from studies.results_file import STUDIES
from studies.triage import ITEMS

SHIPPED = [path for path in sorted(STUDIES.glob("*.yaml")) if is_study(path)]

TEXT = """
about: a test
base: {config: base.yaml, variation: B, set: {training.lr: 1e-4, policy.width: 8}}
seeds: [4, 5]
arms:
  first: {about: one, triage: [T1], set: {policy.width: 4}}
  second: {from: first, set: {training.grad_clip: null, policy.temperature: {initial: 0.9, factor: 1.0, floor: 0.5}}}
"""


@pytest.fixture
def write(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("training: {gamma: 0.5}\nvariations: {B: {training: {iterations: 7}}}\n")

    def study(text: str) -> Path:
        (tmp_path / "tiny.yaml").write_text(text)
        return tmp_path / "tiny.yaml"

    return study


def test_an_arm_is_the_base_then_its_ancestors_then_itself(write) -> None:
    study = load_study(write(TEXT))
    first, second = study.arms
    assert (study.name, study.seeds, first.triage) == ("tiny", (4, 5), ("T1",))
    config = study.config(second, 5)
    assert (config.seed, config.training.lr, config.policy.width, config.training.grad_clip) == (5, 1e-4, 4, None)
    assert (config.training.gamma, config.training.iterations) == (0.5, 7)
    assert config.policy.temperature.initial == 0.9
    assert study.config(first, 4).training.grad_clip is not None


def test_the_options_are_those_that_train_takes(write) -> None:
    study = load_study(write(TEXT))
    options = study.options(study.arms[1], 5)
    assert options[:4] == ["--config", str(study.arms[1].file), "--variation", "B"]
    texts = [word for word in options[4:] if word != "--set"]
    assert load_config(study.arms[1].file, "B", texts) == study.config(study.arms[1], 5)


def test_an_arm_may_have_a_base_of_its_own_which_its_descendants_share(write) -> None:
    own = "  second: {base: {set: {training.gamma: 0.75}}, set: {policy.width: 6}}\n  third: {from: second}\n"
    study = load_study(write(TEXT[: TEXT.index("  second")] + own))
    first, second, third = (study.config(arm, 5) for arm in study.arms)
    assert (first.training.gamma, first.training.iterations, first.policy.width) == (0.5, 7, 4)
    assert second == third == load_config(None, None, ["training.gamma=0.75", "policy.width=6", "seed=5"])


def test_an_arm_may_name_the_run_of_the_same_seed(write) -> None:
    study = load_study(write(TEXT + '  third: {set: {training.start_from: "runs/B/seed-{seed}"}}\n'))
    starts = [study.config(study.arms[2], seed).training.start_from for seed in study.seeds]
    assert starts == ["runs/B/seed-4", "runs/B/seed-5"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("policy.width: 4", "policy.widht: 4", "arm 'first': unknown key 'policy.widht'"),
        ("policy.width: 4", "policy.width: 0", "arm 'first': policy.width is 0, but must be at least 2"),
        ("about: one", "abuot: one", "arms.first has the unknown key 'abuot'; the keys are about, triage, from, base,"),
        ("from: first", "from: first, base: {}", "arms.second has both from and base; it can start from only one"),
        ("about: one", "base: {confg: a}", "base of first has the unknown key 'confg'; the keys are config, variation"),
        ("from: first", "from: third", "arms.second.from names 'third', not another arm; take one of first, second"),
        ("about: one", "from: second", "arms.second.from names 'first', not another arm; take one of first, second"),
        ("seeds: [4, 5]", "seeds: 4", "seeds is 4, but must be a list of whole numbers such as [0, 1, 2]"),
        ("  first:", "  fi/rst:", "the arm 'fi/rst' names a directory; use letters, digits, spaces and , . + - _"),
        ("variation: B", "variation: C", "--variation C"),
    ],
)
def test_mistakes_are_named(write, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        load_study(write(TEXT.replace(old, new)))
    assert sentence in str(refusal.value)


def test_other_files_are_no_studies() -> None:
    assert not any(is_study(STUDIES / f"{name}.yaml") for name in ("default", "triage", "predecessor", "shipped"))
    assert {"cures", "sweeps", "variation_a", "variation_b"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_resolve(path: Path) -> None:
    study = load_study(path)
    configs = [study.config(arm, study.seeds[0]) for arm in study.arms]
    assert len(study.seeds) >= 3 and len({config.model_dump_json() for config in configs}) == len(configs)


@pytest.mark.parametrize("name", ["variation_a", "variation_b"])
def test_variations_have_five_seeds_and_both_rewards(name: str) -> None:
    study = load_study(STUDIES / f"{name}.yaml")
    assert len(study.seeds) == 5
    rewards = {arm.name: study.config(arm, 0).reward.name for arm in study.arms}
    for setting in ("document", "multilevel", "from nothing"):
        assert rewards[f"{setting}, energy"] == "energy_reduction"
        assert rewards[f"{setting}, work"] == "work_per_digit"
    assert study.config(study.arms[0], 0).environment.max_levels == 2


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_arms_name_rows_of_the_triage_document(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "config", lambda *_: None)
    names = {item.name for item in ITEMS}
    for arm in load_study(path).arms:
        assert set(arm.triage) <= names and arm.about

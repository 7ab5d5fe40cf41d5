from __future__ import annotations

import json
from pathlib import Path

import pytest

from rllib_psparsity.config.load import from_json, load_config, resolved_json
from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError


def study(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(*arguments: object) -> str:
    with pytest.raises(InputError) as error:
        load_config(*arguments)  # pyright: ignore[reportArgumentType]
    return str(error.value)


def refused_override(*overrides: str) -> str:
    return refusal(None, None, overrides)


def test_without_anything_the_defaults() -> None:
    assert load_config() == Config()


def test_precedence(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        """
training: {lr: 1e-4, epochs: 3, gamma: 0.9}
variations:
  A: {training: {epochs: 5, gamma: 0.8}}
""",
    )
    base = load_config(path)
    assert (base.training.lr, base.training.epochs, base.training.gamma, base.training.clip) == (1e-4, 3, 0.9, 0.2)
    varied = load_config(path, "A", ["training.gamma=0.7"])
    assert (varied.training.lr, varied.training.epochs, varied.training.gamma) == (1e-4, 5, 0.7)
    assert load_config(path, "A", ["seed=1", "seed=2"]).seed == 2


def test_lists_are_replaced_whole_and_mappings_merged(tmp_path: Path) -> None:
    path = study(tmp_path, "problems: {families: [{family: elasticity}]}\npolicy: {temperature: {floor: 0.1}}")
    config = load_config(path)
    assert [family.family for family in config.problems.families] == ["elasticity"]
    assert config.policy.temperature.floor == 0.1
    assert config.policy.temperature.initial == 0.2
    assert config.problems.heldout_problems == Config().problems.heldout_problems


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.lr=1e-4", 1e-4),
        ("training.lr = 1E-2", 1e-2),
        ("training.lr=1", 1.0),
        ("training.grad_clip=null", None),
        ("training.lambda=.5", 0.5),
        ("entropy.detach=true", True),
        ("policy.recipes=[sa/energy1/symmetric]", ("sa/energy1/symmetric",)),
        ("problems.families.0.weight=7", 7.0),
        ("problems.families.1.parameters.epsilon=[1e-3, 0.5]", (1e-3, 0.5)),
    ],
)
def test_overrides(override: str, value: object) -> None:
    config: object = load_config(None, None, [override])
    for part in override.split("=")[0].strip().replace("lambda", "lambda_").split("."):
        if part.isdecimal():
            config = config[int(part)]  # pyright: ignore
        else:
            config = config[part] if isinstance(config, dict) else getattr(config, part)
    assert config == value
    assert type(config) is type(value)


def test_a_list_can_be_set_whole() -> None:
    config = load_config(None, None, ["problems.families=[{family: elasticity, size: [8, 12]}]"])
    assert [(member.family, member.size) for member in config.problems.families] == [("elasticity", (8, 12))]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["lr=1"], "unknown key 'lr'; the nearest valid key is 'training.lr'"),
        (["trainin.lr=1"], "unknown key 'trainin.lr'; the nearest valid key is 'training.lr'"),
        (
            ["problems.families.0.weigth=1"],
            "unknown key 'problems.families.0.weigth'; the nearest valid key is 'problems.families.0.weight'",
        ),
        (["seed=x"], 'seed is "x", but must be a whole number'),
        (["seed=1.5"], "seed is 1.5, but must be a whole number"),
        (["seed=true"], "seed is true, but must be a whole number"),
        (["seed=null"], "seed is null, but must be a whole number"),
        (["seed=-1"], "seed is -1, but must be at least 0"),
        (["training.lr=fast"], 'training.lr is "fast", but must be a number'),
        (["training.lr='1e-4'"], 'training.lr is "1e-4", but must be a number'),
        (["training.lr=-1e-4"], "training.lr is -0.0001, but must be greater than 0"),
        (["training.lr=.nan"], "training.lr is NaN, but must be a finite number"),
        (["training.lambda=2"], "training.lambda is 2, but must be at most 1"),
        (["environment.stall_ratio=1"], "environment.stall_ratio is 1, but must be less than 1"),
        (["reward.shaping=1"], "reward.shaping is 1, but must be true or false"),
        (
            ["policy.backbone=gatt"],
            "policy.backbone: there is no backbone 'gatt': it is not one of sparse, gat, gcn, sage, gin, and no "
            "installed package registers it; use the nearest, 'gat', or install the package that registers it",
        ),
        (
            ["reward.solves_per_setup=3"],
            "reward: solves_per_setup is 3, but pcg_iterations does not pay for set-ups; set it to 1, or "
            "reward.name to total_work",
        ),
        (["policy=3"], "policy is 3, but must be a mapping of keys to values"),
        (["problems.families=4"], "problems.families is 4, but must be a list"),
        (["problems.families=[]"], "problems.families is [], but must be a list of 1 or more elements"),
        (["problems.families.0.family=3"], "problems.families.0.family is 3, but must be a text"),
        (
            ["problems.families.0.parameters=3"],
            "problems.families.0.parameters is 3, but must be a mapping of keys to values",
        ),
        (
            ["problems.families.0.size=[1, 2, 3]"],
            "problems.families.0.size is [1, 2, 3], but must be a list of 2 or fewer elements",
        ),
        (["problems.families=[{weight: 2}]"], "problems.families.0.family is missing; give it a value"),
        (
            ["policy.recipes=[a/b/c]"],
            "policy: recipe 'a/b/c': coarsening 'a' is not one of sa, rootnode, classical",
        ),
        (
            ["training.algorithm=a2c", "training.epochs=3"],
            "training: epochs is 3, but a2c learns from an episode once, since a second pass would be off-policy; "
            "set epochs to 1 or algorithm to ppo",
        ),
        (
            ["training.algorithm=reinforce"],
            "training: overlap is true, but reinforce learns from episodes of the newest policy, and these would be of "
            "the one before; set overlap to false or algorithm to ppo",
        ),
        (
            ["training.kickstart_coefficient=0.05"],
            "training: kickstart_coefficient is 0.05, but start_from is null, and there is no policy to stay close to; "
            "set it to 0, or start_from to a policy",
        ),
        (
            ["training.sibling_baseline=true", "training.rollouts_per_problem=1"],
            "training: sibling_baseline is true, but a problem has one rollout; set it to false, or "
            "rollouts_per_problem to 2 or more and algorithm to ppo or a2c",
        ),
        (
            ["training.sibling_baseline=true", "training.algorithm=reinforce"],
            "training: sibling_baseline is true, but reinforce has a moving baseline; set it to false, or "
            "rollouts_per_problem to 2 or more and algorithm to ppo or a2c",
        ),
        (
            ["training.algorithm=sac"],
            "training.algorithm is \"sac\", but must be one of 'ppo', 'a2c' or 'reinforce'",
        ),
        (
            ["training.likelihood=softmax_over_edges"],
            "training.likelihood is softmax_over_edges, which is for training.algorithm reinforce with policy.action "
            "top_k, but these are ppo and edges; set training.likelihood to exact",
        ),
        (
            ["training.likelihood=set"],
            "training.likelihood is set, which is for policy.action top_k, but that is edges; set training.likelihood "
            "to exact",
        ),
        (["training.baseline.momentum=1"], "training.baseline.momentum is 1, but must be less than 1"),
        (
            ["entropy={target: 0.3, detach: true}"],
            "entropy: target is 0.3 while detach is true, and a weight of what has no gradient reaches no target; "
            "set target to null or detach to false",
        ),
        (
            ["entropy.target=0.3", "training.entropy_coefficient=0"],
            "training.entropy_coefficient is 0, but entropy.target 0.3 needs a weight above 0 to start from; "
            "set it to 0.002",
        ),
        (
            ["entropy={target: 0.3, fade: 100}"],
            "entropy: fade is 100 and target 0.3, but the weight of the entropy follows one rule; set fade or target "
            "to null",
        ),
        (
            ["entropy.fade=100", "training.entropy_coefficient=0"],
            "training.entropy_coefficient is 0, and entropy.fade 100 has nothing to fade; set entropy.fade to null, or "
            "the coefficient to 0.002",
        ),
        (
            ["entropy.target=0.7"],
            "entropy.target is 0.7, but a choice of two has less than ln 2 = 0.693 nats; lower it",
        ),
        (["seed=x", "training.lr=x"], 'seed is "x", but must be a whole number (and 1 more mistake)'),
        (
            ["seed=x", "training.lr=x", "lr=3"],
            "unknown key 'lr'; the nearest valid key is 'training.lr' (and 2 more mistakes)",
        ),
        (["seed"], "--set 'seed' is not of the form key=value, for example training.lr=1e-3"),
        (["training..lr=1"], "--set 'training..lr=1' is not of the form key=value, for example training.lr=1e-3"),
        (["=1"], "--set '=1' is not of the form key=value, for example training.lr=1e-3"),
        (["seed="], "--set 'seed=' gives seed no value; write seed=null where none is meant"),
        (
            ["training.lr.x=1"],
            "--set training.lr.x: training.lr is a single value and holds no keys; set training.lr itself",
        ),
        (
            ["training.lr.x.y=1"],
            "--set training.lr.x.y: training.lr is a single value and holds no keys; set training.lr itself",
        ),
        (
            ["problems.families.9.weight=1"],
            "--set problems.families.9.weight: '9' is no element of problems.families, which has 6; "
            "name one by its number from 0, or set problems.families as a whole",
        ),
        (
            ["policy.recipes.first=1"],
            "--set policy.recipes.first: 'first' is no element of policy.recipes, which has 5; "
            "name one by its number from 0, or set policy.recipes as a whole",
        ),
        (["seed=[1"], "--set 'seed=[1', line 1: expected ',' or ']', but got '<stream end>'; correct the YAML there"),
    ],
)
def test_refused_overrides(overrides: list[str], sentence: str) -> None:
    assert refused_override(*overrides) == sentence


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.algorithm=reinforce", "training.epochs=1", "training.overlap=false"],
        [
            "training={algorithm: reinforce, overlap: false, likelihood: softmax_over_edges}",
            "policy.action=top_k",
        ],
        ["training.epochs=3"],
        ["entropy={target: 3.0, form: softmax_over_edges}"],
        ["entropy.target=3.0", "policy.action=top_k"],
        ["entropy.fade=100"],
    ],
)
def test_settings_that_go_together_are_taken(overrides: list[str]) -> None:
    load_config(None, None, overrides)


def test_a_long_value_is_shown_short() -> None:
    sentence = refused_override(f"seed={'x' * 500}")
    assert sentence == f'seed is "{"x" * 56}..., but must be a whole number'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", " is empty; give it keys such as training: {lr: 1e-3}"),
        ("# nothing\n", " is empty; give it keys such as training: {lr: 1e-3}"),
        ("- 1\n- 2", " is list, but must be a mapping such as training: {lr: 1e-3}"),
        ("just text", " is str, but must be a mapping such as training: {lr: 1e-3}"),
        ("a: [1", ", line 1: expected ',' or ']', but got '<stream end>'; correct the YAML there"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, sentence: str) -> None:
    path = study(tmp_path, text)
    assert refusal(path) == f"{path}{sentence}"


def test_keys_and_values_of_a_file_are_checked(tmp_path: Path) -> None:
    assert (
        refusal(study(tmp_path, "training: {itertions: 3}"))
        == "unknown key 'training.itertions'; the nearest valid key is 'training.iterations'"
    )
    assert refusal(study(tmp_path, "training:")) == "training is null, but must be a mapping of keys to values"
    assert refusal(study(tmp_path, "seed: 2024-01-02")) == 'seed is "2024-01-02", but must be a whole number'


def test_variations(tmp_path: Path) -> None:
    path = study(tmp_path, "variations: {A: {seed: 1}, B: {seed: 2}, C: {sede: 3}, D: 4}")
    assert load_config(path).seed == 0
    assert load_config(path, "B").seed == 2
    assert refusal(path, "E") == f"--variation E: {path} has only the variations A, B, C, D"
    assert refusal(path, "C") == "unknown key 'sede'; the nearest valid key is 'seed'"
    assert refusal(path, "D") == f"{path}: variations.D is int, but must be a mapping such as training: {{lr: 1e-3}}"
    path = study(tmp_path, "seed: 1")
    assert refusal(path, "A") == f"--variation A: {path} has no variations; leave --variation out"
    path = study(tmp_path, "variations: [A, B]")
    assert refusal(path) == f"{path}: variations is list, but must be a mapping such as training: {{lr: 1e-3}}"


def test_resolved_json_round_trip(tmp_path: Path) -> None:
    config = load_config(None, "A", ["training.lambda=0.30000000000000004", "training.grad_clip=null"])
    path = tmp_path / "config.json"
    path.write_text(resolved_json(config), encoding="utf-8")
    again = from_json(path)
    assert again == config
    assert resolved_json(again) == path.read_text(encoding="utf-8")
    assert '"lambda": 0.30000000000000004' in resolved_json(config)
    assert from_json(path, ["training.iterations=9"]).training.iterations == 9


def test_a_run_from_before_inputs_could_be_standardised_did_not(tmp_path: Path) -> None:
    data = json.loads(resolved_json(Config()))
    assert data["policy"].pop("standardise") is True
    path = tmp_path / "config.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    assert from_json(path) == load_config(overrides=["policy.standardise=false"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "),
        ("[]", "holds no JSON object; "),
        ("[" * 100_000, "is not valid JSON (maximum recursion depth exceeded"),
    ],
)
def test_refused_json(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        from_json(path)
    assert str(error.value).startswith(f"{path} {sentence}")
    assert str(error.value).endswith("restore the file that the run wrote")

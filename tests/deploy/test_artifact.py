import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.deploy.artifact import load_policy, save_policy
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from tests.policy.random_graphs import random_graph

CONFIG = PolicyConfig(width=8, layers=2, recipes=("sa/jacobi/evolution", "classical/modified/classical"))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    policy = SparsifierPolicy(CONFIG)
    policy.temperature.fill_(0.75)
    save_policy(policy, Limits(), tmp_path / "made" / "policy", "# A card\n")
    return policy, tmp_path / "made" / "policy"


def _edit_manifest(directory, **changes):
    path = directory / "policy.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _edit_weights(directory, edit):
    state = load_file(directory / "policy.safetensors")
    edit(state)
    save_file(state, directory / "policy.safetensors")


def test_round_trip_is_exact(saved):
    policy, directory = saved
    assert sorted(path.name for path in directory.iterdir()) == ["README.md", "policy.json", "policy.safetensors"]
    assert [path.name for path in directory.parent.iterdir()] == ["policy"]
    assert (directory / "README.md").read_text() == "# A card\n"
    loaded = load_policy(str(directory))
    assert loaded.config == CONFIG and loaded.menu == policy.menu
    weights, state = loaded.inference.weights(), policy.state_dict()
    assert weights.keys() == state.keys() and weights["temperature"] == 0.75
    assert all(np.array_equal(weights[name], state[name].numpy()) for name in state)
    graphs = [random_graph(0), random_graph(1)]
    before, after = inference_of(policy).logits(graphs), loaded.inference.logits(graphs)
    assert np.array_equal(before.recipe_logits, after.recipe_logits) and after.recipe_logits.shape == (2, 2)
    chosen = np.array([0, 1])
    assert all(map(np.array_equal, before.edge_logits(chosen), after.edge_logits(chosen)))


def test_all_files_can_be_read_by_the_same_people(saved):
    _, directory = saved
    assert len({path.stat().st_mode for path in directory.iterdir()}) == 1


@pytest.mark.parametrize("name", [3, None, np.ones((400, 400)), ""])
def test_what_is_no_name_of_a_policy_is_refused(name):
    with pytest.raises(
        InputError, match=r"expected a name or a directory|neither a shipped policy \(default, many"
    ) as error:
        load_policy(name)
    assert len(str(error.value)) < 200


def test_the_prior_is_part_of_the_policy_and_older_policies_have_one(tmp_path):
    graph, decided = random_graph(0), {}
    for prior in (True, False):
        torch.manual_seed(0)
        policy = SparsifierPolicy(CONFIG.model_copy(update={"prior": prior}))
        directory = tmp_path / f"prior {prior}"
        save_policy(policy, Limits(), directory, "")
        logits = load_policy(directory).inference.logits([graph]).edge_logits(np.array([0]))[0]
        assert np.array_equal(logits, inference_of(policy).logits([graph]).edge_logits(np.array([0]))[0])
        decided[prior] = logits
    assert np.abs(decided[True] - decided[False]).max() > 1.0
    manifest = tmp_path / "prior True" / "policy.json"
    content = json.loads(manifest.read_text())
    assert content["policy"].pop("prior") is True
    manifest.write_text(json.dumps(content))
    older = load_policy(manifest.parent)
    assert older.config.prior
    assert np.array_equal(older.inference.logits([graph]).edge_logits(np.array([0]))[0], decided[True])


def test_older_policies_see_their_inputs_as_they_are(tmp_path):
    graph, directory = random_graph(0), tmp_path / "policy"
    policy = SparsifierPolicy(CONFIG.model_copy(update={"standardise": False}))
    save_policy(policy, Limits(), directory, "")
    config = policy.config.model_dump(mode="json", by_alias=True)
    assert config.pop("standardise") is False
    _edit_manifest(directory, policy=config)
    older = load_policy(directory)
    assert not older.config.standardise
    logits = inference_of(policy).logits([graph]).recipe_logits
    assert np.array_equal(older.inference.logits([graph]).recipe_logits, logits)


def test_other_backbones_load_through_torch(tmp_path):
    torch.manual_seed(0)
    policy = SparsifierPolicy(PolicyConfig(backbone="gin", width=8, layers=1))
    save_policy(policy, Limits(), tmp_path / "policy", "")
    before, after = (
        of.logits([random_graph(0)]) for of in (inference_of(policy), load_policy(tmp_path / "policy").inference)
    )
    assert np.array_equal(before.recipe_logits, after.recipe_logits)
    assert np.array_equal(before.edge_logits(np.array([1]))[0], after.edge_logits(np.array([1]))[0])


@pytest.mark.parametrize("backbone", ["sparse", "gin"])
def test_loading_leaves_the_global_generator_alone(tmp_path, backbone):
    save_policy(SparsifierPolicy(PolicyConfig(backbone=backbone)), Limits(), tmp_path / "policy", "")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_policy(tmp_path / "policy")
    assert torch.equal(torch.rand(3), expected)


def test_nothing_is_overwritten(saved, tmp_path):
    policy, directory = saved
    before = (directory / "policy.json").read_text()
    with pytest.raises(InputError, match="is not empty, and a policy overwrites nothing; name a new directory"):
        save_policy(policy, Limits(), directory, "other")
    assert (directory / "policy.json").read_text() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, where a new directory for the policy was expected; name another"):
        save_policy(policy, Limits(), tmp_path / "file", "")
    (tmp_path / "empty").mkdir()
    save_policy(policy, Limits(), tmp_path / "empty", "")
    assert load_policy(tmp_path / "empty").config == CONFIG


def test_a_failed_save_leaves_nothing_behind(saved, tmp_path, monkeypatch):
    def full_disk(state, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("rllib_psparsity.deploy.artifact.save_file", full_disk)
    with pytest.raises(OSError, match="disk full"):
        save_policy(saved[0], Limits(), tmp_path / "half" / "policy", "")
    assert list((tmp_path / "half").iterdir()) == []


def _drop_file(name):
    return lambda d: (d / name).unlink()


def _truncate(name, size):
    return lambda d: (d / name).write_bytes((d / name).read_bytes()[:size])


def _weights(edit):
    return lambda d: _edit_weights(d, edit)


def _manifest(**changes):
    return lambda d: _edit_manifest(d, **changes)


def _set_nan(state):
    state["edge_head.out.weight"][1, 2] = float("nan")


DAMAGE = {
    "no manifest": (_drop_file("policy.json"), "has no file policy.json; export the policy again"),
    "no weights": (_drop_file("policy.safetensors"), "has no file policy.safetensors; export the policy again"),
    "half a manifest": (_truncate("policy.json", 60), "policy.json cannot be read as JSON"),
    "half the weights": (_truncate("policy.safetensors", 900), "policy.safetensors cannot be read as safetensors"),
    "empty weights": (_truncate("policy.safetensors", 0), "policy.safetensors cannot be read as safetensors"),
    "a list": (lambda d: (d / "policy.json").write_text("[]"), "has format_version None, expected 1; export the"),
    "newer": (
        _manifest(format_version=2),
        "has format_version 2, but this version of rllib_psparsity reads up to 1; upgrade rllib_psparsity",
    ),
    "no version": (_manifest(format_version="1"), "has format_version '1', expected 1; export the policy again"),
    "unknown key": (_manifest(extra=1), "unknown key 'extra'"),
    "bad config": (_manifest(policy={"width": 0}), "policy.width is 0, but must be at least 2"),
    "a network without end": (
        _manifest(policy=CONFIG.model_dump(mode="json", by_alias=True) | {"layers": 10**7}),
        "policy.layers is 10000000, but must be at most 64",
    ),
    "a hierarchy without bounds": (
        _manifest(limits=Limits().model_dump() | {"max_operator_complexity": 1e9}),
        "limits.max_operator_complexity is 1000000000.0, but must be at most 100",
    ),
    "nested without end": (
        lambda d: (d / "policy.json").write_text("[" * 10**5),
        "policy.json cannot be read as JSON",
    ),
    "other node features": (
        _manifest(node_features=["degree"]),
        "was trained on the node features degree, but this version computes log_degree, ",
    ),
    "other edge features": (_manifest(edge_features=["a", "b"]), "was trained on the edge features a, b, but this"),
    "other network": (
        _manifest(policy=CONFIG.model_dump(mode="json", by_alias=True) | {"width": 6}),
        "tensor .* is float32 of shape .*, expected float32 of shape",
    ),
    "missing tensor": (_weights(lambda s: s.pop("temperature")), "lacks the tensor temperature of the network"),
    "unknown tensor": (_weights(lambda s: s.update(more=torch.ones(1))), "has the tensor more, unknown to the network"),
    "wrong shape": (
        _weights(lambda s: s.update({"prior.offset": torch.zeros(3)})),
        r"tensor prior.offset is float32 "
        r"of shape \(3,\), expected float32 of shape \(2,\)",
    ),
    "wrong type": (
        _weights(lambda s: s.update({"prior.offset": torch.zeros(2).double()})),
        "tensor prior.offset is float64 of shape",
    ),
    "NaN": (_weights(_set_nan), "tensor edge_head.out.weight has entries that are not finite; export an earlier"),
    "no temperature": (_weights(lambda s: s["temperature"].zero_()), "temperature is 0, expected above 0"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_damage_is_refused_in_one_sentence(saved, name):
    damage, message = DAMAGE[name]
    damage(saved[1])
    with pytest.raises(InputError, match=message) as error:
        load_policy(saved[1])
    assert "\n" not in str(error.value)


def test_a_deviation_of_nothing_is_refused(tmp_path):
    config = CONFIG.model_copy(update={"standardise": True})
    save_policy(SparsifierPolicy(config), Limits(), tmp_path / "policy", "card")
    load_policy(tmp_path / "policy")
    _weights(lambda state: state["recipe_head.0.deviation"][3].zero_())(tmp_path / "policy")
    with pytest.raises(InputError, match=r"recipe_head\.0\.deviation is 0, expected above 0; export the policy again"):
        load_policy(tmp_path / "policy")


def test_a_policy_that_is_no_directory_is_refused(tmp_path):
    names = r"policy 'nowhere' is neither a shipped policy \(default, many_solves\) nor a directory; name one that"
    with pytest.raises(InputError, match=names):
        load_policy("nowhere")
    (tmp_path / "weights.pkl").write_bytes(b"")
    with pytest.raises(InputError, match="nor a directory"):
        load_policy(tmp_path / "weights.pkl")

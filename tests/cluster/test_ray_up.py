"""cluster/*.yaml: what `ray up` makes of them, by Ray's own preparation and validation."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster.files import CLUSTER, CONSTRAINTS, IMAGE, shellcheck

FILES = sorted(path.name for path in CLUSTER.glob("*.yaml"))
COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / name).read_text())


def commands(config: dict[str, Any]) -> list[str]:
    return [command for kind in COMMANDS for command in config[f"{kind}_commands"]]


def test_there_is_a_file_for_each_kind_of_cluster():
    assert FILES == ["aws.yaml", "gcp.yaml", "on_premises.yaml"]
    assert {load(name)["provider"]["type"] for name in FILES} == {"aws", "gcp", "local"}


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file(name: str):
    config = prepare_config(load(name))
    validate_config(config)
    workers = [kind for kind in config["available_node_types"].values() if kind["max_workers"]]
    assert sum(kind["max_workers"] for kind in workers) == config["max_workers"] > 0


def test_ray_refuses_a_key_that_it_does_not_know():
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(load("aws.yaml") | {"idle_timeout": 3}))


@pytest.mark.parametrize("name", FILES)
def test_effective_commands_are_sound_and_pinned(name: str):
    """Effective: with what Ray's defaults add, which would install a development build where a file says nothing."""
    config = prepare_config(load(name))
    for command in commands(config):
        assert "ray-wheels" not in command and "conda" not in command
        words = command.split()
        if "install" in words:
            requirements = [word for word in words[words.index("install") + 1 :] if not word.startswith("-")]
            pinned = [tuple(requirement.split("==")) for requirement in requirements]
            assert pinned and set(pinned) <= set(CONSTRAINTS.items())
    shellcheck("#!/bin/bash\nRAY_HEAD_IP=192.0.2.1\n" + "\n".join(commands(config)) + "\n")


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_open_to_the_world(name: str):
    config = prepare_config(load(name))
    text = (CLUSTER / name).read_text()
    assert "0.0.0.0" not in text and "::/0" not in text
    (head,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in head
    environment = " ".join([*config["docker"].get("run_options", []), head])
    assert "RAY_AUTH_MODE=token" in environment and "RAY_AUTH_TOKEN_PATH=/" in environment
    assert "RAY_AUTH_TOKEN=" not in text
    if name != "on_premises.yaml":
        assert "/etc/psparsity/auth_token" in config["file_mounts"]
        assert "--security-opt no-new-privileges" in config["docker"]["run_options"]
        assert config["docker"]["image"] == IMAGE
        assert "--privileged" not in environment


def test_aws_nodes_have_a_group_of_their_own_and_cannot_hand_out_credentials():
    """Without a group Ray makes one that lets SSH in from everywhere; token-bound metadata cannot be relayed."""
    for kind in load("aws.yaml")["available_node_types"].values():
        assert kind["node_config"]["SecurityGroupIds"]
        assert kind["node_config"]["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in kind["node_config"]["BlockDeviceMappings"])


def test_gcp_nodes_are_in_a_network_of_their_own():
    for kind in load("gcp.yaml")["available_node_types"].values():
        (interface,) = kind["node_config"]["networkInterfaces"]
        assert interface["subnetwork"].endswith("/psparsity")


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_env_runners_keep_off_the_head_and_a_gpu_is_there_for_a_learner(name: str):
    kinds = load(name)["available_node_types"]
    assert kinds[load(name)["head_node_type"]]["resources"] == {"CPU": 0}
    assert [kind["resources"].get("GPU", 0) for kind in kinds.values()] == [0, 0, 1]


def test_ray_is_the_pinned_one():
    import ray

    assert ray.__version__ == CONSTRAINTS["ray"]

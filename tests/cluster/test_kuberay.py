"""cluster/kuberay: the manifests against the fields of their resources, and what must hold in each."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from rllib_psparsity.config.load import load_config
from tests.cluster.files import CLUSTER, CONSTRAINTS, IMAGE
from tests.cluster.kubernetes_schema import SCHEMA

MANIFESTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CLUSTER / "kuberay").glob("*.yaml"))}
RAYLET_HEALTH = "http://localhost:52365/api/local_raylet_healthz"
GCS_HEALTH = "http://localhost:8265/api/gcs_healthz"


def cluster_spec(name: str) -> dict[str, Any]:
    spec = MANIFESTS[name]["spec"]
    return spec["rayClusterSpec"] if name.startswith("rayjob") else spec


def pods(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template of a manifest, by group."""
    spec = cluster_spec(name)
    yield "head", spec["headGroupSpec"]["template"]
    for group in spec["workerGroupSpecs"]:
        yield group["groupName"], group["template"]
    if name.startswith("rayjob"):
        yield "submitter", MANIFESTS[name]["spec"]["submitterPodTemplate"]


RAY = ["raycluster_cpu", "raycluster_gpu", "rayjob_cpu", "rayjob_gpu"]


def test_the_manifests_are_all_there():
    assert sorted(MANIFESTS) == sorted([*RAY, "network_policy", "pod_monitor", "storage"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_have_only_the_fields_of_their_resources(name: str):
    jsonschema.validate(MANIFESTS[name], SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "headGroupSpec", "template", "spec", "containers", 0, "resource"), {}),
        (("spec", "autoscalerOptions", "upscalingMode"), "Fast"),
        (("spec", "workerGroupSpecs", 0, "maxReplicas"), "8"),
        (("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
    ],
)
def test_the_schema_refuses_what_kubernetes_would(path: tuple, value: Any):
    manifest = copy.deepcopy(MANIFESTS["raycluster_gpu"])
    holder = manifest
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, SCHEMA)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_a_job_runs_on_the_same_cluster_as_the_one_that_stays(kind: str):
    assert cluster_spec(f"rayjob_{kind}") == cluster_spec(f"raycluster_{kind}")


def test_the_gpu_variant_adds_a_learner_to_the_cpu_variant():
    cpu, gpu = copy.deepcopy(cluster_spec("raycluster_cpu")), copy.deepcopy(cluster_spec("raycluster_gpu"))
    learner = gpu["workerGroupSpecs"].pop()
    assert cpu == gpu
    assert learner["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert learner["template"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"


@pytest.mark.parametrize("name", RAY)
def test_versions_are_the_pinned_ones(name: str):
    assert cluster_spec(name)["rayVersion"] == CONSTRAINTS["ray"]
    assert {container["image"] for _, pod in pods(name) for container in pod["spec"]["containers"]} == {IMAGE}


@pytest.mark.parametrize("name", RAY)
def test_pods_run_without_rights(name: str):
    for group, pod in pods(name):
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] == 1000
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        # The head's autoscaler talks to Kubernetes; nobody else does.
        assert pod["spec"].get("automountServiceAccountToken", True) is (group == "head")
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "env" not in container
    assert cluster_spec(name)["autoscalerOptions"]["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("name", RAY)
def test_pods_say_what_they_need_how_they_are_and_where_runs_are(name: str):
    for group, pod in pods(name):
        (container,) = pod["spec"]["containers"]
        resources = container["resources"]
        assert resources["requests"].keys() == resources["limits"].keys() >= {"cpu", "memory"}
        if group == "submitter":
            continue
        # Ray tells its scheduler the limits: what is not requested too may not be there.
        assert resources["requests"] == resources["limits"]
        urls = [RAYLET_HEALTH, GCS_HEALTH] if group == "head" else [RAYLET_HEALTH]
        for probe in ("readinessProbe", "livenessProbe"):
            command = container[probe]["exec"]["command"]
            assert command[0] == "curl" and command[-len(urls) :] == urls
            # Every address may take the seconds of --max-time before the probe gives up.
            seconds = int(command[command.index("--max-time") + 1])
            assert seconds * len(urls) <= container[probe]["timeoutSeconds"]
        assert container["livenessProbe"]["failureThreshold"] > container["readinessProbe"]["failureThreshold"]
        assert {"name": "runs", "mountPath": "/runs"} in container["volumeMounts"]
        (volume,) = pod["spec"]["volumes"]
        claim = MANIFESTS["storage"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("name", RAY)
def test_nothing_is_open_to_the_world(name: str):
    spec = cluster_spec(name)
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert "enableIngress" not in spec["headGroupSpec"]
    policy = MANIFESTS["network_policy"]["spec"]
    assert policy["policyTypes"] == ["Ingress"] and all(rule["from"] for rule in policy["ingress"])
    assert all("ipBlock" not in source for rule in policy["ingress"] for source in rule["from"])
    covered = policy["podSelector"]["matchLabels"].items()
    assert all(covered <= pod["metadata"]["labels"].items() for _, pod in pods(name))
    # Others than Ray's own pods reach single ports only: the operator the dashboard, Prometheus the metrics.
    assert [[port["port"] for port in rule.get("ports", [])] for rule in policy["ingress"]] == [[], [8265], [8080]]


@pytest.mark.parametrize("name", RAY)
def test_the_cluster_grows_and_shrinks(name: str):
    spec = cluster_spec(name)
    assert spec["enableInTreeAutoscaling"] is True
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@pytest.mark.parametrize("name", ["rayjob_cpu", "rayjob_gpu"])
def test_the_job_asks_for_what_its_cluster_can_give(name: str):
    spec = MANIFESTS[name]["spec"]
    command, run_dir, *options = shlex.split(spec["entrypoint"])
    assert command == "train_or_resume.sh" and run_dir.startswith("/runs/")
    config = load_config(overrides=[option for option in options if option != "--set"])
    runners, *learners = (group for group in cluster_spec(name)["workerGroupSpecs"])
    cpus = int(runners["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert 0 < config.env_runners.count <= cpus * runners["maxReplicas"]
    assert config.learner.count * config.learner.gpus == sum(group["maxReplicas"] for group in learners)
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["submitterPodTemplate"]["spec"]["restartPolicy"] == "Never"


def test_prometheus_finds_the_metrics_port_of_every_ray_pod():
    monitor = MANIFESTS["pod_monitor"]["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    for name in RAY:
        for group, pod in pods(name):
            if group != "submitter":
                ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
                assert ports[endpoint["port"]] == 8080

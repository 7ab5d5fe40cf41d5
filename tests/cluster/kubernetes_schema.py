"""What cluster/kuberay may say: a JSON schema of the fields that are used, which refuses all others.

RayCluster and RayJob: the custom resource definitions of KubeRay 1.6.2, reduced (Apache-2.0; ray-project/kuberay,
docs/reference/api.md at commit 0a9eabde561ab59ab4bbe626072c359da9214484). The rest: the Kubernetes API (core/v1,
networking.k8s.io/v1) and the Prometheus operator's PodMonitor (monitoring.coreos.com/v1).
"""

from __future__ import annotations

from typing import Any


def obj(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": list(required)} if required else {})


STRING, COUNT, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
STRINGS = {"type": "object", "additionalProperties": STRING}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def arr(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def enum(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


DEFINITIONS: dict[str, Any] = {
    "quantity": {"type": ["string", "integer"], "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"},
    "metadata": obj(
        {"name": NAME, "generateName": STRING, "namespace": NAME, "labels": STRINGS, "annotations": STRINGS}
    ),
    "resources": obj(
        {
            "requests": {"type": "object", "additionalProperties": ref("quantity")},
            "limits": {"type": "object", "additionalProperties": ref("quantity")},
        }
    ),
    "securityContext": obj(
        {
            "allowPrivilegeEscalation": FLAG,
            "privileged": FLAG,
            "readOnlyRootFilesystem": FLAG,
            "runAsNonRoot": FLAG,
            "runAsUser": COUNT,
            "runAsGroup": COUNT,
            "capabilities": obj({"add": arr(STRING), "drop": arr(STRING)}),
            "seccompProfile": ref("seccompProfile"),
        }
    ),
    "seccompProfile": obj(
        {"type": enum("RuntimeDefault", "Unconfined", "Localhost"), "localhostProfile": STRING}, "type"
    ),
    "podSecurityContext": obj(
        {
            "runAsNonRoot": FLAG,
            "runAsUser": COUNT,
            "runAsGroup": COUNT,
            "fsGroup": COUNT,
            "fsGroupChangePolicy": enum("OnRootMismatch", "Always"),
            "seccompProfile": ref("seccompProfile"),
        }
    ),
    "probe": obj(
        {
            "exec": obj({"command": arr(STRING)}, "command"),
            "httpGet": obj({"path": STRING, "port": {"type": ["integer", "string"]}, "scheme": STRING}, "port"),
            "initialDelaySeconds": COUNT,
            "periodSeconds": COUNT,
            "timeoutSeconds": COUNT,
            "failureThreshold": COUNT,
            "successThreshold": COUNT,
        }
    ),
    "container": obj(
        {
            "name": NAME,
            "image": STRING,
            "imagePullPolicy": enum("Always", "IfNotPresent", "Never"),
            "command": arr(STRING),
            "args": arr(STRING),
            "env": arr(obj({"name": STRING, "value": STRING, "valueFrom": {"type": "object"}}, "name")),
            "resources": ref("resources"),
            "ports": arr(
                obj(
                    {
                        "name": NAME,
                        "containerPort": {"type": "integer", "minimum": 1, "maximum": 65535},
                        "protocol": enum("TCP", "UDP", "SCTP"),
                    },
                    "containerPort",
                )
            ),
            "securityContext": ref("securityContext"),
            "volumeMounts": arr(
                obj({"name": NAME, "mountPath": STRING, "readOnly": FLAG, "subPath": STRING}, "name", "mountPath")
            ),
            "livenessProbe": ref("probe"),
            "readinessProbe": ref("probe"),
            "startupProbe": ref("probe"),
        },
        "name",
    ),
    "podTemplate": obj(
        {
            "metadata": ref("metadata"),
            "spec": obj(
                {
                    "containers": arr(ref("container")),
                    "restartPolicy": enum("Always", "OnFailure", "Never"),
                    "automountServiceAccountToken": FLAG,
                    "serviceAccountName": STRING,
                    "securityContext": ref("podSecurityContext"),
                    "nodeSelector": STRINGS,
                    "terminationGracePeriodSeconds": COUNT,
                    "tolerations": arr(
                        obj(
                            {
                                "key": STRING,
                                "operator": enum("Exists", "Equal"),
                                "value": STRING,
                                "effect": enum("NoSchedule", "PreferNoSchedule", "NoExecute"),
                            }
                        )
                    ),
                    "volumes": arr(
                        {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["name"],
                            "minProperties": 2,
                            "maxProperties": 2,
                            "properties": {
                                "name": NAME,
                                "persistentVolumeClaim": obj({"claimName": NAME, "readOnly": FLAG}, "claimName"),
                                "emptyDir": obj({"medium": STRING, "sizeLimit": ref("quantity")}),
                            },
                        }
                    ),
                },
                "containers",
            ),
        }
    ),
    "rayClusterSpec": obj(
        {
            "rayVersion": STRING,
            "authOptions": obj({"mode": enum("disabled", "token"), "secretName": STRING, "enableK8sTokenAuth": FLAG}),
            "enableInTreeAutoscaling": FLAG,
            "suspend": FLAG,
            "autoscalerOptions": obj(
                {
                    "version": enum("v1", "v2"),
                    "upscalingMode": enum("Default", "Aggressive", "Conservative"),
                    "idleTimeoutSeconds": COUNT,
                    "image": STRING,
                    "imagePullPolicy": STRING,
                    "resources": ref("resources"),
                    "securityContext": ref("securityContext"),
                    "env": {"type": "array"},
                    "envFrom": {"type": "array"},
                    "volumeMounts": {"type": "array"},
                }
            ),
            "headServiceAnnotations": STRINGS,
            "headGroupSpec": obj(
                {
                    "serviceType": enum("ClusterIP", "NodePort", "LoadBalancer"),
                    "enableIngress": FLAG,
                    "rayStartParams": STRINGS,
                    "resources": STRINGS,
                    "labels": STRINGS,
                    "template": ref("podTemplate"),
                },
                "template",
            ),
            "workerGroupSpecs": arr(
                obj(
                    {
                        "groupName": STRING,
                        "replicas": COUNT,
                        "minReplicas": COUNT,
                        "maxReplicas": COUNT,
                        "idleTimeoutSeconds": COUNT,
                        "numOfHosts": COUNT,
                        "suspend": FLAG,
                        "rayStartParams": STRINGS,
                        "resources": STRINGS,
                        "labels": STRINGS,
                        "template": ref("podTemplate"),
                    },
                    "groupName",
                    "maxReplicas",
                    "minReplicas",
                    "template",
                )
            ),
        },
        "headGroupSpec",
    ),
    "RayCluster": obj(
        {
            "apiVersion": {"const": "ray.io/v1"},
            "kind": {"const": "RayCluster"},
            "metadata": ref("metadata"),
            "spec": ref("rayClusterSpec"),
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ),
    "RayJob": obj(
        {
            "apiVersion": {"const": "ray.io/v1"},
            "kind": {"const": "RayJob"},
            "metadata": ref("metadata"),
            "spec": obj(
                {
                    "entrypoint": STRING,
                    "runtimeEnvYAML": STRING,
                    "jobId": STRING,
                    "submissionMode": enum("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
                    "shutdownAfterJobFinishes": FLAG,
                    "ttlSecondsAfterFinished": COUNT,
                    "activeDeadlineSeconds": COUNT,
                    "preRunningDeadlineSeconds": COUNT,
                    "backoffLimit": COUNT,
                    "suspend": FLAG,
                    "metadata": STRINGS,
                    "clusterSelector": STRINGS,
                    "entrypointNumCpus": {"type": "number"},
                    "entrypointNumGpus": {"type": "number"},
                    "entrypointResources": STRING,
                    "submitterConfig": obj({"backoffLimit": COUNT}),
                    "submitterPodTemplate": ref("podTemplate"),
                    "rayClusterSpec": ref("rayClusterSpec"),
                }
            ),
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ),
    "PersistentVolumeClaim": obj(
        {
            "apiVersion": {"const": "v1"},
            "kind": {"const": "PersistentVolumeClaim"},
            "metadata": ref("metadata"),
            "spec": obj(
                {
                    "accessModes": arr(enum("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")),
                    "storageClassName": STRING,
                    "volumeName": STRING,
                    "resources": ref("resources"),
                },
                "accessModes",
                "resources",
            ),
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ),
    "labelSelector": obj({"matchLabels": STRINGS, "matchExpressions": {"type": "array"}}),
    "NetworkPolicy": obj(
        {
            "apiVersion": {"const": "networking.k8s.io/v1"},
            "kind": {"const": "NetworkPolicy"},
            "metadata": ref("metadata"),
            "spec": obj(
                {
                    "podSelector": ref("labelSelector"),
                    "policyTypes": arr(enum("Ingress", "Egress")),
                    "ingress": {
                        "type": "array",
                        "items": obj(
                            {
                                "from": arr(
                                    obj(
                                        {
                                            "podSelector": ref("labelSelector"),
                                            "namespaceSelector": ref("labelSelector"),
                                            "ipBlock": {"type": "object"},
                                        }
                                    )
                                ),
                                "ports": arr(
                                    obj(
                                        {
                                            "port": {"type": ["integer", "string"]},
                                            "protocol": enum("TCP", "UDP", "SCTP"),
                                            "endPort": COUNT,
                                        }
                                    )
                                ),
                            }
                        ),
                    },
                },
                "podSelector",
            ),
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ),
    "PodMonitor": obj(
        {
            "apiVersion": {"const": "monitoring.coreos.com/v1"},
            "kind": {"const": "PodMonitor"},
            "metadata": ref("metadata"),
            "spec": obj(
                {
                    "selector": ref("labelSelector"),
                    "namespaceSelector": {"type": "object"},
                    "podMetricsEndpoints": arr(
                        obj(
                            {"port": STRING, "path": STRING, "interval": {"type": "string", "pattern": "^[0-9]+(s|m)$"}}
                        )
                    ),
                },
                "selector",
            ),
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    ),
}
KINDS = ["RayCluster", "RayJob", "PersistentVolumeClaim", "NetworkPolicy", "PodMonitor"]

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": DEFINITIONS,
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"enum": KINDS}},
    "allOf": [{"if": {"properties": {"kind": {"const": kind}}}, "then": ref(kind)} for kind in KINDS],
}

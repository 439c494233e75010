"""What the API server lets in, and what it makes of it."""

from typing import Any

import pytest

from heteroserve.api import v1alpha1
from integration.control_plane import JSON, Api
from integration.inputs import VALID, changed, samples

pytestmark = pytest.mark.integration

DIGEST = "sha256:" + "0123456789abcdef" * 4
PROFILE: JSON = {"points": [{"batch": 1, "latencyMilliseconds": {"p50": 1, "p99": 2.5}, "throughput": 100}]}
FILES = [{"key": "config.pbtxt", "path": "digits/config.pbtxt"}, {"key": "config.pbtxt", "path": "b/config.pbtxt"}]

# name: kind, fields that are set, fields that are taken out
UNUSUAL: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a CPU class without a device": ("HardwareClass", {"spec.accelerator": "CPU"}, ("spec.resources",)),
    "two kinds of devices": ("HardwareClass", {"spec.resources": [{"name": "a.io/a"}, {"name": "b.io/b"}]}, ()),
    "a name that is one digit": ("HardwareClass", {"metadata.name": "4"}, ()),
    "an image by digest": ("HardwareClass", {"spec.runtime.image": f"registry.example/triton@{DIGEST}"}, ()),
    "an image by tag and digest": ("HardwareClass", {"spec.runtime.image": f"triton:2.51.0-py3@{DIGEST}"}, ()),
    "an image of a registry on a port": ("HardwareClass", {"spec.runtime.image": "localhost:5000/a/b_c/d:1"}, ()),
    "a tag that only starts as latest does": ("HardwareClass", {"spec.runtime.image": "a/b:latest-3"}, ()),
    "a hardware that costs nothing": ("HardwareClass", {"spec.cost.perHour": "0"}, ()),
    "a cost of a millionth": ("HardwareClass", {"spec.cost.perHour": "0.000001"}, ()),
    "requests that equal their limits": (
        "HardwareClass",
        {"spec.runtime.resources.requests": {"cpu": "1000m", "memory": "1024Mi"}},
        (),
    ),
    "no limits": ("HardwareClass", {}, ("spec.runtime.resources.limits",)),
    "a limit of memory alone": ("HardwareClass", {}, ("spec.runtime.resources.limits.cpu",)),
    "half a core in quotes": ("HardwareClass", {"spec.runtime.resources.requests.cpu": "0.5"}, ()),
    "memory as a number of bytes": ("HardwareClass", {"spec.runtime.resources.requests.memory": 268435456}, ()),
    "arguments that only look like the operator's": (
        "HardwareClass",
        {
            "spec.runtime.args": [
                "--http-thread-count=8",
                "--grpc-keepalive-time=10000",
                "--model-load-thread-count=4",
                "--metrics-interval-ms=500",
                "--backend-config=onnxruntime,default-max-batch-size=4",
                "--exit-on-error=true",
                "--allow-gpu-metrics=false",
            ]
        },
        (),
    ),
    "a toleration of one value": (
        "HardwareClass",
        {"spec.tolerations.0": {"key": "dedicated", "value": "serving"}},
        (),
    ),
    "a node label without a value": ("HardwareClass", {"spec.nodeSelector": {"node-role.kubernetes.io/gpu": ""}}, ()),
    "a name of one letter": ("InferenceDeployment", {"metadata.name": "d"}, ()),
    "names that fill a Service's to the last letter": ("InferenceDeployment", {"metadata.name": "d" * 55}, ()),
    "a volume": (
        "InferenceDeployment",
        {"spec.model.source": {"persistentVolumeClaim": {"claimName": "a", "path": "x/.y/z..z"}}},
        (),
    ),
    "a bucket": ("InferenceDeployment", {"spec.model.source": {"objectStore": {"uri": "s3://models/digits"}}}, ()),
    "a bucket of one's own": (
        "InferenceDeployment",
        {
            "spec.model.source": {
                "objectStore": {"uri": "s3://https://minio.store:9000/models/a", "credentialsSecret": "s3"}
            }
        },
        (),
    ),
    "an @ in a path": ("InferenceDeployment", {"spec.model.source": {"objectStore": {"uri": "gs://models/a@1"}}}, ()),
    "Azure": ("InferenceDeployment", {"spec.model.source": {"objectStore": {"uri": "as://account/container/a"}}}, ()),
    "a ConfigMap": ("InferenceDeployment", {"spec.model.source": {"configMap": {"name": "a", "items": FILES}}}, ()),
    "the highest version": ("InferenceDeployment", {}, ("spec.model.version",)),
    "a fixed number of replicas": ("InferenceDeployment", {"spec.classes.0.minReplicas": 6}, ()),
    "an objective finer than a millisecond": ("InferenceDeployment", {"spec.objective.latency.milliseconds": 0.5}, ()),
    "a latency that does not vary": (
        "InferenceDeployment",
        {"spec.classes.0.profile.points.0.latencyMilliseconds": {"p50": 3, "p99": 3}},
        (),
    ),
    "all host names of a domain": (
        "InferenceDeployment",
        {"spec.traffic.hostnames": ["*.example.com", "localhost"]},
        (),
    ),
    "one listener of a Gateway": (
        "InferenceDeployment",
        {"spec.traffic.gateway.parentRefs.0": {"name": "a", "sectionName": "http", "port": 80}},
        (),
    ),
    "a split by hand": (
        "InferenceDeployment",
        {"spec.traffic.weights": [{"class": "cpu-x86", "weight": 10}, {"class": "gpu-l4", "weight": 90}]},
        (),
    ),
    "everything by hand to one class, and nothing said of the other": (
        "InferenceDeployment",
        {"spec.traffic.weights": [{"class": "gpu-l4", "weight": 100}]},
        (),
    ),
    "an empty list of weights": ("InferenceDeployment", {"spec.traffic.weights": []}, ()),
    "fifteen classes with a weight each": (
        "InferenceDeployment",
        {
            "spec.classes": [{"name": f"class-{number:02}-{'x' * 30}", "profile": PROFILE} for number in range(15)],
            "spec.traffic.weights": [
                {"class": f"class-{number:02}-{'x' * 30}", "weight": 7 if number < 10 else 6} for number in range(15)
            ],
        },
        (),
    ),
    "fifteen classes of sixteen points": (
        "InferenceDeployment",
        {
            "spec.classes": [
                {
                    "name": f"class-{number}",
                    "profile": {
                        "points": [
                            {"batch": batch, "latencyMilliseconds": {"p50": 1, "p99": 2.5}, "throughput": 100}
                            for batch in range(1, 17)
                        ]
                    },
                }
                for number in range(15)
            ]
        },
        (),
    ),
}

LEAST_CLASS: JSON = {
    "apiVersion": "heteroserve.dev/v1alpha1",
    "kind": "HardwareClass",
    "metadata": {"name": "least"},
    "spec": {
        "accelerator": "GPU",
        "nodeSelector": {"pool": "gpu"},
        "resources": [{"name": "nvidia.com/gpu"}],
        "tolerations": [{"key": "nvidia.com/gpu"}],
        "cost": {"perHour": "1"},
        "runtime": {
            "image": "triton:1",
            "env": [{"name": "A"}],
            "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
        },
    },
}
LEAST_DEPLOYMENT: JSON = {
    "apiVersion": "heteroserve.dev/v1alpha1",
    "kind": "InferenceDeployment",
    "metadata": {"name": "least", "namespace": "default"},
    "spec": {
        "model": {"name": "digits", "source": {"image": {"reference": "digits:1"}}},
        "objective": {"latency": {"milliseconds": 50}},
        "classes": [
            {
                "name": "cpu",
                "profile": {"points": [{"batch": 1, "latencyMilliseconds": {"p50": 1, "p99": 2}, "throughput": 3}]},
            }
        ],
    },
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_but_right_is_accepted(api: Api, name: str) -> None:
    kind, set_, remove = UNUSUAL[name]
    answer = api.try_create(changed(VALID[kind], set_, remove), dryRun="All")
    assert answer.accepted, "\n".join(answer.problems)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample["metadata"]["name"])
def test_the_samples_are_accepted_and_understood(api: Api, sample: JSON) -> None:
    if namespace := sample["metadata"].get("namespace"):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    stored = api.apply(sample, dryRun="All")
    assert understood(stored).spec == understood(sample).spec


@pytest.mark.parametrize("least", [LEAST_CLASS, LEAST_DEPLOYMENT], ids=lambda least: least["kind"])
def test_the_api_server_and_the_models_have_the_same_defaults(api: Api, least: JSON) -> None:
    assert understood(api.apply(least, dryRun="All")).spec == understood(least).spec


def test_the_defaults_of_a_class(api: Api) -> None:
    spec = api.apply(LEAST_CLASS, dryRun="All")["spec"]
    assert spec["resources"] == [{"name": "nvidia.com/gpu", "quantity": 1}]
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Equal"}]
    assert spec["runtime"]["env"] == [{"name": "A"}]
    assert "args" not in spec["runtime"]


def test_the_defaults_of_a_deployment(api: Api) -> None:
    spec = api.apply(LEAST_DEPLOYMENT, dryRun="All")["spec"]
    assert spec["objective"] == {"latency": {"percentile": 99, "milliseconds": 50}}
    assert (spec["classes"][0]["minReplicas"], spec["classes"][0]["maxReplicas"]) == (0, 10)
    assert spec["scaling"] == {
        "targetUtilizationPercent": 75,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }
    assert spec["traffic"] == {}
    assert spec["paused"] is False


def understood(raw: JSON) -> v1alpha1.HardwareClass | v1alpha1.InferenceDeployment:
    model: Any = getattr(v1alpha1, raw["kind"])
    parsed: v1alpha1.HardwareClass | v1alpha1.InferenceDeployment = model.model_validate(raw)
    return parsed

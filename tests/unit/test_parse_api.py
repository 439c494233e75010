"""Our own kinds as values of the model: with every field, and with nothing but what must be there."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

import builders
from heteroserve.model.deployment import (
    ClaimSource,
    ClassTarget,
    ConfigMapSource,
    GatewayRef,
    ImageSource,
    InferenceDeployment,
    Model,
    ModelSource,
    Objective,
    ObjectStoreSource,
    ProfilePoint,
    Scaling,
)
from heteroserve.model.fleet import Accelerator, DeviceRequest, HardwareClass, Runtime, Toleration
from heteroserve.model.snapshot import Memory
from heteroserve.observe import parse_api

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
POINTS = (ProfilePoint(batch=1, p50_milliseconds=10.0, p99_milliseconds=20.0, throughput_rps=100.0),)


def test_a_deployment_with_nothing_but_what_must_be_there() -> None:
    assert parse_api.parse_deployment(builders.raw_deployment()) == InferenceDeployment(
        key=builders.KEY,
        uid="uid-digits",
        generation=1,
        model=Model(name="digits", source=ImageSource(reference="registry.example/digits:1")),
        objective=Objective(percentile=99, latency_milliseconds=50.0),
        classes=(ClassTarget(name="cpu", points=POINTS),),
        scaling=Scaling(target_utilisation=0.75, scale_down_window_seconds=300, budget_per_hour=None),
    )


def test_a_deployment_with_everything() -> None:
    point = {"batch": 1, "latencyMilliseconds": {"p50": 10, "p99": 20}, "throughput": 100}
    source = {"image": {"reference": "registry.example/digits:1", "pullPolicy": "Always"}}
    raw = builders.raw_deployment(
        model={"name": "digits", "version": "7", "source": source},
        objective={"latency": {"percentile": 95, "milliseconds": 12.5}},
        classes=[
            {"name": "gpu", "variant": "fp16", "minReplicas": 1, "maxReplicas": 3, "profile": {"points": [point]}}
        ],
        scaling={
            "targetUtilizationPercent": 60,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "budget": {"costPerHour": "12.50"},
        },
        traffic={
            "gateway": {"parentRefs": [{"name": "public", "sectionName": "https", "port": 443}]},
            "hostnames": ["digits.example.com"],
        },
        paused=True,
    )
    assert parse_api.parse_deployment(raw) == InferenceDeployment(
        key=builders.KEY,
        uid="uid-digits",
        generation=1,
        model=Model(
            name="digits",
            version="7",
            source=ImageSource(reference="registry.example/digits:1", pull_policy="Always"),
        ),
        objective=Objective(percentile=95, latency_milliseconds=12.5),
        classes=(ClassTarget(name="gpu", variant="fp16", min_replicas=1, max_replicas=3, points=POINTS),),
        scaling=Scaling(target_utilisation=0.6, scale_down_window_seconds=0, budget_per_hour=Decimal("12.50")),
        gateways=(GatewayRef(name="public", section_name="https", port=443),),
        hostnames=("digits.example.com",),
        paused=True,
    )


SOURCES: dict[str, tuple[builders.JSON, ModelSource]] = {
    "a volume": (
        {"persistentVolumeClaim": {"claimName": "models", "path": "a/b"}},
        ClaimSource(claim_name="models", path="a/b"),
    ),
    "an object store": (
        {"objectStore": {"uri": "s3://bucket/models", "credentialsSecret": "store"}},
        ObjectStoreSource(uri="s3://bucket/models", credentials_secret="store"),
    ),
    "a ConfigMap": (
        {"configMap": {"name": "tiny", "items": [{"key": "a", "path": "digits/config.pbtxt"}]}},
        ConfigMapSource(name="tiny", items=(("a", "digits/config.pbtxt"),)),
    ),
}


@builders.table(SOURCES)
def test_sources(case: tuple[builders.JSON, ModelSource]) -> None:
    source, want = case
    raw = builders.raw_deployment(model={"name": "digits", "source": source})
    assert parse_api.parse_deployment(raw).model.source == want


def test_hardware_with_nothing_but_what_must_be_there() -> None:
    assert parse_api.parse_hardware_class(builders.raw_hardware("cpu")) == HardwareClass(
        name="cpu",
        accelerator=Accelerator.CPU,
        node_selector={"pool": "cpu"},
        cost_per_hour=Decimal("0.10"),
        runtime=Runtime(image="registry.example/triton:2.51.0", requests={"cpu": "1", "memory": "1Gi"}),
    )


def test_hardware_with_everything() -> None:
    raw = builders.raw_hardware(
        "gpu",
        accelerator="GPU",
        resources=[{"name": "nvidia.com/gpu"}, {"name": "example.com/nic", "quantity": 2}],
        tolerations=[{"key": "team", "value": "a", "effect": "NoExecute"}, {"key": "spot", "operator": "Exists"}],
        cost={"perHour": "0.71"},
        unhealthyConditions=["GPUUnhealthy"],
        runtime={
            "image": "registry.example/triton:2.51.0",
            "args": ["--log-verbose=1"],
            "env": [{"name": "A", "value": "1"}, {"name": "B"}],
            "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "runtimeClassName": "nvidia",
            "priorityClassName": "high",
        },
    )
    assert parse_api.parse_hardware_class(raw) == HardwareClass(
        name="gpu",
        accelerator=Accelerator.GPU,
        node_selector={"pool": "gpu"},
        devices=(
            DeviceRequest(resource="nvidia.com/gpu", quantity=1),
            DeviceRequest(resource="example.com/nic", quantity=2),
        ),
        tolerations=(
            Toleration(key="team", value="a", effect="NoExecute"),
            Toleration(key="spot", operator="Exists"),
        ),
        cost_per_hour=Decimal("0.71"),
        unhealthy_conditions=frozenset({"GPUUnhealthy"}),
        runtime=Runtime(
            image="registry.example/triton:2.51.0",
            args=("--log-verbose=1",),
            env=(("A", "1"), ("B", "")),
            requests={"cpu": "1", "memory": "1Gi"},
            limits={"memory": "2Gi"},
            runtime_class_name="nvidia",
            priority_class_name="high",
        ),
    )


@pytest.mark.parametrize("spec", [{"model": None}, {"classes": "cpu"}, {"objective": {"latency": {}}}])
def test_what_no_crd_of_ours_lets_through_is_refused(spec: builders.JSON) -> None:
    with pytest.raises(pydantic.ValidationError):
        parse_api.parse_deployment(builders.raw_deployment(**spec))


def test_a_model_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="names none of image"):
        parse_api.parse_deployment(builders.raw_deployment(model={"name": "digits", "source": {}}))


@pytest.mark.parametrize("status", [None, {}, {"classes": [{"name": "cpu"}], "conditions": []}])
def test_a_status_that_says_nothing_remembers_nothing(status: builders.JSON | None) -> None:
    assert parse_api.parse_memory(builders.raw_deployment(status=status)) == Memory()


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_samples_can_be_read(file: Path) -> None:
    readers: dict[str, Any] = {
        "InferenceDeployment": parse_api.parse_deployment,
        "HardwareClass": parse_api.parse_hardware_class,
    }
    for raw in yaml.safe_load_all(file.read_text()):
        if raw["kind"] in readers:
            assert readers[raw["kind"]](raw)

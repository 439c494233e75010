"""Our own kinds as values of the model: with every field, and with nothing but what must be there."""

from datetime import datetime
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
from heteroserve.model.snapshot import Memory, Recovery
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
            "weights": [{"class": "gpu", "weight": 100}],
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
        manual_weights={"gpu": 100},
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


def hardware_with(**metadata: Any) -> builders.JSON:
    raw = builders.raw_hardware("cpu")
    return {**raw, "metadata": {**raw["metadata"], **metadata}}


DRILL = "heteroserve.dev/drill-until"
# metadata of a class: whether everything is to leave it, and until when its loss is rehearsed
WISHES: dict[str, tuple[builders.JSON, tuple[bool, datetime | None]]] = {
    "nothing": ({}, (False, None)),
    "to be evacuated, whatever the label says": ({"labels": {"heteroserve.dev/evacuate": ""}}, (True, None)),
    "rehearsed": ({"annotations": {DRILL: "2026-01-02T12:00:00Z"}}, (False, builders.NOW)),
    "rehearsed, in a zone of its own": ({"annotations": {DRILL: "2026-01-02T13:00:00+01:00"}}, (False, builders.NOW)),
    "a drill of which nobody knows until when is none": ({"annotations": {DRILL: "10m"}}, (False, None)),
}


@builders.table(WISHES)
def test_what_somebody_wants_of_a_class(case: tuple[builders.JSON, tuple[bool, datetime | None]]) -> None:
    metadata, want = case
    found = parse_api.parse_hardware_class(hardware_with(**metadata))
    assert (found.evacuate, found.drill_until) == want


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


TROUBLED = {"since": "2026-01-02T12:00:00Z", "setbacks": 2, "troubled": True, "floor": 1}
# the classes of a status: what is remembered of how far they are trusted, and of what answered
TRUST: dict[str, tuple[list[builders.JSON], dict[str, Recovery], dict[str, int]]] = {
    "trusted in full": ([{"name": "cpu", "ready": 3}], {}, {"cpu": 3}),
    "nothing of it answered": ([{"name": "cpu", "ready": 0}], {}, {"cpu": 0}),
    "troubled": (
        [{"name": "cpu", "ready": 1, "recovery": TROUBLED}, {"name": "gpu", "ready": 2}],
        {"cpu": Recovery(since=builders.NOW, setbacks=2, troubled=True, floor=1)},
        {"cpu": 1, "gpu": 2},
    ),
    "it came": (
        [{"name": "cpu", "recovery": {"since": "2026-01-02T12:00:00Z"}}],
        {"cpu": Recovery(since=builders.NOW)},
        {},
    ),
}


@builders.table(TRUST)
def test_how_far_classes_were_trusted(case: tuple[list[builders.JSON], dict[str, Recovery], dict[str, int]]) -> None:
    classes, want_recoveries, want_ready = case
    found = parse_api.parse_memory(builders.raw_deployment(status={"classes": classes}))
    assert (found.recoveries, found.ready) == (want_recoveries, want_ready)


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_samples_can_be_read(file: Path) -> None:
    readers: dict[str, Any] = {
        "InferenceDeployment": parse_api.parse_deployment,
        "HardwareClass": parse_api.parse_hardware_class,
    }
    for raw in yaml.safe_load_all(file.read_text()):
        if raw["kind"] in readers:
            assert readers[raw["kind"]](raw)

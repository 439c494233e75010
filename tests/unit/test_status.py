from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import builders
from heteroserve.api import v1alpha1
from heteroserve.decide import decide
from heteroserve.kube import HARDWARE_CLASS, INFERENCE_DEPLOYMENT, Kind
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import Plan, Why
from heteroserve.model.snapshot import Memory, Pod, Recovery, Snapshot
from heteroserve.observe.parse_api import parse_conditions, parse_memory
from heteroserve.observe.store import Hardware, Store, Unreadable, Wish
from heteroserve.status import write
from heteroserve.status.compute import DECISIONS_KEPT, Status, compute_status, unreadable_conditions
from heteroserve.status.hardware import HardwareStatus
from heteroserve.status.write import as_json
from heteroserve.wake import Subject


def status_of(snapshot: Snapshot, plan: Plan | None = None) -> Status:
    return compute_status(snapshot, plan or decide(snapshot), Outcome())


# --- What is said ----------------------------------------------------------------------------------------------------


def test_the_newest_decisions_come_first_and_only_twenty_are_kept() -> None:
    old = tuple(builders.decision(f"old-{number}") for number in range(DECISIONS_KEPT))
    new = (builders.decision("first"), builders.decision("second"))
    snapshot = builders.snapshot(memory=builders.memory(decisions=old))
    found = status_of(snapshot, builders.plan(decisions=new)).decisions
    assert [d.class_name for d in found] == ["second", "first", *(f"old-{number}" for number in range(18))]


@pytest.mark.parametrize(
    ("before", "now", "want"),
    [
        (None, None, None),
        (None, 123.456, 123.0),
        (100.0, None, 100.0),
        (100.0, 109.9, 100.0),
        (100.0, 90.1, 100.0),
        (100.0, 111.0, 111.0),
        (100.0, 12345.0, 12300.0),
        (0.0, 0.05, 0.0),
        (0.0, 0.5, 0.5),
        (0.5, 0.0, 0.0),
    ],
)
def test_the_demand_that_is_shown_does_not_flicker(before: float | None, now: float | None, want: float | None) -> None:
    snapshot = builders.snapshot(memory=builders.memory(demand_rps=before))
    assert status_of(snapshot, builders.plan(demand=builders.demand(now))).demand_rps == want


def test_the_time_of_a_condition_moves_with_its_status_and_not_with_its_reason() -> None:
    before = (
        builders.condition("Ready", "False", "Starting"),
        builders.condition("ModelReady", "True", "OtherReason"),
    )
    snapshot = builders.snapshot(ready={"gpu": 1}, route=builders.route(gpu=100), memory=Memory(conditions=before))
    after = {c.type: (c.reason, c.last_transition) for c in status_of(snapshot).conditions}
    assert after["Ready"] == ("Serving", builders.NOW)
    assert after["ModelReady"] == ("ModelLoaded", builders.ago(600))


def serving(*versions: str | None, ready: bool = True) -> tuple[Pod, ...]:
    """CPU pods, one for each version."""
    return tuple(
        builders.pod(f"cpu-{number}", ready=ready, model_version=version) for number, version in enumerate(versions)
    )


VERSIONS: dict[str, tuple[tuple[Pod, ...], str | None]] = {
    "nothing is ready": (serving("8", ready=False), None),
    "all serve the old one": (serving("7", "7"), "7"),
    "two versions serve, and the last that all did is told": (serving("7", "8"), "6"),
    "all serve the new one": (serving("8", "8"), "8"),
    "a pod that is not ready does not count": ((*serving("7"), builders.pod(ready=False, model_version="8")), "7"),
    "a pod that leaves does not count": ((*serving("8"), builders.pod(terminating=True, model_version="7")), "8"),
    "no version is asked for": (serving(None, None), None),
}


@builders.table(VERSIONS)
def test_the_version_is_the_one_that_every_ready_pod_serves(case: tuple[tuple[Pod, ...], str | None]) -> None:
    pods, want = case
    wish = builders.deployment(builders.target("cpu"), model=builders.model(version="8"))
    found = builders.snapshot(deployment=wish, pods=pods, memory=builders.memory(version="6"))
    assert status_of(found).version == want


def test_a_status_is_about_the_generation_that_was_seen() -> None:
    found = status_of(builders.snapshot(deployment=builders.deployment(generation=7)))
    assert found.generation == 7
    assert {c.observed_generation for c in found.conditions} == {7}


def test_what_cannot_be_read_is_said_and_the_other_conditions_fall_away() -> None:
    before = (builders.condition("Ready", "False", "Starting"),)
    found = unreadable_conditions(before, "spec.model: Field required", 4, builders.NOW)
    unreadable: dict[str, Any] = {"reason": "SpecUnreadable", "message": "spec.model: Field required"}
    assert found == (
        builders.condition("Ready", "False", observed_generation=4, **unreadable),
        builders.condition("Stalled", observed_generation=4, last_transition=builders.NOW, **unreadable),
    )


# --- As JSON ---------------------------------------------------------------------------------------------------------

BUSY = builders.snapshot(
    ready={"cpu": 8, "gpu": 1},
    demand=812.5,
    route=builders.route(cpu=50, gpu=50),
    memory=builders.memory(
        pending={"cpu": builders.pending(60, 2)},
        decisions=(builders.decision("gpu", time=builders.ago(60)),),
        conditions=(builders.condition("Ready", "True", "Serving"),),
    ),
)


def test_a_status_as_json() -> None:
    cost = "a replica carries 1e+03 requests/s; one request/s costs 0.0007 per hour here"
    found = as_json(status_of(BUSY))
    conditions = found.pop("conditions")
    assert found == {
        "observedGeneration": 1,
        "replicas": 9,
        "readyReplicas": 9,
        "costPerHour": "1.50",
        "demand": {"requestsPerSecond": 812},
        "classes": [
            {
                "name": "cpu",
                "replicas": 8,
                "ready": 8,
                "weight": 45,
                "capacity": 800,
                "costPerHour": "0.80",
                "reason": "ScaleDownStabilizing",
                "message": "down to 2 when the demand stays low for 300 s",
                "pendingScaleDown": {"since": "2026-01-02T11:59:00Z", "replicas": 2},
            },
            {
                "name": "gpu",
                "replicas": 1,
                "ready": 1,
                "weight": 55,
                "capacity": 1000,
                "costPerHour": "0.70",
                "reason": "DemandCovered",
                "message": cost,
            },
            {
                "name": "fpga",
                "replicas": 0,
                "ready": 0,
                "weight": 0,
                "capacity": 0,
                "costPerHour": "0.00",
                "reason": "DemandCovered",
                "message": "a replica carries 500 requests/s; one request/s costs 0.0009 per hour here",
            },
        ],
        "decisions": [
            {
                "time": "2026-01-02T12:00:00Z",
                "from": "cpu=50 gpu=50",
                "to": "cpu=45 fpga=0 gpu=55",
                "reason": "ReadyCapacity",
                "message": "by ready capacity: cpu 8 ready, gpu 1 ready, fpga 0 ready",
            },
            {
                "time": "2026-01-02T11:59:00Z",
                "class": "gpu",
                "from": "1 replica",
                "to": "2 replicas",
                "reason": "DemandCovered",
                "message": "covers the demand",
            },
        ],
    }
    assert conditions[0] == {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "the model is served",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T11:50:00Z",
    }
    assert len(conditions) == 8


def test_what_is_written_is_what_is_remembered() -> None:
    status = status_of(BUSY)
    written = builders.raw_deployment(status=as_json(status))
    v1alpha1.InferenceDeployment.model_validate(written)
    assert parse_memory(written) == Memory(
        pending={c.name: c.pending for c in status.classes if c.pending},
        decisions=status.decisions,
        conditions=status.conditions,
        demand_rps=status.demand_rps,
        ready={"cpu": 8, "gpu": 1, "fpga": 0},
        weights={"cpu": 45, "gpu": 55, "fpga": 0},
    )


RECOVERIES: dict[str, tuple[Recovery | None, builders.JSON | None]] = {
    "trusted in full": (None, None),
    "it came": (
        Recovery(since=builders.ago(10)),
        {"since": "2026-01-02T11:59:50Z", "setbacks": 0, "troubled": False, "floor": 0},
    ),
    "it fails again and again": (
        Recovery(since=builders.NOW, setbacks=3, troubled=True, floor=2),
        {"since": "2026-01-02T12:00:00Z", "setbacks": 3, "troubled": True, "floor": 2},
    ),
    "more often, and more of it, than the CRD takes": (
        Recovery(since=builders.NOW, setbacks=1234, troubled=True, floor=5678),
        {"since": "2026-01-02T12:00:00Z", "setbacks": 100, "troubled": True, "floor": 1000},
    ),
}


@builders.table(RECOVERIES)
def test_how_far_a_class_is_trusted_is_written_and_remembered(
    case: tuple[Recovery | None, builders.JSON | None],
) -> None:
    recovery, want = case
    plan = builders.plan(builders.class_plan("cpu", 3, recovery=recovery))
    written = builders.raw_deployment(status=as_json(status_of(builders.snapshot(), plan)))
    v1alpha1.InferenceDeployment.model_validate(written)
    assert written["status"]["classes"][0].get("recovery") == want
    if recovery and recovery.setbacks < 100:
        assert parse_memory(written).recoveries == {"cpu": recovery}


def test_the_same_moment_after_it_was_written_writes_the_same() -> None:
    first = as_json(status_of(BUSY))
    remembered = parse_memory(builders.raw_deployment(status=first))
    settled = replace(BUSY, route=builders.route(cpu=45, fpga=0, gpu=55), memory=remembered)
    assert as_json(status_of(settled)) == {**first, "conditions": as_json(status_of(settled))["conditions"]}
    assert as_json(status_of(replace(settled, memory=remembered))) == as_json(status_of(settled))


def test_a_figure_that_is_whole_is_written_as_the_api_server_stores_it() -> None:
    plan = builders.plan(builders.class_plan("cpu", 3, replica_rps=33.333), demand=builders.demand(0.0))
    found = as_json(status_of(builders.snapshot(), plan))
    assert (found["classes"][0]["capacity"], found["demand"]["requestsPerSecond"]) == (100.0, 0)
    assert type(found["demand"]["requestsPerSecond"]) is int


def test_what_is_unknown_is_left_out() -> None:
    found = as_json(Status(generation=1, conditions=()))
    assert found == {
        "observedGeneration": 1,
        "conditions": [],
        "replicas": 0,
        "readyReplicas": 0,
        "classes": [],
        "decisions": [],
    }


def test_long_texts_and_large_figures_are_cut_to_what_the_crd_takes() -> None:
    plan = builders.plan(
        builders.class_plan("cpu", 5000, message="m" * 5000, replica_rps=1e9, cost_per_hour=Decimal(12345678901)),
        demand=builders.demand(1e15),
        decisions=(builders.decision(before="b" * 500, after="a" * 500, message="m" * 5000),),
    )
    found = as_json(status_of(builders.snapshot(), plan))
    v1alpha1.InferenceDeployment.model_validate(builders.raw_deployment(status=found))
    assert (found["classes"][0]["replicas"], found["replicas"]) == (1000, 5000)
    assert (found["demand"]["requestsPerSecond"], found["classes"][0]["capacity"]) == (10**9, 10**9)
    assert found["costPerHour"] == found["classes"][0]["costPerHour"] == "999999999.999999"
    assert [len(found["decisions"][0][field]) for field in ("from", "to", "message")] == [128, 128, 1024]


def test_every_reason_fits_the_crd() -> None:
    for why in Why:
        v1alpha1.ClassStatus(name="cpu", reason=str(why))


# --- Written only when it says something new -------------------------------------------------------------------------


class Api:
    """Takes status writes, and answers what an API server would."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str | None, str, str, builders.JSON]] = []

    async def replace_status(
        self, kind: Kind, namespace: str | None, name: str, status: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.written.append((kind.kind, namespace, name, uid, status))
        answer = builders.raw_deployment() if kind is INFERENCE_DEPLOYMENT else builders.raw_hardware()
        return {**answer, "status": status}


def wish(status: builders.JSON) -> Wish:
    return Wish(deployment=builders.deployment(), memory=Memory(), status=status)


def known(name: str, status: builders.JSON) -> Hardware:
    return Hardware(hardware=builders.hardware(name), uid=f"uid-{name}", generation=2, status=status)


async def test_a_status_is_written_to_exactly_the_object_that_it_is_about_and_learned() -> None:
    api, store, status = Api(), Store(), status_of(BUSY)
    await write.write_status(api, store, wish({}), status)  # type: ignore[arg-type]
    assert api.written == [("InferenceDeployment", "demo", "digits", "uid-digits", as_json(status))]
    assert store.wishes()[builders.KEY].status == as_json(status)


async def test_a_status_that_stands_there_is_not_written() -> None:
    api, status = Api(), status_of(BUSY)
    await write.write_status(api, Store(), wish(as_json(status)), status)  # type: ignore[arg-type]
    assert api.written == []


HARDWARE = HardwareStatus(
    generation=2,
    nodes=3,
    ready_nodes=2,
    capacity=8,
    allocatable=6,
    free=1,
    conditions=(builders.condition("Ready", "True", "NodesReady"),),
)


async def test_the_status_of_hardware() -> None:
    api = Api()
    await write.write_hardware_status(api, Store(), known("gpu", {}), HARDWARE)  # type: ignore[arg-type]
    ((*where, found),) = api.written
    assert where == [HARDWARE_CLASS.kind, None, "gpu", "uid-gpu"]
    assert parse_conditions(found) == HARDWARE.conditions
    assert {key: value for key, value in found.items() if key != "conditions"} == {
        "observedGeneration": 2,
        "nodes": 3,
        "readyNodes": 2,
        "devices": {"capacity": 8, "allocatable": 6, "free": 1},
    }
    v1alpha1.HardwareClass.model_validate({**builders.raw_hardware(), "status": found})
    await write.write_hardware_status(api, Store(), known("gpu", found), HARDWARE)  # type: ignore[arg-type]
    assert len(api.written) == 1


async def test_the_status_of_hardware_without_devices_has_none() -> None:
    api = Api()
    bare = replace(HARDWARE, capacity=None, allocatable=None, free=None)
    await write.write_hardware_status(api, Store(), known("cpu", {}), bare)  # type: ignore[arg-type]
    assert "devices" not in api.written[0][-1]


async def test_of_what_cannot_be_read_only_the_conditions_are_written() -> None:
    api, subject = Api(), Subject(kind="InferenceDeployment", namespace="demo", name="digits")
    before = Unreadable(uid="uid-digits", generation=2, message="spec: Field required", status={"replicas": 4})
    conditions = unreadable_conditions((), before.message, 2, builders.NOW)
    await write.write_unreadable(api, Store(), subject, before, conditions)  # type: ignore[arg-type]
    ((*where, status),) = api.written
    assert where == ["InferenceDeployment", "demo", "digits", "uid-digits"]
    assert (status["replicas"], parse_conditions(status)) == (4, conditions)
    later = unreadable_conditions(conditions, "spec: Field required", 2, builders.NOW + timedelta(seconds=5))
    await write.write_unreadable(api, Store(), subject, replace(before, status=status), later)  # type: ignore[arg-type]
    assert len(api.written) == 1

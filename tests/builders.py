"""Builders of the domain's values: a test says what it is about, and nothing else.

The usual cast, in the order of what one request/s costs: `gpu` (1000 requests/s for 0.70), `fpga` (500 for 0.45), `cpu`
(100 for 0.10, no device). Each has two nodes, `<class>-0` and `<class>-1`, with four devices each. Utilisation is 1, so
that the figures in a test are those of the profiles.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from heteroserve.decide.supply import Supply
from heteroserve.model.deployment import (
    ClassTarget,
    GatewayRef,
    ImageSource,
    InferenceDeployment,
    Key,
    Model,
    Objective,
    ProfilePoint,
    Scaling,
)
from heteroserve.model.fleet import Accelerator, DeviceRequest, HardwareClass, Node, Runtime
from heteroserve.model.plan import ClassPlan, Demand, Departure, Plan, Why
from heteroserve.model.snapshot import (
    Cluster,
    ConditionState,
    DecisionRecord,
    Mark,
    Memory,
    NodeVitals,
    PendingScaleDown,
    Pod,
    Recovery,
    RouteState,
    Signals,
    Snapshot,
)

JSON = dict[str, Any]

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
KEY = Key(namespace="demo", name="digits")
CLASS = "pool"
"""The node label by which the cast's classes select their nodes."""


@dataclass(frozen=True)
class Role:
    """What a class of the cast costs and can do."""

    price: str
    rps: float
    device: str | None = None
    accelerator: Accelerator = Accelerator.CPU


CAST = {
    "cpu": Role(price="0.10", rps=100.0),
    "gpu": Role(price="0.70", rps=1000.0, device="nvidia.com/gpu", accelerator=Accelerator.GPU),
    "fpga": Role(price="0.45", rps=500.0, device="amd.com/xilinx_u250", accelerator=Accelerator.FPGA),
}


def table(cases: Mapping[str, Any]) -> pytest.MarkDecorator:
    """A table of cases, told apart by what they tell: `test_it(case)` runs once per line."""
    return pytest.mark.parametrize("case", list(cases.values()), ids=list(cases))


def ago(seconds: float) -> datetime:
    """A moment before now."""
    return NOW - timedelta(seconds=seconds)


# --- What a user writes ----------------------------------------------------------------------------------------------


def point(rps: float = 100.0, *, p99: float = 20.0, p50: float | None = None, batch: int = 1) -> ProfilePoint:
    """A measured point; the median is half of the p99."""
    half = p99 / 2 if p50 is None else p50
    return ProfilePoint(batch=batch, p50_milliseconds=half, p99_milliseconds=p99, throughput_rps=rps)


def target(name: str = "cpu", *, rps: float | None = None, low: int = 0, high: int = 10, **fields: Any) -> ClassTarget:
    """A class that a deployment may run on, with one point that keeps the objective."""
    throughput = CAST[name].rps if rps is None else rps
    return ClassTarget(
        **{"name": name, "min_replicas": low, "max_replicas": high, "points": (point(throughput),), **fields}
    )


def everywhere(**fields: Any) -> tuple[ClassTarget, ...]:
    """The whole cast as targets."""
    return tuple(target(name, **fields) for name in CAST)


def model(**fields: Any) -> Model:
    """The model `digits` out of an image."""
    return Model(**{"name": "digits", "source": ImageSource(reference="registry.example/digits:1"), **fields})


def deployment(*targets: ClassTarget, **fields: Any) -> InferenceDeployment:
    """A deployment of `digits` with a gateway; of the whole cast when no target is given."""
    return InferenceDeployment(
        **{
            "key": KEY,
            "uid": "uid-digits",
            "generation": 1,
            "model": model(),
            "objective": Objective(percentile=99, latency_milliseconds=50.0),
            "classes": targets or everywhere(),
            "scaling": Scaling(target_utilisation=1.0),
            "gateways": (GatewayRef(name="public"),),
            **fields,
        }
    )


# --- What the cluster has --------------------------------------------------------------------------------------------


def hardware(name: str = "cpu", **fields: Any) -> HardwareClass:
    """A HardwareClass of the cast (or another one, without devices, for 1 an hour)."""
    role = CAST.get(name, Role(price="1", rps=1.0))
    return HardwareClass(
        **{
            "name": name,
            "accelerator": role.accelerator,
            "node_selector": {CLASS: name},
            "devices": (DeviceRequest(resource=role.device, quantity=1),) if role.device else (),
            "cost_per_hour": Decimal(role.price),
            "runtime": Runtime(image="registry.example/triton:2.51.0", requests={"cpu": "1", "memory": "1Gi"}),
            **fields,
        }
    )


def node(name: str = "cpu-0", *, devices: int = 4, **fields: Any) -> Node:
    """A healthy node `<class>-<number>`."""
    class_name = name.rpartition("-")[0]
    role = CAST.get(class_name)
    offers = {role.device: devices} if role and role.device else {}
    return Node(**{"name": name, "labels": {CLASS: class_name}, "capacity": offers, "allocatable": offers, **fields})


def nodes(*names: str) -> tuple[Node, ...]:
    """Two nodes per class."""
    return tuple(node(f"{name}-{number}") for name in names for number in (0, 1))


def pod(name: str = "cpu-a", **fields: Any) -> Pod:
    """A pod `<class>-<letter>`, ready on that class's first node."""
    class_name = name.rpartition("-")[0]
    role = CAST.get(class_name)
    return Pod(
        **{
            "name": name,
            "uid": f"uid-{name}",
            "class_name": class_name,
            "node": f"{class_name}-0",
            "ready": True,
            "created": ago(600),
            "devices": {role.device: 1} if role and role.device else {},
            **fields,
        }
    )


def pods(class_name: str, count: int, **fields: Any) -> tuple[Pod, ...]:
    """Ready pods, spread over the class's two nodes."""
    return tuple(
        pod(f"{class_name}-{number:03}", **{"node": f"{class_name}-{number % 2}", **fields}) for number in range(count)
    )


# --- What is seen at one moment --------------------------------------------------------------------------------------


def fresh(rps: float, **fields: Any) -> Signals:
    """Signals in which nothing is missing: so many requests/s arrive, and are answered."""
    return Signals(**{"offered_rps": rps, "served_rps": rps, "backlog": 0.0, "age_seconds": 5.0, **fields})


def route(*, accepted: bool | None = True, message: str = "", **weights: int) -> RouteState:
    """The HTTPRoute as it stands."""
    return RouteState(weights=weights, accepted=accepted, message=message)


def pending(seconds: float, replicas: int) -> PendingScaleDown:
    """A scale-down that has been waiting for so long."""
    return PendingScaleDown(since=ago(seconds), replicas=replicas)


def recovery(seconds: float, **fields: Any) -> Recovery:
    """A class that came, or whose trouble began or ended, so long ago."""
    return Recovery(**{"since": ago(seconds), **fields})


def mark(out_seconds: float | None = None, *, goes_first: bool = True) -> Mark:
    """What a pod was told: to go first, and for how long it has been out of the traffic."""
    return Mark(out_since=None if out_seconds is None else ago(out_seconds), goes_first=goes_first)


def snapshot(
    *targets: ClassTarget, ready: Mapping[str, int] | None = None, demand: float | None = 0.0, **fields: Any
) -> Snapshot:
    """A moment of a deployment on healthy nodes: so many ready pods per class, and as many replicas asked for.

    `demand` are fresh requests per second; `None` means that nothing has been measured. A class of which nothing is
    `ready` has no Deployment yet, unless `replicas` says so.
    """
    serving = ready or {}
    wish = fields.pop("deployment", None) or deployment(*targets)
    names = sorted({c.name for c in wish.classes} | serving.keys())
    return Snapshot(
        **{
            "now": NOW,
            "deployment": wish,
            "hardware": {name: hardware(name) for name in names},
            "nodes": nodes(*names),
            "pods": tuple(p for name, count in serving.items() for p in pods(name, count)),
            "replicas": dict(serving),
            "signals": Signals() if demand is None else fresh(demand),
            "cluster": Cluster(),
            **fields,
        }
    )


def lost(before: Snapshot, *names: str) -> Snapshot:
    """The same moment with some nodes NotReady."""
    return replace(before, nodes=tuple(replace(n, ready=n.ready and n.name not in names) for n in before.nodes))


def silent(before: Snapshot, *names: str, times: int = 3) -> Snapshot:
    """The same moment with some pods that did not answer so many of our probes; all others do, here and elsewhere."""
    heard = {"elsewhere": NodeVitals(asked=1)} if len(names) < len(before.pods) else {}
    return replace(
        before,
        probes={p.uid: times if p.name in names else 0 for p in before.pods},
        vitals={**before.vitals, **heard},
    )


def vitals(before: Snapshot, *names: str, **fields: Any) -> Snapshot:
    """The same moment with something found out about some nodes."""
    return replace(before, vitals={**before.vitals, **{name: NodeVitals(**fields) for name in names}})


# --- What the steps of deciding hand to each other -------------------------------------------------------------------


def supply(name: str = "cpu", *, rps: float | None = None, low: int = 0, high: int = 10, **fields: Any) -> Supply:
    """A class as a supplier; by default nothing of it runs, its room has no bound, and what is ready stays."""
    role = CAST.get(name, Role(price="1", rps=1.0))
    throughput = role.rps if rps is None else rps
    ready = fields.get("ready", 0)
    return Supply(
        **{
            "target": target(name, rps=throughput, low=low, high=high),
            "hardware": hardware(name),
            "replica_rps": throughput,
            "fastest_rps": throughput,
            "best_latency_milliseconds": 20.0,
            "nodes": 2,
            "room": None,
            "ready": ready,
            "placed": ready,
            "answering": ready,
            "staying": ready,
            "staying_ready": ready,
            **fields,
        }
    )


def departure(name: str = "cpu-a", cause: str = "NodeCordoned", **fields: Any) -> Departure:
    """A pod that is to be replaced."""
    return Departure(**{"pod": name, "cause": cause, **fields})


def demand(rps: float | None = 0.0, *, may_shrink: bool = True, reason: str = "MetricsFresh") -> Demand:
    """A demand that may remove replicas."""
    return Demand(rps=rps, may_shrink=may_shrink, reason=reason, message="all signals are present and fresh")


def class_plan(name: str = "cpu", replicas: int = 1, **fields: Any) -> ClassPlan:
    """A class of a plan: covered, with all replicas ready."""
    role = CAST.get(name, Role(price="1", rps=1.0))
    return ClassPlan(
        **{
            "name": name,
            "replicas": replicas,
            "weight": 100,
            "ready": replicas,
            "replica_rps": role.rps,
            "cost_per_hour": Decimal(role.price) * replicas,
            "why": Why.DEMAND,
            "message": "covers the demand",
            **fields,
        }
    )


def plan(*classes: ClassPlan, **fields: Any) -> Plan:
    """A plan without changes."""
    return Plan(**{"classes": classes or (class_plan(),), "demand": demand(), **fields})


def condition(kind: str, status: str = "True", reason: str = "Reason", **fields: Any) -> ConditionState:
    """A condition as it stands in the status."""
    return ConditionState(
        **{
            "type": kind,
            "status": status,
            "reason": reason,
            "message": "",
            "observed_generation": 1,
            "last_transition": ago(600),
            **fields,
        }
    )


def decision(class_name: str = "cpu", **fields: Any) -> DecisionRecord:
    """A change that was decided."""
    return DecisionRecord(
        **{
            "time": NOW,
            "class_name": class_name,
            "before": "1 replica",
            "after": "2 replicas",
            "reason": "DemandCovered",
            "message": "covers the demand",
            **fields,
        }
    )


def memory(**fields: Any) -> Memory:
    """What a status remembers."""
    return Memory(**fields)


# --- Objects as the API server has them ------------------------------------------------------------------------------


def raw(kind: str = "Pod", name: str = "digits-cpu-0", *, namespace: str = "demo", **metadata: Any) -> JSON:
    """The head of an object."""
    head = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", **metadata}
    return {"kind": kind, "metadata": {"namespace": namespace, **head} if namespace else head}


def raw_pod(name: str = "digits-cpu-0", *, class_name: str = "cpu", **fields: Any) -> JSON:
    """A pod of ours; `status` and `spec` as the kubelet and we write them."""
    labels = {"heteroserve.dev/deployment": "digits", "heteroserve.dev/class": class_name}
    metadata = fields.pop("metadata", {})
    return {**raw("Pod", name, labels=labels, creationTimestamp="2026-01-02T11:50:00Z", **metadata), **fields}


def raw_node(name: str = "cpu-0", *, ready: str = "True", **fields: Any) -> JSON:
    """A node with nothing but its Ready condition."""
    metadata = fields.pop("metadata", {})
    status = {"conditions": [{"type": "Ready", "status": ready}], **fields.pop("status", {})}
    return {**raw("Node", name, namespace="", **metadata), "status": status, **fields}


def raw_hardware(name: str = "cpu", **spec: Any) -> JSON:
    """A HardwareClass as a user writes it."""
    runtime = {"image": "registry.example/triton:2.51.0", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    given = {"accelerator": "CPU", "nodeSelector": {CLASS: name}, "cost": {"perHour": "0.10"}, "runtime": runtime}
    return {**raw("HardwareClass", name, namespace="", generation=1), "spec": {**given, **spec}}


def raw_deployment(name: str = "digits", *, status: JSON | None = None, **spec: Any) -> JSON:
    """An InferenceDeployment as a user writes it."""
    points = [{"batch": 1, "latencyMilliseconds": {"p50": 10, "p99": 20}, "throughput": 100}]
    given = {
        "model": {"name": "digits", "source": {"image": {"reference": "registry.example/digits:1"}}},
        "objective": {"latency": {"milliseconds": 50}},
        "classes": [{"name": "cpu", "profile": {"points": points}}],
    }
    head = raw("InferenceDeployment", name, generation=1)
    return {**head, "spec": {**given, **spec}, **({"status": status} if status is not None else {})}


def owned(kind: str, name: str, *, class_name: str | None = None, version: int = 1, **fields: Any) -> JSON:
    """An object that an InferenceDeployment `digits` owns."""
    labels = {"heteroserve.dev/deployment": "digits"}
    labels |= {"heteroserve.dev/class": class_name} if class_name else {}
    owners = [{"kind": "InferenceDeployment", "name": "digits", "uid": "uid-digits", "controller": True}]
    return {**raw(kind, name, labels=labels, ownerReferences=owners, resourceVersion=str(version)), **fields}


def by_name(values: Iterable[Any]) -> dict[str, Any]:
    """Values by their name."""
    return {value.name: value for value in values}

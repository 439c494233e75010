"""The only writer of a status: sends it when it says something new, and never otherwise."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from heteroserve import kube
from heteroserve.kube import Kube, Object
from heteroserve.model.plan import ClassPlan
from heteroserve.model.snapshot import ConditionState, DecisionRecord, Recovery
from heteroserve.observe.store import Hardware, Name, Store, Unreadable, Wish
from heteroserve.status.compute import Status
from heteroserve.status.hardware import HardwareStatus
from heteroserve.wake import Subject

TEXT_LENGTH = 128
MOST_RPS, MOST_REPLICAS, MOST_REPLICAS_IN_ALL, MOST_WEIGHT = 1e9, 1000, 16_000, 100
MOST_SETBACKS = 100
MOST_PER_HOUR = Decimal("999999999.999999")
"""The CRD's bounds. A figure beyond them is cut: a status that the API server refuses would tell nothing at all."""


async def write_status(api: Kube, store: Store, wish: Wish, status: Status) -> None:
    """Writes the status of an InferenceDeployment if it differs from what stands there."""
    wanted, key = as_json(status), wish.deployment.key
    if wanted != wish.status:
        where = (key.namespace, key.name)
        await _send(api, store, kube.INFERENCE_DEPLOYMENT, where, wanted, uid=wish.deployment.uid)


async def write_hardware_status(api: Kube, store: Store, known: Hardware, status: HardwareStatus) -> None:
    """Writes the status of a HardwareClass if it differs from what stands there."""
    devices = {"capacity": status.capacity, "allocatable": status.allocatable, "free": status.free}
    wanted = {
        "observedGeneration": status.generation,
        "nodes": status.nodes,
        "readyNodes": status.ready_nodes,
        "conditions": [_condition(c) for c in status.conditions],
        **({"devices": devices} if status.capacity is not None else {}),
    }
    if wanted != known.status:
        await _send(api, store, kube.HARDWARE_CLASS, ("", known.hardware.name), wanted, uid=known.uid)


async def write_unreadable(
    api: Kube, store: Store, subject: Subject, found: Unreadable, conditions: tuple[ConditionState, ...]
) -> None:
    """Says of an object that it cannot be read, and leaves the rest of its status as it is."""
    wanted = {**found.status, "conditions": [_condition(c) for c in conditions]}
    if wanted != found.status:
        where = (subject.namespace, subject.name)
        await _send(api, store, kube.BY_KIND[subject.kind], where, wanted, uid=found.uid)


async def _send(api: Kube, store: Store, kind: kube.Kind, name: Name, status: Object, *, uid: str) -> None:
    store.put(kind, await api.replace_status(kind, name[0] or None, name[1], status, uid=uid))


def as_json(status: Status) -> Object:
    """The status in the form of the CRD; what is not known is left out."""
    return _without_none(
        {
            "observedGeneration": status.generation,
            "conditions": [_condition(c) for c in status.conditions],
            "version": status.version,
            "replicas": min(sum(c.replicas for c in status.classes), MOST_REPLICAS_IN_ALL),
            "readyReplicas": min(sum(c.ready for c in status.classes), MOST_REPLICAS_IN_ALL),
            "costPerHour": None if status.cost_per_hour is None else _money(status.cost_per_hour),
            "demand": None if status.demand_rps is None else {"requestsPerSecond": _rate(status.demand_rps)},
            "classes": [_class(c) for c in status.classes],
            "decisions": [_decision(d) for d in status.decisions],
        }
    )


def _class(plan: ClassPlan) -> Object:
    pending = plan.pending
    return _without_none(
        {
            "name": plan.name,
            "replicas": min(plan.replicas, MOST_REPLICAS),
            "ready": min(plan.ready, MOST_REPLICAS),
            "weight": max(0, min(plan.weight, MOST_WEIGHT)),
            "capacity": _rate(float(f"{plan.ready_rps:.4g}")),
            "costPerHour": _money(plan.cost_per_hour),
            "reason": str(plan.why),
            "message": plan.message[:1024],
            "pendingScaleDown": {"since": _time(pending.since), "replicas": pending.replicas} if pending else None,
            "recovery": _recovery(plan.recovery) if plan.recovery else None,
        }
    )


def _recovery(recovery: Recovery) -> Object:
    return {
        "since": _time(recovery.since),
        "setbacks": min(recovery.setbacks, MOST_SETBACKS),
        "troubled": recovery.troubled,
        "floor": min(recovery.floor, MOST_REPLICAS),
    }


def _decision(decision: DecisionRecord) -> Object:
    return _without_none(
        {
            "time": _time(decision.time),
            "class": decision.class_name or None,
            "from": decision.before[:TEXT_LENGTH],
            "to": decision.after[:TEXT_LENGTH],
            "reason": str(decision.reason),
            "message": decision.message[:1024],
        }
    )


def _condition(condition: ConditionState) -> Object:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": str(condition.reason),
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": _time(condition.last_transition),
    }


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _rate(value: float) -> float:
    """Whole numbers as integers: the API server stores 5.0 as 5, and what is read back must equal what was sent."""
    bounded = min(value, MOST_RPS)
    return int(bounded) if bounded == int(bounded) else bounded


def _money(value: Decimal) -> str:
    return f"{min(value, MOST_PER_HOUR):f}"


def _without_none(fields: dict[str, Any]) -> Object:
    return {key: value for key, value in fields.items() if value is not None}

"""Objects of the cluster as facts of the model. Pure; the only place that reads raw pods and nodes.

Parsing is total: whatever a cluster may hold becomes a fact or is left out, and never an exception. What the API
server validated (our own kinds) is parsed by the API's models, in `parse_api`.
"""

import re
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from heteroserve.model.fleet import Node, Taint
from heteroserve.model.snapshot import Mark, Pod, PodProblem, RouteState
from heteroserve.render.metadata import (
    CLASS_LABEL,
    DELETION_COST_ANNOTATION,
    DRILL_ANNOTATION,
    EVACUATE_LABEL,
    GOES_FIRST,
    OUT_SINCE_ANNOTATION,
    SERVING_LABEL,
    VERSION_ANNOTATION,
)

Object = dict[str, Any]

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
MODEL_ERRORS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r"UNAVAILABLE:", r"failed to load '", r"failed to load|unable to (find|load)|failed to poll")
)
"""What tritonserver says of a model that it cannot load, the most telling first."""
DEVICES = re.compile("([0-9]{1,9})([kM]?)")
"""A number of devices; the API server writes 1000 as 1k."""
THOUSANDS = {"": 1, "k": 10**3, "M": 10**6}
MESSAGE_LENGTH = 400


def parse_node(raw: Object) -> Node:
    """A Node; of its resources only the extended ones (their names have a domain)."""
    metadata = raw["metadata"]
    conditions = {_text(c, "type"): c for c in _parts(raw, "status", "conditions")}
    ready = _part(conditions, "Ready")
    return Node(
        name=metadata["name"],
        labels={name: value for name, value in _part(metadata, "labels").items() if isinstance(value, str)},
        ready=_text(ready, "status") == "True",
        not_ready_since=None if _text(ready, "status") == "True" else parse_time(ready.get("lastTransitionTime")),
        cordoned=bool(_part(raw, "spec").get("unschedulable")),
        deleting=bool(metadata.get("deletionTimestamp")),
        taints=tuple(
            Taint(key=_text(t, "key"), effect=_text(t, "effect"), value=_text(t, "value"))
            for t in _parts(raw, "spec", "taints")
        ),
        true_conditions=frozenset(t for t, c in conditions.items() if _text(c, "status") == "True" and t != "Ready"),
        capacity=_devices(_part(raw, "status", "capacity")),
        allocatable=_devices(_part(raw, "status", "allocatable")),
        evacuate=EVACUATE_LABEL in _part(metadata, "labels"),
        drill_until=parse_time(_part(metadata, "annotations").get(DRILL_ANNOTATION)),
    )


def parse_pod(raw: Object) -> Pod:
    """A pod of ours."""
    metadata, status = raw["metadata"], _part(raw, "status")
    conditions = {_text(c, "type"): c for c in _parts(status, "conditions")}
    problem, message = _problem(status, conditions)
    ended = _text(status, "phase") in {"Failed", "Succeeded"}
    return Pod(
        name=metadata["name"],
        uid=_text(metadata, "uid"),
        class_name=_text(_part(metadata, "labels"), CLASS_LABEL),
        node=_text(_part(raw, "spec"), "nodeName") or None,
        ready=_text(_part(conditions, "Ready"), "status") == "True",
        terminating=bool(metadata.get("deletionTimestamp")) or ended,
        ended=ended,
        started=any(c.get("started") is True for c in _parts(status, "containerStatuses")),
        unready_since=_unready_since(raw, _part(conditions, "Ready")),
        untouched_since=_untouched_since(raw, _part(conditions, "PodScheduled")),
        created=parse_time(metadata.get("creationTimestamp")),
        start_seconds=_start_seconds(raw, _part(conditions, "Ready")),
        problem=problem,
        message=message,
        model_version=_text(_part(metadata, "annotations"), VERSION_ANNOTATION)[:64] or None,
        address=_address(_text(status, "podIP")),
        device_unhealthy=any(_text(device, "health") == "Unhealthy" for device in _device_states(status)),
        devices={} if ended else _devices(_limits(raw)),  # an evicted pod stays on record, but holds nothing
        mark=_mark(metadata),
    )


def _mark(metadata: Object) -> Mark:
    """What we told Kubernetes about it. Out without a time that can be read is out from its beginning."""
    annotations = _part(metadata, "annotations")
    out = _part(metadata, "labels").get(SERVING_LABEL) != "true"
    since = parse_time(annotations.get(OUT_SINCE_ANNOTATION)) or parse_time(metadata.get("creationTimestamp"))
    return Mark(out_since=since if out else None, goes_first=annotations.get(DELETION_COST_ANNOTATION) == GOES_FIRST)


def _unready_since(raw: Object, ready: Object) -> datetime | None:
    if _text(ready, "status") == "True":
        return None
    return parse_time(ready.get("lastTransitionTime")) or parse_time(raw["metadata"].get("creationTimestamp"))


def _untouched_since(raw: Object, scheduled: Object) -> datetime | None:
    """The first thing that a kubelet says of a pod is when it began."""
    status = _part(raw, "status")
    begun = status.get("startTime") or status.get("containerStatuses") or _text(status, "phase") not in {"", "Pending"}
    if begun or not _text(_part(raw, "spec"), "nodeName"):
        return None
    return parse_time(scheduled.get("lastTransitionTime"))


def _start_seconds(raw: Object, ready: Object) -> float | None:
    created = parse_time(raw["metadata"].get("creationTimestamp"))
    since = parse_time(ready.get("lastTransitionTime"))
    restarted = any(_number(c, "restartCount") for c in _parts(raw, "status", "containerStatuses"))
    if _text(ready, "status") != "True" or restarted or created is None or since is None:
        return None
    return max(0.0, (since - created).total_seconds())


def parse_route(raw: Object, deployment_name: str) -> RouteState:
    """Weights by class out of an HTTPRoute of ours, and what its Gateways say."""
    prefix = f"{deployment_name}-"
    weights = {
        _text(b, "name").removeprefix(prefix): weight if isinstance(weight := b.get("weight"), int) else 1
        for rule in _parts(raw, "spec", "rules")[:1]
        for b in _parts(rule, "backendRefs")
        if _text(b, "name").startswith(prefix)
    }
    verdicts = [c for p in _parts(raw, "status", "parents") for c in _parts(p, "conditions")]
    generation = _number(raw["metadata"], "generation")
    behind = any("observedGeneration" in c and _number(c, "observedGeneration") < generation for c in verdicts)
    bad = [c for c in verdicts if _text(c, "type") in {"Accepted", "ResolvedRefs"} and _text(c, "status") == "False"]
    accepted = None if not verdicts else not bad
    message = _cut(_text(bad[0], "message")) if bad else ""
    return RouteState(weights=weights, behind=behind, accepted=accepted, message=message)


def is_rolling(raw: Object) -> bool:
    """Whether Kubernetes still works on a Deployment: it has not seen it yet, or pods of an older template are left."""
    status = _part(raw, "status")
    seen, wanted = (
        _number(part, name) for part, name in ((status, "observedGeneration"), (raw["metadata"], "generation"))
    )
    return seen < wanted or _number(status, "updatedReplicas") < _number(status, "replicas")


def parse_refusal(raw: Object) -> str:
    """Why Kubernetes creates no (more) pods of a Deployment; empty when it does."""
    conditions = _parts(raw, "status", "conditions")
    failed = [c for c in conditions if _text(c, "type") == "ReplicaFailure" and _text(c, "status") == "True"]
    return _cut(_text(failed[0], "message") or "no pod can be created") if failed else ""


def parse_lease(raw: Object) -> tuple[datetime | None, int]:
    """When a Lease was renewed, and for how many seconds it then holds (0 where it does not say)."""
    spec = _part(raw, "spec")
    return parse_time(spec.get("renewTime")), _number(spec, "leaseDurationSeconds")


def parse_time(text: Any) -> datetime | None:
    """A Kubernetes time; what is none, or has no zone, is nothing."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None


def _devices(quantities: Object) -> dict[str, int]:
    found = {name: DEVICES.fullmatch(str(q)) for name, q in quantities.items() if "/" in name}
    return {name: int(q[1]) * THOUSANDS[q[2]] for name, q in found.items() if q}


def _device_states(status: Object) -> list[Object]:
    """What the kubelet says of each device of each container (ResourceHealthStatus, where the cluster has that)."""
    named = [r for c in _parts(status, "containerStatuses") for r in _parts(c, "allocatedResourcesStatus")]
    return [state for resource in named for state in _parts(resource, "resources")]


def _address(text: str) -> str | None:
    """An address that can be put into a URL; one that only means something on its own node is none."""
    try:
        return None if "%" in text else str(ip_address(text))
    except ValueError:
        return None


def _limits(raw: Object) -> Object:
    return {n: q for c in _parts(raw, "spec", "containers") for n, q in _part(c, "resources", "limits").items()}


def _problem(status: Object, conditions: dict[str, Object]) -> tuple[PodProblem | None, str]:
    scheduled = _part(conditions, "PodScheduled")
    if _text(scheduled, "status") == "False":
        return PodProblem.UNSCHEDULABLE, _cut(_text(scheduled, "message"))
    for container in _parts(status, "containerStatuses"):
        if not container.get("ready"):
            found = _container_problem(container)
            if found:
                return found
    return None, ""


def _container_problem(container: Object) -> tuple[PodProblem, str] | None:
    waiting = _part(container, "state", "waiting")
    reason, message = _text(waiting, "reason"), _text(waiting, "message")
    if reason in IMAGE_REASONS:
        return PodProblem.IMAGE, _cut(message or reason)
    if reason in CONFIG_REASONS:
        return PodProblem.CONFIG, _cut(message or reason)
    ended = _part(container, "state", "terminated") or _part(container, "lastState", "terminated")
    if not ended or ended.get("exitCode") == 0:
        return None
    log = _text(ended, "message")
    if _text(ended, "reason") in {"StartError", "ContainerCannotRun"}:
        return PodProblem.CONFIG, _cut(log)
    telling = [line for pattern in MODEL_ERRORS for line in log.splitlines() if pattern.search(line)]
    if telling:
        return PodProblem.MODEL, _cut(telling[0].strip(" |"))
    return PodProblem.CRASH, _cut(f"exit code {ended.get('exitCode')}: {' '.join(log.split())[-200:]}")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 3] + "..."


def _part(raw: Any, *path: str) -> Object:
    """The object at a path, or an empty one."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw if isinstance(raw, dict) else {}


def _parts(raw: Any, *path: str) -> list[Object]:
    """The objects of the list at a path."""
    found = _part(raw, *path[:-1]).get(path[-1])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _number(raw: Object, name: str) -> int:
    """The whole number of a field, or 0."""
    found = raw.get(name)
    return found if isinstance(found, int) else 0


def _text(raw: Object, name: str) -> str:
    """The text of a field, or an empty one."""
    found = raw.get(name)
    return found if isinstance(found, str) else ""

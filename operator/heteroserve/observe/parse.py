"""Objects of the cluster as facts of the model. Pure; the only place that reads raw pods and nodes.

Parsing is total: whatever a cluster may hold becomes a fact or is left out, and never an exception. What the API
server validated (our own kinds) is parsed by the API's models, in `parse_api`.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from heteroserve.model.fleet import Node, Taint
from heteroserve.model.snapshot import Pod, PodProblem, RouteState
from heteroserve.render.metadata import CLASS_LABEL

Object = dict[str, Any]

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
MODEL_ERRORS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r"UNAVAILABLE:", r"failed to load '", r"failed to load|unable to (find|load)|failed to poll")
)
"""What tritonserver says of a model that it cannot load, the most telling first."""
MESSAGE_LENGTH = 400


def parse_node(raw: Object) -> Node:
    """A Node; of its resources only the extended ones (their names have a domain)."""
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    conditions = {c["type"]: c.get("status") for c in status.get("conditions", ())}
    return Node(
        name=metadata["name"],
        labels=metadata.get("labels", {}),
        ready=conditions.get("Ready") == "True",
        cordoned=bool(spec.get("unschedulable")),
        deleting="deletionTimestamp" in metadata,
        taints=tuple(
            Taint(key=t["key"], effect=t.get("effect", ""), value=t.get("value", "")) for t in spec.get("taints", ())
        ),
        true_conditions=frozenset(kind for kind, value in conditions.items() if value == "True" and kind != "Ready"),
        capacity=_devices(status.get("capacity", {})),
        allocatable=_devices(status.get("allocatable", {})),
    )


def parse_pod(raw: Object) -> Pod:
    """A pod of ours."""
    metadata, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    problem, message = _problem(status, conditions)
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        class_name=metadata.get("labels", {}).get(CLASS_LABEL, ""),
        node=spec.get("nodeName"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata or status.get("phase") in {"Failed", "Succeeded"},
        created=parse_time(metadata.get("creationTimestamp")),
        problem=problem,
        message=message,
        devices=_devices(_limits(spec)),
    )


def parse_route(raw: Object, deployment_name: str) -> RouteState:
    """Weights by class out of an HTTPRoute of ours, and what its Gateways say."""
    rules = raw.get("spec", {}).get("rules", [])
    prefix = f"{deployment_name}-"
    weights = {
        b["name"].removeprefix(prefix): int(b.get("weight", 1))
        for rule in rules[:1]
        for b in rule.get("backendRefs", ())
        if b["name"].startswith(prefix)
    }
    verdicts = [c for p in raw.get("status", {}).get("parents", ()) for c in p.get("conditions", ())]
    bad = [c for c in verdicts if c["type"] in {"Accepted", "ResolvedRefs"} and c["status"] == "False"]
    accepted = None if not verdicts else not bad
    return RouteState(weights=weights, accepted=accepted, message=_cut(bad[0].get("message", "")) if bad else "")


def parse_time(text: str | None) -> datetime | None:
    """A Kubernetes time."""
    return datetime.fromisoformat(text) if text else None


def _devices(quantities: dict[str, Any]) -> dict[str, int]:
    return {name: int(q) for name, q in quantities.items() if "/" in name and str(q).isdecimal()}


def _limits(spec: Object) -> dict[str, Any]:
    containers: Iterable[Object] = spec.get("containers", ())
    return {name: q for c in containers for name, q in c.get("resources", {}).get("limits", {}).items()}


def _problem(status: Object, conditions: dict[str, Object]) -> tuple[PodProblem | None, str]:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return PodProblem.UNSCHEDULABLE, _cut(scheduled.get("message", ""))
    for container in status.get("containerStatuses", ()):
        if not container.get("ready"):
            found = _container_problem(container)
            if found:
                return found
    return None, ""


def _container_problem(container: Object) -> tuple[PodProblem, str] | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in IMAGE_REASONS:
        return PodProblem.IMAGE, _cut(message or reason)
    if reason in CONFIG_REASONS:
        return PodProblem.CONFIG, _cut(message or reason)
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended or ended.get("exitCode") == 0:
        return None
    log = ended.get("message", "")
    if ended.get("reason") in {"StartError", "ContainerCannotRun"}:
        return PodProblem.CONFIG, _cut(log)
    telling = [line for pattern in MODEL_ERRORS for line in log.splitlines() if pattern.search(line)]
    if telling:
        return PodProblem.MODEL, _cut(telling[0].strip(" |"))
    return PodProblem.CRASH, _cut(f"exit code {ended.get('exitCode')}: {' '.join(log.split())[-200:]}")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 3] + "..."

"""Leaving: which pods serve and are to be replaced all the same. Pure.

Somebody wants the hardware below them, or it is not going to last: a cordoned or tainted node, one that is being
deleted, an evacuation, a broken device. Such a pod goes on serving (the one with a broken device excepted, that is a
matter of `health`) until others serve in its place; then it goes before anybody has to evict it.

Nothing here is about a node that failed: what does not answer cannot be moved, it is lost.
"""

from collections.abc import Mapping
from enum import StrEnum

from heteroserve.decide.health import Health
from heteroserve.model.fleet import HardwareClass, Node, Taint
from heteroserve.model.plan import Departure
from heteroserve.model.snapshot import Pod, Snapshot

CONDITIONS_PREFIX = "node.kubernetes.io/"
"""Kubernetes' own taints tell of the state of a node, which comes and goes. Nobody means by them that we should go."""


class Cause(StrEnum):
    """Why a pod is to be replaced although it may serve."""

    LOST = "Lost"
    CORDONED = "NodeCordoned"
    DELETING = "NodeDeleting"
    TAINTED = "NodeTainted"
    EVACUATED = "Evacuated"
    DEVICE = "DeviceUnhealthy"


def departures(snapshot: Snapshot, health: Health) -> dict[str, Departure]:
    """The pods that are to be replaced, by UID, those included that are lost."""
    nodes = {node.name: node for node in snapshot.nodes}
    found: dict[str, Departure] = {}
    for pod in snapshot.pods:
        cause = None if pod.terminating else _cause(pod, nodes, snapshot.hardware, health)
        if cause:
            detail = f"node {pod.node}" if pod.node else ""
            found[pod.uid] = Departure(pod=pod.name, cause=cause, detail=detail, lost=cause is Cause.LOST)
    return found


def _cause(pod: Pod, nodes: Mapping[str, Node], hardware: Mapping[str, HardwareClass], health: Health) -> Cause | None:
    if pod.device_unhealthy:
        return Cause.DEVICE  # whatever else is said of it: it is the device that has to become free
    if health.lost(pod):
        return Cause.LOST
    node, its_class = nodes.get(pod.node or ""), hardware.get(pod.class_name)
    closed = why_closed(node, its_class) if node and its_class else None
    # once given up it stays so until nothing is said against it: else it would be replaced twice
    return closed or (Cause.LOST if pod.mark.goes_first and health.accuses(pod) else None)


def why_closed(node: Node, hardware: HardwareClass) -> Cause | None:
    """Why the pods of a class should leave a node that works, and no new ones come; `None` when they may."""
    if node.evacuate or hardware.evacuate:
        return Cause.EVACUATED
    if node.deleting:
        return Cause.DELETING
    if node.cordoned:
        return Cause.CORDONED
    return Cause.TAINTED if any(_sends_away(taint, hardware) for taint in node.taints) else None


def _sends_away(taint: Taint, hardware: HardwareClass) -> bool:
    meant = taint.effect in {"NoSchedule", "NoExecute"} and not taint.key.startswith(CONDITIONS_PREFIX)
    return meant and not hardware.tolerates(taint)

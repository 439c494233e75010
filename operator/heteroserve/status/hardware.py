"""The status of a HardwareClass: its nodes and devices, as the planner sees them. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from heteroserve.decide.supply import is_open, serves
from heteroserve.model.deployment import Key
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.snapshot import ConditionState, Pod
from heteroserve.status.compute import conditions_after
from heteroserve.status.view import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareStatus:
    """Counts of nodes and devices. `free`: devices on usable nodes that no pod of ours holds."""

    generation: int
    nodes: int
    ready_nodes: int
    capacity: int | None
    allocatable: int | None
    free: int | None
    conditions: tuple[ConditionState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareView:
    """What the status of a HardwareClass is computed from. `taken`: devices in use, node name → resource → number."""

    now: datetime
    generation: int
    hardware: HardwareClass
    nodes: tuple[Node, ...]
    taken: Mapping[str, Mapping[str, int]]
    pods: Mapping[str, Sequence[tuple[Key, Pod]]]
    """The pods on each node and whose they are, of all classes, those that leave included; under no name, those that
    wait for a node."""
    conditions: tuple[ConditionState, ...]


def compute_hardware_status(view: HardwareView) -> HardwareStatus:
    """The status of one class."""
    hardware = view.hardware
    members = [n for n in view.nodes if hardware.selects(n)]
    serving = [n for n in members if serves(n, hardware)]
    resource = hardware.devices[0].resource if hardware.devices else None
    allocatable = _sum(members, resource, lambda n, r: n.allocatable.get(r, 0))
    free = _sum(
        [n for n in members if is_open(n, hardware)],
        resource,
        lambda n, r: max(0, n.allocatable.get(r, 0) - view.taken.get(n.name, {}).get(r, 0)),
    )
    verdict = _verdict(hardware, members, serving, allocatable)
    return HardwareStatus(
        generation=view.generation,
        nodes=len(members),
        ready_nodes=len(serving),
        capacity=_sum(members, resource, lambda n, r: n.capacity.get(r, 0)),
        allocatable=allocatable,
        free=free,
        conditions=conditions_after(
            view.conditions, {"Ready": verdict, "Evacuated": _evacuated(view, members)}, view.generation, view.now
        ),
    )


def _verdict(hardware: HardwareClass, members: list[Node], serving: list[Node], allocatable: int | None) -> Verdict:
    if not members:
        selector = ",".join(f"{k}={v}" for k, v in sorted(hardware.node_selector.items()))
        message = f"no node has the labels {selector}: label nodes, or correct spec.nodeSelector"
        return Verdict(status="False", reason="NoNodes", message=message)
    if not serving:
        return Verdict(status="False", reason="NoReadyNode", message="none of its nodes can serve")
    if allocatable == 0:
        message = f"no node offers {hardware.devices[0].resource}: is its device plugin running?"
        return Verdict(status="False", reason="NoDevices", message=message)
    return Verdict(status="True", reason="NodesReady", message=f"{len(serving)} of {len(members)} nodes can serve")


def _evacuated(view: HardwareView, members: list[Node]) -> Verdict:
    """Whether the nodes that somebody wants for himself are free of us."""
    wanted = sorted((n for n in members if n.evacuate or view.hardware.evacuate), key=lambda n: n.name)
    if not (wanted or view.hardware.evacuate):
        return Verdict(status="False", reason="NotAsked", message="nothing of it is to be evacuated")
    left = [f"{n.name}: {told}" for n in wanted if (told := _left_on(n, view))] + _waiting(view)
    if left:
        return Verdict(status="False", reason="ReplicasLeft", message="; ".join(left))
    names = ", ".join(n.name for n in wanted)
    message = f"safe: no replica is left on {names}" if names else "safe: it has no nodes"
    return Verdict(status="True", reason="NothingLeft", message=message)


def _left_on(node: Node, view: HardwareView) -> str:
    """Whose replicas stand there: of all classes where the node is wanted, of this one where only the class is."""
    there = view.pods.get(node.name, ())
    found = _by_owner(there, lambda pod: node.evacuate or pod.class_name == view.hardware.name)
    return ", ".join(f"{number} of {key}" for key, number in found)


def _waiting(view: HardwareView) -> list[str]:
    """Whose replicas may still come: the label keeps the scheduler off a node, and not off a class."""
    if not view.hardware.evacuate:
        return []
    found = _by_owner(view.pods.get("", ()), lambda pod: pod.class_name == view.hardware.name)
    return [f"{number} of {key} {'waits' if number == 1 else 'wait'} for a node" for key, number in found]


def _by_owner(pods: Sequence[tuple[Key, Pod]], counts: Callable[[Pod], bool]) -> list[tuple[str, int]]:
    """How many of them are whose; what has ended and stays on record is nobody's."""
    return sorted(Counter(str(key) for key, pod in pods if not pod.ended and counts(pod)).items())


def _sum(nodes: list[Node], resource: str | None, number: Callable[[Node, str], int]) -> int | None:
    return None if resource is None else sum(number(node, resource) for node in nodes)

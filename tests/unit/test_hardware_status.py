from dataclasses import dataclass, field, replace

import builders
from heteroserve.model.deployment import Key
from heteroserve.model.fleet import DeviceRequest, HardwareClass, Node, Taint
from heteroserve.model.snapshot import Pod
from heteroserve.status.hardware import HardwareStatus, HardwareView, compute_hardware_status

GPU = builders.hardware("gpu", unhealthy_conditions=frozenset({"GPUUnhealthy"}))
TWO_KINDS = replace(GPU, devices=(*GPU.devices, DeviceRequest(resource="example.com/nic", quantity=1)))


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Nodes of a class, and what is counted: nodes, those that serve, and devices (none are known of a CPU class)."""

    nodes: tuple[Node, ...]
    hardware: HardwareClass = GPU
    taken: int = 0
    want_nodes: int = 2
    want_ready: int = 2
    want_devices: tuple[int | None, int | None, int | None] = (8, 8, 8)
    want_reason: str = "NodesReady"
    want_message: str = "2 of 2 nodes can serve"


FIRST, SECOND = builders.nodes("gpu")
FLEETS = {
    "all is well": Fleet(nodes=(FIRST, SECOND)),
    "devices in use are not free": Fleet(nodes=(FIRST, SECOND), taken=3, want_devices=(8, 8, 5)),
    "more in use than there are leaves none": Fleet(nodes=(FIRST, SECOND), taken=9, want_devices=(8, 8, 4)),
    "nodes of others do not count": Fleet(nodes=(FIRST, SECOND, *builders.nodes("cpu"))),
    "no node has the labels": Fleet(
        nodes=(),
        want_nodes=0,
        want_ready=0,
        want_devices=(0, 0, 0),
        want_reason="NoNodes",
        want_message="no node has the labels pool=gpu: label nodes, or correct spec.nodeSelector",
    ),
    "no node is ready": Fleet(
        nodes=(replace(FIRST, ready=False), replace(SECOND, true_conditions=frozenset({"GPUUnhealthy"}))),
        want_ready=0,
        want_devices=(8, 8, 0),
        want_reason="NoReadyNode",
        want_message="none of its nodes can serve",
    ),
    "no node offers the device": Fleet(
        nodes=(replace(FIRST, capacity={}, allocatable={}), replace(SECOND, capacity={}, allocatable={})),
        want_devices=(0, 0, 0),
        want_reason="NoDevices",
        want_message="no node offers nvidia.com/gpu: is its device plugin running?",
    ),
    "a broken device is not allocatable": Fleet(
        nodes=(replace(FIRST, allocatable={"nvidia.com/gpu": 3}), SECOND), want_devices=(8, 7, 7)
    ),
    "a cordoned node serves, but its devices are not free": Fleet(
        nodes=(replace(FIRST, cordoned=True), SECOND), want_devices=(8, 8, 4)
    ),
    "nor are those behind a taint": Fleet(
        nodes=(replace(FIRST, taints=(Taint(key="team", effect="NoSchedule"),)), SECOND), want_devices=(8, 8, 4)
    ),
    "a class without devices counts none": Fleet(
        nodes=builders.nodes("cpu"), hardware=builders.hardware("cpu"), want_devices=(None, None, None)
    ),
    "of several kinds of devices the first is counted": Fleet(nodes=(FIRST, SECOND), hardware=TWO_KINDS),
}


@builders.table(FLEETS)
def test_what_is_said_of_a_class(case: Fleet) -> None:
    view = HardwareView(
        now=builders.NOW,
        generation=3,
        hardware=case.hardware,
        nodes=case.nodes,
        taken={"gpu-0": {"nvidia.com/gpu": case.taken}},
        pods={},
        conditions=(),
    )
    capacity, allocatable, free = case.want_devices
    assert compute_hardware_status(view) == HardwareStatus(
        generation=3,
        nodes=case.want_nodes,
        ready_nodes=case.want_ready,
        capacity=capacity,
        allocatable=allocatable,
        free=free,
        conditions=(
            builders.condition(
                "Ready",
                "True" if case.want_reason == "NodesReady" else "False",
                case.want_reason,
                message=case.want_message,
                observed_generation=3,
                last_transition=builders.NOW,
            ),
            builders.condition(
                "Evacuated",
                "False",
                "NotAsked",
                message="nothing of it is to be evacuated",
                observed_generation=3,
                last_transition=builders.NOW,
            ),
        ),
    )


ON_ITS_WAY = replace(FIRST, evacuate=True)
OTHER = Key(namespace="demo", name="letters")
MINE, LEAVING = builders.pod("gpu-a"), builders.pod("gpu-b", terminating=True)
WAITING = builders.pod("gpu-w", node=None, ready=False)
OF_ANOTHER_CLASS = builders.pod("cpu-a", node="gpu-0")


@dataclass(frozen=True, kw_only=True)
class Evacuation:
    """Nodes, whether the class is to be left, and the pods on each node."""

    nodes: tuple[Node, ...] = (FIRST, SECOND)
    whole: bool = False
    pods: dict[str, list[tuple[Key, Pod]]] = field(default_factory=dict)
    want: tuple[str, str]
    want_message: str


EVACUATIONS = {
    "nobody asked": Evacuation(
        pods={"gpu-0": [(builders.KEY, MINE)]},
        want=("False", "NotAsked"),
        want_message="nothing of it is to be evacuated",
    ),
    "a node of another class is": Evacuation(
        nodes=(FIRST, replace(builders.node("cpu-0"), evacuate=True)),
        want=("False", "NotAsked"),
        want_message="nothing of it is to be evacuated",
    ),
    "a node, and replicas are left on it": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"gpu-0": [(builders.KEY, MINE), (OTHER, MINE), (builders.KEY, MINE)], "gpu-1": [(OTHER, MINE)]},
        want=("False", "ReplicasLeft"),
        want_message="gpu-0: 2 of demo/digits, 1 of demo/letters",
    ),
    "one that is on its way out still stands there": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"gpu-0": [(builders.KEY, LEAVING)]},
        want=("False", "ReplicasLeft"),
        want_message="gpu-0: 1 of demo/digits",
    ),
    "one that has ended and stays on record is gone": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"gpu-0": [(builders.KEY, replace(LEAVING, ended=True))]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0",
    ),
    "a node, and what is left is on others": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"gpu-1": [(builders.KEY, MINE)]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0",
    ),
    "a node is wanted whole, so a replica of another class counts": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"gpu-0": [(builders.KEY, OF_ANOTHER_CLASS)]},
        want=("False", "ReplicasLeft"),
        want_message="gpu-0: 1 of demo/digits",
    ),
    "the class, and its replicas are left on both nodes": Evacuation(
        whole=True,
        pods={"gpu-0": [(builders.KEY, MINE)], "gpu-1": [(OTHER, MINE)]},
        want=("False", "ReplicasLeft"),
        want_message="gpu-0: 1 of demo/digits; gpu-1: 1 of demo/letters",
    ),
    "the class, and a replica of another class may stay": Evacuation(
        whole=True,
        pods={"gpu-0": [(builders.KEY, OF_ANOTHER_CLASS)]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0, gpu-1",
    ),
    "the nodes are told by name": Evacuation(
        nodes=(SECOND, FIRST),
        whole=True,
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0, gpu-1",
    ),
    "the class, and some that wait for a node may still be placed there": Evacuation(
        whole=True,
        pods={"gpu-0": [(builders.KEY, MINE)], "": [(builders.KEY, WAITING), (OTHER, WAITING), (OTHER, WAITING)]},
        want=("False", "ReplicasLeft"),
        want_message="gpu-0: 1 of demo/digits; 1 of demo/digits waits for a node; 2 of demo/letters wait for a node",
    ),
    "the class, and one that waits is all there is": Evacuation(
        whole=True,
        pods={"": [(builders.KEY, WAITING)]},
        want=("False", "ReplicasLeft"),
        want_message="1 of demo/digits waits for a node",
    ),
    "the class, and one that waits and will never run": Evacuation(
        whole=True,
        pods={"": [(builders.KEY, replace(WAITING, ended=True))]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0, gpu-1",
    ),
    "the class, and one of another class waits": Evacuation(
        whole=True,
        pods={"": [(builders.KEY, replace(OF_ANOTHER_CLASS, node=None))]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0, gpu-1",
    ),
    "a node keeps off by itself whoever waits": Evacuation(
        nodes=(ON_ITS_WAY, SECOND),
        pods={"": [(builders.KEY, WAITING)]},
        want=("True", "NothingLeft"),
        want_message="safe: no replica is left on gpu-0",
    ),
    "a class without nodes has nothing to leave": Evacuation(
        nodes=(), whole=True, want=("True", "NothingLeft"), want_message="safe: it has no nodes"
    ),
}


@builders.table(EVACUATIONS)
def test_whether_it_is_safe_to_take_nodes_away(case: Evacuation) -> None:
    view = HardwareView(
        now=builders.NOW,
        generation=1,
        hardware=replace(GPU, evacuate=case.whole),
        nodes=case.nodes,
        taken={},
        pods=case.pods,
        conditions=(),
    )
    found = {c.type: c for c in compute_hardware_status(view).conditions}["Evacuated"]
    assert ((found.status, found.reason), found.message) == (case.want, case.want_message)


def test_a_condition_that_stays_keeps_its_time() -> None:
    before = builders.condition("Ready", "True", "NodesReady", last_transition=builders.ago(900))
    view = HardwareView(
        now=builders.NOW, generation=1, hardware=GPU, nodes=(FIRST,), taken={}, pods={}, conditions=(before,)
    )
    (after, _) = compute_hardware_status(view).conditions
    assert after == replace(before, message="1 of 1 nodes can serve")

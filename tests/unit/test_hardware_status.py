from dataclasses import dataclass, replace

import builders
from heteroserve.model.fleet import DeviceRequest, HardwareClass, Node, Taint
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
        ),
    )


def test_a_condition_that_stays_keeps_its_time() -> None:
    before = builders.condition("Ready", "True", "NodesReady", last_transition=builders.ago(900))
    view = HardwareView(now=builders.NOW, generation=1, hardware=GPU, nodes=(FIRST,), taken={}, conditions=(before,))
    (after,) = compute_hardware_status(view).conditions
    assert after == replace(before, message="1 of 1 nodes can serve")

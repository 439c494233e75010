from dataclasses import dataclass, replace
from typing import Any

import pytest

import builders
from heteroserve.decide import supply
from heteroserve.decide.health import assess_health
from heteroserve.decide.leaving import Cause, departures
from heteroserve.model.deployment import ClassTarget, Objective, ProfilePoint, Scaling
from heteroserve.model.fleet import DeviceRequest, HardwareClass, Node, Taint, Toleration
from heteroserve.model.plan import Departure, Suspicion
from heteroserve.model.snapshot import NodeVitals, Pod, PodProblem, Snapshot

GPU = builders.hardware("gpu")
NODE = builders.node("gpu-0")
P99 = Objective(percentile=99, latency_milliseconds=50.0)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What nodes and pods make of a class. By default `gpu`, with a node of four devices and nothing on it."""

    nodes: tuple[Node, ...] = (NODE,)
    pods: tuple[Pod, ...] = ()
    taken: int = 0
    hardware: HardwareClass | None = GPU
    want_nodes: int = 1
    want_room: int | None = 4
    want_ready: int = 0
    want_placed: int = 0
    want_problems: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    """Pods that do not answer; all others were never asked."""
    vitals: NodeVitals | None = None
    """What we found out about gpu-0."""
    want_leaving: int = 0
    want_suspects: int = 0
    want_suspicions: tuple[Suspicion, ...] = ()
    want_answering: int | None = None
    """As many as are ready, unless told."""
    want_departures: tuple[Departure, ...] = ()
    want_staying_ready: int | None = None
    """As many as answer, unless told."""


def suspicion(name: str, *witnesses: str, lost: bool = False) -> Suspicion:
    return Suspicion(pod=name, witnesses=witnesses, lost=lost)


def leaves(name: str, cause: Cause, node: str = "gpu-0") -> Departure:
    return Departure(pod=name, cause=cause, detail=f"node {node}", lost=cause is Cause.LOST)


LOST = (leaves("gpu-a", Cause.LOST),)


EXPIRED = NodeVitals(lease_age_seconds=25.0)
PAIR = (builders.pod("gpu-a"), builders.pod("gpu-b", node="gpu-1"))
HANGING = builders.pod("gpu-a", ready=False, started=True, unready_since=builders.ago(60))
TWO_EACH = replace(GPU, devices=(DeviceRequest(resource="nvidia.com/gpu", quantity=2),))
BOTH_KINDS = replace(GPU, devices=(*GPU.devices, DeviceRequest(resource="example.com/nic", quantity=1)))
WAITING = builders.pod("gpu-w", node=None, ready=False, problem=PodProblem.UNSCHEDULABLE)
BROKEN = builders.pod("gpu-b", ready=False, problem=PodProblem.MODEL)

PLACES = {
    "a free node holds as many replicas as it has devices": Place(),
    "no node, no room": Place(nodes=(), want_nodes=0, want_room=0),
    "a replica of two devices fits half as often": Place(hardware=TWO_EACH, want_room=2),
    "of two kinds of devices the scarcer one counts": Place(hardware=BOTH_KINDS, want_room=0),
    "devices of others are not ours": Place(taken=3, want_room=1),
    "more devices in use than offered is no negative room": Place(taken=9, want_room=0),
    "our own pods do not lessen our room": Place(
        pods=builders.pods("gpu", 2, node="gpu-0"), want_ready=2, want_placed=2, want_room=4
    ),
    "a node of another class is none of ours": Place(nodes=(builders.node("cpu-0"),), want_nodes=0, want_room=0),
    "a class without devices has room while a node is open": Place(
        hardware=builders.hardware("gpu", devices=()), want_room=None
    ),
    "a class without devices has no room without a node": Place(
        hardware=builders.hardware("gpu", devices=()), nodes=(), want_nodes=0, want_room=0
    ),
    "a node that is not ready serves nothing and takes nothing": Place(
        nodes=(builders.node("gpu-0", ready=False),),
        pods=builders.pods("gpu", 1, node="gpu-0"),
        want_nodes=0,
        want_room=0,
        want_suspects=1,
        want_suspicions=(suspicion("gpu-000", "NodeNotReady", lost=True),),
        want_departures=(leaves("gpu-000", Cause.LOST),),
    ),
    "a cordoned node serves what it has, which nobody counts on, and takes nothing new": Place(
        nodes=(builders.node("gpu-0", cordoned=True),),
        pods=builders.pods("gpu", 2, node="gpu-0"),
        want_nodes=0,
        want_room=0,
        want_ready=2,
        want_departures=(leaves("gpu-000", Cause.CORDONED), leaves("gpu-001", Cause.CORDONED)),
        want_staying_ready=0,
    ),
    "so does a node that is being deleted": Place(
        nodes=(builders.node("gpu-0", deleting=True),),
        pods=builders.pods("gpu", 1, node="gpu-0"),
        want_nodes=0,
        want_room=0,
        want_ready=1,
        want_departures=(leaves("gpu-000", Cause.DELETING),),
        want_staying_ready=0,
    ),
    "what starts on a cordoned node is no problem, and not counted on": Place(
        nodes=(builders.node("gpu-0", cordoned=True),),
        pods=(builders.pod("gpu-a", ready=False, problem=PodProblem.CRASH),),
        want_nodes=0,
        want_room=0,
        want_departures=(leaves("gpu-a", Cause.CORDONED),),
    ),
    "while its class is evacuated nothing has a place": Place(
        hardware=replace(GPU, evacuate=True),
        pods=builders.pods("gpu", 1, node="gpu-0"),
        want_nodes=0,
        want_room=0,
        want_ready=1,
        want_departures=(leaves("gpu-000", Cause.EVACUATED),),
        want_staying_ready=0,
    ),
    "a pod that was taken out of the traffic answers and is sent nothing": Place(
        pods=(builders.pod("gpu-a", mark=builders.mark(3)),),
        want_placed=1,
        want_ready=0,
        want_answering=1,
    ),
    "a pod that is to go first is in the traffic until then": Place(
        pods=(builders.pod("gpu-a", mark=builders.mark()),), want_placed=1, want_ready=1
    ),
    "a node with one of the class's unhealthy conditions serves nothing": Place(
        hardware=replace(GPU, unhealthy_conditions=frozenset({"GPUUnhealthy"})),
        nodes=(builders.node("gpu-0", true_conditions=frozenset({"GPUUnhealthy"})),),
        pods=builders.pods("gpu", 1, node="gpu-0"),
        want_nodes=0,
        want_room=0,
    ),
    "a taint of that name says the same": Place(
        hardware=replace(GPU, unhealthy_conditions=frozenset({"GPUUnhealthy"})),
        nodes=(builders.node("gpu-0", taints=(Taint(key="GPUUnhealthy", effect="PreferNoSchedule"),)),),
        want_nodes=0,
        want_room=0,
    ),
    "a condition that is none of the class's does not matter": Place(
        nodes=(builders.node("gpu-0", true_conditions=frozenset({"DiskPressure"})),)
    ),
    "a taint that is not tolerated closes a node": Place(
        nodes=(builders.node("gpu-0", taints=(Taint(key="team", value="a", effect="NoSchedule"),)),),
        want_nodes=0,
        want_room=0,
    ),
    "a taint that only prefers closes nothing": Place(
        nodes=(builders.node("gpu-0", taints=(Taint(key="team", effect="PreferNoSchedule"),)),)
    ),
    "a tolerated taint closes nothing": Place(
        hardware=replace(GPU, tolerations=(Toleration(key="team", value="a", effect="NoSchedule"),)),
        nodes=(builders.node("gpu-0", taints=(Taint(key="team", value="a", effect="NoSchedule"),)),),
    ),
    "a taint named after the device is tolerated by convention": Place(
        nodes=(builders.node("gpu-0", taints=(Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule"),)),)
    ),
    "a pod on a node that the cluster does not know counts nowhere": Place(pods=(builders.pod("gpu-a", node="gone"),)),
    "a pod that is going away is neither ready nor placed": Place(
        pods=(builders.pod("gpu-a", terminating=True),), want_leaving=1
    ),
    "a pod that starts is placed and not ready": Place(pods=(builders.pod("gpu-a", ready=False),), want_placed=1),
    "pods with problems are remembered": Place(pods=(BROKEN, WAITING), want_problems=("gpu-b", "gpu-w")),
    "pods of other classes do not count": Place(pods=(builders.pod("cpu-a", node="gpu-0"),)),
    "a suspect is placed and carries nothing": Place(
        nodes=builders.nodes("gpu"),
        pods=PAIR,
        silent=("gpu-a",),
        want_nodes=2,
        want_room=8,
        want_ready=1,
        want_placed=2,
        want_suspects=1,
        want_suspicions=(suspicion("gpu-a", "ProbeFailed"),),
    ),
    "a dead pod is not placed, and its node takes nothing new": Place(
        nodes=builders.nodes("gpu"),
        pods=PAIR,
        silent=("gpu-a",),
        vitals=EXPIRED,
        want_room=4,
        want_ready=1,
        want_placed=1,
        want_suspicions=(suspicion("gpu-a", "ProbeFailed", "NodeLeaseExpired", lost=True),),
        want_departures=LOST,
    ),
    "a dead pod on a node that is well keeps its device": Place(
        pods=(builders.pod("gpu-a"),),
        silent=("gpu-a",),
        want_room=3,
        want_suspects=1,
        want_suspicions=(suspicion("gpu-a", "ProbeFailed", lost=True),),
        want_departures=LOST,
    ),
    "a broken device is not offered any more, and the scheduler still counts the pod that has it": Place(
        nodes=(builders.node("gpu-0", devices=3),),
        pods=(builders.pod("gpu-a", device_unhealthy=True),),
        want_room=2,
        want_suspects=1,
        want_suspicions=(suspicion("gpu-a", "DeviceUnhealthy", lost=True),),
        want_departures=(leaves("gpu-a", Cause.DEVICE),),
    ),
    "where all devices were in use those that work keep their place": Place(
        nodes=(builders.node("gpu-0", devices=1),),
        pods=(builders.pod("gpu-a", device_unhealthy=True), builders.pod("gpu-b")),
        want_room=1,
        want_ready=1,
        want_placed=1,
        want_suspects=1,
        want_suspicions=(suspicion("gpu-a", "DeviceUnhealthy"),),
        want_departures=(leaves("gpu-a", Cause.DEVICE),),
    ),
    "a dead pod that hangs is replaced, and is no problem besides": Place(
        pods=(HANGING,),
        vitals=EXPIRED,
        want_nodes=0,
        want_room=0,
        want_suspicions=(suspicion("gpu-a", "NodeLeaseExpired", lost=True),),
        want_departures=LOST,
    ),
    "nor is one that crashes": Place(
        pods=(builders.pod("gpu-a", ready=False, problem=PodProblem.CRASH),),
        vitals=EXPIRED,
        want_nodes=0,
        want_room=0,
        want_suspicions=(suspicion("gpu-a", "NodeLeaseExpired", lost=True),),
        want_departures=LOST,
    ),
    "a suspect that hangs is a problem: nobody replaces it": Place(
        nodes=builders.nodes("gpu"),
        pods=(replace(HANGING, problem=PodProblem.HUNG), PAIR[1]),
        vitals=EXPIRED,
        want_room=5,
        want_ready=1,
        want_placed=1,
        want_problems=("gpu-a",),
        want_suspicions=(suspicion("gpu-a", "NodeLeaseExpired"),),
    ),
    "a pod on its way out holds its device and is nobody's loss": Place(
        pods=(builders.pod("gpu-a", terminating=True),), want_room=4, want_leaving=1
    ),
    "nobody wished for what leaves on a node that is gone": Place(
        nodes=(builders.node("gpu-0", ready=False),),
        pods=(builders.pod("gpu-a", terminating=True),),
        want_nodes=0,
        want_room=0,
    ),
    "nor for what was evicted long ago and is still on record": Place(
        pods=(builders.pod("gpu-a", terminating=True, ended=True, devices={}),), want_room=4
    ),
    "a node that is suspected keeps what it has and takes nothing new": Place(
        pods=(builders.pod("gpu-a"),),
        vitals=NodeVitals(asked=1, failing=1),
        want_nodes=0,
        want_room=1,
        want_ready=1,
        want_placed=1,
    ),
    "a class without devices has no room where no node is trusted": Place(
        hardware=builders.hardware("gpu", devices=()), vitals=EXPIRED, want_nodes=0, want_room=0
    ),
    "without its HardwareClass nothing is known but what answers": Place(
        hardware=None, pods=builders.pods("gpu", 2, node="gpu-0"), want_nodes=0, want_room=0, want_ready=2
    ),
}


@builders.table(PLACES)
def test_what_nodes_and_pods_make_of_a_class(case: Place) -> None:
    found = assess(
        builders.target("gpu"),
        nodes=case.nodes,
        pods=case.pods,
        hardware={"gpu": case.hardware} if case.hardware else {},
        devices_taken={"gpu-0": {"nvidia.com/gpu": case.taken}},
        probes={f"uid-{name}": 5 for name in case.silent},
        vitals={"elsewhere": NodeVitals(asked=1), **({"gpu-0": case.vitals} if case.vitals else {})},
    )
    present = [p for p in case.pods if p.class_name == "gpu" and not p.terminating]
    answering = case.want_ready if case.want_answering is None else case.want_answering
    assert found == builders.supply(
        "gpu",
        hardware=case.hardware,
        answering=answering,
        leaving_on_request=case.want_leaving,
        staying=len(present) - len(case.want_departures),
        staying_ready=answering if case.want_staying_ready is None else case.want_staying_ready,
        departures=case.want_departures,
        nodes=case.want_nodes,
        room=case.want_room,
        ready=case.want_ready,
        placed=case.want_placed,
        problems=tuple(p for p in case.pods if p.name in case.want_problems),
        suspects=case.want_suspects,
        suspicions=case.want_suspicions,
    )


def assess(target: ClassTarget, **fields: Any) -> supply.Supply:
    (found,) = assess_all(builders.snapshot(target, **fields))
    return found


def assess_all(snapshot: Snapshot) -> tuple[supply.Supply, ...]:
    health = assess_health(snapshot)
    return supply.assess_supply(snapshot, health, departures(snapshot, health))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a profile promises at the objective of 50 ms for the 99th percentile."""

    points: tuple[ProfilePoint, ...]
    objective: Objective = P99
    utilisation: float = 1.0
    want_rps: float
    want_fastest: float
    want_latency: float


SLOW, QUICK = builders.point(900.0, p99=80.0, p50=30.0), builders.point(400.0, p99=40.0, p50=10.0)
MEASURED = {
    "the fastest point within the objective counts": Measured(
        points=(QUICK, SLOW), want_rps=400.0, want_fastest=900.0, want_latency=40.0
    ),
    "a point exactly at the objective keeps it": Measured(
        points=(builders.point(70.0, p99=50.0),), want_rps=70.0, want_fastest=70.0, want_latency=50.0
    ),
    "only part of it is planned with": Measured(
        points=(QUICK,), utilisation=0.75, want_rps=300.0, want_fastest=400.0, want_latency=40.0
    ),
    "an objective for the median looks at the median": Measured(
        points=(QUICK, SLOW),
        objective=Objective(percentile=50, latency_milliseconds=50.0),
        want_rps=900.0,
        want_fastest=900.0,
        want_latency=10.0,
    ),
    "an objective for the 95th percentile is held against p99, which is never below": Measured(
        points=(QUICK, SLOW),
        objective=Objective(percentile=95, latency_milliseconds=50.0),
        want_rps=400.0,
        want_fastest=900.0,
        want_latency=40.0,
    ),
    "no point keeps the objective": Measured(points=(SLOW,), want_rps=0.0, want_fastest=900.0, want_latency=80.0),
    "no point at all": Measured(points=(), want_rps=0.0, want_fastest=0.0, want_latency=float("inf")),
}


@builders.table(MEASURED)
def test_what_a_profile_promises(case: Measured) -> None:
    wish = builders.deployment(
        builders.target("cpu", points=case.points),
        objective=case.objective,
        scaling=Scaling(target_utilisation=case.utilisation),
    )
    (found,) = assess_all(builders.snapshot(deployment=wish))
    figures = (found.replica_rps, found.fastest_rps, found.best_latency_milliseconds)
    assert figures == (case.want_rps, case.want_fastest, case.want_latency)


@pytest.mark.parametrize(
    ("asked", "room", "placed", "waiting", "want"),
    [
        (5, None, 2, False, 5),
        (5, 3, 2, False, 3),
        (5, None, 2, True, 2),
        (5, 1, 2, True, 1),
        (1, 3, 2, True, 1),
    ],
)
def test_only_replicas_that_can_come_up_count(
    asked: int, room: int | None, placed: int, want: int, *, waiting: bool
) -> None:
    supply = builders.supply("gpu", room=room, placed=placed)
    assert replace(supply, problems=(WAITING,) if waiting else ()).effective(asked) == want
    assert replace(supply, refusal="exceeded quota" if waiting else "").effective(asked) == want
    assert replace(supply, reachable=False).effective(asked) == 0


@pytest.mark.parametrize(
    ("toleration", "want"),
    [
        (Toleration(key="a", value="1", effect="NoSchedule"), True),
        (Toleration(key="a", value="1"), True),
        (Toleration(key="a", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(), False),
        (Toleration(key="a", value="2"), False),
        (Toleration(key="a"), False),
        (Toleration(key="b", operator="Exists"), False),
        (Toleration(key="a", operator="Exists", effect="NoExecute"), False),
    ],
)
def test_a_toleration_covers_a_taint_by_the_rule_of_kubernetes(toleration: Toleration, *, want: bool) -> None:
    assert toleration.covers(Taint(key="a", value="1", effect="NoSchedule")) is want


def test_supplies_come_in_the_order_of_the_spec() -> None:
    snapshot: Snapshot = builders.snapshot(builders.target("gpu"), builders.target("cpu"))
    assert [s.name for s in assess_all(snapshot)] == ["gpu", "cpu"]


SILENT: dict[str, tuple[dict[str, Any], PodProblem | None]] = {
    "it is ready": ({"ready": True}, None),
    "it has no node yet": ({"node": None, "unready_since": builders.ago(900)}, None),
    "nobody knows since when": ({}, None),
    "it starts": ({"unready_since": builders.ago(180)}, None),
    "it starts for too long": ({"unready_since": builders.ago(181)}, PodProblem.SLOW),
    "it stopped answering": ({"started": True, "unready_since": builders.ago(30)}, None),
    "it stopped answering for good": ({"started": True, "unready_since": builders.ago(31)}, PodProblem.HUNG),
    "its own status knows more": (
        {"problem": PodProblem.IMAGE, "unready_since": builders.ago(900)},
        PodProblem.IMAGE,
    ),
}


@builders.table(SILENT)
def test_what_is_wrong_with_a_silent_pod(case: tuple[dict[str, Any], PodProblem | None]) -> None:
    fields, want = case
    assert supply.problem_of(builders.pod(**{"ready": False, **fields}), builders.NOW) is want

from dataclasses import dataclass, replace

import builders
from heteroserve.decide.health import assess_health
from heteroserve.decide.leaving import Cause, departures
from heteroserve.model.fleet import HardwareClass, Node, Taint, Toleration
from heteroserve.model.snapshot import NodeVitals, Pod

PLACE = builders.node("gpu-0")
POD = builders.pod("gpu-a")
GPU = builders.hardware("gpu")
EXPIRED = NodeVitals(lease_age_seconds=25.0)
TEAM = Taint(key="team", value="b", effect="NoSchedule")


@dataclass(frozen=True, kw_only=True)
class Stay:
    """A pod on the node gpu-0, beside another elsewhere that answers, and why it is to be replaced, if it is."""

    want: Cause | None = None
    pod: Pod = POD
    node: Node = PLACE
    hardware: HardwareClass | None = GPU
    failed: int = 0
    vitals: NodeVitals | None = None
    alone: bool = False


STAYS = {
    "all is well": Stay(),
    # somebody wants the hardware
    "its node is cordoned": Stay(node=replace(PLACE, cordoned=True), want=Cause.CORDONED),
    "its node is being deleted": Stay(node=replace(PLACE, deleting=True), want=Cause.DELETING),
    "its node is evacuated": Stay(node=replace(PLACE, evacuate=True), want=Cause.EVACUATED),
    "its class is evacuated": Stay(hardware=replace(GPU, evacuate=True), want=Cause.EVACUATED),
    "its node is tainted": Stay(node=replace(PLACE, taints=(TEAM,)), want=Cause.TAINTED),
    "its node is tainted so that it is about to be evicted": Stay(
        node=replace(PLACE, taints=(replace(TEAM, effect="NoExecute"),)), want=Cause.TAINTED
    ),
    "a taint that only prefers sends nobody away": Stay(
        node=replace(PLACE, taints=(replace(TEAM, effect="PreferNoSchedule"),))
    ),
    "a taint that its class tolerates sends nobody away": Stay(
        node=replace(PLACE, taints=(TEAM,)), hardware=replace(GPU, tolerations=(Toleration(key="team", value="b"),))
    ),
    "nor does one that is named after its device": Stay(
        node=replace(PLACE, taints=(Taint(key="nvidia.com/gpu", effect="NoSchedule"),))
    ),
    "Kubernetes' own taints tell of a state, not of a wish": Stay(
        node=replace(PLACE, taints=(Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule"),))
    ),
    "not even that of a node that it does not reach": Stay(
        node=replace(PLACE, taints=(Taint(key="node.kubernetes.io/unreachable", effect="NoExecute"),))
    ),
    "one of several taints is enough": Stay(
        node=replace(PLACE, taints=(Taint(key="node.kubernetes.io/disk-pressure", effect="NoSchedule"), TEAM)),
        want=Cause.TAINTED,
    ),
    "of several causes the plainest word is told": Stay(
        node=replace(PLACE, cordoned=True, deleting=True, evacuate=True, taints=(TEAM,)), want=Cause.EVACUATED
    ),
    "a pod that starts there leaves as well": Stay(
        pod=replace(POD, ready=False), node=replace(PLACE, cordoned=True), want=Cause.CORDONED
    ),
    # it is not going to last
    "its device is broken": Stay(pod=replace(POD, device_unhealthy=True), want=Cause.DEVICE),
    "a broken device is told before a cordon": Stay(
        pod=replace(POD, device_unhealthy=True), node=replace(PLACE, cordoned=True), want=Cause.DEVICE
    ),
    # it failed
    "it is silent, and so is its kubelet": Stay(failed=2, vitals=EXPIRED, want=Cause.LOST),
    "lost is told before what somebody wants": Stay(
        node=replace(PLACE, cordoned=True),
        hardware=replace(GPU, evacuate=True),
        failed=2,
        vitals=EXPIRED,
        want=Cause.LOST,
    ),
    "a broken device is told before lost: it has to become free": Stay(
        pod=replace(POD, device_unhealthy=True), failed=2, vitals=EXPIRED, want=Cause.DEVICE
    ),
    "even if nobody else of its class answers": Stay(
        pod=replace(POD, device_unhealthy=True), alone=True, want=Cause.DEVICE
    ),
    "a suspect is not replaced": Stay(failed=2),
    "who was replaced as lost stays so while anything is said against him": Stay(
        pod=replace(POD, mark=builders.mark()), failed=2, want=Cause.LOST
    ),
    "and no longer": Stay(pod=replace(POD, mark=builders.mark())),
    "nor is he for a rehearsal": Stay(
        pod=replace(POD, mark=builders.mark()), node=replace(PLACE, drill_until=builders.ago(-60))
    ),
    "a drill alone makes nobody leave": Stay(hardware=replace(GPU, drill_until=builders.ago(-60))),
    # nobody's business
    "it is on its way out": Stay(pod=replace(POD, terminating=True), node=replace(PLACE, cordoned=True)),
    "it has no node yet": Stay(pod=replace(POD, node=None, ready=False), hardware=replace(GPU, evacuate=True)),
    "its node is not known": Stay(pod=replace(POD, node="gone"), hardware=replace(GPU, evacuate=True)),
    "its HardwareClass is not known": Stay(node=replace(PLACE, cordoned=True), hardware=None),
    "its node failed": Stay(node=replace(PLACE, ready=False)),
}


@builders.table(STAYS)
def test_who_is_to_be_replaced_and_why(case: Stay) -> None:
    other = builders.pod("gpu-b", node="gpu-1")
    given = builders.snapshot(
        builders.target("gpu"),
        nodes=(case.node, builders.node("gpu-1")),
        pods=(case.pod,) if case.alone else (case.pod, other),
        hardware={"gpu": case.hardware} if case.hardware else {},
        probes={case.pod.uid: case.failed, other.uid: 0},
        vitals={"gpu-0": case.vitals} if case.vitals else {},
    )
    found = departures(given, assess_health(given)).get(case.pod.uid)
    want = (
        builders.departure("gpu-a", case.want, detail="node gpu-0", lost=case.want is Cause.LOST) if case.want else None
    )
    assert found == want


def test_a_departure_is_told_with_its_pod_cause_and_place() -> None:
    assert str(builders.departure("gpu-a", Cause.CORDONED, detail="node gpu-0")) == (
        "pod gpu-a: NodeCordoned (node gpu-0)"
    )
    assert str(builders.departure("gpu-a", Cause.LOST)) == "pod gpu-a: Lost"

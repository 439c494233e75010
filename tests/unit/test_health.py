from dataclasses import dataclass, field, replace
from enum import Enum, auto

import builders
from heteroserve.decide.health import LEASE_EXPIRED_SECONDS, State, Witness, assess_health
from heteroserve.model.fleet import Node
from heteroserve.model.plan import Suspicion
from heteroserve.model.snapshot import NodeVitals, Pod, Snapshot

EXPIRED = NodeVitals(lease_age_seconds=20.5)
FINE = (State.HEALTHY, ())
PROBE, LEASE, NODE, DRILL = (Witness.PROBE,), (Witness.LEASE,), (Witness.NODE,), (Witness.DRILL,)
KUBELET = (Witness.KUBELET,)
SILENT = NodeVitals(asked=1, failing=1)
FRESH = NodeVitals(renewed_seconds=30.0)
POD, PLACE = builders.pod("cpu-a"), builders.node("cpu-0")
OTHER = builders.pod("cpu-b", node="cpu-1")
"""Another pod of the class, which answers."""


def untouched(seconds: float) -> Pod:
    """A pod on cpu-0 with which its kubelet has not begun."""
    return builders.pod("cpu-a", ready=False, untouched_since=builders.ago(seconds))


class Drilled(Enum):
    """Whose loss somebody rehearses."""

    NOBODY = auto()
    CLASS = auto()
    NODE = auto()
    BEFORE = auto()
    """The node's, until this very moment."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What is heard of a pod on the node cpu-0, beside another that answers, and what is made of it."""

    pod: Pod = POD
    others: tuple[Pod, ...] = (OTHER,)
    node: Node = PLACE
    vitals: NodeVitals | None = None
    failed: int | None = 0
    others_failed: int | None = None
    heard: bool = True
    """Whether somebody answers our probes elsewhere, be it of another deployment."""
    ejected: int = 0
    drilled: Drilled = Drilled.NOBODY
    want: tuple[State, tuple[Witness, ...]] = FINE


HEARD = {
    "nobody says anything": Heard(failed=None),
    "it answers": Heard(),
    "one probe may be lost on the way": Heard(failed=1),
    "two probes in a row make a suspect": Heard(failed=2, want=(State.SUSPECT, PROBE)),
    "a pod that starts fails its probes rightly": Heard(pod=builders.pod("cpu-a", ready=False), failed=9),
    "so does one that ends": Heard(pod=builders.pod("cpu-a", terminating=True), failed=9),
    "the gateway is a second witness": Heard(failed=2, ejected=1, want=(State.DEAD, (Witness.PROBE, Witness.GATEWAY))),
    "the gateway does not say whom it means: a pod that answers is not meant": Heard(ejected=3),
    "a Lease of twenty seconds is not too old": Heard(failed=None, vitals=NodeVitals(lease_age_seconds=20.0)),
    "an older one makes a suspect of a pod that nobody asked": Heard(
        failed=None, vitals=EXPIRED, want=(State.SUSPECT, LEASE)
    ),
    "a pod that answers is trusted whatever became of its kubelet": Heard(failed=0, vitals=EXPIRED),
    "and one lost probe does not change that": Heard(failed=1, vitals=EXPIRED),
    "silent, and its kubelet as well: dead": Heard(
        failed=2, vitals=EXPIRED, want=(State.DEAD, (Witness.PROBE, Witness.LEASE))
    ),
    "a node that is not ready makes a suspect": Heard(
        node=builders.node("cpu-0", ready=False), want=(State.SUSPECT, NODE)
    ),
    "a node that is not ready and whose Lease expired is given up, whoever answers there": Heard(
        node=builders.node("cpu-0", ready=False), vitals=EXPIRED, want=(State.DEAD, (Witness.LEASE, Witness.NODE))
    ),
    "a broken device makes a suspect of a pod that answers": Heard(
        pod=builders.pod("cpu-a", device_unhealthy=True), want=(State.SUSPECT, (Witness.DEVICE,))
    ),
    "a broken device and silence: dead": Heard(
        pod=builders.pod("cpu-a", device_unhealthy=True),
        failed=2,
        want=(State.DEAD, (Witness.PROBE, Witness.DEVICE)),
    ),
    "a pod that starts on a node that nobody hears of any more is dead": Heard(
        pod=builders.pod("cpu-a", ready=False),
        node=builders.node("cpu-0", ready=False),
        vitals=EXPIRED,
        failed=None,
        want=(State.DEAD, (Witness.LEASE, Witness.NODE)),
    ),
    "a kubelet has ten seconds to begin with a pod": Heard(pod=untouched(10), failed=None),
    "one that has not makes a suspect": Heard(pod=untouched(11), failed=None, want=(State.SUSPECT, KUBELET)),
    "beside pods that are silent there, it is dead": Heard(
        pod=untouched(11), failed=None, vitals=SILENT, want=(State.DEAD, (Witness.PROBE, Witness.KUBELET))
    ),
    "with an expired Lease, it is dead": Heard(
        pod=untouched(11), failed=None, vitals=EXPIRED, want=(State.DEAD, (Witness.LEASE, Witness.KUBELET))
    ),
    "a pod that is begun with is none of its neighbours": Heard(
        pod=builders.pod("cpu-a", ready=False), failed=None, vitals=SILENT
    ),
    "what ends needs no kubelet to begin": Heard(pod=replace(untouched(99), terminating=True), failed=None),
    "where nobody else of the class answers, a kubelet that does not begin is enough": Heard(
        pod=untouched(11), others=(), failed=None, want=(State.DEAD, KUBELET)
    ),
    "the only pod of its class: one witness is enough": Heard(others=(), failed=5, want=(State.DEAD, PROBE)),
    "but it has to stay silent for a while": Heard(others=(), failed=4, want=(State.SUSPECT, PROBE)),
    "and a Lease that expired need not": Heard(others=(), failed=None, vitals=EXPIRED, want=(State.DEAD, LEASE)),
    "a pod of another class is no comfort": Heard(
        others=(builders.pod("gpu-b", node="cpu-1"),), failed=5, want=(State.DEAD, PROBE)
    ),
    "nor is one that is not ready": Heard(
        others=(replace(OTHER, ready=False),), failed=None, vitals=EXPIRED, want=(State.DEAD, LEASE)
    ),
    "nor one that ends": Heard(others=(replace(OTHER, terminating=True),), failed=5, want=(State.DEAD, PROBE)),
    "nor one on a node that the cluster does not know": Heard(
        others=(replace(OTHER, node="gone"),), failed=None, vitals=EXPIRED, want=(State.DEAD, LEASE)
    ),
    "nor one that is silent as well": Heard(failed=None, vitals=EXPIRED, others_failed=2, want=(State.DEAD, LEASE)),
    "our prober alone has one pod replaced, and no second one": Heard(
        others=(replace(OTHER, ready=False),), failed=9, want=(State.SUSPECT, PROBE)
    ),
    "nor a whole class": Heard(failed=9, others_failed=9, want=(State.SUSPECT, PROBE)),
    "a pod that its kubelet calls ready for long answers there: we do not reach it": Heard(failed=20, vitals=FRESH),
    "not so before its kubelet must have noticed": Heard(failed=19, vitals=FRESH, want=(State.SUSPECT, PROBE)),
    "nor where nobody saw the kubelet": Heard(
        failed=99, vitals=NodeVitals(lease_age_seconds=3.0), want=(State.SUSPECT, PROBE)
    ),
    "nor where it was seen too long ago": Heard(
        failed=99, vitals=NodeVitals(renewed_seconds=30.1), want=(State.SUSPECT, PROBE)
    ),
    "nor where the kubelet is gone as well": Heard(
        failed=99, vitals=EXPIRED, want=(State.DEAD, (Witness.PROBE, Witness.LEASE))
    ),
    "the gateway ejected fewer than are silent: it may mean the other": Heard(
        failed=2, others_failed=2, ejected=1, want=(State.SUSPECT, PROBE)
    ),
    "it ejected as many as are silent": Heard(
        failed=2, others_failed=2, ejected=2, want=(State.DEAD, (Witness.PROBE, Witness.GATEWAY))
    ),
    "where nobody answers at all it is rather us who do not hear": Heard(
        others=(), failed=99, heard=False, want=(State.SUSPECT, PROBE)
    ),
    "an expired Lease is believed whoever answers us": Heard(
        others=(), failed=None, vitals=EXPIRED, heard=False, want=(State.DEAD, LEASE)
    ),
    "a drill of its class makes a suspect": Heard(drilled=Drilled.CLASS, want=(State.SUSPECT, DRILL)),
    "a drill of its node makes a suspect": Heard(drilled=Drilled.NODE, want=(State.SUSPECT, DRILL)),
    "a drill that is over says nothing": Heard(drilled=Drilled.BEFORE),
    "nobody is given up for a drill, not even the only pod of its class": Heard(
        others=(), drilled=Drilled.CLASS, want=(State.SUSPECT, DRILL)
    ),
    "a drill is no second witness": Heard(
        failed=2, drilled=Drilled.CLASS, want=(State.SUSPECT, (Witness.PROBE, Witness.DRILL))
    ),
    "two others are enough, drill or not": Heard(
        failed=2,
        ejected=1,
        drilled=Drilled.NODE,
        want=(State.DEAD, (Witness.PROBE, Witness.GATEWAY, Witness.DRILL)),
    ),
    "in a drill the only pod that falls silent is given up as ever": Heard(
        others=(), failed=5, drilled=Drilled.NODE, want=(State.DEAD, (Witness.PROBE, Witness.DRILL))
    ),
    "in a drill a Lease that expired says as little against the only pod, which answers, as ever": Heard(
        others=(), vitals=EXPIRED, drilled=Drilled.NODE, want=(State.SUSPECT, DRILL)
    ),
    "a pod without a node has no node to blame": Heard(pod=builders.pod("cpu-a", node=None, ready=False), failed=None),
    "a pod on a node that the cluster does not know is judged by its own": Heard(
        pod=builders.pod("cpu-a", node="gone"), vitals=EXPIRED, failed=None
    ),
}


def moment(case: Heard) -> Snapshot:
    until = builders.ago(0 if case.drilled is Drilled.BEFORE else -60)
    drilled = replace(case.node, drill_until=until if case.drilled in {Drilled.NODE, Drilled.BEFORE} else None)
    probes = {case.pod.uid: case.failed, **{p.uid: case.others_failed for p in case.others}}
    return builders.snapshot(
        nodes=(drilled, builders.node("cpu-1")),
        pods=(case.pod, *case.others),
        probes={uid: failed for uid, failed in probes.items() if failed is not None},
        hardware={"cpu": builders.hardware("cpu", drill_until=until if case.drilled is Drilled.CLASS else None)},
        vitals={
            "elsewhere": NodeVitals(asked=2, failing=0 if case.heard else 2),
            **({case.node.name: case.vitals} if case.vitals else {}),
        },
        gateway_ejected=case.ejected,
    )


@builders.table(HEARD)
def test_what_is_made_of_the_witnesses_against_a_pod(case: Heard) -> None:
    health = assess_health(moment(case))
    found = health.pods[case.pod.uid]
    assert (found.state, found.witnesses) == case.want
    assert health.trusts(case.pod) is (case.want[0] is State.HEALTHY)
    assert health.lost(case.pod) is (case.want[0] is State.DEAD)
    assert health.may_answer(case.pod) is (len(case.want[1]) == 1)
    assert health.accuses(case.pod) is bool(set(case.want[1]) - {*DRILL, *KUBELET})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is found out about a node, and what is made of it."""

    node: Node = PLACE
    pods: tuple[Pod, ...] = ()
    vitals: NodeVitals | None = None
    want: tuple[State, tuple[Witness, ...]] = FINE


SEEN = {
    "nothing is known": Seen(),
    "its Lease is fresh and its pods answer": Seen(vitals=NodeVitals(lease_age_seconds=3.0, asked=3)),
    "some of its pods do not answer": Seen(vitals=NodeVitals(asked=3, failing=2)),
    "none of its pods answers": Seen(vitals=NodeVitals(asked=3, failing=3), want=(State.SUSPECT, PROBE)),
    "its Lease expired": Seen(vitals=EXPIRED, want=(State.SUSPECT, LEASE)),
    "a Lease without a sensible age says nothing": Seen(vitals=NodeVitals(lease_age_seconds=float("nan"))),
    "none of its pods answers us for long, and its kubelet lives": Seen(
        vitals=NodeVitals(asked=3, failing=3, renewed_seconds=5.0, bad_seconds=31.0)
    ),
    "and not for so long": Seen(
        vitals=NodeVitals(asked=3, failing=3, renewed_seconds=5.0, bad_seconds=30.0), want=(State.SUSPECT, PROBE)
    ),
    "it is not ready": Seen(node=builders.node("cpu-0", ready=False), want=(State.SUSPECT, NODE)),
    "its kubelet does not begin with a pod": Seen(pods=(untouched(11),), want=(State.SUSPECT, KUBELET)),
    "its kubelet has had no time yet": Seen(pods=(untouched(9),)),
    "its Lease expired and none of its pods answers": Seen(
        vitals=NodeVitals(lease_age_seconds=LEASE_EXPIRED_SECONDS + 1, asked=1, failing=1),
        want=(State.DEAD, (Witness.PROBE, Witness.LEASE)),
    ),
}


@builders.table(SEEN)
def test_what_is_made_of_the_witnesses_against_a_node(case: Seen) -> None:
    vitals = {"cpu-0": case.vitals} if case.vitals else {}
    health = assess_health(builders.snapshot(nodes=(case.node,), pods=case.pods, vitals=vitals))
    assert (health.nodes["cpu-0"].state, health.nodes["cpu-0"].witnesses) == case.want
    assert health.accepts(case.node) is (case.want == FINE)


@dataclass(frozen=True, kw_only=True)
class Mass:
    """For how long which of so many nodes have been bad, and what is said of our view."""

    nodes: int
    bad: dict[int, float] = field(default_factory=dict)
    gone: dict[int, float] = field(default_factory=dict)
    """Nodes beyond these that are no objects any more, with pods on them, and for how long."""
    silent_of: str = ""
    """The deployment whose pods alone are silent on the bad nodes, by our probes."""
    want: str = ""


MASSES = {
    "all is well": Mass(nodes=5),
    "one node of two is a failure of a node": Mass(nodes=2, bad={0: 1.0}),
    "two of two are more than nodes do": Mass(
        nodes=2, bad={0: 1.0, 1: 1.0}, want="2 of 2 nodes turned bad within a minute: cpu-0, cpu-1"
    ),
    "forty per cent are not too many": Mass(nodes=5, bad={0: 1.0, 3: 1.0}),
    "more are": Mass(
        nodes=5, bad={0: 1.0, 3: 1.0, 4: 60.0}, want="3 of 5 nodes turned bad within a minute: cpu-0, cpu-3, cpu-4"
    ),
    "what was bad before does not count": Mass(nodes=5, bad={0: 1.0, 3: 1.0, 4: 61.0}),
    "nodes that are gone with pods of ours on them are bad as well": Mass(
        nodes=6, bad={0: 1.0}, gone={6: 1.0, 7: 60.0}
    ),
    "and make a doubt when they are too many": Mass(
        nodes=2, gone={2: 1.0, 3: 60.0}, want="2 of 4 nodes turned bad within a minute: cpu-2, cpu-3"
    ),
    "that somebody else's pods hang says nothing of our view": Mass(
        nodes=5, bad=dict.fromkeys(range(4), 1.0), silent_of="demo/other"
    ),
    "that ours do may be our view": Mass(
        nodes=5,
        bad={0: 1.0, 1: 1.0, 2: 1.0},
        silent_of="demo/digits",
        want="3 of 5 nodes turned bad within a minute: cpu-0, cpu-1, cpu-2",
    ),
    "not all names are told": Mass(
        nodes=6,
        bad=dict.fromkeys(range(6), 2.0),
        want="6 of 6 nodes turned bad within a minute: cpu-0, cpu-1, cpu-2, cpu-3, cpu-4, ...",
    ),
}


@builders.table(MASSES)
def test_when_our_own_view_is_in_doubt(case: Mass) -> None:
    nodes = tuple(builders.node(f"cpu-{number}") for number in range(case.nodes))
    bad = {f"cpu-{number}": NodeVitals(bad_seconds=age, silent_of=case.silent_of) for number, age in case.bad.items()}
    gone = {f"cpu-{number}": NodeVitals(bad_seconds=age, gone=True) for number, age in case.gone.items()}
    assert assess_health(builders.snapshot(nodes=nodes, vitals=bad | gone)).doubt == case.want


def test_in_doubt_no_witness_is_believed() -> None:
    """And what they said is still there to be read."""
    seen = builders.vitals(
        builders.silent(builders.snapshot(ready={"cpu": 2}), "cpu-000", "cpu-001"),
        *("cpu-0", "cpu-1", "gpu-0", "gpu-1"),
        lease_age_seconds=25.0,
        bad_seconds=5.0,
    )
    health = assess_health(seen)
    assert health.doubt
    assert all(health.trusts(p) for p in seen.pods)
    assert all(health.accepts(n) for n in seen.nodes)
    assert health.pods["uid-cpu-000"].witnesses == (Witness.PROBE, Witness.LEASE)
    assert (health.suspicions(seen.pods), health.first_concern(seen.pods)) == ((), "")


def test_suspicions_come_by_name_and_leave_out_what_is_on_its_way_out() -> None:
    given = builders.snapshot(
        pods=(
            builders.pod("cpu-b"),
            builders.pod("cpu-c", terminating=True),
            builders.pod("cpu-a"),
            builders.pod("cpu-d", node="cpu-1"),
        ),
        vitals={"cpu-0": EXPIRED},
        probes={"uid-cpu-a": 4},
    )
    assert assess_health(given).suspicions(given.pods) == (
        Suspicion(pod="cpu-a", witnesses=("ProbeFailed", "NodeLeaseExpired"), lost=True),
        Suspicion(pod="cpu-b", witnesses=("NodeLeaseExpired",)),
    )


CONCERNS: dict[str, tuple[Snapshot, str]] = {
    "none": (builders.snapshot(ready={"cpu": 2}), ""),
    "a pod": (builders.silent(builders.snapshot(ready={"cpu": 2}), "cpu-001"), "pod cpu-001: ProbeFailed"),
    "a node below a pod that answers": (
        builders.vitals(builders.silent(builders.snapshot(ready={"cpu": 2})), "cpu-1", lease_age_seconds=30.0),
        "node cpu-1: NodeLeaseExpired",
    ),
    "a node without a pod of ours is none": (
        builders.vitals(builders.snapshot(ready={"cpu": 2}), "gpu-1", lease_age_seconds=30.0),
        "",
    ),
}


@builders.table(CONCERNS)
def test_what_keeps_everything_from_shrinking(case: tuple[Snapshot, str]) -> None:
    snapshot, want = case
    assert assess_health(snapshot).first_concern(snapshot.pods) == want

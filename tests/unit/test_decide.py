from dataclasses import dataclass, field, replace
from decimal import Decimal

import builders
from heteroserve.decide import decide
from heteroserve.model.deployment import GatewayRef, Scaling
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Cluster, Mark, PodProblem, Signals, Snapshot

Numbers = dict[str, tuple[int, int, Why]]
DRAINED = builders.memory(pending={"cpu": builders.pending(400, 0)})
BROKEN = tuple(
    replace(p, ready=False, problem=PodProblem.MODEL, message="failed to load") for p in builders.pods("gpu", 2)
)
TWO = (builders.target("cpu"), builders.target("gpu"))
BUSY = builders.snapshot(*TWO, ready={"cpu": 2, "gpu": 2}, demand=2000, route=builders.route(cpu=10, gpu=90))
LESS = builders.route(cpu=17, gpu=83)


@dataclass(frozen=True, kw_only=True)
class Story:
    """A moment, and the plan for it: replicas, weight and rule by class, and the changes as they are told."""

    given: Snapshot
    want: Numbers
    want_changes: tuple[str, ...] = ()
    want_requeue: float | None = None
    want_marks: dict[str, Mark] = field(default_factory=dict)


def told(before: Snapshot, name: str, out_seconds: float | None = None) -> Snapshot:
    """The same moment with a pod that was told to go first, and has been out of the traffic for so long."""
    mark = builders.mark(out_seconds)
    return replace(before, pods=tuple(replace(p, mark=mark) if p.name == name else p for p in before.pods))


def leaving(before: Snapshot, *, more: int = 0) -> Snapshot:
    """The same moment with the node gpu-0 cordoned, and so many ready gpus more on the other."""
    others = tuple(builders.pod(f"gpu-n{number}", class_name="gpu", node="gpu-1") for number in range(more))
    return replace(
        before,
        nodes=tuple(replace(n, cordoned=n.name == "gpu-0") for n in before.nodes),
        pods=(*before.pods, *others),
        replicas={**before.replicas, "gpu": before.replicas["gpu"] + more},
    )


def evacuated(before: Snapshot) -> Snapshot:
    """The same moment with the whole class gpu to be left."""
    return replace(before, hardware={**before.hardware, "gpu": replace(before.hardware["gpu"], evacuate=True)})


STORIES = {
    "the first apply starts one replica where it costs least, and sends nobody there yet": Story(
        given=builders.snapshot(demand=None),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 0, Why.DEMAND), "fpga": (0, 0, Why.DEMAND)},
        want_changes=("gpu: 0 replicas -> 1 replica: DemandCovered",),
    ),
    "the first ready replica gets all the traffic": Story(
        given=builders.snapshot(ready={"gpu": 1}, route=builders.route(cpu=0, gpu=0, fpga=0)),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 100, Why.DEMAND), "fpga": (0, 0, Why.DEMAND)},
        want_changes=("traffic: cpu=0 fpga=0 gpu=0 -> cpu=0 fpga=0 gpu=100: ReadyCapacity",),
    ),
    "when all is as it should be nothing is decided": Story(
        given=builders.snapshot(ready={"gpu": 2}, demand=1500, route=builders.route(cpu=0, gpu=100, fpga=0)),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (2, 100, Why.DEMAND), "fpga": (0, 0, Why.DEMAND)},
    ),
    "twice the demand, twice the replicas": Story(
        given=builders.snapshot(ready={"gpu": 2}, demand=4000, route=builders.route(cpu=0, gpu=100, fpga=0)),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (4, 100, Why.DEMAND), "fpga": (0, 0, Why.DEMAND)},
        want_changes=("gpu: 2 replicas -> 4 replicas: DemandCovered",),
    ),
    "a node is lost: its share of the traffic goes elsewhere in the same cycle": Story(
        given=builders.lost(
            builders.snapshot(*TWO, ready={"cpu": 2, "gpu": 2}, demand=2000, route=builders.route(cpu=10, gpu=90)),
            "gpu-0",
        ),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (2, 83, Why.DEMAND)},
        want_changes=(
            "gpu: 2 in the traffic -> 1 in the traffic: PodsSuspect",
            "traffic: cpu=10 gpu=90 -> cpu=17 gpu=83: ReadyCapacity",
        ),
        want_marks={"gpu-000": builders.mark(0, goes_first=False)},
    ),
    "a class is lost: the others take all of its traffic, and more replicas": Story(
        given=builders.lost(
            builders.snapshot(*TWO, ready={"cpu": 2, "gpu": 1}, demand=700, route=builders.route(cpu=17, gpu=83)),
            "gpu-0",
            "gpu-1",
        ),
        want={"cpu": (6, 100, Why.STEP), "gpu": (1, 0, Why.FAILOVER)},
        want_changes=(
            "cpu: 2 replicas -> 6 replicas: StepLimited",
            "gpu: 1 in the traffic -> 0 in the traffic: PodsSuspect",
            "traffic: cpu=17 gpu=83 -> cpu=100 gpu=0: NoReadyReplica",
        ),
        want_marks={"gpu-000": builders.mark(0, goes_first=False)},
    ),
    "everything is lost: the last weights stay, and so do the replicas": Story(
        given=builders.lost(
            builders.snapshot(*TWO, ready={"cpu": 2, "gpu": 1}, demand=0, route=builders.route(cpu=17, gpu=83)),
            *(f"{name}-{number}" for name in ("cpu", "gpu") for number in (0, 1)),
        ),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (1, 83, Why.FAILOVER)},
    ),
    "a pod that does not answer loses its traffic at once, and is not replaced on one word": Story(
        given=builders.silent(BUSY, "gpu-000"),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (2, 83, Why.DEMAND)},
        want_changes=("traffic: cpu=10 gpu=90 -> cpu=17 gpu=83: PodsSuspect",),
    ),
    "where the others carry the demand it is taken out itself": Story(
        given=replace(builders.silent(BUSY, "gpu-000"), signals=builders.fresh(1200)),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (2, 83, Why.DEMAND)},
        want_changes=(
            "gpu: 2 in the traffic -> 1 in the traffic: PodsSuspect",
            "traffic: cpu=10 gpu=90 -> cpu=17 gpu=83: PodsSuspect",
        ),
        want_marks={"gpu-000": builders.mark(0, goes_first=False)},
    ),
    "two witnesses are believed: a replica more, as long as Kubernetes counts the lost one": Story(
        given=builders.vitals(builders.silent(BUSY, "gpu-000"), "gpu-0", lease_age_seconds=21.0),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (3, 83, Why.FAILOVER)},
        want_changes=(
            "gpu: 2 replicas -> 3 replicas: FailingOver",
            "gpu: 2 in the traffic -> 1 in the traffic: PodsSuspect",
            "traffic: cpu=10 gpu=90 -> cpu=17 gpu=83: PodsSuspect",
        ),
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "once it is asked for, nothing more is": Story(
        given=builders.vitals(
            builders.silent(told(replace(BUSY, replicas={"cpu": 2, "gpu": 3}, route=LESS), "gpu-000"), "gpu-000"),
            "gpu-0",
            lease_age_seconds=21.0,
        ),
        want={"cpu": (2, 17, Why.FAILOVER), "gpu": (3, 83, Why.FAILOVER)},
        want_changes=("gpu: 2 in the traffic -> 1 in the traffic: PodsSuspect",),
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "its node is cordoned: as many more, and it serves until they are ready": Story(
        given=leaving(BUSY),
        want={"cpu": (2, 10, Why.STABILISING), "gpu": (3, 90, Why.MOVING)},
        want_changes=("gpu: 2 replicas -> 3 replicas: MovingAway",),
        want_marks={"gpu-000": builders.mark()},
    ),
    "when they are ready it is taken out of the traffic": Story(
        given=told(leaving(BUSY, more=1), "gpu-000"),
        want={"cpu": (2, 10, Why.STABILISING), "gpu": (3, 90, Why.DRAINING)},
        want_requeue=1.0,
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "when it has nothing left it goes": Story(
        given=told(leaving(BUSY, more=1), "gpu-000", 30),
        want={"cpu": (2, 10, Why.STABILISING), "gpu": (2, 90, Why.DEMAND)},
        want_changes=("gpu: 3 replicas -> 2 replicas: DemandCovered",),
    ),
    "without metrics a move goes on": Story(
        given=replace(told(leaving(BUSY, more=1), "gpu-000", 30), signals=Signals()),
        want={"cpu": (2, 10, Why.METRICS_HOLD), "gpu": (2, 90, Why.METRICS_HOLD)},
        want_changes=("gpu: 3 replicas -> 2 replicas: HeldWithoutMetrics",),
    ),
    "a whole class is evacuated: the others grow, and it serves until they carry the demand": Story(
        given=evacuated(builders.snapshot(*TWO, ready={"gpu": 1}, demand=500, route=builders.route(cpu=0, gpu=100))),
        want={"cpu": (5, 0, Why.DEMAND), "gpu": (1, 100, Why.MOVING)},
        want_changes=("cpu: 0 replicas -> 5 replicas: DemandCovered",),
    ),
    "then it loses its traffic": Story(
        given=evacuated(
            builders.snapshot(
                *TWO,
                ready={"cpu": 5, "gpu": 1},
                demand=500,
                route=builders.route(cpu=34, gpu=66),
                memory=builders.memory(ready={"cpu": 5, "gpu": 1}),
            )
        ),
        want={"cpu": (5, 100, Why.DEMAND), "gpu": (1, 0, Why.DRAINING)},
        want_changes=("traffic: cpu=34 gpu=66 -> cpu=100 gpu=0: ReadyCapacity",),
        want_requeue=1.0,
    ),
    "not by a figure that may be too low": Story(
        given=evacuated(
            builders.snapshot(
                *TWO,
                ready={"cpu": 5, "gpu": 1},
                signals=builders.fresh(500, missing_pods=1),
                route=builders.route(cpu=34, gpu=66),
                memory=builders.memory(ready={"cpu": 5, "gpu": 1}),
            )
        ),
        want={"cpu": (5, 34, Why.DEMAND), "gpu": (1, 66, Why.MOVING)},
    ),
    "what was told to go stays told while the route lets go": Story(
        given=told(
            builders.snapshot(
                *TWO, ready={"cpu": 1, "gpu": 1}, demand=500, route=builders.route(cpu=9, gpu=91), memory=DRAINED
            ),
            "cpu-000",
            2,
        ),
        want={"cpu": (1, 0, Why.DRAINING), "gpu": (1, 100, Why.DEMAND)},
        want_changes=("traffic: cpu=9 gpu=91 -> cpu=0 gpu=100: ReadyCapacity",),
        want_requeue=1.0,
    ),
    "a class of which everything is to leave is not started for want of any other": Story(
        given=evacuated(builders.snapshot(builders.target("gpu"), demand=500)),
        want={"gpu": (0, 0, Why.NO_NODES)},
    ),
    "and not before they are trusted": Story(
        given=evacuated(
            builders.snapshot(
                *TWO,
                ready={"cpu": 5, "gpu": 1},
                demand=500,
                route=builders.route(cpu=0, gpu=100),
                memory=builders.memory(ready={"cpu": 0, "gpu": 1}),
            )
        ),
        want={"cpu": (5, 6, Why.DEMAND), "gpu": (1, 94, Why.MOVING)},
        want_changes=("traffic: cpu=0 gpu=100 -> cpu=6 gpu=94: ReadyCapacity",),
    ),
    "a drill: the traffic goes elsewhere, and nobody is replaced": Story(
        given=replace(
            BUSY,
            hardware={"cpu": builders.hardware("cpu"), "gpu": builders.hardware("gpu", drill_until=builders.ago(-60))},
            signals=builders.fresh(200),
        ),
        want={"cpu": (2, 100, Why.FAILOVER), "gpu": (2, 0, Why.FAILOVER)},
        want_changes=(
            "gpu: 2 in the traffic -> 0 in the traffic: PodsSuspect",
            "traffic: cpu=10 gpu=90 -> cpu=100 gpu=0: PodsSuspect",
        ),
        want_marks={"gpu-000": builders.mark(0, goes_first=False), "gpu-001": builders.mark(0, goes_first=False)},
    ),
    "a scale-down says who goes, and waits until they have done": Story(
        given=builders.snapshot(
            builders.target("gpu"),
            ready={"gpu": 3},
            demand=1500,
            route=builders.route(gpu=100),
            memory=builders.memory(pending={"gpu": builders.pending(300, 2)}),
        ),
        want={"gpu": (3, 100, Why.DRAINING)},
        want_requeue=1.0,
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "the whole fleet is paused: everything stays as it is": Story(
        given=replace(leaving(BUSY), paused="somebody says so"),
        want={"cpu": (2, 10, Why.PAUSED), "gpu": (2, 90, Why.PAUSED)},
    ),
    "a class that starts slowly is bridged by the others while it is missed": Story(
        given=replace(
            BUSY,
            pods=(
                *builders.pods("cpu", 2),
                *builders.pods("gpu", 2, ready=False, created=builders.ago(25), unready_since=builders.ago(25)),
            ),
            signals=builders.fresh(500),
            route=builders.route(cpu=100, gpu=0),
        ),
        want={"cpu": (5, 100, Why.DEMAND), "gpu": (2, 0, Why.STABILISING)},
        want_changes=("cpu: 2 replicas -> 5 replicas: DemandCovered",),
    ),
    "what came back is not counted on for a while": Story(
        given=replace(
            BUSY,
            signals=builders.fresh(200),
            route=builders.route(cpu=100, gpu=0),
            memory=builders.memory(recoveries={"gpu": builders.recovery(30, setbacks=1)}, ready={"cpu": 2, "gpu": 2}),
        ),
        want={"cpu": (2, 100, Why.STABILISING), "gpu": (2, 0, Why.STABILISING)},
    ),
    "when the lost one is gone from record the window of any other scale-down begins": Story(
        given=replace(BUSY, replicas={"cpu": 2, "gpu": 3}),
        want={"cpu": (2, 10, Why.STABILISING), "gpu": (3, 90, Why.STABILISING)},
    ),
    "the kubelet is gone and its pods answer: they keep their traffic, and nothing shrinks": Story(
        given=builders.vitals(builders.silent(BUSY), "gpu-0", lease_age_seconds=21.0),
        want={"cpu": (2, 10, Why.FAILOVER), "gpu": (2, 90, Why.DEMAND)},
    ),
    "the only pod of a class does not answer: that is enough": Story(
        given=builders.silent(
            builders.snapshot(*TWO, ready={"cpu": 2, "gpu": 1}, demand=1100, route=builders.route(cpu=17, gpu=83)),
            "gpu-000",
            times=5,
        ),
        want={"cpu": (2, 100, Why.FAILOVER), "gpu": (3, 0, Why.FAILOVER)},
        want_changes=(
            "gpu: 1 replica -> 3 replicas: FailingOver",
            "gpu: 1 in the traffic -> 0 in the traffic: PodsSuspect",
            "traffic: cpu=17 gpu=83 -> cpu=100 gpu=0: PodsSuspect",
        ),
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "nobody answers: the suspects share the traffic, for one witness may be wrong": Story(
        given=builders.silent(replace(BUSY, route=builders.route(cpu=50, gpu=50)), *(p.name for p in BUSY.pods)),
        want={"cpu": (2, 10, Why.FAILOVER), "gpu": (2, 90, Why.DEMAND)},
        want_changes=("traffic: cpu=50 gpu=50 -> cpu=10 gpu=90: PodsSuspect",),
    ),
    "a lost pod is no part of the most that are allowed": Story(
        given=builders.vitals(
            builders.silent(
                builders.snapshot(
                    builders.target("gpu", high=2), ready={"gpu": 2}, demand=1500, route=builders.route(gpu=100)
                ),
                "gpu-000",
            ),
            "gpu-0",
            lease_age_seconds=21.0,
        ),
        want={"gpu": (3, 100, Why.FAILOVER)},
        want_changes=(
            "gpu: 2 replicas -> 3 replicas: FailingOver",
            "gpu: 2 in the traffic -> 1 in the traffic: PodsSuspect",
        ),
        want_marks={"gpu-000": builders.mark(0)},
    ),
    "many nodes turn bad at once: nothing is changed, whatever else is seen": Story(
        given=builders.vitals(
            builders.silent(replace(BUSY, signals=builders.fresh(9000)), *(p.name for p in BUSY.pods)),
            *("cpu-0", "gpu-1"),
            bad_seconds=3.0,
        ),
        want={"cpu": (2, 10, Why.DOUBT), "gpu": (2, 90, Why.DOUBT)},
        want_changes=("traffic: acting -> frozen: ViewInDoubt",),
    ),
    "a class taken out of the spec is not forgotten over a suspicion while it is needed": Story(
        given=builders.silent(
            builders.snapshot(
                builders.target("cpu", high=2), ready={"cpu": 2, "gpu": 1}, demand=500, route=builders.route(cpu=100)
            ),
            "gpu-000",
        ),
        want={"cpu": (2, 100, Why.MAXIMUM), "gpu": (1, 0, Why.RETIRED)},
        want_requeue=1.0,
    ),
    "a model that does not load in one class is served by the other": Story(
        given=builders.snapshot(
            *TWO,
            demand=900,
            replicas={"cpu": 3, "gpu": 2},
            pods=(*builders.pods("cpu", 3), *BROKEN),
            route=builders.route(cpu=12, gpu=88),
        ),
        want={"cpu": (7, 100, Why.STEP), "gpu": (2, 0, Why.STABILISING)},
        want_changes=(
            "cpu: 3 replicas -> 7 replicas: StepLimited",
            "traffic: cpu=12 gpu=88 -> cpu=100 gpu=0: NoReadyReplica",
        ),
    ),
    "without metrics nothing is taken away": Story(
        given=builders.snapshot(*TWO, ready={"cpu": 4, "gpu": 2}, demand=None, route=builders.route(cpu=17, gpu=83)),
        want={"cpu": (4, 17, Why.METRICS_HOLD), "gpu": (2, 83, Why.METRICS_HOLD)},
    ),
    "without metrics a failing class is still left": Story(
        given=builders.lost(
            builders.snapshot(
                *TWO,
                ready={"cpu": 4, "gpu": 2},
                signals=Signals(error="ConnectionError"),
                route=builders.route(cpu=17, gpu=83),
            ),
            "gpu-0",
            "gpu-1",
        ),
        want={"cpu": (4, 100, Why.FAILOVER), "gpu": (2, 0, Why.FAILOVER)},
        want_changes=(
            "gpu: 2 in the traffic -> 0 in the traffic: PodsSuspect",
            "traffic: cpu=17 gpu=83 -> cpu=100 gpu=0: NoReadyReplica",
        ),
        want_marks={"gpu-000": builders.mark(0, goes_first=False), "gpu-001": builders.mark(0, goes_first=False)},
    ),
    "a class that is no longer worth it loses its traffic first": Story(
        given=builders.snapshot(
            *TWO, ready={"cpu": 1, "gpu": 1}, demand=500, route=builders.route(cpu=9, gpu=91), memory=DRAINED
        ),
        want={"cpu": (1, 0, Why.DRAINING), "gpu": (1, 100, Why.DEMAND)},
        want_changes=("traffic: cpu=9 gpu=91 -> cpu=0 gpu=100: ReadyCapacity",),
        want_requeue=1.0,
    ),
    "then it is told to go": Story(
        given=builders.snapshot(
            *TWO, ready={"cpu": 1, "gpu": 1}, demand=500, route=builders.route(cpu=0, gpu=100), memory=DRAINED
        ),
        want={"cpu": (1, 0, Why.DRAINING), "gpu": (1, 100, Why.DEMAND)},
        want_requeue=1.0,
        want_marks={"cpu-000": builders.mark(0)},
    ),
    "and its last replica goes after": Story(
        given=told(
            builders.snapshot(
                *TWO, ready={"cpu": 1, "gpu": 1}, demand=500, route=builders.route(cpu=0, gpu=100), memory=DRAINED
            ),
            "cpu-000",
            30,
        ),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 100, Why.DEMAND)},
        want_changes=("cpu: 1 replica -> 0 replicas: DemandCovered",),
    ),
    "a class taken out of the spec keeps its share until the others carry the demand": Story(
        given=builders.snapshot(
            builders.target("cpu"), ready={"cpu": 2, "gpu": 1}, demand=500, route=builders.route(cpu=17, gpu=83)
        ),
        want={"cpu": (5, 66, Why.DEMAND), "gpu": (1, 34, Why.RETIRED)},
        want_changes=(
            "cpu: 2 replicas -> 5 replicas: DemandCovered",
            "traffic: cpu=17 gpu=83 -> cpu=66 gpu=34: ReadyCapacity",
        ),
        want_requeue=1.0,
    ),
    "then it gets no traffic, and stays until the route says so": Story(
        given=builders.snapshot(
            builders.target("cpu"), ready={"cpu": 5, "gpu": 1}, demand=500, route=builders.route(cpu=67, gpu=33)
        ),
        want={"cpu": (5, 100, Why.DEMAND), "gpu": (1, 0, Why.RETIRED)},
        want_changes=("traffic: cpu=67 gpu=33 -> cpu=100 gpu=0: ReadyCapacity",),
        want_requeue=1.0,
    ),
    "and until the gateways have seen the route": Story(
        given=builders.snapshot(
            builders.target("cpu"),
            ready={"cpu": 5, "gpu": 1},
            demand=500,
            route=replace(builders.route(cpu=100, gpu=0), behind=True),
        ),
        want={"cpu": (5, 100, Why.DEMAND), "gpu": (1, 0, Why.RETIRED)},
        want_requeue=1.0,
    ),
    "then it is forgotten, and what is left of it removed": Story(
        given=builders.snapshot(
            builders.target("cpu"), ready={"cpu": 5, "gpu": 1}, demand=500, route=builders.route(cpu=100, gpu=0)
        ),
        want={"cpu": (5, 100, Why.DEMAND)},
        want_changes=("gpu: 1 replica -> removed: ClassRemoved",),
    ),
    "a class taken out of the spec stays while nobody knows the demand": Story(
        given=builders.snapshot(
            builders.target("cpu"), ready={"cpu": 5, "gpu": 1}, demand=None, route=builders.route(cpu=83, gpu=17)
        ),
        want={"cpu": (5, 83, Why.METRICS_HOLD), "gpu": (1, 17, Why.RETIRED)},
        want_requeue=1.0,
    ),
    "a class without its HardwareClass keeps what it has": Story(
        given=builders.snapshot(
            *TWO,
            ready={"cpu": 2, "gpu": 1},
            demand=700,
            hardware={"cpu": builders.hardware("cpu")},
            route=builders.route(cpu=17, gpu=83),
        ),
        want={"cpu": (6, 17, Why.STEP), "gpu": (1, 83, Why.UNKNOWN_CLASS)},
        want_changes=("cpu: 2 replicas -> 6 replicas: StepLimited",),
    ),
    "paused: everything stays as it is": Story(
        given=builders.snapshot(
            deployment=builders.deployment(*TWO, paused=True),
            ready={"cpu": 2, "gpu": 1},
            demand=9000,
            route=builders.route(cpu=50, gpu=50),
        ),
        want={"cpu": (2, 50, Why.PAUSED), "gpu": (1, 50, Why.PAUSED)},
    ),
    "without a gateway there is no split to tell of": Story(
        given=builders.snapshot(deployment=builders.deployment(*TWO, gateways=()), ready={"gpu": 1}, demand=500),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 100, Why.DEMAND)},
    ),
    "without the Gateway API there is no split to tell of": Story(
        given=builders.snapshot(*TWO, ready={"gpu": 1}, demand=500, cluster=Cluster(gateway_api=False)),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 100, Why.DEMAND)},
    ),
    "a default gateway is a gateway": Story(
        given=builders.snapshot(
            deployment=builders.deployment(*TWO, gateways=()),
            ready={"gpu": 1},
            demand=500,
            cluster=Cluster(default_gateway=GatewayRef(name="public", namespace="gateways")),
        ),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 100, Why.DEMAND)},
        want_changes=("traffic: none -> cpu=0 gpu=100: ReadyCapacity",),
    ),
    "what was told a moment ago and did not come true is not told again": Story(
        given=builders.snapshot(
            *TWO,
            demand=500,
            memory=builders.memory(
                decisions=(builders.decision("gpu", before="0 replicas", after="1 replica", time=builders.ago(299)),)
            ),
        ),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 0, Why.DEMAND)},
    ),
    "after five minutes it is": Story(
        given=builders.snapshot(
            *TWO,
            demand=500,
            memory=builders.memory(
                decisions=(builders.decision("gpu", before="0 replicas", after="1 replica", time=builders.ago(300)),)
            ),
        ),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 0, Why.DEMAND)},
        want_changes=("gpu: 0 replicas -> 1 replica: DemandCovered",),
    ),
    "and at once if something else was told since": Story(
        given=builders.snapshot(
            *TWO,
            demand=500,
            memory=builders.memory(
                decisions=(
                    builders.decision("gpu", before="1 replica", after="0 replicas", time=builders.ago(10)),
                    builders.decision("gpu", before="0 replicas", after="1 replica", time=builders.ago(20)),
                )
            ),
        ),
        want={"cpu": (0, 0, Why.DEMAND), "gpu": (1, 0, Why.DEMAND)},
        want_changes=("gpu: 0 replicas -> 1 replica: DemandCovered",),
    ),
}


@builders.table(STORIES)
def test_the_plan_for_a_moment(case: Story) -> None:
    plan = decide(case.given)
    assert {c.name: (c.replicas, c.weight, c.why) for c in plan.classes} == case.want
    told = tuple(f"{d.class_name or 'traffic'}: {d.before} -> {d.after}: {d.reason}" for d in plan.decisions)
    assert told == case.want_changes
    assert plan.requeue_seconds == case.want_requeue
    assert {m.pod: m.mark for m in plan.marks} == case.want_marks


def test_a_plan_in_full() -> None:
    scaling = Scaling(target_utilisation=0.5, scale_down_window_seconds=60, budget_per_hour=Decimal("5.00"))
    wish = builders.deployment(builders.target("gpu"), scaling=scaling)
    plan = decide(builders.snapshot(deployment=wish, ready={"gpu": 3}, demand=900, route=builders.route(gpu=100)))
    assert plan == builders.plan(
        builders.class_plan(
            "gpu",
            3,
            replica_rps=500.0,
            why=Why.STABILISING,
            message="down to 2 when the demand stays low for 60 s",
            usable=3,
            pending=builders.pending(0, 2),
        ),
        demand=builders.demand(900.0),
        route_weights={"gpu": 100},
    )
    assert (plan.cost_per_hour, plan.classes[0].ready_rps) == (Decimal("2.10"), 1500.0)


def test_a_split_for_want_of_trust_names_the_witness() -> None:
    plan = decide(builders.silent(BUSY, "gpu-000"))
    (split,) = plan.decisions
    assert (
        split.message
        == "by ready capacity: cpu 2 ready, gpu 1 ready; gpu: pod gpu-000: ProbeFailed; gpu is trusted slowly"
    )
    assert (
        builders.by_name(plan.classes)["cpu"].message == "kept at 2: not all can be trusted: pod gpu-000: ProbeFailed"
    )


def test_a_replica_for_a_lost_one_says_which_is_lost_and_why() -> None:
    given = builders.vitals(builders.silent(BUSY, "gpu-000"), "gpu-0", lease_age_seconds=21.0)
    assert builders.by_name(decide(given).classes)["gpu"].message == (
        "2, and 1 until others serve in their place: pod gpu-000: Lost (node gpu-0); "
        "a replica carries 1e+03 requests/s; one request/s costs 0.0007 per hour here"
    )


def test_a_plan_that_only_says_what_is_holds_classes_no_longer_listed_as_well() -> None:
    wish = builders.deployment(builders.target("cpu"), paused=True)
    plan = decide(builders.snapshot(deployment=wish, ready={"cpu": 2, "gpu": 1}, route=builders.route(cpu=17, gpu=83)))
    assert {c.name: (c.replicas, c.weight, c.why, c.render) for c in plan.classes} == {
        "cpu": (2, 17, Why.PAUSED, False),
        "gpu": (1, 83, Why.PAUSED, False),
    }
    assert (plan.held, plan.doubt) == (True, "")


def test_a_view_in_doubt_is_told_and_held() -> None:
    plan = decide(builders.vitals(BUSY, "cpu-0", "gpu-1", bad_seconds=3.0))
    assert (plan.held, plan.doubt) == (True, "2 of 4 nodes turned bad within a minute: cpu-0, gpu-1")
    assert {c.message for c in plan.classes} == {plan.doubt}


def test_what_is_known_of_a_class_is_written_and_the_rest_left_alone() -> None:
    found = decide(
        builders.snapshot(
            *TWO,
            ready={"cpu": 1, "gpu": 1, "fpga": 1},
            demand=None,
            hardware={"cpu": builders.hardware("cpu"), "fpga": builders.hardware("fpga")},
            route=builders.route(cpu=6, gpu=62, fpga=32),
        )
    )
    assert {c.name: (c.render, c.retired) for c in found.classes} == {
        "cpu": (True, False),
        "gpu": (False, False),
        "fpga": (False, True),
    }


def test_a_change_says_when_and_why() -> None:
    (grown, split) = decide(builders.snapshot(*TWO, ready={"cpu": 1}, demand=500)).decisions
    assert grown == builders.decision(
        "gpu",
        before="0 replicas",
        after="1 replica",
        message="a replica carries 1e+03 requests/s; one request/s costs 0.0007 per hour here",
    )
    assert split == builders.decision(
        "",
        before="none",
        after="cpu=100 gpu=0",
        reason="ReadyCapacity",
        message="by ready capacity: cpu 1 ready, gpu 0 ready",
    )

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import builders
from heteroserve.decide import decide
from heteroserve.model.deployment import (
    ClaimSource,
    ConfigMapSource,
    GatewayRef,
    ModelSource,
    Objective,
    ObjectStoreSource,
)
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Cluster, Mark, Pod, PodProblem, Signals, Snapshot
from heteroserve.status.compute import compute_status

FINE = {
    "Ready": ("True", "Serving"),
    "Reconciling": ("False", "UpToDate"),
    "Stalled": ("False", "NothingInTheWay"),
    "ModelReady": ("True", "ModelLoaded"),
    "CapacityAvailable": ("True", "CapacityCovers"),
    "MetricsAvailable": ("True", "MetricsFresh"),
    "TrafficReady": ("True", "RouteAccepted"),
    "Degraded": ("False", "AllClassesWhole"),
}
"""All conditions when there is nothing to say."""

TWO = (builders.target("cpu", low=2), builders.target("gpu"))
"""The usual two: two small replicas in any case, and large ones for the rest."""

ROUTE = builders.route(cpu=17, gpu=83)
NOTHING = Outcome()
NOT_ANSWERING = builders.pod("gpu-x", ready=False, started=True, unready_since=builders.ago(5))
QUOTA = 'pods "digits-gpu-x" is forbidden: exceeded quota: compute'
DEAD_GPU = builders.pod("gpu-000", ready=False, started=True, unready_since=builders.ago(5))
ONLY_CPUS = (*builders.pods("cpu", 2), DEAD_GPU)
THREE: dict[str, Any] = {"cpu": 10, "gpu": 70, "fpga": 20}
UNANSWERED = {"Ready": ("False", "WeightWithoutReplica"), "TrafficReady": ("False", "WeightWithoutReplica")}
NO_GPU = "requests are sent to where no replica is ready: gpu"
NO_HARDWARE = "gpu: there is no HardwareClass gpu: create it or take the class out of spec.classes"
NO_SERVICE = "gpu: no route can lead to it: what stands under its Service's name belongs to somebody else"
PENDING = {"TrafficReady": ("True", "ManualWeightsPending")}
PENDING_MESSAGE = "the split follows what is ready until each class that spec.traffic.weights names has a ready replica"
UNPROTECTED = "without Envoy Gateway there are no active health checks, no ejection and no retries across classes"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A moment, and the conditions that are not as when all is fine."""

    given: Snapshot
    outcome: Outcome = NOTHING
    want: dict[str, tuple[str, str]] = field(default_factory=dict)
    want_message: tuple[str, str] | None = None
    """One condition whose message matters, and the message."""


def steady(**fields: Any) -> Snapshot:
    return builders.snapshot(*TWO, **{"ready": {"cpu": 2, "gpu": 1}, "demand": 1100, "route": ROUTE, **fields})


def by_hand(gateways: tuple[GatewayRef, ...] = (GatewayRef(name="public"),), **fields: Any) -> Snapshot:
    """The usual two, of which the first has two replicas at most, and a split that somebody set."""
    weights = {name: fields.pop(name) for name in ("cpu", "gpu") if name in fields}
    two = (builders.target("cpu", low=2, high=2), builders.target("gpu", low=1))
    wish = builders.deployment(*two, manual_weights=weights, gateways=gateways)
    usual = {"ready": {"cpu": 2, "gpu": 1}, "demand": 1000, "route": builders.route(**weights)}
    return builders.snapshot(deployment=wish, **{**usual, **fields})


def trouble(problem: PodProblem, message: str, **fields: Any) -> Snapshot:
    """The GPU pod does not serve; the CPU pods do."""
    broken = builders.pod("gpu-000", ready=False, problem=problem, message=message)
    return steady(pods=(*builders.pods("cpu", 2), broken), **fields)


def alone(pod: Pod, **fields: Any) -> Snapshot:
    """Nothing but one CPU pod."""
    wish = builders.target("cpu")
    return builders.snapshot(wish, **{"replicas": {"cpu": 1}, "pods": (pod,), "route": builders.route(cpu=0), **fields})


NONE_READY = {
    "TrafficReady": ("Unknown", "NoReadyReplica"),
    "MetricsAvailable": ("True", "MetricsPartial"),
}
DOUBT = "2 of 4 nodes turned bad within a minute: cpu-0, gpu-0"
NOBODY = (
    "cpu: 0 of 2 replicas ready, not trusted: pod cpu-000: ProbeFailed; pod cpu-001: ProbeFailed; "
    "gpu: 0 of 1 replicas ready, not trusted: pod gpu-000: ProbeFailed"
)
MANY = (
    "cpu: 1 of 6 replicas ready, not trusted: pod cpu-000: ProbeFailed; pod cpu-001: ProbeFailed; "
    "pod cpu-002: ProbeFailed; and 2 more"
)
LOST = "pod cpu-000: ProbeFailed, NodeLeaseExpired"
SLOWLY = (
    "cpu: pod cpu-a is not ready yet: a large model takes its time, but the image registry.example/digits:1 "
    "must be there with digits in it; kubectl describe pod cpu-a tells"
)
TOO_SLOW = (
    "cpu: its fastest measured point takes 20 ms, more than the objective; "
    "gpu: its fastest measured point takes 20 ms, more than the objective"
)
JUDGED = {
    "all is fine": Judged(given=steady()),
    "a first visit": Judged(
        given=builders.snapshot(*TWO, demand=None),
        want={
            "Ready": ("False", "NoReadyReplica"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("Unknown", "Starting"),
            "MetricsAvailable": ("Unknown", "Starting"),
            "TrafficReady": ("Unknown", "RoutePending"),
        },
        want_message=("Reconciling", "on the way: cpu"),
    ),
    "replicas are coming": Judged(
        given=steady(demand=1300),
        want={"Reconciling": ("True", "ReplicasComing")},
        want_message=("Reconciling", "on the way: gpu"),
    ),
    "an image cannot be pulled in one class": Judged(
        given=trouble(PodProblem.IMAGE, "not found", demand=200),
        want={
            "ModelReady": ("False", "ImagePullFailed"),
            "Reconciling": ("False", "PodsInTrouble"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("ModelReady", "gpu: pod gpu-000: not found"),
    ),
    "a model does not load in the only class": Judged(
        given=alone(builders.pod("cpu-a", ready=False, problem=PodProblem.MODEL, message="failed to load 'digits'")),
        want={
            **NONE_READY,
            "Ready": ("False", "ModelLoadFailed"),
            "ModelReady": ("False", "ModelLoadFailed"),
            "Reconciling": ("False", "PodsInTrouble"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("Ready", "cpu: pod cpu-a: failed to load 'digits'"),
    ),
    "a container crashes": Judged(
        given=alone(builders.pod("cpu-a", ready=False, problem=PodProblem.CRASH, message="exit code 137")),
        want={
            **NONE_READY,
            "Ready": ("False", "ContainerCrashed"),
            "ModelReady": ("False", "ContainerCrashed"),
            "Reconciling": ("False", "PodsInTrouble"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "a container cannot be made": Judged(
        given=alone(builders.pod("cpu-a", ready=False, problem=PodProblem.CONFIG, message='secret "store" not found')),
        want={
            **NONE_READY,
            "Ready": ("False", "PodConfigInvalid"),
            "ModelReady": ("False", "PodConfigInvalid"),
            "Reconciling": ("False", "PodsInTrouble"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "the scheduler finds no place": Judged(
        given=alone(
            builders.pod("cpu-a", node=None, ready=False, problem=PodProblem.UNSCHEDULABLE, message="0/2 nodes")
        ),
        want={
            **NONE_READY,
            "Ready": ("False", "PodsUnschedulable"),
            "ModelReady": ("Unknown", "Starting"),
            "CapacityAvailable": ("False", "PodsUnschedulable"),
            "Reconciling": ("False", "PodsInTrouble"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("CapacityAvailable", "cpu: the scheduler cannot place cpu-a: 0/2 nodes"),
    ),
    "a pod has just started": Judged(
        given=alone(builders.pod("cpu-a", ready=False, created=builders.ago(20))),
        want={
            **NONE_READY,
            "Ready": ("False", "NoReadyReplica"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("Unknown", "Starting"),
        },
    ),
    "a pod starts slowly": Judged(
        given=alone(builders.pod("cpu-a", ready=False, created=builders.ago(21))),
        want={
            **NONE_READY,
            "Ready": ("False", "StartingSlowly"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("False", "StartingSlowly"),
        },
        want_message=("ModelReady", SLOWLY),
    ),
    "a pod of several takes long to start": Judged(
        given=steady(
            replicas={"cpu": 3, "gpu": 1},
            pods=(*builders.pods("cpu", 2), *builders.pods("gpu", 1), builders.pod("cpu-x", ready=False)),
        ),
        want={"Reconciling": ("True", "ReplicasComing"), "ModelReady": ("False", "StartingSlowly")},
    ),
    "a pod does not come up at all": Judged(
        given=steady(
            replicas={"cpu": 3, "gpu": 1},
            pods=(
                *builders.pods("cpu", 2),
                *builders.pods("gpu", 1),
                builders.pod("cpu-x", ready=False, unready_since=builders.ago(181)),
            ),
            demand=1300,
        ),
        want={
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("False", "StartingSlowly"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("Reconciling", "on the way: gpu"),
    ),
    "a pod was ready a moment ago": Judged(
        given=steady(pods=(*builders.pods("cpu", 2), NOT_ANSWERING), replicas={"cpu": 2, "gpu": 1}, demand=150),
        want={"Reconciling": ("True", "ReplicasComing"), "Degraded": ("True", "ClassesDegraded")},
    ),
    "a pod was ready half a minute ago": Judged(
        given=steady(
            pods=(*builders.pods("cpu", 2), replace(NOT_ANSWERING, unready_since=builders.ago(31))),
            replicas={"cpu": 2, "gpu": 1},
            demand=150,
        ),
        want={
            "Reconciling": ("False", "PodsInTrouble"),
            "ModelReady": ("False", "ModelNotAnswering"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("ModelReady", "gpu: pod gpu-x: was ready, and has not been for 30 s"),
    ),
    "a class has no HardwareClass": Judged(
        given=steady(hardware={"cpu": builders.hardware("cpu")}, demand=200),
        want={"CapacityAvailable": ("False", "UnknownHardwareClass"), "Degraded": ("True", "ClassesDegraded")},
        want_message=(
            "CapacityAvailable",
            NO_HARDWARE,
        ),
    ),
    "no class has a HardwareClass": Judged(
        given=builders.snapshot(*TWO, hardware={}, demand=None),
        want={
            "Ready": ("False", "UnknownHardwareClass"),
            "Stalled": ("True", "UnknownHardwareClass"),
            "ModelReady": ("Unknown", "Starting"),
            "CapacityAvailable": ("False", "UnknownHardwareClass"),
            "MetricsAvailable": ("Unknown", "Starting"),
            "TrafficReady": ("Unknown", "RoutePending"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "no class keeps the objective": Judged(
        given=builders.snapshot(
            deployment=builders.deployment(
                *builders.everywhere(low=1)[:2], objective=Objective(percentile=99, latency_milliseconds=10.0)
            ),
            ready={"cpu": 1, "gpu": 1},
            route=builders.route(cpu=10, gpu=90),
            demand=100,
        ),
        want={"Stalled": ("True", "ObjectiveNotMet"), "CapacityAvailable": ("False", "ObjectiveNotMet")},
        want_message=("Stalled", TOO_SLOW),
    ),
    "no node belongs to the only class": Judged(
        given=builders.snapshot(builders.target("cpu"), nodes=(), demand=None, replicas={"cpu": 1}),
        want={
            "Ready": ("False", "NoUsableNodes"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("Unknown", "Starting"),
            "CapacityAvailable": ("False", "NoUsableNodes"),
            "MetricsAvailable": ("Unknown", "Starting"),
            "TrafficReady": ("Unknown", "RoutePending"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "no device is left in the only class": Judged(
        given=builders.snapshot(
            builders.target("gpu"),
            nodes=(builders.node("gpu-0", devices=1),),
            ready={"gpu": 1},
            route=builders.route(gpu=100),
            demand=5000,
        ),
        want={"CapacityAvailable": ("False", "NoFreeDevices")},
        want_message=("CapacityAvailable", "gpu: as many as fit: no free device is left on its nodes"),
    ),
    "a full class is no trouble while others carry the rest": Judged(
        given=builders.snapshot(
            *TWO,
            nodes=(builders.node("gpu-0", devices=1), *builders.nodes("cpu")),
            ready={"cpu": 3, "gpu": 1},
            route=builders.route(cpu=24, gpu=76),
            demand=1250,
        )
    ),
    "the maximum is reached": Judged(
        given=builders.snapshot(
            builders.target("gpu", high=1), ready={"gpu": 1}, route=builders.route(gpu=100), demand=5000
        ),
        want={"CapacityAvailable": ("False", "MaxReplicas")},
    ),
    "a node was lost": Judged(
        given=builders.lost(steady(), "gpu-0"),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", "gpu: 0 of 2 replicas ready, not trusted: pod gpu-000: NodeNotReady"),
    ),
    "a pod does not answer": Judged(
        given=builders.silent(steady(), "cpu-000"),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", "cpu: 1 of 2 replicas ready, not trusted: pod cpu-000: ProbeFailed"),
    ),
    "a pod is lost, and its replacement on its way": Judged(
        given=builders.vitals(builders.silent(steady(), "cpu-000"), "cpu-0", lease_age_seconds=25.0),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", f"cpu: 1 of 3 replicas ready, not trusted: {LOST}"),
    ),
    "a lost pod that is silent is told as lost, and not as one that hangs": Judged(
        given=builders.vitals(
            steady(
                pods=(*builders.pods("cpu", 2), replace(NOT_ANSWERING, unready_since=builders.ago(31))),
                replicas={"cpu": 2, "gpu": 1},
                demand=150,
            ),
            "gpu-0",
            lease_age_seconds=25.0,
        ),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", "gpu: 0 of 2 replicas ready, not trusted: pod gpu-x: NodeLeaseExpired"),
    ),
    "a pod is lost, and its replacement serves": Judged(
        given=builders.vitals(
            builders.silent(
                steady(
                    replicas={"cpu": 3, "gpu": 1},
                    pods=(
                        builders.pod("cpu-000", mark=Mark(goes_first=True)),
                        builders.pod("cpu-001", node="cpu-1"),
                        builders.pod("cpu-r", node="cpu-1"),
                        *builders.pods("gpu", 1),
                    ),
                ),
                "cpu-000",
            ),
            "cpu-0",
            lease_age_seconds=25.0,
        ),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("False", "PodsInTrouble")},
        want_message=("Degraded", f"cpu: 2 of 3 replicas ready, not trusted: {LOST}"),
    ),
    "no pod answers": Judged(
        given=builders.silent(steady(), "cpu-000", "cpu-001", "gpu-000"),
        want={
            "Ready": ("False", "PodsSuspect"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("Unknown", "Starting"),
            "MetricsAvailable": ("True", "MetricsPartial"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("Ready", NOBODY),
    ),
    "of many pods that do not answer the first are named": Judged(
        given=builders.silent(steady(ready={"cpu": 6, "gpu": 1}), *(f"cpu-{number:03}" for number in range(5))),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", MANY),
    ),
    "many nodes turn bad at once": Judged(
        given=builders.vitals(builders.silent(steady(), "cpu-000"), "cpu-0", "gpu-0", bad_seconds=4.0),
        want={"Degraded": ("True", "ViewInDoubt"), "Reconciling": ("False", "ViewInDoubt")},
        want_message=("Degraded", f"{DOUBT}: our own view is rather at fault, so nothing is changed"),
    ),
    "paused and in doubt": Judged(
        given=builders.vitals(
            steady(deployment=builders.deployment(*TWO, paused=True)), "cpu-0", "gpu-0", bad_seconds=4.0
        ),
        want={"Degraded": ("True", "ViewInDoubt"), "Reconciling": ("False", "Paused")},
    ),
    "Prometheus does not answer": Judged(
        given=steady(signals=Signals(error="ConnectionError")),
        want={"MetricsAvailable": ("False", "PrometheusError")},
        want_message=(
            "MetricsAvailable",
            "Prometheus cannot be asked: ConnectionError; nothing is scaled down meanwhile",
        ),
    ),
    "the samples are old": Judged(
        given=steady(signals=builders.fresh(1100, age_seconds=40.0)),
        want={"MetricsAvailable": ("False", "MetricsStale")},
    ),
    "there are no samples": Judged(
        given=steady(signals=Signals()), want={"MetricsAvailable": ("False", "MetricsMissing")}
    ),
    "some samples are missing": Judged(
        given=steady(signals=builders.fresh(1100, backlog=None)),
        want={"MetricsAvailable": ("True", "MetricsPartial")},
        want_message=("MetricsAvailable", "no fresh samples of: Triton"),
    ),
    "paused": Judged(
        given=steady(deployment=builders.deployment(*TWO, paused=True)), want={"Reconciling": ("False", "Paused")}
    ),
    "the whole fleet is paused": Judged(
        given=steady(paused="the ConfigMap ops/heteroserve-controls says paused"),
        want={"Reconciling": ("False", "Paused")},
        want_message=("Reconciling", "the ConfigMap ops/heteroserve-controls says paused: nothing is changed"),
    ),
    "paused, and the whole fleet as well": Judged(
        given=steady(
            deployment=builders.deployment(*TWO, paused=True),
            paused="the ConfigMap ops/heteroserve-controls says paused",
        ),
        want={"Reconciling": ("False", "Paused")},
        want_message=("Reconciling", "spec.paused is true: nothing is changed"),
    ),
    "the whole fleet is paused, and more would be needed": Judged(
        given=steady(paused="somebody says so", demand=1300),
        want={"Reconciling": ("False", "Paused"), "CapacityAvailable": ("False", "Paused")},
        want_message=("CapacityAvailable", "cpu: somebody says so; gpu: somebody says so"),
    ),
    "a node is cordoned, and the replica for it on its way": Judged(
        given=steady(nodes=(builders.node("gpu-0", cordoned=True), builders.node("gpu-1"), *builders.nodes("cpu"))),
        want={"Reconciling": ("True", "ReplicasComing")},
        want_message=("Reconciling", "on the way: gpu"),
    ),
    "a device is broken, and its pod is to be replaced": Judged(
        given=steady(
            pods=(*builders.pods("cpu", 2), builders.pod("gpu-000", device_unhealthy=True)),
            replicas={"cpu": 2, "gpu": 1},
            demand=150,
        ),
        want={"Degraded": ("True", "ClassesDegraded"), "Reconciling": ("True", "ReplicasComing")},
        want_message=("Degraded", "gpu: 0 of 2 replicas ready, not trusted: pod gpu-000: DeviceUnhealthy"),
    ),
    "the loss of a class is rehearsed": Judged(
        given=steady(
            hardware={
                "cpu": builders.hardware("cpu"),
                "gpu": builders.hardware("gpu", drill_until=builders.NOW + timedelta(seconds=60)),
            },
            demand=150,
        ),
        want={"Degraded": ("True", "ClassesDegraded")},
        want_message=("Degraded", "gpu: 0 of 1 replicas ready, not trusted: pod gpu-000: Drill"),
    ),
    "the traffic is split by hand": Judged(
        given=steady(deployment=builders.deployment(*TWO, manual_weights={"cpu": 10, "gpu": 90}), demand=1000),
        want={},
    ),
    "by hand, and a class with a part has died": Judged(
        given=by_hand(pods=ONLY_CPUS, route=builders.route(cpu=10, gpu=90), cpu=10, gpu=90),
        want={**UNANSWERED, "Reconciling": ("True", "ReplicasComing"), "Degraded": ("True", "ClassesDegraded")},
        want_message=("Ready", f"{NO_GPU} (90 %); by hand: spec.traffic.weights"),
    ),
    "by hand, and the loss of the class with the largest part is rehearsed": Judged(
        given=by_hand(
            hardware={
                "cpu": builders.hardware("cpu"),
                "gpu": builders.hardware("gpu", drill_until=builders.ago(-60)),
            },
            cpu=10,
            gpu=90,
        ),
        want={**UNANSWERED, "Degraded": ("True", "ClassesDegraded")},
        want_message=(
            "Ready",
            f"{NO_GPU} (90 %, not trusted: pod gpu-000: Drill); by hand: spec.traffic.weights",
        ),
    ),
    "by hand, and two classes of three have died": Judged(
        given=builders.snapshot(
            deployment=builders.deployment(*builders.everywhere(low=1), manual_weights=THREE),
            ready={"cpu": 1},
            replicas={"cpu": 1, "gpu": 1, "fpga": 1},
            pods=(*ONLY_CPUS[:1], DEAD_GPU, replace(DEAD_GPU, name="fpga-x", uid="x", class_name="fpga")),
            demand=50,
            route=builders.route(**THREE),
        ),
        want={**UNANSWERED, "Reconciling": ("True", "ReplicasComing"), "Degraded": ("True", "ClassesDegraded")},
        want_message=(
            "TrafficReady",
            "requests are sent to where no replica is ready: gpu (70 %), fpga (20 %); by hand: spec.traffic.weights",
        ),
    ),
    "by hand, and nothing at all is ready": Judged(
        given=by_hand(
            pods=tuple(replace(p, ready=False, started=True) for p in ONLY_CPUS),
            route=builders.route(cpu=10, gpu=90),
            cpu=10,
            gpu=90,
        ),
        want={
            "Ready": ("False", "NoReadyReplica"),
            "Reconciling": ("True", "ReplicasComing"),
            "ModelReady": ("Unknown", "Starting"),
            "MetricsAvailable": ("True", "MetricsPartial"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "by hand, and one class with a part is not known: the other gets it all": Judged(
        given=steady(
            deployment=builders.deployment(*TWO, manual_weights={"cpu": 50, "gpu": 50}),
            hardware={"cpu": builders.hardware("cpu")},
            ready={"cpu": 2},
            route=builders.route(cpu=50),
            demand=100,
        ),
        want={"CapacityAvailable": ("False", "UnknownHardwareClass"), "Degraded": ("True", "ClassesDegraded")},
    ),
    "by hand, and that is more than the other can carry": Judged(
        given=by_hand(hardware={"cpu": builders.hardware("cpu")}, ready={"cpu": 2}, demand=300, cpu=50, gpu=50),
        want={"CapacityAvailable": ("False", "UnknownHardwareClass"), "Degraded": ("True", "ClassesDegraded")},
        want_message=("CapacityAvailable", f"{NO_HARDWARE}; cpu: as many as maxReplicas allows: 2"),
    ),
    "by hand, and no route leads to one: the other cannot carry it all": Judged(
        given=by_hand(unroutable=frozenset({"gpu"}), demand=300, cpu=50, gpu=50),
        want={"CapacityAvailable": ("False", "ServiceRefused")},
        want_message=("CapacityAvailable", f"{NO_SERVICE}; cpu: as many as maxReplicas allows: 2"),
    ),
    "by hand, and it does not hold yet": Judged(
        given=by_hand(ready={"cpu": 2}, route=builders.route(cpu=100, gpu=0), cpu=10, gpu=90),
        want={"Reconciling": ("True", "ReplicasComing"), **PENDING},
        want_message=("TrafficReady", f"{PENDING_MESSAGE}; not yet: gpu"),
    ),
    "by hand, and it does not hold yet for a replica that we took out of the traffic": Judged(
        given=by_hand(
            pods=(*builders.pods("cpu", 2), builders.pod("gpu-000", mark=builders.mark(5))),
            route=builders.route(cpu=100, gpu=0),
            gpu=100,
        ),
        want=PENDING,
        want_message=("TrafficReady", PENDING_MESSAGE),
    ),
    "by hand, and paused before it held": Judged(
        given=by_hand(paused="somebody says so", route=builders.route(cpu=100, gpu=0), cpu=10, gpu=90),
        want={"Reconciling": ("False", "Paused")},
    ),
    "by hand, and no class carries another's part": Judged(
        given=by_hand(demand=300, cpu=100),
        want={"CapacityAvailable": ("False", "MaxReplicas")},
        want_message=("CapacityAvailable", "cpu: as many as maxReplicas allows: 2"),
    ),
    "by hand, and each class carries its own part": Judged(given=by_hand(demand=1100, cpu=10, gpu=90)),
    "by hand, and paused with less than one class needs": Judged(
        given=by_hand(paused="somebody says so", demand=1100, route=builders.route(cpu=90, gpu=10), cpu=90, gpu=10),
        want={"Reconciling": ("False", "Paused"), "CapacityAvailable": ("False", "Paused")},
        want_message=("CapacityAvailable", "cpu: somebody says so"),
    ),
    "paused, and a class with weight has died": Judged(
        given=steady(
            deployment=builders.deployment(*TWO, paused=True), pods=ONLY_CPUS, replicas={"cpu": 2, "gpu": 1}, demand=150
        ),
        want={**UNANSWERED, "Reconciling": ("False", "Paused"), "Degraded": ("True", "ClassesDegraded")},
        want_message=("Ready", f"{NO_GPU} (83 %); nothing is changed: spec.paused is true"),
    ),
    "paused, and a class with weight has no Deployment any more": Judged(
        given=steady(paused="somebody says so", ready={"cpu": 2}, demand=150),
        want={**UNANSWERED, "Reconciling": ("False", "Paused")},
        want_message=("TrafficReady", f"{NO_GPU} (83 %); nothing is changed: somebody says so"),
    ),
    "in doubt, and a class with weight is not ready": Judged(
        given=builders.vitals(steady(pods=ONLY_CPUS), "cpu-0", "gpu-0", bad_seconds=4.0),
        want={
            **UNANSWERED,
            "Reconciling": ("False", "ViewInDoubt"),
            "CapacityAvailable": ("True", "CapacityCovers"),
            "Degraded": ("True", "ViewInDoubt"),
        },
        want_message=("Ready", f"{NO_GPU} (83 %); nothing is changed: {DOUBT}"),
    ),
    "without a Gateway nobody is sent requests where none is ready": Judged(
        given=by_hand(pods=ONLY_CPUS, route=None, gateways=(), cpu=10, gpu=90),
        want={
            "TrafficReady": ("True", "ServiceOnly"),
            "Reconciling": ("True", "ReplicasComing"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "no Gateway is named": Judged(
        given=steady(deployment=builders.deployment(*TWO, gateways=()), route=None),
        want={"TrafficReady": ("True", "ServiceOnly")},
        want_message=("TrafficReady", "no Gateway is named: use the Service digits"),
    ),
    "a default Gateway is there": Judged(
        given=steady(
            deployment=builders.deployment(*TWO, gateways=()),
            cluster=Cluster(default_gateway=GatewayRef(name="public")),
        ),
        want={},
    ),
    "the gateway is not Envoy Gateway": Judged(
        given=steady(cluster=Cluster(envoy_gateway=False)),
        want={"TrafficReady": ("True", "RouteAcceptedUnprotected")},
        want_message=("TrafficReady", f"the Gateway routes to the ready classes; {UNPROTECTED}"),
    ),
    "the Gateway API is missing": Judged(
        given=steady(cluster=Cluster(gateway_api=False), route=None),
        want={"Ready": ("False", "GatewayApiMissing"), "TrafficReady": ("False", "GatewayApiMissing")},
    ),
    "no Gateway has looked at the route": Judged(
        given=steady(route=builders.route(accepted=None, cpu=17, gpu=83)),
        want={"Ready": ("False", "RoutePending"), "TrafficReady": ("Unknown", "RoutePending")},
    ),
    "the Gateway refuses the route": Judged(
        given=steady(route=builders.route(accepted=False, message="no matching listener", cpu=17, gpu=83)),
        want={"Ready": ("False", "RouteRefused"), "TrafficReady": ("False", "RouteRefused")},
        want_message=("Ready", "no matching listener"),
    ),
    "the API server refuses an object": Judged(
        given=steady(),
        outcome=Outcome(refused=(Refusal(reason="NameTaken", message="Service digits exists"),)),
        want={"Stalled": ("True", "NameTaken")},
        want_message=("Stalled", "Service digits exists"),
    ),
    "the API server refuses the first object": Judged(
        given=builders.snapshot(*TWO, demand=None),
        outcome=Outcome(refused=(Refusal(reason="Forbidden", message="quota"),)),
        want={
            "Ready": ("False", "Forbidden"),
            "Reconciling": ("True", "ReplicasComing"),
            "Stalled": ("True", "Forbidden"),
            "ModelReady": ("Unknown", "Starting"),
            "MetricsAvailable": ("Unknown", "Starting"),
            "TrafficReady": ("Unknown", "RoutePending"),
        },
    ),
    "Kubernetes refuses the pods of one class": Judged(
        given=steady(ready={"cpu": 2}, replicas={"cpu": 2, "gpu": 1}, refusals={"gpu": QUOTA}, demand=150),
        want={
            "Reconciling": ("False", "PodsInTrouble"),
            "CapacityAvailable": ("False", "PodsRefused"),
            "Degraded": ("True", "ClassesDegraded"),
        },
        want_message=("CapacityAvailable", f"gpu: Kubernetes refuses its pods: {QUOTA}"),
    ),
    "Kubernetes refuses one more pod of a class that serves": Judged(
        given=steady(replicas={"cpu": 2, "gpu": 2}, refusals={"gpu": QUOTA}, demand=1150),
        want={
            "Reconciling": ("False", "PodsInTrouble"),
            "CapacityAvailable": ("False", "PodsRefused"),
            "Degraded": ("True", "ClassesDegraded"),
        },
    ),
    "somebody else's Service has the name of a class": Judged(
        given=steady(unroutable=frozenset({"gpu"}), demand=150),
        want={"CapacityAvailable": ("False", "ServiceRefused")},
        want_message=(
            "CapacityAvailable",
            NO_SERVICE,
        ),
    ),
    "without a Gateway nobody needs the Service of a class": Judged(
        given=steady(
            deployment=builders.deployment(*TWO, gateways=()), route=None, unroutable=frozenset({"cpu", "gpu"})
        ),
        want={"TrafficReady": ("True", "ServiceOnly")},
    ),
    "pods of an older template are left": Judged(
        given=steady(rolling=frozenset({"gpu"})),
        want={"Reconciling": ("True", "PodsUpdating")},
        want_message=("Reconciling", "Kubernetes is making what was written true: gpu"),
    ),
    "Kubernetes has not seen yet what was written": Judged(
        given=steady(),
        outcome=Outcome(written=("Service/digits-gpu", "Deployment/digits-cpu")),
        want={"Reconciling": ("True", "PodsUpdating")},
        want_message=("Reconciling", "Kubernetes is making what was written true: cpu"),
    ),
    "an update that Kubernetes refuses is not on its way": Judged(
        given=steady(rolling=frozenset({"gpu"}), refusals={"gpu": QUOTA}),
        want={
            "Reconciling": ("False", "PodsInTrouble"),
            "CapacityAvailable": ("False", "PodsRefused"),
        },
        want_message=(
            "Reconciling",
            "waiting changes nothing, the other conditions tell why: gpu",
        ),
    ),
    "a HardwareClass is there and cannot be read": Judged(
        given=steady(
            hardware={"cpu": builders.hardware("cpu")}, unreadable_hardware={"gpu": "spec.cost: missing"}, demand=200
        ),
        want={"CapacityAvailable": ("False", "UnknownHardwareClass"), "Degraded": ("True", "ClassesDegraded")},
        want_message=(
            "CapacityAvailable",
            "gpu: the HardwareClass gpu cannot be read, correct it: spec.cost: missing",
        ),
    ),
    "a write is put off": Judged(
        given=steady(),
        outcome=Outcome(postponed=Refusal(reason="PredecessorLeaving", message="Service digits is not collected yet")),
        want={"Reconciling": ("True", "PredecessorLeaving")},
        want_message=("Reconciling", "Service digits is not collected yet"),
    ),
    "a class is on its way out": Judged(
        given=builders.snapshot(
            builders.target("cpu"), ready={"cpu": 5, "gpu": 1}, demand=500, route=builders.route(cpu=67, gpu=33)
        ),
        want={"Reconciling": ("True", "ClassesLeaving")},
        want_message=("Reconciling", "taken out: gpu"),
    ),
}


@builders.table(JUDGED)
def test_conditions(case: Judged) -> None:
    status = compute_status(case.given, decide(case.given), case.outcome)
    found = {c.type: (c.status, c.reason) for c in status.conditions}
    assert found == {**FINE, **case.want}
    if case.want_message:
        kind, message = case.want_message
        assert {c.type: c.message for c in status.conditions}[kind] == message


def test_who_is_sent_requests_alone_and_named_by_no_route_is_missed() -> None:
    classes = builders.class_plan("cpu", weight=0), builders.class_plan("gpu", 0, weight=100, render=False)
    found = compute_status(by_hand(gpu=100), builders.plan(*classes), NOTHING).conditions
    traffic = {c.type: (c.reason, c.message) for c in found}["TrafficReady"]
    assert traffic == ("WeightWithoutReplica", f"{NO_GPU} (100 %); by hand: spec.traffic.weights")


SOURCES: dict[str, tuple[ModelSource, str]] = {
    "a volume": (ClaimSource(claim_name="models"), "the PersistentVolumeClaim models"),
    "a ConfigMap": (ConfigMapSource(name="tiny", items=(("a", "b"),)), "the ConfigMap tiny"),
    "an object store": (ObjectStoreSource(uri="s3://bucket/models"), "s3://bucket/models"),
}


@builders.table(SOURCES)
def test_where_the_model_should_be_is_told(case: tuple[ModelSource, str]) -> None:
    source, want = case
    snapshot = alone(builders.pod("cpu-a", ready=False, created=builders.ago(60)))
    slow = replace(snapshot, deployment=replace(snapshot.deployment, model=builders.model(source=source)))
    status = compute_status(slow, decide(slow), NOTHING)
    assert f"but {want} must be there" in {c.type: c.message for c in status.conditions}["ModelReady"]


def test_conditions_that_are_bad_have_a_message() -> None:
    for case in JUDGED.values():
        status = compute_status(case.given, decide(case.given), case.outcome)
        silent = [
            c.type
            for c in status.conditions
            if not c.message and c.status == ("True" if c.type in {"Stalled", "Degraded"} else "False")
        ]
        assert set(silent) <= {"Reconciling"}


def test_reasons_are_words_of_the_api() -> None:
    reasons = {reason for case in JUDGED.values() for _, reason in case.want.values()} | {r for _, r in FINE.values()}
    assert [r for r in reasons if not (r[0].isupper() and r.isalnum())] == []
    assert {str(Why.NO_NODES), str(Why.UNKNOWN_CLASS), str(Why.TOO_SLOW)} <= reasons

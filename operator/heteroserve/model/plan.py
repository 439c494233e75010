"""Plan: what should be true next, and why. The only thing that `decide` returns and `render` reads.

Every value carries the reason that caused it; the same reason feeds condition, Event, log line and metric label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from heteroserve.model.snapshot import DecisionRecord, Mark, PendingScaleDown, Recovery


class Why(StrEnum):
    """The rule that settled a number of replicas or a weight."""

    DEMAND = "DemandCovered"
    MINIMUM = "MinReplicas"
    MAXIMUM = "MaxReplicas"
    NO_DEVICES = "NoFreeDevices"
    NO_NODES = "NoUsableNodes"
    BUDGET = "BudgetReached"
    TOO_SLOW = "ObjectiveNotMet"
    UNKNOWN_CLASS = "UnknownHardwareClass"
    UNSCHEDULABLE = "PodsUnschedulable"
    FAILING = "PodsFailing"
    REFUSED = "PodsRefused"
    UNREACHABLE = "ServiceRefused"
    METRICS_HOLD = "HeldWithoutMetrics"
    STABILISING = "ScaleDownStabilizing"
    MAKE_BEFORE_BREAK = "WaitingForReadyCapacity"
    DRAINING = "TrafficDraining"
    STEP = "StepLimited"
    RETIRED = "ClassRemoved"
    CAPACITY = "ReadyCapacity"
    NOT_READY = "NoReadyReplica"
    SUSPECT = "PodsSuspect"
    FAILOVER = "FailingOver"
    MOVING = "MovingAway"
    RECOVERING = "TrustedSlowly"
    BRIDGING = "BridgingSlowStart"
    MANUAL = "ManualWeights"
    PAUSED = "Paused"
    DOUBT = "ViewInDoubt"


LIMITS = frozenset(
    {
        Why.MAXIMUM,
        Why.NO_DEVICES,
        Why.NO_NODES,
        Why.BUDGET,
        Why.TOO_SLOW,
        Why.UNKNOWN_CLASS,
        Why.UNSCHEDULABLE,
        Why.FAILING,
        Why.REFUSED,
        Why.UNREACHABLE,
    }
)
"""The rules that keep a class from having more, whatever else settles its number in this cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Requests per second to plan for. `may_shrink` is false unless every expected signal is there and fresh."""

    rps: float | None
    may_shrink: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A pod that is not trusted, and the witnesses against it. `lost`: they are believed, and it is to be replaced."""

    pod: str
    witnesses: tuple[str, ...]
    lost: bool = False

    def __str__(self) -> str:
        return f"pod {self.pod}: {', '.join(self.witnesses)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A pod that is to be replaced, and why. `lost`: it does not serve any more; else it does until it is replaced."""

    pod: str
    cause: str
    detail: str = ""
    lost: bool = False

    def __str__(self) -> str:
        return f"pod {self.pod}: {self.cause}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMark:
    """What a pod is to be told, as long as it is this one."""

    pod: str
    uid: str
    mark: Mark


TOLD = 3
DRILL = "Drill"
"""The witness of a rehearsal."""


def describe(pods: Sequence[Suspicion | Departure]) -> str:
    """Pods of a class that are not as they should be, for a message: the first by name, and how many more."""
    told = "; ".join(str(s) for s in pods[:TOLD])
    more = len(pods) - TOLD
    return f"{told}; and {more} more" if more > 0 else told


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPlan:
    """One class of the plan.

    `replicas` is what is asked of Kubernetes: a lost pod still counts there, so it is asked for in addition. `ready`
    pods are those that are trusted; `suspicions` tell of the others. `replica_rps`: what a replica may carry within the
    objective at the target utilisation; `ready_rps`: what the ready replicas carry together. `usable` of the replicas
    can be expected to serve; `limit` keeps the class from having more. `render` is false for a class of which too
    little is known to write anything: what exists of it stays as it is. `reachable` is false for a class that no route
    can lead to.
    """

    name: str
    replicas: int
    weight: int
    ready: int
    replica_rps: float
    cost_per_hour: Decimal
    why: Why
    message: str
    usable: int = 0
    limit: Why | None = None
    limit_message: str = ""
    pending: PendingScaleDown | None = None
    render: bool = True
    reachable: bool = True
    retired: bool = False
    suspicions: tuple[Suspicion, ...] = ()
    departures: tuple[Departure, ...] = ()
    """Pods that are to be replaced, lost ones included."""
    recovery: Recovery | None = None
    """How far the class is trusted, while that is not in full."""

    @property
    def lost(self) -> int:
        """Pods that Kubernetes still counts and that are to be replaced."""
        return sum(s.lost for s in self.suspicions)

    @property
    def drilled(self) -> int:
        """Pods that serve, and are out of the traffic because somebody rehearses their loss."""
        return sum(s.witnesses == (DRILL,) for s in self.suspicions)

    @property
    def named(self) -> bool:
        """Whether the routes name it: there is a Service to name."""
        return self.reachable and (self.render or self.replicas > 0)

    @property
    def ready_rps(self) -> float:
        """Requests per second that the ready replicas may carry within the objective."""
        return self.ready * self.replica_rps


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All classes of one deployment, what changes, and when to look again at the latest.

    A plan that is `held` says what is, not what should be: nothing but the status may be written of it. `doubt` says
    why our own view is not believed, if that is the cause.
    """

    classes: tuple[ClassPlan, ...]
    demand: Demand
    route_weights: Mapping[str, int] = field(default_factory=dict)
    """By class, where the gateway has to be told others than the shares to keep to these."""
    marks: tuple[PodMark, ...] = ()
    """Of those pods alone whose mark is to change."""
    decisions: tuple[DecisionRecord, ...] = ()
    requeue_seconds: float | None = None
    held: bool = False
    doubt: str = ""

    @property
    def routed(self) -> dict[str, int]:
        """What the routes are told, by class."""
        return {c.name: self.route_weights.get(c.name, c.weight) for c in self.classes}

    @property
    def cost_per_hour(self) -> Decimal:
        """What the planned replicas cost together."""
        return sum((c.cost_per_hour for c in self.classes), Decimal(0))

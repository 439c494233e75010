"""Supply: what each hardware class could carry, and what of it is ready now.

Pure. What Kubernetes says of nodes and pods is judged here and nowhere else; what `health` makes of it comes on top:

- a node *serves* while it is Ready and shows none of the class's unhealthy conditions or taints;
- a node is *open* when, besides, a new pod may be placed on it (not cordoned, not being deleted, taints tolerated);
- a pod counts only on a node that serves; a pod on a node that the cluster no longer knows counts nowhere;
- a pod that is not trusted carries nothing, and nothing new is counted on where a node is not;
- a pod that is to be replaced carries what it carries, and is not counted on;
- a pod that is not ready counts as coming for a while, and after that as one with a problem.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from heteroserve.decide.health import Health
from heteroserve.decide.leaving import why_closed
from heteroserve.model.deployment import ClassTarget, Objective, ProfilePoint
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.plan import Departure, Suspicion
from heteroserve.model.snapshot import Pod, PodProblem, Snapshot

STARTS_WITHIN_SECONDS = 180.0
"""A model that takes longer to load may still come; until it does, nobody counts on it."""

USUAL_START_SECONDS = 20.0
"""Assumed of all hardware alike until a replica was seen to start."""

HUNG_AFTER_SECONDS = 30.0
"""A pod that was ready and has not been for so long is not coming back by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """One class as a supplier of requests per second.

    `replica_rps` is the capacity of one replica within the objective at the target utilisation, 0 when it cannot meet
    the objective; `fastest_rps` ignores the objective (better slow than not at all). `room` is how many replicas the
    usable nodes can hold, `None` when devices do not bound it. `ready` pods are trusted, and Services lead to them;
    `answering` are trusted as well, whether we took them out of the traffic or not; `suspects` are worth a try when no
    pod of any class is. `departures` are to be replaced, the `staying` pods are the others, and `staying_ready` of
    these answer. `placed` staying pods stand on a serving node without a problem; `problems` are those of staying pods:
    what is replaced is not counted a second time. `refusal` is why Kubernetes creates no more of them; `reachable`
    whether a route can lead to them; `unreadable` what is wrong with a HardwareClass that is there and yet not known.
    """

    target: ClassTarget
    hardware: HardwareClass | None
    replica_rps: float
    fastest_rps: float
    best_latency_milliseconds: float
    nodes: int
    room: int | None
    ready: int
    placed: int
    lead_seconds: float = USUAL_START_SECONDS
    """From making a replica to its first answer."""
    suspects: int = 0
    answering: int = 0
    leaving_on_request: int = 0
    """Pods that somebody deletes or evicts, and that may still answer."""
    staying: int = 0
    staying_ready: int = 0
    suspicions: tuple[Suspicion, ...] = ()
    departures: tuple[Departure, ...] = ()
    problems: tuple[Pod, ...] = ()
    refusal: str = ""
    reachable: bool = True
    unreadable: str = ""

    @property
    def name(self) -> str:
        """The class's name."""
        return self.target.name

    @property
    def price(self) -> Decimal:
        """Cost of one replica per hour."""
        return self.hardware.cost_per_hour if self.hardware else Decimal(0)

    @property
    def least(self) -> int:
        """Its minReplicas; none while it is evacuated, or they would come back as fast as they go."""
        return 0 if self.hardware and self.hardware.evacuate else self.target.min_replicas

    @property
    def unschedulable(self) -> Pod | None:
        """A pod that the scheduler cannot place, if there is one."""
        return next((p for p in self.problems if p.problem is PodProblem.UNSCHEDULABLE), None)

    @property
    def failing(self) -> bool:
        """Whether some of its pods do not work, or cannot even be created."""
        return bool(self.problems or self.refusal)

    @property
    def routable(self) -> int:
        """Replicas that can be sent requests now."""
        return self.ready if self.reachable else 0

    def effective(self, replicas: int) -> int:
        """How many of `replicas` can be expected to serve: bounded by room, and by what works while some do not."""
        if not self.reachable:
            return 0
        bound = replicas if self.room is None else min(replicas, self.room)
        return min(bound, self.placed) if self.failing else bound


def assess_supply(snapshot: Snapshot, health: Health, departures: Mapping[str, Departure]) -> tuple[Supply, ...]:
    """Supply of every class that the deployment lists, in its order. `departures` are by UID."""
    return tuple(_assess(snapshot, health, departures, target) for target in snapshot.deployment.classes)


def answering_pods(snapshot: Snapshot, health: Health, class_name: str) -> tuple[Pod, ...]:
    """The pods of a class that can answer now (of classes no longer listed as well)."""
    hardware = snapshot.hardware.get(class_name)
    serving = {n.name for n in snapshot.nodes if serves(n, hardware)}
    return tuple(p for p in _present(snapshot, class_name) if p.ready and p.node in serving and health.trusts(p))


def ready_pods(snapshot: Snapshot, health: Health, class_name: str) -> int:
    """Number of those of them that requests can reach."""
    return sum(p.mark.out_since is None for p in answering_pods(snapshot, health, class_name))


def suspect_pods(snapshot: Snapshot, health: Health, class_name: str) -> int:
    """Number of its pods that may answer although they are not trusted."""
    return sum(p.ready and health.may_answer(p) for p in _present(snapshot, class_name))


def _present(snapshot: Snapshot, class_name: str) -> tuple[Pod, ...]:
    return tuple(p for p in snapshot.pods if p.class_name == class_name and not p.terminating)


def _assess(snapshot: Snapshot, health: Health, departures: Mapping[str, Departure], target: ClassTarget) -> Supply:
    hardware = snapshot.hardware.get(target.name)
    members = [n for n in snapshot.nodes if hardware is not None and hardware.selects(n)]
    serving = {n.name for n in members if serves(n, hardware)}
    pods = _present(snapshot, target.name)
    staying = [_with_problem(p, serving, snapshot.now) for p in pods if p.uid not in departures]
    placed = [p for p in staying if p.node in serving]
    answering = {p.uid for p in answering_pods(snapshot, health, target.name)}
    open_nodes = [n for n in members if hardware is not None and is_open(n, hardware) and health.accepts(n)]
    objective = snapshot.deployment.objective
    usable = [p for p in target.points if is_sound(p) and latency(p, objective) <= objective.latency_milliseconds]
    sound = [p for p in target.points if is_sound(p)]
    return Supply(
        target=target,
        hardware=hardware,
        replica_rps=_fastest(usable) * snapshot.deployment.scaling.target_utilisation,
        fastest_rps=_fastest(sound),
        best_latency_milliseconds=min((latency(p, objective) for p in sound), default=math.inf),
        nodes=len(open_nodes),
        room=_room(snapshot, health, hardware, open_nodes, placed),
        ready=ready_pods(snapshot, health, target.name),
        lead_seconds=_lead_seconds(pods),
        placed=sum(p.ready or p.problem is None for p in placed),
        suspects=suspect_pods(snapshot, health, target.name),
        answering=len(answering),
        leaving_on_request=sum(_leaves_on_request(p, serving) for p in snapshot.pods if p.class_name == target.name),
        staying=len(staying),
        staying_ready=sum(p.uid in answering for p in staying),
        suspicions=health.suspicions(pods),
        departures=tuple(departures[p.uid] for p in sorted(pods, key=lambda p: p.name) if p.uid in departures),
        problems=tuple(p for p in staying if p.problem is not None and not p.ready),
        refusal=snapshot.refusals.get(target.name, ""),
        unreadable=snapshot.unreadable_hardware.get(target.name, ""),
        reachable=not snapshot.gateways or target.name not in snapshot.unroutable,
    )


def _leaves_on_request(pod: Pod, serving: set[str]) -> bool:
    """What stays on record after its end, or on a node that is gone, left by nobody's wish."""
    return pod.terminating and not pod.ended and pod.node in serving


def _lead_seconds(pods: tuple[Pod, ...]) -> float:
    """The shortest start of those that are there: one that was unready again in between looks longer than it was."""
    seen = [p.start_seconds for p in pods if p.start_seconds is not None]
    return min(seen, default=USUAL_START_SECONDS)


def _with_problem(pod: Pod, serving: set[str], now: datetime) -> Pod:
    """On a node that does not serve, silence is the node's."""
    return replace(pod, problem=problem_of(pod, now)) if pod.node in serving else pod


def problem_of(pod: Pod, now: datetime) -> PodProblem | None:
    """Why a pod is not serving: what its own status tells, or how long it has been silent."""
    if pod.ready or pod.problem or pod.node is None or pod.unready_since is None:
        return pod.problem
    silent_seconds = (now - pod.unready_since).total_seconds()
    if pod.started:
        return PodProblem.HUNG if silent_seconds > HUNG_AFTER_SECONDS else None
    return PodProblem.SLOW if silent_seconds > STARTS_WITHIN_SECONDS else None


def serves(node: Node, hardware: HardwareClass | None) -> bool:
    """Whether pods of the class on this node can be trusted with traffic."""
    unhealthy = hardware.unhealthy_conditions if hardware else frozenset()
    marks = node.true_conditions | {t.key for t in node.taints}
    return node.ready and not (marks & unhealthy)


def is_open(node: Node, hardware: HardwareClass) -> bool:
    """Whether a new pod of the class could be placed on this node."""
    blocked = any(t.effect in {"NoSchedule", "NoExecute"} and not hardware.tolerates(t) for t in node.taints)
    return serves(node, hardware) and not blocked and why_closed(node, hardware) is None


def is_sound(point: ProfilePoint) -> bool:
    """Whether a profile point can be computed with."""
    figures = (point.p50_milliseconds, point.p99_milliseconds, point.throughput_rps)
    return all(math.isfinite(f) and f > 0 for f in figures)


def latency(point: ProfilePoint, objective: Objective) -> float:
    """The point's latency to hold against the objective: p50 for the median, else p99, which is never below it."""
    return point.p50_milliseconds if objective.percentile <= 50 else point.p99_milliseconds


def _fastest(points: Iterable[ProfilePoint]) -> float:
    return max((p.throughput_rps for p in points), default=0.0)


def _room(
    snapshot: Snapshot, health: Health, hardware: HardwareClass | None, open_nodes: list[Node], placed: list[Pod]
) -> int | None:
    """Living replicas that fit: devices left on open nodes, and the pods that a closed node still serves."""
    if hardware is None:
        return 0
    names = {n.name for n in open_nodes}
    staying = sum(p.node not in names for p in placed)
    if not hardware.devices:
        return None if open_nodes else staying
    return staying + sum(_slots(snapshot, health, hardware, node) for node in open_nodes)


def _slots(snapshot: Snapshot, health: Health, hardware: HardwareClass, node: Node) -> int:
    taken = snapshot.devices_taken.get(node.name, {})
    per_device = (
        (node.allocatable.get(d.resource, 0) - taken.get(d.resource, 0)) // d.quantity for d in hardware.devices
    )
    there = [p for p in _present(snapshot, hardware.name) if p.node == node.name]
    # what is to be replaced keeps its devices until it is gone: the scheduler counts a broken one that a pod has as
    # taken, and yet no longer among those that there are
    held = sum(p.device_unhealthy or health.lost(p) for p in there)
    return max(len(there) - held, min(per_device, default=0) - held)

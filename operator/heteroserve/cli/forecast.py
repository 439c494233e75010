"""The forecast: what a drill would do to each deployment, by what the operator itself would decide. Pure.

The same `decide` runs twice, on the moment as it is and on the same moment with the drill in it. What only the operator
knows (its own probes, the Leases, the metrics of now) is not in it; of the demand, what stands in the status.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from heteroserve.decide import decide
from heteroserve.model.deployment import Key, Objective
from heteroserve.model.plan import ClassPlan, Plan
from heteroserve.model.snapshot import Pod, Signals, Snapshot
from heteroserve.render.metadata import SERVING_LABEL


class What(StrEnum):
    """What can be lost in a drill."""

    NODE = "node"
    CLASS = "hardware class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is lost in a drill."""

    what: What
    name: str

    def __str__(self) -> str:
        return f"{self.what} {self.name}"

    def covers(self, pod: Pod) -> bool:
        """Whether the pod is out with it."""
        return self.name == (pod.node if self.what is What.NODE else pod.class_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassState:
    """A class at one side of the comparison. `most_rps` is what it can do within the objective without any reserve."""

    replicas: int = 0
    ready: int = 0
    weight: int = 0
    capacity_rps: float = 0.0
    most_rps: float = 0.0


NO_CLASS = ClassState()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassForecast:
    """A class, as it is and as it would be."""

    name: str
    before: ClassState
    after: ClassState
    drilled: int = 0
    """Pods of it that would be out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests that one part has to carry alone, `to` a class where it is one. `planned_rps`: with the reserve."""

    rps: float
    planned_rps: float
    most_rps: float
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentForecast:
    """One deployment with pods on what is lost. `demand_rps` is the last that was known; `None`: nobody knows one."""

    key: Key
    objective: Objective
    classes: tuple[ClassForecast, ...]
    demand_rps: float | None
    by_hand: bool = False
    untouched: str = ""
    """Why the operator would do nothing for it, if so."""

    @property
    def before_rps(self) -> float:
        """What is ready now may carry."""
        return sum(c.before.capacity_rps for c in self.classes)

    @property
    def after_rps(self) -> float:
        """What would be left may carry."""
        return sum(c.after.capacity_rps for c in self.classes)

    @property
    def most_rps(self) -> float:
        """What would be left can do within the objective, without any reserve."""
        return sum(c.after.most_rps for c in self.classes)

    @property
    def loads(self) -> tuple[Load, ...]:
        """The demand during the drill on what carries it: all that is left together, or each class by itself.

        A split by hand stays as it is: what one class has to spare helps no other.
        """
        if self.demand_rps is None:
            return ()
        if not self.by_hand:
            return (Load(rps=self.demand_rps, planned_rps=self.after_rps, most_rps=self.most_rps),)
        share = self.demand_rps / 100
        states = ((c.name, c.after) for c in self.classes)
        return tuple(
            Load(rps=share * s.weight, planned_rps=s.capacity_rps, most_rps=s.most_rps, to=name) for name, s in states
        )

    @property
    def alone(self) -> bool:
        """Whether nothing else serves it: then the operator would leave the traffic where it is."""
        return not any(c.after.ready for c in self.classes)

    @property
    def moves(self) -> bool:
        """Whether the drill would change anything for it."""
        return not (self.alone or self.untouched)

    @property
    def breaks(self) -> str:
        """Why what stays may not keep the objective; empty when it does, or when nothing changes."""
        return _why_it_breaks(self) if self.moves else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a drill would do. `others` are deployments without a pod there, `unreadable` those that nobody can read."""

    target: Target
    deployments: tuple[DeploymentForecast, ...]
    others: int = 0
    unreadable: tuple[str, ...] = ()

    @property
    def moving(self) -> tuple[DeploymentForecast, ...]:
        """Those for which it would change anything."""
        return tuple(d for d in self.deployments if d.moves)

    @property
    def breaking(self) -> tuple[DeploymentForecast, ...]:
        """Those for which what stays may not be enough."""
        return tuple(d for d in self.deployments if d.breaks)


def foresee(
    snapshots: Iterable[Snapshot], target: Target, until: datetime, unreadable: tuple[str, ...] = ()
) -> Forecast:
    """Compares every deployment with itself during the drill."""
    every = [_foresee(snapshot, target, until) for snapshot in snapshots]
    found = sorted((f for f in every if f), key=lambda f: str(f.key))
    return Forecast(
        target=target, deployments=tuple(found), others=len(every) - len(found), unreadable=tuple(sorted(unreadable))
    )


def _foresee(snapshot: Snapshot, target: Target, until: datetime) -> DeploymentForecast | None:
    out = [p.class_name for p in snapshot.pods if target.covers(p) and not p.terminating]
    if not out:
        return None
    moment = _with_the_last_demand(snapshot)
    before, after = _states(moment), _states(_with_the_drill(moment, target, until))
    wish = snapshot.deployment
    return DeploymentForecast(
        key=wish.key,
        objective=wish.objective,
        classes=tuple(
            ClassForecast(name=name, before=state, after=after.get(name, NO_CLASS), drilled=out.count(name))
            for name, state in before.items()
        ),
        demand_rps=snapshot.memory.demand_rps,
        by_hand=_is_by_hand(wish.manual_weights, after),
        untouched=_why_untouched(snapshot),
    )


def _is_by_hand(weights: Mapping[str, int], after: Mapping[str, ClassState]) -> bool:
    """Whether a split by hand is in force: one that is new waits until every class that it names can answer."""
    return bool(weights) and all(after.get(name, NO_CLASS).weight == weight for name, weight in weights.items())


def _why_untouched(snapshot: Snapshot) -> str:
    paused = "spec.paused is true" if snapshot.deployment.paused else snapshot.paused
    # out since it is there is one that never had the label by which the operator takes pods out
    unlabelled = any(p.mark.out_since is not None and p.mark.out_since == p.created for p in snapshot.pods)
    if paused or not unlabelled:
        return f"paused ({paused})" if paused else ""
    return f"its pods have no label {SERVING_LABEL}: the operator is older than this command, update it first"


def _with_the_last_demand(snapshot: Snapshot) -> Snapshot:
    """Nobody asks Prometheus here: the demand in the status is all that is known, and is taken for that of now."""
    rps = snapshot.memory.demand_rps
    if rps is None:
        return replace(snapshot, signals=Signals(error="not asked"))
    return replace(snapshot, signals=Signals(offered_rps=rps, served_rps=rps, backlog=0.0, age_seconds=0.0))


def _with_the_drill(snapshot: Snapshot, target: Target, until: datetime) -> Snapshot:
    if target.what is What.NODE:
        nodes = (replace(n, drill_until=until) if n.name == target.name else n for n in snapshot.nodes)
        return replace(snapshot, nodes=tuple(nodes))
    hardware = {n: replace(h, drill_until=until) if n == target.name else h for n, h in snapshot.hardware.items()}
    return replace(snapshot, hardware=hardware)


def _states(snapshot: Snapshot) -> Mapping[str, ClassState]:
    plan: Plan = decide(snapshot)
    return {c.name: _state(c, snapshot) for c in plan.classes}


def _state(plan: ClassPlan, snapshot: Snapshot) -> ClassState:
    """What no route can lead to carries nothing."""
    carries_rps = plan.ready_rps if plan.reachable else 0.0
    return ClassState(
        replicas=plan.replicas,
        ready=plan.ready,
        weight=plan.weight,
        capacity_rps=carries_rps,
        most_rps=carries_rps / snapshot.deployment.scaling.target_utilisation,
    )


def _why_it_breaks(found: DeploymentForecast) -> str:
    stuck = [c for c in found.classes if found.by_hand and c.after.weight and c.before.ready and not c.after.ready]
    if stuck:
        shares = ", ".join(f"{c.after.weight} % to {c.name}" for c in stuck)
        return f"spec.traffic.weights is set by hand and goes on sending {shares}, where nothing would answer"
    if found.after_rps >= found.before_rps:
        return ""
    if found.demand_rps is None:
        return f"no demand is known: nobody can say whether {found.most_rps:.4g} requests/s are enough"
    return next((_too_much(load, found.objective) for load in found.loads if load.rps > load.most_rps), "")


def _too_much(load: Load, objective: Objective) -> str:
    limit = f"p{objective.percentile} within {objective.latency_milliseconds:g} ms"
    told = f"are more than the {load.most_rps:.4g} that can be kept at {limit}"
    if not load.to:
        return f"{load.rps:.4g} requests/s {told}"
    return f"spec.traffic.weights is set by hand, and its {load.rps:.4g} requests/s to {load.to} {told}"

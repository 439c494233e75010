"""Strategies: moments that a cluster can be in.

`snapshots()` draws what an API server can hold; `snapshots(wild=True)` also what it refuses: a decision must survive
both, and keep every promise at least in the first. Most of what is drawn is healthy: laws about rare things draw the
rare thing themselves.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

import builders
from heteroserve.decide.supply import Supply
from heteroserve.decide.traffic import apportion
from heteroserve.model.deployment import ClassTarget, GatewayRef, Objective, ProfilePoint, Scaling
from heteroserve.model.fleet import DeviceRequest, HardwareClass, Node, Taint, Toleration
from heteroserve.model.snapshot import (
    Cluster,
    ConditionState,
    DecisionRecord,
    InFlight,
    Mark,
    Memory,
    NodeVitals,
    PendingScaleDown,
    Pod,
    PodProblem,
    Recovery,
    RouteState,
    Signals,
    Snapshot,
)

NAMES = tuple(f"c{number:02}" for number in range(16))
RETIRED = ("old-a", "old-b")
OBJECTIVE = Objective(percentile=99, latency_milliseconds=50.0)

ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 5e-324, 1e-300, 1e12, 1.7e308)
odd_floats = st.sampled_from(ODD) | st.floats()
maybe_odd_floats = st.none() | odd_floats
unusable = st.sampled_from((None, math.nan, math.inf, -math.inf, -1.0, -5e-324))
rates = st.floats(0, 5000, allow_nan=False).map(lambda rate: round(rate, 2))
prices = st.decimals(0, 10, places=2)
budgets = st.none() | st.decimals(0, 60, places=2)
seconds = st.integers(0, 900)
moments = seconds.map(builders.ago)
small = st.integers(0, 12)

# Strategies are made once, here, and not in the functions that draw from them: making one costs more than drawing.

_flags = st.booleans()
_rarely = st.sampled_from((False, False, False, False, True))
_p99s = st.sampled_from((5.0, 20.0, 49.0, 50.0, 51.0, 400.0))
_throughputs = st.sampled_from((1.0, 33.3, 100.0, 1000.0))
_devices_per_replica = st.sampled_from((0, 0, 1, 1, 2))
_tolerations = st.sampled_from(((), (Toleration(key="dedicated", operator="Exists"),)))
_wishes: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        *({} for _ in range(10)),
        {"evacuate": True},
        {"drill_until": builders.ago(-60)},
        {"drill_until": builders.ago(60)},
    )
)
_accepted = st.sampled_from((True, True, False, None))


@dataclass(frozen=True)
class Corner:
    """One class with everything that belongs to it."""

    target: ClassTarget
    hardware: HardwareClass | None
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    replicas: int | None


# --- Profiles --------------------------------------------------------------------------------------------------------


def _point(p99: float, part: float, rps: float) -> ProfilePoint:
    return ProfilePoint(batch=1, p50_milliseconds=p99 / part, p99_milliseconds=p99, throughput_rps=rps)


points = st.builds(_point, _p99s, st.sampled_from((1.0, 2.0, 10.0)), _throughputs)
odd_points = st.builds(
    ProfilePoint, batch=st.just(1), p50_milliseconds=odd_floats, p99_milliseconds=odd_floats, throughput_rps=odd_floats
)
_usual_profiles = st.sampled_from((10.0, 33.3, 100.0, 500.0)).map(lambda rps: (builders.point(rps),))
profiles = _usual_profiles | st.lists(points, min_size=1, max_size=3).map(tuple)
odd_profiles = _usual_profiles | st.lists(points | odd_points, max_size=3).map(tuple)

# --- Hardware, nodes and pods ----------------------------------------------------------------------------------------

NODE_STATES: tuple[dict[str, Any], ...] = (
    *({} for _ in range(8)),
    {"ready": False},
    {"cordoned": True},
    {"deleting": True},
    {"true_conditions": frozenset({"Broken"})},
    {"taints": (Taint(key="Broken", effect="NoExecute"),)},
    {"taints": (Taint(key="dedicated", effect="NoSchedule"),)},
    {"taints": (Taint(key="foreign", effect="NoSchedule"),)},
    {"taints": (Taint(key="node.kubernetes.io/disk-pressure", effect="NoSchedule"),)},
    {"evacuate": True},
    {"drill_until": builders.ago(-60)},
    {"labels": {}},
)
POD_STATES: tuple[dict[str, Any], ...] = (
    *({"ready": True} for _ in range(6)),
    {"ready": False},
    {"ready": False, "unready_since": builders.ago(600)},
    {"ready": False, "unready_since": builders.ago(30), "untouched_since": builders.ago(30)},
    {"ready": False, "started": True, "unready_since": builders.ago(60)},
    {"ready": True, "terminating": True},
    {"ready": False, "terminating": True, "ended": True, "address": "10.0.0.9"},
    {"ready": True, "device_unhealthy": True},
    {"ready": False, "problem": PodProblem.MODEL, "message": "failed to load"},
    {"ready": False, "problem": PodProblem.CRASH, "message": "exit code 1"},
    {"ready": True, "node": "gone"},
    {"ready": False, "node": None},
    {"ready": False, "node": None, "problem": PodProblem.UNSCHEDULABLE, "message": "0/3 nodes are available"},
)
_node_states = st.lists(st.tuples(st.sampled_from(NODE_STATES), st.integers(0, 4)), max_size=3)
_pod_states = st.lists(st.tuples(st.sampled_from(POD_STATES), st.integers(0, 2), st.none() | moments), max_size=4)
_replicas = st.none() | small | st.just(-1)


@st.composite
def hardware_classes(draw: st.DrawFn, name: str) -> HardwareClass:
    quantity = draw(_devices_per_replica)
    return builders.hardware(
        name,
        cost_per_hour=draw(prices),
        devices=(DeviceRequest(resource=f"x/{name}", quantity=quantity),) if quantity else (),
        tolerations=draw(_tolerations),
        unhealthy_conditions=frozenset({"Broken"}),
        **draw(_wishes),
    )


_hardware = {name: hardware_classes(name) for name in (*NAMES, *RETIRED)}


def _node(class_name: str, number: int, state: dict[str, Any], devices: int) -> Node:
    offered = {f"x/{class_name}": devices}
    usual = {"name": f"{class_name}-{number}", "labels": {builders.CLASS: class_name}, "capacity": offered}
    return Node(**{**usual, "allocatable": offered, **state})


def _pod(class_name: str, number: int, state: dict[str, Any], node: int, created: datetime | None) -> Pod:
    name = f"{class_name}-{number:03}"
    usual = {"name": name, "uid": f"uid-{name}", "class_name": class_name, "created": created}
    if state.get("ready"):
        usual["address"] = "10.0.0.1"
    return Pod(**{**usual, "node": f"{class_name}-{node}", **state})


def corner(draw: st.DrawFn, name: str, *, wild: bool, known: bool | None) -> Corner:
    """A class, its hardware (or none: nobody made the HardwareClass), nodes, pods and Deployment.

    A class that was taken out of the spec still has replicas: one without any would not have been routed to.
    """
    low = draw(small) % 4
    pods = tuple(_pod(name, number, *state) for number, state in enumerate(draw(_pod_states)))
    replicas = draw(_replicas) if name not in RETIRED else 1 + draw(small)
    is_known = not draw(_rarely) if known is None else known
    return Corner(
        target=ClassTarget(
            name=name,
            min_replicas=low,
            max_replicas=max(1, low + draw(small)),
            points=draw(odd_profiles if wild else profiles),
        ),
        hardware=draw(_hardware[name]) if is_known else None,
        nodes=tuple(_node(name, number, *state) for number, state in enumerate(draw(_node_states))),
        pods=pods,
        replicas=len(pods) if replicas == -1 else replicas,
    )


# --- Signals ---------------------------------------------------------------------------------------------------------

fresh_signals = rates.map(builders.fresh)
_stale = st.sampled_from(
    ({"error": "TimeoutError"}, {"age_seconds": 31.0}, {"age_seconds": math.nan}, {"age_seconds": math.inf})
)
blind_signals = (
    st.sampled_from((Signals(), Signals(error="ConnectionError")))
    | st.builds(lambda rps, stale: builders.fresh(rps, **stale), rates, _stale)
    | st.builds(Signals, offered_rps=unusable, served_rps=unusable, backlog=unusable, age_seconds=st.just(5.0))
)
"""Signals that must not remove anything: asked in vain, too old, missing, or no numbers at all."""

usual_signals = fresh_signals | blind_signals
odd_signals = fresh_signals | st.builds(
    Signals,
    offered_rps=maybe_odd_floats,
    served_rps=maybe_odd_floats,
    backlog=maybe_odd_floats,
    queue_milliseconds=maybe_odd_floats,
    missing_pods=st.integers(-1, 5),
    age_seconds=maybe_odd_floats,
    error=st.sampled_from((None, None, "", "ConnectionError")),
)

# --- What we find out ourselves --------------------------------------------------------------------------------------

VITALS: tuple[NodeVitals | None, ...] = (
    *(None for _ in range(4)),
    *(NodeVitals(lease_age_seconds=3.0, asked=2) for _ in range(4)),
    NodeVitals(lease_age_seconds=25.0, asked=2, bad_seconds=90.0),
    NodeVitals(lease_age_seconds=5.0, asked=2, failing=2, bad_seconds=400.0),
    NodeVitals(lease_age_seconds=30.0, asked=1, failing=1, bad_seconds=70.0),
    NodeVitals(lease_age_seconds=21.0, bad_seconds=1.0),
)
ODD_VITALS = (
    *VITALS,
    NodeVitals(lease_age_seconds=math.nan, asked=-1, failing=7, bad_seconds=math.nan),
    NodeVitals(lease_age_seconds=-5.0, asked=0, failing=0, bad_seconds=-1.0),
    NodeVitals(lease_age_seconds=math.inf, bad_seconds=math.inf),
)
_failed_probes = st.just(()) | st.lists(st.sampled_from((None, 0, 0, 0, 1, 2, 9)), max_size=16).map(tuple)
_vitals = st.just(()) | st.lists(st.sampled_from(VITALS), max_size=12).map(tuple)
_odd_vitals = st.lists(st.sampled_from(ODD_VITALS), max_size=12).map(tuple)
_ejected = st.sampled_from((0, 0, 0, 1))


def probes(draw: st.DrawFn, everybody: tuple[Pod, ...]) -> dict[str, int]:
    """Probes that failed in a row; most pods answer, or were not asked yet."""
    failed = draw(_failed_probes)
    return {pod.uid: times for pod, times in zip(everybody, failed, strict=False) if times is not None}


def vitals(draw: st.DrawFn, nodes: tuple[Node, ...], *, wild: bool) -> dict[str, NodeVitals]:
    """What is known of some nodes; sometimes that so many turned bad at once that nobody is believed."""
    found = draw(_odd_vitals if wild else _vitals)
    return {node.name: known for node, known in zip(nodes, found, strict=False) if known is not None}


MARKS = (
    *(Mark() for _ in range(5)),
    builders.mark(),
    builders.mark(2),
    builders.mark(40),
    builders.mark(600, goes_first=False),
)
_marks = st.just(()) | st.lists(st.sampled_from(MARKS), max_size=16).map(tuple)
_told = st.sampled_from((None, None, InFlight(requests=0.0, age_seconds=0.0), InFlight(requests=3.0, age_seconds=0.0)))
_in_flight = st.just(()) | st.lists(_told, max_size=16).map(tuple)


def marked(draw: st.DrawFn, everybody: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pods, some of which were told something before."""
    marks = draw(_marks)
    return tuple(
        replace(pod, mark=marks[number]) if number < len(marks) else pod for number, pod in enumerate(everybody)
    )


def in_flight(draw: st.DrawFn, everybody: tuple[Pod, ...]) -> dict[str, InFlight]:
    """What Triton tells of some pods."""
    told = draw(_in_flight)
    return {pod.uid: known for pod, known in zip(everybody, told, strict=False) if known is not None}


# --- What else a deployment asks for and remembers -------------------------------------------------------------------

_windows = st.sampled_from((0, 60, 300))
scalings = st.builds(
    Scaling,
    target_utilisation=st.sampled_from((1.0, 0.75, 0.1)),
    scale_down_window_seconds=_windows,
    budget_per_hour=budgets,
)
odd_scalings = st.builds(
    Scaling, target_utilisation=st.floats(1e-9, 1), scale_down_window_seconds=_windows, budget_per_hour=budgets
)
_waits = st.builds(PendingScaleDown, since=moments, replicas=small)
_odd_waits = st.builds(PendingScaleDown, since=st.integers(-600, 900).map(builders.ago), replicas=st.integers(0, 12))

decisions = st.builds(
    DecisionRecord,
    time=moments,
    class_name=st.sampled_from(("", *NAMES)),
    before=st.just("1 replicas"),
    after=st.just("2 replicas"),
    reason=st.just("DemandCovered"),
    message=st.text(max_size=20),
)
conditions = st.builds(
    ConditionState,
    type=st.sampled_from(("Ready", "Stalled", "ModelReady", "Degraded")),
    status=st.sampled_from(("True", "False", "Unknown")),
    reason=st.just("Reason"),
    message=st.text(max_size=20),
    observed_generation=st.integers(0, 3),
    last_transition=moments,
)
_decision_lists = st.lists(decisions, max_size=2).map(tuple)
_condition_lists = st.lists(conditions, max_size=2, unique_by=lambda c: c.type).map(tuple)
_maybe_rates = st.none() | rates


recoveries = st.builds(
    Recovery, since=moments, setbacks=st.integers(0, 6), troubled=st.sampled_from((False, False, True)), floor=small
)
_odd_recoveries = st.builds(
    Recovery,
    since=st.integers(-600, 10**6).map(builders.ago),
    setbacks=st.integers(0, 10**6),
    troubled=_flags,
    floor=st.integers(0, 10**6),
)
_recoveries = st.dictionaries(st.sampled_from(NAMES[:3]), recoveries, max_size=2)
_wild_recoveries = st.dictionaries(st.sampled_from(NAMES[:3]), _odd_recoveries, max_size=2)
_answered = st.dictionaries(st.sampled_from(NAMES[:3]), small, max_size=3)


def memory(draw: st.DrawFn, names: tuple[str, ...], *, wild: bool) -> Memory:
    waits = draw(st.lists(st.none() | (_odd_waits if wild else _waits), min_size=len(names), max_size=len(names)))
    return Memory(
        pending={name: wait for name, wait in zip(names, waits, strict=True) if wait},
        recoveries=draw(_wild_recoveries if wild else _recoveries),
        ready=draw(_answered),
        decisions=draw(_decision_lists),
        conditions=draw(_condition_lists),
        demand_rps=draw(_maybe_rates),
    )


_shares = st.none() | st.lists(st.integers(0, 5), min_size=18, max_size=18)
_odd_weights = st.lists(st.integers(-5, 2000), min_size=18, max_size=18)


def route(draw: st.DrawFn, names: tuple[str, ...], *, wild: bool) -> RouteState | None:
    """No route yet, or one with weights that a plan of ours once had (or anybody, if `wild`)."""
    accepted = draw(_accepted)
    if wild and draw(_flags):
        weights = dict(zip((*names, "stranger"), draw(_odd_weights), strict=False))
        return RouteState(weights=weights, accepted=accepted)
    drawn = draw(_shares)
    if drawn is None:
        return None
    shares = {name: float(share) for name, share in zip(names, drawn, strict=False)}
    weights = apportion(shares) or dict.fromkeys(shares, 0)
    return RouteState(weights=weights, accepted=accepted, behind=draw(_rarely))


def splits(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, int]]:
    """Splits that somebody may set by hand: they sum to 100."""
    drawn = st.lists(st.integers(0, 5), min_size=len(names), max_size=len(names))
    return drawn.map(lambda shares: apportion(dict(zip(names, map(float, shares), strict=True))) or {names[0]: 100})


# --- Whole moments ---------------------------------------------------------------------------------------------------

_taken: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 3), min_size=18, max_size=18) | st.just([])


def _some_of(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    """Mostly none of them."""
    return st.just(frozenset[str]()) | st.frozensets(st.sampled_from(names)) if names else st.just(frozenset())


@st.composite
def snapshots(
    draw: st.DrawFn,
    *,
    wild: bool = False,
    most: int = 3,
    known: bool | None = None,
    paused: bool = False,
    retired: bool = True,
    by_hand: bool = False,
    with_signals: st.SearchStrategy[Signals] = usual_signals,
) -> Snapshot:
    """A moment of one deployment on up to `most` classes; `known`: whether all of them have a HardwareClass."""
    count = 1 + draw(st.integers(0, most - 1))
    listed = [corner(draw, name, wild=wild, known=known) for name in NAMES[:count]]
    gone = [corner(draw, name, wild=False, known=None) for name in RETIRED[: retired and draw(st.integers(0, 2))]]
    everyone = (*listed, *gone)
    names = tuple(c.target.name for c in everyone)
    replicas = {c.target.name: c.replicas for c in everyone if c.replicas is not None}
    has_gateway = not draw(_rarely)
    nodes = tuple(n for c in everyone for n in c.nodes)
    pods = marked(draw, tuple(p for c in everyone for p in c.pods))
    return Snapshot(
        now=builders.NOW,
        deployment=builders.deployment(
            *(c.target for c in listed),
            objective=OBJECTIVE,
            scaling=draw(odd_scalings if wild else scalings),
            gateways=(GatewayRef(name="public"),) if has_gateway else (),
            paused=paused,
            manual_weights=draw(splits(tuple(c.target.name for c in listed))) if by_hand else {},
        ),
        hardware={c.target.name: c.hardware for c in everyone if c.hardware},
        nodes=nodes,
        pods=pods,
        probes=probes(draw, pods),
        vitals=vitals(draw, nodes, wild=wild),
        in_flight=in_flight(draw, pods),
        erring=draw(_some_of(names)),
        gateway_ejected=draw(_ejected),
        devices_taken={f"{name}-0": {f"x/{name}": n} for name, n in zip(names, draw(_taken), strict=False) if n},
        replicas=replicas,
        rolling=draw(_some_of(names)),
        refusals=dict.fromkeys(draw(_some_of(names)), "exceeded quota"),
        unroutable=draw(_some_of(tuple(replicas))),
        route=route(draw, tuple(sorted(replicas)), wild=wild) if has_gateway or wild else None,
        signals=draw(odd_signals if wild else with_signals),
        memory=memory(draw, names, wild=wild),
        cluster=Cluster(gateway_api=has_gateway or draw(_flags), envoy_gateway=draw(_flags)),
    )


_rps = st.sampled_from((0.0, 10.0, 33.3, 100.0, 500.0)) | st.floats(1e-3, 1e4)
_rooms = st.none() | small


_problems = st.sampled_from((None, None, None, PodProblem.UNSCHEDULABLE, PodProblem.MODEL))


@st.composite
def supplies(draw: st.DrawFn, name: str) -> Supply:
    """A class as sizing sees it."""
    low, ready, problem = draw(small) % 4, draw(small) % 7, draw(_problems)
    return builders.supply(
        name,
        rps=draw(_rps),
        low=low,
        high=max(1, low + draw(small)),
        hardware=None if draw(_rarely) else draw(_hardware[name]),
        room=draw(_rooms),
        nodes=draw(small) % 3,
        ready=ready,
        reachable=not draw(_rarely),
        refusal="exceeded quota" if draw(_rarely) else "",
        placed=ready + draw(small) % 3,
        problems=(builders.pod(f"{name}-x", ready=False, problem=problem),) if problem else (),
    )


def supply_sets(*, most: int = 5) -> st.SearchStrategy[tuple[Supply, ...]]:
    """One to `most` classes."""
    return st.one_of([st.tuples(*(supplies(name) for name in NAMES[:count])) for count in range(1, most + 1)])

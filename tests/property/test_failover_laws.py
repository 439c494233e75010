"""The laws of failing over: who is trusted, where the traffic goes, what is asked for once more and what stays.

The names are those of the invariants: I1 bounds, I2 weights, I4 make before break, I6 no metrics needed, I7 nothing
shrinks meanwhile, I9 the same again. P1 to P9 in test_laws.py hold for the same moments; P5 there is I4 for every plan.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

import builders
import strategies
from heteroserve.decide import decide
from heteroserve.decide.besides import without_besides
from heteroserve.decide.health import PROBES_FAILED, State, assess_health
from heteroserve.decide.picture import take
from heteroserve.decide.supply import Supply, ready_pods
from heteroserve.decide.traffic import ROOM_TO_SPARE, apportion
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import Plan, Why
from heteroserve.model.snapshot import NodeVitals, Pod, RouteState, Signals, Snapshot
from heteroserve.render import render
from heteroserve.status.compute import compute_status
from laws import on_its_way, rolling_after

numbers = st.integers(0, 99)


def routed(snapshot: Snapshot) -> Mapping[str, int]:
    return snapshot.route.weights if snapshot.route else {}


def supplies_of(snapshot: Snapshot) -> dict[str, Supply]:
    return builders.by_name(take(snapshot).supplies)


def kept(snapshot: Snapshot, name: str) -> int:
    """Replicas of a class now that were not asked for in place of others."""
    return without_besides(name, snapshot, take(snapshot).departing) or 0


def weights_of(plan: Plan) -> dict[str, int]:
    return {c.name: c.weight for c in plan.classes}


def silenced(snapshot: Snapshot, *pods: Pod) -> Snapshot:
    """The same moment, in which these pods answer nobody any more."""
    silent = {p.uid: max(PROBES_FAILED, snapshot.probes.get(p.uid, 0)) for p in pods}
    return replace(snapshot, probes={**snapshot.probes, **silent})


def frozen(snapshot: Snapshot, node: str) -> Snapshot:
    """The same moment two seconds after a node fell silent: its kubelet is not missed yet."""
    return silenced(snapshot, *(p for p in snapshot.pods if p.node == node))


def serves(snapshot: Snapshot, plan: Plan) -> bool:
    """Whether trusted pods answer. One that Services do not lead to is let in first, and counted the next time."""
    health = assess_health(snapshot)
    return any(c.weight and ready_pods(snapshot, health, c.name) for c in plan.classes)


def shrinks(plan: Plan) -> bool:
    """Whether something that is ready is to go."""
    return any(c.replicas < c.ready or c.why is Why.DRAINING for c in plan.classes)


def overloaded(snapshot: Snapshot, plan: Plan) -> bool:
    """Whether classes that miss the objective may have to help, or still do: the last demand counts where none is."""
    ready_rps = math.fsum(c.ready_rps for c in plan.classes if c.reachable and c.render)
    known = plan.demand.rps if plan.demand.rps is not None else snapshot.memory.demand_rps
    return (known or 0.0) * snapshot.deployment.scaling.target_utilisation > ready_rps * ROOM_TO_SPARE * (1 - 1e-9)


# --- Who is trusted --------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_without_a_witness_everybody_is_trusted(snapshot: Snapshot) -> None:
    calm = replace(
        snapshot,
        nodes=tuple(replace(n, ready=True, drill_until=None) for n in snapshot.nodes),
        hardware={name: replace(h, drill_until=None) for name, h in snapshot.hardware.items()},
        pods=tuple(replace(p, device_unhealthy=False, untouched_since=None) for p in snapshot.pods),
        probes={},
        vitals={},
    )
    health = assess_health(calm)
    assert {v.state for v in (*health.pods.values(), *health.nodes.values())} <= {State.HEALTHY}
    assert (health.doubt, health.first_concern(calm.pods)) == ("", "")


@given(strategies.snapshots(), st.sets(numbers, max_size=4))
def test_one_more_witness_never_makes_more_trust(snapshot: Snapshot, chosen: set[int]) -> None:
    pods = snapshot.pods
    # how many it ejected tells the gateway's witness only as long as no more than that are silent
    snapshot = replace(snapshot, gateway_ejected=len(pods) if snapshot.gateway_ejected else 0)
    before = assess_health(snapshot)
    after = assess_health(silenced(snapshot, *(pods[n % len(pods)] for n in chosen if pods)))
    rank = tuple(State)
    for uid, verdict in before.pods.items():
        assert rank.index(after.pods[uid].state) >= rank.index(verdict.state)


@given(strategies.snapshots())
def test_on_one_word_nobody_is_given_up_while_another_pod_of_the_class_answers(snapshot: Snapshot) -> None:
    health, known = assess_health(snapshot), {n.name for n in snapshot.nodes}
    answering = {
        p.class_name for p in snapshot.pods if p.ready and not p.terminating and p.node in known and health.trusts(p)
    }
    for pod in snapshot.pods:
        if health.lost(pod):
            assert len(health.pods[pod.uid].witnesses) > 1 or pod.class_name not in answering


# --- I1: bounds ------------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_i1_the_living_are_within_their_maximum_and_none_goes_below_its_minimum(snapshot: Snapshot) -> None:
    bounds = builders.by_name(snapshot.deployment.classes)
    for c in decide(snapshot).classes:
        if c.render:
            assert type(c.replicas) is int
            most = bounds[c.name].max_replicas + len(c.departures)
            waits = snapshot.replicas.get(c.name, 0) if c.why is Why.DRAINING else 0
            assert 0 <= c.replicas <= max(most, waits)
            least = 0 if c.departures or snapshot.hardware[c.name].evacuate else bounds[c.name].min_replicas
            assert c.replicas >= min(snapshot.replicas.get(c.name, 0), least)


# --- I2: weights -----------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_i2_only_a_class_with_a_trusted_pod_has_weight_unless_there_is_none_to_be_had(snapshot: Snapshot) -> None:
    plan, health = decide(snapshot), assess_health(snapshot)
    trusted = {c.name for c in plan.classes if ready_pods(snapshot, health, c.name)}
    weighing = {c.name for c in plan.classes if c.weight}
    assert plan.held or weighing <= trusted or not weighing & trusted


@given(strategies.snapshots(retired=False), numbers)
def test_i2_when_any_node_falls_silent_its_traffic_goes_to_trusted_pods_alone(snapshot: Snapshot, which: int) -> None:
    assume(snapshot.nodes)
    after = frozen(snapshot, snapshot.nodes[which % len(snapshot.nodes)].name)
    check_that_weight_moved_to_the_trusted(snapshot, after)


@given(strategies.snapshots(retired=False), numbers)
def test_i2_when_any_class_falls_silent_its_traffic_goes_to_trusted_pods_alone(snapshot: Snapshot, which: int) -> None:
    target = snapshot.deployment.classes[which % len(snapshot.deployment.classes)]
    after = silenced(snapshot, *(p for p in snapshot.pods if p.class_name == target.name))
    check_that_weight_moved_to_the_trusted(snapshot, after)
    plan = decide(after)
    if not plan.held and serves(after, plan):
        assert weights_of(plan)[target.name] == 0


def check_that_weight_moved_to_the_trusted(before: Snapshot, after: Snapshot) -> None:
    now, plan = weights_of(decide(before)), decide(after)
    for c in plan.classes if serves(after, plan) else ():
        assert c.ready or c.weight <= now[c.name]


@given(strategies.snapshots(retired=False))
def test_i2_weights_are_the_shares_in_what_is_trusted_and_nothing_else(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assume(not (plan.held or shrinks(plan) or overloaded(snapshot, plan)))
    supplies, trusts = supplies_of(snapshot).values(), take(snapshot).trusts
    playing = [s for s in supplies if s.reachable and plays(s, snapshot)]
    capacity = {s.name: trusts[s.name].carrying * s.replica_rps for s in playing}
    if any(capacity.values()):
        assert {n: w for n, w in weights_of(plan).items() if w} == {n: w for n, w in apportion(capacity).items() if w}


def plays(supply: Supply, snapshot: Snapshot) -> bool:
    return supply.hardware is not None or snapshot.replicas.get(supply.name, 0) > 0


# --- I4: make before break -------------------------------------------------------------------------------------------


@given(strategies.snapshots(retired=False), numbers)
def test_i4_after_any_node_fell_silent_no_more_ready_capacity_goes_than_the_demand_can_spare(
    snapshot: Snapshot, which: int
) -> None:
    assume(snapshot.nodes)
    after = frozen(snapshot, snapshot.nodes[which % len(snapshot.nodes)].name)
    plan, bounds = decide(after), builders.by_name(after.deployment.classes)
    known = [c for c in plan.classes if c.render and c.reachable and c.name in after.replicas]
    most = {c.name: min(bounds[c.name].max_replicas, kept(after, c.name)) for c in known}
    before = math.fsum(min(c.ready, most[c.name]) * c.replica_rps for c in known)
    left = math.fsum(min(c.ready, c.replicas) * c.replica_rps for c in known)
    assert left >= min(before, plan.demand.rps or 0.0) * (1 - 1e-9)


# --- I6: no metrics needed -------------------------------------------------------------------------------------------


@given(strategies.snapshots(retired=False), strategies.usual_signals)
def test_i6_weights_do_not_depend_on_metrics_while_nothing_shrinks_or_is_overloaded(
    snapshot: Snapshot, signals: Signals
) -> None:
    """Who came back is the exception: he is trusted slowly only where the others are known to carry the demand."""
    snapshot = replace(snapshot, memory=replace(snapshot.memory, recoveries={}, ready={}))
    plan, other = decide(snapshot), decide(replace(snapshot, signals=signals))
    for moment in (plan, other):
        assume(not (moment.held or shrinks(moment) or overloaded(snapshot, moment)))
    assert weights_of(plan) == weights_of(other)


# --- I7: nothing shrinks meanwhile -----------------------------------------------------------------------------------


@given(strategies.snapshots(), numbers)
def test_i7_while_a_pod_is_not_trusted_no_class_shrinks_but_to_a_lowered_maximum(
    snapshot: Snapshot, which: int
) -> None:
    asked = [p for p in snapshot.pods if p.ready and not p.terminating]
    assume(asked)
    after = silenced(snapshot, asked[which % len(asked)])
    bounds = builders.by_name(after.deployment.classes)
    for c in decide(after).classes:
        if c.render and c.name in after.replicas and all(d.lost for d in c.departures):
            assert c.replicas >= min(kept(after, c.name), bounds[c.name].max_replicas)


@given(strategies.snapshots(), numbers)
def test_i7_when_the_view_is_in_doubt_nothing_is_changed_and_it_is_told(snapshot: Snapshot, seconds: int) -> None:
    nodes = (*snapshot.nodes, builders.node("cpu-0"), builders.node("cpu-1"))
    turned = {n.name: NodeVitals(bad_seconds=seconds % 61) for n in nodes}
    doubted = replace(snapshot, nodes=nodes, vitals=turned)
    plan = decide(doubted)
    assert plan.held
    assert plan.doubt
    assert [(d.before, d.after, d.reason) for d in plan.decisions] == [("acting", "frozen", Why.DOUBT)]
    assert {c.name: c.replicas for c in plan.classes if c.replicas} == {n: r for n, r in snapshot.replicas.items() if r}
    for c in plan.classes:
        assert (c.weight, c.why, c.render) == (routed(snapshot).get(c.name, 0), Why.DOUBT, False)
    said = {c.type: c for c in compute_status(doubted, plan, Outcome()).conditions}
    assert (said["Degraded"].status, said["Degraded"].reason) == ("True", Why.DOUBT)


# --- I9: the same again ----------------------------------------------------------------------------------------------


def carried_out(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The plan as it is written and told, with all pods as they were; what was decided is not remembered."""
    marks = {m.uid: m.mark for m in plan.marks}
    pods = tuple(replace(p, mark=marks.get(p.uid, p.mark)) for p in snapshot.pods)
    replicas = {c.name: c.replicas for c in plan.classes if c.render or c.name in snapshot.replicas}
    routes = [m for m in render(snapshot, plan) if m["kind"] == "HTTPRoute"]
    weights = {c.name: plan.routed[c.name] for c in plan.classes if c.reachable and (c.render or c.replicas > 0)}
    route = RouteState(weights=weights, accepted=True) if routes else None
    return replace(snapshot, replicas=replicas, pods=pods, route=route, rolling=rolling_after(snapshot, plan))


@given(strategies.snapshots(retired=False), numbers)
def test_i9_a_failover_that_was_carried_out_is_not_carried_out_again(snapshot: Snapshot, which: int) -> None:
    assume(snapshot.nodes)
    after = frozen(snapshot, snapshot.nodes[which % len(snapshot.nodes)].name)
    assume(all(p.class_name in after.replicas for p in after.pods))  # the others are nobody's
    plan = decide(after)
    # these go on
    assume(not (plan.held or any(c.why is Why.DRAINING or on_its_way(after, c) for c in plan.classes)))
    assume(any(c.suspicions for c in plan.classes))
    out = {p.uid for p in after.pods if p.mark.out_since}
    assume(
        not any(m.uid in out and m.mark.out_since is None for m in plan.marks)
    )  # who is back is counted the next time
    again = decide(carried_out(after, plan))
    assert {c.name: (c.replicas, c.weight) for c in again.classes} == {
        c.name: (c.replicas, c.weight) for c in plan.classes
    }


@given(strategies.snapshots(retired=False))
def test_i9_lost_pods_that_are_gone_from_record_are_not_asked_for_any_more(snapshot: Snapshot) -> None:
    """Nothing that was asked for in their stead outlives the maximum; the rest goes by the ordinary rules."""
    plan, health = decide(snapshot), assess_health(snapshot)
    assume(not plan.held and any(c.lost for c in plan.classes))
    evicted = replace(
        (done := carried_out(snapshot, plan)), pods=tuple(replace(p, terminating=health.lost(p)) for p in done.pods)
    )
    bounds = builders.by_name(snapshot.deployment.classes)
    gone = {p.name for p in evicted.pods if p.terminating}
    for c in decide(evicted).classes:
        assert not gone.intersection(d.pod for d in c.departures)
        if c.render:
            assert c.replicas <= bounds[c.name].max_replicas + len(c.departures) or c.why is Why.DRAINING

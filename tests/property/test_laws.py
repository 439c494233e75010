"""The laws of a decision, P1 to P9 of the style guide's list. P10 is in test_crash.py.

Where a law cannot hold to the letter, because a window, a step limit or a drain is in force, the test's name says which
law does.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from hypothesis import assume, given
from hypothesis import strategies as st

import builders
import strategies
from heteroserve.decide import decide
from heteroserve.decide.besides import without_besides
from heteroserve.decide.demand import estimate_demand
from heteroserve.decide.explain import IN_TRAFFIC, subject
from heteroserve.decide.health import assess_health
from heteroserve.decide.picture import take
from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.stabilise import SMALLEST_STEP_UP
from heteroserve.decide.supply import Supply, ready_pods
from heteroserve.decide.traffic import TOTAL, Share, apportion, split_traffic
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import ClassPlan, Plan, Why
from heteroserve.model.snapshot import RouteState, Signals, Snapshot
from heteroserve.observe.parse_api import parse_memory
from heteroserve.render import render
from heteroserve.status.compute import compute_status
from heteroserve.status.write import as_json
from laws import on_its_way, rolling_after

T = TypeVar("T")

rates_and_one_unusable = st.builds(
    lambda rps, which, value: replace(builders.fresh(rps), **{which: value}),
    strategies.rates,
    st.sampled_from(("offered_rps", "served_rps", "backlog")),
    strategies.unusable,
)

CYCLES = 150
"""Enough for four classes to halve down to nothing one after the other, and to double up again."""


def applied(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The same moment after the plan was carried out, with all pods as they were. Of a held plan only the status is."""
    status = as_json(compute_status(snapshot, plan, Outcome()))
    memory = parse_memory(builders.raw_deployment(status=status))
    if plan.held:
        return replace(snapshot, memory=memory)
    listed = {c.name: c.replicas for c in plan.classes if c.render}
    untouched = {
        c.name: snapshot.replicas[c.name] for c in plan.classes if not c.render and c.name in snapshot.replicas
    }
    routes = [m for m in render(snapshot, plan) if m["kind"] == "HTTPRoute"]
    weights = {c.name: c.weight for c in plan.classes if c.reachable and (c.render or c.replicas > 0)}
    marks = {m.uid: m.mark for m in plan.marks}
    return replace(
        snapshot,
        replicas={**untouched, **listed},
        pods=tuple(replace(p, mark=marks.get(p.uid, p.mark)) for p in snapshot.pods),
        route=RouteState(weights=weights, accepted=True) if routes else None,
        memory=memory,
    )


def essence(plan: Plan) -> dict[str, tuple[int, int]]:
    """Replicas and weight of each class."""
    return {c.name: (c.replicas, c.weight) for c in plan.classes}


def changes(snapshot: Snapshot, plan: Plan) -> set[str]:
    """Classes whose replicas a plan changes; nobody's name stands for the split of the traffic. Marks are not here."""
    before = {n: w for n, w in routed(snapshot).items() if w}
    after = {c.name: c.weight for c in plan.classes if c.weight}
    split = {""} if snapshot.gateways and before != after else set()
    removed = snapshot.replicas.keys() - {c.name for c in plan.classes}
    return (
        split | removed | {c.name for c in plan.classes if c.render and c.replicas != snapshot.replicas.get(c.name, 0)}
    )


def routed(snapshot: Snapshot) -> Mapping[str, int]:
    return snapshot.route.weights if snapshot.route else {}


def supplies_of(snapshot: Snapshot) -> tuple[Supply, ...]:
    return take(snapshot).supplies


def moving(snapshot: Snapshot) -> dict[str, int]:
    """By class: pods that are to be replaced."""
    return {s.name: len(s.departures) for s in supplies_of(snapshot)}


def kept(snapshot: Snapshot, name: str) -> int:
    """Replicas of a listed class now that were not asked for in place of others, within its maxReplicas."""
    most = {c.name: c.max_replicas for c in snapshot.deployment.classes}
    return min(without_besides(name, snapshot, take(snapshot).departing) or 0, most[name])


def bounded(snapshot: Snapshot, name: str) -> int:
    """Replicas of a listed class now; those that are to be replaced do not count against its maxReplicas."""
    return kept(snapshot, name) + moving(snapshot)[name]


def in_traffic(snapshot: Snapshot) -> dict[str, int]:
    """By class, listed or not: trusted pods that Services lead to. Who is out is let in first, and counted after."""
    health = assess_health(snapshot)
    names = {c.name for c in snapshot.deployment.classes} | snapshot.replicas.keys()
    return {name: ready_pods(snapshot, health, name) for name in names}


def idle(snapshot: Snapshot) -> set[str]:
    """Classes of which nobody answers who is to leave: nothing is lost with them, whatever is known."""
    return {s.name for s in supplies_of(snapshot) if s.departures and s.answering == s.staying_ready}


def ordinary(snapshot: Snapshot, plan: Plan) -> list[ClassPlan]:
    """Those of the plan's classes that have a Deployment and nobody to replace: the laws of moves are elsewhere."""
    return [c for c in plan.classes if c.render and c.name in snapshot.replicas and not c.departures]


def _serves(plan: ClassPlan) -> bool:
    return plan.ready > 0 and plan.replicas > 0 and plan.why is not Why.DRAINING


def effective_rps(supplies: tuple[Supply, ...], wanted: Mapping[str, Wanted]) -> float:
    return math.fsum(s.replica_rps * s.effective(wanted[s.name].replicas) for s in supplies)


# --- P1: a fixed point -----------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_p1_applied_again_and_again_while_the_world_stands_still_every_plan_comes_to_rest(snapshot: Snapshot) -> None:
    for _ in range(CYCLES):
        plan = decide(snapshot)
        behind = snapshot.route is not None and snapshot.route.behind
        if not (changes(snapshot, plan) or plan.marks or plan.decisions or behind):
            break
        snapshot = applied(snapshot, plan)
    again = decide(applied(snapshot, plan))
    assert (plan.decisions, again.decisions) == ((), ())
    assert essence(again) == essence(plan)


@given(strategies.snapshots())
def test_p1_what_changes_is_told_and_what_does_not_change_is_not(snapshot: Snapshot) -> None:
    untold = replace(snapshot, memory=replace(snapshot.memory, decisions=()))
    plan = decide(untold)
    assert {name for name, what in map(subject, plan.decisions) if not what} == changes(untold, plan)


@given(strategies.snapshots())
def test_p1_who_leaves_the_traffic_untrusted_or_comes_back_is_told_and_nobody_else(snapshot: Snapshot) -> None:
    untold = replace(snapshot, memory=replace(snapshot.memory, decisions=()))
    plan, marks = decide(untold), {p.uid: p.mark.out_since is None for p in snapshot.pods}
    suspects = {s.pod for c in plan.classes for s in c.suspicions}
    turned = [(m.pod, m.uid) for m in plan.marks if (m.mark.out_since is None) != marks[m.uid]]
    told = {uid for name, uid in turned if name in suspects or not marks[uid]}
    want = {p.class_name for p in snapshot.pods if p.uid in told}
    assert {name for name, what in map(subject, plan.decisions) if what == IN_TRAFFIC} == want


@given(strategies.snapshots())
def test_p1_growth_without_a_step_limit_is_done_in_one_cycle(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    growing = [c for c in plan.classes if c.replicas > snapshot.replicas.get(c.name, 0)]
    grown = {c.name for c in growing if not on_its_way(snapshot, c)}
    after = replace(applied(snapshot, plan), rolling=rolling_after(snapshot, plan))
    again = {c.name: c.replicas for c in decide(after).classes}
    assert {name: again[name] for name in grown} == {c.name: c.replicas for c in plan.classes if c.name in grown}


# --- P2: weights -----------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_p2_weights_are_integers_that_sum_to_100_or_are_all_0_when_nothing_is_ready(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assume(not plan.held)
    weights, ready = [c.weight for c in plan.classes], in_traffic(snapshot)
    assert all(type(w) is int and 0 <= w <= TOTAL for w in weights)
    staying = (c for c in plan.classes if c.why is not Why.DRAINING and not c.retired)
    serving = any(ready[c.name] and c.replicas and c.reachable for c in staying)
    assert sum(weights) == TOTAL or (not serving and sum(weights) == 0)


@given(strategies.snapshots())
def test_p2_nobody_keeps_weight_beside_the_plan(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assert {n for n, w in routed(snapshot).items() if w and n in snapshot.replicas} <= {c.name for c in plan.classes}


@given(st.dictionaries(st.sampled_from(strategies.NAMES), st.floats(0, 1e9)))
def test_p2_a_share_is_within_one_of_proportion_after_everybody_got_one(capacity: dict[str, float]) -> None:
    weights = apportion(capacity)
    total = math.fsum(capacity.values())
    holders = sum(c > 0 for c in capacity.values())
    for name, weight in weights.items():
        exact = 1 + capacity[name] / total * (TOTAL - holders) if capacity[name] > 0 else 0.0
        assert abs(weight - exact) <= 1 + 1e-6


# --- P3: the budget --------------------------------------------------------------------------------------------------


@given(strategies.supply_sets(), st.floats(0, 1e5), st.decimals(0, 60, places=2))
def test_p3_what_is_wanted_beyond_the_minimum_fits_the_budget(
    supplies: tuple[Supply, ...], rps: float, budget: Decimal
) -> None:
    wanted = size(supplies, rps, budget)
    known = [s for s in supplies if s.hardware]
    least = sum((s.price * s.target.min_replicas for s in known), Decimal(0))
    assert sum((s.price * wanted[s.name].replicas for s in known), Decimal(0)) <= max(budget, least)


@given(strategies.snapshots())
def test_p3_no_class_grows_beyond_what_fits_the_budget_while_replicas_on_their_way_out_still_cost(
    snapshot: Snapshot,
) -> None:
    plan = decide(snapshot)
    supplies = supplies_of(snapshot)
    known_rps = plan.demand.rps if plan.demand.rps is not None else snapshot.memory.demand_rps
    wanted = size(supplies, plan.demand.rps or 0.0, snapshot.deployment.scaling.budget_per_hour)
    remembered = size(supplies, known_rps or 0.0, snapshot.deployment.scaling.budget_per_hour)
    wanted = {n: w if n in snapshot.replicas else remembered[n] for n, w in wanted.items()}
    for c in plan.classes:
        if c.render:
            alive = max(wanted[c.name].replicas, kept(snapshot, c.name))
            assert c.replicas <= max(snapshot.replicas.get(c.name, 0), alive + len(c.departures))


# --- P4: no traffic for what is not ready ----------------------------------------------------------------------------


@given(strategies.snapshots())
def test_p4_a_class_without_a_ready_replica_never_gains_weight_unless_it_has_suspects_and_nobody_is_ready(
    snapshot: Snapshot,
) -> None:
    plan, suspects = decide(snapshot), {s.name: s.suspects for s in supplies_of(snapshot)}
    ready = in_traffic(snapshot)
    nobody = not any(c.weight and ready[c.name] for c in plan.classes)
    for c in plan.classes:
        if c.ready == 0 and not (nobody and suspects.get(c.name, 1)):
            assert c.weight <= routed(snapshot).get(c.name, 0)


@given(strategies.snapshots())
def test_p4_a_class_without_a_ready_replica_has_no_weight_while_another_is_ready(snapshot: Snapshot) -> None:
    plan, ready = decide(snapshot), in_traffic(snapshot)
    assume(any(c.weight and ready[c.name] for c in plan.classes) and not plan.held)
    assert {c.name for c in plan.classes if c.weight and not ready[c.name]} == set()


@given(strategies.snapshots())
def test_p4_while_nobody_in_the_traffic_can_answer_everybody_who_is_out_of_it_comes_back_at_once(
    snapshot: Snapshot,
) -> None:
    snapshot = replace(snapshot, pods=tuple(replace(p, mark=builders.mark(2)) for p in snapshot.pods))
    plan = decide(snapshot)
    assume(not plan.held)
    listed = {c.name for c in snapshot.deployment.classes}
    out = {p.uid for p in snapshot.pods if p.class_name in listed and not p.terminating}
    assert {m.uid for m in plan.marks if m.mark.out_since is None} == out


@given(strategies.snapshots())
def test_p4_a_class_whose_service_is_not_ours_is_sent_nothing(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    listed = {c.name for c in snapshot.deployment.classes}
    for name in snapshot.unroutable & listed if snapshot.gateways and not plan.held else ():
        assert next(c.weight for c in plan.classes if c.name == name) == 0
        routes = [m for m in render(snapshot, plan) if m["kind"] in {"HTTPRoute", "GRPCRoute"}]
        backends = {b["name"] for route in routes for b in route["spec"]["rules"][0]["backendRefs"]}
        assert f"digits-{name}" not in backends


# --- P5: traffic leaves before capacity ------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_p5_a_class_loses_its_last_replica_only_after_the_route_let_go_of_it(snapshot: Snapshot) -> None:
    for c in decide(snapshot).classes:
        if c.replicas == 0 and snapshot.replicas.get(c.name, 0) > 0:
            assert routed(snapshot).get(c.name, 0) == 0


@given(strategies.snapshots())
def test_p5_a_class_taken_out_of_the_spec_is_in_the_plan_until_the_route_let_go_of_it(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    listed = {c.name for c in snapshot.deployment.classes}
    for name in snapshot.replicas.keys() - listed - {c.name for c in plan.classes}:
        assert routed(snapshot).get(name, 0) == 0


@given(strategies.snapshots())
def test_p5_routes_are_written_after_the_services_they_name_and_before_the_replicas(snapshot: Snapshot) -> None:
    kinds = [m["kind"] for m in render(snapshot, decide(snapshot))]
    order = [
        "Service",
        "EndpointSlice",
        "HTTPRoute",
        "GRPCRoute",
        "BackendTrafficPolicy",
        "NetworkPolicy",
        "Deployment",
    ]
    order.append("PodDisruptionBudget")
    assert kinds == sorted(kinds, key=order.index)


@given(strategies.snapshots())
def test_p5_what_stays_ready_carries_the_demand_unless_it_did_not_before_or_maximum_was_lowered(
    snapshot: Snapshot,
) -> None:
    """Make before break: of the replicas that a plan takes away, those that are ready are not needed."""
    plan = decide(snapshot)
    rps = {s.name: s.replica_rps for s in supplies_of(snapshot)}
    known = [c for c in plan.classes if c.render and c.reachable and c.name in snapshot.replicas]
    before = math.fsum(min(c.ready, kept(snapshot, c.name)) * rps[c.name] for c in known)
    after = math.fsum(min(c.ready, c.replicas) * rps[c.name] for c in known)
    assert after >= min(before, plan.demand.rps or 0.0) * (1 - 1e-9)
    assert any(min(c.ready, c.replicas) for c in known) or not any(min(c.ready, kept(snapshot, c.name)) for c in known)


# --- P6: no order ----------------------------------------------------------------------------------------------------


@given(strategies.snapshots(most=6), st.randoms(use_true_random=False))
def test_p6_the_order_of_classes_hardware_and_nodes_changes_nothing(snapshot: Snapshot, chance: random.Random) -> None:
    def shuffled(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(chance.sample(values, len(values)))

    deployment = replace(snapshot.deployment, classes=shuffled(snapshot.deployment.classes))
    mixed = replace(
        snapshot,
        deployment=deployment,
        nodes=shuffled(snapshot.nodes),
        hardware=dict(shuffled(tuple(snapshot.hardware.items()))),
        replicas=dict(shuffled(tuple(snapshot.replicas.items()))),
    )
    assert builders.by_name(decide(mixed).classes) == builders.by_name(decide(snapshot).classes)
    assert {d.class_name: d.after for d in decide(mixed).decisions} == {
        d.class_name: d.after for d in decide(snapshot).decisions
    }


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_p6_the_order_of_classes_changes_no_weight(capacities: list[float], chance: random.Random) -> None:
    capacity = dict(zip(strategies.NAMES, capacities, strict=False))
    mixed = dict(chance.sample(list(capacity.items()), len(capacity)))
    assert apportion(mixed) == apportion(capacity)


# --- P7: more demand, more capacity ----------------------------------------------------------------------------------


@given(strategies.supply_sets(), st.floats(0, 1e5), st.floats(0, 1e5), st.none() | strategies.prices)
def test_p7_more_demand_never_wants_less_capacity(
    supplies: tuple[Supply, ...], one: float, other: float, budget: Decimal | None
) -> None:
    less, more = sorted((one, other))
    little = effective_rps(supplies, size(supplies, less, budget))
    assert effective_rps(supplies, size(supplies, more, budget)) >= little * (1 - 1e-9)


@given(strategies.supply_sets(), st.floats(0, 1e5))
def test_p7_the_demand_is_covered_unless_every_class_that_keeps_the_objective_is_at_a_bound(
    supplies: tuple[Supply, ...], rps: float
) -> None:
    wanted = size(supplies, rps, None)
    if effective_rps(supplies, wanted) < rps - 1e-4:
        for s in supplies:
            if s.hardware and s.replica_rps > 0 and s.reachable and not s.failing:
                room = s.target.max_replicas if s.room is None else min(s.target.max_replicas, s.room)
                assert wanted[s.name].replicas >= room


@given(strategies.supply_sets(), st.floats(0, 1e5), st.none() | strategies.prices)
def test_p7_what_is_wanted_is_within_minimum_and_maximum(
    supplies: tuple[Supply, ...], rps: float, budget: Decimal | None
) -> None:
    wanted = size(supplies, rps, budget)
    assert wanted.keys() == {s.name for s in supplies}
    for s in supplies:
        assert wanted[s.name].replicas == 0 or s.least <= wanted[s.name].replicas <= s.target.max_replicas
        assert wanted[s.name].replicas >= s.least or not s.hardware


# --- P8: without metrics, nothing shrinks ----------------------------------------------------------------------------


@given(strategies.snapshots(with_signals=strategies.blind_signals, retired=False))
def test_p8_without_fresh_metrics_no_class_shrinks_but_to_a_lowered_maximum(snapshot: Snapshot) -> None:
    for c in decide(snapshot).classes:
        if c.name in snapshot.replicas.keys() - idle(snapshot):
            low = kept(snapshot, c.name) if c.render else snapshot.replicas[c.name]
            assert c.replicas >= low


@given(strategies.snapshots(with_signals=strategies.blind_signals))
def test_p8_without_fresh_metrics_a_class_taken_out_of_the_spec_keeps_what_is_ready_of_it(snapshot: Snapshot) -> None:
    listed = {c.name for c in snapshot.deployment.classes}
    plan = builders.by_name(decide(snapshot).classes)
    for name in snapshot.replicas.keys() - listed - snapshot.unroutable:
        if ready_pods(snapshot, assess_health(snapshot), name) and routed(snapshot).get(name, 0):
            assert plan[name].weight > 0


@given(rates_and_one_unusable, st.integers(0, 3))
def test_p8_one_signal_that_is_no_number_is_enough(signals: Signals, ready: int) -> None:
    snapshot = builders.snapshot(signals=signals, route=builders.route(cpu=100))
    assert not estimate_demand(snapshot, ready=ready, ready_rps=100.0 * ready).may_shrink


@given(strategies.snapshots())
def test_p8_while_nothing_is_ready_nothing_shrinks_because_no_demand_can_be_seen(snapshot: Snapshot) -> None:
    snapshot = replace(snapshot, pods=tuple(replace(p, ready=False) for p in snapshot.pods))
    for c in decide(snapshot).classes:
        if c.render and c.name in snapshot.replicas.keys() - idle(snapshot):
            assert c.replicas >= kept(snapshot, c.name)


# --- P9: steps -------------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_p9_a_class_at_most_doubles_or_grows_by_four_once_it_has_a_deployment(snapshot: Snapshot) -> None:
    for c in decide(snapshot).classes:
        if c.render and c.name in snapshot.replicas:
            now = kept(snapshot, c.name)
            most = now + max(SMALLEST_STEP_UP, now) + len(c.departures)
            assert c.replicas <= max(snapshot.replicas[c.name], most)


@given(strategies.snapshots())
def test_p9_a_class_at_most_halves_below_its_maximum(snapshot: Snapshot) -> None:
    for c in ordinary(snapshot, decide(snapshot)):
        now = bounded(snapshot, c.name)
        assert c.replicas >= now - max(1, now // 2)


@given(strategies.snapshots())
def test_p9_one_class_shrinks_at_a_time_but_to_a_lowered_maximum(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    shrinking = [c.name for c in ordinary(snapshot, plan) if c.replicas < bounded(snapshot, c.name)]
    assert len(shrinking) <= 1


@given(strategies.snapshots())
def test_p9_nothing_shrinks_before_its_window_is_over(snapshot: Snapshot) -> None:
    window = snapshot.deployment.scaling.scale_down_window_seconds
    for c in ordinary(snapshot, decide(snapshot)):
        if c.replicas < bounded(snapshot, c.name):
            waited = snapshot.memory.pending.get(c.name)
            assert window == 0 or (waited and (snapshot.now - waited.since).total_seconds() >= window)


@given(strategies.snapshots())
def test_p9_a_class_shrinks_no_lower_than_the_most_that_was_wanted_meanwhile(snapshot: Snapshot) -> None:
    for c in ordinary(snapshot, decide(snapshot)):
        waited = snapshot.memory.pending.get(c.name)
        if waited and c.replicas < bounded(snapshot, c.name) > waited.replicas:
            assert c.replicas >= waited.replicas


@given(strategies.snapshots())
def test_p9_what_was_wanted_most_is_not_forgotten_while_a_scale_down_waits(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    wanted = size(supplies_of(snapshot), plan.demand.rps or 0.0, snapshot.deployment.scaling.budget_per_hour)
    for c in plan.classes:
        if c.render and c.pending:
            assert c.pending.replicas >= wanted[c.name].replicas


# --- What a decision does not touch ----------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_classes_that_are_not_known_or_no_longer_listed_are_left_as_they_are(snapshot: Snapshot) -> None:
    for c in decide(snapshot).classes:
        if not c.render:
            assert c.replicas == snapshot.replicas.get(c.name, 0)
            assert (c.name, "") not in {subject(d) for d in decide(snapshot).decisions}


@given(strategies.snapshots(paused=True))
def test_a_paused_deployment_is_planned_as_it_is(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assert plan.decisions == ()
    assert not any(c.render for c in plan.classes)
    for c in plan.classes:
        assert (c.replicas, c.weight) == (snapshot.replicas.get(c.name, 0), routed(snapshot).get(c.name, 0))


@given(strategies.snapshots())
def test_the_same_moment_is_decided_the_same_way(snapshot: Snapshot) -> None:
    assert decide(snapshot) == decide(snapshot)


@given(
    st.lists(
        st.builds(
            Share,
            name=st.sampled_from(strategies.NAMES),
            ready=st.integers(0, 9),
            replica_rps=st.floats(0, 100),
            fastest_rps=st.floats(0, 100),
        ),
        unique_by=lambda s: s.name,
    ),
    st.dictionaries(st.sampled_from(strategies.NAMES), st.integers(0, 100)),
)
def test_traffic_goes_only_where_it_can_be_answered_in_time_if_that_is_anywhere(
    shares: list[Share], last: dict[str, int]
) -> None:
    weights = split_traffic(tuple(shares), last)
    in_time = {s.name for s in shares if s.ready and s.replica_rps > 0}
    if in_time:
        assert {name for name, weight in weights.items() if weight} == in_time


@given(strategies.snapshots())
def test_a_class_whose_pods_fail_grows_no_further_than_one_beyond_what_works(snapshot: Snapshot) -> None:
    plan = builders.by_name(decide(snapshot).classes)
    for s in supplies_of(snapshot):
        if s.problems and s.hardware and plan[s.name].render:
            alive = max(s.placed + 1, s.target.min_replicas, 1, kept(snapshot, s.name))
            most = max(len(s.departures) + alive, snapshot.replicas.get(s.name, 0))
            assert plan[s.name].replicas <= most


@given(strategies.blind_signals, st.integers(0, 3))
def test_blind_signals_never_allow_to_shrink(signals: Signals, ready: int) -> None:
    snapshot = builders.snapshot(signals=signals, route=builders.route(cpu=100))
    assert not estimate_demand(snapshot, ready=ready, ready_rps=100.0 * ready).may_shrink

"""The laws of moving pods on purpose, of slow trust, and of a split by hand: for every single moment.

What they come to over many cycles is in test_rehearsals.py.
"""

import math
from collections import Counter
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

import builders
import strategies
from heteroserve.decide import decide
from heteroserve.decide.besides import without_besides
from heteroserve.decide.health import assess_health
from heteroserve.decide.picture import Picture, take
from heteroserve.decide.supply import answering_pods
from heteroserve.decide.traffic import TOTAL
from heteroserve.decide.trust import share, trusted_in_seconds
from heteroserve.model.plan import Plan, Why
from heteroserve.model.snapshot import Mark, Pod, Recovery, Snapshot
from laws import on_its_way, rolling_after

numbers = st.integers(0, 99)


def marks_after(snapshot: Snapshot, plan: Plan) -> dict[str, Mark]:
    """By UID: what each pod was told, once the plan is carried out."""
    return {p.uid: p.mark for p in snapshot.pods} | {m.uid: m.mark for m in plan.marks}


def survivors(snapshot: Snapshot, class_name: str, replicas: int) -> list[Pod]:
    """What a ReplicaSet leaves of a class; it may act before the plan's marks are written."""
    pods = [p for p in snapshot.pods if p.class_name == class_name and not p.terminating]
    crowded = Counter(p.node for p in pods)
    pods.sort(key=lambda p: (p.node is not None, p.ready, not p.mark.goes_first, -crowded[p.node], p.name))
    return pods[max(0, len(pods) - replicas) :]


def kept(picture: Picture, name: str) -> int:
    """Replicas of a class that were not asked for in place of others, within its maxReplicas."""
    most = {c.name: c.max_replicas for c in picture.snapshot.deployment.classes}
    return min(without_besides(name, picture.snapshot, picture.departing) or 0, most[name])


# --- Make before break -----------------------------------------------------------------------------------------------


@given(strategies.snapshots(retired=False))
def test_what_is_ready_in_the_traffic_and_stays_carries_what_it_carried_before_as_far_as_it_is_needed(
    snapshot: Snapshot,
) -> None:
    """But for a bound that a user lowered."""
    plan, picture = decide(snapshot), take(snapshot)
    assume(not (plan.held or snapshot.rolling))
    after = marks_after(snapshot, plan)
    had, has = 0.0, 0.0
    for c in plan.classes:
        if c.render and c.reachable and c.name in snapshot.replicas:
            answering = {p.uid for p in answering_pods(snapshot, picture.health, c.name)}
            there = [p for p in snapshot.pods if p.uid in answering and p.mark.out_since is None]
            stays = {p.uid for p in survivors(snapshot, c.name, c.replicas)}
            left = [uid for uid in answering & stays if after[uid].out_since is None]
            had += min(len(there), kept(picture, c.name)) * c.replica_rps
            has += len(left) * c.replica_rps
    needed = math.inf if plan.demand.rps is None else plan.demand.rps
    assert has >= min(had, needed) * (1 - 1e-9)


@given(strategies.snapshots(retired=False))
def test_what_is_asked_for_besides_is_one_for_each_that_leaves_and_it_is_written_on_them(snapshot: Snapshot) -> None:
    plan, picture = decide(snapshot), take(snapshot)
    assume(not plan.held)
    after = marks_after(snapshot, plan)
    told = replace(snapshot, pods=tuple(replace(p, mark=after[p.uid]) for p in snapshot.pods))
    bounds = builders.by_name(snapshot.deployment.classes)
    for c in plan.classes:
        if c.render and c.name in snapshot.replicas:
            stay = without_besides(c.name, replace(told, replicas={c.name: c.replicas}), picture.departing) or 0
            assert c.replicas - stay <= len(c.departures)
            lowered = snapshot.replicas.get(c.name, 0) > bounds[c.name].max_replicas  # that takes some cycles
            assert stay <= bounds[c.name].max_replicas or lowered or c.why is Why.DRAINING


@given(strategies.snapshots(retired=False))
def test_a_plan_that_was_carried_out_asks_for_nothing_more_in_place_of_anybody(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assume(not (plan.held or any(on_its_way(snapshot, c) for c in plan.classes)))
    after = marks_after(snapshot, plan)
    done = replace(
        snapshot,
        pods=tuple(replace(p, mark=after[p.uid]) for p in snapshot.pods),
        replicas={c.name: c.replicas for c in plan.classes if c.render or c.name in snapshot.replicas},
        rolling=rolling_after(snapshot, plan),
    )
    again = builders.by_name(decide(done).classes)
    for c in plan.classes:
        # who is not given up any more, because nobody was asked for in its place, counts as staying again
        if c.render and c.departures and c.departures == again[c.name].departures:
            assert again[c.name].replicas <= c.replicas


@given(strategies.snapshots(retired=False), numbers)
def test_a_cordon_takes_no_pod_out_of_the_traffic_and_no_replica_away_in_its_first_cycle_without_others(
    snapshot: Snapshot, which: int
) -> None:
    assume(snapshot.nodes)
    name = snapshot.nodes[which % len(snapshot.nodes)].name
    cordoned = replace(snapshot, nodes=tuple(replace(n, cordoned=n.cordoned or n.name == name) for n in snapshot.nodes))
    plan = decide(cordoned)
    out = {m.uid for m in plan.marks if m.mark.out_since}
    health = assess_health(cordoned)
    for c in plan.classes:
        there = answering_pods(cordoned, health, c.name)
        if there and all(p.node == name for p in there) and c.render and not plan.held:
            spared = any(o.ready and o.replica_rps for o in plan.classes if o is not c)
            assert spared or not {p.uid for p in there if p.mark.out_since is None} <= out or not plan.demand.may_shrink


@given(strategies.snapshots())
def test_nobody_is_told_what_he_knows_or_that_he_is_out_while_he_is_the_only_one_to_answer(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    before = {p.uid: p for p in snapshot.pods}
    assert len({m.uid for m in plan.marks}) == len(plan.marks)
    for mark in plan.marks:
        pod = before[mark.uid]
        assert (mark.pod, pod.terminating) == (pod.name, False)
        assert mark.mark != pod.mark
        if mark.mark.out_since and pod.mark.out_since:
            assert mark.mark.out_since == pod.mark.out_since
    assert not (plan.held and plan.marks)


# --- Weights ---------------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_a_class_of_which_nothing_is_trusted_has_no_weight_unless_nothing_else_carries(snapshot: Snapshot) -> None:
    plan, picture = decide(snapshot), take(snapshot)
    assume(not plan.held)
    assert sum(c.weight for c in plan.classes) in {0, TOTAL}
    stays = {c.name: c.replicas for c in plan.classes}
    carrying = {
        s.name: min(picture.trusts[s.name].carrying, stays[s.name]) * s.replica_rps
        for s in picture.supplies
        if s.reachable and s.hardware
    }
    draining = any(c.why is Why.DRAINING for c in plan.classes)
    if any(carrying.values()) and not draining:
        load = (picture.last_known_rps or 0.0) * snapshot.deployment.scaling.target_utilisation
        overloaded = load > 0.8 * math.fsum(carrying.values())
        for c in plan.classes:
            if not (c.retired or overloaded or c.name not in carrying or carrying[c.name]):
                assert c.weight == 0


@given(strategies.snapshots(by_hand=True))
def test_a_split_by_hand_stands_whatever_fails_once_its_classes_could_answer(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assume(not plan.held)
    by_hand = {n: w for n, w in snapshot.deployment.manual_weights.items() if w}
    weights = {c.name: c.weight for c in plan.classes if c.weight}
    named = {c.name for c in plan.classes if c.named}  # a route leads nowhere else
    ready = {s.name for s in take(snapshot).supplies if s.ready and s.name in named}
    if weights != by_hand:
        assert not by_hand.keys() <= ready, "while one of them cannot answer"
        assert sum(weights.values()) == 100, "the others do"
    bounds = builders.by_name(snapshot.deployment.classes)
    for c in plan.classes:
        if c.render:
            assert c.replicas <= bounds[c.name].max_replicas + len(c.departures) or c.why is Why.DRAINING


@given(strategies.snapshots(by_hand=True))
def test_a_split_by_hand_comes_to_rest_as_well(snapshot: Snapshot) -> None:
    essence: dict[str, tuple[int, int]] = {}
    for _ in range(60):
        plan = decide(snapshot)
        assume(not plan.held)
        after = marks_after(snapshot, plan)
        now = {c.name: (c.replicas, c.weight) for c in plan.classes}
        if now == essence and not plan.marks:
            break
        essence = now
        snapshot = replace(
            snapshot,
            pods=tuple(replace(p, mark=after[p.uid]) for p in snapshot.pods),
            replicas={c.name: c.replicas for c in plan.classes if c.render or c.name in snapshot.replicas},
            memory=replace(snapshot.memory, pending={c.name: c.pending for c in plan.classes if c.pending}),
        )
    assert now == essence


# --- Trust -----------------------------------------------------------------------------------------------------------


@given(strategies.snapshots())
def test_nobody_carries_more_than_is_ready_nor_less_than_the_demand_if_all_that_is_ready_does(
    snapshot: Snapshot,
) -> None:
    picture = take(snapshot)
    rps = picture.last_known_rps
    trusted = ready = 0.0
    for s in picture.supplies:
        assert 0 <= picture.trusts[s.name].carrying <= s.ready
        if s.reachable:
            trusted += picture.trusts[s.name].carrying * s.replica_rps
            ready += s.ready * s.replica_rps
    assert trusted >= min(ready, math.inf if rps is None else rps) * (1 - 1e-9)


@given(strategies.recoveries, st.integers(0, 4000), st.integers(0, 4000))
def test_while_nothing_happens_trust_only_grows_and_comes_when_it_is_told(
    recovery: Recovery, one: int, other: int
) -> None:
    early, late = sorted((one, other))
    before, after = builders.ago(-early), builders.ago(-late)
    assert 0 <= share(recovery, before) <= share(recovery, after) <= 1
    if not recovery.troubled:
        assert (share(recovery, before) == 1) is (trusted_in_seconds(recovery, before) == 0)


@given(strategies.snapshots())
def test_what_is_remembered_of_a_recovery_does_not_change_while_nothing_happens(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assume(not plan.held)
    for _ in range(3):
        remembered = {c.name: c.recovery for c in plan.classes if c.recovery}
        ready = {c.name: c.ready for c in plan.classes}
        snapshot = replace(snapshot, memory=replace(snapshot.memory, recoveries=remembered, ready=ready))
        plan = decide(snapshot)
    assert {c.name: c.recovery for c in plan.classes if c.recovery} == remembered

"""Figures and worlds that nobody means well with: a decision survives them, and says something that can be written.

What comes out must be finite, within bounds, and acceptable to the API server, whatever went in.
"""

import json
import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
import strategies
from heteroserve.api import v1alpha1
from heteroserve.decide import decide
from heteroserve.decide.demand import estimate_demand
from heteroserve.decide.sizing import size
from heteroserve.decide.supply import Supply
from heteroserve.decide.traffic import TOTAL, Share, apportion, split_traffic
from heteroserve.model.deployment import Objective, Scaling
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import Plan, Why
from heteroserve.model.snapshot import Signals, Snapshot
from heteroserve.render import render
from heteroserve.status.announcements import announcements_for
from heteroserve.status.compute import compute_status
from heteroserve.status.write import as_json

MONEY = re.compile(r"[0-9]{1,9}([.][0-9]{1,6})?")
"""The CRD's rule for money; the API's models do not check it, the API server does."""


def street(snapshot: Snapshot) -> tuple[Plan, builders.JSON]:
    """The pure part of a cycle, through to what is written; everything must be strict JSON and fit the CRD."""
    plan = decide(snapshot)
    manifests = render(snapshot, plan)
    status = compute_status(snapshot, plan, Outcome())
    announcements_for(snapshot.memory.conditions, status.conditions, plan.decisions)
    written = as_json(status)
    json.dumps([manifests, written], allow_nan=False)
    v1alpha1.InferenceDeployment.model_validate(builders.raw_deployment(status=written))
    prices = [written["costPerHour"], *(c["costPerHour"] for c in written["classes"])]
    assert [p for p in prices if not MONEY.fullmatch(p) or len(p) > 16] == []
    return plan, written


@given(strategies.snapshots(wild=True, most=4))
def test_the_street_is_total(snapshot: Snapshot) -> None:
    plan, _ = street(snapshot)
    for c in plan.classes:
        assert type(c.replicas) is int
        assert c.replicas >= 0
        assert 0 <= c.weight <= TOTAL or not c.render


@given(strategies.snapshots(wild=True, most=16, retired=False))
def test_sixteen_classes_are_no_trouble(snapshot: Snapshot) -> None:
    plan, _ = street(snapshot)
    assert len(plan.classes) == len(snapshot.deployment.classes)
    assert plan.held or sum(c.weight for c in plan.classes) in {0, TOTAL}


@given(strategies.odd_signals, st.integers(0, 3))
def test_a_demand_is_a_number_or_nothing(signals: Signals, ready: int) -> None:
    snapshot = builders.snapshot(signals=signals, route=builders.route(cpu=100))
    rps = estimate_demand(snapshot, ready=ready, ready_rps=100.0 * ready).rps
    assert rps is None or rps >= 0


@given(strategies.supply_sets(), strategies.odd_floats)
def test_no_demand_is_too_odd_to_be_sized(supplies: tuple[Supply, ...], rps: float) -> None:
    for wanted in size(supplies, rps, None).values():
        target = next(s.target for s in supplies if s.name == wanted.name)
        assert 0 <= wanted.replicas <= target.max_replicas


@given(st.dictionaries(st.sampled_from(strategies.NAMES), strategies.odd_floats))
def test_no_capacity_is_too_odd_to_be_split(capacity: dict[str, float]) -> None:
    weights = apportion(capacity)
    assert sum(weights.values()) in {0, TOTAL}
    assert all(
        weight == 0 or (math.isfinite(capacity[name]) and capacity[name] > 0) for name, weight in weights.items()
    )


@given(
    st.lists(st.tuples(st.integers(-1, 10**6), strategies.odd_floats, strategies.odd_floats), max_size=16),
    st.dictionaries(st.sampled_from((*strategies.NAMES, "stranger")), st.integers(-10, 10**6)),
)
def test_a_split_sums_to_100_or_is_0(figures: list[tuple[int, float, float]], last: dict[str, int]) -> None:
    shares = tuple(
        Share(name=name, ready=ready, replica_rps=within, fastest_rps=anyhow)
        for name, (ready, within, anyhow) in zip(strategies.NAMES, figures, strict=False)
    )
    assert sum(split_traffic(shares, last).values()) in {0, TOTAL}


# --- One thing at a time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rps", [1e12, 1e300, 1.7e308])
def test_an_absurd_demand_grows_by_steps_to_the_maximum_and_is_told(rps: float) -> None:
    snapshot = builders.snapshot(builders.target("cpu", high=1000), ready={"cpu": 2}, demand=rps)
    plan, written = street(snapshot)
    assert [(c.replicas, c.why) for c in plan.classes] == [(6, Why.STEP)]
    assert written["demand"]["requestsPerSecond"] <= 1e9


@pytest.mark.parametrize("rps", [1e12, 1.7e308])
def test_an_absurd_demand_is_first_met_with_the_maximum(rps: float) -> None:
    snapshot = builders.snapshot(builders.target("cpu", high=1000), demand=None, signals=Signals(offered_rps=rps))
    assert [c.replicas for c in street(snapshot)[0].classes] == [1000]


@pytest.mark.parametrize("rps", [5e-324, 1e-300, 1e7, 1.7e308])
@pytest.mark.parametrize("demand", [0.0, 5e-324, 1e9])
def test_any_positive_throughput_can_be_planned_with(rps: float, demand: float) -> None:
    snapshot = builders.snapshot(builders.target("cpu", rps=rps), ready={"cpu": 1}, demand=demand)
    plan, _ = street(snapshot)
    assert 1 <= plan.classes[0].replicas <= 10


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -5.0])
@pytest.mark.parametrize("field", ["p50_milliseconds", "p99_milliseconds", "throughput_rps"])
def test_a_point_that_is_no_measurement_is_as_good_as_none(bad: float, field: str) -> None:
    changed: dict[str, Any] = {field: bad}
    broken = replace(builders.point(1e6), **changed)
    sound = builders.target("cpu")
    both = replace(sound, points=(broken, *sound.points))
    assert decide(builders.snapshot(both, demand=250)) == decide(builders.snapshot(sound, demand=250))


def test_without_any_point_one_replica_is_kept_and_the_reason_told() -> None:
    plan, written = street(builders.snapshot(replace(builders.target("cpu"), points=()), ready={"cpu": 1}, demand=500))
    assert [(c.replicas, c.weight, c.why) for c in plan.classes] == [(1, 100, Why.TOO_SLOW)]
    assert "cpu: " in {c["type"]: c["message"] for c in written["conditions"]}["Stalled"]


def test_equal_classes_share_by_name() -> None:
    names = strategies.NAMES[:3]
    targets = [builders.target(name, rps=100.0) for name in names]
    plan = decide(builders.snapshot(*reversed(targets), ready=dict.fromkeys(names, 1), demand=1000))
    assert {c.name: c.weight for c in plan.classes} == {"c00": 34, "c01": 33, "c02": 33}
    first = decide(builders.snapshot(*reversed(targets), demand=50))
    assert {c.name: c.replicas for c in first.classes} == {"c00": 1, "c01": 0, "c02": 0}


def test_classes_that_cost_nothing_come_first_and_are_bounded_by_no_budget() -> None:
    snapshot = builders.snapshot(
        deployment=builders.deployment(scaling=Scaling(target_utilisation=1.0, budget_per_hour=Decimal(0))),
        hardware={name: builders.hardware(name, cost_per_hour=Decimal(name == "gpu")) for name in builders.CAST},
        demand=5600,
    )
    plan, _ = street(snapshot)
    assert {c.name: (c.replicas, c.why) for c in plan.classes} == {
        "cpu": (10, Why.MAXIMUM),
        "fpga": (8, Why.NO_DEVICES),
        "gpu": (0, Why.BUDGET),
    }


def test_the_highest_price_and_the_most_replicas_can_be_told() -> None:
    dear = {"cpu": builders.hardware("cpu", cost_per_hour=Decimal("999999999.999999"))}
    target = builders.target("cpu", low=1000, high=1000)
    _, written = street(builders.snapshot(target, hardware=dear, ready={"cpu": 3}, demand=0))
    assert written["costPerHour"] == "999999999.999999"


def test_a_deployment_that_somebody_scaled_to_absurdity_is_brought_back_and_told() -> None:
    snapshot = builders.snapshot(builders.target("cpu"), ready={"cpu": 2}, replicas={"cpu": 10**6}, demand=100)
    plan, _ = street(snapshot)
    assert [c.replicas for c in plan.classes] == [10]
    unknown, _ = street(replace(snapshot, hardware={}))
    assert [c.replicas for c in unknown.classes] == [10**6]


def test_a_window_of_nothing_shrinks_at_once_by_half() -> None:
    scaling = Scaling(target_utilisation=1.0, scale_down_window_seconds=0)
    wish = builders.deployment(builders.target("cpu"), scaling=scaling)
    given = builders.snapshot(deployment=wish, ready={"cpu": 8}, demand=100)
    plan, _ = street(given)
    assert [(c.replicas, c.why) for c in plan.classes] == [(8, Why.DRAINING)]
    gone = {m.pod for m in plan.marks}
    assert len(gone) == 4
    pods = tuple(replace(p, mark=builders.mark(30)) if p.name in gone else p for p in given.pods)
    plan, _ = street(replace(given, pods=pods))
    assert [c.replicas for c in plan.classes] == [4]


def test_an_objective_of_nothing_is_met_by_nobody_and_still_served() -> None:
    wish = builders.deployment(objective=Objective(percentile=99, latency_milliseconds=5e-324))
    plan, _ = street(builders.snapshot(deployment=wish, ready={"cpu": 1, "gpu": 1}, demand=700))
    assert {c.name: c.replicas for c in plan.classes} == {"cpu": 1, "gpu": 1, "fpga": 0}
    assert {c.name: c.weight for c in plan.classes} == {"cpu": 10, "gpu": 90, "fpga": 0}


def test_with_all_nodes_gone_nothing_is_taken_away_and_the_route_stays() -> None:
    snapshot = builders.snapshot(
        ready={"cpu": 2, "gpu": 1}, demand=700, nodes=(), route=builders.route(cpu=17, gpu=83), pods=()
    )
    plan, written = street(snapshot)
    assert {c.name: (c.replicas, c.weight) for c in plan.classes} == {"cpu": (2, 17), "gpu": (1, 83), "fpga": (0, 0)}
    assert plan.decisions == ()
    assert {c["type"]: c["reason"] for c in written["conditions"]}["CapacityAvailable"] == Why.NO_NODES


def test_a_clock_that_was_set_back_shrinks_nothing_before_the_window_is_over() -> None:
    ahead = replace(builders.pending(-3600, 1))
    snapshot = builders.snapshot(
        builders.target("cpu"), ready={"cpu": 4}, demand=100, memory=builders.memory(pending={"cpu": ahead})
    )
    plan, _ = street(snapshot)
    assert [(c.replicas, c.why) for c in plan.classes] == [(4, Why.STABILISING)]

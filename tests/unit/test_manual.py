from dataclasses import dataclass, field, replace
from decimal import Decimal

import builders
from heteroserve.decide import decide
from heteroserve.decide.manual import size_by_hand
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import RouteState, Snapshot

TWO_GPUS = builders.target("gpu", high=4)
CPU, GPU, FPGA = (builders.supply(name) for name in ("cpu", "gpu", "fpga"))


@dataclass(frozen=True, kw_only=True)
class Split:
    """A split that somebody set, and the replicas of each class for so many requests/s."""

    weights: dict[str, int]
    want: dict[str, tuple[int, Why]]
    rps: float = 1000.0
    supplies: tuple[Supply, ...] = field(default=(CPU, GPU, FPGA))
    budget: str | None = None


SPLITS = {
    "each for its own share": Split(
        weights={"cpu": 20, "gpu": 60, "fpga": 20},
        want={"cpu": (2, Why.DEMAND), "gpu": (1, Why.DEMAND), "fpga": (1, Why.DEMAND)},
    ),
    "a class without a share is not needed": Split(
        weights={"cpu": 100}, want={"cpu": (10, Why.DEMAND), "gpu": (0, Why.MANUAL), "fpga": (0, Why.MANUAL)}
    ),
    "and keeps its minimum": Split(
        weights={"cpu": 100},
        supplies=(CPU, builders.supply("gpu", low=2)),
        want={"cpu": (10, Why.DEMAND), "gpu": (2, Why.MINIMUM)},
    ),
    "even if it costs nothing": Split(
        weights={"cpu": 100},
        supplies=(CPU, builders.supply("gpu", hardware=builders.hardware("gpu", cost_per_hour=Decimal(0)))),
        want={"cpu": (10, Why.DEMAND), "gpu": (0, Why.MANUAL)},
    ),
    "without a demand a class with a share keeps one to answer": Split(
        weights={"cpu": 50, "gpu": 50},
        supplies=(CPU, GPU),
        rps=0.0,
        want={"cpu": (1, Why.DEMAND), "gpu": (1, Why.DEMAND)},
    ),
    "a bound is a bound, and nobody helps out": Split(
        weights={"cpu": 100},
        supplies=(builders.supply("cpu", high=3), GPU),
        want={"cpu": (3, Why.MAXIMUM), "gpu": (0, Why.MANUAL)},
    ),
    "no room is no room": Split(
        weights={"cpu": 50, "gpu": 50},
        rps=4000.0,
        supplies=(builders.supply("cpu", high=50), builders.supply("gpu", room=1)),
        want={"cpu": (20, Why.DEMAND), "gpu": (1, Why.NO_DEVICES)},
    ),
    "the largest share draws on the budget first": Split(
        weights={"cpu": 40, "gpu": 60},
        supplies=(CPU, GPU),
        budget="1.00",
        want={"cpu": (3, Why.BUDGET), "gpu": (1, Why.DEMAND)},
    ),
    "when it is used up the rest goes without": Split(
        weights={"cpu": 40, "gpu": 60},
        supplies=(CPU, GPU),
        rps=4000.0,
        budget="1.40",
        want={"cpu": (0, Why.BUDGET), "gpu": (2, Why.BUDGET)},
    ),
    "a class that is not known has nothing, and no route leads there: the other gets it all": Split(
        weights={"cpu": 50, "gpu": 50},
        supplies=(CPU, replace(GPU, hardware=None)),
        want={"cpu": (10, Why.DEMAND), "gpu": (0, Why.UNKNOWN_CLASS)},
    ),
    "what is kept whatever the demand is paid for first": Split(
        weights={"gpu": 100},
        rps=4000.0,
        supplies=(builders.supply("cpu", low=10), GPU),
        budget="2.00",
        want={"cpu": (10, Why.MINIMUM), "gpu": (1, Why.BUDGET)},
    ),
}


@builders.table(SPLITS)
def test_replicas_for_a_split_by_hand(case: Split) -> None:
    found = size_by_hand(case.supplies, case.rps, Decimal(case.budget) if case.budget else None, case.weights)
    assert {name: (w.replicas, w.why) for name, w in found.items()} == case.want


def by_hand(*names: str, ready: dict[str, int], **weights: int) -> Snapshot:
    wish = builders.deployment(*(builders.target(name) for name in names), manual_weights=weights)
    return builders.snapshot(deployment=wish, ready=ready, demand=500, route=builders.route(cpu=17, gpu=83))


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Weights by hand for cpu, gpu and fpga, the replicas that are ready, and the weights that come of it."""

    weights: dict[str, int]
    ready: dict[str, int]
    want: dict[str, int]
    routed: dict[str, int] = field(default_factory=lambda: {"cpu": 17, "gpu": 83, "fpga": 0})
    unknown: tuple[str, ...] = ()
    """Classes without a HardwareClass."""


HOLDS = {
    "all that it names can answer: it takes hold": Hold(
        weights={"cpu": 100}, ready={"cpu": 1, "gpu": 1}, want={"cpu": 100}
    ),
    "one cannot answer yet: the split stays by capacity": Hold(
        weights={"cpu": 50, "fpga": 50}, ready={"cpu": 5, "gpu": 1}, want={"cpu": 34, "gpu": 66}
    ),
    "in force it stands, whoever fails": Hold(
        weights={"cpu": 50, "gpu": 50}, ready={"cpu": 5}, want={"cpu": 50, "gpu": 50}
    ),
    "changed among the same classes it stands as well": Hold(
        weights={"cpu": 90, "gpu": 10}, ready={"cpu": 5}, want={"cpu": 90, "gpu": 10}
    ),
    "nobody can answer: then as somebody wished": Hold(weights={"fpga": 100}, ready={}, want={"fpga": 100}),
    "nobody that it names can be reached": Hold(
        weights={"fpga": 100}, ready={"cpu": 5, "gpu": 1}, want={"cpu": 34, "gpu": 66}, unknown=("fpga",)
    ),
}


@builders.table(HOLDS)
def test_when_a_split_by_hand_takes_hold(case: Hold) -> None:
    snapshot = by_hand("cpu", "gpu", "fpga", ready=case.ready, **case.weights)
    hardware = {name: known for name, known in snapshot.hardware.items() if name not in case.unknown}
    route = RouteState(weights=case.routed, accepted=True)
    plan = decide(replace(snapshot, hardware=hardware, route=route))
    assert {c.name: c.weight for c in plan.classes if c.weight} == case.want


def test_by_hand_nobody_carries_the_part_of_another() -> None:
    """A node of the class that has all of the traffic is cordoned; the other class could carry it, and may not."""
    wish = builders.deployment(builders.target("cpu", low=30, high=40), TWO_GPUS, manual_weights={"gpu": 100})
    nodes = (*builders.nodes("cpu"), builders.node("gpu-0", cordoned=True), builders.node("gpu-1"))
    pods = (*builders.pods("cpu", 30), *builders.pods("gpu", 2, node="gpu-0"))
    given = builders.snapshot(
        deployment=wish,
        nodes=nodes,
        pods=pods,
        replicas={"cpu": 30, "gpu": 2},
        demand=1900,
        devices_taken={"gpu-1": {"nvidia.com/gpu": 4}},
        route=builders.route(cpu=0, gpu=100),
    )
    assert {c.name: (c.replicas, c.weight) for c in decide(given).classes} == {"cpu": (30, 0), "gpu": (2, 100)}


def test_the_record_says_that_it_is_by_hand() -> None:
    split = decide(by_hand("cpu", "gpu", "fpga", ready={"cpu": 5, "gpu": 1}, cpu=30, gpu=70)).decisions[-1]
    assert (split.reason, split.message) == (Why.MANUAL, "by hand: spec.traffic.weights")


def test_a_class_that_is_no_longer_listed_stays_while_the_others_do_not_carry_their_parts() -> None:
    few, enough = (by_hand("cpu", ready={"cpu": number, "gpu": 1}, cpu=100) for number in (4, 5))
    left = {c.name: (c.weight, c.retired) for c in decide(few).classes}
    assert left == {"cpu": (100, False), "gpu": (0, True)}
    routed = replace(enough, route=builders.route(cpu=100, gpu=0))
    assert [c.name for c in decide(routed).classes] == ["cpu"], "it is removed"
    assert [c.name for c in decide(replace(few, route=routed.route)).classes] == ["cpu", "gpu"]

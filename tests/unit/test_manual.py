from dataclasses import dataclass, field, replace
from decimal import Decimal

import builders
from heteroserve.decide import decide
from heteroserve.decide.manual import size_by_hand
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Snapshot

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
    "a class that is not known has nothing": Split(
        weights={"cpu": 50, "gpu": 50},
        supplies=(CPU, replace(GPU, hardware=None)),
        want={"cpu": (5, Why.DEMAND), "gpu": (0, Why.UNKNOWN_CLASS)},
    ),
}


@builders.table(SPLITS)
def test_replicas_for_a_split_by_hand(case: Split) -> None:
    found = size_by_hand(case.supplies, case.rps, Decimal(case.budget) if case.budget else None, case.weights)
    assert {name: (w.replicas, w.why) for name, w in found.items()} == case.want


def by_hand(*names: str, ready: dict[str, int], **weights: int) -> Snapshot:
    wish = builders.deployment(*(builders.target(name) for name in names), manual_weights=weights)
    return builders.snapshot(deployment=wish, ready=ready, demand=500, route=builders.route(cpu=17, gpu=83))


def test_a_split_by_hand_stands_as_it_is_whoever_is_ready() -> None:
    plan = decide(by_hand("cpu", "gpu", "fpga", ready={"cpu": 5}, cpu=30, gpu=70))
    assert {c.name: c.weight for c in plan.classes} == {"cpu": 30, "gpu": 70, "fpga": 0}
    split = plan.decisions[-1]
    assert (split.reason, split.message) == (Why.MANUAL, "by hand: spec.traffic.weights")


def test_a_class_that_is_no_longer_listed_has_no_part_in_a_split_by_hand() -> None:
    plan = decide(by_hand("cpu", ready={"cpu": 5, "gpu": 1}, cpu=100))
    assert {c.name: (c.weight, c.retired) for c in plan.classes} == {"cpu": (100, False), "gpu": (0, True)}

from dataclasses import dataclass
from decimal import Decimal

import builders
from heteroserve.decide import sizing
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import PodProblem

WAITING = builders.pod("gpu-w", node=None, ready=False, problem=PodProblem.UNSCHEDULABLE, message="0/2 nodes")
BROKEN = builders.pod("gpu-b", ready=False, problem=PodProblem.MODEL, message="failed to load")
CPU, GPU, FPGA = (builders.supply(name) for name in ("cpu", "gpu", "fpga"))
Numbers = dict[str, tuple[int, Why]]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Supplies and a demand, and the replicas that they come to, each with the rule that settled it."""

    supplies: tuple[Supply, ...] = (CPU, GPU, FPGA)
    rps: float
    budget: str | None = None
    want: Numbers


SIZES = {
    "the cheapest capacity covers the demand": Size(
        rps=2500, want={"cpu": (0, Why.DEMAND), "gpu": (3, Why.DEMAND), "fpga": (0, Why.DEMAND)}
    ),
    "no more replicas than exactly enough": Size(
        rps=3000, want={"cpu": (0, Why.DEMAND), "gpu": (3, Why.DEMAND), "fpga": (0, Why.DEMAND)}
    ),
    "without any demand one replica is kept": Size(
        rps=0, want={"cpu": (0, Why.DEMAND), "gpu": (1, Why.DEMAND), "fpga": (0, Why.DEMAND)}
    ),
    "what must run anyway is used first": Size(
        supplies=(builders.supply("cpu", low=3), GPU),
        rps=1200,
        want={"cpu": (3, Why.MINIMUM), "gpu": (1, Why.DEMAND)},
    ),
    "what must run anyway may be enough": Size(
        supplies=(builders.supply("cpu", low=3), GPU), rps=250, want={"cpu": (3, Why.MINIMUM), "gpu": (0, Why.DEMAND)}
    ),
    "beyond the maximum the next class takes over": Size(
        supplies=(CPU, builders.supply("gpu", high=2), FPGA),
        rps=2700,
        want={"cpu": (0, Why.DEMAND), "gpu": (2, Why.MAXIMUM), "fpga": (2, Why.DEMAND)},
    ),
    "beyond the devices the next class takes over": Size(
        supplies=(CPU, builders.supply("gpu", room=2), FPGA),
        rps=2700,
        want={"cpu": (0, Why.DEMAND), "gpu": (2, Why.NO_DEVICES), "fpga": (2, Why.DEMAND)},
    ),
    "without nodes the next class takes over": Size(
        supplies=(CPU, builders.supply("gpu", room=0, nodes=0), FPGA),
        rps=700,
        want={"cpu": (0, Why.DEMAND), "gpu": (0, Why.NO_NODES), "fpga": (2, Why.DEMAND)},
    ),
    "a minimum above the room is kept and does not count": Size(
        supplies=(builders.supply("gpu", low=3, room=1), CPU),
        rps=1200,
        want={"gpu": (3, Why.NO_DEVICES), "cpu": (2, Why.DEMAND)},
    ),
    "pods that wait for the scheduler do not count, and others take over": Size(
        supplies=(builders.supply("gpu", ready=1, placed=1, problems=(WAITING,)), FPGA),
        rps=1900,
        want={"gpu": (2, Why.UNSCHEDULABLE), "fpga": (2, Why.DEMAND)},
    ),
    "no more than one pod waits for the scheduler": Size(
        supplies=(builders.supply("gpu", ready=1, placed=1, problems=(WAITING,)), FPGA),
        rps=9000,
        want={"gpu": (2, Why.UNSCHEDULABLE), "fpga": (10, Why.MAXIMUM)},
    ),
    "pods that fail do not count, and no more than one of them is kept": Size(
        supplies=(builders.supply("gpu", placed=0, problems=(BROKEN,)), CPU),
        rps=900,
        want={"gpu": (1, Why.FAILING), "cpu": (9, Why.DEMAND)},
    ),
    "a minimum of which pods fail is kept": Size(
        supplies=(builders.supply("gpu", low=3, placed=2, problems=(BROKEN,)), CPU),
        rps=1000,
        want={"gpu": (3, Why.FAILING), "cpu": (0, Why.DEMAND)},
    ),
    "pods that Kubernetes refuses do not count, and one more than works is kept": Size(
        supplies=(builders.supply("gpu", ready=1, placed=1, refusal="exceeded quota"), CPU),
        rps=1900,
        want={"gpu": (2, Why.REFUSED), "cpu": (9, Why.DEMAND)},
    ),
    "a refusal is told even when nothing more is needed": Size(
        supplies=(builders.supply("gpu", low=2, ready=1, placed=1, refusal="exceeded quota"),),
        rps=500,
        want={"gpu": (2, Why.REFUSED)},
    ),
    "a class that no route can lead to is not counted on": Size(
        supplies=(builders.supply("gpu", low=1, ready=1, placed=1, reachable=False), CPU),
        rps=900,
        want={"gpu": (1, Why.UNREACHABLE), "cpu": (9, Why.DEMAND)},
    ),
    "a class that is too slow gets no more than its minimum": Size(
        supplies=(builders.supply("cpu", rps=0.0, low=1), GPU),
        rps=500,
        want={"cpu": (1, Why.TOO_SLOW), "gpu": (1, Why.DEMAND)},
    ),
    "if all are too slow one replica is kept": Size(
        supplies=(builders.supply("cpu", rps=0.0), builders.supply("fpga", rps=0.0)),
        rps=500,
        want={"cpu": (1, Why.TOO_SLOW), "fpga": (0, Why.TOO_SLOW)},
    ),
    "if nobody has room one replica waits for it where capacity is cheapest": Size(
        supplies=(builders.supply("fpga", room=0), builders.supply("gpu", room=0)),
        rps=100,
        want={"fpga": (0, Why.NO_DEVICES), "gpu": (1, Why.NO_DEVICES)},
    ),
    "the budget bounds what is added": Size(
        rps=9000,
        budget="1.50",
        want={"gpu": (2, Why.BUDGET), "fpga": (0, Why.BUDGET), "cpu": (1, Why.BUDGET)},
    ),
    "the budget is used up to the last cent": Size(
        supplies=(GPU,), rps=9000, budget="1.40", want={"gpu": (2, Why.BUDGET)}
    ),
    "a minimum is kept even above the budget": Size(
        supplies=(builders.supply("gpu", low=2), CPU),
        rps=9000,
        budget="1.00",
        want={"gpu": (2, Why.BUDGET), "cpu": (0, Why.BUDGET)},
    ),
    "a budget for nothing buys nothing": Size(
        supplies=(GPU, CPU), rps=100, budget="0.05", want={"gpu": (0, Why.BUDGET), "cpu": (0, Why.BUDGET)}
    ),
    "the replica that is kept is one that the budget allows": Size(
        supplies=(GPU, builders.supply("cpu", room=0)),
        rps=100,
        budget="0.10",
        want={"gpu": (0, Why.BUDGET), "cpu": (1, Why.NO_DEVICES)},
    ),
    "a class without its HardwareClass is not planned with": Size(
        supplies=(builders.supply("gpu", hardware=None, low=2), CPU),
        rps=150,
        want={"gpu": (0, Why.UNKNOWN_CLASS), "cpu": (2, Why.DEMAND)},
    ),
    "nothing but classes without a HardwareClass": Size(
        supplies=(builders.supply("gpu", hardware=None),), rps=150, want={"gpu": (0, Why.UNKNOWN_CLASS)}
    ),
    "ties are settled by name": Size(
        supplies=(builders.supply("b", rps=10.0), builders.supply("a", rps=10.0)),
        rps=5,
        want={"b": (0, Why.DEMAND), "a": (1, Why.DEMAND)},
    ),
}


@builders.table(SIZES)
def test_replicas_for_a_demand(case: Size) -> None:
    budget = None if case.budget is None else Decimal(case.budget)
    wanted = sizing.size(case.supplies, case.rps, budget)
    assert {name: (w.replicas, w.why) for name, w in wanted.items()} == case.want


@builders.table(SIZES)
def test_the_order_of_the_supplies_does_not_matter(case: Size) -> None:
    budget = None if case.budget is None else Decimal(case.budget)
    assert sizing.size(case.supplies[::-1], case.rps, budget) == sizing.size(case.supplies, case.rps, budget)


MESSAGES = {
    "covers": (GPU, "a replica carries 1e+03 requests/s; one request/s costs 0.0007 per hour here"),
    "maximum": (builders.supply("gpu", high=1), "as many as maxReplicas allows: 1"),
    "devices": (builders.supply("gpu", room=1), "as many as fit: no free device is left on its nodes"),
    "nodes": (builders.supply("gpu", room=0, nodes=0), "no usable node belongs to it"),
    "too slow": (
        builders.supply("gpu", rps=0.0, best_latency_milliseconds=80.5),
        "its fastest measured point takes 80.5 ms, more than the objective",
    ),
    "unknown": (
        builders.supply("gpu", hardware=None),
        "there is no HardwareClass gpu: create it or take the class out of spec.classes",
    ),
    "unreadable": (
        builders.supply("gpu", hardware=None, unreadable="spec.cost: missing"),
        "the HardwareClass gpu cannot be read, correct it: spec.cost: missing",
    ),
    "refused": (builders.supply("gpu", refusal="exceeded quota"), "Kubernetes refuses its pods: exceeded quota"),
    "unreachable": (
        builders.supply("gpu", reachable=False),
        "no route can lead to it: what stands under its Service's name belongs to somebody else",
    ),
    "unschedulable": (
        builders.supply("gpu", problems=(WAITING,)),
        "the scheduler cannot place gpu-w: 0/2 nodes",
    ),
}


@builders.table(MESSAGES)
def test_the_message_says_what_bounds(case: tuple[Supply, str]) -> None:
    supply, want = case
    assert sizing.size((supply,), 1500, None)["gpu"].message == want


def test_the_message_of_a_budget() -> None:
    assert sizing.size((GPU,), 1500, Decimal(1))["gpu"].message == "as many as scaling.budget allows"

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import builders
from heteroserve.decide.bridge import PATIENCE_SECONDS, lend, without_the_late
from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Demand, Why
from heteroserve.model.snapshot import Pod, PodProblem

LATE = builders.pod("gpu-a", ready=False, unready_since=builders.ago(PATIENCE_SECONDS + 1))
MISSED = builders.demand(700.0)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A gpu that starts beside four ready cpus, and whether it is still counted on."""

    pod: Pod = LATE
    demand: Demand = MISSED
    gpu: dict[str, Any] = field(default_factory=dict)
    cpu: dict[str, Any] = field(default_factory=dict)
    want_late: bool = False


WAITS = {
    "it starts for long and is missed": Wait(want_late=True),
    "it starts for a while": Wait(pod=replace(LATE, unready_since=builders.ago(PATIENCE_SECONDS))),
    "what is ready carries the demand": Wait(demand=builders.demand(400.0)),
    "what no route leads to carries nothing": Wait(
        demand=builders.demand(400.0), cpu={"reachable": False}, want_late=True
    ),
    "the demand is not known": Wait(demand=builders.demand(None)),
    "it is ready": Wait(pod=replace(LATE, ready=True)),
    "it is on its way out": Wait(pod=replace(LATE, terminating=True)),
    "it has no node yet: that is a matter of the scheduler": Wait(pod=replace(LATE, node=None)),
    "nobody knows since when it starts": Wait(pod=replace(LATE, unready_since=None)),
    "its own status says what is wrong": Wait(pod=replace(LATE, problem=PodProblem.IMAGE)),
    "it is a problem already": Wait(gpu={"problems": (replace(LATE, problem=PodProblem.SLOW),)}),
    "it is to be replaced": Wait(gpu={"departures": (builders.departure("gpu-a"),)}),
    "one that was ready and is not any more is waited for no longer": Wait(
        pod=replace(LATE, started=True), want_late=True
    ),
}


def seen(case: Wait) -> tuple[Supply, Supply]:
    given = builders.snapshot(pods=(case.pod, *builders.pods("cpu", 4)))
    supplies = (
        builders.supply("gpu", high=1, **{"placed": 1, "staying": 1, **case.gpu}),
        builders.supply("cpu", **{"ready": 4, **case.cpu}),
    )
    gpu, cpu = without_the_late(supplies, given, case.demand)
    assert cpu == supplies[1]
    return gpu, cpu


@builders.table(WAITS)
def test_who_is_not_counted_on_any_more(case: Wait) -> None:
    gpu, _ = seen(case)
    if case.want_late:
        assert gpu.problems == (replace(case.pod, problem=PodProblem.LATE),)
        assert gpu.placed == 0
    else:
        assert gpu == builders.supply("gpu", high=1, **{"placed": 1, "staying": 1, **case.gpu})


def test_others_carry_its_share_until_it_is_ready() -> None:
    found = size(seen(WAITS["it starts for long and is missed"]), 700.0, None)
    assert {name: (w.replicas, w.why) for name, w in found.items()} == {
        "gpu": (1, Why.BRIDGING),
        "cpu": (7, Why.DEMAND),
    }
    assert found["gpu"].message == "others carry its share until it is ready: gpu-a takes long to start"
    assert size(seen(WAITS["it starts for a while"]), 700.0, None)["cpu"].replicas == 0


def test_one_that_does_not_work_at_all_is_told_rather_than_one_that_is_late() -> None:
    crashed = builders.pod("gpu-b", ready=False, problem=PodProblem.CRASH)
    case = replace(WAITS["it starts for long and is missed"], gpu={"problems": (crashed,), "placed": 1, "staying": 2})
    given = builders.snapshot(pods=(case.pod, crashed))
    supplies = (builders.supply("gpu", high=2, **case.gpu), builders.supply("cpu", ready=4))
    assert size(without_the_late(supplies, given, case.demand), 700.0, None)["gpu"].why is Why.FAILING


CPU = builders.supply("cpu", lead_seconds=10.0, high=30)
GPU = builders.supply("gpu", lead_seconds=60.0)


@dataclass(frozen=True, kw_only=True)
class Loan:
    """What is wanted of a quick cpu and a slow gpu, and what the cpu lends besides."""

    wanted: dict[str, int]
    want_extra: int = 0
    cpu: Supply = CPU
    gpu: Supply = GPU
    demand: Demand = field(default=builders.demand(1000.0))
    budget: str | None = None


LOANS = {
    "what is wanted will take long: the quick one carries it until then": Loan(wanted={"gpu": 1}, want_extra=10),
    "a part of it is there": Loan(
        wanted={"gpu": 2}, gpu=replace(GPU, ready=1), demand=builders.demand(1500.0), want_extra=5
    ),
    "all of it is there": Loan(wanted={"gpu": 1}, gpu=replace(GPU, ready=1)),
    "what is there and not wanted any more carries nothing": Loan(
        wanted={"gpu": 1}, cpu=replace(CPU, ready=10), want_extra=10
    ),
    "what the quick one has and is wanted of it counts": Loan(
        wanted={"cpu": 4, "gpu": 1}, cpu=replace(CPU, ready=4), want_extra=6
    ),
    "what is wanted of the quick one is as good as there": Loan(wanted={"cpu": 4, "gpu": 1}, want_extra=6),
    "the demand is not known": Loan(wanted={"gpu": 1}, demand=builders.demand(None)),
    "nothing is demanded": Loan(wanted={"gpu": 1}, demand=builders.demand(0.0)),
    "the other is slower, but not by much": Loan(wanted={"gpu": 1}, gpu=replace(GPU, lead_seconds=20.0)),
    "twice as long is not worth it where that is short": Loan(
        wanted={"gpu": 1}, cpu=replace(CPU, lead_seconds=4.0), gpu=replace(GPU, lead_seconds=13.0)
    ),
    "nor a long while where it is no more than twice": Loan(
        wanted={"gpu": 1}, cpu=replace(CPU, lead_seconds=30.0), want_extra=0
    ),
    "no more than is allowed": Loan(
        wanted={"gpu": 1}, cpu=builders.supply("cpu", lead_seconds=10.0, high=3), want_extra=3
    ),
    "no more than there is room for": Loan(wanted={"cpu": 1, "gpu": 1}, cpu=replace(CPU, room=4), want_extra=3),
    "no more than the budget takes beside the rest": Loan(wanted={"gpu": 1}, budget="1.00", want_extra=3),
    "nothing where it does not work": Loan(wanted={"gpu": 1}, cpu=replace(CPU, refusal="exceeded quota")),
    "nothing where no route leads": Loan(wanted={"gpu": 1}, cpu=replace(CPU, reachable=False)),
    "nothing where it is too slow for the objective": Loan(wanted={"gpu": 1}, cpu=replace(CPU, replica_rps=0.0)),
    "nothing of a class that is not known": Loan(wanted={"gpu": 1}, cpu=replace(CPU, hardware=None)),
    "nor what comes beyond it": Loan(
        wanted={"cpu": 1, "gpu": 1},
        cpu=replace(CPU, replica_rps=5e-324),
        gpu=replace(GPU, lead_seconds=10.0, replica_rps=1e9),
    ),
    "no demand is too large to be counted": Loan(
        wanted={"gpu": 10}, cpu=replace(CPU, replica_rps=5e-324), demand=builders.demand(1e9), want_extra=30
    ),
}


@builders.table(LOANS)
def test_what_the_quick_lend_the_slow(case: Loan) -> None:
    wanted = {
        name: Wanted(name=name, replicas=case.wanted.get(name, 0), why=Why.DEMAND, message="wanted")
        for name in ("cpu", "gpu")
    }
    found = lend(wanted, (case.cpu, case.gpu), case.demand, Decimal(case.budget) if case.budget else None)
    assert found["gpu"] == wanted["gpu"]
    assert found["cpu"].replicas == wanted["cpu"].replicas + case.want_extra
    assert found["cpu"].why is (Why.BRIDGING if case.want_extra else Why.DEMAND)


def test_a_loan_says_for_whom() -> None:
    numbers = {"cpu": 0, "gpu": 1}
    wanted = {name: Wanted(name=name, replicas=number, why=Why.DEMAND, message="") for name, number in numbers.items()}
    lent = lend(wanted, (CPU, GPU), builders.demand(1000.0), None)["cpu"]
    assert lent.message == "10 until what takes longer to start is ready: gpu"

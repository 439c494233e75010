"""Sizing: how many replicas of each class cover the demand, cheapest capacity first.

Pure. This is the planner's seat: whatever takes its place gets the same inputs and returns the same `Wanted` values;
stabilising, weights and sequence do not care how the numbers came about.

Laws: bounds always hold (min ≤ replicas ≤ max); at least one replica is wanted somewhere, if the budget allows one;
more demand never wants less capacity; the order in which classes are listed does not matter.
"""

import math
from dataclasses import dataclass, replace
from decimal import Decimal

from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import PodProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many replicas of a class are wanted, and the rule that bounded them."""

    name: str
    replicas: int
    why: Why
    message: str


def size(supplies: tuple[Supply, ...], rps: float, budget_per_hour: Decimal | None) -> dict[str, Wanted]:
    """Replicas by class for `rps` requests per second."""
    chosen = {s.name: s.least for s in supplies if s.hardware}
    spent = sum((s.price * chosen[s.name] for s in supplies if s.hardware), Decimal(0))
    remaining = rps - math.fsum(s.replica_rps * s.effective(chosen[s.name]) for s in supplies if s.hardware)
    wanted = {s.name: _refuse(s) for s in supplies}
    for supply in sorted((s for s in supplies if s.hardware), key=_price_of_capacity):
        left = None if budget_per_hour is None else budget_per_hour - spent
        extra, why = _add(supply, chosen[supply.name], remaining, left, first=not any(chosen.values()))
        replicas = chosen[supply.name] + extra
        chosen[supply.name] = replicas
        spent += supply.price * extra
        remaining -= supply.replica_rps * (supply.effective(replicas) - supply.effective(replicas - extra))
        wanted[supply.name] = Wanted(name=supply.name, replicas=replicas, why=why, message=_explain(supply, why))
    return wanted if any(chosen.values()) else _keep_one(supplies, wanted, budget_per_hour)


def _keep_one(
    supplies: tuple[Supply, ...], wanted: dict[str, Wanted], budget_per_hour: Decimal | None
) -> dict[str, Wanted]:
    """One replica of the cheapest class although nothing can hold it now: its pod waits, and comes up by itself.

    Of one that is evacuated it would not wait: the scheduler does not know, and it would come and go for ever.
    """
    wanted_back = [s for s in supplies if s.hardware and not s.hardware.evacuate]
    known = [s for s in wanted_back if budget_per_hour is None or s.price <= budget_per_hour]
    first = min(known, key=_price_of_capacity, default=None)
    return {**wanted, first.name: replace(wanted[first.name], replicas=1)} if first else wanted


def _price_of_capacity(supply: Supply) -> tuple[float, str]:
    """Cost of one request per second; the name settles ties, so that the listed order never does."""
    return (float(supply.price) / supply.replica_rps if supply.replica_rps else math.inf, supply.name)


def _add(supply: Supply, floor: int, remaining: float, left: Decimal | None, *, first: bool) -> tuple[int, Why]:
    """Replicas to add to the floor, and what bounded them. `first`: none is chosen anywhere yet, so one is needed."""
    if supply.replica_rps <= 0:
        return 0, Why.TOO_SLOW
    if not supply.reachable:
        return 0, Why.UNREACHABLE
    most = supply.target.max_replicas + 1.0  # more is never asked for: no demand is too large to be counted
    needed = max(math.ceil(min(most, max(0.0, remaining / supply.replica_rps)) - 1e-9), 1 if first else 0)
    if needed <= 0:
        return 0, _why_floor(supply, floor)
    bounds = {
        needed: Why.DEMAND,
        supply.target.max_replicas - floor: Why.MAXIMUM,
        **({} if supply.room is None else {supply.room - floor: _why_no_room(supply)}),
        **({} if left is None or supply.price <= 0 else {int(left // supply.price): Why.BUDGET}),
        # one more than works: the one that fails is the one that tells when it no longer does
        **({supply.placed + 1 - floor: _why_failing(supply)} if supply.failing else {}),
    }
    tightest = min(bounds)
    why = Why.DEMAND if needed <= tightest else bounds[tightest]
    if supply.refusal or (why is Why.DEMAND and supply.problems):
        why = _why_failing(supply)
    return max(0, tightest), why


def _why_floor(supply: Supply, floor: int) -> Why:
    """What stands in the way of the replicas that are kept whatever the demand."""
    if supply.room is not None and supply.room < floor:
        return _why_no_room(supply)
    if supply.failing:
        return _why_failing(supply)
    return Why.MINIMUM if floor else Why.DEMAND


def _why_failing(supply: Supply) -> Why:
    if supply.refusal:
        return Why.REFUSED
    if supply.unschedulable:
        return Why.UNSCHEDULABLE
    return Why.BRIDGING if all(p.problem is PodProblem.LATE for p in supply.problems) else Why.FAILING


def _why_no_room(supply: Supply) -> Why:
    return Why.NO_DEVICES if supply.nodes else Why.NO_NODES


def _refuse(supply: Supply) -> Wanted:
    """What is wanted of a class of which the HardwareClass is not known: nothing, and that is said."""
    message = (
        f"the HardwareClass {supply.name} cannot be read, correct it: {supply.unreadable}"
        if supply.unreadable
        else f"there is no HardwareClass {supply.name}: create it or take the class out of spec.classes"
    )
    return Wanted(name=supply.name, replicas=0, why=Why.UNKNOWN_CLASS, message=message)


def _explain_failing(supply: Supply, why: Why) -> str:
    pod = supply.problems[0].name
    if why is Why.BRIDGING:
        return f"others carry its share until it is ready: {pod} takes long to start"
    return f"no more than one beyond the {supply.placed} that work: {pod} does not"


def _explain(supply: Supply, why: Why) -> str:
    match why:
        case Why.TOO_SLOW:
            return f"its fastest measured point takes {supply.best_latency_milliseconds:g} ms, more than the objective"
        case Why.NO_DEVICES:
            return "as many as fit: no free device is left on its nodes"
        case Why.NO_NODES:
            return "no usable node belongs to it"
        case Why.MAXIMUM:
            return f"as many as maxReplicas allows: {supply.target.max_replicas}"
        case Why.BUDGET:
            return "as many as scaling.budget allows"
        case Why.UNSCHEDULABLE if supply.unschedulable:
            return f"the scheduler cannot place {supply.unschedulable.name}: {supply.unschedulable.message}"
        case Why.REFUSED:
            return f"Kubernetes refuses its pods: {supply.refusal}"
        case Why.UNREACHABLE:
            return "no route can lead to it: what stands under its Service's name belongs to somebody else"
        case Why.FAILING | Why.BRIDGING:
            return _explain_failing(supply, why)
        case _:
            cost = float(supply.price) / supply.replica_rps if supply.replica_rps else math.inf
            return (
                f"a replica carries {supply.replica_rps:.3g} requests/s; one request/s costs {cost:.2g} per hour here"
            )

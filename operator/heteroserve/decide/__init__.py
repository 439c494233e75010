"""decide: Snapshot in, Plan out. Pure and total; one step per module, in this order.

    health     which pods and nodes can be trusted?
    leaving    which pods are to be replaced although they may serve?
    supply     what could each class carry, what is ready?
    demand     how many requests per second, and may that figure remove anything?
    trust      how much of what came back is counted on?
    bridge     who is too late to be counted on?
    sizing     how many replicas of each class, cheapest first?
    stabilise  how much of that in this cycle?
    besides    what is asked for in place of pods that are to go?
    sequence   in which order, so that no request is lost on the way?
    traffic    how is the traffic split over what is ready?
    marks      what is each pod to be told?

A new signal enters in `demand` or `supply`, a new witness in `health`, a new rule in the step that it belongs to.
"""

from heteroserve.decide.besides import besides, in_place_of, without_besides
from heteroserve.decide.bridge import lend, without_the_late
from heteroserve.decide.compensate import as_routed
from heteroserve.decide.demand import FRESH
from heteroserve.decide.explain import record_changes
from heteroserve.decide.hold import as_it_is
from heteroserve.decide.manual import size_by_hand, takes_hold
from heteroserve.decide.marks import new_marks
from heteroserve.decide.picture import Picture, take
from heteroserve.decide.retired import kept_retired, plan_retired
from heteroserve.decide.sequence import Step, drain_before_removal
from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.stabilise import Present, Settled, Window, carries, stabilise
from heteroserve.decide.supply import Supply
from heteroserve.decide.weigh import weigh
from heteroserve.model.plan import LIMITS, ClassPlan, Plan, Why
from heteroserve.model.snapshot import Snapshot

DRAIN_LOOK_SECONDS = 1.0
"""How soon to look whether the traffic has left what is to be removed."""


def decide(snapshot: Snapshot) -> Plan:
    """What should be true next for this deployment, and why."""
    picture = take(snapshot)
    if snapshot.deployment.paused or snapshot.paused or picture.health.doubt:
        return as_it_is(picture)
    by_hand = takes_hold(picture)
    wanted = _size(picture, by_hand=by_hand)
    wished = _wish(picture, wanted)
    steps = {name: drain_before_removal(name, wish, picture) for name, wish in wished.items()}
    going = frozenset[str]().union(*(step.going for step in steps.values()))
    replaced = (in_place_of(name, wish, snapshot, picture.departing) for name, wish in wished.items())
    first = going.union(*replaced, *(step.first for step in steps.values()))
    split = weigh(picture, wished, by_hand=by_hand)
    weights = dict(split.weights)
    marks = new_marks(picture, weights, going=going, first=first)
    routed = weights if split.kept else as_routed(snapshot, weights, marks)
    classes = tuple(_plan_class(s, picture, wanted[s.name], steps.get(s.name), weights) for s in picture.supplies)
    classes += tuple(
        plan_retired(name, snapshot, picture.health, weights[name]) for name in kept_retired(picture, weights)
    )
    draining = any(c.why is Why.DRAINING or c.retired for c in classes)
    return Plan(
        classes=classes,
        demand=picture.demand,
        route_weights=routed,
        marks=marks,
        decisions=record_changes(snapshot, classes, routed, marks),
        requeue_seconds=DRAIN_LOOK_SECONDS if draining else None,
    )


def _size(picture: Picture, *, by_hand: bool) -> dict[str, Wanted]:
    """The sizing for the demand; without any figure, for none: stabilising then keeps what is there.

    What is not there any more (somebody deleted a Deployment) is then sized for the last demand that was known.
    """
    snapshot, demand = picture.snapshot, picture.demand
    supplies = without_the_late(picture.supplies, snapshot, demand)
    wanted = _size_for(picture, supplies, demand.rps or 0.0, by_hand=by_hand)
    if not by_hand:
        wanted = lend(wanted, supplies, demand, snapshot.deployment.scaling.budget_per_hour)
    if demand.rps is not None or snapshot.memory.demand_rps is None:
        return wanted
    remembered = _size_for(picture, supplies, snapshot.memory.demand_rps, by_hand=by_hand)
    return {name: want if name in snapshot.replicas else remembered[name] for name, want in wanted.items()}


def _size_for(picture: Picture, supplies: tuple[Supply, ...], rps: float, *, by_hand: bool) -> dict[str, Wanted]:
    """While a split by hand waits, the traffic follows the capacity, and both have to be served."""
    deployment = picture.snapshot.deployment
    budget, weights = deployment.scaling.budget_per_hour, deployment.manual_weights
    by_parts = size_by_hand(supplies, rps, budget, weights) if weights else {}
    if by_hand:
        return by_parts
    by_price = size(supplies, rps, budget)
    return {name: max(by_parts.get(name, want), want, key=lambda w: w.replicas) for name, want in by_price.items()}


def _wish(picture: Picture, wanted: dict[str, Wanted]) -> dict[str, Settled]:
    """The replicas of each known class as far as this cycle may go, with those in place of others."""
    present = tuple(_present(s, picture) for s in picture.supplies if s.hardware)
    concern = picture.health.first_concern(picture.snapshot.pods)
    split = picture.parts
    stable = stabilise(wanted, present, picture.demand, _window(picture.snapshot), concern=concern, split=split)
    demand = picture.demand
    # a figure that may be too low takes nothing away
    carried = demand.may_shrink and demand.rps is not None and carries(present, stable, demand.rps, split)
    return {p.supply.name: besides(stable[p.supply.name], p, carried=carried) for p in present}


def _present(supply: Supply, picture: Picture) -> Present:
    snapshot, trust = picture.snapshot, picture.trusts[supply.name]
    return Present(
        supply=supply,
        replicas=without_besides(supply.name, snapshot, picture.departing),
        carrying=min(trust.carrying, supply.staying_ready) if supply.reachable else 0.0,
        pending=snapshot.memory.pending.get(supply.name),
    )


def _window(snapshot: Snapshot) -> Window:
    told = next((c.reason for c in snapshot.memory.conditions if c.type == "MetricsAvailable"), FRESH)
    return Window(
        now=snapshot.now,
        seconds=snapshot.deployment.scaling.scale_down_window_seconds,
        blind_until_now=told != FRESH,
        fresh_seconds=snapshot.cluster.metrics_window_seconds,
    )


def _plan_class(
    supply: Supply, picture: Picture, want: Wanted, step: Step | None, weights: dict[str, int]
) -> ClassPlan:
    current = picture.snapshot.replicas.get(supply.name, 0)
    wish = step.settled if step else Settled(replicas=current, why=want.why, message=want.message)
    return ClassPlan(
        name=supply.name,
        replicas=wish.replicas,
        weight=weights.get(supply.name, 0),
        ready=supply.answering,
        replica_rps=supply.replica_rps,
        cost_per_hour=supply.price * wish.replicas,
        why=wish.why,
        message=wish.message,
        usable=supply.effective(max(0, wish.replicas - wish.besides)),
        limit=want.why if want.why in LIMITS else None,
        limit_message=want.message if want.why in LIMITS else "",
        pending=wish.pending,
        render=supply.hardware is not None,
        reachable=supply.reachable,
        suspicions=supply.suspicions,
        departures=supply.departures,
        recovery=picture.trusts[supply.name].recovery,
    )

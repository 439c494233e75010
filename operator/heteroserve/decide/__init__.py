"""decide: Snapshot in, Plan out. Pure and total; one step per module, in this order.

    health     which pods and nodes can be trusted?
    supply     what could each class carry, what is ready?
    demand     how many requests per second, and may that figure remove anything?
    sizing     how many replicas of each class, cheapest first?
    stabilise  how much of that in this cycle?
    sequence   in which order, so that no request is lost on the way?
    traffic    how is the traffic split over what is ready?

A new signal enters in `demand` or `supply`, a new witness in `health`, a new rule in the step that it belongs to.
"""

from heteroserve.decide.demand import FRESH, estimate_demand
from heteroserve.decide.explain import record_changes
from heteroserve.decide.health import Health, assess_health
from heteroserve.decide.hold import as_it_is
from heteroserve.decide.retired import plan_retired, share_of_retired, unlisted
from heteroserve.decide.sequence import drain_before_removal
from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.stabilise import Present, Settled, Window, stabilise
from heteroserve.decide.supply import Supply, assess_supply, suspect_pods
from heteroserve.decide.traffic import Share, is_overloaded, split_traffic
from heteroserve.model.plan import LIMITS, ClassPlan, Demand, Plan, Why
from heteroserve.model.snapshot import Snapshot

DRAIN_LOOK_SECONDS = 1.0
"""How soon to look whether the route has let go of a class that is to be removed."""


def decide(snapshot: Snapshot) -> Plan:
    """What should be true next for this deployment, and why."""
    health = assess_health(snapshot)
    supplies = assess_supply(snapshot, health)
    ready_rps = sum(s.ready * s.replica_rps for s in supplies)
    demand = estimate_demand(snapshot, ready=sum(s.ready for s in supplies), ready_rps=ready_rps)
    if snapshot.deployment.paused or health.doubt:
        return as_it_is(snapshot, supplies, health, demand)
    wanted = _size(snapshot, supplies, demand)
    present = tuple(
        Present(supply=s, replicas=snapshot.replicas.get(s.name), pending=snapshot.memory.pending.get(s.name))
        for s in supplies
        if s.hardware
    )
    wished = stabilise(wanted, present, demand, _window(snapshot), concern=health.first_concern(snapshot.pods))
    settled = drain_before_removal(wished, snapshot.replicas, _programmed(snapshot))
    weights = _weigh(snapshot, supplies, health, wished, demand)
    classes = tuple(_plan_class(s, wanted, settled, snapshot, weights) for s in supplies)
    needed = demand.rps is None or ready_rps < demand.rps
    retired = _retired(snapshot, health, weights, needed=needed)
    classes += tuple(plan_retired(name, snapshot, health, weights[name]) for name in retired)
    draining = any(c.why is Why.DRAINING or c.retired for c in classes)
    return Plan(
        classes=classes,
        demand=demand,
        decisions=record_changes(snapshot, classes),
        requeue_seconds=DRAIN_LOOK_SECONDS if draining else None,
    )


def _size(snapshot: Snapshot, supplies: tuple[Supply, ...], demand: Demand) -> dict[str, Wanted]:
    """The sizing for the demand; without any figure, for none: stabilising then keeps what is there.

    What is not there any more (somebody deleted a Deployment) is then sized for the last demand that was known.
    """
    budget = snapshot.deployment.scaling.budget_per_hour
    wanted = size(supplies, demand.rps or 0.0, budget)
    if demand.rps is not None or snapshot.memory.demand_rps is None:
        return wanted
    remembered = size(supplies, snapshot.memory.demand_rps, budget)
    return {name: want if name in snapshot.replicas else remembered[name] for name, want in wanted.items()}


def _window(snapshot: Snapshot) -> Window:
    told = next((c.reason for c in snapshot.memory.conditions if c.type == "MetricsAvailable"), FRESH)
    return Window(
        now=snapshot.now,
        seconds=snapshot.deployment.scaling.scale_down_window_seconds,
        blind_until_now=told != FRESH,
        fresh_seconds=snapshot.cluster.metrics_window_seconds,
    )


def _weigh(
    snapshot: Snapshot, supplies: tuple[Supply, ...], health: Health, wished: dict[str, Settled], demand: Demand
) -> dict[str, int]:
    """Weights by what is ready and is to stay; a class no longer listed keeps traffic until the others carry it."""
    shares = [_share(s, wished) for s in supplies if s.reachable and (s.hardware or snapshot.replicas.get(s.name))]
    ready_rps = sum(s.ready * s.replica_rps for s in shares)
    carried = demand.rps is not None and ready_rps >= demand.rps  # an unknown demand is not known to be carried
    if not (carried and any(s.ready for s in shares)):
        usual = min((s.replica_rps for s in shares if s.replica_rps > 0), default=1.0)
        others = (name for name in unlisted(snapshot) if name not in snapshot.unroutable)
        shares += [share_of_retired(name, snapshot, health, usual) for name in others]
    last_known = demand.rps if demand.rps is not None else snapshot.memory.demand_rps
    load_rps = (last_known or 0.0) * snapshot.deployment.scaling.target_utilisation
    overloaded = is_overloaded(tuple(shares), _routed(snapshot), load_rps=load_rps)
    weights = split_traffic(tuple(shares), _routed(snapshot), overloaded=overloaded)
    return {**dict.fromkeys(unlisted(snapshot), 0), **weights}


def _share(supply: Supply, wished: dict[str, Settled]) -> Share:
    stays = wished[supply.name].replicas if supply.name in wished else max(supply.ready, supply.suspects)
    return Share(
        name=supply.name,
        ready=min(supply.ready, stays),
        suspects=min(supply.suspects, stays),
        replica_rps=supply.replica_rps,
        fastest_rps=supply.fastest_rps,
    )


def _plan_class(
    supply: Supply,
    wanted: dict[str, Wanted],
    settled: dict[str, Settled],
    snapshot: Snapshot,
    weights: dict[str, int],
) -> ClassPlan:
    current = snapshot.replicas.get(supply.name, 0)
    want = wanted[supply.name]
    wish = settled.get(supply.name) or Settled(replicas=current, why=want.why, message=want.message)
    return ClassPlan(
        name=supply.name,
        replicas=wish.replicas,
        weight=weights.get(supply.name, 0),
        ready=supply.ready,
        replica_rps=supply.replica_rps,
        cost_per_hour=supply.price * wish.replicas,
        why=wish.why,
        message=wish.message,
        usable=supply.effective(max(0, wish.replicas - supply.lost)),
        limit=want.why if want.why in LIMITS else None,
        limit_message=want.message if want.why in LIMITS else "",
        pending=wish.pending,
        render=supply.hardware is not None,
        reachable=supply.reachable,
        suspicions=supply.suspicions,
    )


def _retired(snapshot: Snapshot, health: Health, weights: dict[str, int], *, needed: bool) -> list[str]:
    """Classes taken out of the spec that still carry traffic, by our wish or by the route, or will when trusted."""
    routed = _programmed(snapshot)
    return [
        name
        for name in unlisted(snapshot)
        if weights[name] > 0 or routed.get(name, 0) > 0 or (needed and suspect_pods(snapshot, health, name))
    ]


def _programmed(snapshot: Snapshot) -> dict[str, int]:
    """The weights that gateways may still follow: while one is behind, any class may have traffic."""
    if snapshot.route and snapshot.route.behind:
        return dict.fromkeys(snapshot.replicas, 1)
    return _routed(snapshot)


def _routed(snapshot: Snapshot) -> dict[str, int]:
    return dict(snapshot.route.weights) if snapshot.route else {}

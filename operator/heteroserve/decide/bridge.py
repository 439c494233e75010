"""Bridge: who carries the load while a class is slow to start, or away. Pure.

A replica on its way counts as if it were there, so that nobody is asked for twice. That is right where it comes soon.
While what is ready does not carry the demand,

- the class that starts fastest lends what those that are known to be much slower will bring later;
- a replica that still does not come is counted on no more, and sizing finds others for its share.

Both stay asked for. When they are ready, the others go by the ordinary rules: the load is handed back.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from heteroserve.decide.sizing import Wanted
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Demand, Why
from heteroserve.model.snapshot import Pod, PodProblem, Snapshot

PATIENCE_SECONDS = 20.0
"""A small model on a CPU is ready sooner, so that there is somebody who is faster."""


MUCH_SLOWER = 2.0
MUCH_LATER_SECONDS = 10.0
"""A class is worth a bridge when it takes so many times as long to start, and so much longer."""


def without_the_late(supplies: tuple[Supply, ...], snapshot: Snapshot, demand: Demand) -> tuple[Supply, ...]:
    """The supplies as sizing is to see them: what takes too long while it is missed is a problem."""
    ready_rps = sum(s.routable * s.replica_rps for s in supplies)
    if demand.rps is None or ready_rps >= demand.rps:
        return supplies
    return tuple(_without_the_late(s, snapshot) for s in supplies)


def _without_the_late(supply: Supply, snapshot: Snapshot) -> Supply:
    known = {p.name for p in supply.problems} | {d.pod for d in supply.departures}
    coming = (p for p in snapshot.pods if p.class_name == supply.name and p.name not in known)
    late = tuple(replace(p, problem=PodProblem.LATE) for p in coming if _is_late(p, snapshot))
    return replace(supply, problems=supply.problems + late, placed=max(0, supply.placed - len(late)))


def _is_late(pod: Pod, snapshot: Snapshot) -> bool:
    if pod.ready or pod.terminating or pod.problem or pod.node is None or pod.unready_since is None:
        return False
    return (snapshot.now - pod.unready_since).total_seconds() > PATIENCE_SECONDS


def lend(
    wanted: Mapping[str, Wanted], supplies: tuple[Supply, ...], demand: Demand, budget_per_hour: Decimal | None
) -> dict[str, Wanted]:
    """The wanted replicas, with those of the fastest class that carry what is ready nowhere yet."""
    known = [s for s in supplies if s.hardware and s.replica_rps > 0 and s.reachable]
    routable = {s.name: min(s.routable, wanted[s.name].replicas) for s in known}
    short_rps = (demand.rps or 0.0) - sum(routable[s.name] * s.replica_rps for s in known)
    fastest = min(known, key=lambda s: (s.lead_seconds, s.price, s.name), default=None)
    if demand.rps is None or short_rps <= 0 or fastest is None:
        return dict(wanted)
    soon = (s for s in known if not _is_much_slower(s, fastest))
    coming = {s.name: max(0, s.effective(wanted[s.name].replicas) - routable[s.name]) for s in soon}
    missing_rps = short_rps - sum(coming[s.name] * s.replica_rps for s in known if s.name in coming)
    most = float(fastest.target.max_replicas)  # no demand is too large to be counted
    missing = math.ceil(min(most, max(0.0, missing_rps / fastest.replica_rps)) - 1e-9)
    extra = _affordable(fastest, wanted, supplies, missing, budget_per_hour)
    if extra <= 0:
        return dict(wanted)
    slow = ", ".join(s.name for s in known if s.name not in coming)
    return {
        **wanted,
        fastest.name: Wanted(
            name=fastest.name,
            replicas=wanted[fastest.name].replicas + extra,
            why=Why.BRIDGING,
            message=f"{extra} until what takes longer to start is ready: {slow}",
        ),
    }


def _is_much_slower(supply: Supply, fastest: Supply) -> bool:
    later_seconds = supply.lead_seconds - fastest.lead_seconds
    return later_seconds > MUCH_LATER_SECONDS and supply.lead_seconds > MUCH_SLOWER * fastest.lead_seconds


def _affordable(
    supply: Supply,
    wanted: Mapping[str, Wanted],
    supplies: tuple[Supply, ...],
    extra: int,
    budget_per_hour: Decimal | None,
) -> int:
    """As many of the extra replicas as every bound allows."""
    has = wanted[supply.name].replicas
    bounds = [extra, supply.target.max_replicas - has]
    if supply.room is not None:
        bounds.append(supply.room - has)
    if supply.failing:
        bounds.append(supply.placed - has)
    if budget_per_hour is not None and supply.price > 0:
        spent = sum((s.price * wanted[s.name].replicas for s in supplies), Decimal(0))
        bounds.append(int((budget_per_hour - spent) // supply.price))
    return min(bounds)

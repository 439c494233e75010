"""Besides: what is asked for in place of the pods that are to be replaced. Pure.

Make before break: for each such pod one more replica is asked for, and only when all that stay are ready does the
number go back, and that pod goes. Kubernetes counts the pod until it is gone, so it neither takes the place of another
nor counts against maxReplicas. Nothing is asked for that would find no place: where a class has no room, the others
have to carry its share before it loses what it has.

How many were asked for besides is written on as many of the pods that they replace (`Mark.goes_first`).
"""

from collections.abc import Mapping
from dataclasses import replace

from heteroserve.decide.stabilise import Present, Settled
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Departure, Why, describe
from heteroserve.model.snapshot import Snapshot


def without_besides(name: str, snapshot: Snapshot, departing: Mapping[str, Departure]) -> int | None:
    """How many of a class's replicas were not asked for in place of others; `None` before its first Deployment."""
    replicas = snapshot.replicas.get(name)
    if replicas is None:
        return None
    there = [p for p in snapshot.pods if p.class_name == name and not p.terminating]
    marks = [p.mark for p in there if p.uid in departing and p.mark.goes_first]
    # the number is down, and Kubernetes has not acted yet: those are out of it already
    too_many = 0 if name in snapshot.rolling else max(0, len(there) - replicas)
    going = min(too_many, sum(m.out_since is not None for m in marks))
    return max(0, replicas - (len(marks) - going))


def besides(settled: Settled, present: Present, *, carried: bool) -> Settled:
    """The replicas to ask for. `carried`: what stays, is ready and trusted carries the demand without the others."""
    supply = present.supply
    going = supply.departures
    if not going:
        return settled
    alive = settled.replicas if supply.room is None else min(settled.replicas, supply.room)
    if supply.unschedulable and carried and supply.staying_ready >= supply.placed:
        # whatever room we saw, the scheduler saw none: nobody comes, and the others carry it
        return replace(settled, replicas=min(alive, supply.placed))
    kept = min(settled.replicas, present.bounded)
    if _is_replaced(supply, alive, all_fit=alive >= kept, carried=carried):
        return replace(settled, replicas=alive)
    asked = max(alive + len(going), kept)
    lost = all(g.lost for g in going)
    others = f"{asked - len(going)}, and {len(going)} until others serve in their place"
    return replace(
        settled,
        replicas=asked,
        besides=asked - max(alive, kept),
        why=Why.FAILOVER if lost else Why.MOVING,
        message=f"{others}: {describe(going)}; {settled.message}",
    )


def in_place_of(name: str, settled: Settled, snapshot: Snapshot, departing: Mapping[str, Departure]) -> frozenset[str]:
    """The pods (UIDs) on which it is written that one more was asked for: the same ones again, then the lost."""
    going = [p for p in snapshot.pods if p.class_name == name and p.uid in departing]
    going.sort(key=lambda p: (not p.mark.goes_first, not departing[p.uid].lost, p.name))
    return frozenset(p.uid for p in going[: settled.besides])


def _is_replaced(supply: Supply, alive: int, *, all_fit: bool, carried: bool) -> bool:
    """Whether those that are to go are not needed any more. `all_fit`: as many as there were have a place.

    One that is not ready would be the first that Kubernetes takes when it is told to take one: so nobody may be.
    """
    whole = supply.staying_ready >= max(alive, supply.staying)
    can_go = any(not g.lost for g in supply.departures)  # on a dead node nobody becomes free
    carry_nothing = supply.answering == supply.staying_ready
    return whole and ((all_fit and alive > 0) or (can_go and (carried or carry_nothing)))

"""Manual: the split of the traffic that somebody set by hand, and the replicas that it needs. Pure.

As long as it stands it wins, whatever fails: whoever set it has a reason that we do not know. It takes hold when every
class that it names has a replica to answer: nobody means to have the requests answered by nobody.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from heteroserve.decide.picture import Picture, nameable, parts_by_hand
from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.supply import Supply, ready_pods
from heteroserve.model.plan import Why


def size_by_hand(
    supplies: tuple[Supply, ...], rps: float, budget_per_hour: Decimal | None, weights: Mapping[str, int]
) -> dict[str, Wanted]:
    """Replicas by class, each for its own part of `rps`; the largest is the first to draw on the budget."""
    wanted: dict[str, Wanted] = {}
    part = parts_by_hand(weights, nameable(supplies))
    floors = {s.name: s.price * s.least for s in supplies if s.hardware}
    # what is kept whatever the demand is paid for first, whose turn it ever is
    left = None if budget_per_hour is None else budget_per_hour - sum(floors.values(), Decimal(0))
    for supply in sorted(supplies, key=lambda s: (-part.get(s.name, 0.0), s.name)):
        floor = floors.get(supply.name, Decimal(0))
        own = None if left is None else max(Decimal(0), left) + floor
        alone = size((supply,), rps * part.get(supply.name, 0.0), own)[supply.name]
        if not weights.get(supply.name) and supply.hardware and not supply.least:
            alone = replace(alone, replicas=0, why=Why.MANUAL, message="it has no part in spec.traffic.weights")
        wanted[supply.name] = alone
        left = None if left is None else left - (supply.price * alone.replicas - floor)
    return wanted


def takes_hold(picture: Picture) -> bool:
    """Whether there is a split by hand, and it is in force, leaves no part unanswered, or has no alternative."""
    snapshot, part = picture.snapshot, picture.parts
    routed = {name for name, weight in picture.routed.items() if weight > 0}
    answering = {s.name for s in picture.supplies if s.ready}
    answering |= {name for name in snapshot.replicas if ready_pods(snapshot, picture.health, name)}
    named = bool(part) and (routed == part.keys() or answering >= part.keys())
    return bool(snapshot.deployment.manual_weights) and (named or not answering)

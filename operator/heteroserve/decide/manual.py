"""Manual: the split of the traffic that somebody set by hand, and the replicas that it needs. Pure.

As long as it stands it wins, whatever fails: whoever set it has a reason that we do not know.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from heteroserve.decide.sizing import Wanted, size
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Why


def size_by_hand(
    supplies: tuple[Supply, ...], rps: float, budget_per_hour: Decimal | None, weights: Mapping[str, int]
) -> dict[str, Wanted]:
    """Replicas by class, each for its own share of `rps`; the largest is the first to draw on the budget."""
    wanted: dict[str, Wanted] = {}
    left = budget_per_hour
    for supply in sorted(supplies, key=lambda s: (-weights.get(s.name, 0), s.name)):
        weight = weights.get(supply.name, 0)
        alone = size((supply,), rps * weight / 100, left)[supply.name]
        if not weight and supply.hardware and not supply.least:
            alone = replace(alone, replicas=0, why=Why.MANUAL, message="it has no part in spec.traffic.weights")
        wanted[supply.name] = alone
        left = None if left is None else max(Decimal(0), left - supply.price * alone.replicas)
    return wanted

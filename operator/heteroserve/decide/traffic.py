"""Traffic: the split of the requests between the classes, from what is ready now.

Pure and closed-form: this is the part that must work when everything else is gone. No metrics are needed; a demand
that is known to be too large lets classes help that do not meet the objective. Weights are integers that sum to 100
(largest remainder, ties broken by name), in proportion to ready capacity; a class without a ready replica has weight 0.
When nothing at all is ready, replicas that are not trusted are better than nothing; when there is none of these either,
the last weights stay: they are as good as any, and right again first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

TOTAL = 100

ROOM_TO_SPARE = 0.85
"""The share of their capacity below which the classes that meet the objective are let alone again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A class as a receiver of traffic: ready replicas, and the capacity of one (0: cannot meet the objective).

    One that is trusted by half counts half. `suspects` may answer as well, but nobody who is ready would be passed
    over for them.
    """

    name: str
    ready: float
    replica_rps: float
    fastest_rps: float
    suspects: int = 0


def is_overloaded(shares: tuple[Share, ...], last: Mapping[str, int], *, load_rps: float) -> bool:
    """Whether the classes that meet the objective cannot carry the load, so that slower ones must help.

    The last split is the memory: once slower ones help, they do until the others have room to spare.
    """
    within_rps = math.fsum(s.ready * s.replica_rps for s in shares)
    helping = any(s.replica_rps <= 0 < last.get(s.name, 0) for s in shares)
    return load_rps > within_rps * (ROOM_TO_SPARE if helping else 1.0)


def split_traffic(shares: tuple[Share, ...], last: Mapping[str, int], *, overloaded: bool = False) -> dict[str, int]:
    """Weights by class. `overloaded`: the classes that meet the objective cannot carry the demand alone."""
    for answering in ({s.name: s.ready for s in shares}, {s.name: float(s.suspects) for s in shares}):
        within = {s.name: answering[s.name] * s.replica_rps for s in shares}
        anyhow = {s.name: answering[s.name] * s.fastest_rps for s in shares}
        # better slow than overloaded or not at all, better unmeasured than not at all
        for capacity in (anyhow, answering) if overloaded else (within, anyhow, answering):
            weights = apportion(capacity)
            if weights:
                return weights
    kept = {s.name: last.get(s.name, 0) for s in shares}
    return kept if sum(kept.values()) == TOTAL else dict.fromkeys(kept, 0)


def apportion(capacity: Mapping[str, float]) -> dict[str, int]:
    """Integers that sum to 100 in proportion to `capacity` (largest remainder); empty when there is nothing to share.

    Whoever has capacity gets at least 1: a ready class without any request would show no metrics and grow cold.
    """
    sound = {name: c if math.isfinite(c) and c > 0 else 0.0 for name, c in capacity.items()}
    largest = max(sound.values(), default=0.0)
    if largest <= 0:
        return {}
    relative = {name: c / largest for name, c in sound.items()}  # the sum of huge capacities must not overflow
    total = math.fsum(relative.values())  # exact, so that the order of the classes cannot show
    holders = [name for name in sorted(sound) if sound[name] > 0]
    rest = TOTAL - len(holders)
    exact = {name: relative[name] / total * rest for name in holders}
    weights = {name: 1 + math.floor(exact[name]) for name in holders}
    by_remainder = sorted(holders, key=lambda name: (math.floor(exact[name]) - exact[name], name))
    for name in by_remainder[: TOTAL - sum(weights.values())]:
        weights[name] += 1
    return {name: weights.get(name, 0) for name in sound}

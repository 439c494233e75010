"""Weighing: who takes part in the traffic, and with how much. Pure.

In proportion to what is ready, trusted and to stay. A class that is no longer listed keeps its part until the others
carry the demand. A split that somebody set by hand stands as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from heteroserve.decide.picture import Picture
from heteroserve.decide.retired import share_of_retired, unlisted
from heteroserve.decide.stabilise import Settled
from heteroserve.decide.supply import Supply
from heteroserve.decide.traffic import Share, is_overloaded, split_traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Weights of all classes, listed or not. `kept`: they are those of the routes as they stand, for want of better."""

    weights: Mapping[str, int]
    kept: bool = False


def weigh(picture: Picture, wished: Mapping[str, Settled], *, by_hand: bool) -> Split:
    """The split for now; `wished` replicas are those that stay. `by_hand`: what somebody set by hand holds."""
    snapshot = picture.snapshot
    split = None if by_hand else _by_capacity(picture, wished)
    if split and (any(split.weights.values()) or not snapshot.deployment.manual_weights):
        return split
    return Split(weights={**dict.fromkeys(unlisted(snapshot), 0), **snapshot.deployment.manual_weights})


def _by_capacity(picture: Picture, wished: Mapping[str, Settled]) -> Split:
    snapshot = picture.snapshot
    taking_part = (s for s in picture.supplies if s.reachable and (s.hardware or snapshot.replicas.get(s.name)))
    shares = [_share(picture, s, wished) for s in taking_part]
    ready_rps = sum(s.ready * s.replica_rps for s in shares)
    # an unknown demand is not known to be carried
    carried = picture.demand.rps is not None and ready_rps >= picture.demand.rps
    if not (carried and any(s.ready for s in shares)):
        usual = min((s.replica_rps for s in shares if s.replica_rps > 0), default=1.0)
        others = (name for name in unlisted(snapshot) if name not in snapshot.unroutable)
        shares += [share_of_retired(name, snapshot, picture.health, usual) for name in others]
    load_rps = (picture.last_known_rps or 0.0) * snapshot.deployment.scaling.target_utilisation
    overloaded = is_overloaded(tuple(shares), picture.routed, load_rps=load_rps)
    weights = split_traffic(tuple(shares), picture.routed, overloaded=overloaded)
    return Split(
        weights={**dict.fromkeys(unlisted(snapshot), 0), **weights},
        kept=not any(s.ready or s.suspects for s in shares),
    )


def _share(picture: Picture, supply: Supply, wished: Mapping[str, Settled]) -> Share:
    stays = wished[supply.name].replicas if supply.name in wished else max(supply.ready, supply.suspects)
    return Share(
        name=supply.name,
        ready=min(picture.trusts[supply.name].carrying, stays),
        suspects=min(supply.suspects, stays),
        replica_rps=supply.replica_rps,
        fastest_rps=supply.fastest_rps,
    )

"""The picture: what the assessing steps made of a snapshot, for the deciding ones. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heteroserve.decide.demand import estimate_demand
from heteroserve.decide.health import Health, assess_health
from heteroserve.decide.leaving import departures
from heteroserve.decide.supply import Supply, assess_supply
from heteroserve.decide.trust import Trust, assess_trust
from heteroserve.model.plan import Demand, Departure
from heteroserve.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A snapshot and what it means. `departing` are by pod UID, `trusts` by class."""

    snapshot: Snapshot
    health: Health
    departing: Mapping[str, Departure]
    supplies: tuple[Supply, ...]
    demand: Demand
    trusts: Mapping[str, Trust]

    @property
    def parts(self) -> dict[str, float]:
        """Each class's part of the traffic by a split that somebody set by hand; empty where nobody did."""
        return parts_by_hand(self.snapshot.deployment.manual_weights, nameable(self.supplies))

    @property
    def ready_rps(self) -> float:
        """What all ready replicas may carry together."""
        return sum(s.ready * s.replica_rps for s in self.supplies)

    @property
    def last_known_rps(self) -> float | None:
        """The demand, or the last one that was known."""
        return last_known_rps(self.snapshot, self.demand)

    @property
    def routed(self) -> dict[str, int]:
        """The weights of the route as it stands."""
        return dict(self.snapshot.route.weights) if self.snapshot.route else {}

    @property
    def programmed(self) -> dict[str, int]:
        """The weights that gateways may still follow: while one is behind, any class may have traffic."""
        if self.snapshot.route and self.snapshot.route.behind:
            return dict.fromkeys(self.snapshot.replicas, 1)
        return self.routed


def take(snapshot: Snapshot) -> Picture:
    """Assesses everything, decides nothing."""
    health = assess_health(snapshot)
    departing = departures(snapshot, health)
    supplies = assess_supply(snapshot, health, departing)
    ready_rps = sum(s.ready * s.replica_rps for s in supplies)
    demand = estimate_demand(snapshot, ready=sum(s.ready for s in supplies), ready_rps=ready_rps)
    return Picture(
        snapshot=snapshot,
        health=health,
        departing=departing,
        supplies=supplies,
        demand=demand,
        trusts=assess_trust(snapshot, supplies, last_known_rps(snapshot, demand)),
    )


def last_known_rps(snapshot: Snapshot, demand: Demand) -> float | None:
    """The demand, or the last one that was known."""
    return demand.rps if demand.rps is not None else snapshot.memory.demand_rps


def nameable(supplies: Iterable[Supply]) -> list[str]:
    """The classes that a route can name."""
    return [s.name for s in supplies if s.hardware and s.reachable]


def parts_by_hand(weights: Mapping[str, int], named: Iterable[str]) -> dict[str, float]:
    """Of the classes that a route can name those with a weight, and their parts, together 1."""
    given = {name: weight for name in named if (weight := weights.get(name, 0)) > 0}
    total = sum(given.values())
    return {name: weight / total for name, weight in given.items()}

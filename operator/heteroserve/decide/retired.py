"""Retired classes: those that were taken out of the spec and still have replicas. Pure.

They keep their share of the traffic until the listed classes carry the demand, then they are drained and forgotten.
What is left of a forgotten class is removed.
"""

from collections.abc import Mapping
from decimal import Decimal

from heteroserve.decide.health import Health
from heteroserve.decide.picture import Picture
from heteroserve.decide.supply import ready_pods, suspect_pods
from heteroserve.decide.traffic import Share
from heteroserve.model.plan import ClassPlan, Why
from heteroserve.model.snapshot import Snapshot


def unlisted(snapshot: Snapshot) -> list[str]:
    """Classes that have a Deployment and are not in the spec."""
    listed = {c.name for c in snapshot.deployment.classes}
    return sorted(set(snapshot.replicas) - listed)


def kept_retired(picture: Picture, weights: Mapping[str, int]) -> list[str]:
    """Those that still carry traffic, by our wish or by the route, or may be needed again."""
    snapshot, routed = picture.snapshot, picture.programmed
    needed = not _is_carried(picture)
    return [
        name
        for name in unlisted(snapshot)
        if weights[name] > 0 or routed.get(name, 0) > 0 or (needed and _may_help(name, picture))
    ]


def _is_carried(picture: Picture) -> bool:
    """Whether those that are listed are known to carry the demand; by hand, each its own part."""
    rps = picture.demand.rps
    if rps is None:
        return False
    if picture.snapshot.deployment.manual_weights:
        return all(s.ready * s.replica_rps >= rps * picture.parts.get(s.name, 0.0) for s in picture.supplies)
    return picture.ready_rps >= rps


def _may_help(name: str, picture: Picture) -> bool:
    """A split by hand may be changed again: what answers is kept although it has no part in it."""
    by_hand = picture.snapshot.deployment.manual_weights
    answering = ready_pods(picture.snapshot, picture.health, name) if by_hand else 0
    return answering + suspect_pods(picture.snapshot, picture.health, name) > 0


def share_of_retired(name: str, snapshot: Snapshot, health: Health, usual_rps: float) -> Share:
    """Its part in the traffic. Its profile is gone: a replica of it counts `usual_rps`."""
    return Share(
        name=name,
        ready=ready_pods(snapshot, health, name),
        suspects=suspect_pods(snapshot, health, name),
        replica_rps=usual_rps,
        fastest_rps=usual_rps,
    )


def plan_retired(name: str, snapshot: Snapshot, health: Health, weight: int) -> ClassPlan:
    """What there is of it, as it is."""
    hardware = snapshot.hardware.get(name)
    replicas = snapshot.replicas[name]
    return ClassPlan(
        name=name,
        replicas=replicas,
        weight=weight,
        ready=ready_pods(snapshot, health, name),
        replica_rps=0.0,
        cost_per_hour=(hardware.cost_per_hour if hardware else Decimal(0)) * replicas,
        why=Why.RETIRED,
        message="no longer in spec.classes: removed when the other classes carry the demand",
        render=False,
        retired=True,
        suspicions=health.suspicions(tuple(p for p in snapshot.pods if p.class_name == name)),
    )

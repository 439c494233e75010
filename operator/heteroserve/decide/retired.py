"""Retired classes: those that were taken out of the spec and still have replicas. Pure.

They keep their share of the traffic until the listed classes carry the demand, then they are drained and forgotten.
What is left of a forgotten class is removed.
"""

from decimal import Decimal

from heteroserve.decide.health import Health
from heteroserve.decide.supply import ready_pods, suspect_pods
from heteroserve.decide.traffic import Share
from heteroserve.model.plan import ClassPlan, Why
from heteroserve.model.snapshot import Snapshot


def unlisted(snapshot: Snapshot) -> list[str]:
    """Classes that have a Deployment and are not in the spec."""
    listed = {c.name for c in snapshot.deployment.classes}
    return sorted(set(snapshot.replicas) - listed)


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

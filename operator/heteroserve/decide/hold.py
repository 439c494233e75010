"""Holding: the plan that changes nothing, for a deployment that is paused and for a view that is in doubt. Pure.

It says what is there, classes that are no longer listed included, and is marked `held`: nothing but the status is
written of it. What serves goes on serving.
"""

from dataclasses import replace

from heteroserve.decide.health import Health
from heteroserve.decide.retired import plan_retired, unlisted
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import ClassPlan, Demand, Plan, Why
from heteroserve.model.snapshot import Snapshot


def as_it_is(snapshot: Snapshot, supplies: tuple[Supply, ...], health: Health, demand: Demand) -> Plan:
    """The plan that keeps everything: because it is paused, or because of a doubt."""
    paused = "spec.paused is true" if snapshot.deployment.paused else snapshot.paused
    why, message = (Why.PAUSED, paused) if paused else (Why.DOUBT, health.doubt)
    routed = snapshot.route.weights if snapshot.route else {}
    listed = (_keep(s, snapshot, routed.get(s.name, 0), why, message) for s in supplies)
    others = (plan_retired(name, snapshot, health, routed.get(name, 0)) for name in unlisted(snapshot))
    return Plan(
        classes=(*listed, *(replace(c, why=why, message=message) for c in others)),
        demand=demand,
        held=True,
        doubt=health.doubt,
    )


def _keep(supply: Supply, snapshot: Snapshot, weight: int, why: Why, message: str) -> ClassPlan:
    replicas = snapshot.replicas.get(supply.name, 0)
    return ClassPlan(
        name=supply.name,
        replicas=replicas,
        weight=weight,
        ready=supply.answering,
        replica_rps=supply.replica_rps,
        cost_per_hour=supply.price * replicas,
        why=why,
        message=message,
        usable=supply.effective(max(0, replicas - len(supply.departures))),
        limit=why,
        limit_message=message,
        pending=snapshot.memory.pending.get(supply.name),
        render=False,
        reachable=supply.reachable,
        suspicions=supply.suspicions,
        departures=supply.departures,
        recovery=snapshot.memory.recoveries.get(supply.name),
    )

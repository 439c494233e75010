"""Holding: the plan that changes nothing, for a deployment that is paused and for a view that is in doubt. Pure.

It says what is there, classes that are no longer listed included, and is marked `held`: nothing but the status is
written of it. What serves goes on serving. Where both hold, the pause is what is told of the classes, for it stays when
the doubt is over; `Plan.doubt` tells the other.

A pause changes nothing of what we see: who fails meanwhile has to earn trust again. A view in doubt is not believed, so
nobody's trust follows from it.
"""

from dataclasses import replace

from heteroserve.decide.explain import FROZEN, PAUSED, record_freeze
from heteroserve.decide.picture import Picture
from heteroserve.decide.retired import plan_retired, unlisted
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import ClassPlan, Plan, Why
from heteroserve.model.snapshot import Recovery


def as_it_is(picture: Picture) -> Plan:
    """The plan that keeps everything: because it is paused, or because of a doubt."""
    snapshot, health = picture.snapshot, picture.health
    paused = "spec.paused is true" if snapshot.deployment.paused else snapshot.paused
    why, message = (Why.PAUSED, paused) if paused else (Why.DOUBT, health.doubt)
    listed = (_keep(s, picture, why, message) for s in picture.supplies)
    others = (plan_retired(name, snapshot, health, _share(name, picture)) for name in unlisted(snapshot))
    return Plan(
        classes=(*listed, *(replace(c, why=why, message=message) for c in others)),
        demand=picture.demand,
        decisions=record_freeze(snapshot, PAUSED if paused else FROZEN, message),
        held=True,
        doubt=health.doubt,
    )


def _keep(supply: Supply, picture: Picture, why: Why, message: str) -> ClassPlan:
    replicas = picture.snapshot.replicas.get(supply.name, 0)
    return ClassPlan(
        name=supply.name,
        replicas=replicas,
        weight=_share(supply.name, picture),
        ready=supply.answering,
        replica_rps=supply.replica_rps,
        cost_per_hour=supply.price * replicas,
        why=why,
        message=message,
        usable=supply.effective(max(0, replicas - len(supply.departures))),
        limit=why,
        limit_message=message,
        pending=picture.snapshot.memory.pending.get(supply.name),
        render=False,
        reachable=supply.reachable,
        suspicions=supply.suspicions,
        departures=supply.departures,
        recovery=_recovery(supply.name, picture),
    )


def _share(class_name: str, picture: Picture) -> int:
    """What the status said last, as long as the routes may be meant by it: their own weights are not the shares."""
    told, routed = picture.snapshot.memory.weights, picture.routed
    meant = {name for name, weight in told.items() if weight} == {name for name, weight in routed.items() if weight}
    return (told if meant else routed).get(class_name, 0)


def _recovery(class_name: str, picture: Picture) -> Recovery | None:
    if picture.health.doubt:
        return picture.snapshot.memory.recoveries.get(class_name)
    return picture.trusts[class_name].recovery

"""When the operator first showed that something is wrong, and by what: a status or an Event. Pure.

Not everything that it tells after a fault is about the fault. A sign counts when it names what was struck (the class, a
pod, a node) or when its reason is one of the few that are about failures alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kit.bench.history import OURS, History, Seen
from kit.bench.victim import Victim

JSON = dict[str, Any]

FAILURES = frozenset(
    {
        "ClassesDegraded",
        "ContainerCrashed",
        "FailingOver",
        "ModelNotAnswering",
        "MovingAway",
        "NoReadyReplica",
        "NoUsableNodes",
        "PodsFailing",
        "PodsInTrouble",
        "PodsSuspect",
        "ViewInDoubt",
    }
)
"""Reasons that count whomever they name."""

WELL_AGAIN = "Recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Something that was told: as it is kept, its reason, and the words that name what it is about."""

    told: str
    reason: str
    about: str


def suspicion(
    history: History, victim: Victim, fault_at: float, signs: tuple[str, ...] = ()
) -> tuple[float | None, str]:
    """The first sign. ``signs``: how those begin that alone tell of this fault, whomever they name."""
    found = sorted((at, sign.told) for at, sign in _new(history, fault_at) if _is_about(sign, victim, signs))
    return found[0] if found else (None, "")


def _is_about(sign: Sign, victim: Victim, signs: tuple[str, ...]) -> bool:
    if signs:
        return sign.told.startswith(signs)
    if sign.reason.endswith(WELL_AGAIN):
        return False
    names = [victim.class_name, *victim.nodes, *(pod.name for pod in victim.pods)]
    return sign.reason in FAILURES or any(_names(sign.about, name) for name in names if name)


def _names(words: str, name: str) -> bool:
    """Whole names only: `worker` is no part of `worker3`."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words) is not None


def _new(history: History, fault_at: float) -> Iterator[tuple[float, Sign]]:
    """What was first told after the fault."""
    earlier = [seen for seen in history.deployments if seen.at < fault_at]
    if earlier:
        told = {sign.told for sign in _statements(earlier[-1].body)}
        for seen in history.deployments[len(earlier) :]:
            yield from ((seen.at, sign) for sign in _statements(seen.body) if sign.told not in told)
    old = {seen.body.get("metadata", {}).get("name") for seen in history.events if seen.at < fault_at} - {None}
    for seen in history.events:
        if seen.at >= fault_at and _is_new(seen, old, fault_at):
            reason, note = seen.body["reason"], seen.body.get("note", "")
            yield seen.at, Sign(told=f"Event {reason}: {note}", reason=reason, about=note)


def _is_new(seen: Seen, old: set[str], fault_at: float) -> bool:
    """An Event of ours from after the fault: a watch that begins anew tells the old ones again."""
    body = seen.body
    made = body.get("eventTime")
    before = made is not None and datetime.fromisoformat(made).timestamp() < fault_at
    again = body.get("metadata", {}).get("name") in old
    return body.get("reportingController") == OURS and not (seen.gone or before or again)


def _statements(deployment: JSON) -> Iterator[Sign]:
    """What a status says that changes only when something happens: no demand, no figures."""
    status = deployment.get("status", {})
    for d in reversed(status.get("decisions", ())):
        about = f"{d.get('class', '')} {d.get('message', '')}"
        told = f"decision {d['reason']} at {d['time']}: {d.get('class', '')} {d.get('to', '')}"
        yield Sign(told=told, reason=d["reason"], about=about)
    for c in status.get("conditions", ()):
        told = f"condition {c['type']}={c['status']} {c['reason']}"
        yield Sign(told=told, reason=c["reason"], about=c.get("message", ""))
    for c in status.get("classes", ()):
        yield Sign(told=f"{c['name']}: {c.get('ready', 0)} ready", reason="", about=c["name"])

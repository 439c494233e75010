"""Sequence: the order in which replicas may go.

Pure. First the traffic, then the replica:
- a class loses its last replica only after the route was seen without traffic for it: a class with no endpoint at all
  is answered 503 for its share, whatever the gateway retries;
- of several, those that are to go are chosen here and told so: by halves Services stop leading to them, and Kubernetes
  takes them first. The number goes down when they have answered what they had, or had long enough for that.

A pod that is chosen stays chosen, and is back in the traffic at once when it is needed after all.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from heteroserve.decide.health import is_unheard
from heteroserve.decide.picture import Picture
from heteroserve.decide.stabilise import Settled
from heteroserve.decide.supply import answering_pods
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import InFlight, Pod

DRAIN_SECONDS = 30.0
"""As long as a replica is waited for that still answers, or of which nothing is known."""

LATE_SECONDS = 60.0
"""In less than this Kubernetes has done what it was told."""

STEP_SECONDS = 5.0
"""Between the halves of those that go: time to see whether the others bear it."""

PROPAGATION_SECONDS = 1.0
"""A gateway knows of a pod that is out after less than half of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Replicas for now, and the pods that are to go (UIDs); others stay told that they are the `first` to."""

    settled: Settled
    going: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()


def drain_before_removal(name: str, wish: Settled, picture: Picture) -> Step:
    """How far the class's wish for fewer replicas may come true in this cycle."""
    snapshot = picture.snapshot
    current = snapshot.replicas.get(name, 0)
    if any(p.class_name == name and is_unheard(p, snapshot) for p in snapshot.pods):
        return _stand_still(name, wish, picture, "as before the restart, until its pods are heard of")
    if wish.replicas == 0 < current and picture.programmed.get(name, 0) > 0:
        return _stand_still(name, wish, picture, _why_traffic_stays(name, picture))
    if wish.replicas < current and _is_at_work(name, current, picture):
        return _stand_still(name, wish, picture, f"{wish.message}; when Kubernetes has done what it was told before")
    chosen = _choose(name, wish.replicas, current, picture)
    going = _next_step(chosen, picture)
    waiting = [p for p in chosen if not _is_drained(p, snapshot.in_flight.get(p.uid), snapshot.now)]
    settled = wish
    if waiting and wish.replicas < current:
        names = ", ".join(sorted(p.name for p in waiting))
        settled = _hold(wish, current, f"{wish.message}; what they have is answered first: {names}")
    return Step(
        settled=settled, going=frozenset(p.uid for p in going), first=frozenset(p.uid for p in chosen if p not in going)
    )


def _next_step(chosen: list[Pod], picture: Picture) -> list[Pod]:
    """Those of the chosen that leave the traffic now: by halves, each when the one before is out and nothing errs."""
    snapshot = picture.snapshot
    out = [p for p in chosen if p.mark.out_since is not None or not p.ready]
    serving = [p for p in chosen if p not in out]
    latest = max((p.mark.out_since for p in out if p.mark.out_since), default=None)
    settling = latest is not None and (snapshot.now - latest).total_seconds() < STEP_SECONDS
    errs = any(p.class_name in snapshot.erring for p in serving)
    return out if settling or (out and errs) else [*out, *serving[: math.ceil(len(serving) / 2)]]


def _why_traffic_stays(name: str, picture: Picture) -> str:
    if picture.snapshot.deployment.manual_weights.get(name):
        return "its last replica stays while spec.traffic.weights gives it a part: take it out there"
    return "its traffic is taken away first, its last replica after"


def _is_at_work(name: str, current: int, picture: Picture) -> bool:
    """Whether those that were told to go may be those of the number before: it must not go down for them twice."""
    there = [p for p in picture.snapshot.pods if p.class_name == name and not p.terminating]
    told = any(_was_told_lately(p, picture.snapshot.now) for p in there)
    return told and name in picture.snapshot.rolling and len(there) > current


def _was_told_lately(pod: Pod, now: datetime) -> bool:
    """Of a rollout that is stuck, there are as many too many for ever: that is not Kubernetes being late."""
    since = pod.mark.out_since
    return pod.mark.goes_first and since is not None and (now - since).total_seconds() < LATE_SECONDS


def _stand_still(name: str, wish: Settled, picture: Picture, message: str) -> Step:
    """The number as it is, and everybody told what he was told."""
    told = [p for p in picture.snapshot.pods if p.class_name == name and p.mark.goes_first]
    return Step(
        settled=_hold(wish, picture.snapshot.replicas.get(name, 0), message),
        going=frozenset(p.uid for p in told if p.mark.out_since is not None),
        first=frozenset(p.uid for p in told),
    )


def _hold(wish: Settled, current: int, message: str) -> Settled:
    return replace(wish, replicas=current, why=Why.DRAINING, message=message)


def _choose(name: str, wanted: int, current: int, picture: Picture) -> list[Pod]:
    """The pods that are too many, in Kubernetes' own order as far as it has one; those it was told of before.

    It takes for ready what it has not missed yet: who does not answer us goes before who does.
    """
    snapshot, departing = picture.snapshot, picture.departing
    answering = {p.uid for p in answering_pods(snapshot, picture.health, name)}
    pods = [p for p in snapshot.pods if p.class_name == name and not p.terminating]
    shrinks = wanted < current
    # a new template's, and none too many
    surge = max(0, len(pods) - current) if shrinks and name in snapshot.rolling else 0
    crowded = Counter(p.node for p in pods)
    # once the number is down Kubernetes acts on what it was told: nobody else is chosen meanwhile, nor let go
    candidates = pods if shrinks else [p for p in pods if p.mark.goes_first and p.mark.out_since is not None]
    candidates.sort(
        key=lambda p: (
            p.node is not None,
            p.ready,
            p.uid in answering,
            p.uid not in departing,
            not p.mark.goes_first,
            p.mark.out_since is None,
            -crowded[p.node],
            p.name,
        )
    )
    return candidates[: max(0, len(pods) - surge - wanted)]


def _is_drained(pod: Pod, in_flight: InFlight | None, now: datetime) -> bool:
    """Whether it has nothing left to answer, by Triton's own word of after it was taken out, or after long enough."""
    if not pod.ready:
        return True
    if pod.mark.out_since is None:
        return False
    out_seconds = (now - pod.mark.out_since).total_seconds()
    if out_seconds >= DRAIN_SECONDS:
        return True
    told = in_flight is not None and in_flight.age_seconds < out_seconds - PROPAGATION_SECONDS
    return told and in_flight is not None and in_flight.requests == 0

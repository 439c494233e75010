"""Marks: what each pod is to be told, on the pod itself. Pure.

Out of the traffic is what is on its way out, and what is not trusted: a gateway does not see a broken device, and sees
a silent pod late while its checks are slow (Envoy's are, for the first minute of a route). The latter only while others
answer: better a doubtful answer than none. First to go is what is on its way out, and what others were asked for in
place of.
"""

from collections.abc import Collection, Mapping

from heteroserve.decide.health import State, Witness, is_unheard
from heteroserve.decide.picture import Picture
from heteroserve.decide.trust import share
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark, Pod, Snapshot


def new_marks(
    picture: Picture, weights: Mapping[str, int], *, going: Collection[str], first: Collection[str]
) -> tuple[PodMark, ...]:
    """The marks that are not as they should be, of listed classes, by UID.

    `going` pods are on their way out; they and others are the `first` to go.
    """
    snapshot = picture.snapshot
    # who has no part in the traffic answers nothing in anybody's place
    others_answer = any(s.routable and weights.get(s.name, 0) > 0 for s in picture.supplies)
    listed = {c.name for c in snapshot.deployment.classes}
    found = []
    for pod in snapshot.pods:
        if pod.class_name not in listed or pod.terminating:
            continue
        out = pod.uid in going or (others_answer and _is_better_left_out(pod, picture))
        mark = _mark(pod, snapshot, out=out, goes_first=pod.uid in first)
        if mark != pod.mark:
            found.append(PodMark(pod=pod.name, uid=pod.uid, mark=mark))
    return tuple(found)


def _is_better_left_out(pod: Pod, picture: Picture) -> bool:
    """Whether others should answer in its place: it is not trusted, or was not and has to earn that.

    Our own prober alone takes nobody out whom the others cannot replace: the gateway has checks of its own.
    """
    verdict = picture.health.pods[pod.uid]
    if not verdict.healthy:
        departure = picture.departing.get(pod.uid)
        doubtful = verdict.state is State.SUSPECT and verdict.witnesses == (Witness.PROBE,)
        return not doubtful or (departure is not None and departure.lost) or _is_carried(picture)
    if pod.mark.out_since is None:
        return False
    return is_unheard(pod, picture.snapshot) or (_earns_trust(pod, picture) and _is_carried(picture))


def _is_carried(picture: Picture) -> bool:
    """Whether those that are trusted carry the demand without it, at full use, as far as that is known."""
    at_full_use = picture.snapshot.deployment.scaling.target_utilisation
    return picture.demand.rps is None or picture.ready_rps >= picture.demand.rps * at_full_use


def _earns_trust(pod: Pod, picture: Picture) -> bool:
    """Whether its class came back too short a time ago: a Service sends as much to it as to the others of the class."""
    recovery = picture.trusts[pod.class_name].recovery
    return recovery is not None and recovery.setbacks > 0 and share(recovery, picture.snapshot.now) == 0


def _mark(pod: Pod, snapshot: Snapshot, *, out: bool, goes_first: bool) -> Mark:
    since = min(pod.mark.out_since or snapshot.now, snapshot.now) if out else None
    return Mark(out_since=since, goes_first=goes_first)

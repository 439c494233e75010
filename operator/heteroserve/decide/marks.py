"""Marks: what each pod is to be told, on the pod itself. Pure.

Out of the traffic is what is on its way out, and what is not trusted: a gateway does not see a broken device, and sees
a silent pod late while its checks are slow (Envoy's are, for the first minute of a route). The latter only while others
answer: better a doubtful answer than none. First to go is what is on its way out, and what others were asked for in
place of.
"""

from collections.abc import Collection, Mapping

from heteroserve.decide.health import State, Witness, is_unheard
from heteroserve.decide.picture import Picture
from heteroserve.decide.supply import answering_pods
from heteroserve.decide.trust import share
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark, Pod, Snapshot


def new_marks(
    picture: Picture, weights: Mapping[str, int], *, going: Collection[str], first: Collection[str]
) -> tuple[PodMark, ...]:
    """The marks that are not as they should be, of listed classes, by UID.

    `going` pods are on their way out; they and others are the `first` to go.
    """
    snapshot, stay = picture.snapshot, _staying(picture, going)
    # who has no part in the traffic answers nothing in anybody's place
    others_answer = any(stay[s.name] and weights.get(s.name, 0) > 0 for s in picture.supplies)
    found = []
    for pod in snapshot.pods:
        if pod.class_name not in stay or pod.terminating:
            continue
        out = others_answer and (pod.uid in going or _is_better_left_out(pod, picture, stay))
        mark = _mark(pod, snapshot, out=out, goes_first=pod.uid in first)
        if mark != pod.mark:
            found.append(PodMark(pod=pod.name, uid=pod.uid, mark=mark))
    return tuple(found)


def _staying(picture: Picture, going: Collection[str]) -> dict[str, int]:
    """How many of each listed class are trusted, in the traffic, and are to stay there."""
    snapshot, health = picture.snapshot, picture.health
    pods = {s.name: answering_pods(snapshot, health, s.name) if s.reachable else () for s in picture.supplies}
    return {name: sum(p.mark.out_since is None and p.uid not in going for p in there) for name, there in pods.items()}


def _is_better_left_out(pod: Pod, picture: Picture, stay: Mapping[str, int]) -> bool:
    """Whether others should answer in its place: it is not trusted, or was not and has to earn that.

    Our own prober alone takes nobody out whom the others cannot replace: the gateway has checks of its own.
    """
    verdict = picture.health.pods[pod.uid]
    if not verdict.healthy:
        doubtful = verdict.state is State.SUSPECT and verdict.witnesses == (Witness.PROBE,)
        return not doubtful or _is_given_up(pod, picture, stay) or _is_carried(pod, picture, stay)
    if pod.mark.out_since is None:
        return False
    return is_unheard(pod, picture.snapshot) or (_earns_trust(pod, picture) and _is_carried(pod, picture, stay))


def _is_given_up(pod: Pod, picture: Picture, stay: Mapping[str, int]) -> bool:
    """Whether it is being replaced as lost; by hand, only another of its class answers in its place."""
    departure = picture.departing.get(pod.uid)
    return (
        departure is not None and departure.lost and (pod.class_name not in picture.parts or stay[pod.class_name] > 0)
    )


def _is_carried(pod: Pod, picture: Picture, stay: Mapping[str, int]) -> bool:
    """Whether those that stay carry the last known demand without it, at full use; by hand, those of its class."""
    rps = picture.last_known_rps
    if rps is None:
        return False
    needed_rps = rps * picture.snapshot.deployment.scaling.target_utilisation
    part = picture.parts
    carried_rps = {s.name: stay[s.name] * s.replica_rps for s in picture.supplies}
    if pod.class_name in part:
        return stay[pod.class_name] > 0 and carried_rps[pod.class_name] >= needed_rps * part[pod.class_name]
    return bool(part) or sum(carried_rps.values()) >= needed_rps


def _earns_trust(pod: Pod, picture: Picture) -> bool:
    """Whether its class came back too short a time ago: a Service sends as much to it as to the others of the class."""
    recovery = picture.trusts[pod.class_name].recovery
    return recovery is not None and recovery.setbacks > 0 and share(recovery, picture.snapshot.now) == 0


def _mark(pod: Pod, snapshot: Snapshot, *, out: bool, goes_first: bool) -> Mark:
    since = min(pod.mark.out_since or snapshot.now, snapshot.now) if out else None
    return Mark(out_since=since, goes_first=goes_first)

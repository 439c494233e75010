"""Marks: what each pod is to be told, on the pod itself. Pure.

Out of the traffic is what is on its way out, and what is not trusted: a gateway does not see a broken device, and sees
a silent pod late while its checks are slow (Envoy's are, for the first minute of a route). The latter only while others
answer: better a doubtful answer than none. First to go is what is on its way out, and what others were asked for in
place of.
"""

from collections.abc import Collection

from heteroserve.decide.picture import Picture
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark, Pod, Snapshot


def new_marks(picture: Picture, *, going: Collection[str], first: Collection[str]) -> tuple[PodMark, ...]:
    """The marks that are not as they should be, of listed classes, by UID.

    `going` pods are on their way out; they and others are the `first` to go.
    """
    snapshot, others_answer = picture.snapshot, any(s.ready for s in picture.supplies)
    listed = {c.name for c in snapshot.deployment.classes}
    found = []
    for pod in snapshot.pods:
        if pod.class_name not in listed or pod.terminating:
            continue
        out = pod.uid in going or (others_answer and not picture.health.trusts(pod))
        mark = _mark(pod, snapshot, out=out, goes_first=pod.uid in first)
        if mark != pod.mark:
            found.append(PodMark(pod=pod.name, uid=pod.uid, mark=mark))
    return tuple(found)


def _mark(pod: Pod, snapshot: Snapshot, *, out: bool, goes_first: bool) -> Mark:
    since = (pod.mark.out_since or snapshot.now) if out else None
    return Mark(out_since=since, goes_first=goes_first)

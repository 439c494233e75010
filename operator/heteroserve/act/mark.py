"""Marking: tells Kubernetes what a pod is to be told. Small patches of a label and two annotations, never of a spec.

Invariants: only the pod that was meant is marked, by its UID; one that is gone needs no mark. Some are marked at a
time: a class that comes back with many pods waits for a few answers, and an API server that is away is asked once.
"""

import asyncio

from heteroserve import kube
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kube, Object
from heteroserve.model.outcome import Refusal
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark
from heteroserve.observe.store import Store
from heteroserve.render.metadata import DELETION_COST_ANNOTATION, GOES_FIRST, OUT_SINCE_ANNOTATION, SERVING_LABEL

AT_A_TIME = 16


async def mark_pods(api: Kube, store: Store, namespace: str, marks: tuple[PodMark, ...]) -> Refusal | None:
    """Marks the pods; returns why one could not be marked. Raises `Retry` when the API server does not answer."""
    refusal = None
    for first in range(0, len(marks), AT_A_TIME):
        some = (_mark(api, store, namespace, wanted) for wanted in marks[first : first + AT_A_TIME])
        for answer in await asyncio.gather(*some, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            refusal = refusal or answer
    return refusal


async def _mark(api: Kube, store: Store, namespace: str, wanted: PodMark) -> Refusal | None:
    try:
        changes = as_metadata(wanted.mark)
        pod = await api.merge_metadata(kube.POD, namespace, wanted.pod, changes, uid=wanted.uid)
    except Reject as error:
        return Refusal(reason=error.reason, message=error.message)
    except Retry as error:
        if error.reason not in {"Conflict", "NotFound"}:
            raise
        return None
    store.put(kube.POD, pod)
    return None


def as_metadata(mark: Mark) -> Object:
    """The label and annotations that say so; `None` takes one away."""
    out = mark.out_since
    return {
        "labels": {SERVING_LABEL: "true" if out is None else "false"},
        "annotations": {
            OUT_SINCE_ANNOTATION: None if out is None else out.strftime("%Y-%m-%dT%H:%M:%SZ"),
            DELETION_COST_ANNOTATION: GOES_FIRST if mark.goes_first else None,
        },
    }

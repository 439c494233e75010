"""Marking: tells Kubernetes what a pod is to be told. Small patches of a label and two annotations, never of a spec.

Invariant: only the pod that was meant is marked, by its UID; one that is gone needs no mark.
"""

from heteroserve import kube
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kube, Object
from heteroserve.model.outcome import Refusal
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark
from heteroserve.observe.store import Store
from heteroserve.render.metadata import DELETION_COST_ANNOTATION, GOES_FIRST, OUT_SINCE_ANNOTATION, SERVING_LABEL


async def mark_pods(api: Kube, store: Store, namespace: str, marks: tuple[PodMark, ...]) -> Refusal | None:
    """Marks the pods; returns why one could not be marked. Raises `Retry` when the API server does not answer."""
    refusal = None
    for wanted in marks:
        try:
            changes = as_metadata(wanted.mark)
            pod = await api.merge_metadata(kube.POD, namespace, wanted.pod, changes, uid=wanted.uid)
        except Reject as error:
            refusal = refusal or Refusal(reason=error.reason, message=error.message)
        except Retry as error:
            if error.reason not in {"Conflict", "NotFound"}:
                raise
        else:
            store.put(kube.POD, pod)
    return refusal


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

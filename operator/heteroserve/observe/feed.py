"""From events to keys: keeps the store, and says whose reconcile an event is a reason for.

An event carries a key, never data to decide from: decisions see the store, and a LIST repairs it twice a minute.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial

from heteroserve import kube
from heteroserve.kube import Kind, Kube, Object
from heteroserve.model.deployment import Key
from heteroserve.observe.store import Store, name_of, read
from heteroserve.render.metadata import DEPLOYMENT_LABEL
from heteroserve.wake import Call, Subject

Ring = Callable[[Subject, Call], None]
"""Takes a subject, and why it is rung for."""


class Feed:
    """Takes in what the cluster says. `ring(subject, call)` is called for everybody concerned."""

    def __init__(self, store: Store, ring: Ring) -> None:
        self._store = store
        self._ring = ring

    def event(self, kind: Kind, event_type: str | None, raw: Object) -> None:
        """One watch event."""
        learn = self._store.remove if event_type == "DELETED" else self._store.put
        if learn(kind, raw):
            call = Call.FAILURE if kind in {kube.NODE, kube.POD} else Call.CHANGE
            for subject in self._concerned(kind, raw):
                self._ring(subject, call)

    async def resync(self, api: Kube, kind: Kind) -> None:
        """Lists a kind anew and rings for what changed unnoticed. Raises `Retry` when the API server is away."""
        before = self._store.names(kind)
        changed = self._store.replace(kind, await api.list(kind, partial(read, kind)), before)
        if changed:
            self.everybody(Call.CHANGE)
        if kind is kube.INFERENCE_DEPLOYMENT:  # what is gone is nobody any more, and is rung for all the same
            for name in set(changed) - self._store.names(kind):
                self._ring(subject_of(kind, *name), Call.CHANGE)

    def everybody(self, call: Call) -> None:
        """Rings for every object that is reconciled."""
        for subject in self.subjects():
            self._ring(subject, call)

    def standing_on(self, nodes: Collection[str]) -> None:
        """Rings for every deployment with a pod on one of these nodes: something was found out about them."""
        for key in self._store.wishes():
            if any(pod.node in nodes for pod in self._store.pods(key)):
                self._ring(subject_of(kube.INFERENCE_DEPLOYMENT, key.namespace, key.name), Call.FAILURE)

    def subjects(self) -> list[Subject]:
        """Every object that is reconciled."""
        return [
            subject_of(kind, *name)
            for kind in (kube.INFERENCE_DEPLOYMENT, kube.HARDWARE_CLASS)
            for name in sorted(self._store.names(kind))
        ]

    def _concerned(self, kind: Kind, raw: Object) -> Iterable[Subject]:
        if kind is kube.INFERENCE_DEPLOYMENT:
            return [subject_of(kind, *name_of(raw))]
        if not kind.namespaced:
            return self.subjects()  # a node or a hardware class may concern anybody
        owner = raw["metadata"].get("labels", {}).get(DEPLOYMENT_LABEL)
        return [subject_of(kube.INFERENCE_DEPLOYMENT, raw["metadata"]["namespace"], owner)] if owner else []


def subject_of(kind: Kind, namespace: str, name: str) -> Subject:
    """The subject of an object."""
    return Subject(kind=kind.kind, namespace=namespace, name=name)


def key_of(subject: Subject) -> Key:
    """The key of an InferenceDeployment's subject."""
    return Key(namespace=subject.namespace, name=subject.name)

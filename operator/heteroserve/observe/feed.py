"""From events to keys: keeps the store, and says whose reconcile an event is a reason for.

An event carries a key, never data to decide from: decisions see the store, and a LIST repairs it twice a minute.

Invariant: only what got worse is rung for as a failure, and only for whom it may have hit: those who stand on the node,
or whose pod it is. All others, and all that is new or better, can wait for their turn.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from heteroserve import kube
from heteroserve.kube import Kind, Kube, Object
from heteroserve.model.deployment import Key
from heteroserve.model.fleet import Node
from heteroserve.model.snapshot import Pod
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
        name = name_of(raw)
        before = self._store.get(kind, name)
        learn = self._store.remove if event_type == "DELETED" else self._store.put
        if not learn(kind, raw):
            return
        worse = got_worse(before, self._store.get(kind, name))
        if worse and kind is kube.NODE:
            self.standing_on({name[1]}, Call.FAILURE)
        call = Call.FAILURE if worse and kind is kube.POD else Call.CHANGE
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

    def standing_on(self, nodes: Collection[str], call: Call) -> None:
        """Rings for every deployment with a pod on one of these nodes: something was found out about them."""
        for key in self._store.wishes():
            if any(pod.node in nodes for pod in self._store.pods(key)):
                self._ring(subject_of(kube.INFERENCE_DEPLOYMENT, key.namespace, key.name), call)

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


def got_worse(before: Any, after: Any) -> bool:
    """Whether a node or a pod may have failed, by the facts of before and after; `None`: it was or is not there."""
    match before:
        case Node():
            return after is None or not _against(after) <= _against(before) or _has_fewer_devices(before, after)
        case Pod():
            return _serves(before) and not _serves(after)
    return False


def _against(node: Node) -> set[object]:
    """All that is said against a node, by Kubernetes or people. Conditions may be anything: any class may mind them."""
    flags = {
        "NotReady": not node.ready,
        "cordoned": node.cordoned,
        "deleting": node.deleting,
        "evacuate": node.evacuate,
        "drill": node.drill_until is not None,
    }
    return {*(name for name, is_so in flags.items() if is_so), *node.taints, *node.true_conditions}


def _has_fewer_devices(before: Node, after: Node) -> bool:
    return any(after.allocatable.get(resource, 0) < number for resource, number in before.allocatable.items())


def _serves(pod: Pod | None) -> bool:
    """Whether Services lead to it, and rightly: what was taken out of the traffic before is missed by nobody."""
    if pod is None or pod.mark.out_since is not None:
        return False
    return pod.ready and not pod.terminating and not pod.device_unhealthy


def subject_of(kind: Kind, namespace: str, name: str) -> Subject:
    """The subject of an object."""
    return Subject(kind=kind.kind, namespace=namespace, name=name)


def key_of(subject: Subject) -> Key:
    """The key of an InferenceDeployment's subject."""
    return Key(namespace=subject.namespace, name=subject.name)

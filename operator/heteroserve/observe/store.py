"""The store: what we know of the cluster, filled by events and rebuilt from a LIST twice a minute.

Invariants: an older version of an object never replaces a newer one (by resourceVersion, same UID); what a LIST does
not contain is gone, unless it was learned of after that LIST was asked for; no LIST brings back what was removed
before it came. `put` and `remove` say whether any *fact* changed, so that heartbeats wake nobody. Nothing here waits or
asks; losing all of it costs one LIST.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from heteroserve import kube
from heteroserve.kube import Kind, Object
from heteroserve.model.deployment import InferenceDeployment, Key
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.snapshot import Memory, Pod
from heteroserve.observe.parse import parse_node, parse_pod
from heteroserve.observe.parse_api import parse_deployment, parse_hardware_class, parse_memory
from heteroserve.render.metadata import DEPLOYMENT_LABEL

Name = tuple[str, str]
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An InferenceDeployment as it stands: parsed, with what its status remembers and says."""

    deployment: InferenceDeployment
    memory: Memory
    status: Object
    deleting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A HardwareClass as it stands."""

    hardware: HardwareClass
    uid: str
    generation: int
    status: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An object of our own kinds that does not parse (a CRD of another version let it in)."""

    uid: str
    generation: int
    message: str
    status: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fact, and which version of which object it came from."""

    uid: str
    version: int
    fact: Any
    owner: Key | None


class Store:
    """Facts by kind and name, and by owning InferenceDeployment."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[Name, Entry]] = defaultdict(dict)
        self._owned: dict[tuple[str, Key], set[Name]] = defaultdict(set)
        self._removed: dict[str, set[str]] = defaultdict(set)
        """UIDs by kind, since the last LIST: it may have been answered before, and nobody comes back under his UID."""
        self.absent: set[str] = set()
        self.revision: dict[str, int] = defaultdict(int)

    def put(self, kind: Kind, raw: Object) -> bool:
        """Learns an object; true when a fact changed."""
        return self._learn(kind, *read(kind, raw))

    def _learn(self, kind: Kind, name: Name, entry: Entry) -> bool:
        old = self._entries[kind.kind].get(name)
        if old is not None and old.uid == entry.uid and old.version > entry.version:
            return False
        self._drop(kind, name)
        self._entries[kind.kind][name] = entry
        if entry.owner:
            self._owned[kind.kind, entry.owner].add(name)
        changed = old is None or old.uid != entry.uid or old.fact != entry.fact
        self.revision[kind.kind] += changed
        return changed

    def remove(self, kind: Kind, raw: Object) -> bool:
        """Forgets an object, unless another of the same name took its place."""
        name, uid = name_of(raw), raw["metadata"].get("uid", "")
        self._removed[kind.kind].add(uid)
        old = self._entries[kind.kind].get(name)
        if old is None or old.uid != uid:
            return False
        self._drop(kind, name)
        self.revision[kind.kind] += 1
        return True

    def replace(self, kind: Kind, objects: Iterable[tuple[Name, Entry]] | None, before: frozenset[Name]) -> list[Name]:
        """Makes a LIST the truth, of which `read` read every object; returns the names whose facts changed.

        `before` are the names known when the LIST was asked for: what was learned meanwhile is kept, and what was
        removed meanwhile stays so.
        """
        self.absent.discard(kind.kind)
        if objects is None:
            self.absent.add(kind.kind)
        listed = dict(objects or ())
        gone = [name for name in before if name not in listed and name in self._entries[kind.kind]]
        for name in gone:
            self._drop(kind, name)
        self.revision[kind.kind] += len(gone)
        removed = self._removed.pop(kind.kind, set())
        there = {name: entry for name, entry in listed.items() if entry.uid not in removed}
        return gone + [name for name, entry in there.items() if self._learn(kind, name, entry)]

    def names(self, kind: Kind) -> frozenset[Name]:
        """Names of all known objects of a kind."""
        return frozenset(self._entries[kind.kind])

    def get(self, kind: Kind, name: Name) -> Any:
        """The fact of one object, or `None`."""
        entry = self._entries[kind.kind].get(name)
        return entry.fact if entry else None

    def facts(self, kind: Kind) -> Iterator[Any]:
        """All facts of a kind."""
        return (entry.fact for entry in self._entries[kind.kind].values())

    def owned(self, kind: Kind, owner: Key) -> list[Any]:
        """The facts of the objects that carry an InferenceDeployment's label."""
        entries = self._entries[kind.kind]
        return [entries[name].fact for name in sorted(self._owned.get((kind.kind, owner), ()))]

    def wishes(self) -> dict[Key, Wish]:
        """All InferenceDeployments that could be read."""
        return {f.deployment.key: f for f in self.facts(kube.INFERENCE_DEPLOYMENT) if isinstance(f, Wish)}

    def hardware(self) -> dict[str, HardwareClass]:
        """All HardwareClasses that could be read."""
        return {f.hardware.name: f.hardware for f in self.facts(kube.HARDWARE_CLASS) if isinstance(f, Hardware)}

    def unreadable_hardware(self) -> dict[str, str]:
        """The other HardwareClasses, and what is wrong with them."""
        entries = self._entries[kube.HARDWARE_CLASS.kind].items()
        return {name: e.fact.message for (_, name), e in entries if isinstance(e.fact, Unreadable)}

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, by name."""
        return tuple(sorted(self.facts(kube.NODE), key=lambda node: node.name))

    def pods(self, owner: Key) -> tuple[Pod, ...]:
        """The pods of one InferenceDeployment, by name."""
        return tuple(self.owned(kube.POD, owner))

    def everybodys_pods(self) -> Iterator[tuple[Key, Pod]]:
        """All pods of ours, with the InferenceDeployment that each belongs to, or belonged to."""
        return ((entry.owner, entry.fact) for entry in self._entries[kube.POD.kind].values() if entry.owner)

    def _drop(self, kind: Kind, name: Name) -> None:
        entry = self._entries[kind.kind].pop(name, None)
        if entry and entry.owner:
            owned = self._owned[kind.kind, entry.owner]
            owned.discard(name)
            if not owned:
                del self._owned[kind.kind, entry.owner]


def name_of(raw: Object) -> Name:
    """Namespace and name."""
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def read(kind: Kind, raw: Object) -> tuple[Name, Entry]:
    """An object's name, and what is kept of it."""
    metadata = raw["metadata"]
    label = metadata.get("labels", {}).get(DEPLOYMENT_LABEL)
    return name_of(raw), Entry(
        uid=metadata.get("uid", ""),
        version=int(metadata.get("resourceVersion") or 0),
        fact=_FACTS.get(kind.kind, _trim)(raw),
        owner=Key(namespace=metadata["namespace"], name=label) if label and kind.namespaced else None,
    )


def _wish(raw: Object) -> Wish | Unreadable:
    return _readable(
        raw,
        lambda: Wish(
            deployment=parse_deployment(raw),
            memory=_memory(raw),
            status=raw.get("status", {}),
            deleting="deletionTimestamp" in raw["metadata"],
        ),
    )


def _memory(raw: Object) -> Memory:
    """What the status remembers: nothing, if it cannot be read. The next status that is written mends it."""
    try:
        return parse_memory(raw)
    except (ValueError, OverflowError):
        return Memory()


def _hardware(raw: Object) -> Hardware | Unreadable:
    return _readable(
        raw,
        lambda: Hardware(
            hardware=parse_hardware_class(raw),
            uid=raw["metadata"].get("uid", ""),
            generation=raw["metadata"].get("generation", 0),
            status=raw.get("status", {}),
        ),
    )


def _readable(raw: Object, parse: Callable[[], Fact]) -> Fact | Unreadable:
    try:
        return parse()
    except (ValidationError, ValueError, OverflowError) as error:
        return Unreadable(
            uid=raw["metadata"].get("uid", ""),
            generation=raw["metadata"].get("generation", 0),
            message=_first_line(error),
            status=raw.get("status", {}),
        )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _trim(raw: Object) -> Object:
    """An object of ours without what changes by itself; of its status only what `parse` reads."""
    metadata = {k: v for k, v in raw["metadata"].items() if k not in {"managedFields", "resourceVersion"}}
    status = raw.get("status", {})
    kept = {k: status[k] for k in ("observedGeneration", "replicas", "updatedReplicas") if k in status}
    parents = [{"conditions": _verdicts(parent)} for parent in status.get("parents", ())]
    return {**raw, "metadata": metadata, "status": {**kept, "conditions": _verdicts(status), "parents": parents}}


def _verdicts(status: Object) -> list[Object]:
    """Conditions without their times."""
    kept = ("type", "status", "message", "observedGeneration")
    return [{k: c[k] for k in kept if k in c} for c in status.get("conditions") or ()]


_FACTS: dict[str, Callable[[Object], Any]] = {
    kube.INFERENCE_DEPLOYMENT.kind: _wish,
    kube.HARDWARE_CLASS.kind: _hardware,
    kube.NODE.kind: parse_node,
    kube.POD.kind: parse_pod,
}

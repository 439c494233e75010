"""What was seen during a trial, in the order in which it was seen, and the questions that faults ask of it. Pure.

Times are seconds since the epoch at which it reached us. The same thing may be seen twice, when a watch begins anew.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.bench.victim import Victim, ready
from kit.cluster import CLASS_LABEL

JSON = dict[str, Any]
OURS = "heteroserve.dev/operator"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was from a moment on; ``gone``: that was its end."""

    at: float
    body: JSON
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """The gateway's counters at a moment: requests sent so far, by its cluster and address.

    By cluster, because each has hosts of its own, and one that is made anew counts from 0.
    """

    at: float
    counts: Mapping[tuple[str, str], int]


@dataclass(slots=True)
class History:
    """Grows while the trial runs. ``deployments`` are of ours, ``workloads`` the Deployments that it owns."""

    deployments: list[Seen] = field(default_factory=list)
    http_routes: list[Seen] = field(default_factory=list)
    grpc_routes: list[Seen] = field(default_factory=list)
    pods: list[Seen] = field(default_factory=list)
    events: list[Seen] = field(default_factory=list)
    workloads: list[Seen] = field(default_factory=list)
    hits: list[Hits] = field(default_factory=list)

    def weights(self) -> Iterator[tuple[float, dict[str, int]]]:
        """The classes' shares in the traffic, and since when: the routes get them first, and the status tells.

        The routes' own weights make up for what the gateway takes from a class with addresses that are not well. Shares
        that no change of a route came before are of the moment when they were told.
        """
        changed, told = self._routes_changed(), -math.inf
        for seen in self.deployments:
            classes = seen.body.get("status", {}).get("classes", ())
            if classes:
                at = max((c for c in changed if told < c <= seen.at), default=seen.at)
                yield at, {c["name"]: c.get("weight", 0) for c in classes}
            told = seen.at

    def _routes_changed(self) -> list[float]:
        """When another spec of a route was seen. What a gateway says of a route in its status is no such change."""
        changed = []
        for routes in (self.http_routes, self.grpc_routes):
            known = 0
            for seen in routes:
                generation = seen.body["metadata"].get("generation", 0)
                if generation != known and not seen.gone:
                    changed.append(seen.at)
                known = generation
        return changed

    def ready(self) -> Iterator[tuple[float, dict[str, int]]]:
        """Replicas by class that the operator calls ready, each time its status was seen."""
        for seen in self.deployments:
            classes = seen.body.get("status", {}).get("classes", ())
            yield seen.at, {c["name"]: c.get("ready", 0) for c in classes}

    def ready_pods(self) -> Iterator[tuple[float, dict[str, int]]]:
        """Ready pods by class, each time a pod was seen to change."""
        members: dict[str, set[str]] = {}
        for seen in self.pods:
            name, labels = seen.body["metadata"]["name"], seen.body["metadata"].get("labels", {})
            standing = members.setdefault(labels.get(CLASS_LABEL, ""), set())
            if not seen.gone and ready(seen.body):
                standing.add(name)
            else:
                standing.discard(name)
            yield seen.at, {class_name: len(names) for class_name, names in members.items()}

    def removed(self, since: float) -> dict[str, float]:
        """When each pod that was taken away after a moment was seen to leave."""
        leaving: dict[str, float] = {}
        for seen in self.pods:
            if seen.gone or "deletionTimestamp" in seen.body["metadata"]:
                leaving.setdefault(seen.body["metadata"]["name"], seen.at)
        return {name: at for name, at in leaving.items() if at >= since}

    def class_of_address(self) -> dict[str, str]:
        """The class behind each address that a pod ever had."""
        pairs = ((s.body.get("status", {}).get("podIP"), s.body["metadata"].get("labels", {})) for s in self.pods)
        return {address: labels.get(CLASS_LABEL, "") for address, labels in pairs if address}


def never(_history: History, _victim: Victim, _fault_at: float) -> bool:
    """The fault ends when its time is over."""
    return False


def recovered(history: History, victim: Victim, fault_at: float) -> bool:
    """Whether the class has again what it had before the fault."""
    return capacity_restored(history, victim.class_name, fault_at) is not None


def moved(history: History, victim: Victim, fault_at: float) -> bool:
    """Whether every struck pod was taken away, and is gone."""
    leaving = history.removed(fault_at)
    return all(pod.name in leaving for pod in victim.pods) and _all_gone(history, {pod.name for pod in victim.pods})


def shrunk(history: History, victim: Victim, fault_at: float) -> bool:
    """Whether one of the struck pods was taken away, and is gone."""
    leaving = set(history.removed(fault_at)) & {pod.name for pod in victim.pods}
    return bool(leaving) and _all_gone(history, leaving)


def _all_gone(history: History, names: set[str]) -> bool:
    return names <= {seen.body["metadata"]["name"] for seen in history.pods if seen.gone}


def capacity_restored(history: History, class_name: str, fault_at: float) -> float | None:
    """When the class had again as many ready replicas as before; None when it never had less, or has less still.

    Both witnesses must agree that it is back: the API server goes on calling the pods of a dead node ready for 40 s,
    and the operator's status may be older than the pods.
    """
    if not class_name:
        return None
    before: list[int | None] = [None, None]
    now = [0, 0]
    fell = False
    back: float | None = None
    for at, witness, count in sorted(_counts(history, class_name), key=lambda count: count[0]):
        if at < fault_at:
            before[witness] = count
        now[witness] = count
        if at >= fault_at and None not in before:
            less = any(n < b for n, b in zip(now, before, strict=True) if b is not None)
            back = None if less else (back or at) if fell else None
            fell = fell or less
    return back


def _counts(history: History, class_name: str) -> Iterator[tuple[float, int, int]]:
    for witness, looks in enumerate((history.ready(), history.ready_pods())):
        yield from ((at, witness, look.get(class_name, 0)) for at, look in looks)

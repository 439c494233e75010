"""Vitals: what we found out about pods and nodes ourselves, put together for a snapshot.

Invariant: what is not known is absent. For how long a node has been bad is counted by our own clock from when we first
found it so. Only what we find when we first see a node has its time from Kubernetes: who wakes up to many nodes that
have not been ready for long has no reason to doubt its view.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from heteroserve import kube
from heteroserve.decide.health import LEASE_EXPIRED_SECONDS, MASS_WINDOW_SECONDS
from heteroserve.model.fleet import Node
from heteroserve.model.snapshot import NodeVitals, Pod
from heteroserve.observe.leases import Leases
from heteroserve.observe.probe import Heard, Prober
from heteroserve.observe.store import Store

Clock = Callable[[], float]
Wall = Callable[[], datetime]
UNASKED = Heard(0, 0)


class Vitals:
    """Joins nodes, Leases and probes. Nodes are looked at anew when a second has passed or one of them has changed."""

    def __init__(self, store: Store, prober: Prober, leases: Leases, clock: Clock, wall: Wall) -> None:
        self._store = store
        self._prober = prober
        self._leases = leases
        self._clock = clock
        self._wall = wall
        self._awake_at = 0.0
        self._since: dict[str, float] = {}
        """By node: when we found it bad."""
        self._gone: dict[str, float] = {}
        """By node: when we found that its object is gone."""
        self._known: tuple[tuple[int, ...], Mapping[str, NodeVitals]] = ((), {})

    def awake_seconds(self) -> float:
        """Since somebody first asked for this: so long have decisions been made of what we find out."""
        self._awake_at = self._awake_at or self._clock()
        return self._clock() - self._awake_at

    def of_pods(self, pods: Iterable[Pod]) -> dict[str, int]:
        """Probes that failed in a row, by UID, of those pods that are asked."""
        return {pod.uid: failures for pod in pods if (failures := self._prober.failures(pod.uid)) is not None}

    def of_nodes(self) -> Mapping[str, NodeVitals]:
        """By name, of all nodes."""
        now = self._clock()
        moment = (int(now), self._store.revision[kube.NODE.kind], self._prober.crossings, self._leases.crossings)
        if self._known[0] != moment:
            self._known = (moment, self._look(now))
        return self._known[1]

    def _look(self, now: float) -> dict[str, NodeVitals]:
        heard, since = self._prober.by_node(), dict[str, float]()
        found: dict[str, NodeVitals] = {}
        for node in self._store.nodes():
            age, said = self._leases.age(node.name), heard.get(node.name, UNASKED)
            silent = 0 < said.asked == said.failing
            if not node.ready or silent or (age is not None and age > LEASE_EXPIRED_SECONDS):
                since[node.name] = self._since.get(node.name, now - self._bad_before(node))
            found[node.name] = NodeVitals(
                lease_age_seconds=age,
                renewed_seconds=self._leases.renewed_seconds(node.name, now),
                asked=said.asked,
                failing=said.failing,
                bad_seconds=now - since[node.name] if node.name in since else None,
                silent_of=str(next(iter(said.owners))) if silent and len(said.owners) == 1 else "",
            )
        self._since = since
        self._gone = self._vanished(found, now)
        return found | {name: NodeVitals(bad_seconds=now - at, gone=True) for name, at in self._gone.items()}

    def _vanished(self, found: Mapping[str, NodeVitals], now: float) -> dict[str, float]:
        """Nodes of which the object is gone and on which pods are ready all the same, and since when, for a while."""
        missing = {name for name in self._known[1] if name not in found}
        if not missing:
            return {}
        serving = {pod.node for _, pod in self._store.everybodys_pods() if pod.ready and not pod.terminating}
        since = {name: self._gone.get(name, now) for name in missing & serving}
        return {name: at for name, at in since.items() if now - at <= MASS_WINDOW_SECONDS}

    def _bad_before(self, node: Node) -> float:
        """Seconds that a node was bad before we found it so: none, if we have seen it well."""
        if node.name in self._known[1] or node.not_ready_since is None:
            return 0.0
        return max(0.0, (self._wall() - node.not_ready_since).total_seconds())

"""Assembling a Snapshot: the store's facts, the last samples, and what we found out ourselves, as of one moment.

Reads memory only, so a snapshot is consistent: nothing can change while it is put together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from heteroserve import kube
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import Cluster, Pod, RouteState, Snapshot
from heteroserve.observe.metrics import FleetSamples, erring_classes, in_flight_of, signals_for
from heteroserve.observe.parse import is_rolling, parse_refusal, parse_route
from heteroserve.observe.store import Store, Wish
from heteroserve.observe.vitals import Vitals
from heteroserve.render.metadata import CLASS_LABEL

DevicesByNode = Mapping[str, Mapping[str, int]]


class Observer:
    """Takes snapshots. The devices in use over all pods are added up once per change, not once per snapshot."""

    def __init__(self, store: Store, cluster: Cluster, vitals: Vitals) -> None:
        self._store = store
        self._cluster = cluster
        self._vitals = vitals
        self._taken: tuple[int, DevicesByNode] = (-1, {})

    def observe(self, wish: Wish, samples: FleetSamples, now: datetime, *, paused: str = "") -> Snapshot:
        """All that a decision about this deployment may see. `paused`: why the whole fleet is."""
        key = wish.deployment.key
        pods = self._store.pods(key)
        workloads = self._by_class(kube.DEPLOYMENT, wish)
        return Snapshot(
            now=now,
            deployment=wish.deployment,
            hardware=self._store.hardware(),
            nodes=self._store.nodes(),
            pods=pods,
            awake_seconds=self._vitals.awake_seconds(),
            probes=self._vitals.of_pods(pods),
            vitals=self._vitals.of_nodes(),
            in_flight=in_flight_of(samples, key, pods),
            erring=erring_classes(samples, key, pods),
            gateway_ejected=samples.ejected.get(key, 0),
            devices_taken=subtract(self.devices_taken(), devices_of(pods)),
            unreadable_hardware=self._store.unreadable_hardware(),
            replicas={name: raw["spec"].get("replicas", 1) for name, raw in workloads.items()},
            rolling=frozenset(name for name, raw in workloads.items() if is_rolling(raw)),
            refusals={name: why for name, raw in workloads.items() if (why := parse_refusal(raw))},
            unroutable=frozenset(workloads.keys() - self._by_class(kube.SERVICE, wish).keys()),
            route=self._route(wish),
            signals=signals_for(samples, key, pods, self._cluster.metrics_window_seconds),
            memory=wish.memory,
            cluster=self.cluster(),
            paused=paused,
        )

    def cluster(self) -> Cluster:
        """What the cluster offers, by which kinds it knows."""
        return replace(
            self._cluster,
            gateway_api=kube.HTTP_ROUTE.kind not in self._store.absent,
            envoy_gateway=kube.TRAFFIC_POLICY.kind not in self._store.absent,
        )

    def devices_taken(self) -> DevicesByNode:
        """Devices held by all pods of ours, by node."""
        revision = self._store.revision[kube.POD.kind]
        if self._taken[0] != revision:
            self._taken = (revision, devices_of(self._store.facts(kube.POD)))
        return self._taken[1]

    def pods_by_node(self) -> dict[str, list[tuple[Key, Pod]]]:
        """All pods of ours by the node that they stand on (those that wait for one: by no name), and whose they are."""
        found: dict[str, list[tuple[Key, Pod]]] = defaultdict(list)
        for owner, pod in self._store.everybodys_pods():
            found[pod.node or ""].append((owner, pod))
        return found

    def _own(self, kind: kube.Kind, wish: Wish) -> list[kube.Object]:
        """What is ours by owner: a label alone anybody can set."""
        key, uid = wish.deployment.key, wish.deployment.uid
        found: list[kube.Object] = self._store.owned(kind, key)
        return [raw for raw in found if any(o.get("uid") == uid for o in raw["metadata"].get("ownerReferences", ()))]

    def _by_class(self, kind: kube.Kind, wish: Wish) -> dict[str, kube.Object]:
        return {raw["metadata"]["labels"].get(CLASS_LABEL, ""): raw for raw in self._own(kind, wish)}

    def _route(self, wish: Wish) -> RouteState | None:
        routes = self._own(kube.HTTP_ROUTE, wish) + self._own(kube.GRPC_ROUTE, wish)
        states = [parse_route(route, wish.deployment.key.name) for route in routes]
        if not states:
            return None
        # what any of the two is refused for is what matters, and a class is let go of when both have
        worst = next((state for state in states if state.accepted is False), states[0])
        names = {name for state in states for name in state.weights}
        weights = {name: max(state.weights.get(name, 0) for state in states) for name in sorted(names)}
        return replace(worst, weights=weights, behind=any(state.behind for state in states))


def devices_of(pods: Iterable[Pod]) -> dict[str, dict[str, int]]:
    """Devices held by pods that stand on a node."""
    taken: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for pod in pods:
        if pod.node:
            for resource, number in pod.devices.items():
                taken[pod.node][resource] += number
    return taken


def subtract(all_taken: DevicesByNode, own: DevicesByNode) -> dict[str, dict[str, int]]:
    """What others hold: everything less our own."""
    return {
        node: {resource: number - own.get(node, {}).get(resource, 0) for resource, number in devices.items()}
        for node, devices in all_taken.items()
    }

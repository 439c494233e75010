"""Snapshots out of the store: raw objects in, one consistent picture out."""

from collections.abc import Iterable

import builders
from heteroserve import kube
from heteroserve.model.deployment import GatewayRef
from heteroserve.model.snapshot import Cluster, InFlight, NodeVitals, Pod, RouteState, Signals, Snapshot
from heteroserve.observe.metrics import FleetSamples, PodSample
from heteroserve.observe.snapshot import Observer
from heteroserve.observe.store import Store
from heteroserve.observe.vitals import Vitals

CLUSTER = Cluster(
    default_gateway=GatewayRef(name="public", namespace="gateways"),
    ingress_namespaces=("envoy",),
    metrics_namespaces=("monitoring",),
    metrics_window_seconds=60.0,
)
GPU = {"name": "triton", "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def learn(objects: Iterable[builders.JSON]) -> Store:
    store = Store()
    for raw in objects:
        store.put(kube.BY_KIND[raw["kind"]], raw)
    return store


class Found(Vitals):
    """What was found out: every pod failed as many probes as its name ends with, and one node is bad."""

    def __init__(self) -> None:
        """Needs nobody to ask."""

    def awake_seconds(self) -> float:
        return 5.0

    def of_pods(self, pods: Iterable[Pod]) -> dict[str, int]:
        return {pod.uid: int(pod.name.rpartition("-")[2]) for pod in pods}

    def of_nodes(self) -> dict[str, NodeVitals]:
        return BAD


BAD = {"cpu-0": NodeVitals(lease_age_seconds=30.0, bad_seconds=10.0)}


def observer(store: Store, cluster: Cluster = CLUSTER) -> Observer:
    return Observer(store, cluster, Found())


def gpu_pod(name: str, owner: str = "digits", node: str | None = "gpu-0", **status: object) -> builders.JSON:
    raw = builders.raw_pod(name, class_name="gpu", spec={"containers": [GPU]}, status={**READY, **status})
    raw["metadata"]["labels"]["heteroserve.dev/deployment"] = owner
    return raw | {"spec": {**raw["spec"], **({"nodeName": node} if node else {})}}


def route(kind: str, *, accepted: str | None = None, message: str = "", weight: int = 100) -> builders.JSON:
    verdicts = [{"type": "Accepted", "status": accepted, "message": message}] if accepted else []
    return builders.owned(
        kind,
        "digits",
        spec={"rules": [{"backendRefs": [{"name": "digits-cpu", "weight": weight}]}]},
        status={"parents": [{"conditions": verdicts}]},
    )


def observe(*objects: builders.JSON, samples: FleetSamples | None = None) -> Snapshot:
    store = learn((builders.raw_deployment(), *objects))
    return observer(store).observe(store.wishes()[builders.KEY], samples or FleetSamples(), builders.NOW)


TROUBLED = {
    "replicas": 2,
    "updatedReplicas": 1,
    "conditions": [
        {"type": "Available", "status": "True", "message": "fine"},
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
    ],
}


def test_a_picture_in_full() -> None:
    status = {"demand": {"requestsPerSecond": 40}}
    store = learn(
        (
            builders.raw_deployment(status=status),
            builders.raw_hardware("cpu"),
            builders.raw_node("cpu-0", metadata={"labels": {"pool": "cpu"}}),
            builders.raw_pod("digits-cpu-0", spec={"nodeName": "cpu-0"}, status=READY),
            builders.owned("Deployment", "digits-cpu", class_name="cpu", spec={"replicas": 3}),
            builders.owned("Deployment", "digits-gpu", class_name="gpu", spec={}, status=TROUBLED),
            builders.owned("Service", "digits-cpu", class_name="cpu", spec={}),
            route("HTTPRoute", accepted="True"),
            route("GRPCRoute"),
        )
    )
    samples = FleetSamples(
        offered_rps={builders.KEY: 50.0},
        ejected={builders.KEY: 2},
        pods={("demo", "digits-cpu-0"): PodSample(served_rps=40.0, failed_rps=5.0, backlog=1.0, age_seconds=3.0)},
        error=None,
    )
    wish = store.wishes()[builders.KEY]
    assert observer(store).observe(wish, samples, builders.NOW, paused="somebody says so") == Snapshot(
        awake_seconds=5.0,
        now=builders.NOW,
        deployment=wish.deployment,
        hardware=store.hardware(),
        nodes=store.nodes(),
        pods=store.pods(builders.KEY),
        probes={"uid-digits-cpu-0": 0},
        vitals=BAD,
        in_flight={"uid-digits-cpu-0": InFlight(requests=1.0, age_seconds=3.0)},
        erring=frozenset({"cpu"}),
        gateway_ejected=2,
        devices_taken={},
        replicas={"cpu": 3, "gpu": 1},
        rolling=frozenset({"gpu"}),
        refusals={"gpu": "exceeded quota"},
        unroutable=frozenset({"gpu"}),
        route=RouteState(weights={"cpu": 100}, accepted=True),
        signals=Signals(offered_rps=50.0, served_rps=40.0, backlog=1.0, age_seconds=3.0),
        memory=builders.memory(demand_rps=40.0),
        cluster=CLUSTER,
        paused="somebody says so",
    )


def test_what_only_carries_our_labels_is_not_ours() -> None:
    foreign = builders.owned("Deployment", "digits-z", class_name="cpu", spec={"replicas": 0})
    foreign["metadata"]["ownerReferences"] = []
    ours = builders.owned("Deployment", "digits-cpu", class_name="cpu", spec={"replicas": 3})
    strangers_route = route("HTTPRoute", accepted="True") | {"metadata": {**foreign["metadata"], "name": "a"}}
    found = observe(ours, foreign, strangers_route)
    assert (found.replicas, found.route) == ({"cpu": 3}, None)


def test_a_picture_of_nothing() -> None:
    found = observe()
    assert (found.pods, found.nodes, found.replicas, found.route) == ((), (), {}, None)
    assert found.signals == Signals(error="not asked yet")


ROUTES: dict[str, tuple[tuple[builders.JSON, ...], RouteState | None]] = {
    "no route yet": ((), None),
    "both accepted": (
        (route("HTTPRoute", accepted="True"), route("GRPCRoute", accepted="True")),
        RouteState(weights={"cpu": 100}, accepted=True),
    ),
    "one refused": (
        (route("HTTPRoute", accepted="True"), route("GRPCRoute", accepted="False", message="no HTTP/2", weight=5)),
        RouteState(weights={"cpu": 100}, accepted=False, message="no HTTP/2"),
    ),
    "a class is let go of when both have": (
        (route("HTTPRoute", accepted="True", weight=0), route("GRPCRoute", accepted="True", weight=30)),
        RouteState(weights={"cpu": 30}, accepted=True),
    ),
    "both refused": (
        (route("HTTPRoute", accepted="False", message="first"), route("GRPCRoute", accepted="False", message="second")),
        RouteState(weights={"cpu": 100}, accepted=False, message="first"),
    ),
}


@builders.table(ROUTES)
def test_routes(case: tuple[tuple[builders.JSON, ...], RouteState | None]) -> None:
    objects, want = case
    assert observe(*objects).route == want


DEVICES: dict[str, tuple[tuple[builders.JSON, ...], dict[str, dict[str, int]]]] = {
    "of other deployments": (
        (gpu_pod("other-gpu-0", "other"), gpu_pod("other-gpu-1", "other"), gpu_pod("digits-gpu-0")),
        {"gpu-0": {"nvidia.com/gpu": 2}},
    ),
    "our own are not in our way": ((gpu_pod("digits-gpu-0"),), {"gpu-0": {"nvidia.com/gpu": 0}}),
    "a pod without a node holds nothing": ((gpu_pod("other-gpu-0", "other", None),), {}),
    "a pod that ended holds nothing": ((gpu_pod("other-gpu-0", "other", phase="Failed"),), {}),
    "a pod that is leaving still holds its own": (
        (
            gpu_pod("other-gpu-0", "other")
            | {"metadata": gpu_pod("x", "other")["metadata"] | {"deletionTimestamp": "t"}},
        ),
        {"gpu-0": {"nvidia.com/gpu": 1}},
    ),
}


@builders.table(DEVICES)
def test_devices_in_use(case: tuple[tuple[builders.JSON, ...], dict[str, dict[str, int]]]) -> None:
    objects, want = case
    assert observe(*objects).devices_taken == want


def test_devices_are_added_up_anew_when_pods_change() -> None:
    store = learn((builders.raw_deployment(), gpu_pod("other-gpu-0", "other")))
    observing = observer(store)
    assert observing.devices_taken() == {"gpu-0": {"nvidia.com/gpu": 1}}
    assert observing.devices_taken() is observing.devices_taken()
    store.put(kube.POD, gpu_pod("other-gpu-1", "other"))
    assert observing.devices_taken() == {"gpu-0": {"nvidia.com/gpu": 2}}
    store.remove(kube.POD, gpu_pod("other-gpu-0", "other"))
    assert observing.devices_taken() == {"gpu-0": {"nvidia.com/gpu": 1}}


def test_whose_pods_stand_on_a_node_or_wait_for_one() -> None:
    leaving = gpu_pod("digits-gpu-1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
    stranger = builders.raw_pod("stranger", spec={"nodeName": "gpu-0"})
    stranger["metadata"]["labels"] = {}
    store = learn(
        (
            builders.raw_deployment(),
            gpu_pod("digits-gpu-0"),
            leaving,
            gpu_pod("other-gpu-0", "other"),
            gpu_pod("other-gpu-1", "other", "gpu-1"),
            gpu_pod("digits-gpu-2", node=None),
            stranger,
        )
    )
    found = observer(store).pods_by_node()
    assert {node: [(str(key), pod.name) for key, pod in pods] for node, pods in found.items()} == {
        "gpu-0": [("demo/digits", "digits-gpu-0"), ("demo/digits", "digits-gpu-1"), ("demo/other", "other-gpu-0")],
        "gpu-1": [("demo/other", "other-gpu-1")],
        "": [("demo/digits", "digits-gpu-2")],
    }


def test_what_the_cluster_offers_is_known_by_the_kinds_that_it_knows() -> None:
    store = Store()
    observing = observer(store)
    assert observing.cluster() == CLUSTER
    store.replace(kube.TRAFFIC_POLICY, None, frozenset())
    store.replace(kube.HTTP_ROUTE, None, frozenset())
    assert (observing.cluster().gateway_api, observing.cluster().envoy_gateway) == (False, False)


def test_what_is_too_old_follows_the_window_of_the_settings() -> None:
    store = learn((builders.raw_deployment(), builders.raw_pod("digits-cpu-0", status=READY)))
    sample = PodSample(served_rps=40.0, backlog=1.0, age_seconds=45.0)
    samples = FleetSamples(pods={("demo", "digits-cpu-0"): sample}, error=None)
    wish = store.wishes()[builders.KEY]
    seen = [
        observer(store, Cluster(metrics_window_seconds=window)).observe(wish, samples, builders.NOW).signals
        for window in (60.0, 30.0)
    ]
    assert [signals.missing_pods for signals in seen] == [0, 1]

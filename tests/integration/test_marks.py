"""Marks on pods and the pause of the whole fleet, against a real API server and Kubernetes' own controllers.

The controllers make the pods. There is no scheduler and no kubelet: the tests place pods and call them ready.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from heteroserve import kube
from heteroserve.act.mark import as_metadata
from heteroserve.errors import Retry
from heteroserve.kube import Kube
from heteroserve.model.snapshot import Mark
from integration.control_plane import JSON, Api, ControlPlane
from integration.operator_process import (
    OPERATOR_NAMESPACE,
    Operator,
    conditions,
    eventually,
    install,
    install_gateway_crds,
    objects,
    running_operator,
)

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
SERVING, OUT_SINCE = "heteroserve.dev/serving", "heteroserve.dev/out-since"
COST = "controller.kubernetes.io/pod-deletion-cost"


@pytest.fixture(scope="module")
def operator(
    api: Api, control_plane: ControlPlane, controllers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    install_gateway_crds(api)
    with running_operator(install(api, control_plane), tmp_path_factory.mktemp("operator")) as operator:
        yield operator
        assert operator.tracebacks() == []


# --- A namesake ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def ours(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    configuration = Configuration()
    path = str(control_plane.kubeconfig)
    await config.load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    async with ApiClient(configuration) as client:
        yield Kube(client)


def make_pod(api: Api, namespace: str) -> str:
    """A pod of that name; its UID."""
    metadata = {"name": "digits-a", "labels": {SERVING: "true", "theirs": "1"}, "annotations": {"theirs": "2"}}
    body = {"metadata": metadata, "spec": {"containers": [{"name": "triton", "image": "triton:1"}]}}
    answer = api.ask("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    assert answer.accepted, answer.body
    return str(answer.body["metadata"]["uid"])


OUT = as_metadata(Mark(out_since=datetime(2026, 1, 2, 12, 0, tzinfo=UTC), goes_first=True))


async def test_a_mark_never_touches_a_namesake(ours: Kube, api: Api, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods/digits-a"
    first = make_pod(api, namespace)
    assert api.ask("DELETE", pods, gracePeriodSeconds="0").accepted
    second = make_pod(api, namespace)
    before = api.ask("GET", pods).body["metadata"]
    with pytest.raises(Retry, match="is not the object that was read") as caught:
        await ours.merge_metadata(kube.POD, namespace, "digits-a", OUT, uid=first)
    assert caught.value.reason == "Conflict"
    assert api.ask("GET", pods).body["metadata"] == before
    marked = await ours.merge_metadata(kube.POD, namespace, "digits-a", OUT, uid=second)
    assert (marked["metadata"]["uid"], marked["metadata"]["labels"]) == (second, {SERVING: "false", "theirs": "1"})
    assert marked["metadata"]["annotations"] == {OUT_SINCE: "2026-01-02T12:00:00Z", COST: "-1", "theirs": "2"}


async def test_a_mark_is_taken_back_without_a_trace(ours: Kube, api: Api, namespace: str) -> None:
    uid = make_pod(api, namespace)
    before = api.ask("GET", f"/api/v1/namespaces/{namespace}/pods/digits-a").body["metadata"]
    for mark in (OUT, as_metadata(Mark())):
        found = (await ours.merge_metadata(kube.POD, namespace, "digits-a", mark, uid=uid))["metadata"]
    assert [found[part] for part in ("labels", "annotations")] == [before[part] for part in ("labels", "annotations")]


async def test_a_pod_that_is_gone_cannot_be_marked_and_that_is_no_refusal(ours: Kube, namespace: str) -> None:
    with pytest.raises(Retry) as caught:
        await ours.merge_metadata(kube.POD, namespace, "digits-a", OUT, uid="u")
    assert caught.value.reason == "NotFound"


# --- A cordoned node -------------------------------------------------------------------------------------------------


@dataclass
class Fleet:
    """One class with two nodes of its own, and a deployment of one replica on it."""

    api: Api
    namespace: str

    @property
    def nodes(self) -> tuple[str, str]:
        return f"{self.namespace}-0", f"{self.namespace}-1"

    @property
    def deployment(self) -> JSON:
        wish: JSON = yaml.safe_load((SAMPLES / "digits.yaml").read_text())
        wish["metadata"]["namespace"] = self.namespace
        wish["spec"]["classes"] = [{**wish["spec"]["classes"][0], "name": self.namespace, "minReplicas": 1}]
        return wish

    @property
    def workload(self) -> str:
        return f"digits-{self.namespace}"

    def make(self) -> None:
        hardware = yaml.safe_load((SAMPLES / "cpu-x86.yaml").read_text())
        hardware["metadata"] = {"name": self.namespace}
        hardware["spec"]["nodeSelector"] = {"pool": self.namespace}
        self.api.apply(hardware)
        for name in self.nodes:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"pool": self.namespace}}}
            self.api.apply(node)
        self.beat()
        self.api.apply(self.deployment)

    def unmake(self) -> None:
        """Nodes that nobody speaks for any more would turn bad together, and so everybody's view into doubt."""
        self.api.delete(self.deployment)
        for name in self.nodes:
            self.api.delete({"kind": "Node", "metadata": {"name": name}})

    def beat(self) -> None:
        """What two kubelets say."""
        said = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": timestamp()}
        for name in self.nodes:
            self.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [said]}})

    def cordon(self, node: str) -> None:
        self.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})

    def pods(self) -> list[JSON]:
        """The pods of the class, those on the first node first, those on none last."""
        items: list[JSON] = self.api.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods").body["items"]
        return sorted(items, key=lambda pod: pod["spec"].get("nodeName", "~"))

    def start(self, pod: str, node: str) -> None:
        """The scheduler's part, and the kubelet's. Without an address nobody asks the pod anything."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}"
        binding = {"metadata": {"name": pod}, "target": {"kind": "Node", "name": node}}
        assert self.api.ask("POST", f"{path}/binding", binding).accepted
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp()}
        self.patch(f"{path}/status", {"status": {"phase": "Running", "conditions": [ready]}})

    def patch(self, path: str, change: JSON) -> None:
        answer = self.api.ask("PATCH", path, change, "application/strategic-merge-patch+json")
        assert answer.accepted, answer.body

    def replicas(self) -> int:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.workload}"
        return int(self.api.ask("GET", path).body["spec"]["replicas"])

    def ready(self) -> int:
        (found,) = self.api.get(self.deployment)["status"]["classes"]
        return int(found.get("ready", 0))


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(pod: JSON) -> tuple[str, bool, bool]:
    """What a pod is told: whether it serves, whether it says since when it does not, and whether it goes first."""
    annotations = pod["metadata"].get("annotations", {})
    return pod["metadata"]["labels"][SERVING], OUT_SINCE in annotations, COST in annotations


@pytest.fixture
def fleet(operator: Operator, api: Api, namespace: str) -> Iterator[Fleet]:
    """One pod serves on the first node."""
    found = Fleet(api, namespace)
    found.make()

    def a_pod() -> None:
        assert len(found.pods()) == 1

    def serves() -> None:
        assert found.ready() == 1

    eventually(a_pod)
    found.start(found.pods()[0]["metadata"]["name"], found.nodes[0])
    eventually(serves)
    yield found
    found.unmake()


def holds(check: Callable[[], object], seconds: float) -> None:
    """It is so, and stays so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(0.2)


def test_a_pod_on_a_cordoned_node_is_told_to_go_when_another_serves_and_kubernetes_takes_that_one(fleet: Fleet) -> None:
    (old,) = fleet.pods()
    assert told(old) == ("true", False, False)
    fleet.cordon(fleet.nodes[0])

    def asked_for() -> None:
        assert (fleet.replicas(), len(fleet.pods())) == (2, 2)

    def still_serves() -> None:
        serving, out, _ = told(fleet.pods()[0])
        assert (serving, out, fleet.replicas()) == ("true", False, 2)

    eventually(asked_for)
    holds(still_serves, 4)
    fleet.start(fleet.pods()[1]["metadata"]["name"], fleet.nodes[1])

    def told_to_go() -> None:
        fleet.beat()
        first, second = fleet.pods()
        assert first["metadata"]["uid"] == old["metadata"]["uid"]
        assert (told(first), told(second)) == (("false", True, True), ("true", False, False))

    def gone() -> None:
        fleet.beat()
        leaving = {p["metadata"]["uid"]: "deletionTimestamp" in p["metadata"] for p in fleet.pods()}
        assert fleet.replicas() == 1
        assert [uid for uid, leaves in leaving.items() if leaves] == [old["metadata"]["uid"]]
        assert len(leaving) == 2

    def answers_what_it_has() -> None:
        asked_for()
        told_to_go()

    eventually(told_to_go)
    holds(answers_what_it_has, 3)
    eventually(gone, within=45)


# --- The pause of the whole fleet ------------------------------------------------------------------------------------

CONFIG_MAPS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps"
SWITCH = f"{CONFIG_MAPS}/heteroserve-controls"


@pytest.fixture
def switch(api: Api) -> Iterator[Callable[[str], None]]:
    """Writes what the switch says."""

    def write(paused: str) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "heteroserve-controls"}}
        answer = api.ask(
            "PATCH", SWITCH, {**body, "data": {"paused": paused}}, "application/apply-patch+yaml", fieldManager="tests"
        )
        assert answer.accepted, answer.body

    yield write
    api.ask("DELETE", SWITCH)


def test_the_pause_of_the_whole_fleet_holds_and_ends_within_five_seconds(
    fleet: Fleet, switch: Callable[[str], None]
) -> None:
    service = f"Service/{fleet.workload}"

    def is_paused() -> None:
        status, reason, message = conditions(fleet.api, fleet.deployment)["Reconciling"]
        assert (status, reason) == ("False", "Paused")
        assert f"{OPERATOR_NAMESPACE}/heteroserve-controls says paused" in message

    def goes_on() -> None:
        assert conditions(fleet.api, fleet.deployment)["Reconciling"][1] != "Paused"

    def is_there(*, want: bool) -> None:
        assert (service in objects(fleet.api, fleet.namespace)) is want

    switch("true")
    eventually(is_paused, within=5)
    assert fleet.api.ask("DELETE", f"/api/v1/namespaces/{fleet.namespace}/services/{fleet.workload}").accepted
    fleet.cordon(fleet.nodes[0])
    holds(lambda: is_there(want=False), 7)  # through a listing of everything
    assert (fleet.replicas(), told(fleet.pods()[0])) == (1, ("true", False, False))
    switch("false")
    eventually(goes_on, within=5)
    eventually(lambda: is_there(want=True), within=5)


@pytest.mark.parametrize("paused", ["yes", "True", ""])
def test_what_cannot_be_understood_pauses(fleet: Fleet, switch: Callable[[str], None], paused: str) -> None:
    def is_paused() -> None:
        status, reason, message = conditions(fleet.api, fleet.deployment)["Reconciling"]
        assert (status, reason) == ("False", "Paused")
        assert 'write "true" or "false"' in message

    switch(paused)
    eventually(is_paused, within=5)


def test_the_pause_is_over_when_the_switch_is_deleted(fleet: Fleet, switch: Callable[[str], None]) -> None:
    def reason() -> str:
        return conditions(fleet.api, fleet.deployment)["Reconciling"][1]

    def is_paused(*, want: bool) -> None:
        assert (reason() == "Paused") is want

    switch("true")
    eventually(lambda: is_paused(want=True), within=5)
    assert fleet.api.ask("DELETE", SWITCH).accepted
    eventually(lambda: is_paused(want=False), within=5)


def test_a_service_leads_to_no_pod_that_is_told_to_go(fleet: Fleet, switch: Callable[[str], None]) -> None:
    def leads_to(*pods: str) -> None:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{fleet.namespace}/endpointslices"
        labels = f"kubernetes.io/service-name={fleet.workload}"
        slices = fleet.api.ask("GET", path, labelSelector=labels).body["items"]
        endpoints = [e for s in slices for e in s.get("endpoints") or () if "targetRef" in e]  # not the placeholder
        assert {e["targetRef"]["name"] for e in endpoints} == set(pods)

    def is_paused() -> None:
        assert conditions(fleet.api, fleet.deployment)["Reconciling"][1] == "Paused"

    def is_told_so_no_more() -> None:
        assert told(fleet.pods()[0]) == ("true", False, False)

    (pod,) = (p["metadata"]["name"] for p in fleet.pods())
    path = f"/api/v1/namespaces/{fleet.namespace}/pods/{pod}"
    fleet.patch(f"{path}/status", {"status": {"podIP": "192.0.2.7", "podIPs": [{"ip": "192.0.2.7"}]}})
    eventually(lambda: leads_to(pod))
    switch("true")  # else the mark is taken back at once, for nobody wants this pod to go
    eventually(is_paused)
    fleet.patch(path, {"metadata": as_metadata(Mark(out_since=datetime.now(UTC)))})
    eventually(leads_to)
    switch("false")
    eventually(is_told_so_no_more)
    eventually(lambda: leads_to(pod))

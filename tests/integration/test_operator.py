"""The operator against a real API server: what it owns, what it leaves alone, and what survives it."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from integration.control_plane import JSON, Api, ControlPlane
from integration.operator_process import (
    Operator,
    can_i,
    conditions,
    eventually,
    install,
    install_gateway_crds,
    objects,
    running_operator,
)

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
CLASSES = ("cpu-x86", "gpu-l4", "fpga-u250")
WANT_OBJECTS = {
    "NetworkPolicy/digits",
    "Service/digits",
    "HTTPRoute/digits",
    "GRPCRoute/digits",
    "BackendTrafficPolicy/digits",
    *(f"{kind}/digits-{c}" for kind in ("Deployment", "Service", "PodDisruptionBudget") for c in CLASSES),
    *(f"EndpointSlice/digits-{c}-placeholder" for c in CLASSES),
}


@pytest.fixture(scope="module")
def kubeconfig(api: Api, control_plane: ControlPlane) -> Path:
    install_gateway_crds(api)
    for name in CLASSES:
        api.apply(yaml.safe_load((SAMPLES / f"{name}.yaml").read_text()))
    return install(api, control_plane)


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, controllers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with running_operator(kubeconfig, tmp_path_factory.mktemp("operator")) as operator:
        yield operator
        assert operator.tracebacks() == []


@pytest.fixture
def digits(namespace: str) -> JSON:
    return sample(namespace)


def sample(namespace: str) -> JSON:
    deployment: JSON = yaml.safe_load((SAMPLES / "digits.yaml").read_text())
    deployment["metadata"]["namespace"] = namespace
    return deployment


def everything_is_there(api: Api, namespace: str) -> None:
    assert set(objects(api, namespace)) == WANT_OBJECTS


def nothing_is_left(api: Api, namespace: str) -> None:
    assert sorted(objects(api, namespace)) == []


def has_reason(api: Api, deployment: JSON, condition: str, reason: str) -> None:
    assert conditions(api, deployment)[condition][1] == reason


def test_everything_is_owned_and_the_users_object_is_left_clean(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    uid = api.apply(digits)["metadata"]["uid"]
    eventually(lambda: everything_is_there(api, namespace))
    for name, found in objects(api, namespace).items():
        (owner,) = found["metadata"]["ownerReferences"]
        assert (name, owner["uid"], owner["controller"]) == (name, uid, True)
        ours = {f["manager"] for f in found["metadata"]["managedFields"]} - {"kube-controller-manager"}
        assert (name, ours) == (name, {"heteroserve"})
    eventually(lambda: conditions(api, digits)["Ready"])
    metadata = api.get(digits)["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata


def test_nothing_is_written_when_nothing_changes(operator: Operator, api: Api, digits: JSON) -> None:
    api.apply(digits)
    eventually(lambda: everything_is_there(api, digits["metadata"]["namespace"]))
    eventually(lambda: quiet(operator), within=40)


def test_what_others_wrote_into_the_status_is_gone_and_does_not_keep_us_writing(
    operator: Operator, api: Api, digits: JSON
) -> None:
    api.apply(digits)
    foreign = [{"name": "cpu-x86", "pendingScaleDown": {"since": "2026-01-01T00:00:00Z", "replicas": 1}}]
    api.apply({**digits, "status": {"classes": foreign}}, manager="somebody", subresource="status")

    def ours() -> None:
        (cpu, *_) = api.get(digits)["status"]["classes"]
        assert cpu["reason"]
        assert "pendingScaleDown" not in cpu

    eventually(ours)
    eventually(lambda: quiet(operator), within=40)


def quiet(operator: Operator) -> None:
    """No write in six seconds: six ticks and at least one LIST of everything."""
    before = operator.metric("heteroserve_api_writes_total")
    time.sleep(6)
    assert operator.metric("heteroserve_api_writes_total") == before


def test_what_is_changed_by_hand_is_repaired(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    base = f"/apis/apps/v1/namespaces/{namespace}/deployments/digits-cpu-x86"
    api.ask("PATCH", base, {"spec": {"replicas": 9}}, "application/merge-patch+json")
    api.ask("DELETE", f"/api/v1/namespaces/{namespace}/services/digits-gpu-l4")

    def repaired() -> None:
        found = objects(api, namespace)
        assert found["Deployment/digits-cpu-x86"]["spec"]["replicas"] != 9
        assert "Service/digits-gpu-l4" in found

    eventually(repaired, within=30)


STRANGER = {"name": "stranger", "port": 80, "weight": 1000}
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/digits"
ADDED: dict[str, tuple[str, str, list[JSON]]] = {
    "a label that no pod has": (
        "Service/digits-cpu-x86",
        "/api/v1/namespaces/{}/services/digits-cpu-x86",
        [{"op": "add", "path": "/spec/selector/oops", "value": "x"}],
    ),
    "a backend": (
        "HTTPRoute/digits",
        ROUTES,
        [{"op": "add", "path": "/spec/rules/0/backendRefs/-", "value": STRANGER}],
    ),
    "a mirror": (
        "HTTPRoute/digits",
        ROUTES,
        [
            {
                "op": "add",
                "path": "/spec/rules/0/filters",
                "value": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "stranger", "port": 80}}}],
            }
        ],
    ),
    "a host name": (
        "GRPCRoute/digits",
        "/apis/gateway.networking.k8s.io/v1/namespaces/{}/grpcroutes/digits",
        [{"op": "add", "path": "/spec/hostnames", "value": ["stranger.example.com"]}],
    ),
    "failures on purpose": (
        "BackendTrafficPolicy/digits",
        "/apis/gateway.envoyproxy.io/v1alpha1/namespaces/{}/backendtrafficpolicies/digits",
        [{"op": "add", "path": "/spec/faultInjection", "value": {"abort": {"httpStatus": 503}}}],
    ),
    "a way in and a way out": (
        "NetworkPolicy/digits",
        "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/digits",
        [
            {"op": "add", "path": "/spec/ingress/-", "value": {}},
            {"op": "add", "path": "/spec/egress", "value": [{}]},
        ],
    ),
    "an argument and a node selector": (
        "Deployment/digits-cpu-x86",
        "/apis/apps/v1/namespaces/{}/deployments/digits-cpu-x86",
        [
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--model-control-mode=poll"},
            {"op": "add", "path": "/spec/template/spec/nodeSelector/x", "value": "y"},
        ],
    ),
}


@pytest.mark.parametrize("name", ADDED)
def test_what_is_added_by_hand_where_it_stops_or_diverts_requests_is_taken_away(
    operator: Operator, api: Api, digits: JSON, name: str
) -> None:
    namespace = digits["metadata"]["namespace"]
    target, path, change = ADDED[name]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    before = objects(api, namespace)[target]["spec"]
    answer = api.ask("PATCH", path.format(namespace), change, "application/json-patch+json")  # type: ignore[arg-type]
    assert answer.accepted, answer.body
    assert answer.body["spec"] != before

    def repaired() -> None:
        assert objects(api, namespace)[target]["spec"] == before

    eventually(repaired, within=30)
    eventually(lambda: quiet(operator), within=40)


def test_a_container_and_a_variable_of_somebody_else_stay_and_do_not_keep_us_writing(
    operator: Operator, api: Api, digits: JSON
) -> None:
    namespace = digits["metadata"]["namespace"]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    change = [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/-",
            "value": {"name": "sidecar", "image": "registry.example/sidecar:1"},
        },
        {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "THEIRS", "value": "1"}},
    ]
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/digits-cpu-x86"
    assert api.ask("PATCH", path, change, "application/json-patch+json").accepted  # type: ignore[arg-type]
    eventually(lambda: quiet(operator), within=40)
    triton, sidecar = api.ask("GET", path).body["spec"]["template"]["spec"]["containers"]
    assert "THEIRS" in {e["name"] for e in triton["env"]}
    assert sidecar["name"] == "sidecar"


def test_a_foreign_object_of_the_same_name_is_never_touched(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "digits-cpu-x86", "namespace": namespace},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    assert api.ask("POST", f"/api/v1/namespaces/{namespace}/services", foreign).accepted
    api.apply(digits)

    def told() -> None:
        status, reason, message = conditions(api, digits)["Stalled"]
        assert (status, reason) == ("True", "NameTaken")
        assert "Service digits-cpu-x86" in message

    eventually(told)
    theirs = api.ask("GET", f"/api/v1/namespaces/{namespace}/services/digits-cpu-x86").body
    assert theirs["spec"]["selector"] == {"app": "theirs"}
    assert "ownerReferences" not in theirs["metadata"]


def test_two_deployments_whose_names_collide_do_not_share_objects(operator: Operator, api: Api, namespace: str) -> None:
    first, second = sample(namespace), sample(namespace)
    second["metadata"]["name"] = "digits-cpu-x86"  # its Service is called like the first one's class Service
    api.apply(first)
    eventually(lambda: everything_is_there(api, namespace))
    api.apply(second)
    eventually(lambda: has_reason(api, second, "Stalled", "NameTaken"))
    (owner,) = objects(api, namespace)["Service/digits-cpu-x86"]["metadata"]["ownerReferences"]
    assert owner["name"] == "digits"


def test_a_deleted_deployment_leaves_nothing(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    api.delete(digits)
    eventually(lambda: nothing_is_left(api, namespace), within=60)  # the collector learns new kinds twice a minute


def test_deleted_and_created_again_belongs_to_the_new_one(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    api.delete(digits)
    uid = api.apply(digits)["metadata"]["uid"]

    def adopted() -> None:
        found = objects(api, namespace)
        assert set(found) == WANT_OBJECTS
        assert {o["metadata"]["ownerReferences"][0]["uid"] for o in found.values()} == {uid}

    eventually(adopted, within=60)


def test_an_unknown_class_is_named_and_the_others_are_served(operator: Operator, api: Api, digits: JSON) -> None:
    digits["spec"]["classes"][2]["name"] = "tpu-v9"
    api.apply(digits)

    def told() -> None:
        status, _, message = conditions(api, digits)["CapacityAvailable"]
        assert status == "False"
        assert "tpu-v9: there is no HardwareClass tpu-v9: create it" in message
        assert "Deployment/digits-cpu-x86" in objects(api, digits["metadata"]["namespace"])

    eventually(told)


def test_a_removed_class_is_taken_down(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    api.apply(digits)
    eventually(lambda: everything_is_there(api, namespace))
    digits["spec"]["classes"] = digits["spec"]["classes"][:2]
    api.apply(digits)

    def gone() -> None:
        found = objects(api, namespace)
        assert not [name for name in found if name.endswith("fpga-u250")]
        backends = found["HTTPRoute/digits"]["spec"]["rules"][0]["backendRefs"]
        assert [b["name"] for b in backends] == ["digits-cpu-x86", "digits-gpu-l4"]

    eventually(gone)


def test_paused_changes_nothing_and_says_so(operator: Operator, api: Api, digits: JSON) -> None:
    namespace = digits["metadata"]["namespace"]
    digits["spec"]["paused"] = True
    api.apply(digits)
    eventually(lambda: has_reason(api, digits, "Reconciling", "Paused"))
    assert objects(api, namespace) == {}


def test_killed_at_any_moment_it_ends_up_the_same(
    kubeconfig: Path, controllers: None, api: Api, tmp_path: Path, namespace: str
) -> None:
    digits = sample(namespace)
    api.apply(digits)
    for kills in itertools.count(1):
        with running_operator(kubeconfig, tmp_path) as operator:
            had = len(objects(api, namespace))
            while len(objects(api, namespace)) <= had < len(WANT_OBJECTS) and operator.process.poll() is None:
                pass  # until it wrote something more
            operator.kill()
        if set(objects(api, namespace)) == WANT_OBJECTS or kills > 8:
            break
    with running_operator(kubeconfig, tmp_path) as operator:
        eventually(lambda: everything_is_there(api, namespace))
        eventually(lambda: conditions(api, digits)["Ready"])
        assert operator.tracebacks() == []


ALLOWED = {
    ("heteroserve.dev", "inferencedeployments", ""): "get list watch",
    ("heteroserve.dev", "inferencedeployments", "status"): "patch",
    ("heteroserve.dev", "hardwareclasses", ""): "get list watch",
    ("heteroserve.dev", "hardwareclasses", "status"): "patch",
    ("", "nodes", ""): "get list watch",
    ("", "pods", ""): "get list watch patch",
    ("", "services", ""): "get list watch create patch delete",
    ("discovery.k8s.io", "endpointslices", ""): "get list watch create patch delete",
    ("apps", "deployments", ""): "get list watch create patch delete",
    ("policy", "poddisruptionbudgets", ""): "get list watch create patch delete",
    ("networking.k8s.io", "networkpolicies", ""): "get list watch create patch delete",
    ("gateway.networking.k8s.io", "httproutes", ""): "get list watch create patch delete",
    ("gateway.networking.k8s.io", "grpcroutes", ""): "get list watch create patch delete",
    ("gateway.envoyproxy.io", "backendtrafficpolicies", ""): "get list watch create patch delete",
    ("events.k8s.io", "events", ""): "create",
    ("coordination.k8s.io", "leases", ""): "",
    ("", "secrets", ""): "",
    ("", "configmaps", ""): "",
    ("", "pods", "exec"): "",
    ("", "pods", "status"): "",
    ("", "pods", "binding"): "",
    ("", "pods", "eviction"): "",
    ("", "nodes", "proxy"): "",
    ("", "serviceaccounts", "token"): "",
    ("heteroserve.dev", "inferencedeployments", "finalizers"): "",
    ("rbac.authorization.k8s.io", "clusterroles", ""): "",
    ("apiextensions.k8s.io", "customresourcedefinitions", ""): "",
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@pytest.mark.parametrize(("group", "resource", "subresource"), ALLOWED)
def test_the_operator_may_do_what_it_needs_and_no_more(
    kubeconfig: Path, api: Api, group: str, resource: str, subresource: str
) -> None:
    want = set(ALLOWED[group, resource, subresource].split())
    assert {verb for verb in VERBS if can_i(api, verb, group, resource, subresource)} == want


def test_the_heartbeats_of_nodes_may_be_listed_and_no_other_lease_be_seen(kubeconfig: Path, api: Api) -> None:
    found = {
        namespace: {v for v in VERBS if can_i(api, v, "coordination.k8s.io", "leases", namespace=namespace)}
        for namespace in ("kube-node-lease", "kube-system", "default", "heteroserve-system")
    }
    assert found == {"kube-node-lease": {"list"}, "kube-system": set(), "default": set(), "heteroserve-system": set()}


def test_one_config_map_may_be_read_and_no_other_be_seen(kubeconfig: Path, api: Api) -> None:
    found = {
        (namespace, name): {v for v in VERBS if can_i(api, v, "", "configmaps", namespace=namespace, name=name)}
        for namespace in ("heteroserve-system", "default")
        for name in ("heteroserve-controls", "others")
    }
    assert {where: verbs for where, verbs in found.items() if verbs} == {
        ("heteroserve-system", "heteroserve-controls"): {"get"}
    }


def test_the_operator_hears_the_heartbeats_with_these_rights(operator: Operator, api: Api, digits: JSON) -> None:
    api.apply(digits)
    eventually(lambda: everything_is_there(api, digits["metadata"]["namespace"]))  # by then they were listed
    assert "heartbeats" not in operator.log.read_text()


def test_the_rules_grant_nothing_beside_the_table() -> None:
    roles = {
        m["metadata"].get("namespace", ""): m["rules"]
        for m in yaml.safe_load_all((SAMPLES.parent / "operator/rbac.yaml").read_text())
        if m["kind"] in {"ClusterRole", "Role"}
    }
    granted = {
        (group, *[*resource.split("/"), ""][:2]): " ".join(rule["verbs"])
        for rule in roles.pop("")
        for group, resource in itertools.product(rule["apiGroups"], rule["resources"])
    }
    assert granted == {key: verbs for key, verbs in ALLOWED.items() if verbs}
    switch = {"resources": ["configmaps"], "resourceNames": ["heteroserve-controls"], "verbs": ["get"]}
    assert roles == {
        "heteroserve-system": [{"apiGroups": [""], **switch}],
        "kube-node-lease": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]}],
    }

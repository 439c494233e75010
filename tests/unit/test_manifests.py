"""What the manifests of the operator promise each other and the code."""

from pathlib import Path
from typing import Any

import yaml

from heteroserve import kube
from heteroserve.observe.controls import NAME
from heteroserve.observe.leases import NAMESPACE
from heteroserve.render.metadata import HTTP_PORT
from heteroserve.settings import Settings

FOLDER = Path(__file__).parents[2] / "manifests/operator"
OBJECTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] != "Kustomization"
]
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "Namespace"}
OURS = Settings().namespace


def of(kind: str, name: str = "heteroserve") -> dict[str, Any]:
    return next(o for o in OBJECTS if (o["kind"], o["metadata"]["name"]) == (kind, name))


def test_everything_names_its_own_namespace_because_one_for_all_would_move_a_role() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert "namespace" not in kustomization
    found = sorted((o["kind"], o["metadata"].get("namespace")) for o in OBJECTS if o["kind"] not in CLUSTER_WIDE)
    assert found == [
        ("Deployment", OURS),
        ("NetworkPolicy", OURS),
        ("Role", OURS),
        ("Role", NAMESPACE),
        ("RoleBinding", OURS),
        ("RoleBinding", NAMESPACE),
        ("ServiceAccount", OURS),
    ]


def test_the_rights_are_given_to_the_account_that_the_operator_runs_as() -> None:
    account = of("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    want = [{"kind": "ServiceAccount", "name": account, "namespace": OURS}]
    bindings = [o for o in OBJECTS if o["kind"] in {"ClusterRoleBinding", "RoleBinding"}]
    assert [binding["subjects"] for binding in bindings] == [want] * 3


def test_of_all_config_maps_the_one_that_pauses_may_be_read() -> None:
    (role,) = [o for o in OBJECTS if o["kind"] == "Role" and o["metadata"]["namespace"] == OURS]
    want = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["get"]}
    assert role["rules"] == [want]


def test_the_operator_is_told_its_namespace() -> None:
    (container,) = of("Deployment")["spec"]["template"]["spec"]["containers"]
    (found,) = [e for e in container["env"] if e["name"] == "HETEROSERVE_NAMESPACE"]
    assert found["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}


def test_the_operator_may_ask_the_pods_of_ours_in_any_namespace() -> None:
    rules = of("NetworkPolicy")["spec"]["egress"]
    (asking,) = [rule for rule in rules if {"protocol": "TCP", "port": HTTP_PORT} in rule["ports"]]
    name, _, value = kube.OURS.partition("=")
    assert asking["to"] == [{"namespaceSelector": {}, "podSelector": {"matchLabels": {name: value}}}]

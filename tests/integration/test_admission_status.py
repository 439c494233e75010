"""Status, what `kubectl get` and `kubectl explain` show, and that what belongs to an object goes with it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from heteroserve.api.v1alpha1 import (
    ClassStatus,
    Condition,
    Decision,
    Demand,
    Devices,
    HardwareClassStatus,
    InferenceDeploymentStatus,
    PendingScaleDown,
    Recovery,
)
from integration.control_plane import JSON, Api, wait_for
from integration.inputs import VALID, changed

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 4, 5, 6, 7, 891, tzinfo=UTC)
READY = Condition(
    type="Ready",
    status="True",
    reason="Serving",
    message="3 of 3 replicas",
    last_transition_time=NOW,
    observed_generation=1,
)
STATUS = InferenceDeploymentStatus(
    observed_generation=1,
    conditions=(READY,),
    version="1",
    replicas=3,
    ready_replicas=2,
    cost_per_hour=Decimal("1.01"),
    demand=Demand(requests_per_second=123.4),
    classes=(
        ClassStatus(
            name="cpu-x86",
            replicas=3,
            ready=2,
            weight=100,
            capacity=615.5,
            cost_per_hour=Decimal("0.30"),
            reason="DemandFits",
            message="2 replicas carry 615 requests per second",
            pending_scale_down=PendingScaleDown(since=NOW, replicas=2),
            recovery=Recovery(since=NOW, setbacks=2, troubled=True, floor=1),
        ),
    ),
    decisions=(Decision(time=NOW, class_name="cpu-x86", from_="2 replicas", to="3 replicas", reason="DemandGrew"),),
)


@pytest.fixture
def deployment(api: Api, namespace: str) -> JSON:
    target = changed(VALID["InferenceDeployment"], {"metadata.namespace": namespace})
    api.apply(target)
    return target


def with_status(target: JSON, status: InferenceDeploymentStatus | HardwareClassStatus) -> JSON:
    identity = {key: target[key] for key in ("apiVersion", "kind", "metadata")}
    return {**identity, "status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}


# --- Status ----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back(api: Api, deployment: JSON) -> None:
    api.apply(with_status(deployment, STATUS), "operator", "status")
    assert InferenceDeploymentStatus.model_validate(api.get(deployment)["status"]) == STATUS


def test_every_field_of_the_status_may_be_absent(api: Api, deployment: JSON) -> None:
    least = InferenceDeploymentStatus(classes=(ClassStatus(name="cpu-x86"),), demand=Demand())
    api.apply(with_status(deployment, least), "operator", "status")
    assert InferenceDeploymentStatus.model_validate(api.get(deployment)["status"]) == least


def test_status_is_written_apart_from_the_spec(api: Api, deployment: JSON) -> None:
    before = api.get(deployment)
    status = with_status(deployment, STATUS)
    assert "status" not in api.apply({**deployment, "status": status["status"]}, "user", force="true")
    api.apply({**status, "spec": {"paused": True}}, "operator", "status")
    after = api.get(deployment)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] == 1


def test_the_status_of_a_class(api: Api) -> None:
    gpu = changed(VALID["HardwareClass"], {"metadata.name": "gpu-status"})
    api.apply(gpu)
    status = HardwareClassStatus(
        nodes=4, ready_nodes=3, devices=Devices(capacity=4, allocatable=3, free=1), conditions=(READY,)
    )
    api.apply(with_status(gpu, status), "operator", "status")
    assert HardwareClassStatus.model_validate(api.get(gpu)["status"]) == status


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status.classes.0.weight", 101),
        ("status.classes.0.ready", -1),
        ("status.costPerHour", "free"),
        ("status.classes.0.recovery.setbacks", 101),
        ("status.classes.0.recovery.troubled", "very"),
        ("status.conditions.0.status", "Perhaps"),
        ("status.conditions.0.lastTransitionTime", "yesterday"),
        ("status.decisions.0.reason", ""),
    ],
)
def test_a_status_that_makes_no_sense_is_refused(api: Api, deployment: JSON, path: str, value: object) -> None:
    answer = api.try_apply(changed(with_status(deployment, STATUS), {path: value}), "operator", "status")
    assert not answer.accepted
    assert path.rpartition(".")[2] in answer.body["message"]


# --- kubectl ---------------------------------------------------------------------------------------------------------


def shown(api: Api, path: str) -> dict[str, object]:
    """The first row of what `kubectl get -o wide` prints."""
    table = api.ask("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    return dict(zip((column["name"] for column in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))


def test_what_kubectl_get_shows_of_a_deployment(api: Api, deployment: JSON) -> None:
    api.apply(with_status(deployment, STATUS), "operator", "status")
    row = shown(
        api, f"/apis/heteroserve.dev/v1alpha1/namespaces/{deployment['metadata']['namespace']}/inferencedeployments"
    )
    del row["Age"]
    assert row == {
        "Name": "digits",
        "Model": "digits",
        "Ready": "True",
        "Replicas": 2,
        "Demand": 123.4,
        "Cost/h": "1.01",
        "Reason": "Serving",
    }


def test_what_kubectl_get_shows_of_a_class(api: Api) -> None:
    gpu = changed(VALID["HardwareClass"], {"metadata.name": "a-gpu"})
    api.apply(gpu)
    evacuated = READY.model_copy(update={"type": "Evacuated", "status": "False", "reason": "ReplicasLeft"})
    status = HardwareClassStatus(nodes=4, ready_nodes=3, devices=Devices(free=1), conditions=(READY, evacuated))
    api.apply(with_status(gpu, status), "operator", "status")
    row = shown(api, "/apis/heteroserve.dev/v1alpha1/hardwareclasses")
    del row["Age"]
    want = {"Accelerator": "GPU", "Ready": 3, "Nodes": 4, "Free": 1, "Cost/h": "0.71", "Reason": "Serving"}
    assert row == {"Name": "a-gpu", **want, "Evacuated": "ReplicasLeft"}


def test_names_and_subresources(api: Api) -> None:
    found = {
        resource["name"]: resource for resource in api.ask("GET", "/apis/heteroserve.dev/v1alpha1").body["resources"]
    }
    assert sorted(found) == [
        "hardwareclasses",
        "hardwareclasses/status",
        "inferencedeployments",
        "inferencedeployments/status",
    ]
    assert found["hardwareclasses"]["shortNames"] == ["hwc"]
    assert found["inferencedeployments"]["shortNames"] == ["infd"]
    assert found["inferencedeployments"]["categories"] == ["heteroserve", "all"]


def undocumented(schema: JSON, path: str) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        if path == "" and name == "metadata":
            continue
        if len(child.get("description", "")) < 10:
            yield f"{path}.{name}"
        yield from undocumented(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from undocumented(schema[keyword], f"{path}[]")


@pytest.mark.parametrize("kind", ["HardwareClass", "InferenceDeployment"])
def test_kubectl_explain_has_an_answer_for_every_field(api: Api, kind: str) -> None:
    path = "/openapi/v3/apis/heteroserve.dev/v1alpha1"
    wait_for(lambda: "components" in api.ask("GET", path).body, "the description of the API")  # later than the CRDs
    schemas = api.ask("GET", path).body["components"]["schemas"]
    schema = schemas[f"dev.heteroserve.v1alpha1.{kind}"]
    assert len(schema["description"]) > 50
    assert list(undocumented(schema, "")) == []


# --- Ownership -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("controllers")
def test_what_a_deployment_owns_goes_with_it(api: Api, deployment: JSON) -> None:
    namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
    owner = {"apiVersion": "heteroserve.dev/v1alpha1", "kind": "InferenceDeployment", "name": name}
    owner["uid"] = api.get(deployment)["metadata"]["uid"]
    service = f"/api/v1/namespaces/{namespace}/services/{name}"
    child = {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": {"ports": [{"port": 8000}]}}
    assert api.ask("POST", service.rpartition("/")[0], child).accepted
    api.delete(deployment)
    wait_for(lambda: api.ask("GET", service).status == 404, "the garbage collector")

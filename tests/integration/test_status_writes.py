"""Our own client against a real API server: whose status is written, and what cannot be."""

from collections.abc import AsyncIterator

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from heteroserve import kube
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kube
from integration.control_plane import JSON, Api, ControlPlane
from integration.inputs import VALID, changed

pytestmark = pytest.mark.integration


@pytest.fixture
async def ours(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    configuration = Configuration()
    path = str(control_plane.kubeconfig)
    await config.load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    async with ApiClient(configuration) as client:
        yield Kube(client)


def of_kind(kind: str, namespace: str) -> JSON:
    cluster_wide = kind == "HardwareClass"
    where = {"metadata.name": "gpu-replaced"} if cluster_wide else {"metadata.namespace": namespace}
    return changed(VALID[kind], where)


@pytest.mark.parametrize("kind", ["InferenceDeployment", "HardwareClass"])
async def test_a_status_is_never_written_to_a_namesake(ours: Kube, api: Api, namespace: str, kind: str) -> None:
    target = of_kind(kind, namespace)
    first = api.apply(target)["metadata"]
    api.delete(target)
    second = api.apply(target)["metadata"]
    where = kube.BY_KIND[kind], second.get("namespace"), second["name"]
    with pytest.raises(Retry, match="is not the object that was read") as caught:
        await ours.replace_status(*where, {"observedGeneration": 1}, uid=first["uid"])
    assert caught.value.reason == "Conflict"
    assert "status" not in api.get(target)
    await ours.replace_status(*where, {"observedGeneration": 1}, uid=second["uid"])
    assert api.get(target)["status"] == {"observedGeneration": 1}


async def test_a_status_that_makes_no_sense_is_refused_with_the_path(ours: Kube, api: Api, namespace: str) -> None:
    metadata = api.apply(of_kind("InferenceDeployment", namespace))["metadata"]
    with pytest.raises(Reject, match=r"status\.replicas"):
        await ours.replace_status(
            kube.INFERENCE_DEPLOYMENT, namespace, metadata["name"], {"replicas": -1}, uid=metadata["uid"]
        )


async def test_what_is_gone_is_no_refusal(ours: Kube, api: Api, namespace: str) -> None:
    target = of_kind("InferenceDeployment", namespace)
    metadata = api.apply(target)["metadata"]
    api.delete(target)
    with pytest.raises(Retry, match="does not know"):
        await ours.replace_status(kube.INFERENCE_DEPLOYMENT, namespace, metadata["name"], {}, uid=metadata["uid"])


async def test_a_list_with_an_entry_twice_is_a_refusal_and_no_weather(ours: Kube, api: Api, namespace: str) -> None:
    container = {"name": "triton", "image": "triton", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    labels = {"app": "digits"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    with pytest.raises(Reject, match=r'a list has an entry twice.*duplicate entries for key \[name="A"\]') as caught:
        await ours.apply(kube.DEPLOYMENT, deployment)
    assert caught.value.reason == "Invalid"


async def test_a_list_comes_whole_in_several_pages(
    ours: Kube, api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"app.kubernetes.io/managed-by": "heteroserve"}
    for number in range(5):
        service = {"metadata": {"name": f"s-{number}", "labels": labels}, "spec": {"ports": [{"port": 80}]}}
        assert api.ask("POST", f"/api/v1/namespaces/{namespace}/services", service).accepted
    monkeypatch.setattr(kube, "PAGE", 2)
    found = await ours.list(kube.SERVICE, lambda raw: (raw["metadata"]["namespace"], raw["metadata"]["name"]))
    assert [name for where, name in found or () if where == namespace] == [f"s-{n}" for n in range(5)]

"""What only the cluster can tell becomes a condition and an Event that name the cause within 30 s."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from e2e.conftest import Served, apply, lost, samples, serving_everywhere
from kit.cluster import kubectl

TOLD_SECONDS = 30.0


async def told(served: Served, condition: str, reason: str, fragment: str) -> None:
    """Waits until the condition is there with the reason and words, and looks for its Event."""
    await served.until(
        lambda view: view.condition(condition)[1] == reason and fragment in view.condition(condition)[2],
        within=TOLD_SECONDS,
    )
    events = await kubectl("-n", served.namespace, "get", "events.events.k8s.io", "-o", "yaml")
    assert f"reason: {reason}" in events


@contextlib.asynccontextmanager
async def hardware(name: str, **changes: Any) -> AsyncIterator[None]:
    """The cpu class under another name, with parts of its spec replaced, for as long as the block runs."""
    (sample,) = [m for m in await samples() if m["kind"] == "HardwareClass" and m["metadata"]["name"] == "cpu-x86"]
    sample = copy.deepcopy(sample)
    sample["metadata"]["name"] = name
    sample["spec"] |= changes
    await apply(sample)
    try:
        yield
    finally:
        await kubectl("delete", "hwc", name)


def one_class(served: Served, name: str) -> list[dict[str, Any]]:
    return [{**served.manifest["spec"]["classes"][0], "name": name}]


async def test_an_image_that_cannot_be_pulled(served: Served) -> None:
    (cpu,) = [m for m in await samples() if m["metadata"]["name"] == "cpu-x86"]
    async with hardware("e2e-no-image", runtime=cpu["spec"]["runtime"] | {"image": "localhost/heteroserve/nothing:1"}):
        await served.apply(classes=one_class(served, "e2e-no-image"))
        await told(served, "ModelReady", "ImagePullFailed", "localhost/heteroserve/nothing:1")


async def test_a_model_that_does_not_load_leaves_the_last_good_one_serving(digits_served: Served) -> None:
    spec = digits_served.manifest["spec"]
    config = 'name: "digits" backend: "onnxruntime" max_batch_size: 8\n'
    await apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "broken", "namespace": digits_served.namespace},
            "data": {"config": config, "model": "this is no model"},
        }
    )
    items = [
        {"key": "config", "path": "digits/config.pbtxt"},
        *({"key": "config", "path": f"digits/configs/{v}.pbtxt"} for v in ("fp32", "int8")),
        {"key": "model", "path": "digits/1/model.onnx"},
    ]
    broken = {"configMap": {"name": "broken", "items": items}}
    async with digits_served.load(20) as load:
        await digits_served.apply(model=spec["model"] | {"source": broken})
        await told(digits_served, "ModelReady", "ModelLoadFailed", "digits")
        view = await digits_served.look()
        assert view.condition("Ready")[0] == "True", "the last good replicas serve on"
        await digits_served.apply()
        await digits_served.until(lambda view: view.condition("ModelReady")[0] == "True", within=90)
    assert lost(load) == (0, 0, 0)


async def test_a_wrong_version_leaves_the_last_one_serving(digits_served: Served) -> None:
    spec = digits_served.manifest["spec"]
    async with digits_served.load(20) as load:
        await digits_served.apply(model=spec["model"] | {"version": "7"})
        await asyncio.sleep(15)
        await digits_served.apply()
        await digits_served.until(serving_everywhere, within=120)
    assert lost(load) == (0, 0, 0)


async def test_a_version_that_is_not_in_the_repository(served: Served) -> None:
    spec = served.manifest["spec"]
    await served.apply(model=spec["model"] | {"version": "7"})
    await told(served, "ModelReady", "StartingSlowly", "is not ready yet")


async def test_an_unknown_class(served: Served) -> None:
    await served.apply(classes=one_class(served, "tpu-v9"))
    await told(served, "CapacityAvailable", "UnknownHardwareClass", "there is no HardwareClass tpu-v9")
    assert (await served.look()).condition("Stalled")[0] == "True"


async def test_a_class_without_nodes(served: Served) -> None:
    async with hardware("e2e-no-nodes", nodeSelector={"heteroserve.dev/pool": "nowhere"}):
        await served.apply(classes=one_class(served, "e2e-no-nodes"))
        await told(served, "CapacityAvailable", "NoUsableNodes", "no usable node")
        reason = await kubectl("get", "hwc", "e2e-no-nodes", "-o", "jsonpath={.status.conditions[0].message}")
        assert "no node has the labels heteroserve.dev/pool=nowhere" in reason


async def test_a_device_that_no_node_offers(served: Served) -> None:
    async with hardware("e2e-no-device", accelerator="ASIC", resources=[{"name": "example.com/asic", "quantity": 1}]):
        await served.apply(classes=one_class(served, "e2e-no-device"))
        await told(served, "CapacityAvailable", "NoFreeDevices", "no free device")
        reason = await kubectl("get", "hwc", "e2e-no-device", "-o", "jsonpath={.status.conditions[0].message}")
        assert "no node offers example.com/asic: is its device plugin running?" in reason


async def test_a_quota_that_lets_no_pod_in(served: Served) -> None:
    await apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": served.namespace},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    await served.apply(classes=served.manifest["spec"]["classes"][:1])
    await told(served, "CapacityAvailable", "PodsRefused", "exceeded quota: none")


async def test_a_runtime_class_that_does_not_exist(served: Served) -> None:
    (cpu,) = [m for m in await samples() if m["metadata"]["name"] == "cpu-x86"]
    async with hardware("e2e-no-runtime", runtime=cpu["spec"]["runtime"] | {"runtimeClassName": "nowhere"}):
        await served.apply(classes=one_class(served, "e2e-no-runtime"))
        await told(served, "CapacityAvailable", "PodsRefused", 'RuntimeClass "nowhere" not found')


async def test_somebody_elses_service_under_the_name_of_a_class_gets_no_request(served: Served) -> None:
    classes = served.manifest["spec"]["classes"][:2]  # the only fpga node's devices are in other hands
    other, taken = (c["name"] for c in classes)
    await apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"digits-{taken}", "namespace": served.namespace},
            "spec": {"ports": [{"port": 8000}], "selector": {"nobody": "here"}},
        }
    )
    await served.apply(classes=classes)
    await told(served, "Stalled", "NameTaken", f"Service digits-{taken} exists")
    await served.until(lambda view: view.weights == {other: 100, taken: 0}, within=60)
    await asyncio.sleep(1)  # the gateway has heard of it
    async with served.load(20) as load:
        await asyncio.sleep(5)
        assert (await served.look()).weights.get(taken, 0) == 0
    assert lost(load) == (0, 0, 0)


@pytest.mark.parametrize(
    ("source", "condition", "reason", "fragment"),
    [
        pytest.param(
            {"configMap": {"name": "missing", "items": [{"key": "model", "path": "digits/1/model.onnx"}]}},
            "ModelReady",
            "StartingSlowly",  # the pod has a node, and waits there for what it is to mount
            "the ConfigMap missing must be there",
            id="config map",
        ),
        pytest.param(
            {"persistentVolumeClaim": {"claimName": "missing"}},
            "CapacityAvailable",
            "PodsUnschedulable",
            'persistentvolumeclaim "missing" not found',
            id="volume claim",
        ),
    ],
)
async def test_a_source_that_is_not_there(
    served: Served, source: dict[str, Any], condition: str, reason: str, fragment: str
) -> None:
    spec = served.manifest["spec"]
    await served.apply(model=spec["model"] | {"source": source}, classes=spec["classes"][:1])
    await told(served, condition, reason, fragment)
    view = await served.look()
    assert view.condition(condition)[0] == "False"
    assert view.condition("Ready")[:2] == ("False", reason), "the first cause is the one to read"

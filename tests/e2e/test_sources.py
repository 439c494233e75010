"""The same model out of every source that works here: an image (all other tests), a ConfigMap, a persistent volume."""

import asyncio
import base64

from e2e.conftest import Served, apply
from kit import client, digits
from kit.cluster import HACK, kubectl, run

FILES = ("digits/config.pbtxt", "digits/configs/int8.pbtxt", "digits/1/model_int8.onnx")
NODES = ("heteroserve-worker", "heteroserve-worker2")


async def right(served: Served) -> None:
    """Some images are answered rightly through the gateway."""
    (asker,) = client.askers(served.target, "http")
    async with asker:
        questions = digits.questions()[:40]
        answers = await asyncio.gather(*(asker.ask(q.image) for q in questions))
    assert all(a[0] in q.right for a, q in zip(answers, questions, strict=True))


async def serve(served: Served, source: dict[str, object]) -> None:
    """The model on the cpu class alone, out of this source."""
    spec = served.manifest["spec"]
    cpu = spec["classes"][0] | {"variant": "int8"}
    await served.apply(model=spec["model"] | {"source": source}, classes=[cpu])
    await served.until(lambda view: view.condition("Ready")[0] == "True", within=90)
    await asyncio.sleep(1)  # the gateway has heard of it
    await right(served)


async def test_from_a_config_map(served: Served) -> None:
    keys = {path.replace("/", "."): path for path in FILES}
    content = {key: (digits.REPOSITORY / path).read_bytes() for key, path in keys.items()}
    await apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "repository", "namespace": served.namespace},
            "binaryData": {key: base64.b64encode(data).decode() for key, data in content.items()},
        }
    )
    items = [{"key": key, "path": path} for key, path in keys.items()]
    await serve(served, {"configMap": {"name": "repository", "items": items}})


async def test_from_a_folder_of_a_persistent_volume(served: Served) -> None:
    folder = f"/var/lib/{served.namespace}"
    for name in NODES:
        copy = f'. "{HACK}/cluster/lib.sh"; engine exec {name} mkdir -p {folder}/models; '
        copy += f"engine cp {digits.REPOSITORY}/digits {name}:{folder}/models/digits"
        await run("bash", "-c", copy)
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": served.namespace},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "hostPath": {"path": folder, "type": "Directory"},
            "claimRef": {"namespace": served.namespace, "name": "models"},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models", "namespace": served.namespace},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": served.namespace,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    try:
        await apply(volume, claim)
        await serve(served, {"persistentVolumeClaim": {"claimName": "models", "path": "models"}})
    finally:
        await kubectl("delete", "pv", served.namespace, "--wait=false")

"""The deployment of one trial: a namespace of its own, so that no trial remembers another's faults.

`TARGET` is the way of the requests alone; the pods and the operator are the same. `operator`: the operator's own
routes. `route`: an HTTPRoute with the weights of the start and no policy. `service`: kube-proxy over all ready pods.
"""

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import yaml

from kit import client, digits
from kit.bench import baselines
from kit.bench.levers import Levers
from kit.bench.trial import Target
from kit.bench.victim import Pod, serving
from kit.bench.witness import Gateway
from kit.cluster import HACK, NAME, Cluster, View
from kit.errors import UsageError

REPLICAS = {"cpu-x86": 2, "gpu-l4": 2, "fpga-u250": 1}
"""Two classes that lose one of two nodes, and one that loses its only pod."""

REST_SECONDS = 5.0
RAMP_SECONDS = 35.0
"""A class that is new gets its share in steps, and has all of it after 30 s."""

SETTLE_SECONDS = 480.0
ANSWER_SECONDS = 30.0
CONDITIONS = {"Ready": "True", "Reconciling": "False"}
APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A deployment that is at rest, and where to ask it."""

    namespace: str
    manifest: dict[str, Any]
    target: client.Target
    pods: list[Pod]
    weights: dict[str, int]
    gateway: Gateway | None


@contextlib.asynccontextmanager
async def placed(cluster: Cluster, levers: Levers, target: Target, gateway: str, name: str) -> AsyncIterator[Stage]:
    """A namespace with the sample at rest in it; gone afterwards, its devices at once."""
    manifest = await _manifest(levers, name)
    try:
        await levers.kubectl(*APPLY, stdin=yaml.safe_dump_all([_namespace(name), manifest]))
        view = await settled(cluster, name)
        where = await baselines.placed(levers, target, gateway, name, view.weights)
        await _answers(where)
        yield Stage(
            namespace=name,
            manifest=manifest,
            target=where,
            pods=serving(view.pods),
            weights=view.weights,
            gateway=None if target == "service" else await _gateway(levers),
        )
    finally:
        await levers.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
        # nobody asks them any more: the next trial wants their devices, and not after half a minute of grace
        with contextlib.suppress(UsageError):  # they go with their namespace, only later
            await levers.kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")


async def _manifest(levers: Levers, name: str) -> dict[str, Any]:
    samples = list(yaml.safe_load_all(await levers.kubectl("kustomize", str(HACK / "demo"))))
    hardware = [sample for sample in samples if sample["kind"] == "HardwareClass"]
    await levers.kubectl(*APPLY, stdin=yaml.safe_dump_all(hardware))
    (sample,) = (sample for sample in samples if sample["kind"] == "InferenceDeployment")
    return deployment(sample, name)


def deployment(sample: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The sample with a host name of its own and the replicas that the faults need."""
    manifest = copy.deepcopy(sample)
    manifest["metadata"]["namespace"] = namespace
    spec = manifest["spec"]
    spec["traffic"] = {"hostnames": [f"{namespace}.test"]}
    spec["scaling"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = 15
    for entry in spec["classes"]:
        entry["minReplicas"] = REPLICAS[entry["name"]]
    return manifest


def _namespace(name: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def settled(cluster: Cluster, namespace: str) -> View:
    """Waits until the deployment is at rest, and stays it."""
    end = time.monotonic() + SETTLE_SECONDS
    since, last = time.monotonic(), dict[str, int]()
    while time.monotonic() < end:
        view = await cluster.look(namespace, NAME)
        if not at_rest(view) or view.weights != last:
            since, last = time.monotonic(), view.weights
        if at_rest(view) and time.monotonic() - since > (REST_SECONDS if proportional(view) else RAMP_SECONDS):
            return view
        await asyncio.sleep(0.5)
    raise UsageError(f"the deployment is not at rest after {SETTLE_SECONDS:.0f} s: {view.status.get('conditions')}")


def at_rest(view: View) -> bool:
    """Whether every class has its pods and gets traffic."""
    seen = view.status.get("observedGeneration") == view.deployment.get("metadata", {}).get("generation")
    well = all(view.condition(kind)[0] == status for kind, status in CONDITIONS.items())
    return bool(seen and well and view.settled and all(view.weights.values()))


def proportional(view: View) -> bool:
    """Whether every class has its share: then none is on the way up."""
    capacity = {name: float(c.get("capacity", 0)) for name, c in view.classes.items()}
    total = sum(capacity.values())
    return total > 0 and all(abs(view.weights[n] - 100 * c / total) <= 2 for n, c in capacity.items())


async def _answers(target: client.Target) -> None:
    """Every protocol answers: a route needs a moment to reach the gateway."""
    question = digits.questions()[0]
    end = time.monotonic() + ANSWER_SECONDS
    for kind in client.askers(target, "both"):
        async with kind as asker:
            while True:
                try:
                    await asker.ask(question.image)
                    break
                except Exception as error:
                    if time.monotonic() > end:
                        raise UsageError(f"no answer over {asker.protocol}: {client.reason(error)}") from error
                    await asyncio.sleep(0.2)


async def _gateway(levers: Levers) -> Gateway:
    label = "gateway.envoyproxy.io/owning-gateway-name=heteroserve"
    found = "jsonpath={.items[0].status.containerStatuses[?(@.name=='envoy')].containerID}"
    container = await levers.kubectl("-n", "envoy-gateway-system", "get", "pods", "-l", label, "-o", found)
    return Gateway(container=container.rpartition("/")[2])

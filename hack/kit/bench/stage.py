"""The deployment on which trials take place, in a namespace of its own, at rest before each of them.

Trials share it, as a deployment in use outlives many faults. What the operator remembers of earlier ones in the status
is taken away between them, as if the deployment had been calm for long; the pods are those that the last fault left,
on two nodes where a class has several.

`TARGET` is the way of the requests alone; the pods and the operator are the same. `operator`: the operator's own
routes. `route`: an HTTPRoute with the weights of the start and no policy. `service`: kube-proxy over all ready pods.
"""

import asyncio
import collections
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
from kit.cluster import HACK, NAME, Cluster, View, forgiving
from kit.errors import UsageError

REPLICAS = {"cpu-x86": 2, "gpu-l4": 2, "fpga-u250": 1}
"""Two classes that lose one of two nodes, and one that loses its only pod."""

REST_SECONDS = 5.0
SETTLE_SECONDS = 480.0
ANSWER_SECONDS = 30.0
CONDITIONS = {"Ready": "True", "Reconciling": "False"}
APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A deployment that is at rest, its pods, and where to ask it."""

    namespace: str
    manifest: dict[str, Any]
    target: client.Target
    pods: list[Pod]
    weights: dict[str, int]
    gateway: Gateway | None


class Stand:
    """Makes the deployment when it is first wanted, and brings it to rest before each trial."""

    def __init__(self, cluster: Cluster, levers: Levers, target: Target, gateway: str) -> None:
        """Nothing is made yet."""
        self._cluster = cluster
        self._levers = levers
        self.target = target
        self._gateway = gateway
        self._name = ""
        self._manifest: dict[str, Any] = {}
        self._where: client.Target | None = None
        self._found: Stage | None = None

    async def at_rest(self) -> Stage:
        """The deployment, as the end of the trial before it found it, or as it comes to rest now."""
        found, self._found = self._found, None
        return found or await self._settled()

    async def again(self) -> None:
        """At rest again after a trial. Raises what keeps it from that."""
        self._found = await self._settled()

    async def _settled(self) -> Stage:
        """One that does not come to rest is given up, and the next trial gets a new one."""
        try:
            return await self._at_rest()
        except UsageError:
            await self.clear()
            raise

    async def _at_rest(self) -> Stage:
        levers = self._levers
        if not self._name:
            self._name = f"bench-{int(time.time()) % 0xFFFFFF:x}"
            self._manifest = await _manifest(levers, self._name)
            await levers.kubectl(*APPLY, stdin=yaml.safe_dump_all([_namespace(self._name), self._manifest]))
        view = await settled(self._cluster, levers, self._name)
        if self._where is None:
            self._where = await baselines.placed(levers, self.target, self._gateway, self._name, view.weights)
        await _answers(self._where)
        return Stage(
            namespace=self._name,
            manifest=self._manifest,
            target=self._where,
            pods=serving(view.pods),
            weights=view.weights,
            gateway=None if self.target == "service" else await _gateway(levers),
        )

    async def clear(self) -> None:
        """The namespace goes, and its devices are free at once."""
        name, self._name, self._where, self._found = self._name, "", None, None
        if not name:
            return
        kubectl = self._levers.kubectl
        await kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
        # nobody asks them any more: who comes next wants their devices, and not after half a minute of grace
        with contextlib.suppress(UsageError):  # they go with their namespace, only later
            await kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")


@contextlib.asynccontextmanager
async def standing(cluster: Cluster, levers: Levers, target: Target, gateway: str) -> AsyncIterator[Stand]:
    """A stand that is cleared afterwards."""
    stand = Stand(cluster, levers, target, gateway)
    try:
        yield stand
    finally:
        await stand.clear()


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


async def settled(cluster: Cluster, levers: Levers, namespace: str) -> View:
    """Waits until the deployment is at rest, and stays it."""
    end = time.monotonic() + SETTLE_SECONDS
    since, last = time.monotonic(), dict[str, int]()
    while time.monotonic() < end:
        view = await cluster.look(namespace, NAME)
        if not at_rest(view) or view.weights != last:
            since, last = time.monotonic(), view.weights
        elif time.monotonic() - since > REST_SECONDS:
            return view
        if whole(view):
            for words in (forgiving(view), spreading(view)):
                with contextlib.suppress(UsageError):  # the status or the pod changed meanwhile
                    await levers.kubectl(*words) if words else None
        await asyncio.sleep(0.5)
    raise UsageError(f"the deployment is not at rest after {SETTLE_SECONDS:.0f} s: {view.status.get('conditions')}")


def whole(view: View) -> bool:
    """Whether every class has its pods, and none besides."""
    seen = view.status.get("observedGeneration") == view.deployment.get("metadata", {}).get("generation")
    well = all(view.condition(kind)[0] == status for kind, status in CONDITIONS.items())
    wanted = {c["name"]: c["minReplicas"] for c in view.deployment.get("spec", {}).get("classes", ())}
    return bool(seen and well and view.settled) and wanted == {name: c["ready"] for name, c in view.classes.items()}


def at_rest(view: View) -> bool:
    """Whether every class has its pods and its share of the traffic as well: none is on the way up."""
    capacity = {name: float(c.get("capacity", 0)) for name, c in view.classes.items()}
    total = sum(capacity.values())
    if not (whole(view) and total > 0 and all(view.weights.values())) or spreading(view):
        return False
    return all(abs(view.weights[name] - 100 * c / total) <= 2 for name, c in capacity.items())


def spreading(view: View) -> list[str]:
    """The words for kubectl that bring a class onto two nodes again: what a node's death moved together stays there."""
    by_class = collections.defaultdict[str, list[Pod]](list)
    for pod in serving(view.pods):
        by_class[pod.class_name].append(pod)
    for pods in by_class.values():
        if len(pods) > 1 and len({pod.node for pod in pods}) == 1:
            namespace = view.deployment["metadata"]["namespace"]
            return ["-n", namespace, "delete", "pod", pods[0].name, "--wait=false"]
    return []


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

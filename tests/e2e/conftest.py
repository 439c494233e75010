"""The local cluster, and deployments of the sample on it, each in a namespace and under a host name of its own."""

import asyncio
import contextlib
import copy
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import yaml

from kit import client, digits
from kit.cluster import HACK, Cluster, View, addresses, connect, forgiving, kubectl
from kit.load import Load

NUMBERS = itertools.count(1)
RUN = format(int(time.time()) % 0xFFFF, "x")

JSON = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these share one cluster and one event loop, and take their time."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(420))


@dataclass(frozen=True)
class Served:
    """One InferenceDeployment of a test: how to look at it, change it and ask it."""

    cluster: Cluster
    gateway: str
    namespace: str
    manifest: JSON

    @property
    def target(self) -> client.Target:
        return client.Target(http=self.gateway, grpc=self.gateway, host=f"{self.namespace}.test")

    async def apply(self, **spec: Any) -> None:
        """Applies the deployment, with parts of its spec replaced."""
        changed = copy.deepcopy(self.manifest)
        changed["spec"] |= spec
        await apply(changed)

    async def look(self) -> View:
        return await self.cluster.look(self.namespace)

    async def until(self, true: Callable[[View], bool], *, within: float) -> float:
        """Seconds until a look shows something; fails with what it shows instead."""
        start = time.monotonic()
        while not true(view := await self.look()):
            if time.monotonic() - start > within:
                pytest.fail(f"not within {within:.0f} s; the status is:\n{json.dumps(view.status, indent=1)}")
        return time.monotonic() - start

    async def forgive(self) -> None:
        """Every class is trusted in full again: what a test did to one is no matter of the next."""
        if words := forgiving(await self.look()):
            await kubectl(*words)

    @contextlib.asynccontextmanager
    async def load(self, rate: float, protocol: str = "both") -> AsyncIterator[Load]:
        """Requests at a rate for as long as the block runs, and the end of all of them; what fails is counted."""
        async with contextlib.AsyncExitStack() as stack:
            askers = [await stack.enter_async_context(a) for a in client.askers(self.target, protocol)]
            load = Load(askers, digits.questions(), rate=rate)
            running = asyncio.create_task(load.run(3600))
            try:
                yield load
            finally:
                await load.finish(2 * self.target.timeout)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


def lost(load: Load) -> tuple[int, int, int]:
    """Requests that failed, were answered wrongly, or never; printed for whoever looks."""
    summary = load.summary()
    print(summary, *load.failures()[:5], sep="\n")  # noqa: T201
    assert summary.sent > 50
    return summary.failed, summary.wrong, summary.pending


async def apply(*manifests: JSON) -> None:
    """Server-side apply through kubectl."""
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(manifests))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    async with connect() as cluster:
        await apply(*[m for m in await samples() if m["kind"] == "HardwareClass"])
        yield cluster


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway() -> str:
    return (await addresses())["GATEWAY"]


async def samples() -> list[JSON]:
    """The manifests of the demo."""
    return list(yaml.safe_load_all(await kubectl("kustomize", str(HACK / "demo"))))


@pytest_asyncio.fixture(loop_scope="session")
async def served(cluster: Cluster, gateway: str) -> AsyncIterator[Served]:
    """The sample, not applied yet; its namespace is deleted afterwards."""
    async with _namespace(cluster, gateway) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(cluster: Cluster, gateway: str) -> AsyncIterator[Served]:
    """One sample for a file of tests: a pod that leaves holds its device for half a minute."""
    async with _namespace(cluster, gateway) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def digits_served(shared: Served) -> Served:
    """The sample as it was, applied and ready on all three classes, and whatever happened before forgiven."""
    await shared.apply()
    await shared.until(ready_everywhere, within=120)
    await shared.forgive()
    await shared.until(serving_everywhere, within=30)
    await asyncio.sleep(1)  # the gateway has heard of it
    return shared


@contextlib.asynccontextmanager
async def _namespace(cluster: Cluster, gateway: str) -> AsyncIterator[Served]:
    namespace = f"e2e-{RUN}-{next(NUMBERS)}"
    (manifest,) = [m for m in await samples() if m["kind"] == "InferenceDeployment"]
    manifest["metadata"]["namespace"] = namespace
    manifest["spec"]["traffic"] = {"hostnames": [f"{namespace}.test"]}
    manifest["spec"]["scaling"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = 15
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    await apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": restricted}})
    yield Served(cluster, gateway, namespace, manifest)
    await kubectl("delete", "namespace", namespace, "--wait=false")


def serving_everywhere(view: View) -> bool:
    """Whether every class serves as the present spec asks for, and gets traffic."""
    return ready_everywhere(view) and all(view.weights.values())


def ready_everywhere(view: View) -> bool:
    """Whether every class has its replicas, whether it is trusted with traffic or not."""
    seen = view.status.get("observedGeneration") == view.deployment.get("metadata", {}).get("generation")
    at_rest = view.condition("Ready")[0] == "True" and view.condition("Reconciling")[0] == "False"
    return seen and at_rest and view.settled

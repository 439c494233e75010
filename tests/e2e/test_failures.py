"""Things that die under load: a node, a device, a Triton, the operator itself. No request notices."""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from e2e.conftest import Served, lost, ready_everywhere, serving_everywhere
from kit import digits
from kit.cluster import CLASS_LABEL, HACK, View, device, kubectl, node, run

OPERATOR = ("-n", "heteroserve-system")


async def only_node(served: Served, name: str) -> str:
    """The node of a class's only replica, once there is only one: earlier tests may have left more."""
    await served.until(
        lambda view: serving_everywhere(view) and view.classes[name]["replicas"] == len(view.nodes(name)) == 1,
        within=120,
    )
    (found,) = (await served.look()).nodes(name)
    return found


@contextlib.asynccontextmanager
async def killed(victim: str) -> AsyncIterator[None]:
    """A node without power for as long as the block runs."""
    try:
        await node("kill", victim)
        yield
    finally:
        await node("restore", victim)


@pytest.mark.parametrize("name", ["gpu-l4", "cpu-x86"])
async def test_a_killed_worker_costs_no_request_and_its_class_comes_back_elsewhere(
    digits_served: Served, name: str
) -> None:
    victim = await only_node(digits_served, name)

    def back(view: View) -> bool:
        """All of it ready, and nothing of it where the worker was."""
        return view.settled and bool(view.nodes(name)) and victim not in view.nodes(name)

    async with digits_served.load(50) as load:
        await asyncio.sleep(10)
        start = time.time()
        async with killed(victim):
            # the cheapest class may have grown meanwhile: then it never was without a replica
            moved = await digits_served.until(lambda view: view.weights[name] == 0 or back(view), within=10)
            print(f"{name}: out of the traffic {moved:.1f} s after its node was killed")  # noqa: T201
            await digits_served.until(back, within=120)
            print(f"{name}: ready on another node after {time.time() - start:.1f} s")  # noqa: T201
            await asyncio.sleep(5)
    assert lost(load) == (0, 0, 0)


async def test_the_only_worker_of_a_class_is_killed_and_the_class_comes_back_with_it(digits_served: Served) -> None:
    name = "fpga-u250"
    victim = await only_node(digits_served, name)
    async with digits_served.load(50) as load:
        await asyncio.sleep(10)
        async with killed(victim):
            moved = await digits_served.until(lambda view: view.weights[name] == 0, within=10)
            print(f"{name}: weight 0 {moved:.1f} s after its only node was killed")  # noqa: T201
            await asyncio.sleep(5)
        back = await digits_served.until(ready_everywhere, within=120)
        print(f"{name}: ready {back:.1f} s after its node was restored")  # noqa: T201
        await asyncio.sleep(5)
    assert lost(load) == (0, 0, 0)


async def test_the_operator_is_killed_in_mid_change_and_finishes_it_afterwards(digits_served: Served) -> None:
    classes = digits_served.manifest["spec"]["classes"]
    async with digits_served.load(30) as load:
        await digits_served.apply(classes=[c | {"minReplicas": 2 + (c["name"] == "cpu-x86")} for c in classes[:2]])
        await kubectl(
            *OPERATOR, "delete", "pod", "-l", "app.kubernetes.io/name=heteroserve", "--grace-period=0", "--force"
        )
        await digits_served.until(
            lambda view: view.settled and [c["replicas"] for c in view.classes.values()] == [3, 2], within=90
        )
    assert lost(load) == (0, 0, 0)


async def test_the_deployment_serves_on_while_the_operator_is_away(digits_served: Served) -> None:
    try:
        await kubectl(*OPERATOR, "scale", "deployment/heteroserve", "--replicas=0")
        async with digits_served.load(30) as load:
            await asyncio.sleep(20)
    finally:
        await kubectl(*OPERATOR, "scale", "deployment/heteroserve", "--replicas=1")
        await kubectl(*OPERATOR, "rollout", "status", "deployment/heteroserve", "--timeout=60s")
    assert lost(load) == (0, 0, 0)


async def test_an_unhealthy_device_leaves_the_plan(digits_served: Served) -> None:
    name = "heteroserve-worker5"

    async def allocatable() -> int:
        return int(await kubectl("get", "hwc", "fpga-u250", "-o", "jsonpath={.status.devices.allocatable}"))

    async def becomes(number: int) -> None:
        for _ in range(60):
            if await allocatable() == number:
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"allocatable is {await allocatable()}, not {number}")

    await becomes(2)
    try:
        await device(name, "fpga-1", "unhealthy")
        await becomes(1)
    finally:
        await device(name, "fpga-1", "healthy")
    await becomes(2)


async def test_the_only_pod_of_a_class_is_deleted_and_no_request_notices(digits_served: Served) -> None:
    async with digits_served.load(50) as load:
        await asyncio.sleep(5)
        selector = "heteroserve.dev/class=fpga-u250"
        await kubectl("-n", digits_served.namespace, "delete", "pod", "-l", selector, "--wait=false")
        moved = await digits_served.until(lambda view: view.weights["fpga-u250"] == 0, within=10)
        print(f"weight 0 {moved:.1f} s after the only pod was deleted")  # noqa: T201
        await digits_served.until(serving_everywhere, within=120)
        await asyncio.sleep(5)
    assert lost(load) == (0, 0, 0)


async def test_the_only_triton_of_a_class_is_killed_and_the_class_is_trusted_slowly(digits_served: Served) -> None:
    """No request notices. The class is ready after seconds, and in the traffic after two minutes, by steps."""
    name = "fpga-u250"
    seen: list[int] = []

    def grown(view: View) -> bool:
        if not seen or seen[-1] != view.weights[name]:
            seen.append(view.weights[name])
        return len(seen) > 3 and view.weights[name] >= whole

    await only_node(digits_served, name)
    before = only_pod(await digits_served.look(), name)
    whole = (await digits_served.look()).weights[name]
    async with digits_served.load(30) as load:
        await asyncio.sleep(5)
        start = time.time()
        await signal(before, "SIGKILL")
        moved = await digits_served.until(lambda view: view.weights[name] == 0, within=10)
        print(f"{name}: weight 0 {moved:.1f} s after its only Triton was killed")  # noqa: T201
        await digits_served.until(ready_everywhere, within=120)
        print(f"{name}: ready again after {time.time() - start:.1f} s")  # noqa: T201
        took = await digits_served.until(grown, within=240)
        print(f"{name}: in full traffic {took:.0f} s later; weights {seen}")  # noqa: T201
    assert took > 120
    assert seen == sorted(seen), "it grows by steps and never falls"
    after = only_pod(await digits_served.look(), name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert restarts(after) == restarts(before) + 1, "it was this Triton that died"
    assert lost(load) == (0, 0, 0)


@dataclass
class Large:
    """Answers to requests of one size: how many, what went wrong, and the longest wait."""

    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    async def ask_until(self, end: float, session: aiohttp.ClientSession, served: Served, size: int) -> None:
        """One request after the other. White space makes them large: Triton reads it, and the model does not."""
        url = f"http://{served.gateway}/v2/models/{digits.MODEL}/infer"
        question = digits.questions()[0]
        values, shape = question.image.ravel().tolist(), list(question.image.shape)
        tensor = {"name": digits.INPUT, "shape": shape, "datatype": "FP32", "data": values}
        body = json.dumps({"inputs": [tensor]}).ljust(size).encode()
        headers = {"Host": f"{served.namespace}.test", "Content-Type": "application/json"}
        while (start := time.monotonic()) < end:
            async with session.post(url, data=io.BytesIO(body), headers=headers) as answer:
                text = await answer.text()
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - start)
            self.answered += 1
            scores = json.loads(text)["outputs"][0]["data"] if answer.status == 200 else []
            if not scores or scores.index(max(scores)) not in question.right:
                self.wrong.append(f"{answer.status} {text[:200]}")


async def test_large_requests_that_their_triton_dies_over_are_answered_by_another(digits_served: Served) -> None:
    """It stops with requests in its hands, and is killed before the gateway gives any of them up."""
    name = "fpga-u250"
    await only_node(digits_served, name)
    pod = only_pod(await digits_served.look(), name)
    sizes = {40_000: Large(), 1_000_000: Large(), 20_000_000: Large()}
    end, timeout = time.monotonic() + 12, aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        for size, large in sizes.items():
            for _ in range(2):
                tasks.create_task(large.ask_until(end, session, digits_served, size))
        await asyncio.sleep(3)
        await signal(pod, "SIGSTOP")
        await asyncio.sleep(1)
        await signal(pod, "SIGKILL")
    for size, large in sizes.items():
        print(f"{size} bytes: {large}")  # noqa: T201
        assert large.wrong == []
        assert large.answered > 10
    assert sum(large.slowest_seconds > 0.5 for large in sizes.values()) >= 2, "some waited for the one that died"


def only_pod(view: View, name: str) -> dict[str, Any]:
    """The pod of a class that is neither leaving nor left over from a drill."""
    (found,) = (
        pod
        for pod in view.pods
        if pod["metadata"]["labels"][CLASS_LABEL] == name
        and pod["status"]["phase"] == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    )
    return found


def restarts(pod: dict[str, Any]) -> int:
    """How often its Triton was started again."""
    (container,) = pod["status"]["containerStatuses"]
    return int(container["restartCount"])


async def signal(pod: dict[str, Any], name: str) -> None:
    """Sends a pod's Triton a signal. SIGKILL ends it as a lack of memory would: with no preStop, and nothing finished.

    By the container's own id, because other pods of the node run Tritons as well. Of containerd's clients only `ctr` is
    in every node image. The signal goes to the container's first process, which is Triton; all others end with it.
    """
    (container,) = pod["status"]["containerStatuses"]
    identity = container["containerID"].removeprefix("containerd://")
    send = f"engine exec {pod['spec']['nodeName']} ctr --namespace k8s.io tasks kill --signal {name} {identity}"
    await run("bash", "-c", f'. "{HACK}/cluster/lib.sh"; {send}')

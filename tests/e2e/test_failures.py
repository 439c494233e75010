"""Things that die under load: a node, a device, the operator itself. No request notices."""

import asyncio
import time

from e2e.conftest import Served, serving_everywhere
from kit.cluster import device, kubectl, node

OPERATOR = ("-n", "heteroserve-system")


async def test_a_killed_worker_costs_no_request_and_its_class_comes_back_elsewhere(digits_served: Served) -> None:
    (victim,) = (await digits_served.look()).nodes("gpu-l4")
    async with digits_served.load(50) as load:
        await asyncio.sleep(10)
        killed = time.time()
        try:
            await node("kill", victim)
            moved = await digits_served.until(lambda view: view.weights["gpu-l4"] == 0, within=90)
            print(f"weight 0 {moved:.1f} s after the node was killed")  # noqa: T201
            await digits_served.until(
                lambda view: view.weights["gpu-l4"] > 0 and victim not in view.nodes("gpu-l4"), within=120
            )
            print(f"serving from another node after {time.time() - killed:.1f} s")  # noqa: T201
            await asyncio.sleep(5)
        finally:
            await node("restore", victim)
        summary = load.summary()
    print(summary)  # noqa: T201
    assert (summary.failed, summary.wrong) == (0, 0), load.failures()[:5]
    assert summary.sent > 2000


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
        summary = load.summary()
    assert (summary.failed, summary.wrong) == (0, 0), load.failures()[:5]


async def test_the_deployment_serves_on_while_the_operator_is_away(digits_served: Served) -> None:
    try:
        await kubectl(*OPERATOR, "scale", "deployment/heteroserve", "--replicas=0")
        async with digits_served.load(30) as load:
            await asyncio.sleep(20)
            summary = load.summary()
    finally:
        await kubectl(*OPERATOR, "scale", "deployment/heteroserve", "--replicas=1")
        await kubectl(*OPERATOR, "rollout", "status", "deployment/heteroserve", "--timeout=60s")
    assert (summary.failed, summary.wrong) == (0, 0), load.failures()[:5]


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
        summary = load.summary()
    print(summary)  # noqa: T201
    assert (summary.failed, summary.wrong) == (0, 0), load.failures()[:5]

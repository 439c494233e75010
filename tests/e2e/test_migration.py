"""Planned moves under load: what leaves is replaced first, and no request notices."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from e2e.conftest import Served, lost, ready_everywhere, serving_everywhere
from kit.cluster import CLASS_LABEL, View, device, kubectl

GPU, FPGA = "gpu-l4", "fpga-u250"
EVACUATE = "heteroserve.dev/evacuate"


@contextlib.asynccontextmanager
async def labelled(*thing: str) -> AsyncIterator[None]:
    """To be evacuated for as long as the block runs."""
    await kubectl("label", *thing, f"{EVACUATE}=")
    try:
        yield
    finally:
        await kubectl("label", *thing, f"{EVACUATE}-")


@contextlib.asynccontextmanager
async def cordoned(node: str) -> AsyncIterator[None]:
    """Closed for new pods for as long as the block runs."""
    await kubectl("cordon", node)
    try:
        yield
    finally:
        await kubectl("uncordon", node)


async def evacuated(name: str) -> str:
    """The condition of a HardwareClass that tells whether what was wanted is free."""
    path = '{.status.conditions[?(@.type=="Evacuated")].status}'
    return await kubectl("get", "hwc", name, "-o", f"jsonpath={path}")


async def test_a_cordoned_node_is_left_before_anybody_evicts(digits_served: Served) -> None:
    node = (await digits_served.look()).nodes(GPU)[0]
    least = 1

    def moved(view: View) -> bool:
        nonlocal least
        least = min(least, view.weights[GPU])
        return view.settled and view.classes[GPU]["replicas"] == 1 and node not in view.nodes(GPU)

    async with digits_served.load(50) as load:
        await asyncio.sleep(3)
        async with cordoned(node):
            took = await digits_served.until(moved, within=120)
            print(f"moved off the cordoned node within {took:.1f} s")  # noqa: T201
            await asyncio.sleep(3)
    assert lost(load) == (0, 0, 0)
    assert least > 0, "the class was in the traffic all the time"


async def test_a_whole_class_is_evacuated_and_says_when_it_is_safe(digits_served: Served) -> None:
    async with digits_served.load(50) as load:
        await asyncio.sleep(3)
        async with labelled("hwc", GPU):
            start = time.monotonic()
            while await evacuated(GPU) != "True":
                assert time.monotonic() - start < 180
                await asyncio.sleep(0.5)
            print(f"evacuated within {time.monotonic() - start:.1f} s")  # noqa: T201
            view = await digits_served.look()
            assert view.weights[GPU] == 0
            assert not view.nodes(GPU)
        await digits_served.until(serving_everywhere, within=120)
    assert lost(load) == (0, 0, 0)


async def test_a_pod_with_a_broken_device_is_out_of_the_traffic_and_replaced(digits_served: Served) -> None:
    node = (await digits_served.look()).nodes(FPGA)[0]
    before = await pods(digits_served, FPGA)
    states = [f"fpga-{n}" for n in (0, 1)]
    async with digits_served.load(50) as load:
        await asyncio.sleep(3)
        try:
            # which of the two the pod has is the kubelet's affair: the one that makes the pod suspect
            for name in states:
                await device(node, name, "unhealthy")
                await asyncio.sleep(8)
                if (await digits_served.look()).weights[FPGA] == 0:
                    break
                await device(node, name, "healthy")
            await digits_served.until(
                lambda view: ready_everywhere(view) and view.classes[FPGA]["replicas"] == 1, within=120
            )
            assert await pods(digits_served, FPGA) != before
        finally:
            for name in states:
                await device(node, name, "healthy")
    assert lost(load) == (0, 0, 0)


async def pods(served: Served, name: str) -> set[str]:
    """UIDs of the pods of a class that are to stay."""
    view = await served.look()
    return {
        p["metadata"]["uid"]
        for p in view.pods
        if p["metadata"]["labels"][CLASS_LABEL] == name and "deletionTimestamp" not in p["metadata"]
    }


async def test_the_only_pod_deleted_by_force_takes_no_request_with_it(digits_served: Served) -> None:
    async with digits_served.load(50) as load:
        await asyncio.sleep(5)
        selector = ("-l", f"{CLASS_LABEL}={FPGA}")
        await kubectl("-n", digits_served.namespace, "delete", "pod", *selector, "--force", "--grace-period=0")
        await digits_served.until(ready_everywhere, within=60)
        await asyncio.sleep(16)  # as long as a gateway waits for the addresses of what it takes for a new backend
    assert lost(load) == (0, 0, 0)


async def test_weights_set_by_hand_win_until_they_are_taken_back(digits_served: Served) -> None:
    by_hand = {"cpu-x86": 10, FPGA: 90}
    traffic = dict(digits_served.manifest["spec"]["traffic"])
    traffic["weights"] = [{"class": name, "weight": weight} for name, weight in by_hand.items()]
    await digits_served.apply(traffic=traffic)
    await digits_served.until(lambda view: {n: w for n, w in view.weights.items() if w} == by_hand, within=10)
    async with digits_served.load(40) as load:
        await asyncio.sleep(20)
    assert lost(load) == (0, 0, 0)
    await digits_served.apply()
    await digits_served.until(serving_everywhere, within=60)


async def test_a_drill_takes_a_class_out_of_the_traffic_and_puts_it_back(digits_served: Served) -> None:
    script = Path(sys.executable).with_name("kubectl-heteroserve")
    command = (str(script), "drill", "--class", GPU, "--for", "30s", "--yes", "--force")
    async with digits_served.load(40) as load:
        await asyncio.sleep(5)
        drill = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        took = await digits_served.until(lambda view: view.weights[GPU] == 0, within=15)
        out, _ = await drill.communicate()
        print(out.decode())  # noqa: T201
        assert drill.returncode == 0
        print(f"out of the traffic after {took:.1f} s")  # noqa: T201
        await digits_served.until(serving_everywhere, within=90)
    assert lost(load) == (0, 0, 0)

"""Demand from Prometheus: replicas come when the load doubles and go when it is gone, and no request is lost."""

import asyncio
import time

from e2e.conftest import Served, lost
from kit.cluster import View, kubectl

GROWN_SECONDS = 45.0


def wanted(view: View) -> int:
    return sum(c["replicas"] for c in view.classes.values())


async def test_replicas_follow_the_load_up_and_down_without_a_lost_request(digits_served: Served) -> None:
    async with digits_served.load(50) as load:
        await asyncio.sleep(35)
        before = wanted(await digits_served.look())
        doubled = time.time()
        load.set_rate(100)
        await digits_served.until(lambda view: wanted(view) > before, within=GROWN_SECONDS)
        print(f"replicas added {time.time() - doubled:.1f} s after the load doubled")  # noqa: T201
        await digits_served.until(lambda view: view.settled, within=60)
        view = await digits_served.look()
        assert max(view.classes.values(), key=lambda c: c["replicas"])["name"] == "cpu-x86", "the cheapest class grows"
        most = wanted(view)
        load.set_rate(10)
        gone = await digits_served.until(lambda view: wanted(view) < most, within=120)
        print(f"first replica removed {gone:.1f} s after the load fell")  # noqa: T201
        await asyncio.sleep(30)  # until the last of them has left
    assert lost(load) == (0, 0, 0)


async def test_without_metrics_nothing_is_removed_and_the_cause_is_told(digits_served: Served) -> None:
    classes = digits_served.manifest["spec"]["classes"]
    await digits_served.apply(classes=[c | {"minReplicas": 2} if c["name"] == "cpu-x86" else c for c in classes])
    await digits_served.until(lambda view: view.settled and view.classes["cpu-x86"]["replicas"] == 2, within=60)
    try:
        await kubectl("-n", "monitoring", "scale", "deployment/prometheus", "--replicas=0")
        took = await digits_served.until(lambda view: view.condition("MetricsAvailable")[0] == "False", within=40)
        print(f"MetricsAvailable=False {took:.1f} s after Prometheus went")  # noqa: T201
        await digits_served.apply()  # minReplicas 1 again: without metrics the second replica stays all the same
        async with digits_served.load(20) as load:
            await asyncio.sleep(30)
        assert lost(load) == (0, 0, 0)
        view = await digits_served.look()
        assert view.classes["cpu-x86"]["replicas"] == 2
        assert view.classes["cpu-x86"]["reason"] == "HeldWithoutMetrics"
    finally:
        await kubectl("-n", "monitoring", "scale", "deployment/prometheus", "--replicas=1")
    await digits_served.until(lambda view: view.condition("MetricsAvailable")[0] == "True", within=90)
    await digits_served.until(lambda view: view.classes["cpu-x86"]["replicas"] == 1, within=90)

"""The short version of `make bench-failover`: five faults, three times each, by the limits of the full one.

All trials share a deployment and leave nothing behind. The order is that of the bench: each round has all five faults.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kit.bench import runs, schedule, verdict
from kit.bench.conduct import Bench, Pace, trial
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.bench.stage import Stand, standing
from kit.cluster import Cluster

RATE = 50.0
FAULTS = ("node-frozen", "triton-killed", "triton-frozen", "only-pod-deleted", "only-pod-killed")
CASES = schedule.schedule(FAULTS, 3, seed=1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stand(cluster: Cluster, gateway: str) -> AsyncIterator[Stand]:
    async with standing(cluster, Levers(), "operator", gateway) as stand:
        yield stand


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.number}")
async def test_no_request_notices_and_the_weights_follow_in_time(stand: Stand, case: Case) -> None:
    bench = Bench(levers=Levers(), revision="", pace=Pace(before=3, after=2, brief=True))
    done = await trial(bench, stand, case, RATE)
    print(runs.line(done))  # noqa: T201
    assert (done.failed, done.wrong) == (0, 0), done.failures
    assert verdict.breaches(done) == [], done.seconds

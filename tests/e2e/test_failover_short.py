"""The short version of `make bench-failover`: five faults, three times each, by the limits of the full one.

Every trial has a deployment of its own and leaves nothing behind. The order is that of the bench: each round has all
five faults.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from kit.bench import runs, schedule, verdict
from kit.bench.conduct import Bench, Pace, trial
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.cluster import Cluster

RATE = 50.0
FAULTS = ("node-frozen", "triton-killed", "triton-frozen", "only-pod-deleted", "only-pod-killed")
CASES = schedule.schedule(FAULTS, 3, seed=1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bench(cluster: Cluster, gateway: str) -> AsyncIterator[Bench]:
    levers = Levers()
    pace = Pace(before=3, after=2, brief=True)
    revision = await runs.revision(levers)
    yield Bench(cluster=cluster, levers=levers, gateway=gateway, revision=revision, pace=pace)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.number}")
async def test_no_request_notices_and_the_weights_follow_in_time(bench: Bench, case: Case) -> None:
    done = await trial(bench, case, "operator", RATE)
    print(runs.line(done))  # noqa: T201
    assert (done.failed, done.wrong) == (0, 0), done.failures
    assert verdict.breaches(done) == [], done.seconds

"""Heartbeats of nodes: how old they are by our own clock, whatever anybody else's says."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from clock import run
from heteroserve import kube
from heteroserve.errors import Reject, Retry
from heteroserve.observe.leases import Leases, read
from heteroserve.wake import Call

WALL = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
START = 1000.0
"""What our own clock shows then."""


def lease(node: str, renewed: float | None, *, holds: Any = 40) -> builders.JSON:
    """A Lease that says that it was renewed so many seconds after noon."""
    time = None if renewed is None else (WALL + timedelta(seconds=renewed)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    raw = builders.raw("Lease", node, namespace="kube-node-lease")
    return {**raw, "spec": {"holderIdentity": node, "renewTime": time, "leaseDurationSeconds": holds}}


def fleet(*renewed: float) -> list[builders.JSON]:
    return [lease(f"n{number}", time) for number, time in enumerate(renewed)]


Listing = tuple[float, Sequence[builders.JSON] | None]
"""So many seconds after the start, these Leases, or a failure."""


@dataclass(frozen=True, kw_only=True)
class Story:
    listings: tuple[Listing, ...]
    skew: float = 0.0
    """How far our wall clock is ahead."""
    want: dict[str, float]
    want_rung: list[tuple[set[str], Call]] = field(default_factory=list)


STORIES = {
    "a node that renews": Story(listings=((0, fleet(0)), (5, fleet(0)), (10, fleet(10))), want={"n0": 0}),
    "a node that has stopped": Story(
        listings=((0, fleet(0)), (5, fleet(0)), (10, fleet(0)), (15, fleet(0)), (20, fleet(0))), want={"n0": 20}
    ),
    "it expires, and somebody is told": Story(
        listings=((0, fleet(0, 0)), (20, fleet(0, 20)), (25, fleet(0, 20)), (30, fleet(0, 30))),
        want={"n0": 30, "n1": 0},
        want_rung=[({"n0"}, Call.FAILURE)],
    ),
    "it comes back, and somebody is told": Story(
        listings=((0, fleet(0)), (25, fleet(0)), (30, fleet(29))),
        want={"n0": 0},
        want_rung=[({"n0"}, Call.FAILURE), ({"n0"}, Call.CHANGE)],
    ),
    "one expires while another comes back": Story(
        listings=((0, fleet(0, 0, 0)), (25, fleet(0, 25, 25)), (50, fleet(49, 25, 50))),
        want={"n0": 0, "n1": 25, "n2": 0},
        want_rung=[({"n0"}, Call.FAILURE), ({"n1"}, Call.FAILURE), ({"n0"}, Call.CHANGE)],
    ),
    "a node's clock that is wrong, even one that is set back": Story(
        listings=((0, fleet(0, 1, 2)), (10, fleet(-7200, 11, 12)), (15, fleet(-7200, 11, 12))),
        want={"n0": 5, "n1": 5, "n2": 5},
    ),
    "a node that leaves is forgotten": Story(listings=((0, fleet(0, 0)), (5, fleet(0))), want={"n0": 5}),
    "a node that had expired and leaves": Story(
        listings=((0, fleet(0, 0)), (25, fleet(25, 0)), (30, fleet(25))),
        want={"n0": 5},
        want_rung=[({"n1"}, Call.FAILURE), ({"n1"}, Call.CHANGE)],
    ),
    "a node that comes is new, whatever its Lease says": Story(
        listings=((0, fleet(0)), (5, [*fleet(5), lease("new", -3600)])), want={"n0": 0, "new": 0}
    ),
    "we start: the Leases' own times count": Story(
        listings=((0, fleet(-9, -2, -4)),), want={"n0": 9, "n1": 2, "n2": 4}
    ),
    "we start, and a node has been dead for long": Story(
        listings=((0, fleet(-300, -1, -2, -3)),),
        want={"n0": 300, "n1": 1, "n2": 2, "n3": 3},
        want_rung=[({"n0"}, Call.FAILURE)],
    ),
    "we start with a clock that is a minute ahead: nobody is suspected": Story(
        skew=60, listings=((0, fleet(-9, -2, -4)), (5, fleet(-9, 3, 1))), want={"n0": 5, "n1": 0, "n2": 0}
    ),
    "we start with a clock that is behind: likewise": Story(
        skew=-60, listings=((0, fleet(-9, -2)),), want={"n0": 0, "n1": 0}
    ),
    "our clock is a little behind: an age is never negative": Story(
        skew=-5, listings=((0, fleet(-9, -2)),), want={"n0": 4, "n1": 0}
    ),
    "we start, and more are late than can have failed": Story(
        listings=((0, fleet(-60, -60, -1)),), want={"n0": 0, "n1": 0, "n2": 0}
    ),
    "a failed listing: nothing is known": Story(listings=((0, fleet(0)), (5, None)), want={}),
    "an expired node, and a failed listing: it is a witness no more": Story(
        listings=((0, fleet(0)), (25, fleet(0)), (30, None)),
        want={},
        want_rung=[({"n0"}, Call.FAILURE), ({"n0"}, Call.CHANGE)],
    ),
    "after an outage counting begins anew: nobody could renew": Story(
        listings=((0, fleet(0, 0)), (5, None), (60, fleet(0, 59)), (65, fleet(0, 59))), want={"n0": 5, "n1": 5}
    ),
    "we start during an outage: likewise": Story(
        listings=((0, None), (60, fleet(-1, 59, 59, 59))), want={"n0": 0, "n1": 0, "n2": 0, "n3": 0}
    ),
    "there are no Leases": Story(listings=((0, ()), (5, ())), want={}),
    "a Lease that was never renewed": Story(listings=((0, [lease("n0", None)]),), want={}),
    "a kubelet that renews less often than we can judge": Story(
        listings=((0, [lease("n0", 0, holds=120), lease("n1", 0)]), (25, [lease("n0", 0, holds=120), lease("n1", 25)])),
        want={"n1": 0},
    ),
    "a Lease of junk": Story(
        listings=((0, [builders.raw("Lease", "n0", namespace="x") | {"spec": {"renewTime": 5}}, lease("n1", 0)]),),
        want={"n1": 0},
    ),
}


@builders.table(STORIES)
def test_ages(case: Story) -> None:
    rung: list[tuple[set[str], Call]] = []
    leases = Leases(lambda nodes, call: rung.append((set(nodes), call)))
    for after, listing in case.listings:
        if listing is None:
            leases.forget()
        else:
            leases.learn(map(read, listing), START + after, WALL + timedelta(seconds=after + case.skew))
    names = {raw["metadata"]["name"] for _, listing in case.listings for raw in listing or ()}
    found = {name: age for name in names if (age := leases.age(name)) is not None}
    assert found == pytest.approx(case.want)
    assert rung == case.want_rung
    assert bool(leases.crossings) is bool(rung)


# --- Listing ---------------------------------------------------------------------------------------------------------


class Api:
    """Answers listings in turn: with Leases, with none, with an error, or not for a while; the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, kube.Kind, str]] = []

    async def list(self, kind: kube.Kind, read: Callable[[builders.JSON], Any], namespace: str) -> Any:
        self.asked.append((asyncio.get_running_loop().time(), kind, namespace))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise Retry("ApiUnavailable", "the API server did not answer: TimeoutError")
        return None if answer is None else [read(raw) for raw in answer]


def ages_while(api: Api, *moments: float) -> list[float | None]:
    """The age of `n0` at these times."""

    async def story() -> list[float | None]:
        leases, found, clock = Leases(lambda *_: None), list[float | None](), asyncio.get_running_loop().time
        working = asyncio.create_task(leases.run(api))  # type: ignore[arg-type]
        for moment in moments:
            await asyncio.sleep(moment - clock())
            found.append(leases.age("n0"))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert working.cancelled()
        return found

    found: list[float | None] = run(story())
    return found


def test_the_nodes_namespace_is_listed_every_five_seconds() -> None:
    api = Api(fleet(0))
    ages_while(api, 16)
    assert api.asked == [(time, kube.LEASE, "kube-node-lease") for time in (0, 5, 10, 15)]


def test_an_api_server_that_hangs_makes_nobody_older() -> None:
    assert ages_while(Api(fleet(0), fleet(0), 10.0), 6, 14, 19, 21) == [5, 5, 5, None]


def test_a_bug_costs_the_heartbeats_for_once_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    assert ages_while(Api(fleet(0), ZeroDivisionError(), fleet(0), fleet(0)), 1, 6, 16) == [0, None, 5]
    assert [record.message for record in caplog.records] == ["listing the heartbeats of nodes failed"]


def test_a_cluster_without_leases() -> None:
    assert ages_while(Api(None), 6) == [None]


FORBIDDEN = Reject("Forbidden", "Lease refused: no")
AWAY = Retry("ApiUnavailable", "the API server did not answer")
COMPLAINTS: dict[str, tuple[Api, list[str]]] = {
    "forbidden for ever is said once": (Api(FORBIDDEN), ["Lease refused: no"]),
    "another cause is said too": (
        Api(FORBIDDEN, AWAY, AWAY, FORBIDDEN),
        ["Lease refused: no", "the API server did not answer", "Lease refused: no"],
    ),
    "what comes again after it went well is said again": (Api(AWAY, fleet(0), AWAY), [AWAY.message, AWAY.message]),
    "nothing to say": (Api(fleet(0)), []),
}


@builders.table(COMPLAINTS)
def test_what_is_wrong_is_said_once(case: tuple[Api, list[str]], caplog: pytest.LogCaptureFixture) -> None:
    api, want = case
    ages_while(api, 60)
    assert [vars(record)["cause"] for record in caplog.records] == want


# listings, and how long ago n0 renewed by what we saw, five seconds after the last
SEEN: dict[str, tuple[tuple[Listing, ...], float | None]] = {
    "the first look shows nothing": (((0, fleet(0)),), None),
    "nor does a Lease that stays": (((0, fleet(0)), (5, fleet(0))), None),
    "it renewed between two looks": (((0, fleet(0)), (5, fleet(3))), 10),
    "and not since": (((0, fleet(0)), (5, fleet(3)), (10, fleet(3)), (15, fleet(3))), 20),
    "and again": (((0, fleet(0)), (5, fleet(3)), (10, fleet(3)), (15, fleet(13))), 10),
    "no failed listing takes that away": (((0, fleet(0)), (5, fleet(3)), (10, None), (15, fleet(3))), 20),
    "what renewed at some time of a long outage may have done so at its beginning": (
        ((0, fleet(0)), (5, None), (60, fleet(3))),
        65,
    ),
}


@builders.table(SEEN)
def test_how_long_ago_a_node_renewed_by_what_we_saw(case: tuple[tuple[Listing, ...], float | None]) -> None:
    listings, want = case
    leases = Leases(lambda *_: None)
    for seconds, listed in listings:
        if listed is None:
            leases.forget()
        else:
            leases.learn([read(raw) for raw in listed], START + seconds, WALL + timedelta(seconds=seconds))
    assert leases.renewed_seconds("n0", START + listings[-1][0] + 5) == want

"""What the gateway's counters say of a drill: two readings compared."""

import importlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

import builders
from heteroserve.cli.arguments import Service
from heteroserve.cli.connect import Connection
from heteroserve.cli.course import Course
from heteroserve.cli.forecast import Target, What
from heteroserve.cli.measure import Counters, Figures, Measured, grown, measure, parse_counters, quantile, summarise
from heteroserve.errors import Retry
from heteroserve.model.deployment import Key

measuring = importlib.import_module("heteroserve.cli.measure")  # the package has a function of this name
PROMETHEUS = Service(namespace="monitoring", name="prometheus", port="9090")


def answers(code: str, value: float, *, route: str = "httproute/demo/digits/rule/0", pod: str = "proxy") -> Counters:
    labels = {"envoy_cluster_name": route, "envoy_response_code_class": code, "pod": pod}
    return {frozenset(labels.items()): value}


def times(value: float, le: str, *, route: str = "httproute/demo/digits/rule/0") -> Counters:
    return {frozenset({"envoy_cluster_name": route, "le": le}.items()): value}


@dataclass(frozen=True, kw_only=True)
class Growth:
    before: float | None
    after: float | None
    want: float | None


GROWTHS = {
    "as usual": Growth(before=5, after=8, want=3),
    "born with the first failure": Growth(before=None, after=2, want=2),
    "a proxy that began anew": Growth(before=9, after=4, want=4),
    "nothing happened": Growth(before=5, after=5, want=0),
    "not seen any more": Growth(before=5, after=None, want=None),
}


@builders.table(GROWTHS)
def test_by_how_much_a_counter_has_grown(case: Growth) -> None:
    (series,) = answers("5", 0)
    before = {} if case.before is None else {series: case.before}
    after = {} if case.after is None else {series: case.after}
    assert grown(before, after).get(series) == case.want


def test_figures_are_by_route_over_all_proxies() -> None:
    counted = {
        **answers("2", 90),
        **answers("2", 8, pod="another"),
        **answers("5", 2),
        **answers("2", 50, route="grpcroute/demo/digits/rule/0"),
        **answers("2", 7, route="somebody/else"),
    }
    slow = {**times(50, "10"), **times(99, "25"), **times(100, "+Inf")}
    assert summarise(counted, slow, seconds=10) == {
        builders.KEY: (
            Figures(route="HTTP", answered=100, failed=2, rps=10.0, p99=(10.0, 25.0)),
            Figures(route="gRPC", answered=50, failed=0, rps=5.0),
        )
    }


QUANTILES = {
    "nothing counted": ({1.0: 0.0, math.inf: 0.0}, None),
    "no buckets": ({}, None),
    "all in the first": ({1.0: 10.0, math.inf: 10.0}, (0.0, 1.0)),
    "beyond all bounds": ({1.0: 10.0, math.inf: 20.0}, (1.0, math.inf)),
}


@builders.table(QUANTILES)
def test_the_bounds_of_the_99th_percentile(case: tuple[dict[float, float], object]) -> None:
    buckets, want = case
    assert quantile(buckets) == want


def body(counters: Counters, status: str = "success") -> Any:
    samples = [
        {"metric": {"__name__": "counter", **dict(series)}, "value": [0, str(value)]}
        for series, value in counters.items()
    ]
    return {"status": status, "data": {"result": samples}}


def test_counters_are_told_apart_by_their_labels_and_not_by_their_name() -> None:
    assert parse_counters(body({**answers("2", 5), **answers("5", math.nan)})) == answers("2", 5)
    with pytest.raises(ValueError, match="error"):
        parse_counters(body({}, "error"))


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "ASK_SECONDS", 0.0)


def at(seconds: float) -> datetime:
    return builders.NOW + timedelta(seconds=seconds)


class Asked(Connection):
    """A Prometheus whose counters stand at a number of seconds since noon, or that does not answer.

    It scrapes every `every` seconds, up to `until`, and requests fail at `bad_at`. Now is when the drill is over; a
    second passes whenever somebody looks at the clock.
    """

    def __init__(
        self, answer: Any = None, *, every: float = 1.0, until: float = math.inf, bad_at: float = math.inf
    ) -> None:
        self.answer = answer
        self.every, self.until, self.bad_at = every, until, bad_at
        self.second = 70.0
        self.queries: list[str] = []

    def now(self) -> datetime:
        self.second += 1
        return at(self.second)

    async def ask(self, service: Service, path: str, query: Any) -> Any:
        self.queries.append(query["query"])
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer or "_xx" not in query["query"]:
            return self.answer or body({})
        last = self.last_scrape(float(query["time"]) - builders.NOW.timestamp())
        if query["query"].startswith("timestamp("):
            return body(answers("2", at(last).timestamp()))
        bad = answers("5", 40) if last >= self.bad_at else {}
        return body({**answers("2", last + 100), **bad})

    def last_scrape(self, second: float) -> float:
        return min(second // self.every * self.every, self.until)


def nobody_looks(*_: str) -> None:
    """Nobody is at the terminal."""


def course(**fields: Any) -> Course:
    return Course(
        **{
            "target": Target(what=What.CLASS, name="gpu"),
            "began": at(0),
            "ended": at(30),
            "until": at(30),
            "over": at(70),
            "away_seconds": {builders.KEY: 1.6},
            "back_seconds": {builders.KEY: 31.0},
            "before": {},
            "during": {},
            "after": {},
            **fields,
        }
    )


async def test_each_phase_is_measured_from_its_beginning_to_its_end() -> None:
    asked = Asked()
    measured = await measure(asked, PROMETHEUS, course(), nobody_looks)
    found = {name: [(f.answered, f.rps) for f in phase[builders.KEY]] for name, phase in measured.phases.items()}
    assert found == {"before": [(60.0, 1.0)], "during": [(30.0, 1.0)], "after": [(42.0, 1.0)]}
    assert (measured.failed(builders.KEY), measured.missing) == (0, "")
    assert "last_over_time(envoy_cluster_upstream_rq_xx" in asked.queries[1]
    assert asked.queries[1].endswith("[60s])")


async def test_what_fails_when_the_traffic_returns_is_waited_for() -> None:
    shown: list[str] = []
    asked = Asked(every=15, bad_at=70.5)
    measured = await measure(asked, PROMETHEUS, course(over=at(71)), lambda state, clock: shown.append(state))
    assert (measured.failed(builders.KEY), measured.missing) == (40, "")
    assert asked.second == 75, "no longer than until the next scrape"
    assert set(shown) == {"waiting until Prometheus has seen the return, at most 60 s"}


async def test_a_return_that_nobody_sees_is_said_to_be_not_measured() -> None:
    asked = Asked(until=69)
    measured = await measure(asked, PROMETHEUS, course(), nobody_looks)
    want = "Prometheus monitoring/prometheus:9090 has no sample of demo/digits after 12:01:10Z"
    assert (list(measured.phases), measured.missing) == (["before", "during", "after"], want)
    assert asked.second < 140, "it is not waited for for ever"


async def test_of_several_proxies_the_one_that_was_read_least_recently_counts() -> None:
    class Two(Asked):
        async def ask(self, service: Service, path: str, query: Any) -> Any:
            if not query["query"].startswith("timestamp("):
                return await super().ask(service, path, query)
            late = answers("2", at(60 if self.second < 90 else 80).timestamp(), pod="another")
            return body({**answers("2", at(self.second).timestamp()), **late})

    asked = Two()
    assert (await measure(asked, PROMETHEUS, course(), nobody_looks)).missing == ""
    assert asked.second == 90


async def test_a_deployment_that_nobody_asks_is_not_waited_for_and_not_measured() -> None:
    idle = Key(namespace="demo", name="idle")
    asked = Asked()
    found = course(away_seconds={builders.KEY: 1.0, idle: 1.0})
    measured = await measure(asked, PROMETHEUS, found, nobody_looks)
    assert measured.missing == "Prometheus monitoring/prometheus:9090 has no sample of demo/idle after 12:01:10Z"
    assert asked.second < 75


async def test_what_was_measured_is_kept_when_prometheus_goes_away() -> None:
    class Going(Asked):
        async def ask(self, service: Service, path: str, query: Any) -> Any:
            if self.second > 75:
                raise Retry("NoAnswer", "503 Service Unavailable")
            return await super().ask(service, path, query)

    measured = await measure(Going(until=69, bad_at=20), PROMETHEUS, course(), nobody_looks)
    assert (list(measured.phases), measured.failed(builders.KEY)) == (["before", "during"], 40)
    assert measured.missing == "Prometheus monitoring/prometheus:9090 cannot be asked: 503 Service Unavailable"


def test_failures_before_the_drill_are_none_of_its() -> None:
    def phase(failed: float) -> dict[Any, tuple[Figures, ...]]:
        return {builders.KEY: (Figures(route="HTTP", answered=9, failed=failed, rps=1.0),)}

    assert Measured(phases={"before": phase(4), "during": phase(2), "after": phase(1)}).failed(builders.KEY) == 3


UNANSWERED: dict[str, tuple[Service | None, Any, str]] = {
    "nobody is to be asked": (None, None, "no Prometheus was asked (--prometheus none)"),
    "no answer": (
        PROMETHEUS,
        Retry("NoAnswer", "503 Service Unavailable"),
        "Prometheus monitoring/prometheus:9090 cannot be asked: 503 Service Unavailable",
    ),
    "somebody else": (
        PROMETHEUS,
        ["hello"],
        "monitoring/prometheus:9090 does not answer as Prometheus does: TypeError",
    ),
}


@builders.table(UNANSWERED)
async def test_what_cannot_be_asked_is_not_measured(case: tuple[Service | None, Any, str]) -> None:
    service, answer, want = case
    assert await measure(Asked(answer), service, course(), nobody_looks) == Measured(missing=want)

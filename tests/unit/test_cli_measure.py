"""What the gateway's counters say of a drill: two readings compared."""

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


class Asked(Connection):
    """A Prometheus whose counters stand at a number of seconds since noon, or that does not answer."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.queries: list[str] = []

    async def ask(self, service: Service, path: str, query: Any) -> Any:
        self.queries.append(query["query"])
        if isinstance(self.answer, Exception):
            raise self.answer
        seconds = float(query["time"]) - builders.NOW.timestamp()
        return self.answer or body(answers("2", seconds + 100) if "_xx" in query["query"] else {})


def course(**fields: Any) -> Course:
    def at(seconds: float) -> datetime:
        return builders.NOW + timedelta(seconds=seconds)

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
    measured = await measure(asked, PROMETHEUS, course())
    found = {name: [(f.answered, f.rps) for f in phase[builders.KEY]] for name, phase in measured.phases.items()}
    assert found == {"before": [(60.0, 1.0)], "during": [(30.0, 1.0)], "after": [(40.0, 1.0)]}
    assert measured.failed(builders.KEY) == 0
    assert "last_over_time(envoy_cluster_upstream_rq_xx" in asked.queries[1]
    assert asked.queries[1].endswith("[60s])")


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
    assert await measure(Asked(answer), service, course()) == Measured(missing=want)

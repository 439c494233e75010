"""What clients got before, during and after a drill, by the gateway's own counters, through the API server.

Two readings of each counter are compared, not rates: so a counter that is born with the first failure counts from zero,
as it should, and the numbers are whole. A proxy that restarts counts from zero as well. What no scrape has seen is not
measured, and never zero: so the last reading waits for a scrape that saw the end of the return.
"""

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from heteroserve.cli.arguments import Service
from heteroserve.cli.connect import Connection
from heteroserve.cli.course import Course
from heteroserve.errors import HeteroserveError
from heteroserve.model.deployment import Key
from heteroserve.observe.metrics import ENVOY_CLUSTER, ROUTES

BEFORE_SECONDS = 60.0
SEEN_WITHIN_SECONDS = 60.0
ASK_SECONDS = 2.0
CLOCK_SECONDS = 1.0
"""So far our clock may be behind: the API server tells its own in whole seconds."""
ANSWERS = f"envoy_cluster_upstream_rq_xx{{{ROUTES}}}"
TIMES = f"envoy_cluster_upstream_rq_time_bucket{{{ROUTES}}}"
QUANTILE = 0.99
PROTOCOLS = {"httproute": "HTTP", "grpcroute": "gRPC"}
SERVER_ERRORS = re.compile("5(xx)?")

Series = frozenset[tuple[str, str]]
Counters = Mapping[Series, float]
Milliseconds = tuple[float, float]
"""Above the first, at most the second: so fine are the gateway's buckets."""
Route = tuple[Key, str]
Show = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One route in one phase. `failed` were answered with a 5xx; `p99` is `None` where no time was measured."""

    route: str
    answered: float
    failed: float
    rps: float
    p99: Milliseconds | None = None


Phase = Mapping[Key, tuple[Figures, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The phases by name, in their order; and what is `missing` of them, or why there are none."""

    phases: Mapping[str, Phase] = field(default_factory=dict)
    missing: str = ""

    def failed(self, key: Key) -> float:
        """Requests that failed from the beginning of the drill on."""
        later = [phase.get(key, ()) for name, phase in self.phases.items() if name != "before"]
        return sum(figures.failed for routes in later for figures in routes)


async def measure(connection: Connection, service: Service | None, course: Course, show: Show) -> Measured:
    """The three phases of a drill. What cannot be asked is not measured, and says why."""
    if service is None:
        return Measured(missing="no Prometheus was asked (--prometheus none)")
    phases: dict[str, Phase] = {}
    try:
        before = await _phase(connection, service, course.began - timedelta(seconds=BEFORE_SECONDS), course.began)
        phases |= {"before": before, "during": await _phase(connection, service, course.began, course.ended)}
        end, missing = await _see_the_return(connection, service, course, show)
        phases["after"] = await _phase(connection, service, course.ended, end)
    except HeteroserveError as error:
        missing = f"Prometheus {service} cannot be asked: {error.message}"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        missing = f"{service} does not answer as Prometheus does: {type(error).__name__}"
    return Measured(phases=phases, missing=missing)


async def _see_the_return(connection: Connection, service: Service, course: Course, show: Show) -> tuple[datetime, str]:
    """Waits until every proxy was scraped after the return, but not for ever. Until when is seen; what was not."""
    start, after = connection.now(), course.over + timedelta(seconds=CLOCK_SECONDS)
    while True:
        now = connection.now()
        waited = (now - start).total_seconds()
        last = await _last_scrapes(connection, service, now)
        if (last and min(last.values()) > after) or waited >= SEEN_WITHIN_SECONDS:
            break
        show(f"waiting until Prometheus has seen the return, at most {SEEN_WITHIN_SECONDS:g} s", f"{waited:.0f} s")
        await asyncio.sleep(ASK_SECONDS)
    unseen = ", ".join(str(key) for key in course.away_seconds if key not in last or last[key] <= after)
    return now, f"Prometheus {service} has no sample of {unseen} after {course.over:%H:%M:%SZ}" if unseen else ""


async def _last_scrapes(connection: Connection, service: Service, at: datetime) -> Mapping[Key, datetime]:
    """When a deployment's counters were read last, by the proxy that was read least recently."""
    found: dict[Key, datetime] = {}
    with suppress(HeteroserveError):  # it answered a moment ago: worth another try
        for (key, _), _, value in _by_route(await _read(connection, service, f"timestamp({ANSWERS})", at)):
            time = datetime.fromtimestamp(value, UTC)
            found[key] = min(time, found.get(key, time))
    return found


async def _phase(connection: Connection, service: Service, start: datetime, end: datetime) -> Phase:
    seconds = max(1, math.ceil((end - start).total_seconds()))
    asked = [
        _read(connection, service, query, at)
        for name in (ANSWERS, TIMES)
        # at the end, whatever was seen since the start, of proxies that have gone meanwhile as well
        for query, at in ((name, start), (f"last_over_time({name}[{seconds}s])", end))
    ]
    answers_before, answers_after, times_before, times_after = await asyncio.gather(*asked)
    return summarise(grown(answers_before, answers_after), grown(times_before, times_after), seconds)


async def _read(connection: Connection, service: Service, query: str, at: datetime) -> Counters:
    body = await connection.ask(service, "/api/v1/query", {"query": query, "time": f"{at.timestamp():.3f}"})
    return parse_counters(body)


def parse_counters(body: Any) -> Counters:
    """An instant vector by its labels. Raises `ValueError` and its like for what is none."""
    if body["status"] != "success":
        raise ValueError(body["status"])
    samples = ((_series(s["metric"]), float(s["value"][1])) for s in body["data"]["result"])
    return {series: value for series, value in samples if math.isfinite(value)}


def _series(labels: Mapping[str, str]) -> Series:
    return frozenset((name, value) for name, value in labels.items() if name != "__name__")


def grown(before: Counters, after: Counters) -> Counters:
    """By how much each counter has grown; one that is smaller than before began anew."""
    return {s: value - before.get(s, 0.0) if value >= before.get(s, 0.0) else value for s, value in after.items()}


def summarise(answers: Counters, times: Counters, seconds: float) -> Phase:
    """The figures by deployment, of those routes whose answers were seen."""
    answered, failed = defaultdict[Route, float](float), defaultdict[Route, float](float)
    for route, labels, value in _by_route(answers):
        answered[route] += value
        if SERVER_ERRORS.fullmatch(labels.get("envoy_response_code_class", "")):
            failed[route] += value
    slow = _buckets(times)
    found = defaultdict[Key, list[Figures]](list)
    for (key, protocol), number in sorted(answered.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        route = (key, protocol)
        p99 = quantile(slow.get(route, {}))
        figures = Figures(route=protocol, answered=number, failed=failed[route], rps=number / seconds, p99=p99)
        found[key].append(figures)
    return {key: tuple(routes) for key, routes in found.items()}


def _buckets(times: Counters) -> dict[Route, dict[float, float]]:
    found: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for route, labels, value in _by_route(times):
        found[route][float(labels["le"])] += value
    return found


def _by_route(counters: Counters) -> Iterable[tuple[Route, Mapping[str, str], float]]:
    for series, value in counters.items():
        labels = dict(series)
        match = ENVOY_CLUSTER.match(labels.get("envoy_cluster_name", ""))
        if match:
            yield (Key(namespace=match[2], name=match[3]), PROTOCOLS[match[1]]), labels, value


def quantile(buckets: Mapping[float, float]) -> Milliseconds | None:
    """Between which bounds the 99th percentile lies; `None` where nothing was counted."""
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    lower = 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= QUANTILE * total:
            return lower, bound
        lower = bound
    return None

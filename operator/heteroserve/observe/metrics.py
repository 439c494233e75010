"""Signals from Prometheus: a few fleet-wide queries per tick, never one per object.

The queries are fixed; nothing of a user's object enters them. Only the labels that every Prometheus sets on pods
(`namespace`, `pod`) and Envoy Gateway's cluster names are relied on; which pod belongs to which class we know
ourselves. A missing sample stays missing: nothing here turns it into zero.
"""

import asyncio
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import InFlight, Pod, Signals
from heteroserve.observe.bounded import BoundedAdapter

ENVOY_CLUSTER = re.compile(r"^(httproute|grpcroute)/([^/]+)/([^/]+)/rule/")
ROUTES = 'envoy_cluster_name=~"(httproute|grpcroute)/.+"'
ERRING_SHARE = 0.1
"""Of what a class is asked: whatever it then fails is no matter of single requests."""
NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading an answer raises that is none of Prometheus': a proxy's page, a result of another kind, a number or a
depth beyond all bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSample:
    """What Triton in one pod reports, and how long ago the newest of it was scraped."""

    served_rps: float | None = None
    failed_rps: float | None = None
    """Requests that the model failed to answer, not those that Triton refused."""
    backlog: float | None = None
    queue_milliseconds: float | None = None
    age_seconds: float | None = None


NOTHING = PodSample()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSamples:
    """One tick's answers; `error` says why there are none."""

    offered_rps: Mapping[Key, float] = field(default_factory=dict)
    ejected: Mapping[Key, int] = field(default_factory=dict)
    """Replicas that the gateway has ejected, at least; there is no entry where it says nothing of that."""
    pods: Mapping[tuple[str, str], PodSample] = field(default_factory=dict)
    error: str | None = "not asked yet"

    @property
    def age_seconds(self) -> float | None:
        """The age of the newest sample of any pod."""
        return _newest(self.pods.values())


class Prometheus:
    """Asks one Prometheus. The client is synchronous: every query runs in a thread, with a time limit.

    The threads are our own and as many as there are queries: whatever holds them, it holds nobody else's.
    """

    def __init__(self, url: str, *, gateways: Sequence[str], window_seconds: int, timeout_seconds: float) -> None:
        """`gateways` are the namespaces of the gateways' proxies: of requests, nobody else's word is taken."""
        session = requests.Session()
        self._client = PrometheusConnect(url=url, session=session)
        for address in ("http://", "https://", url):  # wherever a redirect leads; in place of what the client mounted
            session.mount(address, BoundedAdapter(3 * timeout_seconds))  # ends what `fetch` has given up
        # names of namespaces mean themselves in a regular expression; without any, one that no namespace can have
        self._proxies = f'{{{ROUTES},namespace=~"{"|".join(gateways) or "-"}"}}'
        self._window = f"[{window_seconds}s]"
        self._timeout = timeout_seconds
        self._threads = ThreadPoolExecutor(len(self._queries()), thread_name_prefix="prometheus")

    async def fetch(self) -> FleetSamples:
        """Samples of the whole fleet; never raises for what a Prometheus may do."""
        queries = self._queries()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2 * self._timeout):
                asked = (loop.run_in_executor(self._threads, self._ask, query) for query in queries.values())
                answers = await asyncio.gather(*asked)
            return _assemble(dict(zip(queries, answers, strict=True)))
        except (TimeoutError, requests.RequestException, PrometheusApiClientException, *NO_ANSWER) as error:
            return FleetSamples(error=type(error).__name__)

    def _queries(self) -> dict[str, str]:
        window = self._window
        total, retries = (f"envoy_cluster_upstream_rq_{name}{self._proxies}{window}" for name in ("total", "retry"))
        return {
            "offered": f"sum by (envoy_cluster_name) (rate({total})) - sum by (envoy_cluster_name) (rate({retries}))",
            "served": f"sum by (namespace, pod) (rate(nv_inference_request_success{window}))",
            "failed": f'sum by (namespace, pod) (rate(nv_inference_request_failure{{reason="BACKEND"}}{window}))',
            "backlog": "sum by (namespace, pod) (nv_inference_pending_request_count)",
            "queue": (
                f"sum by (namespace, pod) (rate(nv_inference_queue_duration_us{window}))"
                f" / sum by (namespace, pod) (rate(nv_inference_request_success{window})) / 1000"
            ),
            # several proxies may have ejected the same replica
            "ejected": f"max by (envoy_cluster_name) (envoy_cluster_outlier_detection_ejections_active{self._proxies})",
            "age": "time() - max by (namespace, pod) (timestamp(nv_inference_pending_request_count))",
        }

    def _ask(self, query: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self._client.custom_query(query, timeout=self._timeout)
        return answer


def signals_for(samples: FleetSamples, key: Key, pods: Sequence[Pod], window_seconds: float) -> Signals:
    """One deployment's share of the fleet's samples; `pods` are its own. What is older than the window is missing."""
    if samples.error:
        return Signals(error=samples.error)
    found = [(p, samples.pods.get((key.namespace, p.name), NOTHING)) for p in pods]
    known = [s for _, s in found]
    silent = sum(not _is_complete(s, window_seconds) for p, s in found if p.ready and not p.terminating)
    return Signals(
        offered_rps=samples.offered_rps.get(key),
        served_rps=_total(s.served_rps for s in known),
        backlog=_total(s.backlog for s in known),
        queue_milliseconds=_mean_wait(known),
        missing_pods=silent,
        age_seconds=_newest(s for p, s in found if not p.terminating),
    )


def in_flight_of(samples: FleetSamples, key: Key, pods: Sequence[Pod]) -> dict[str, InFlight]:
    """What is under way inside each pod, by UID, as far as Triton told."""
    found = ((p.uid, samples.pods.get((key.namespace, p.name), NOTHING)) for p in pods)
    return {
        uid: InFlight(requests=s.backlog, age_seconds=s.age_seconds)
        for uid, s in found
        if s.backlog is not None and s.age_seconds is not None
    }


def erring_classes(samples: FleetSamples, key: Key, pods: Sequence[Pod]) -> frozenset[str]:
    """Classes of which the model fails too much of what it is asked."""
    served, failed = defaultdict[str, float](float), defaultdict[str, float](float)
    for pod in pods:
        sample = samples.pods.get((key.namespace, pod.name), NOTHING)
        served[pod.class_name] += _sound(sample.served_rps)
        failed[pod.class_name] += _sound(sample.failed_rps)
    return frozenset(name for name, rps in failed.items() if rps > ERRING_SHARE * (rps + served[name]))


def _sound(rps: float | None) -> float:
    return rps if rps is not None and math.isfinite(rps) and rps > 0 else 0.0


def _mean_wait(samples: Sequence[PodSample]) -> float | None:
    """How long a request waits, whichever pod it met: one sick pod is not the deployment."""
    known = [
        (s.queue_milliseconds, s.served_rps)
        for s in samples
        if s.queue_milliseconds is not None and s.served_rps is not None and s.queue_milliseconds >= 0 < s.served_rps
    ]
    served = sum(rps for _, rps in known)
    return sum(wait * rps for wait, rps in known) / served if served else None


def _is_complete(sample: PodSample, window_seconds: float) -> bool:
    """Whether a pod's part of every sum is known, and of now: without its rate, a sum of rates is too low."""
    fresh = sample.age_seconds is not None and sample.age_seconds <= window_seconds
    return fresh and sample.served_rps is not None and sample.backlog is not None


def _newest(samples: Iterable[PodSample]) -> float | None:
    return min((age for s in samples if (age := s.age_seconds) is not None), default=None)


def _total(values: Any) -> float | None:
    present = [v for v in values if v is not None]
    return sum(present) if present else None


def _assemble(answers: Mapping[str, list[dict[str, Any]]]) -> FleetSamples:
    offered: dict[Key, float] = {}
    for _, key, value in _by_route(answers["offered"]):
        # a hair below zero is a matter of when what was scraped; what is no number stays none
        offered[key] = offered.get(key, 0.0) + (max(0.0, value) if math.isfinite(value) else math.nan)
    names = ("served", "failed", "backlog", "queue", "age")
    served, failed, backlog, queue, age = (_by_pod(answers[name]) for name in names)
    pods = {
        name: PodSample(
            served_rps=served.get(name),
            failed_rps=failed.get(name),
            backlog=backlog.get(name),
            queue_milliseconds=queue.get(name),
            age_seconds=_usable_age(age.get(name)),
        )
        for name in served.keys() | backlog.keys()
    }
    return FleetSamples(offered_rps=offered, ejected=_ejected(answers["ejected"]), pods=pods, error=None)


def _ejected(answer: list[dict[str, Any]]) -> dict[Key, int]:
    """By deployment. A replica stands behind both routes, and in one cluster of each: so it is the route with more."""
    by_route: Counter[tuple[str, Key]] = Counter()
    for kind, key, value in _by_route(answer):
        by_route[kind, key] += int(value) if math.isfinite(value) and value > 0 else 0
    found: dict[Key, int] = {}
    for (_, key), number in by_route.items():
        found[key] = max(number, found.get(key, 0))
    return found


def _by_route(answer: list[dict[str, Any]]) -> list[tuple[str, Key, float]]:
    """(kind of the route, deployment, value) per cluster of Envoy that belongs to a route."""
    matches = [(ENVOY_CLUSTER.match(labels.get("envoy_cluster_name", "")), value) for labels, value in _vector(answer)]
    return [(m[1], Key(namespace=m[2], name=m[3]), value) for m, value in matches if m]


def _usable_age(seconds: float | None) -> float | None:
    """An age, or `None` for what is none: both times are Prometheus' own, so it cannot be negative."""
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _by_pod(answer: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    return {(labels.get("namespace", ""), labels.get("pod", "")): value for labels, value in _vector(answer)}


def _vector(answer: list[dict[str, Any]]) -> list[tuple[dict[str, str], float]]:
    """(labels, value) pairs of an instant vector."""
    return [(sample["metric"], float(sample["value"][1])) for sample in answer]

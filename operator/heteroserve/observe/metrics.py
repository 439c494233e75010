"""Signals from Prometheus: a few fleet-wide queries per tick, never one per object.

The queries are fixed; nothing of a user's object enters them. Only the labels that every Prometheus sets on pods
(`namespace`, `pod`) and Envoy Gateway's cluster names are relied on; which pod belongs to which class we know
ourselves. A missing sample stays missing: nothing here turns it into zero.
"""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry as NoRetry

from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import Pod, Signals

ENVOY_CLUSTER = re.compile(r"^(?:httproute|grpcroute)/([^/]+)/([^/]+)/rule/")
GATEWAY = '{envoy_cluster_name=~"(httproute|grpcroute)/.+"}'
NO_ANSWER = (ValueError, LookupError, TypeError, AttributeError)
"""What reading an answer raises that is none of Prometheus': a proxy's page, a result of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSample:
    """What Triton in one pod reports."""

    served_rps: float | None = None
    backlog: float | None = None
    queue_milliseconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSamples:
    """One tick's answers; `error` says why there are none."""

    offered_rps: Mapping[Key, float] = field(default_factory=dict)
    pods: Mapping[tuple[str, str], PodSample] = field(default_factory=dict)
    age_seconds: float | None = None
    error: str | None = "not asked yet"


class Prometheus:
    """Asks one Prometheus. The client is synchronous: every query runs in a thread, with a time limit."""

    def __init__(self, url: str, *, window_seconds: int, timeout_seconds: float) -> None:
        self._client = PrometheusConnect(url=url, retry=NoRetry(total=0))
        self._window = f"[{window_seconds}s]"
        self._timeout = timeout_seconds

    async def fetch(self) -> FleetSamples:
        """Samples of the whole fleet; never raises for what a Prometheus may do."""
        queries = self._queries()
        try:
            async with asyncio.timeout(2 * self._timeout):
                answers = await asyncio.gather(*(asyncio.to_thread(self._ask, q) for q in queries.values()))
            return _assemble(dict(zip(queries, answers, strict=True)))
        except (TimeoutError, requests.RequestException, PrometheusApiClientException, *NO_ANSWER) as error:
            return FleetSamples(error=type(error).__name__)

    def _queries(self) -> dict[str, str]:
        window = self._window
        total, retries = (f"envoy_cluster_upstream_rq_{name}{GATEWAY}{window}" for name in ("total", "retry"))
        return {
            "offered": f"sum by (envoy_cluster_name) (rate({total})) - sum by (envoy_cluster_name) (rate({retries}))",
            "served": f"sum by (namespace, pod) (rate(nv_inference_request_success{window}))",
            "backlog": "sum by (namespace, pod) (nv_inference_pending_request_count)",
            "queue": (
                f"sum by (namespace, pod) (rate(nv_inference_queue_duration_us{window}))"
                f" / sum by (namespace, pod) (rate(nv_inference_request_success{window})) / 1000"
            ),
            "age": "time() - max(timestamp(nv_inference_pending_request_count))",
        }

    def _ask(self, query: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self._client.custom_query(query, timeout=self._timeout)
        return answer


def signals_for(samples: FleetSamples, key: Key, pods: Sequence[Pod]) -> Signals:
    """One deployment's share of the fleet's samples; `pods` are its own."""
    if samples.error:
        return Signals(error=samples.error)
    ready = [p for p in pods if p.ready and not p.terminating]
    known = [s for p in pods if (s := samples.pods.get((key.namespace, p.name)))]
    silent = sum(not _is_complete(samples.pods.get((key.namespace, p.name))) for p in ready)
    return Signals(
        offered_rps=samples.offered_rps.get(key),
        served_rps=_total(s.served_rps for s in known),
        backlog=_total(s.backlog for s in known),
        queue_milliseconds=max((q for s in known if (q := s.queue_milliseconds) is not None and q >= 0), default=None),
        missing_pods=silent,
        age_seconds=samples.age_seconds if known else None,
    )


def _is_complete(sample: PodSample | None) -> bool:
    """Whether a pod's part of every sum is known: without its rate, a sum of rates is too low."""
    return sample is not None and sample.served_rps is not None and sample.backlog is not None


def _total(values: Any) -> float | None:
    present = [v for v in values if v is not None]
    return sum(present) if present else None


def _assemble(answers: Mapping[str, list[dict[str, Any]]]) -> FleetSamples:
    offered: dict[Key, float] = {}
    for labels, value in _vector(answers["offered"]):
        found = ENVOY_CLUSTER.match(labels.get("envoy_cluster_name", ""))
        if found:
            key = Key(namespace=found[1], name=found[2])
            # a hair below zero is a matter of when what was scraped; what is no number stays none
            offered[key] = offered.get(key, 0.0) + (max(0.0, value) if math.isfinite(value) else math.nan)
    served, backlog, queue = (_by_pod(answers[name]) for name in ("served", "backlog", "queue"))
    pods = {
        name: PodSample(served_rps=served.get(name), backlog=backlog.get(name), queue_milliseconds=queue.get(name))
        for name in served.keys() | backlog.keys()
    }
    age = next((value for _, value in _vector(answers["age"])), None)
    return FleetSamples(offered_rps=offered, pods=pods, age_seconds=age, error=None)


def _by_pod(answer: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    return {(labels.get("namespace", ""), labels.get("pod", "")): value for labels, value in _vector(answer)}


def _vector(answer: list[dict[str, Any]]) -> list[tuple[dict[str, str], float]]:
    """(labels, value) pairs of an instant vector."""
    return [(sample["metric"], float(sample["value"][1])) for sample in answer]

"""Demand: how many requests per second to plan for, and whether that figure may be used to remove anything.

Pure. The asymmetry is the point (as in the Horizontal Pod Autoscaler): any signal may add replicas, but replicas are
removed only when every signal that should be there is there and fresh. Missing is never zero.
"""

import math

from heteroserve.decide.supply import problem_of
from heteroserve.model.plan import Demand
from heteroserve.model.snapshot import Snapshot

FRESH = "MetricsFresh"
"""The reason when nothing is missing."""

QUEUE_SHARE = 0.5
"""Waiting for more than this share of the latency objective means that there are too few replicas."""

GROWTH_WHILE_QUEUEING = 1.1
BUSY_SHARE = 0.7
"""Below this share of what is ready, and with all requests answered, waiting has another cause than few replicas."""

MOST_WHILE_QUEUEING = 4.0
"""However long requests wait: no more than this many times the rate that was measured is planned for."""

BACKLOG_SECONDS = 10.0
"""Requests that wait inside Triton are demand that was not served yet: work them off within this time."""


def estimate_demand(snapshot: Snapshot, ready: int, ready_rps: float) -> Demand:
    """The demand that the signals show; `ready` pods are expected to report, and to carry `ready_rps` together."""
    signals = snapshot.signals
    if signals.error:
        return _nothing("PrometheusError", f"Prometheus cannot be asked: {signals.error}")
    window = snapshot.cluster.metrics_window_seconds
    if signals.age_seconds is not None and not 0 <= signals.age_seconds <= window:
        return _nothing("MetricsStale", f"the newest samples are older than {window:.0f} s")
    offered, served, backlog = (usable(v) for v in (signals.offered_rps, signals.served_rps, signals.backlog))
    rates = [r for r in (offered, served) if r is not None]
    if not rates:
        return _nothing("MetricsMissing", "neither the gateway nor Triton has a sample of this deployment")
    rps = max(rates) + (backlog or 0.0) / BACKLOG_SECONDS
    missing = _missing(snapshot, ready, offered=offered, served=served, backlog=backlog)
    busy = rps >= BUSY_SHARE * ready_rps or (offered or 0.0) * BUSY_SHARE > (served or 0.0)
    if busy and _queues_grow(snapshot):
        return Demand(
            rps=max(rps, min(GROWTH_WHILE_QUEUEING * ready_rps, MOST_WHILE_QUEUEING * rps)),
            may_shrink=False,
            reason="QueuesGrow",
            message="requests wait inside Triton for half of the latency objective and more: the profile promised more",
        )
    if missing:
        return Demand(rps=rps, may_shrink=False, reason="MetricsPartial", message=f"no fresh samples of: {missing}")
    return Demand(rps=rps, may_shrink=True, reason=FRESH, message="all signals are present and fresh")


def _queues_grow(snapshot: Snapshot) -> bool:
    """Whether requests wait too long in Triton: a guard against profiles that promise too much, which only adds.

    Looked at only while no replica is on its way: what comes next may already be the answer.
    """
    queue = usable(snapshot.signals.queue_milliseconds)
    coming = any(not (p.ready or p.terminating or problem_of(p, snapshot.now)) for p in snapshot.pods)
    limit = QUEUE_SHARE * snapshot.deployment.objective.latency_milliseconds
    return queue is not None and queue > limit and not coming


def usable(value: float | None) -> float | None:
    """A sample that can be computed with, or `None`: NaN, infinite and negative samples count as missing."""
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _nothing(reason: str, message: str) -> Demand:
    return Demand(rps=None, may_shrink=False, reason=reason, message=message)


def _missing(
    snapshot: Snapshot, ready: int, *, offered: float | None, served: float | None, backlog: float | None
) -> str:
    gateway = snapshot.cluster.envoy_gateway and snapshot.route is not None and offered is None
    # while nothing is ready no demand can be seen: gateways count what they could send on, and Triton what it answered
    triton = ready == 0 or served is None or backlog is None or snapshot.signals.missing_pods > 0
    return ", ".join(name for name, gone in (("the gateway", gateway), ("Triton", triton)) if gone)

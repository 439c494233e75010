"""What the operator tells about itself: metrics, and logs of one JSON line each.

One line per decision, with cause, before and after under fixed keys. Label values are names and reasons, no free text.
"""

import logging
import math
import sys

from prometheus_client import Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter

from heteroserve.model.deployment import Key
from heteroserve.model.plan import Plan
from heteroserve.model.snapshot import DecisionRecord

LOGGER = logging.getLogger("heteroserve")

DEPLOYMENT = ("deployment_namespace", "deployment")  # `namespace` is what Prometheus calls the operator's own
CLASS = (*DEPLOYMENT, "class")

DECISIONS = Counter(
    "heteroserve_decisions_total", "Changes decided, by the rule that caused them.", (*DEPLOYMENT, "reason")
)
RECONCILE_SECONDS = Histogram(
    "heteroserve_reconcile_seconds",
    "Duration of a reconcile.",
    ("kind", "result"),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30),
)
METRICS_AGE_SECONDS = Gauge("heteroserve_metrics_age_seconds", "Age of the newest sample of any Triton pod.")
RESYNC_AGE_SECONDS = Gauge("heteroserve_resync_age_seconds", "Time since everything was listed anew.")
PROBED_PODS = Gauge("heteroserve_probed_pods", "Pods that the operator's own prober asks.")
PROBE_FAILURES = Counter("heteroserve_probe_failures_total", "Probes that a pod did not answer well, or not in time.")
PROBES_DISCARDED = Counter(
    "heteroserve_probes_discarded_total", "Probes that timed out while the operator itself was late: they say nothing."
)
PROBE_SECONDS = Histogram(
    "heteroserve_probe_seconds", "Duration of a probe.", buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1)
)
API_WRITES = Counter("heteroserve_api_writes_total", "Requests that write to the API server.")
WEIGHT = Gauge("heteroserve_class_weight", "Share of the traffic of a class, in percent.", CLASS)
REPLICAS = Gauge("heteroserve_class_replicas", "Replicas wanted of a class.", CLASS)
READY = Gauge("heteroserve_class_ready_replicas", "Replicas of a class that can answer.", CLASS)
CAPACITY = Gauge(
    "heteroserve_class_capacity_rps", "Requests per second that the ready replicas of a class may carry.", CLASS
)
DEMAND = Gauge("heteroserve_demand_rps", "Requests per second planned for.", DEPLOYMENT)
COST = Gauge("heteroserve_cost_per_hour", "Cost of all planned replicas.", DEPLOYMENT)

PER_CLASS = (WEIGHT, REPLICAS, READY, CAPACITY)
PER_DEPLOYMENT = (DEMAND, COST)

_SHOWN: dict[Key, frozenset[str]] = {}


def configure_logging(level: str) -> None:
    """Logs to standard output as JSON; Kopf's chatter from warnings up."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatter in ("kopf", "aiohttp.access", "asyncio"):
        logging.getLogger(chatter).setLevel(logging.WARNING)


def report_plan(key: Key, plan: Plan) -> None:
    """Sets the gauges of one deployment, and logs and counts what was decided."""
    _forget_classes(key, frozenset(c.name for c in plan.classes))
    for c in plan.classes:
        labels = (key.namespace, key.name, c.name)
        for gauge, value in zip(PER_CLASS, (c.weight, c.replicas, c.ready, c.ready_rps), strict=True):
            gauge.labels(*labels).set(value)
    COST.labels(key.namespace, key.name).set(float(plan.cost_per_hour))
    if plan.demand.rps is not None:
        DEMAND.labels(key.namespace, key.name).set(plan.demand.rps)
    for decision in plan.decisions:
        DECISIONS.labels(key.namespace, key.name, str(decision.reason)).inc()
        LOGGER.info("decision", extra=_fields(key, decision))


def report_health(metrics_age_seconds: float | None, resync_age_seconds: float | None) -> None:
    """Sets the gauges that tell how old our knowledge is; not a number when there is none."""
    METRICS_AGE_SECONDS.set(math.nan if metrics_age_seconds is None else metrics_age_seconds)
    RESYNC_AGE_SECONDS.set(math.nan if resync_age_seconds is None else resync_age_seconds)


def _forget_classes(key: Key, shown: frozenset[str]) -> None:
    for name in _SHOWN.get(key, frozenset()) - shown:
        for gauge in PER_CLASS:
            gauge.remove(key.namespace, key.name, name)
    _SHOWN[key] = shown


def forget_deployment(key: Key) -> None:
    """Removes every gauge of a deleted deployment."""
    _SHOWN.pop(key, None)
    for metric in (*PER_CLASS, *PER_DEPLOYMENT, DECISIONS):
        metric.remove_by_labels(dict(zip(DEPLOYMENT, (key.namespace, key.name), strict=True)))


def _fields(key: Key, decision: DecisionRecord) -> dict[str, str]:
    return {
        "deployment": str(key),
        "class": decision.class_name,
        "before": decision.before,
        "after": decision.after,
        "reason": str(decision.reason),
        "cause": decision.message,
    }

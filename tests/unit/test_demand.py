import math
from dataclasses import dataclass, replace

import builders
from heteroserve.decide.demand import estimate_demand
from heteroserve.model.snapshot import Cluster, Pod, RouteState, Signals

ROUTE = builders.route(cpu=100)
ONE, STARTING = builders.pods("cpu", 1), (*builders.pods("cpu", 1), builders.pod("cpu-b", ready=False))
HUNG = (builders.pod("cpu-h", ready=False, started=True, unready_since=builders.ago(31)),)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Signals while one pod is ready that carries 100 requests/s, and a route is there."""

    signals: Signals
    ready: int = 1
    pods: tuple[Pod, ...] = ONE
    envoy: bool = True
    window: float = 30.0
    route: RouteState | None = ROUTE
    want_rps: float | None
    want_shrink: bool = False
    want_reason: str


SEEN = {
    "everything is there": Seen(signals=builders.fresh(50), want_rps=50, want_shrink=True, want_reason="MetricsFresh"),
    "the larger of what arrives and what is answered": Seen(
        signals=builders.fresh(50, served_rps=70), want_rps=70, want_shrink=True, want_reason="MetricsFresh"
    ),
    "what waits is worked off within ten seconds": Seen(
        signals=builders.fresh(50, backlog=200), want_rps=70, want_shrink=True, want_reason="MetricsFresh"
    ),
    "no request at all is a demand": Seen(
        signals=builders.fresh(0), want_rps=0, want_shrink=True, want_reason="MetricsFresh"
    ),
    "Prometheus does not answer": Seen(
        signals=Signals(error="ConnectionError"), want_rps=None, want_reason="PrometheusError"
    ),
    "samples beside an error are not looked at": Seen(
        signals=builders.fresh(50, error="TimeoutError"), want_rps=None, want_reason="PrometheusError"
    ),
    "samples as old as is allowed": Seen(
        signals=builders.fresh(50, age_seconds=30.0), want_rps=50, want_shrink=True, want_reason="MetricsFresh"
    ),
    "samples that are older": Seen(
        signals=builders.fresh(50, age_seconds=30.1), want_rps=None, want_reason="MetricsStale"
    ),
    "samples of an age that is no number": Seen(
        signals=builders.fresh(50, age_seconds=math.nan), want_rps=None, want_reason="MetricsStale"
    ),
    "samples from the future": Seen(
        signals=builders.fresh(50, age_seconds=-3.0), want_rps=None, want_reason="MetricsStale"
    ),
    "samples that are old, where scrapes are rare and the window is long": Seen(
        signals=builders.fresh(50, age_seconds=120.0),
        window=120.0,
        want_rps=50,
        want_shrink=True,
        want_reason="MetricsFresh",
    ),
    "samples that are young, where the window is shorter": Seen(
        signals=builders.fresh(50, age_seconds=11.0), window=10.0, want_rps=None, want_reason="MetricsStale"
    ),
    "no pod of which an age is known": Seen(
        signals=builders.fresh(50, age_seconds=None, missing_pods=1), want_rps=50, want_reason="MetricsPartial"
    ),
    "nothing was measured": Seen(signals=Signals(), want_rps=None, want_reason="MetricsMissing"),
    "only what waits was measured": Seen(signals=Signals(backlog=9.0), want_rps=None, want_reason="MetricsMissing"),
    "both rates are no numbers": Seen(
        signals=builders.fresh(50, offered_rps=math.nan, served_rps=-1.0), want_rps=None, want_reason="MetricsMissing"
    ),
    "the gateway says nothing": Seen(
        signals=builders.fresh(50, offered_rps=None), want_rps=50, want_reason="MetricsPartial"
    ),
    "the gateway says NaN": Seen(
        signals=builders.fresh(50, offered_rps=math.nan), want_rps=50, want_reason="MetricsPartial"
    ),
    "the gateway says infinity": Seen(
        signals=builders.fresh(50, offered_rps=math.inf), want_rps=50, want_reason="MetricsPartial"
    ),
    "a gateway that is not Envoy's has nothing to say": Seen(
        signals=builders.fresh(50, offered_rps=None),
        envoy=False,
        want_rps=50,
        want_shrink=True,
        want_reason="MetricsFresh",
    ),
    "without a route no gateway has anything to say": Seen(
        signals=builders.fresh(50, offered_rps=None),
        route=None,
        want_rps=50,
        want_shrink=True,
        want_reason="MetricsFresh",
    ),
    "Triton says nothing": Seen(signals=builders.fresh(50, served_rps=None), want_rps=50, want_reason="MetricsPartial"),
    "nobody knows what waits": Seen(
        signals=builders.fresh(50, backlog=None), want_rps=50, want_reason="MetricsPartial"
    ),
    "one pod is not scraped yet": Seen(
        signals=builders.fresh(50, missing_pods=1), want_rps=50, want_reason="MetricsPartial"
    ),
    "while nothing is ready the demand cannot be seen": Seen(
        signals=builders.fresh(0), ready=0, want_rps=0, want_reason="MetricsPartial"
    ),
    "requests wait for more than half of the objective": Seen(
        signals=builders.fresh(80, queue_milliseconds=25.1), want_rps=110, want_reason="QueuesGrow"
    ),
    "requests wait although there is little to do": Seen(
        signals=builders.fresh(50, queue_milliseconds=40.0), want_rps=50, want_shrink=True, want_reason="MetricsFresh"
    ),
    "requests wait, and not all of them are answered": Seen(
        signals=builders.fresh(50, served_rps=30.0, queue_milliseconds=40.0), want_rps=110, want_reason="QueuesGrow"
    ),
    "however long they wait, no more than four times the rate is planned for": Seen(
        signals=builders.fresh(10, served_rps=5.0, queue_milliseconds=4000.0), want_rps=40, want_reason="QueuesGrow"
    ),
    "a pod that hangs is none that is on its way": Seen(
        signals=builders.fresh(80, queue_milliseconds=40.0), pods=HUNG, want_rps=110, want_reason="QueuesGrow"
    ),
    "requests wait for half of the objective": Seen(
        signals=builders.fresh(80, queue_milliseconds=25.0), want_rps=80, want_shrink=True, want_reason="MetricsFresh"
    ),
    "requests wait, but a replica is on its way": Seen(
        signals=builders.fresh(80, queue_milliseconds=40.0),
        pods=STARTING,
        want_rps=80,
        want_shrink=True,
        want_reason="MetricsFresh",
    ),
    "requests wait, and more arrive than ever": Seen(
        signals=builders.fresh(500, queue_milliseconds=40.0), want_rps=500, want_reason="QueuesGrow"
    ),
    "a waiting time that is no number": Seen(
        signals=builders.fresh(80, queue_milliseconds=math.nan),
        want_rps=80,
        want_shrink=True,
        want_reason="MetricsFresh",
    ),
}


@builders.table(SEEN)
def test_the_demand_that_signals_show(case: Seen) -> None:
    snapshot = builders.snapshot(signals=case.signals, route=case.route, pods=case.pods)
    cluster = Cluster(envoy_gateway=case.envoy, metrics_window_seconds=case.window)
    found = estimate_demand(replace(snapshot, cluster=cluster), ready=case.ready, ready_rps=100.0 * case.ready)
    assert found.rps is None or math.isclose(found.rps, case.want_rps or 0.0)
    assert (found.rps is None, found.may_shrink, found.reason) == (
        case.want_rps is None,
        case.want_shrink,
        case.want_reason,
    )


def test_what_is_missing_is_named() -> None:
    snapshot = builders.snapshot(signals=Signals(served_rps=5.0), route=builders.route(cpu=100))
    assert estimate_demand(snapshot, ready=1, ready_rps=1.0).message == "no fresh samples of: the gateway, Triton"


def test_how_old_is_too_old_is_said() -> None:
    snapshot = builders.snapshot(signals=builders.fresh(50, age_seconds=121.0))
    found = estimate_demand(replace(snapshot, cluster=Cluster(metrics_window_seconds=120)), ready=1, ready_rps=1.0)
    assert found.message == "the newest samples are older than 120 s"

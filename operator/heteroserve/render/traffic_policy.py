"""The BackendTrafficPolicy for Envoy Gateway: how the gateway notices a dead replica and what it does with a request.

Written only where Envoy Gateway is installed. Health is asked of the model itself, over HTTP for both protocols;
a request that met a dead replica is tried again elsewhere; nothing is ever sent to replicas known to be dead
(panic routing off). All of it is right for inference without state only: neither the retries nor the balancing
keep a sequence on one replica. The figures, and what they were weighed against, are in docs/adr/0008-data-plane.md.
"""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import HTTP_PORT, Manifest, manifest

RETRIES = 3
EJECTING_FAILURES = 3
"""Not more than the retries: the last try of a request finds the replica that failed all the others gone."""
RETRY_TRIGGERS = ("connect-failure", "refused-stream", "reset", "cancelled", "unavailable", "retriable-status-codes")
"""The first three mean no answer; with the others Triton says that it stops, or has no room."""
RETRY_PERCENT = 50
RETRY_FLOOR = 100
"""Of all requests in flight, and at least: what one replica had in flight comes back at once when it dies."""
SHORTEST_TRY_MILLISECONDS = 1000
OBJECTIVES_PER_TRY = 5
"""A try is given up after this many times the latency objective: clearly hung, not merely slow."""
LARGEST_REQUEST = "64Mi"
"""Triton's own bound for HTTP. A request is held until it is answered, or it could not be sent again."""


def build_traffic_policy(deployment: InferenceDeployment) -> Manifest:
    """The BackendTrafficPolicy `<name>` of both routes."""
    name = deployment.key.name
    return {
        **manifest(deployment, "gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", name),
        "spec": {
            "targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": kind, "name": name}
                for kind in ("HTTPRoute", "GRPCRoute")
            ],
            "healthCheck": {"active": _active(deployment), "passive": _passive(), "panicThreshold": 0},
            "retry": _retry(deployment),
            "circuitBreaker": {
                "retryBudget": {"percent": {"numerator": RETRY_PERCENT}, "minRetryConcurrency": RETRY_FLOOR}
            },
            "requestBuffer": {"limit": LARGEST_REQUEST},
            "timeout": _timeout(deployment),
        },
    }


def _active(deployment: InferenceDeployment) -> Manifest:
    """A replica that hangs is out after about a second: two checks, each after its pause and up to its timeout.

    Two, because one late answer on a busy node is no failure, and a class may have no other replica. The model is
    asked for in any version: while one replaces another, the old replicas are as healthy as before.
    """
    return {
        "type": "HTTP",
        "http": {"path": f"/v2/models/{deployment.model.name}/ready", "method": "GET", "expectedStatuses": [200]},
        "interval": "250ms",
        "timeout": "250ms",
        "unhealthyThreshold": 2,
        "healthyThreshold": 1,
        "overrides": {"port": HTTP_PORT},
    }


def _passive() -> Manifest:
    """What requests themselves tell, faster than any check.

    Never for more than half of the replicas: requests that none can answer must not take all of them away.
    """
    return {
        "consecutive5XxErrors": 5,
        "consecutiveLocalOriginFailures": EJECTING_FAILURES,
        "splitExternalLocalOriginErrors": True,
        "interval": "1s",
        "baseEjectionTime": "5s",
        "maxEjectionPercent": 50,
    }


def _retry(deployment: InferenceDeployment) -> Manifest:
    return {
        "numRetries": RETRIES,
        "retryOn": {"triggers": list(RETRY_TRIGGERS), "httpStatusCodes": [503]},
        "perRetry": {
            "timeout": _duration(_try_milliseconds(deployment)),
            "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"},
        },
    }


def _timeout(deployment: InferenceDeployment) -> Manifest:
    """All tries may hang: what is left of the request's time is the pauses between them."""
    whole = (RETRIES + 1) * _try_milliseconds(deployment) + SHORTEST_TRY_MILLISECONDS
    return {"tcp": {"connectTimeout": "250ms"}, "http": {"requestTimeout": _duration(whole)}}


def _try_milliseconds(deployment: InferenceDeployment) -> int:
    return max(SHORTEST_TRY_MILLISECONDS, round(OBJECTIVES_PER_TRY * deployment.objective.latency_milliseconds))


def _duration(milliseconds: int) -> str:
    """A duration of the Gateway API, which has no more than five digits for one unit."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}s{rest}ms" if rest else f"{seconds}s"

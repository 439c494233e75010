"""The BackendTrafficPolicy for Envoy Gateway: how the gateway notices a dead replica and what it does with a request.

Written only where Envoy Gateway is installed. Health is asked of the model itself, over HTTP for both protocols;
a request that met a dead replica is tried again elsewhere; nothing is ever sent to replicas known to be dead
(panic routing off). Retries are right for inference without state; sequence models need a policy of their own.
"""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import HTTP_PORT, Manifest, manifest

RETRIES = 3
SHORTEST_TRY_MILLISECONDS = 1000
OBJECTIVES_PER_TRY = 5
"""A try is given up after this many times the latency objective: clearly hung, not merely slow."""


def build_traffic_policy(deployment: InferenceDeployment) -> Manifest:
    """The BackendTrafficPolicy `<name>` of both routes."""
    try_milliseconds = _try_milliseconds(deployment)
    name = deployment.key.name
    return {
        **manifest(deployment, "gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", name),
        "spec": {
            "targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": kind, "name": name}
                for kind in ("HTTPRoute", "GRPCRoute")
            ],
            "healthCheck": {"active": _active(deployment), "passive": _passive(), "panicThreshold": 0},
            "retry": {
                "numRetries": RETRIES,
                "retryOn": {
                    "triggers": ["connect-failure", "refused-stream", "reset", "unavailable", "retriable-status-codes"],
                    "httpStatusCodes": [503],
                },
                "perRetry": {
                    "timeout": _duration(try_milliseconds),
                    "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"},
                },
            },
            "timeout": {
                "tcp": {"connectTimeout": "250ms"},
                "http": {"requestTimeout": _duration((RETRIES + 1) * try_milliseconds + SHORTEST_TRY_MILLISECONDS)},
            },
        },
    }


def _try_milliseconds(deployment: InferenceDeployment) -> int:
    return max(SHORTEST_TRY_MILLISECONDS, round(OBJECTIVES_PER_TRY * deployment.objective.latency_milliseconds))


def _duration(milliseconds: int) -> str:
    """A duration of the Gateway API, which has no more than five digits for one unit."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}s{rest}ms" if rest else f"{seconds}s"


def _active(deployment: InferenceDeployment) -> Manifest:
    """Asks for the model in any version: while one replaces another, the old replicas are as healthy as before."""
    return {
        "type": "HTTP",
        "http": {"path": f"/v2/models/{deployment.model.name}/ready", "method": "GET", "expectedStatuses": [200]},
        "interval": "500ms",
        "timeout": "500ms",
        "unhealthyThreshold": 2,
        "healthyThreshold": 1,
        "overrides": {"port": HTTP_PORT},
    }


def _passive() -> Manifest:
    return {
        "consecutive5XxErrors": 5,
        "consecutiveLocalOriginFailures": 3,
        "splitExternalLocalOriginErrors": True,
        "interval": "1s",
        "baseEjectionTime": "5s",
        "maxEjectionPercent": 50,
    }

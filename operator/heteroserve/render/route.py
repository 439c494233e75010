"""Routes: an HTTPRoute and a GRPCRoute whose backends are the class Services, weighted by the plan.

Both have exactly one rule, so that a gateway can retry a request in another class. Only inference and what a client
asks about a model is routed: the model repository, shared memory, trace and log APIs of Triton stay inside. So do
streams: what is tried again when it takes too long must have one answer.
"""

from heteroserve.model.deployment import GatewayRef, InferenceDeployment
from heteroserve.model.plan import Plan
from heteroserve.render.metadata import GRPC_PORT, HTTP_PORT, Manifest, class_object_name, manifest

GATEWAY_API = "gateway.networking.k8s.io/v1"
GRPC_SERVICE = "inference.GRPCInferenceService"
GRPC_METHODS = (
    "ModelInfer",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
)
HTTP_PARTS = ("", "/infer", "/generate", "/ready", "/config", "/stats")
"""What stands behind a model (or one of its versions) and may be asked for. Everything below a version would be too
much: `/versions/<n>/trace/setting` is there as well."""


def build_http_route(deployment: InferenceDeployment, plan: Plan, gateways: tuple[GatewayRef, ...]) -> Manifest:
    """The HTTPRoute `<name>`."""
    base, version = f"/v2/models/{deployment.model.name}", deployment.model.version
    bases = (base, f"{base}/versions/{version}") if version else (base,)
    matches = [{"path": {"type": "Exact", "value": f"{b}{part}"}} for b in bases for part in HTTP_PARTS]
    return _route(deployment, plan, gateways, kind="HTTPRoute", matches=matches, port=HTTP_PORT)


def build_grpc_route(deployment: InferenceDeployment, plan: Plan, gateways: tuple[GatewayRef, ...]) -> Manifest:
    """The GRPCRoute `<name>`."""
    matches = [{"method": {"type": "Exact", "service": GRPC_SERVICE, "method": method}} for method in GRPC_METHODS]
    return _route(deployment, plan, gateways, kind="GRPCRoute", matches=matches, port=GRPC_PORT)


def _route(
    deployment: InferenceDeployment,
    plan: Plan,
    gateways: tuple[GatewayRef, ...],
    *,
    kind: str,
    matches: list[Manifest],
    port: int,
) -> Manifest:
    routed = plan.routed
    backends = [
        {
            "group": "",
            "kind": "Service",
            "name": class_object_name(deployment, c.name),
            "port": port,
            "weight": routed[c.name],
        }
        for c in sorted(plan.classes, key=lambda c: c.name)
        if c.named
    ]
    hostnames = {"hostnames": list(deployment.hostnames)} if deployment.hostnames else {}
    return {
        **manifest(deployment, GATEWAY_API, kind, deployment.key.name),
        "spec": {
            "parentRefs": [_parent(g) for g in gateways],
            **hostnames,
            "rules": [{"matches": matches, "backendRefs": backends}],
        },
    }


def _parent(gateway: GatewayRef) -> Manifest:
    optional = {"namespace": gateway.namespace, "sectionName": gateway.section_name, "port": gateway.port}
    return {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name,
        **{key: value for key, value in optional.items() if value is not None},
    }

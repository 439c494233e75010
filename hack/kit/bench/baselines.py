"""The two ways of the requests that the operator's own is compared with."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from kit import client
from kit.bench.levers import CONTROL_PLANE, Levers
from kit.bench.trial import Target
from kit.cluster import CLASS_LABEL, NAME

JSON = dict[str, Any]
PLAIN, UNTUNED = "bench-service", "bench-route"
PORTS = {"http": 8000, "grpc": 8001}
GATEWAY = {"namespace": "heteroserve-system", "name": "heteroserve"}
DEPLOYMENT_LABEL = "heteroserve.dev/deployment"


async def placed(
    levers: Levers, target: Target, gateway: str, namespace: str, weights: Mapping[str, int]
) -> client.Target:
    """Where the requests go; what the way needs is made first."""
    if target == "operator":
        return client.Target(http=gateway, grpc=gateway, host=f"{namespace}.test")
    objects = [service(namespace)] if target == "service" else route(namespace, weights)
    await levers.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    if target == "route":
        return client.Target(http=gateway, grpc=gateway, host=f"route.{namespace}.test")
    made = json.loads(await levers.kubectl("-n", namespace, "get", "service", PLAIN, "-o", "json"))
    node = json.loads(await levers.kubectl("get", "node", CONTROL_PLANE, "-o", "json"))
    # the control plane's own kube-proxy: no fault takes it away
    (address,) = [
        a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP" and "." in a["address"]
    ]
    ports = {port["name"]: port["nodePort"] for port in made["spec"]["ports"]}
    return client.Target(http=f"{address}:{ports['http']}", grpc=f"{address}:{ports['grpc']}")


def service(namespace: str) -> JSON:
    """A plain Service over all pods, reached through a port of a node."""
    return _service(namespace, PLAIN, {DEPLOYMENT_LABEL: NAME}, kind="NodePort")


def route(namespace: str, weights: Mapping[str, int]) -> list[JSON]:
    """Routes with fixed weights over Services per class, and no policy."""
    services = [
        _service(namespace, _name(name), {DEPLOYMENT_LABEL: NAME, CLASS_LABEL: name}, kind="ClusterIP")
        for name in sorted(weights)
    ]
    return [*services, _route(namespace, "HTTPRoute", "http", weights), _route(namespace, "GRPCRoute", "grpc", weights)]


def _name(class_name: str) -> str:
    return f"bench-{class_name}"


def _service(namespace: str, name: str, selector: Mapping[str, str], *, kind: str) -> JSON:
    h2c = {"grpc": {"appProtocol": "kubernetes.io/h2c"}}
    ports = [{"name": n, "port": port, "targetPort": n, **h2c.get(n, {})} for n, port in PORTS.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": kind, "selector": dict(selector), "ports": ports},
    }


def _route(namespace: str, kind: str, protocol: str, weights: Mapping[str, int]) -> JSON:
    backends = [
        {"name": _name(name), "port": PORTS[protocol], "weight": weight} for name, weight in sorted(weights.items())
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": UNTUNED, "namespace": namespace},
        "spec": {
            "parentRefs": [GATEWAY],
            "hostnames": [f"route.{namespace}.test"],
            "rules": [{"backendRefs": backends}],
        },
    }

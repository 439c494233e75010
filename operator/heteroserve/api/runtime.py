"""The serving container of a HardwareClass: NVIDIA Triton as this hardware needs it."""

from typing import Annotated

from pydantic import Field

from heteroserve.api.common import ImageReference, Quantity, Subdomain
from heteroserve.api.schema import Check, Model, checks, list_map, matches

# Arguments of tritonserver that the operator sets itself or relies on, and what a user writes instead or why.
RESERVED_ARGUMENTS = {
    "--model-repository": "the model comes from spec.model.source of the InferenceDeployment",
    "--model-store": "the model comes from spec.model.source of the InferenceDeployment",
    "--model-config-name": "write spec.classes[].variant in the InferenceDeployment instead",
    "--model-control-mode": "a replica loads its one model when it starts and never another",
    "--exit-timeout-secs": "a replica that leaves gets the time its requests need",
    "--http-port": "the port is 8000 on every class, where the operator's Services and probes look",
    "--grpc-port": "the port is 8001 on every class, where the operator's Services look",
    "--metrics-port": "the port is 8002 on every class, where Prometheus looks",
    "--http-address": "probes and gateways come to the pod's own address",
    "--grpc-address": "gateways come to the pod's own address",
    "--metrics-address": "Prometheus comes to the pod's own address",
    "--allow-http": "probes and requests come over HTTP",
    "--allow-grpc": "requests come over gRPC as well",
    "--allow-metrics": "the number of replicas follows from Triton's metrics",
    "--grpc-use-ssl": "TLS ends at the Gateway, and requests come from there as plain gRPC",
    "--grpc-use-ssl-mutual": "TLS ends at the Gateway, and requests come from there as plain gRPC",
}


def _not_reserved(argument: str, instead: str) -> Check:
    # tritonserver parses with getopt, which also takes the first letters of a name: --http-po is --http-port
    rule = f"self.split('=')[0].size() < 5 || !'{argument}'.startsWith(self.split('=')[0])"
    return Check(rule, f"must not set {argument}, which is the operator's: remove the argument; {instead}")


ServerArgument = Annotated[
    str,
    Field(min_length=3, max_length=1024),
    matches(
        "--[a-z][a-z0-9-]*(=.*)?",
        "must be one whole argument of tritonserver, such as --log-verbose=1: name and value in one item, with '='",
    ),
    *(_not_reserved(argument, instead) for argument, instead in RESERVED_ARGUMENTS.items()),
]


class EnvironmentVariable(Model):
    """A variable of the serving container."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=256),
        matches(
            "[a-zA-Z_][a-zA-Z0-9_]*",
            "must consist of letters, digits and '_', and not start with a digit, such as OMP_NUM_THREADS",
        ),
    ]
    """Name of the variable, such as OMP_NUM_THREADS."""

    value: Annotated[str, Field(max_length=4096)] = ""
    """Value of the variable. Left out, it is empty. Never a secret: HardwareClasses can be read by whoever may read
    nodes."""


class ResourceRequests(Model):
    """What a replica is promised."""

    cpu: Quantity
    """CPU that the scheduler sets aside for a replica, in cores, such as 500m or 2."""

    memory: Quantity
    """Memory that the scheduler sets aside for a replica, in bytes, such as 512Mi or 8Gi: server, model and
    buffers."""


class ResourceLimits(Model):
    """What a replica may use at most."""

    cpu: Quantity | None = None
    """CPU that a replica may use at most, in cores, such as 2. Left out, it may use what is idle on its node:
    measured profiles then depend on the neighbours."""

    memory: Quantity | None = None
    """Memory that a replica may use at most, in bytes, such as 8Gi; above it the replica is killed. Left out, there
    is no limit but the node's."""


def _within_limit(name: str) -> Check:
    requested, limit = f"string(self.requests.{name})", f"string(self.limits.{name})"
    return Check(
        f"!has(self.limits) || !has(self.limits.{name}) || !isQuantity({requested}) || !isQuantity({limit}) || "
        f"quantity({requested}).compareTo(quantity({limit})) <= 0",
        f"must not be above limits.{name}: lower the request or raise the limit",
        f".requests.{name}",
    )


class ComputeResources(Model):
    """CPU and memory of a replica."""

    requests: ResourceRequests
    """What the scheduler sets aside for each replica."""

    limits: ResourceLimits | None = None
    """What each replica may use at most. Left out, there are no limits."""

    model_config = checks(_within_limit("cpu"), _within_limit("memory"))


class Runtime(Model):
    """The serving container of a class."""

    image: ImageReference
    """Image with NVIDIA Triton for this hardware, with a tag or a digest, such as registry.example/triton:2.51.0."""

    args: Annotated[tuple[ServerArgument, ...], Field(max_length=32)] = ()
    """Further arguments of tritonserver, one item each, such as --log-verbose=1. What the operator sets itself or
    relies on (model repository, configuration, protocols, addresses, ports, exit timeout) is refused. Left out, there
    are none."""

    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64), list_map("name")] = ()
    """Environment variables of the serving container. Left out, there are none."""

    resources: ComputeResources
    """CPU and memory of each replica, beside the devices of spec.resources."""

    runtime_class_name: Subdomain | None = None
    """Name of the RuntimeClass that runs the pods, such as nvidia, where the devices need one. Left out, the node's
    default runtime is used."""

    priority_class_name: Subdomain | None = None
    """Name of the PriorityClass of the pods: who may push whom off a full node. Left out, the cluster's default."""

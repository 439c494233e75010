"""InferenceDeployment: a model, its latency objective, and the hardware classes it may run on."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from heteroserve.api.common import AGE, ConfigName, Label, Metadata, Money, Subdomain
from heteroserve.api.inference_deployment_status import InferenceDeploymentStatus
from heteroserve.api.schema import SECTION, SET, Check, Column, Model, Object, Resource, checks, list_map
from heteroserve.api.served_model import ServedModel

Milliseconds = Annotated[float, Field(gt=0, le=600_000)]


class LatencyObjective(Model):
    """How fast answers must be."""

    percentile: Literal[50, 90, 95, 99] = 99
    """Share of the requests, in percent, that must be answered in time: 50, 90, 95 or 99. Default: 99."""

    milliseconds: Milliseconds
    """Time within which they must be answered, in milliseconds, from the gateway's view: queueing counts."""


class Objective(Model):
    """What the users of the model are promised."""

    latency: LatencyObjective
    """How fast answers must be. Profile points that are slower are never planned with."""


class PointLatency(Model):
    """Latency at a profile point."""

    p50: Milliseconds
    """Median latency of a request, in milliseconds."""

    p99: Milliseconds
    """99th percentile of the latency of a request, in milliseconds."""

    model_config = checks(
        Check(
            "self.p50 <= self.p99",
            "must not be above p99: the median cannot be slower than the slowest percent",
            ".p50",
        )
    )


class ProfilePoint(Model):
    """What was measured of one replica at one batch size."""

    batch: Annotated[int, Field(ge=1, le=1024)]
    """Requests that the server computed together."""

    latency_milliseconds: PointLatency
    """Latency of the requests at this batch size, in milliseconds."""

    throughput: Annotated[float, Field(gt=0, le=1e7)]
    """Requests per second that one replica answered at this batch size."""


class Profile(Model):
    """What one replica on the class can do, as measured."""

    points: Annotated[tuple[ProfilePoint, ...], Field(min_length=1, max_length=32), list_map("batch")]
    """Measurements, one per batch size. Replicas are planned with the fastest point that keeps the objective, so one
    point within the objective is the least that is useful."""


class ServingClass(Model):
    """A hardware class that the model may run on, and within which limits."""

    name: Label
    """Name of a HardwareClass."""

    variant: ConfigName | None = None
    """Variant of the model for this class, such as int8 or tensorrt-fp16: replicas load it with
    configs/<variant>.pbtxt from the model's folder. Check the name: where there is no such file, Triton serves the
    model's config.pbtxt without a word. /v2/models/<model>/config tells which one a replica has loaded. Left out, the
    model's config.pbtxt."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 0
    """Replicas that are kept on this class whatever the demand. 0 leaves the class empty while others carry the
    demand. Default: 0."""

    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 10
    """Replicas on this class at most. Default: 10."""

    profile: Profile
    """What one replica of this variant can do on this class."""

    model_config = checks(
        Check(
            "self.minReplicas <= self.maxReplicas",
            "must not be above maxReplicas: lower one or raise the other",
            ".minReplicas",
        )
    )


class ScaleDown(Model):
    """How replicas are taken away."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long fewer replicas must have been enough, in seconds, before any is taken away. Longer rides out pauses in
    the demand, shorter saves more. Default: 300."""


class Behavior(Model):
    """How fast the number of replicas follows the demand. Growing never waits."""

    scale_down: Annotated[ScaleDown, SECTION] = Field(default_factory=ScaleDown)
    """How replicas are taken away."""


class Budget(Model):
    """What the deployment may cost."""

    cost_per_hour: Money
    """Cost of all replicas together, per hour and at the prices of their classes, that is not exceeded, such as
    "12.50". minReplicas is kept even above it."""


class Scaling(Model):
    """How the number of replicas follows the demand."""

    target_utilization_percent: Annotated[int, Field(ge=10, le=100)] = 75
    """Share of the measured throughput to plan with, in percent. The rest absorbs what arrives before new replicas
    are ready. Default: 75."""

    behavior: Annotated[Behavior, SECTION] = Field(default_factory=Behavior)
    """How fast the number of replicas follows the demand."""

    budget: Budget | None = None
    """What the deployment may cost. Left out, only maxReplicas and the hardware limit it."""


class ParentReference(Model):
    """A Gateway that the model is reached through."""

    name: Subdomain
    """Name of a Gateway in the same namespace."""

    section_name: Subdomain | None = None
    """Name of the one listener of the Gateway to use. Left out, all that accept the routes."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the listeners of the Gateway to use. Left out, all."""


class Gateway(Model):
    """The Gateways that the model is reached through."""

    parent_refs: Annotated[tuple[ParentReference, ...], Field(min_length=1, max_length=8)]
    """Gateways in the same namespace to which the routes of the model are attached."""


Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Check(
        "self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && !isIP(self)",
        "must be a host name in lower case, without scheme, port or path, such as digits.example.com or *.example.com",
    ),
]


class ManualWeight(Model):
    """The share of one class in a split that is set by hand."""

    class_name: Label = Field(alias="class")
    """Name of the class, as in spec.classes."""

    weight: Annotated[int, Field(ge=0, le=100)]
    """Share of the requests that is sent to this class, in percent."""


class Traffic(Model):
    """How requests reach the model."""

    gateway: Gateway | None = None
    """The Gateways that the model is reached through. Left out, the default Gateway of the operator's
    configuration."""

    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16), SET] = ()
    """Host names that the model answers to, such as digits.example.com, or *.example.com for all names below. Left
    out, all host names of the Gateway."""

    weights: Annotated[
        tuple[ManualWeight, ...],
        Field(max_length=15),
        list_map("class"),
        Check(
            "self.size() == 0 || self.map(w, w.weight).sum() == 100",
            "must be 100 together; take the list out to let the operator split the traffic",
        ),
    ] = ()
    """The split of the traffic, set by hand: as long as it stands, the operator changes no weight, whatever fails, and
    sizes each class for its share. Left out, the operator splits the traffic in proportion to what is ready."""


class InferenceDeploymentSpec(Model):
    """Which model is served, how fast, and on which hardware."""

    model: ServedModel
    """The model that is served."""

    objective: Objective
    """What the users of the model are promised."""

    # a route takes 16 backends, and a class on its way out still needs one
    classes: Annotated[tuple[ServingClass, ...], Field(min_length=1, max_length=15), list_map("name")]
    """The hardware classes that the model may run on, 15 at most. Their order means nothing: cost and profile
    decide."""

    scaling: Annotated[Scaling, SECTION] = Field(default_factory=Scaling)
    """How the number of replicas follows the demand."""

    traffic: Annotated[Traffic, SECTION] = Field(default_factory=Traffic)
    """How requests reach the model."""

    paused: bool = False
    """Whether the operator only looks and reports, and changes nothing: what runs keeps serving as it is. Default:
    false."""

    model_config = checks(
        Check(
            "!has(self.traffic) || !has(self.traffic.weights) || "
            "self.traffic.weights.all(w, self.classes.exists(c, c.name == w.class))",
            "must name classes that stand in spec.classes",
            ".traffic.weights",
        )
    )


class InferenceDeployment(Object):
    """InferenceDeployment serves one model, within one latency objective, from several classes of hardware at once.

    The operator decides how many replicas run on each class and which share of the requests each class gets.

    For each class it owns a Deployment and a Service <name>-<class>, and for the whole a Service <name>, an HTTPRoute
    and a GRPCRoute.
    """

    resource: ClassVar[Resource] = Resource(
        kind="InferenceDeployment",
        plural="inferencedeployments",
        short="infd",
        scope="Namespaced",
        categories=("heteroserve", "all"),
        columns=(
            Column("Model", "string", ".spec.model.name", "The model that is served."),
            Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether the model is served."),
            Column("Replicas", "integer", ".status.readyReplicas", "Replicas that can answer."),
            Column("Demand", "number", ".status.demand.requestsPerSecond", "Requests per second."),
            Column("Cost/h", "string", ".status.costPerHour", "Cost of all replicas per hour."),
            Column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not.", 1),
            AGE,
        ),
    )

    metadata: Metadata

    spec: InferenceDeploymentSpec
    """Which model is served, how fast, and on which hardware."""

    status: InferenceDeploymentStatus = Field(default_factory=InferenceDeploymentStatus)
    """What was last seen and decided. Written by the operator."""

    model_config = checks(
        Check(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "must start with a lower-case letter and consist of lower-case letters, digits and '-' (no '.'), such as "
            "digits: Services are named after it",
            ".metadata.name",
        ),
        Check(
            "self.spec.classes.all(c, size(self.metadata.name) + 1 + size(c.name) <= 63)",
            "must be at most 63 characters together with '-' and the name of each class, because Services are named "
            "<name>-<class>: shorten the name of the object or of the HardwareClass",
            ".metadata.name",
        ),
    )

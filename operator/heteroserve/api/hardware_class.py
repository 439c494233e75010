"""HardwareClass: what a kind of hardware is.

Everything that differs between vendors is data here and none of it is code: a new accelerator is a new object.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from heteroserve.api.common import AGE, DOMAIN, LABEL, NAME, Conditions, Metadata, Money, ObservedGeneration
from heteroserve.api.runtime import Runtime
from heteroserve.api.schema import SET, Check, Column, Model, Object, Resource, checks, list_map, matches

Count = Annotated[int, Field(ge=0, le=1_000_000)]


LabelValue = Annotated[
    str,
    Field(max_length=63),
    matches(
        f"({NAME})?",
        "must be the value of a node label: letters, digits, '-', '_' and '.', with a letter or digit at both ends",
    ),
]

QualifiedName = Annotated[
    str,
    Field(min_length=1, max_length=317),
    matches(
        f"({DOMAIN}/)?{NAME}",
        "must be a name with an optional domain, such as GPUUnhealthy or example.com/unhealthy",
    ),
]


class DeviceRequest(Model):
    """A device that every replica asks for."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=253),
        matches(
            f"{DOMAIN}/{NAME}",
            "must be the name that the device plugin advertises, with its domain, such as nvidia.com/gpu",
        ),
        Check(
            "!self.matches('^([^/]*[.])?kubernetes[.]io/') && !self.startsWith('requests.')",
            "must be the device's own name, such as nvidia.com/gpu: kubernetes.io/ and requests. are Kubernetes' own",
        ),
    ]
    """Name of the extended resource that the device plugin advertises on the nodes, with its domain, such as
    nvidia.com/gpu or amd.com/gpu."""

    quantity: Annotated[int, Field(ge=1, le=16)] = 1
    """How many of these devices one replica gets. Devices are given out whole. Default: 1."""


class Toleration(Model):
    """A taint that does not keep replicas of this class from a node."""

    key: QualifiedName
    """Key of the taint, such as nvidia.com/gpu. It cannot be left out: to tolerate every taint would also keep
    replicas on nodes that Kubernetes has given up."""

    operator: Literal["Exists", "Equal"] = "Equal"
    """Exists tolerates the taint whatever its value, Equal only with the value below. Default: Equal."""

    value: LabelValue | None = None
    """Value of the taint that is tolerated; only with the operator Equal. Left out, it is the empty value."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The one effect of the taint that is tolerated. Left out, all effects are."""

    model_config = checks(
        Check(
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "must be left out with the operator Exists, which tolerates every value; write operator: Equal to compare",
            ".value",
        )
    )


class Cost(Model):
    """What a replica on this class costs."""

    per_hour: Money
    """Price of one replica for one hour, as a decimal number in quotes, such as "0.71". The currency is yours: only
    the prices of the classes relative to each other, and to the budgets of InferenceDeployments, matter. "0" is a
    class that costs nothing."""


class HardwareClassSpec(Model):
    """What the hardware is, where it is, what it costs, and how Triton runs on it."""

    accelerator: Literal["CPU", "GPU", "FPGA", "ASIC"]
    """What computes: CPU, GPU, FPGA or ASIC. CPU is the class without a device; every other asks for one in
    resources."""

    node_selector: Annotated[
        Mapping[str, LabelValue],
        Field(min_length=1, max_length=16),
        Check(
            f"self.all(key, key.matches('^({DOMAIN}/)?{NAME}$'))",
            "every key must be the name of a node label, with an optional domain, such as heteroserve.dev/pool",
        ),
    ]
    """Labels that a node must carry, all of them, to belong to this class, such as heteroserve.dev/pool: gpu-l4. A
    node may belong to several classes; they then compete for its devices."""

    resources: Annotated[tuple[DeviceRequest, ...], Field(max_length=4), list_map("name")] = ()
    """Devices that each replica asks from the device plugin. Left out, there are none, which is right for CPU
    alone."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints of the nodes that replicas of this class tolerate. Left out, replicas run on untainted nodes only."""

    cost: Cost
    """What a replica on this class costs."""

    unhealthy_conditions: Annotated[tuple[QualifiedName, ...], Field(max_length=16), SET] = ()
    """Node conditions (by type, when True) and taints (by key) that mean: do not serve from this node, such as
    GPUUnhealthy. Replicas on such a node count as not ready, and their part of the traffic goes to others. Left out,
    only Kubernetes' own signs count, such as NotReady."""

    runtime: Runtime
    """The serving container of this class."""

    model_config = checks(
        Check(
            "self.accelerator == 'CPU' || (has(self.resources) && size(self.resources) > 0)",
            "must name at least one device unless the accelerator is CPU, such as {name: nvidia.com/gpu, quantity: 1}: "
            "without it the scheduler places replicas on nodes whose devices are taken",
            ".resources",
        ),
        Check(
            "self.accelerator != 'CPU' || !has(self.resources) || size(self.resources) == 0",
            "must be empty when the accelerator is CPU: write the device's accelerator (GPU, FPGA, ASIC), "
            "or remove the device",
            ".resources",
        ),
    )


class Devices(Model):
    """The devices of the class, over all of its nodes. Where a replica asks for several kinds, those of the first."""

    capacity: Count | None = None
    """Devices that exist, healthy or not."""

    allocatable: Count | None = None
    """Devices that pods can be given: those of the device plugin that are healthy."""

    free: Count | None = None
    """Allocatable devices on ready nodes that no pod of an InferenceDeployment holds."""


class HardwareClassStatus(Model):
    """What was last seen of the class. Written by the operator."""

    observed_generation: ObservedGeneration | None = None
    """The metadata.generation that this status is about."""

    nodes: Count | None = None
    """Nodes that carry the labels of spec.nodeSelector."""

    ready_nodes: Count | None = None
    """Those of them that are ready and free of spec.unhealthyConditions. Cordoned nodes count: they still serve."""

    devices: Devices | None = None
    """The devices of spec.resources on these nodes; absent for CPU."""

    conditions: Conditions = ()
    """What the operator has found out, one entry per type. Ready is the one to wait for."""


class HardwareClass(Object):
    """HardwareClass describes one kind of hardware that models are served from.

    It says which nodes have the hardware, which device a replica asks for, what it costs, and how NVIDIA Triton runs on
    it. InferenceDeployments name the classes they may use.

    Changing a class changes every replica that runs on it.
    """

    resource: ClassVar[Resource] = Resource(
        kind="HardwareClass",
        plural="hardwareclasses",
        short="hwc",
        scope="Cluster",
        categories=("heteroserve",),
        columns=(
            Column("Accelerator", "string", ".spec.accelerator", "What computes."),
            Column("Ready", "integer", ".status.readyNodes", "Nodes of the class that can serve."),
            Column("Nodes", "integer", ".status.nodes", "Nodes of the class."),
            Column("Free", "integer", ".status.devices.free", "Devices that no pod of ours holds."),
            Column(
                "Evacuated",
                "string",
                '.status.conditions[?(@.type=="Evacuated")].reason',
                "Whether what is to be evacuated is free of replicas.",
                1,
            ),
            Column("Cost/h", "string", ".spec.cost.perHour", "Price of one replica for one hour."),
            Column(
                "Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why the class is ready or not.", 1
            ),
            AGE,
        ),
    )

    metadata: Metadata

    spec: HardwareClassSpec
    """What the hardware is, where it is, what it costs, and how Triton runs on it."""

    status: HardwareClassStatus = Field(default_factory=HardwareClassStatus)
    """What was last seen of the class. Written by the operator."""

    model_config = checks(
        Check(
            f"self.metadata.name.matches('^{LABEL}$') && size(self.metadata.name) <= 61",
            "must consist of lower-case letters, digits and '-' (no '.'), at most 61 of them, such as gpu-l4: Services "
            "are named <InferenceDeployment>-<class>",
            ".metadata.name",
        )
    )

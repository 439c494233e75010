"""What the fleet is made of: hardware classes and the nodes that belong to them.

These are facts, already judged to be well-formed by whoever observed them. Nothing here decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Accelerator(StrEnum):
    """The kinds of hardware that a class can stand for."""

    CPU = "CPU"
    GPU = "GPU"
    FPGA = "FPGA"
    ASIC = "ASIC"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """What one replica asks of a device plugin, for example 1 of `nvidia.com/gpu`."""

    resource: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A Kubernetes toleration; an empty key with `Exists` tolerates everything."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def covers(self, taint: "Taint") -> bool:
        """Whether a pod with this toleration may stand on a node with that taint (Kubernetes' own rule)."""
        if self.effect and self.effect != taint.effect:
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == taint.key and (self.operator == "Exists" or self.value == taint.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A Kubernetes node taint."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The Triton container of a class; quantities are Kubernetes quantities, kept as they were written."""

    image: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    runtime_class_name: str | None = None
    priority_class_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareClass:
    """One kind of hardware. Everything vendor-specific is data here."""

    name: str
    accelerator: Accelerator
    node_selector: Mapping[str, str]
    devices: tuple[DeviceRequest, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    cost_per_hour: Decimal
    unhealthy_conditions: frozenset[str] = frozenset()
    runtime: Runtime
    evacuate: bool = False
    """Somebody wants everything off it."""
    drill_until: datetime | None = None
    """Somebody rehearses its loss until then."""

    def selects(self, node: "Node") -> bool:
        """Whether the node belongs to this class."""
        return all(node.labels.get(key) == value for key, value in self.node_selector.items())

    def tolerates(self, taint: Taint) -> bool:
        """Whether this class's pods may stand on a node with that taint.

        A taint whose key is the name of a device resource is tolerated by convention: it keeps pods that need no
        device away from the nodes that have one.
        """
        return taint.key in {d.resource for d in self.devices} or any(t.covers(taint) for t in self.tolerations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a decision may know of a node. `allocatable` holds extended resources (devices) only."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    not_ready_since: datetime | None = None
    """As Kubernetes tells it; `None` while it is ready."""
    cordoned: bool = False
    deleting: bool = False
    taints: tuple[Taint, ...] = ()
    true_conditions: frozenset[str] = frozenset()
    capacity: Mapping[str, int] = field(default_factory=dict)
    allocatable: Mapping[str, int] = field(default_factory=dict)
    evacuate: bool = False
    """Somebody wants everything off it."""
    drill_until: datetime | None = None
    """Somebody rehearses its loss until then."""

"""Snapshot: all that a decision may see, taken at one moment.

Invariants: frozen; no clock but `now`; nothing that is missing is represented by a zero (missing is `None`).
`Memory` is the only thing that flows back from an earlier decision, and it comes from the object's own status, so
that a restarted operator decides as if it had never stopped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from heteroserve.model.deployment import GatewayRef, InferenceDeployment
from heteroserve.model.fleet import HardwareClass, Node


class PodProblem(StrEnum):
    """Why a pod is not serving, as far as its own status tells."""

    UNSCHEDULABLE = "Unschedulable"
    IMAGE = "ImagePullFailed"
    MODEL = "ModelLoadFailed"
    CRASH = "ContainerCrashed"
    CONFIG = "PodConfigInvalid"
    SLOW = "StartingSlowly"
    HUNG = "ModelNotAnswering"
    LATE = "StartMissed"
    """It starts, and what it is to carry is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What we tell Kubernetes about a pod, on the pod itself.

    `out_since`: since when Services do not lead to it, by our wish; `None` while they do. `goes_first`: when there are
    to be fewer replicas, this is one of those that go.
    """

    out_since: datetime | None = None
    goes_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Triton pod of ours. `started`: it was ready once. `unready_since`: when it stopped being so, or was made."""

    name: str
    uid: str
    class_name: str
    node: str | None = None
    ready: bool = False
    terminating: bool = False
    ended: bool = False
    """It stays on record (an evicted one does), and nothing of it runs."""
    started: bool = False
    unready_since: datetime | None = None
    untouched_since: datetime | None = None
    """Since when it is meant for its node, whose kubelet has not begun with it."""
    created: datetime | None = None
    start_seconds: float | None = None
    """From being made to being ready; `None` when it was not, or started more than once."""
    problem: PodProblem | None = None
    message: str = ""
    model_version: str | None = None
    address: str | None = None
    device_unhealthy: bool = False
    """The kubelet says that a device of the pod is broken."""
    devices: Mapping[str, int] = field(default_factory=dict)
    mark: Mark = Mark()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVitals:
    """What we found out about a node ourselves, over the pods of all deployments.

    `lease_age_seconds`: since its kubelet renewed its Lease, by our own clock. `renewed_seconds`: since we last saw it
    do so; no guess is made at the start or after a failed listing. `asked` of its pods our prober asks,
    `failing` of them do not answer. `bad_seconds`: for how long the node has been bad without a break (NotReady, Lease
    expired, or every pod asked failing); `None` while it is not. `silent_of`: the deployment (namespace/name) whose
    pods alone are asked there, and all fail. `gone`: there is no such Node any more, and pods of ours were ready on it.
    """

    lease_age_seconds: float | None = None
    renewed_seconds: float | None = None
    asked: int = 0
    failing: int = 0
    bad_seconds: float | None = None
    silent_of: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What Prometheus says of one deployment. Rates in requests per second; `None` = no (usable) sample.

    `offered_rps` is counted at the gateway, `served_rps` and `backlog` (requests inside Triton, executing or queued)
    by Triton over all pods. `missing_pods` counts ready pods of which Prometheus does not know both, or not of late.
    `age_seconds` is the age of the newest sample of the pods that stay; `None` where there is none.
    """

    offered_rps: float | None = None
    served_rps: float | None = None
    backlog: float | None = None
    queue_milliseconds: float | None = None
    missing_pods: int = 0
    age_seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """Requests inside a pod's Triton, executing or queued, as it told `age_seconds` ago."""

    requests: float
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingScaleDown:
    """Fewer replicas were wanted without interruption since `since`; `replicas` is the most wanted meanwhile."""

    since: datetime
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How far a class is trusted that came, or came back. Kept in the status, so that a restart forgives nothing.

    `since`: when its trouble began while it is `troubled`, and when it ended (or the class came) after. `setbacks`:
    troubles since it was last calm for long. `floor`: replicas that answered all the time.
    """

    since: datetime
    setbacks: int = 0
    troubled: bool = False
    floor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """One change, as the status keeps it: what, from, to, and which rule of ours caused it."""

    time: datetime
    class_name: str
    before: str
    after: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionState:
    """A condition as it stands in the status."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the status remembers from the last decision."""

    pending: Mapping[str, PendingScaleDown] = field(default_factory=dict)
    recoveries: Mapping[str, Recovery] = field(default_factory=dict)
    ready: Mapping[str, int] = field(default_factory=dict)
    """Replicas that answered, by class; no entry for a class that was not there."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """The shares of the traffic, by class."""
    decisions: tuple[DecisionRecord, ...] = ()
    conditions: tuple[ConditionState, ...] = ()
    demand_rps: float | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """The routes as they stand: weights by class name, the higher of the two, and what the gateways say.

    `behind`: a gateway that took a route has not looked at it since it was changed.
    """

    weights: Mapping[str, int]
    behind: bool = False
    accepted: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the cluster offers besides hardware, and how its operator set us up for it.

    `ingress_namespaces` hold the gateways' proxies, `metrics_namespaces` Prometheus, `operator_namespace` ourselves:
    only they reach the pods. A sample older than `metrics_window_seconds` says nothing about now.
    """

    gateway_api: bool = True
    envoy_gateway: bool = True
    default_gateway: GatewayRef | None = None
    ingress_namespaces: tuple[str, ...] = ()
    metrics_namespaces: tuple[str, ...] = ()
    operator_namespace: str = "heteroserve-system"
    metrics_window_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent picture. What the Deployments are and say is by class, of unlisted classes too."""

    now: datetime
    deployment: InferenceDeployment
    hardware: Mapping[str, HardwareClass] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    probes: Mapping[str, int] = field(default_factory=dict)
    """Probes of a pod that failed in a row, by UID; a pod that is not there was not asked yet."""
    vitals: Mapping[str, NodeVitals] = field(default_factory=dict)
    """By node name."""
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    """By pod UID; of a pod that is not there nothing is known."""
    erring: frozenset[str] = frozenset()
    """Classes whose Triton fails a good part of what it is asked, by its own fault."""
    gateway_ejected: int = 0
    """Replicas of this deployment that the gateway itself has ejected."""
    devices_taken: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Devices in use by the pods of other deployments: node name → resource → number."""
    unreadable_hardware: Mapping[str, str] = field(default_factory=dict)
    """HardwareClasses that are there and cannot be read: name → what is wrong with them."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """What the Deployments ask for."""
    rolling: frozenset[str] = frozenset()
    """Classes whose Deployment Kubernetes still works on: not looked at yet, or pods of an older template are left."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Why Kubernetes creates no pod of a class: a quota, a missing RuntimeClass, an admission rule."""
    unroutable: frozenset[str] = frozenset()
    """Classes that have a Deployment and no Service of ours: what stands under its name belongs to somebody else."""
    route: RouteState | None = None
    signals: Signals = Signals()
    memory: Memory = Memory()
    cluster: Cluster = Cluster()
    paused: str = ""
    """Why nothing may be changed in the whole fleet, if so."""
    awake_seconds: float = math.inf
    """For how long the operator has been deciding."""

    @property
    def gateways(self) -> tuple[GatewayRef, ...]:
        """The Gateways that routes are attached to; none where the cluster has no Gateway API."""
        default = self.cluster.default_gateway
        named = self.deployment.gateways or ((default,) if default else ())
        return named if self.cluster.gateway_api else ()

    @property
    def keeps_placeholders(self) -> bool:
        """Whether every class has an address at which nobody answers: behind Envoy Gateway."""
        return bool(self.gateways) and self.cluster.envoy_gateway

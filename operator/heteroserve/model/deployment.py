"""What a user asked for: an InferenceDeployment in the words of the domain.

Defaults and bounds were applied by the API server; nothing is validated twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePoint:
    """A measurement of one replica at one batch size; throughput in requests per second."""

    batch: int
    p50_milliseconds: float
    p99_milliseconds: float
    throughput_rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTarget:
    """A hardware class that the deployment may run on, and within which bounds."""

    name: str
    variant: str | None = None
    min_replicas: int = 0
    max_replicas: int = 10
    points: tuple[ProfilePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """The model repository is the root of an OCI image, mounted as a volume."""

    reference: str
    pull_policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSource:
    """The model repository lies on a persistent volume, below `path`."""

    claim_name: str
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreSource:
    """Triton itself reads the repository from an object store, in its own URI form."""

    uri: str
    credentials_secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapSource:
    """A tiny repository out of a ConfigMap: (key, path in the repository) pairs."""

    name: str
    items: tuple[tuple[str, str], ...]


ModelSource = ImageSource | ClaimSource | ObjectStoreSource | ConfigMapSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The model to serve: its folder in the repository, and the version if one is asked for."""

    name: str
    version: str | None = None
    source: ModelSource

    @property
    def ready_path(self) -> str:
        """Triton's HTTP path that answers 200 when this model (and version) is loaded and warm."""
        version = f"/versions/{self.version}" if self.version else ""
        return f"/v2/models/{self.name}{version}/ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The latency to keep: this percentile of the requests within this many milliseconds."""

    percentile: int
    latency_milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How far to load replicas, how long to wait before removing one, and what it may cost in all."""

    target_utilisation: float = 0.75
    scale_down_window_seconds: int = 300
    budget_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRef:
    """A Gateway to attach the routes to; `namespace` is set only by the operator's own configuration."""

    name: str
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The name of an InferenceDeployment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceDeployment:
    """One user's wish, as of `generation`."""

    key: Key
    uid: str
    generation: int
    model: Model
    objective: Objective
    classes: tuple[ClassTarget, ...]
    scaling: Scaling = Scaling()
    gateways: tuple[GatewayRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    manual_weights: Mapping[str, int] = field(default_factory=dict)
    """By class, when somebody splits the traffic by hand; none, when we do."""
    paused: bool = False

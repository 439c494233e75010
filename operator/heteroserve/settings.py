"""Settings: what an administrator decides for the whole operator. Read once, validated once, passed in."""

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, field_validator

from heteroserve.model.deployment import GatewayRef
from heteroserve.model.snapshot import Cluster


class Settings(BaseModel):
    """Every field is a flag of `heteroserve run` and a variable HETEROSERVE_<FIELD>; its docstring is the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prometheus_url: str = "http://prometheus.monitoring.svc:9090"
    """Address of the Prometheus that scrapes the gateways and the Triton pods."""

    default_gateway: str = ""
    """Gateway for deployments that name none, as <namespace>/<name> or <namespace>/<name>/<listener>."""

    ingress_namespaces: tuple[str, ...] = ("envoy-gateway-system",)
    """Namespaces of the gateways' proxies: they may send inference requests to the pods."""

    metrics_namespaces: tuple[str, ...] = ("monitoring",)
    """Namespaces of Prometheus: it may scrape the pods."""

    tick_seconds: float = Field(default=5.0, ge=1, le=300)
    """How often Prometheus is asked and every deployment looked at."""

    metrics_window_seconds: int = Field(default=30, ge=10, le=600)
    """Over how many seconds rates are taken: at least twice the scrape interval."""

    resync_seconds: float = Field(default=30.0, ge=5, le=30)
    """How often everything is listed anew, whatever the watches said."""

    metrics_port: int = Field(default=9095, ge=1, le=65535)
    """Port of the operator's own /metrics."""

    health_port: int = Field(default=8080, ge=1, le=65535)
    """Port of /healthz."""

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """DEBUG, INFO, WARNING or ERROR."""

    @field_validator("prometheus_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        HttpUrl(value)  # raises a ValueError that says what is wrong
        return value.rstrip("/")

    @field_validator("default_gateway")
    @classmethod
    def _is_gateway(cls, value: str) -> str:
        if value and (len(value.split("/")) not in {2, 3} or not all(value.split("/"))):
            raise ValueError("write <namespace>/<name> or <namespace>/<name>/<listener>")
        return value

    def cluster(self) -> Cluster:
        """The administrator's part of what a decision may know."""
        return Cluster(
            default_gateway=_gateway(self.default_gateway),
            ingress_namespaces=tuple(self.ingress_namespaces),
            metrics_namespaces=tuple(self.metrics_namespaces),
        )


def _gateway(text: str) -> GatewayRef | None:
    if not text:
        return None
    namespace, name, *section = text.split("/")
    return GatewayRef(namespace=namespace, name=name, section_name=section[0] if section else None)

"""Settings: what an administrator decides for the whole operator. Read once, validated once, passed in."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, field_validator

from heteroserve.api.common import DOMAIN, LABEL
from heteroserve.model.deployment import GatewayRef
from heteroserve.model.snapshot import Cluster


def _is_label(text: str) -> bool:
    return len(text) <= 63 and re.fullmatch(LABEL, text) is not None


def _is_domain(text: str) -> bool:
    return len(text) <= 253 and re.fullmatch(DOMAIN, text) is not None


def _namespace(text: str) -> str:
    if not _is_label(text):
        raise ValueError(
            "write names of namespaces, separated by spaces (by commas in the environment): lower-case letters, digits "
            "and '-', such as envoy-gateway-system"
        )
    return text


def _own_namespace(text: str) -> str:
    if not _is_label(text):
        raise ValueError(
            "write the name of one namespace: lower-case letters, digits and '-', such as heteroserve-system"
        )
    return text


Namespace = Annotated[str, AfterValidator(_namespace)]
OwnNamespace = Annotated[str, AfterValidator(_own_namespace)]


class Settings(BaseModel):
    """Every field is a flag of `heteroserve run` and a variable HETEROSERVE_<FIELD>; its docstring is the help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prometheus_url: str = "http://prometheus.monitoring.svc:9090"
    """Address of the Prometheus that scrapes the gateways' proxies and the Triton pods."""

    default_gateway: str = ""
    """Gateway for InferenceDeployments that name none, as <namespace>/<name> or <namespace>/<name>/<listener>. Without
    one, they get no route, and only their Service."""

    namespace: OwnNamespace = "heteroserve-system"
    """Namespace that the operator itself runs in: it may ask the Triton pods whether they are ready."""

    ingress_namespaces: tuple[Namespace, ...] = ("envoy-gateway-system",)
    """Namespaces of the gateways' proxies: they may send inference requests to the Triton pods, and only they are
    believed how many arrive. No name: nobody but the pods' own namespace may send any, and no gateway is believed."""

    metrics_namespaces: tuple[Namespace, ...] = ("monitoring",)
    """Namespaces of Prometheus: it may scrape the Triton pods. No name: nobody may."""

    tick_seconds: float = Field(default=5.0, ge=1, le=10)
    """How often Prometheus is asked and every InferenceDeployment looked at. Changes are looked at immediately."""

    metrics_window_seconds: int = Field(default=30, ge=10, le=600)
    """Over how many seconds rates are taken, and how old a sample may be. Prometheus' scrape interval must be at most
    half of it: otherwise rates are missing now and then or always, and meanwhile no demand is known and no replica is
    taken away."""

    resync_seconds: float = Field(default=30.0, ge=5, le=30)
    """How often all objects are listed again, in case a watch has missed something."""

    metrics_port: int = Field(default=9095, ge=1, le=65535)
    """Port of the operator's own /metrics."""

    health_port: int = Field(default=8080, ge=1, le=65535)
    """Port of the operator's own /healthz."""

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """What is logged: DEBUG, INFO, WARNING or ERROR and above."""

    @field_validator("prometheus_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        HttpUrl(value)  # raises a ValueError that says what is wrong
        return value.rstrip("/")

    @field_validator("default_gateway")
    @classmethod
    def _is_gateway(cls, value: str) -> str:
        namespace, *names = value.split("/")
        if value and not (_is_label(namespace) and len(names) in {1, 2} and all(map(_is_domain, names))):
            raise ValueError(
                "write <namespace>/<name> or <namespace>/<name>/<listener>, in lower-case letters, digits and '-', "
                "such as gateways/public"
            )
        return value

    def cluster(self) -> Cluster:
        """The administrator's part of what a decision may know."""
        return Cluster(
            default_gateway=_gateway(self.default_gateway),
            ingress_namespaces=tuple(self.ingress_namespaces),
            metrics_namespaces=tuple(self.metrics_namespaces),
            operator_namespace=self.namespace,
            metrics_window_seconds=self.metrics_window_seconds,
        )


def _gateway(text: str) -> GatewayRef | None:
    if not text:
        return None
    namespace, name, *section = text.split("/")
    return GatewayRef(namespace=namespace, name=name, section_name=section[0] if section else None)

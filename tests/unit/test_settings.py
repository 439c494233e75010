from typing import Any

import pydantic
import pytest

from heteroserve.model.deployment import GatewayRef
from heteroserve.model.snapshot import Cluster
from heteroserve.settings import Settings


def test_what_holds_when_nothing_is_set() -> None:
    assert Settings() == Settings(
        prometheus_url="http://prometheus.monitoring.svc:9090",
        default_gateway="",
        namespace="heteroserve-system",
        ingress_namespaces=("envoy-gateway-system",),
        metrics_namespaces=("monitoring",),
        tick_seconds=5,
        metrics_window_seconds=30,
        resync_seconds=30,
        metrics_port=9095,
        health_port=8080,
        log_level="INFO",
    )


def test_texts_of_flags_and_environment_are_read_as_what_they_mean() -> None:
    given: dict[str, Any] = {"tick_seconds": "2.5", "metrics_port": "1", "ingress_namespaces": ["a", "b"]}
    found = Settings.model_validate(given)
    assert (found.tick_seconds, found.metrics_port, found.ingress_namespaces) == (2.5, 1, ("a", "b"))


@pytest.mark.parametrize(
    "given",
    [
        {"prometheus_url": "prometheus:9090"},
        {"prometheus_url": "ftp://prometheus"},
        {"prometheus_url": ""},
        {"default_gateway": "public"},
        {"default_gateway": "gateways/public/https/more"},
        {"default_gateway": "gateways/"},
        {"default_gateway": "/public"},
        {"default_gateway": "/"},
        {"default_gateway": "A B/c"},
        {"default_gateway": "gateways/Public"},
        {"default_gateway": "gateways/public/"},
        {"default_gateway": "gateways/public/the listener"},
        {"default_gateway": "gate.ways/public"},
        {"default_gateway": "gateways/public\n"},
        {"default_gateway": f"{'g' * 64}/public"},
        {"default_gateway": f"gateways/{'p' * 254}"},
        {"namespace": ""},
        {"namespace": "a b"},
        {"namespace": "Heteroserve"},
        {"ingress_namespaces": [""]},
        {"ingress_namespaces": ["envoy", "Envoy"]},
        {"ingress_namespaces": ["envoy.gateway"]},
        {"metrics_namespaces": ["moni toring"]},
        {"metrics_namespaces": ["m" * 64]},
        {"tick_seconds": 0.5},
        {"tick_seconds": float("nan")},
        {"tick_seconds": 11},
        {"metrics_window_seconds": 5},
        {"resync_seconds": 31},
        {"metrics_port": 0},
        {"health_port": 65536},
        {"log_level": "info"},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Settings.model_validate(given)


def test_settings_do_not_change() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Settings().tick_seconds = 1  # type: ignore[misc]


def test_an_address_may_end_with_a_slash() -> None:
    assert (
        Settings(prometheus_url="https://prometheus.example/path/").prometheus_url == "https://prometheus.example/path"
    )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", None),
        ("gateways/public", GatewayRef(namespace="gateways", name="public")),
        ("gateways/public/https", GatewayRef(namespace="gateways", name="public", section_name="https")),
        ("1/pub.lic/https.2", GatewayRef(namespace="1", name="pub.lic", section_name="https.2")),
    ],
)
def test_the_default_gateway(text: str, want: GatewayRef | None) -> None:
    assert Settings(default_gateway=text).cluster() == Cluster(
        default_gateway=want, ingress_namespaces=("envoy-gateway-system",), metrics_namespaces=("monitoring",)
    )


def test_nobody_may_be_named() -> None:
    found = Settings.model_validate({"ingress_namespaces": [], "metrics_namespaces": []}).cluster()
    assert (found.ingress_namespaces, found.metrics_namespaces) == ((), ())


def test_the_operator_knows_where_it_runs() -> None:
    assert Settings(namespace="ops").cluster().operator_namespace == "ops"


def test_what_is_too_old_follows_the_window() -> None:
    assert Settings(metrics_window_seconds=120).cluster().metrics_window_seconds == 120


def test_every_setting_has_a_help() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")] == []

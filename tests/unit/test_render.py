import re
from dataclasses import replace
from typing import Any

import pytest

import builders
from heteroserve.decide import decide
from heteroserve.model.deployment import (
    ClaimSource,
    ClassTarget,
    ConfigMapSource,
    GatewayRef,
    ImageSource,
    InferenceDeployment,
    ModelSource,
    Objective,
    ObjectStoreSource,
)
from heteroserve.model.fleet import DeviceRequest, HardwareClass, Runtime, Taint, Toleration
from heteroserve.model.plan import Plan
from heteroserve.model.snapshot import Cluster
from heteroserve.render import render
from heteroserve.render.disruption import build_disruption_budget
from heteroserve.render.metadata import Manifest
from heteroserve.render.network import build_network_policy
from heteroserve.render.placeholder import build_placeholder
from heteroserve.render.route import build_grpc_route, build_http_route
from heteroserve.render.service import build_class_service, build_service
from heteroserve.render.traffic_policy import build_traffic_policy
from heteroserve.render.workload import build_workload

OURS = {"heteroserve.dev/deployment": "digits"}
CPU = {**OURS, "heteroserve.dev/class": "cpu"}
SERVING = {"heteroserve.dev/serving": "true"}
DURATION = re.compile("([0-9]{1,5}(h|m|s|ms)){1,4}")
"""What the Gateway API takes for a duration (GEP-2257)."""
GATEWAY = (GatewayRef(name="public"),)
NAMES = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/instance": "digits"}
MANAGED = {"app.kubernetes.io/managed-by": "heteroserve"}


def head(api_version: str, kind: str, name: str, labels: dict[str, str]) -> Manifest:
    """Kind, name, labels and owner, written out."""
    owner = {
        "apiVersion": "heteroserve.dev/v1alpha1",
        "kind": "InferenceDeployment",
        "name": "digits",
        "uid": "uid-digits",
        "controller": True,
        "blockOwnerDeletion": False,
    }
    metadata = {"name": name, "namespace": "demo", "labels": {**NAMES, **MANAGED, **labels}, "ownerReferences": [owner]}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


# --- The Deployment of a class ---------------------------------------------------------------------------------------


def workload(
    wish: InferenceDeployment | None = None,
    target: ClassTarget | None = None,
    hardware: HardwareClass | None = None,
    replicas: int = 2,
) -> Manifest:
    return build_workload(
        wish or builders.deployment(), target or builders.target("cpu"), hardware or builders.hardware("cpu"), replicas
    )


def pod_of(manifest: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def container_of(manifest: Manifest) -> dict[str, Any]:
    (container,) = pod_of(manifest)["containers"]
    found: dict[str, Any] = container
    return found


def test_a_deployment_in_full() -> None:
    metadata = head("apps/v1", "Deployment", "digits-cpu", CPU)
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": "8002", "prometheus.io/path": "/metrics"}
    built = workload()
    assert built == {
        **metadata,
        "spec": {
            "replicas": 2,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": CPU},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {**metadata["metadata"]["labels"], **SERVING}, "annotations": scrape},
                "spec": pod_of(built),
            },
        },
    }


def test_the_pod_contract() -> None:
    gone = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}
    spread = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": CPU},
        "matchLabelKeys": ["pod-template-hash"],
        "nodeTaintsPolicy": "Honor",
    }
    built = workload()
    assert pod_of(built) == {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 35,
        "nodeSelector": {"pool": "cpu"},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "heteroserve.dev/evacuate", "operator": "DoesNotExist"}]}
                    ]
                }
            }
        },
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **gone},
            {"key": "node.kubernetes.io/unreachable", **gone},
        ],
        "topologySpreadConstraints": [
            {**spread, "topologyKey": "kubernetes.io/hostname"},
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container_of(built)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
            {"name": "models", "image": {"reference": "registry.example/digits:1"}},
        ],
    }


def test_the_container_contract() -> None:
    ready = {"httpGet": {"path": "/v2/models/digits/ready", "port": "http"}}
    asks = {"cpu": "1", "memory": "1Gi"}
    assert container_of(workload()) == {
        "name": "triton",
        "image": "registry.example/triton:2.51.0",
        "args": [
            "tritonserver",
            "--model-repository=/models",
            "--model-control-mode=none",
            "--disable-auto-complete-config",
            "--exit-timeout-secs=15",
            "--http-port=8000",
            "--grpc-port=8001",
            "--metrics-port=8002",
        ],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "ports": [
            {"name": "http", "containerPort": 8000, "protocol": "TCP"},
            {"name": "grpc", "containerPort": 8001, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 8002, "protocol": "TCP"},
        ],
        "resources": {"requests": asks, "limits": {}},
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 600, "timeoutSeconds": 1},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 2},
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "http"},
            "periodSeconds": 10,
            "failureThreshold": 6,
            "timeoutSeconds": 5,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": 10}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "models", "mountPath": "/models", "readOnly": True},
        ],
    }


def test_a_pod_has_time_to_leave_the_gateway_and_to_finish_what_it_has() -> None:
    pod = pod_of(workload())
    container = container_of(workload())
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    (exit_timeout,) = [int(a.rpartition("=")[2]) for a in container["args"] if a.startswith("--exit-timeout-secs=")]
    assert pod["terminationGracePeriodSeconds"] > sleep + exit_timeout


def test_ready_means_the_version_that_was_asked_for() -> None:
    built = workload(builders.deployment(model=builders.model(version="7")))
    assert container_of(built)["readinessProbe"]["httpGet"]["path"] == "/v2/models/digits/versions/7/ready"


def test_a_variant_is_an_argument() -> None:
    built = workload(target=builders.target("cpu", variant="int8"))
    assert "--model-config-name=int8" in container_of(built)["args"]


def test_the_runtime_of_the_class_is_kept_as_it_was_written() -> None:
    runtime = Runtime(
        image="registry.example/other:1",
        args=("--log-verbose=1",),
        env=(("OMP_NUM_THREADS", "4"),),
        requests={"cpu": "0.5", "memory": "1G"},
        limits={"memory": "2G"},
        runtime_class_name="nvidia",
        priority_class_name="high",
    )
    devices = (DeviceRequest(resource="nvidia.com/gpu", quantity=2),)
    built = workload(hardware=builders.hardware("cpu", runtime=runtime, devices=devices))
    container = container_of(built)
    assert (container["image"], container["args"][-1]) == ("registry.example/other:1", "--log-verbose=1")
    assert container["env"][1:] == [{"name": "OMP_NUM_THREADS", "value": "4"}]
    assert container["resources"] == {
        "requests": {"cpu": "0.5", "memory": "1G", "nvidia.com/gpu": "2"},
        "limits": {"memory": "2G", "nvidia.com/gpu": "2"},
    }
    assert (pod_of(built)["runtimeClassName"], pod_of(built)["priorityClassName"]) == ("nvidia", "high")


ANY_GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists"}
TOLERATIONS: dict[str, tuple[tuple[Toleration, ...], list[Manifest]]] = {
    "a taint named after the device": ((), [ANY_GPU_TAINT]),
    "the same, said by the user as well": ((Toleration(key="nvidia.com/gpu", operator="Exists"),), [ANY_GPU_TAINT]),
    "one effect and one value are less than the convention promises": (
        (Toleration(key="nvidia.com/gpu", value="present", effect="NoSchedule"),),
        [
            {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"},
            ANY_GPU_TAINT,
        ],
    ),
    "others": (
        (Toleration(key="team", value="a"), Toleration(key="spot", operator="Exists", effect="NoSchedule")),
        [
            {"key": "team", "operator": "Equal", "value": "a"},
            {"key": "spot", "operator": "Exists", "effect": "NoSchedule"},
            ANY_GPU_TAINT,
        ],
    ),
}


@builders.table(TOLERATIONS)
def test_tolerations(case: tuple[tuple[Toleration, ...], list[Manifest]]) -> None:
    given, want = case
    built = workload(hardware=builders.hardware("gpu", tolerations=given))
    assert pod_of(built)["tolerations"][:-2] == want


@builders.table(TOLERATIONS)
def test_pods_tolerate_what_the_planner_takes_for_tolerated(
    case: tuple[tuple[Toleration, ...], list[Manifest]],
) -> None:
    hardware = builders.hardware("gpu", tolerations=case[0])
    written = [
        Toleration(**{k: v for k, v in t.items() if k != "tolerationSeconds"})
        for t in pod_of(workload(hardware=hardware))["tolerations"]
    ]
    for key in ("nvidia.com/gpu", "team", "spot", "foreign"):
        for value in ("", "a", "present"):
            for effect in ("NoSchedule", "NoExecute"):
                taint = Taint(key=key, value=value, effect=effect)
                assert hardware.tolerates(taint) == any(t.covers(taint) for t in written), taint


SOURCES: dict[str, tuple[ModelSource, str, list[Manifest], dict[str, Any]]] = {
    "an image": (
        ImageSource(reference="registry.example/m:1", pull_policy="Always"),
        "/models",
        [{"name": "models", "image": {"reference": "registry.example/m:1", "pullPolicy": "Always"}}],
        {},
    ),
    "a volume": (
        ClaimSource(claim_name="models"),
        "/models",
        [{"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}],
        {},
    ),
    "a folder of a volume": (
        ClaimSource(claim_name="models", path="teams/a"),
        "/models/teams/a",
        [{"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}],
        {},
    ),
    "a ConfigMap": (
        ConfigMapSource(name="tiny", items=(("config", "digits/config.pbtxt"), ("model", "digits/1/model.onnx"))),
        "/models/repository",
        [
            {
                "name": "models",
                "configMap": {
                    "name": "tiny",
                    "items": [
                        {"key": "config", "path": "repository/digits/config.pbtxt"},
                        {"key": "model", "path": "repository/digits/1/model.onnx"},
                    ],
                },
            }
        ],
        {},
    ),
    "an object store": (ObjectStoreSource(uri="s3://bucket/models"), "s3://bucket/models", [], {}),
    "an object store with credentials": (
        ObjectStoreSource(uri="gs://bucket/models", credentials_secret="store"),
        "gs://bucket/models",
        [],
        {"envFrom": [{"secretRef": {"name": "store"}}]},
    ),
}


@builders.table(SOURCES)
def test_where_the_pods_find_the_model(case: tuple[ModelSource, str, list[Manifest], dict[str, Any]]) -> None:
    source, want_uri, want_volumes, want_env = case
    built = workload(builders.deployment(model=builders.model(source=source)))
    container = container_of(built)
    assert f"--model-repository={want_uri}" in container["args"]
    assert [v for v in pod_of(built)["volumes"] if v["name"] == "models"] == want_volumes
    mounts = [{"name": "models", "mountPath": "/models", "readOnly": True}] if want_volumes else []
    assert [m for m in container["volumeMounts"] if m["name"] == "models"] == mounts
    assert {key: value for key, value in container.items() if key == "envFrom"} == want_env


# --- Services, disruption budget and network policy ------------------------------------------------------------------

PORTS = [
    {"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
    {"name": "grpc", "port": 8001, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
]


def test_the_service_of_a_class() -> None:
    assert build_class_service(builders.deployment(), "cpu") == {
        **head("v1", "Service", "digits-cpu", CPU),
        "spec": {"type": "ClusterIP", "selector": {**CPU, **SERVING}, "ports": PORTS},
    }


@pytest.mark.parametrize(
    ("ipv6", "want"), [(False, ("IPv4", "255.255.255.255")), (True, ("IPv6", "ff0e::1"))], ids=["IPv4", "IPv6"]
)
def test_the_placeholder_of_a_class(*, ipv6: bool, want: tuple[str, str]) -> None:
    family, address = want
    labels = {
        **CPU,
        "kubernetes.io/service-name": "digits-cpu",
        "endpointslice.kubernetes.io/managed-by": "heteroserve.dev",
    }
    assert build_placeholder(builders.deployment(), "cpu", ipv6=ipv6) == {
        **head("discovery.k8s.io/v1", "EndpointSlice", "digits-cpu-placeholder", labels),
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": False, "serving": False, "terminating": False}}],
        "ports": [
            {"name": p["name"], "port": p["port"], "protocol": "TCP", "appProtocol": p["appProtocol"]} for p in PORTS
        ],
    }


def test_the_service_of_all_classes() -> None:
    assert build_service(builders.deployment()) == {
        **head("v1", "Service", "digits", OURS),
        "spec": {"type": "ClusterIP", "selector": {**OURS, **SERVING}, "ports": PORTS},
    }


def test_the_disruption_budget() -> None:
    assert build_disruption_budget(builders.deployment(), "cpu") == {
        **head("policy/v1", "PodDisruptionBudget", "digits-cpu", CPU),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": CPU},
        },
    }


def allowed(namespaces: list[str], *ports: int) -> Manifest:
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}
    return {
        "from": [{"namespaceSelector": {"matchExpressions": [names]}}],
        "ports": [{"protocol": "TCP", "port": port} for port in ports],
    }


def test_the_network_policy() -> None:
    cluster = Cluster(
        ingress_namespaces=("envoy", "demo"), metrics_namespaces=("monitoring",), operator_namespace="ops"
    )
    assert build_network_policy(builders.deployment(), cluster) == {
        **head("networking.k8s.io/v1", "NetworkPolicy", "digits", OURS),
        "spec": {
            "podSelector": {"matchLabels": OURS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                allowed(["demo", "envoy"], 8000, 8001),
                allowed(["ops"], 8000),
                allowed(["monitoring"], 8002),
            ],
            "egress": [],
        },
    }


def test_without_metrics_namespaces_nobody_scrapes() -> None:
    policy = build_network_policy(builders.deployment(), Cluster())
    assert policy["spec"]["ingress"] == [allowed(["demo"], 8000, 8001), allowed(["heteroserve-system"], 8000)]


@pytest.mark.parametrize("case", SOURCES)
def test_only_what_reads_an_object_store_may_call_out(case: str) -> None:
    wish = builders.deployment(model=builders.model(source=SOURCES[case][0]))
    egress = build_network_policy(wish, Cluster())["spec"]["egress"]
    assert egress == ([{}] if case.startswith("an object store") else [])


# --- Routes ----------------------------------------------------------------------------------------------------------

SPLIT = builders.plan(
    builders.class_plan("gpu", 1, weight=83),
    builders.class_plan("cpu", 2, weight=17),
    builders.class_plan("fpga", 0, weight=0, render=False),
    builders.class_plan("old", 1, weight=0, render=False, retired=True),
)


def backends(port: int) -> list[Manifest]:
    return [
        {"group": "", "kind": "Service", "name": f"digits-{name}", "port": port, "weight": weight}
        for name, weight in (("cpu", 17), ("gpu", 83), ("old", 0))
    ]


def paths_of(route: Manifest) -> list[str]:
    (rule,) = route["spec"]["rules"]
    assert {match["path"]["type"] for match in rule["matches"]} == {"Exact"}
    return [match["path"]["value"] for match in rule["matches"]]


def test_the_http_route() -> None:
    route = build_http_route(builders.deployment(), SPLIT, GATEWAY)
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public"}
    assert route == {
        **head("gateway.networking.k8s.io/v1", "HTTPRoute", "digits", OURS),
        "spec": {
            "parentRefs": [parent],
            "rules": [{"matches": route["spec"]["rules"][0]["matches"], "backendRefs": backends(8000)}],
        },
    }


def test_over_http_a_client_may_infer_and_ask_about_the_model_and_nothing_else() -> None:
    parts = ("", "/infer", "/generate", "/ready", "/config", "/stats")
    assert paths_of(build_http_route(builders.deployment(), SPLIT, GATEWAY)) == [f"/v2/models/digits{p}" for p in parts]


def test_a_version_that_the_spec_names_can_be_asked_for() -> None:
    wish = builders.deployment(model=builders.model(version="7"))
    paths = paths_of(build_http_route(wish, SPLIT, GATEWAY))
    assert "/v2/models/digits/versions/7/infer" in paths
    assert [path for path in paths if "trace" in path or path.endswith("/versions")] == []


def test_over_grpc_a_client_may_infer_and_ask_about_the_model_and_nothing_else() -> None:
    route = build_grpc_route(builders.deployment(), SPLIT, GATEWAY)
    (rule,) = route["spec"]["rules"]
    assert {m["method"]["type"] for m in rule["matches"]} == {"Exact"}
    assert {m["method"]["service"] for m in rule["matches"]} == {"inference.GRPCInferenceService"}
    assert sorted(m["method"]["method"] for m in rule["matches"]) == [
        "ModelConfig",
        "ModelInfer",
        "ModelMetadata",
        "ModelReady",
        "ModelStatistics",
        "ServerLive",
        "ServerMetadata",
        "ServerReady",
    ]
    assert rule["backendRefs"] == backends(8001)
    assert {k: route[k] for k in ("apiVersion", "kind", "metadata")} == head(
        "gateway.networking.k8s.io/v1", "GRPCRoute", "digits", OURS
    )


def test_hostnames_and_everything_that_names_a_gateway() -> None:
    gateways = (GatewayRef(name="a", section_name="https", port=443), GatewayRef(name="b", namespace="gateways"))
    wish = builders.deployment(hostnames=("digits.example.com", "*.example.org"))
    kind = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    spec = build_http_route(wish, SPLIT, gateways)["spec"]
    assert spec["hostnames"] == ["digits.example.com", "*.example.org"]
    assert spec["parentRefs"] == [
        {**kind, "name": "a", "sectionName": "https", "port": 443},
        {**kind, "name": "b", "namespace": "gateways"},
    ]


def test_the_traffic_policy() -> None:
    target = {"group": "gateway.networking.k8s.io", "name": "digits"}
    assert build_traffic_policy(builders.deployment()) == {
        **head("gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", "digits", OURS),
        "spec": {
            "targetRefs": [{**target, "kind": "HTTPRoute"}, {**target, "kind": "GRPCRoute"}],
            "healthCheck": {
                "active": {
                    "type": "HTTP",
                    "http": {"path": "/v2/models/digits/ready", "method": "GET", "expectedStatuses": [200]},
                    "interval": "250ms",
                    "timeout": "250ms",
                    "unhealthyThreshold": 2,
                    "healthyThreshold": 1,
                    "overrides": {"port": 8000},
                },
                "passive": {
                    "consecutive5XxErrors": 5,
                    "consecutiveLocalOriginFailures": 3,
                    "splitExternalLocalOriginErrors": True,
                    "interval": "1s",
                    "baseEjectionTime": "5s",
                    "maxEjectionPercent": 50,
                },
                "panicThreshold": 0,
            },
            "retry": {
                "numRetries": 3,
                "retryOn": {
                    "triggers": [
                        "connect-failure",
                        "refused-stream",
                        "reset",
                        "cancelled",
                        "unavailable",
                        "retriable-status-codes",
                    ],
                    "httpStatusCodes": [503],
                },
                "perRetry": {"timeout": "1s", "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"}},
            },
            "circuitBreaker": {"retryBudget": {"percent": {"numerator": 50}, "minRetryConcurrency": 100}},
            "requestBuffer": {"limit": "64Mi"},
            "timeout": {"tcp": {"connectTimeout": "250ms"}, "http": {"requestTimeout": "5s"}},
        },
    }


@pytest.mark.parametrize(
    ("objective", "want_try", "want_request"),
    [
        (1.0, "1s", "5s"),
        (200.0, "1s", "5s"),
        (400.5, "2s2ms", "9s8ms"),
        (5_000.0, "25s", "101s"),
        (600_000.0, "3000s", "12001s"),
    ],
)
def test_a_try_is_given_up_when_it_hangs_and_a_request_when_all_tries_did(
    objective: float, want_try: str, want_request: str
) -> None:
    wish = builders.deployment(objective=Objective(percentile=99, latency_milliseconds=objective))
    spec = build_traffic_policy(wish)["spec"]
    found = (spec["retry"]["perRetry"]["timeout"], spec["timeout"]["http"]["requestTimeout"])
    assert found == (want_try, want_request)
    assert [text for text in found if not DURATION.fullmatch(text)] == []


def milliseconds(duration: str) -> int:
    """What a duration with one unit is."""
    return int(duration.removesuffix("ms")) if duration.endswith("ms") else 1000 * int(duration.removesuffix("s"))


def test_the_retries_of_one_request_outlast_what_notices_a_dead_replica() -> None:
    spec = build_traffic_policy(builders.deployment())["spec"]
    active, passive, retry = spec["healthCheck"]["active"], spec["healthCheck"]["passive"], spec["retry"]
    refused = passive["consecutiveLocalOriginFailures"]
    hung = active["unhealthyThreshold"] * (milliseconds(active["interval"]) + milliseconds(active["timeout"]))
    assert refused <= retry["numRetries"]
    assert hung < retry["numRetries"] * milliseconds(retry["perRetry"]["timeout"])


# --- Everything together ---------------------------------------------------------------------------------------------


def names_of(plan: Plan | None = None, **fields: Any) -> list[str]:
    snapshot = builders.snapshot(builders.target("cpu"), builders.target("gpu"), demand=None, **fields)
    return [f"{m['kind']}/{m['metadata']['name']}" for m in render(snapshot, plan or decide(snapshot))]


WHOLE = [
    "Service/digits",
    "Service/digits-cpu",
    "Service/digits-gpu",
    "EndpointSlice/digits-cpu-placeholder",
    "EndpointSlice/digits-gpu-placeholder",
    "HTTPRoute/digits",
    "GRPCRoute/digits",
    "BackendTrafficPolicy/digits",
    "NetworkPolicy/digits",
    "Deployment/digits-cpu",
    "Deployment/digits-gpu",
    "PodDisruptionBudget/digits-cpu",
    "PodDisruptionBudget/digits-gpu",
]
ROUTES = {"HTTPRoute/digits", "GRPCRoute/digits", "BackendTrafficPolicy/digits"}


def test_everything_in_writing_order() -> None:
    assert names_of() == WHOLE


def test_without_envoy_gateway_there_is_nothing_that_is_only_for_it() -> None:
    want = [name for name in WHOLE if not name.startswith(("BackendTrafficPolicy", "EndpointSlice"))]
    assert names_of(cluster=Cluster(envoy_gateway=False)) == want


# a moment, and the placeholders' family of addresses; none where there is no placeholder
PLACEHOLDERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "behind Envoy Gateway": ({}, "IPv4"),
    "where pods have addresses of the old kind": ({"pods": (builders.pod(address="10.0.0.7"),)}, "IPv4"),
    "where pods have addresses of the new kind": ({"pods": (builders.pod(address="fd00::7"),)}, "IPv6"),
    "behind another gateway": ({"cluster": Cluster(envoy_gateway=False)}, None),
    "Envoy Gateway is there, and no Gateway is named": (
        {"deployment": builders.deployment(builders.target("cpu"), gateways=())},
        None,
    ),
    "the Gateway API is missing": ({"cluster": Cluster(gateway_api=False)}, None),
}


@builders.table(PLACEHOLDERS)
def test_a_class_has_an_address_where_a_gateway_would_stumble_without(case: tuple[dict[str, Any], str | None]) -> None:
    given, want = case
    snapshot = builders.snapshot(builders.target("cpu"), **given)
    manifests = render(snapshot, decide(snapshot))
    found = [m["addressType"] for m in manifests if m["kind"] == "EndpointSlice"]
    assert found == ([want] if want else [])


def test_a_route_is_told_what_makes_up_for_what_the_gateway_takes_away() -> None:
    plan = builders.plan(
        builders.class_plan("gpu", 1, weight=50),
        builders.class_plan("cpu", 2, weight=50),
        route_weights={"gpu": 59, "cpu": 41},
    )
    (rule,) = build_http_route(builders.deployment(), plan, GATEWAY)["spec"]["rules"]
    assert {b["name"]: b["weight"] for b in rule["backendRefs"]} == {"digits-gpu": 59, "digits-cpu": 41}


@pytest.mark.parametrize("gateways", [(), GATEWAY])
def test_without_a_gateway_or_its_api_there_are_no_routes(gateways: tuple[GatewayRef, ...]) -> None:
    wish = builders.deployment(builders.target("cpu"), builders.target("gpu"), gateways=gateways)
    want = [name for name in WHOLE if name not in ROUTES and not name.startswith("EndpointSlice")]
    assert names_of(deployment=wish, cluster=Cluster(gateway_api=not gateways)) == want


def test_the_default_gateway_takes_the_routes_of_whoever_names_none() -> None:
    wish = builders.deployment(builders.target("cpu"), gateways=())
    cluster = Cluster(default_gateway=GatewayRef(name="public", namespace="gateways"))
    snapshot = builders.snapshot(deployment=wish, cluster=cluster)
    (route,) = [m for m in render(snapshot, decide(snapshot)) if m["kind"] == "HTTPRoute"]
    assert [p["namespace"] for p in route["spec"]["parentRefs"]] == ["gateways"]


def test_of_a_class_that_is_not_known_nothing_is_written_but_its_share_of_the_traffic() -> None:
    known = {"cpu": builders.hardware("cpu")}
    snapshot = builders.snapshot(
        builders.target("cpu"), builders.target("gpu"), hardware=known, ready={"cpu": 1, "gpu": 1}
    )
    manifests = render(snapshot, decide(snapshot))
    assert [m["metadata"]["name"] for m in manifests if m["kind"] == "Deployment"] == ["digits-cpu"]
    (route,) = [m for m in manifests if m["kind"] == "HTTPRoute"]
    assert {b["name"]: b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]} == {
        "digits-cpu": 10,
        "digits-gpu": 90,
    }


def test_rendering_changes_nothing_of_what_it_is_given() -> None:
    snapshot = builders.snapshot(ready={"cpu": 1})
    plan = decide(snapshot)
    first = render(snapshot, plan)
    first[0]["metadata"]["labels"]["changed"] = "yes"
    assert "changed" not in render(replace(snapshot), plan)[0]["metadata"]["labels"]

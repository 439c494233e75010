"""The Deployment of one class: Triton pods on that class's nodes.

The pod contract, in the order in which it matters to a request:
- ready means that the model itself is loaded and warm (`/v2/models/<m>/ready`), never only that the server is up;
- a pod that leaves is out of the gateway before Triton hears of it (preStop sleep), then finishes what it has
  (`--exit-timeout-secs`), and the grace period covers both;
- a pod on a node that went away is replaced after half a minute and not after Kubernetes' five.
"""

from heteroserve.model.deployment import ClassTarget, InferenceDeployment, Model
from heteroserve.model.fleet import HardwareClass
from heteroserve.render.metadata import (
    EVACUATE_LABEL,
    GRPC_PORT,
    HTTP_PORT,
    METRICS_PORT,
    SERVING_LABEL,
    VERSION_ANNOTATION,
    Manifest,
    class_object_name,
    manifest,
    selector,
)
from heteroserve.render.source import repository_uri, source_env, source_mounts, source_volumes

PRE_STOP_SECONDS = 10
"""Longer than any gateway takes to learn that an endpoint leaves (0.4 s measured), with room for slow ones."""
EXIT_TIMEOUT_SECONDS = 15
GRACE_SECONDS = PRE_STOP_SECONDS + EXIT_TIMEOUT_SECONDS + 10
NODE_GONE_SECONDS = 20
STARTUP_SECONDS = 600
SHARED_MEMORY = "256Mi"
DEFAULT_ENV = {"HOME": "/tmp"}  # noqa: S108 -- the pod's own emptyDir
NOT_EVACUATED = {"nodeSelectorTerms": [{"matchExpressions": [{"key": EVACUATE_LABEL, "operator": "DoesNotExist"}]}]}
USER_ID = 1000
"""`triton-server` in NVIDIA's image."""


def build_workload(
    deployment: InferenceDeployment, target: ClassTarget, hardware: HardwareClass, replicas: int
) -> Manifest:
    """The apps/v1 Deployment of one class."""
    labels = selector(deployment, target.name)
    head = manifest(deployment, "apps/v1", "Deployment", class_object_name(deployment, target.name), target.name)
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/path": "/metrics",
        **({VERSION_ANNOTATION: deployment.model.version} if deployment.model.version else {}),
    }
    return {
        **head,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            # a new template shows first that it works: a last good pod goes when its successor is ready
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": {**head["metadata"]["labels"], SERVING_LABEL: "true"},
                    "annotations": annotations,
                },
                "spec": _pod(deployment, target, hardware),
            },
        },
    }


def _pod(deployment: InferenceDeployment, target: ClassTarget, hardware: HardwareClass) -> Manifest:
    optional = {
        "runtimeClassName": hardware.runtime.runtime_class_name,
        "priorityClassName": hardware.runtime.priority_class_name,
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "nodeSelector": dict(hardware.node_selector),
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": NOT_EVACUATED}},
        "tolerations": _tolerations(hardware),
        # over nodes alone: the scheduler ignores soft constraints on nodes that lack one of their labels (a zone)
        "topologySpreadConstraints": [_spread(deployment, target, "kubernetes.io/hostname")],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(deployment.model, target, hardware)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
            *source_volumes(deployment.model.source),
        ],
        **{key: value for key, value in optional.items() if value is not None},
    }


def _container(model: Model, target: ClassTarget, hardware: HardwareClass) -> Manifest:
    devices = {d.resource: str(d.quantity) for d in hardware.devices}
    given = {name for name, _ in hardware.runtime.env}
    return {
        "name": "triton",
        "image": hardware.runtime.image,
        "args": _args(model, target, hardware),
        "env": [
            *({"name": name, "value": value} for name, value in DEFAULT_ENV.items() if name not in given),
            *({"name": name, "value": value} for name, value in hardware.runtime.env),
        ],
        **source_env(model.source),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {**hardware.runtime.requests, **devices},
            "limits": {**hardware.runtime.limits, **devices},
        },
        "startupProbe": _probe(model.ready_path, period=1, failures=STARTUP_SECONDS, timeout=1),
        "readinessProbe": _probe(model.ready_path, period=2, failures=3, timeout=2),
        "livenessProbe": _probe("/v2/health/live", period=10, failures=6, timeout=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        # the last lines of a server that could not load its model become the reason in our status
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own emptyDir
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 -- likewise, in memory
            *source_mounts(model.source),
        ],
    }


def _probe(path: str, *, period: int, failures: int, timeout: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def _args(model: Model, target: ClassTarget, hardware: HardwareClass) -> list[str]:
    return [
        "tritonserver",  # an argument and no command: NVIDIA's image has an entrypoint that prepares the GPU
        f"--model-repository={repository_uri(model.source)}",
        *([f"--model-config-name={target.variant}"] if target.variant else []),
        "--model-control-mode=none",  # loading at run time is running code: a new model is a new pod
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
        f"--http-port={HTTP_PORT}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-port={METRICS_PORT}",
        *hardware.runtime.args,
    ]


def _tolerations(hardware: HardwareClass) -> list[Manifest]:
    given = [
        {key: value for key, value in fields.items() if value}
        for fields in (
            {"key": t.key, "operator": t.operator, "value": t.value, "effect": t.effect} for t in hardware.tolerations
        )
    ]
    # taints named after a device are tolerated by convention, whatever their value and effect: `decide` counts on it
    devices = [t for d in hardware.devices if (t := {"key": d.resource, "operator": "Exists"}) not in given]
    gone = [
        {
            "key": f"node.kubernetes.io/{state}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": NODE_GONE_SECONDS,
        }
        for state in ("not-ready", "unreachable")
    ]
    return [*given, *devices, *gone]


def _spread(deployment: InferenceDeployment, target: ClassTarget, key: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(deployment, target.name)},
        "matchLabelKeys": ["pod-template-hash"],
        "nodeTaintsPolicy": "Honor",
    }

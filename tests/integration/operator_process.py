"""The operator as a process of its own against the control plane, with the rights that its manifests grant."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from integration.control_plane import JSON, Api, ControlPlane, _free_port, wait_for
from kit import triton

ROOT = Path(__file__).parents[2]
GATEWAY_CRDS = ("gatewayapi-crds.yaml", "generated/gateway.envoyproxy.io_backendtrafficpolicies.yaml")
OPERATOR_NAMESPACE = "heteroserve-system"


@dataclass
class Operator:
    """A running operator; `kill` is SIGKILL, as a node that loses power would do it."""

    process: subprocess.Popen[bytes]
    metrics_port: int
    log: Path

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def tracebacks(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "Traceback" in line or "exc_info" in line]


def install(api: Api, plane: ControlPlane) -> Path:
    """Gateway CRDs, the operator's account with its real rights, and a kubeconfig with that account's token."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}})
    for manifest in yaml.safe_load_all((ROOT / "manifests/operator/rbac.yaml").read_text()):
        answer = api.ask("PATCH", _path(manifest), manifest, "application/apply-patch+yaml", fieldManager="tests")
        assert answer.accepted, answer.body
    account = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/heteroserve/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = api.ask("POST", account, body).body["status"]["token"]
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = plane.folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def install_gateway_crds(api: Api) -> None:
    """The Gateway API's and Envoy Gateway's kinds, without their controllers."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heteroserve/programs"
    folder = cache / f"gateway-{triton.versions()['ENVOY_GATEWAY']}/charts/gateway-helm/charts/crds/crds"
    for name in GATEWAY_CRDS:
        for crd in yaml.safe_load_all((folder / name).read_text()):
            if crd and crd["kind"] == "CustomResourceDefinition":
                api.apply(crd)
    groups = ("gateway.networking.k8s.io/v1/httproutes", "gateway.envoyproxy.io/v1alpha1/backendtrafficpolicies")
    served = [f"/apis/{group}" for group in groups]
    wait_for(lambda: all(api.ask("GET", path).accepted for path in served), "the Gateway CRDs")


@contextlib.contextmanager
def running_operator(kubeconfig: Path, folder: Path) -> Iterator[Operator]:
    """The operator, from start until the end of the block."""
    metrics_port, health_port = _free_port(), _free_port()
    log = folder / f"operator-{metrics_port}.log"
    flags = {
        "prometheus-url": f"http://127.0.0.1:{_free_port()}",  # nobody listens: the operator must live without
        "default-gateway": "gateways/public",
        "namespace": OPERATOR_NAMESPACE,
        "metrics-port": metrics_port,
        "health-port": health_port,
        "tick-seconds": 1,
        "resync-seconds": 5,
    }
    command = [sys.executable, "-m", "heteroserve", "run", *(f"--{name}={value}" for name, value in flags.items())]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT / "operator")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            yield Operator(process, metrics_port, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def eventually(check: Callable[[], object], *, within: float = 20.0) -> None:
    """Waits until `check()` raises nothing; its last AssertionError is the test's."""
    deadline = time.monotonic() + within
    while True:
        try:
            check()
        except (AssertionError, KeyError, StopIteration):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def objects(api: Api, namespace: str) -> dict[str, JSON]:
    """Everything of the operator's in a namespace, as Kind/name."""
    paths = (
        ("apis/apps/v1", "deployments"),
        ("api/v1", "services"),
        ("apis/policy/v1", "poddisruptionbudgets"),
        ("apis/networking.k8s.io/v1", "networkpolicies"),
        ("apis/gateway.networking.k8s.io/v1", "httproutes"),
        ("apis/gateway.networking.k8s.io/v1", "grpcroutes"),
        ("apis/gateway.envoyproxy.io/v1alpha1", "backendtrafficpolicies"),
    )
    found: dict[str, JSON] = {}
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    placeholders = "endpointslice.kubernetes.io/managed-by=heteroserve.dev"  # the others are Kubernetes' own
    found |= {
        f"EndpointSlice/{item['metadata']['name']}": item
        for item in api.ask("GET", slices, labelSelector=placeholders).body["items"]
    }
    for prefix, plural in paths:
        body = api.ask("GET", f"/{prefix}/namespaces/{namespace}/{plural}").body
        kind = body["kind"].removesuffix("List")
        found |= {f"{kind}/{item['metadata']['name']}": item for item in body["items"]}
    return found


def conditions(api: Api, deployment: JSON) -> dict[str, tuple[str, str, str]]:
    """Conditions as type → (status, reason, message)."""
    status = api.get(deployment).get("status", {})
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status.get("conditions", ())}


def _path(manifest: JSON) -> str:
    kind, name, namespace = manifest["kind"], manifest["metadata"]["name"], manifest["metadata"].get("namespace")
    prefix = "/api/v1" if kind == "ServiceAccount" else "/apis/rbac.authorization.k8s.io/v1"
    return f"{prefix}/{f'namespaces/{namespace}/' if namespace else ''}{kind.lower()}s/{name}"


def can_i(
    api: Api, verb: str, group: str, resource: str, subresource: str = "", *, namespace: str = "", name: str = ""
) -> bool:
    """Whether the operator's account may do something (everywhere, there, or to that one), by the API server's word."""
    attributes = {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{OPERATOR_NAMESPACE}:heteroserve",
            "resourceAttributes": attributes,
        },
    }
    answer = api.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json.loads(json.dumps(body)))
    return bool(answer.body["status"]["allowed"])

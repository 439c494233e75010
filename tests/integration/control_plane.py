"""A real etcd, kube-apiserver and, on request, kube-controller-manager on loopback ports; no containers, no nodes.

Everything lies in one temporary folder and ends with the ``with`` block that started it. Up in some seconds:

    with start(folder) as plane, connect(plane) as api:
        api.apply({"kind": "HardwareClass", ...})

Two things differ from a cluster on purpose. There is no ServiceAccount admission, because without a controller manager
no namespace would have the account that each Pod asks for. And etcd does not wait for its disk.
"""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

JSON = dict[str, Any]
REMEDY = "build them with hack/cluster/build-programs.sh (once, some 20 minutes)"
PATIENCE = 45.0  # seconds; 4 are usual, but builds may hold every core


class ControlPlaneError(Exception):
    """The control plane did not come up; the message says what to do."""


@dataclass(frozen=True)
class ControlPlane:
    """How to reach a running API server, as a member of system:masters."""

    folder: Path
    port: int
    token: str

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificates/apiserver.crt"

    @property
    def key(self) -> Path:
        return self.folder / "service-accounts.key"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"


@dataclass(frozen=True)
class Answer:
    """What the API server said; ``problems`` has one line, "path: message", per thing that it refused."""

    status: int
    body: JSON

    @property
    def accepted(self) -> bool:
        return self.status < 300

    @property
    def problems(self) -> list[str]:
        causes = self.body.get("details", {}).get("causes") or [{"message": self.body.get("message", "")}]
        return [f"{cause.get('field', '')}: {cause.get('message', '')}" for cause in causes]


class RefusedError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.body.get('message')}")
        self.answer = answer


# --- Asking ----------------------------------------------------------------------------------------------------------

PATHS = {
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Namespace": "api/v1/namespaces",
    "Node": "api/v1/nodes",
    "HardwareClass": "apis/heteroserve.dev/v1alpha1/hardwareclasses",
    "InferenceDeployment": "apis/heteroserve.dev/v1alpha1/namespaces/{namespace}/inferencedeployments",
}


def path_of(target: JSON) -> str:
    metadata = target["metadata"]
    return f"/{PATHS[target['kind']]}/{metadata['name']}".format(namespace=metadata.get("namespace", "default"))


class Api:
    """The few calls that tests make, with the API server's answers as they are."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.certificate))
        self._connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=30)
        self._headers = {"Authorization": f"Bearer {plane.token}"}

    def ask(
        self,
        method: str,
        path: str,
        body: JSON | None = None,
        content: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        headers = {**self._headers, "Content-Type": content, "Accept": accept}
        url = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        self._connection.request(method, url, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        text = response.read()
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(response.status, json.loads(text) if is_json else {"message": text.decode(errors="replace")})

    def try_apply(self, target: JSON, manager: str = "tests", subresource: str = "", **query: str) -> Answer:
        """Server-side apply, as `kubectl apply --server-side` does it: fields that do not exist are refused."""
        path = path_of(target) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": manager, "fieldValidation": "Strict", **query}
        return self.ask("PATCH", path, target, "application/apply-patch+yaml", **query)

    def try_create(self, target: JSON, **query: str) -> Answer:
        return self.ask("POST", path_of(target).rpartition("/")[0], target, fieldValidation="Strict", **query)

    def apply(self, target: JSON, manager: str = "tests", subresource: str = "", **query: str) -> JSON:
        return _accepted(self.try_apply(target, manager, subresource, **query))

    def get(self, target: JSON) -> JSON:
        return _accepted(self.ask("GET", path_of(target)))

    def delete(self, target: JSON) -> JSON:
        return _accepted(self.ask("DELETE", path_of(target)))

    def close(self) -> None:
        self._connection.close()


def _accepted(answer: Answer) -> JSON:
    if not answer.accepted:
        raise RefusedError(answer)
    return answer.body


@contextlib.contextmanager
def connect(plane: ControlPlane) -> Iterator[Api]:
    with contextlib.closing(Api(plane)) as api:
        yield api


# --- Starting --------------------------------------------------------------------------------------------------------


def program(name: str) -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(cache) / "heteroserve/programs/bin" / name
    if not path.exists():
        raise ControlPlaneError(f"{name} is missing at {path}: {REMEDY}")
    return str(path)


@contextlib.contextmanager
def start(folder: Path) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, ready to be asked. Raises ControlPlaneError."""
    plane = _prepare(folder)
    etcd = f"http://127.0.0.1:{_free_port()}"
    with (
        running(folder, "etcd", _etcd_flags(folder, etcd)),
        running(folder, "kube-apiserver", _flags(plane, etcd)) as child,
    ):
        child.wait_for(lambda: _ready(plane))
        yield plane


@contextlib.contextmanager
def controller_manager(plane: ControlPlane, controllers: Sequence[str] = ("*",)) -> Iterator[None]:
    """kube-controller-manager. Its garbage collector learns of new kinds twice a minute: put the CRDs in before."""
    flags = {
        "kubeconfig": plane.kubeconfig,
        "controllers": ",".join(controllers),
        "leader-elect": "false",
        "node-monitor-grace-period": "1h",  # no kubelet speaks for a test's nodes
        "secure-port": 0,
        "service-account-private-key-file": plane.key,
        "root-ca-file": plane.certificate,
        "concurrent-gc-syncs": 2,
    }
    with running(plane.folder, "kube-controller-manager", flags) as child, connect(plane) as api:
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        child.wait_for(lambda: api.ask("GET", account).accepted)
        yield


def _prepare(folder: Path) -> ControlPlane:
    plane = ControlPlane(folder, _free_port(), secrets.token_hex(16))
    (folder / "tokens.csv").write_text(f"{plane.token},tests,tests,system:masters\n")
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ControlPlaneError("openssl is missing, which makes the key of the service accounts: install it")
    key = [openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(plane.key)]
    subprocess.run(key, check=True, capture_output=True)
    plane.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(plane)))
    return plane


def _kubeconfig(plane: ControlPlane) -> JSON:
    cluster = {"server": plane.server, "certificate-authority": str(plane.certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": plane.token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }


def _etcd_flags(folder: Path, client: str) -> dict[str, object]:
    peer = f"http://127.0.0.1:{_free_port()}"
    return {
        "data-dir": folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def _flags(plane: ControlPlane, etcd: str) -> dict[str, object]:
    return {
        "etcd-servers": etcd,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",  # the Service kubernetes cannot lead to a loopback address
        "secure-port": plane.port,
        "cert-dir": plane.certificate.parent,  # kube-apiserver makes its own certificate there
        "token-auth-file": plane.folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": plane.key,
        "service-account-signing-key-file": plane.key,
        "service-cluster-ip-range": "10.96.0.0/16",
        "disable-admission-plugins": "ServiceAccount",
        "enable-priority-and-fairness": "false",
        "profiling": "false",
    }


@dataclass(frozen=True)
class Child:
    """A program that was started here."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, ready: Callable[[], bool]) -> None:
        try:
            wait_for(lambda: ready() or self.process.poll() is not None, self.name)
        except ControlPlaneError as error:
            raise ControlPlaneError(f"{error}. {self._end_of_log()}") from None
        if self.process.returncode is not None:
            raise ControlPlaneError(f"{self.name} ended at once. {self._end_of_log()}")

    def _end_of_log(self) -> str:
        end = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return f"The end of its log, {self.log}:\n{end}"


def wait_for(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"{what} was not ready within {PATIENCE:.0f} s")
        time.sleep(0.05)


@contextlib.contextmanager
def running(folder: Path, name: str, flags: dict[str, object]) -> Iterator[Child]:
    """A program as a child of this process, for as long as the block runs."""
    log = folder / f"{name}.log"
    command = [program(name), *(f"--{flag}={value}" for flag, value in flags.items())]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            yield Child(name, process, log)
        finally:
            process.kill()  # what it holds is thrown away; to end in good order would take seconds


def _ready(plane: ControlPlane) -> bool:
    if not plane.certificate.exists():
        return False
    try:
        with connect(plane) as api:
            return all(api.ask("GET", path).accepted for path in ("/livez", "/api/v1/namespaces/default"))
    except (OSError, http.client.HTTPException):
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

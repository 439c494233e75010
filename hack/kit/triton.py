"""A real Triton on this machine, without a container and without a GPU.

NVIDIA's pytriton wheel carries the genuine ``tritonserver`` with the Python backend. It is fetched once through pip
into the project's cache, ONNX Runtime is put beside its Python backend, and every server started here has the project's
``onnxruntime`` backend as it stands in the checkout. Ports are free ones of the loopback address.
"""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.errors import UsageError

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "triton_models" / "backends" / "onnxruntime"
VERSIONS = ROOT / "hack" / "cluster" / "versions.env"
LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running Triton: where it listens (host:port) and where it writes."""

    process: subprocess.Popen[bytes]
    http: str
    grpc: str
    metrics: str
    log: Path

    def get(self, address: str, path: str) -> tuple[int, str]:
        """Status and body of a GET, for the calls that need no client library."""
        connection = http.client.HTTPConnection(address, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ready(self, model: str) -> bool:
        """Whether the model's ready path answers 200."""
        try:
            return self.get(self.http, f"/v2/models/{model}/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False


@contextlib.contextmanager
def serving(
    repository: Path, *, variant: str | None = None, wait_for: str | None = "digits", arguments: Sequence[str] = ()
) -> Iterator[Server]:
    """A Triton that serves ``repository`` until the block ends, ready for ``wait_for`` (None: do not wait)."""
    home = installed()
    with tempfile.TemporaryDirectory(prefix="triton-") as folder:
        server = start(home, Path(folder), repository, variant, arguments)
        try:
            if wait_for:
                wait_until_ready(server, wait_for)
            yield server
        finally:
            stop(server.process)


def start(home: Path, folder: Path, repository: Path, variant: str | None, arguments: Sequence[str]) -> Server:
    """Start the server and return at once; its backends and its log lie in ``folder``."""
    backends = folder / "backends"
    backends.mkdir()
    (backends / "python").symlink_to(home / "pytriton/tritonserver/backends/python")
    (backends / "onnxruntime").symlink_to(BACKEND)
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3), strict=True))
    command = [
        str(home / "pytriton/tritonserver/bin/tritonserver"),
        f"--backend-directory={backends}",
        f"--model-repository={repository}",
        f"--exit-timeout-secs={STOP_SECONDS / 2:.0f}",
        *(f"--{name}-{key}={value}" for name, port in ports.items() for key, value in listen(port)),
        *([f"--model-config-name={variant}"] if variant else []),
        *arguments,
    ]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment(home))
    addresses = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    return Server(process=process, log=log, **addresses)


def listen(port: int) -> tuple[tuple[str, str], ...]:
    """The two options of one endpoint."""
    return ("address", LOOPBACK), ("port", str(port))


def wait_until_ready(server: Server, model: str) -> None:
    """Return when the model is ready; fail with the log's last lines when the server ends or takes too long."""
    end = time.monotonic() + START_SECONDS
    while not server.ready(model):
        status = server.process.poll()
        if status is not None or time.monotonic() > end:
            what = f"ended with status {status}" if status is not None else f"is not ready after {START_SECONDS:.0f} s"
            lines = server.log.read_text(errors="replace").splitlines()[-15:]
            raise UsageError("\n  ".join([f"Triton {what}; the end of its log:", *lines]))
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server as a kubelet does: ask first, then kill."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now; all are held until the last is found, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def environment(home: Path) -> dict[str, str]:
    """The environment in which the server finds the interpreter's library (a distribution's own needs no help)."""
    libraries = [str(home / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}


def versions() -> dict[str, str]:
    """The versions that the cluster's images are made of: the same server is tested and deployed."""
    lines = [line for line in VERSIONS.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def installed() -> Path:
    """The unpacked server, fetched through pip on first use."""
    pinned = versions()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"triton-{pinned['TRITON']}-onnxruntime-{pinned['ONNXRUNTIME']}-python-{python}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heteroserve"
    home = cache / name
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        print(f"fetching Triton {pinned['TRITON']} into {home} (once, 55 MB)", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            unpack(Path(folder), pinned, python)
            try:
                Path(folder, "home").rename(home)
            except OSError:
                if not home.exists():  # else another process was faster, and its result is as good
                    raise
    return home


def unpack(folder: Path, pinned: dict[str, str], python: str) -> None:
    """Fetch the wheel and make ``folder/home`` a server whose Python backend can open ONNX models."""
    pip("download", "--no-deps", "--dest", str(folder), f"nvidia-pytriton=={pinned['PYTRITON']}")
    home = folder / "home"
    with zipfile.ZipFile(next(folder.glob("nvidia_pytriton-*.whl"))) as wheel:
        wheel.extractall(home)
    server = home / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.exists():
        raise UsageError(f"Triton's Python backend is not made for Python {python}: use 3.11, 3.12 or 3.13")
    backend = server / "backends" / "python"
    shutil.copy(stub, backend)
    for program in (backend / stub.name, server / "bin" / "tritonserver"):
        program.chmod(0o755)
    # The stub's interpreter is isolated: it ignores PYTHONPATH and sees, apart from its own, only this folder.
    pip("install", "--target", str(backend), "numpy<2", f"onnxruntime=={pinned['ONNXRUNTIME']}")


def pip(*arguments: str) -> None:
    """Run pip; its own words are the best explanation when it fails."""
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise UsageError(f"pip {arguments[0]} {arguments[-1]} failed, is a package index in reach?\n{done.stderr}")

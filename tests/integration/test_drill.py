"""`kubectl heteroserve drill` against a real API server, with a real operator: nodes and pods are on record only."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import builders
from integration.control_plane import JSON, Api, ControlPlane, wait_for
from integration.operator_process import eventually, install, install_gateway_crds, running_operator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "manifests/samples"
CLASSES = ("cpu-x86", "gpu-l4")
DRILL = "heteroserve.dev/drill-until"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def kubeconfig(api: Api, control_plane: ControlPlane) -> Iterator[Path]:
    install_gateway_crds(api)
    routes = "/apis/gateway.networking.k8s.io/v1/grpcroutes"
    wait_for(lambda: api.ask("GET", routes).accepted, "the GRPCRoutes")
    for name in CLASSES:
        hardware = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
        api.apply(hardware)
        node(api, f"drill-{name}", hardware["spec"]["nodeSelector"])
    yield install(api, control_plane)
    for name in CLASSES:  # nodes that nobody speaks for would turn bad together, and the next operator doubt its view
        api.delete({"kind": "Node", "metadata": {"name": f"drill-{name}"}})


@pytest.fixture(scope="module")
def operator(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_operator(kubeconfig, tmp_path_factory.mktemp("operator")) as operator:
        yield
        assert operator.tracebacks() == []


@pytest.fixture
def digits(api: Api, kubeconfig: Path, namespace: str) -> Iterator[JSON]:
    """A deployment on two classes, with a pod of each that is ready."""
    deployment: JSON = yaml.safe_load((SAMPLES / "digits.yaml").read_text())
    deployment["metadata"]["namespace"] = namespace
    deployment["spec"]["classes"] = [c for c in deployment["spec"]["classes"] if c["name"] in CLASSES]
    api.apply(deployment)
    for name in CLASSES:
        pod(api, namespace, name)
    yield deployment
    for name in CLASSES:
        api.ask("DELETE", f"/api/v1/namespaces/{namespace}/pods/digits-{name}", gracePeriodSeconds="0")


def node(api: Api, name: str, labels: JSON) -> None:
    api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert api.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, MERGE).accepted


def pod(api: Api, namespace: str, class_name: str) -> None:
    labels = {
        "app.kubernetes.io/managed-by": "heteroserve",
        "heteroserve.dev/deployment": "digits",
        "heteroserve.dev/class": class_name,
        "heteroserve.dev/serving": "true",
    }
    name, path = f"digits-{class_name}", f"/api/v1/namespaces/{namespace}/pods"
    spec = {"nodeName": f"drill-{class_name}", "containers": [{"name": "triton", "image": "none"}]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
    assert api.ask("POST", path, made).accepted
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert api.ask("PATCH", f"{path}/{name}/status", {"status": status}, MERGE).accepted


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(control_plane: ControlPlane, kubeconfig: Path) -> Iterator[Start]:
    """Starts a drill; one that a test leaves behind is killed."""
    command = [sys.executable, "-c", "import sys; from heteroserve.cli import main; sys.exit(main())", "drill"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    where = ("--kubeconfig", str(control_plane.kubeconfig), "--context", "tests", "--prometheus", "none")
    started: list[subprocess.Popen[str]] = []

    def popen(*arguments: str) -> subprocess.Popen[str]:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen(
            [*command, *arguments, *where], stdin=nothing, stdout=pipe, stderr=pipe, text=True, env=environment
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        with process:
            process.kill()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def hardware(api: Api, name: str) -> JSON:
    return api.get({"kind": "HardwareClass", "metadata": {"name": name}})


def annotation(found: JSON) -> str | None:
    value: str | None = found["metadata"].get("annotations", {}).get(DRILL)
    return value


def weights(api: Api, deployment: JSON) -> dict[str, int]:
    return {c["name"]: c["weight"] for c in api.get(deployment)["status"]["classes"]}


def both_serve(api: Api, deployment: JSON) -> None:
    assert all(weights(api, deployment).values())


def test_a_dry_run_reads_what_is_there_and_changes_nothing(api: Api, start: Start, digits: JSON) -> None:
    before = hardware(api, "gpu-l4")["metadata"]["resourceVersion"]
    status, out, err = finish(start("--class", "gpu-l4", "--dry-run"))
    assert (status, err) == (0, "")
    assert f"{digits['metadata']['namespace']}/digits  (demand: not known; objective: p99 within 100 ms)" in out
    assert "MAY BREAK the objective: no demand is known" in out
    assert hardware(api, "gpu-l4")["metadata"]["resourceVersion"] == before


def test_what_is_not_known_enough_is_refused(api: Api, start: Start, digits: JSON) -> None:
    status, _, err = finish(start("--node", "drill-gpu-l4", "--yes"))
    assert (status, err.count("\n")) == (3, 1)
    assert "do it all the same with --force" in err
    status, _, err = finish(start("--node", "nowhere", "--yes"))
    assert (status, "name one of" in err, "drill-cpu-x86" in err) == (2, True, True)


SIGNALS = {
    "Ctrl-C, of a node": (signal.SIGINT, "--node", {"kind": "Node", "metadata": {"name": "drill-gpu-l4"}}),
    "Ctrl-C, of a class": (signal.SIGINT, "--class", {"kind": "HardwareClass", "metadata": {"name": "gpu-l4"}}),
    "an end from outside": (signal.SIGTERM, "--class", {"kind": "HardwareClass", "metadata": {"name": "gpu-l4"}}),
}


@builders.table(SIGNALS)
def test_a_signal_takes_the_annotation_away(
    api: Api, start: Start, digits: JSON, case: tuple[signal.Signals, str, JSON]
) -> None:
    number, flag, drilled = case
    process = start(flag, drilled["metadata"]["name"], "--yes", "--force", "--for", "1h")

    def stands() -> None:
        assert annotation(api.get(drilled))

    eventually(stands)
    process.send_signal(number)
    status, _, err = finish(process)
    assert (status, annotation(api.get(drilled))) == (130, None)
    assert "the drill is being ended: its annotation is taken away" in err


def test_where_nobody_takes_the_traffic_away_the_drill_ends_soon(api: Api, start: Start, digits: JSON) -> None:
    told = {"classes": [{"name": n, "weight": 50, "ready": 1} for n in CLASSES]}
    api.apply({**digits, "status": told}, manager="somebody", subresource="status")
    started = time.monotonic()
    process = start("--class", "gpu-l4", "--yes", "--force", "--for", "1h")

    def stands() -> None:
        assert annotation(hardware(api, "gpu-l4"))

    eventually(stands)
    status, _, err = finish(start("--class", "gpu-l4", "--yes", "--force"))
    assert (status, "a drill of the hardware class gpu-l4 is under way" in err) == (2, True)
    status, out, _ = finish(process)
    assert status == 1
    assert "Broken off: the traffic of" in out
    assert "did not move within 10 s" in out
    assert time.monotonic() - started < 60
    assert annotation(hardware(api, "gpu-l4")) is None


def test_the_operator_takes_the_class_out_and_puts_it_back(
    operator: None, api: Api, start: Start, digits: JSON
) -> None:
    eventually(lambda: both_serve(api, digits))
    pods = f"/api/v1/namespaces/{digits['metadata']['namespace']}/pods/digits-gpu-l4"
    process = start("--class", "gpu-l4", "--yes", "--force", "--for", "30s")

    def away() -> None:
        assert weights(api, digits)["gpu-l4"] == 0
        assert api.ask("GET", pods).body["metadata"]["labels"]["heteroserve.dev/serving"] == "false"

    eventually(away)
    status, out, err = finish(process)
    assert (status, annotation(hardware(api, "gpu-l4"))) == (0, None), out + err
    assert "traffic away after" in out
    assert "back in full" in out
    both_serve(api, digits)
    assert api.ask("GET", pods).body["metadata"]["labels"]["heteroserve.dev/serving"] == "true"


def test_a_drill_that_somebody_else_ends_is_broken_off(operator: None, api: Api, start: Start, digits: JSON) -> None:
    eventually(lambda: both_serve(api, digits))
    process = start("--class", "gpu-l4", "--yes", "--force", "--for", "1h")

    def away() -> None:
        assert weights(api, digits)["gpu-l4"] == 0

    eventually(away)
    by_hand = {"metadata": {"annotations": {DRILL: None}}}
    assert api.ask("PATCH", "/apis/heteroserve.dev/v1alpha1/hardwareclasses/gpu-l4", by_hand, MERGE).accepted
    status, out, err = finish(process)
    assert status == 1, out + err
    assert "Broken off: somebody else took its annotation away" in out

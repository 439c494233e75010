"""A real control plane for the whole session, with our CRDs in it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from integration.control_plane import (
    JSON,
    Api,
    ControlPlane,
    ControlPlaneError,
    connect,
    controller_manager,
    start,
    wait_for,
)

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("heteroserve.dev_*.yaml"))
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver: `control_plane.kubeconfig` is what the operator and kubectl take."""
    try:
        with start(tmp_path_factory.mktemp("control-plane")) as plane:
            yield plane
            return
    except ControlPlaneError as error:
        problem = str(error)
    pytest.fail(problem, pytrace=False)


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    """The API server as an administrator, with our CRDs."""
    with connect(control_plane) as connection:
        crds = [yaml.safe_load(path.read_text()) for path in CRDS]
        for crd in crds:
            connection.apply(crd)
        wait_for(lambda: all(_served(connection, crd) for crd in crds), "the CRDs")
        yield connection


@pytest.fixture(scope="session")
def controllers(control_plane: ControlPlane, api: Api) -> Iterator[None]:
    """kube-controller-manager: garbage collection, Deployments, EndpointSlices. Without nodes, no Pod ever runs."""
    with controller_manager(control_plane):
        yield


@pytest.fixture
def namespace(api: Api) -> str:
    """A fresh namespace. It is not deleted: it goes with the control plane."""
    name = f"test-{next(NUMBERS)}"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def _served(connection: Api, crd: JSON) -> bool:
    spec = crd["spec"]
    return connection.ask("GET", f"/apis/{spec['group']}/v1alpha1/{spec['names']['plural']}").accepted

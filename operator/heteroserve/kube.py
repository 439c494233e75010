"""The Kubernetes API as this operator uses it: a table of kinds, and five verbs over the dynamic client.

Invariants: every request has a time limit; every failure is one of ours (`Retry` or `Reject`), NotFound excepted,
which is an answer. Paths come from the table, so that nothing is discovered and a missing CRD is an ordinary 404.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from kubernetes.aio.dynamic.resource import Resource

from heteroserve.errors import HeteroserveError, Reject, Retry
from heteroserve.telemetry import API_WRITES

Object = dict[str, Any]
Fact = TypeVar("Fact")

FIELD_MANAGER = "heteroserve"
TIMEOUT_SECONDS = 10.0
PAGE = 100
"""Objects per answer to a LIST. Nodes have 20 kB each, and ten times that while they are read: a page takes 20 MB."""
NO_SUCH_UID = "the server rejected our request due to an error in our request"
"""All that the API server says of a JSON patch that does not fit the object, and only its `test` can fail to fit."""
ANOTHER_UID = "metadata.uid: Invalid value"
"""What it says of a merge patch that is for another object of this name."""
DUPLICATES = "duplicate entries for key"
OURS = "app.kubernetes.io/managed-by=heteroserve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object: where it lives, and which of its objects concern us."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    selector: str | None = None


INFERENCE_DEPLOYMENT = Kind(
    api_version="heteroserve.dev/v1alpha1", kind="InferenceDeployment", plural="inferencedeployments"
)
HARDWARE_CLASS = Kind(
    api_version="heteroserve.dev/v1alpha1", kind="HardwareClass", plural="hardwareclasses", namespaced=False
)
NODE = Kind(api_version="v1", kind="Node", plural="nodes", namespaced=False)
POD = Kind(api_version="v1", kind="Pod", plural="pods", selector=OURS)
DEPLOYMENT = Kind(api_version="apps/v1", kind="Deployment", plural="deployments", selector=OURS)
SERVICE = Kind(api_version="v1", kind="Service", plural="services", selector=OURS)
ENDPOINT_SLICE = Kind(
    api_version="discovery.k8s.io/v1",
    kind="EndpointSlice",
    plural="endpointslices",
    selector=f"{OURS},endpointslice.kubernetes.io/managed-by=heteroserve.dev",
)
"""Not those that Kubernetes keeps: it copies our labels of a Service onto them."""
HTTP_ROUTE = Kind(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", plural="httproutes", selector=OURS)
GRPC_ROUTE = Kind(api_version="gateway.networking.k8s.io/v1", kind="GRPCRoute", plural="grpcroutes", selector=OURS)
TRAFFIC_POLICY = Kind(
    api_version="gateway.envoyproxy.io/v1alpha1",
    kind="BackendTrafficPolicy",
    plural="backendtrafficpolicies",
    selector=OURS,
)
DISRUPTION_BUDGET = Kind(
    api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets", selector=OURS
)
NETWORK_POLICY = Kind(api_version="networking.k8s.io/v1", kind="NetworkPolicy", plural="networkpolicies", selector=OURS)
EVENT = Kind(api_version="events.k8s.io/v1", kind="Event", plural="events")
CONFIG_MAP = Kind(api_version="v1", kind="ConfigMap", plural="configmaps")
"""Not in the store either: `observe/controls.py` reads the one of ours."""
LEASE = Kind(api_version="coordination.k8s.io/v1", kind="Lease", plural="leases")
"""Neither owned nor in the store: `observe/leases.py` lists those of nodes."""

OWNED = (DEPLOYMENT, SERVICE, ENDPOINT_SLICE, HTTP_ROUTE, GRPC_ROUTE, TRAFFIC_POLICY, DISRUPTION_BUDGET, NETWORK_POLICY)
OBSERVED = (INFERENCE_DEPLOYMENT, HARDWARE_CLASS, NODE, POD, *OWNED)
BY_KIND = {kind.kind: kind for kind in (*OBSERVED, EVENT)}


class Kube:
    """The API server, by the verbs that we need."""

    def __init__(self, client: ApiClient) -> None:
        self._client: Any = DynamicClient(client)  # type: ignore[no-untyped-call]

    async def list(self, kind: Kind, read: Callable[[Object], Fact], namespace: str | None = None) -> list[Fact] | None:
        """What `read` makes of all objects of a kind that concern us; `None` when the cluster does not know the kind.

        Those in one namespace, or all. Page by page, so that one page of them is in memory as a whole and no more. A
        list that is too old when the next page is asked for (410) is a `Retry` like any other: it starts over.
        """
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        found: list[Fact] = []
        after = None
        while True:
            body = await self._page(kind, namespace, after)
            if body is None:
                return None
            found += [read({**head, **item}) for item in body["items"]]
            after = body["metadata"].get("continue")
            if not after:
                return found
            del body  # before the next one comes

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or `None`."""
        path = self._path(kind, namespace, name)
        return await self._ask(kind, lambda: self._client.request("get", path, **_OPTIONS))

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply of exactly the fields in `body`, under our one field manager.

        Conflicts are forced: we only send fields that nobody else has any business with.
        """
        path = self._path(kind, body["metadata"].get("namespace"), body["metadata"]["name"])
        return await self._patch(kind, path, body, "application/apply-patch+yaml", force_conflicts=True)

    async def replace_status(self, kind: Kind, namespace: str | None, name: str, status: Object, *, uid: str) -> Object:
        """Makes `status` the whole status of the object with this UID, what anybody else wrote into it included."""
        path = f"{self._path(kind, namespace, name)}/status"
        return await self._replace(kind, path, {"/status": status}, uid)

    async def replace_spec(self, kind: Kind, namespace: str, name: str, spec: Object, *, uid: str) -> Object:
        """Makes `spec` the whole spec of the object with this UID: apply leaves alone what others added to it."""
        return await self._replace(kind, self._path(kind, namespace, name), {"/spec": spec}, uid)

    async def merge_metadata(self, kind: Kind, namespace: str, name: str, changes: Object, *, uid: str) -> Object:
        """Changes labels and annotations of the object with this UID; a value of `None` takes one away."""
        path, body = self._path(kind, namespace, name), {"metadata": {**changes, "uid": uid}}
        try:
            return await self._patch(kind, path, body, "application/merge-patch+json")
        except Reject as refusal:
            if ANOTHER_UID not in refusal.message:
                raise
            raise _replaced(kind, path) from refusal

    async def create(self, kind: Kind, body: Object) -> Object:
        """Creates an object that nobody updates (an Event)."""
        path = self._path(kind, body["metadata"].get("namespace"))
        return await self._write(kind, lambda: self._client.request("post", path, body=body, **_OPTIONS))

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str) -> None:
        """Deletes exactly the object with this UID; that it is gone already is as good."""
        path = self._path(kind, namespace, name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        API_WRITES.inc()
        await self._ask(kind, lambda: self._client.request("delete", path, body=body, **_OPTIONS))

    async def _page(self, kind: Kind, namespace: str | None, after: str | None) -> Object | None:
        path, options = self._path(kind, namespace), {"label_selector": kind.selector, "limit": PAGE, **_OPTIONS}
        return await self._ask(kind, lambda: self._client.request("get", path, _continue=after, **options))

    def _path(self, kind: Kind, namespace: str | None = None, name: str | None = None) -> str:
        group, _, version = kind.api_version.rpartition("/")
        resource: Any = Resource(  # type: ignore[no-untyped-call]
            prefix="apis" if group else "api",
            group=group,
            api_version=version,
            kind=kind.kind,
            name=kind.plural,
            namespaced=kind.namespaced,
            client=self._client,
        )
        return str(resource.path(name=name, namespace=namespace))

    async def _patch(self, kind: Kind, path: str, body: Any, content_type: str, **options: Any) -> Object:
        options = {"body": body, "content_type": content_type, "field_manager": FIELD_MANAGER, **options, **_OPTIONS}
        return await self._write(kind, lambda: self._client.request("patch", path, **options))

    async def _replace(self, kind: Kind, path: str, fields: Object, uid: str) -> Object:
        """Makes each value in `fields` what stands at its JSON pointer, in exactly the object with this UID."""
        changes = [{"op": "add", "path": field, "value": value} for field, value in fields.items()]
        body = [{"op": "test", "path": "/metadata/uid", "value": uid}, *changes]
        try:
            return await self._patch(kind, path, body, "application/json-patch+json")
        except Reject as refusal:
            if NO_SUCH_UID not in refusal.message:
                raise
            raise _replaced(kind, path) from refusal

    async def _write(self, kind: Kind, request: Callable[[], Awaitable[Any]]) -> Object:
        API_WRITES.inc()
        body = await self._ask(kind, request)
        if body is None:
            raise Retry("NotFound", f"the cluster does not know this {kind.kind} or its namespace (yet)")
        return body

    async def _ask(self, kind: Kind, request: Callable[[], Awaitable[Any]]) -> Object | None:
        try:
            response = await request()
            body: Object = json.loads(await response.read())
        except DynamicApiError as error:
            if error.status == 404:  # no error: the object, its namespace or its kind is not there
                return None
            raise _error(kind, error) from error
        except (TimeoutError, aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise Retry("ApiUnavailable", f"the API server did not answer: {type(error).__name__}") from error
        return body


_OPTIONS: Object = {"serialize": False, "_request_timeout": TIMEOUT_SECONDS}


def _replaced(kind: Kind, path: str) -> Retry:
    return Retry("Conflict", f"{kind.kind} at {path} is not the object that was read: it was replaced")


def _error(kind: Kind, error: DynamicApiError) -> HeteroserveError:
    message = _message(error)
    if error.status == 403:
        return Reject("Forbidden", f"{kind.kind} refused: {message}")
    if error.status in {400, 422}:
        return Reject("Invalid", f"{kind.kind} refused: {message}")
    if error.status == 500 and DUPLICATES in message:  # no weather, whatever the number says
        return Reject("Invalid", f"{kind.kind} refused: a list has an entry twice, take one of them out: {message}")
    return Retry("Conflict" if error.status == 409 else "ApiUnavailable", f"{kind.kind}: {error.status} {message}")


def _message(error: DynamicApiError) -> str:
    try:
        return str(json.loads(error.body or "")["message"])[:800]
    except (TypeError, ValueError, KeyError):
        return str(error.reason)[:200]

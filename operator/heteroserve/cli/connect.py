"""The cluster as a person reaches it: with a kubeconfig and its owner's rights, from anywhere.

One look is a LIST of each kind that a decision sees, put together by the operator's own observer. What only the
operator finds out itself (probes, Leases) stays unknown here, which is no witness against anybody.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from heteroserve import kube
from heteroserve.cli.arguments import Refused, Service
from heteroserve.cli.course import weights_told
from heteroserve.errors import HeteroserveError, Reject, Retry
from heteroserve.kube import Kube
from heteroserve.model.deployment import Key
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.snapshot import Cluster, Snapshot
from heteroserve.observe.controls import NAME, parse_paused
from heteroserve.observe.feed import Feed
from heteroserve.observe.leases import Leases
from heteroserve.observe.metrics import FleetSamples
from heteroserve.observe.probe import Prober
from heteroserve.observe.snapshot import Observer
from heteroserve.observe.store import Store, Unreadable
from heteroserve.observe.vitals import Vitals

TIMEOUT_SECONDS = 10.0
UNUSABLE = (OSError, yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError)
"""What the client raises for a kubeconfig that is no file, no YAML, or something else in YAML."""
NO_ANSWER = (TimeoutError, aiohttp.ClientError, OSError, asyncio.IncompleteReadError)
LISTED = (
    kube.INFERENCE_DEPLOYMENT,
    kube.HARDWARE_CLASS,
    kube.NODE,
    kube.POD,
    kube.DEPLOYMENT,
    kube.SERVICE,
    kube.HTTP_ROUTE,
    kube.GRPC_ROUTE,
)
"""What a decision sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What one look found. `told` are the weights that the operator wrote into each status last."""

    now: datetime
    snapshots: tuple[Snapshot, ...]
    nodes: Mapping[str, Node]
    hardware: Mapping[str, HardwareClass]
    told: Mapping[Key, Mapping[str, int]]
    unreadable: tuple[str, ...] = ()


class Connection:
    """The API server: our verbs, its clock, and the Services that it leads to."""

    def __init__(self, client: ApiClient) -> None:
        self.kube = Kube(client)
        self._client: Any = DynamicClient(client)  # type: ignore[no-untyped-call]
        self._ahead = timedelta()

    async def synchronise(self) -> None:
        """Takes the API server's clock for ours: a drill's end is a time that the operator reads, and not this machine.

        Raises `Retry` when there is no answer.
        """
        answer = await self._get("/version", {})
        told = answer.headers.get("Date")
        if told:
            self._ahead = parsedate_to_datetime(told) - datetime.now(UTC)

    def now(self) -> datetime:
        """The time in the cluster, to a second."""
        return datetime.now(UTC) + self._ahead

    async def ask(self, service: Service, path: str, query: Mapping[str, str]) -> Any:
        """The JSON that a Service answers. Raises `Retry` when it does not, and `Reject` when it may not be asked."""
        name = f"{service.name}:{service.port}"
        answer = await self._get(f"/api/v1/namespaces/{service.namespace}/services/{name}/proxy{path}", query)
        try:
            return json.loads(await answer.read())
        except (*NO_ANSWER, ValueError) as error:
            raise Retry("NoAnswer", f"{service} sent no JSON: {type(error).__name__}") from error

    async def _get(self, path: str, query: Mapping[str, str]) -> Any:
        try:
            return await self._client.request(
                "get", path, query_params=list(query.items()), serialize=False, _request_timeout=TIMEOUT_SECONDS
            )
        except DynamicApiError as error:
            refused = error.status in {401, 403}
            raise (Reject if refused else Retry)("NoAnswer", f"{error.status} {error.reason}") from error
        except NO_ANSWER as error:
            raise Retry("ApiUnavailable", f"the API server did not answer: {type(error).__name__}") from error


@asynccontextmanager
async def connected(kubeconfig: str | None, context: str | None) -> AsyncIterator[Connection]:
    """The cluster of a kubeconfig, or of the pod that this runs in where there is none. Raises `Refused`."""
    # whatever the client logs of a kubeconfig, it raises as well, and that is told in one line
    logging.getLogger("kubernetes").addHandler(logging.NullHandler())
    try:
        await _configure(kubeconfig, context)
        client = ApiClient()
    except (config.ConfigException, *UNUSABLE) as error:
        where = kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION
        what = " ".join(str(error).split())  # where a YAML file breaks is told in several lines
        remedy = "name another with --kubeconfig or --context"
        raise Refused(f"no cluster: the kubeconfig {where} cannot be used: {what}: {remedy}") from error
    async with client:
        connection = Connection(client)
        await connection.synchronise()
        yield connection


async def _configure(kubeconfig: str | None, context: str | None) -> None:
    try:
        await config.load_kube_config(config_file=kubeconfig, context=context)  # type: ignore[no-untyped-call]
    except (config.ConfigException, *UNUSABLE):
        if kubeconfig or context or "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise
        config.load_incluster_config()  # type: ignore[no-untyped-call]


async def look(connection: Connection, operator_namespace: str) -> Fleet:
    """Lists everything once. Raises `Refused` where heteroserve is not installed, and `HeteroserveError`."""
    store = Store()
    feed = Feed(store, _nobody)
    await asyncio.gather(*(feed.resync(connection.kube, kind) for kind in LISTED))
    missing = store.absent & {kube.INFERENCE_DEPLOYMENT.kind, kube.HARDWARE_CLASS.kind}
    if missing:
        kinds = " or ".join(sorted(missing))
        raise Refused(f"the cluster knows no {kinds}: install heteroserve's CRDs, or name another with --context")
    return _fleet(store, connection.now().replace(microsecond=0), await _paused(connection, operator_namespace))


def _fleet(store: Store, now: datetime, paused: str) -> Fleet:
    vitals = Vitals(store, Prober(store, _nobody), Leases(_nobody), time.monotonic, lambda: now)
    observer = Observer(store, Cluster(), vitals)
    wishes = [w for w in store.wishes().values() if not w.deleting]
    samples = FleetSamples()
    names = store.names(kube.INFERENCE_DEPLOYMENT)
    return Fleet(
        now=now,
        snapshots=tuple(observer.observe(w, samples, now, paused=paused) for w in wishes),
        nodes={n.name: n for n in store.nodes()},
        hardware=store.hardware(),
        told={w.deployment.key: weights_told(w.status) for w in wishes},
        unreadable=tuple("/".join(n) for n in names if isinstance(store.get(kube.INFERENCE_DEPLOYMENT, n), Unreadable)),
    )


async def _paused(connection: Connection, namespace: str) -> str:
    """Why the whole fleet is paused. Who may not read the switch learns it when the traffic does not move."""
    try:
        found = await connection.kube.get(kube.CONFIG_MAP, namespace, NAME)
    except HeteroserveError:
        return ""
    return parse_paused(found, f"{namespace}/{NAME}")


def _nobody(*_: object) -> None:
    """Nobody is to be woken here."""

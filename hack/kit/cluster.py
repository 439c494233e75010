"""The local cluster as the demo and the end-to-end tests see it: what runs where, what was decided, and its levers.

Reads through the operator's own client; pulls levers through hack/cluster's scripts, so that it makes no difference
which container engine holds the nodes.
"""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

from heteroserve import kube
from kit.errors import UsageError
from kit.table import ClassRow

HACK = Path(__file__).parents[1]
CONTEXT = "kind-heteroserve"
NAMESPACE, NAME = "demo", "digits"
CLASS_LABEL = "heteroserve.dev/class"
RATE = "sum by (pod) (rate(nv_inference_request_success{{namespace='{namespace}'}}[15s]))"
QUANTILE = "nv_inference_request_summary_us{{namespace='{namespace}',quantile='{quantile}'}} / 1000"

JSON = dict[str, Any]


def environment() -> dict[str, str]:
    """The environment with the cluster's own programs behind those of the machine: not everybody has a kubectl."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{cache}/heteroserve/programs/bin"}


async def run(*command: str | Path, check: bool = True, stdin: str = "") -> str:
    """A program's standard output; its complaint is the error's text."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    out, err = await process.communicate(stdin.encode())
    if check and process.returncode:
        raise UsageError(f"{' '.join(map(str, command))}: {err.decode().strip() or out.decode().strip()}")
    return out.decode()


async def kubectl(*words: str, stdin: str = "") -> str:
    """What kubectl says of the local cluster."""
    program = shutil.which("kubectl", path=environment()["PATH"]) or "kubectl"
    return await run(program, "--context", CONTEXT, *words, stdin=stdin)


async def addresses() -> dict[str, str]:
    """GATEWAY (host:port) and PROMETHEUS (URL), as hack/cluster/addresses.sh knows them."""
    lines = (await run(HACK / "cluster/addresses.sh")).splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


async def node(verb: str, name: str) -> None:
    """Kills, freezes, thaws or restores a node."""
    await run(HACK / "cluster/node.sh", verb, name)


async def device(node_name: str, device_name: str, health: str) -> None:
    """Turns an emulated device `healthy` or `unhealthy`."""
    await run(HACK / "device-plugin/switch.sh", node_name, device_name, health)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look at a deployment and its pods."""

    deployment: JSON
    pods: list[JSON]

    @property
    def status(self) -> JSON:
        """The deployment's status; empty at first."""
        status: JSON = self.deployment.get("status", {})
        return status

    @property
    def classes(self) -> dict[str, JSON]:
        """The status of each class, by name."""
        return {c["name"]: c for c in self.status.get("classes", ())}

    @property
    def weights(self) -> dict[str, int]:
        """Each class's share of the traffic."""
        return {name: c.get("weight", 0) for name, c in self.classes.items()}

    @property
    def settled(self) -> bool:
        """Whether every class has all the replicas that it should have."""
        return bool(self.classes) and all(c["ready"] == c["replicas"] > 0 for c in self.classes.values())

    def condition(self, kind: str) -> tuple[str, str, str]:
        """A condition's status, reason and message."""
        found = {c["type"]: (c["status"], c["reason"], c["message"]) for c in self.status.get("conditions", ())}
        return found.get(kind, ("Unknown", "", ""))

    def nodes(self, class_name: str) -> list[str]:
        """The nodes on which ready pods of a class stand, without the cluster's name."""
        return sorted({p["spec"]["nodeName"] for p in self.pods if _class(p) == class_name and _ready(p)})


class Cluster:
    """The running cluster. Use it as a context: `async with connect() as cluster`."""

    def __init__(self, api: kube.Kube, prometheus: str, session: aiohttp.ClientSession) -> None:
        """Made by `connect`."""
        self.api = api
        self._prometheus = prometheus
        self._session = session

    async def look(self, namespace: str = NAMESPACE, name: str = NAME) -> View:
        """The deployment and its pods as they are now."""
        deployment = await self.api.get(kube.INFERENCE_DEPLOYMENT, namespace, name)
        pods = await self.api.list(kube.POD, dict) or []
        mine = [p for p in pods if p["metadata"]["namespace"] == namespace and _of(p) == name]
        return View(deployment=deployment or {}, pods=mine)

    async def query(self, promql: str) -> dict[str, float]:
        """An instant vector, by pod."""
        try:
            async with self._session.get(f"{self._prometheus}/api/v1/query", params={"query": promql}) as answer:
                result = (await answer.json())["data"]["result"]
        except (aiohttp.ClientError, KeyError, TimeoutError):
            return {}
        return {sample["metric"].get("pod", ""): float(sample["value"][1]) for sample in result}

    async def rows(self, view: View, namespace: str = NAMESPACE) -> list[ClassRow]:
        """The table's rows: requests and quantiles from the pods' own metrics."""
        rate, p50, p99 = await asyncio.gather(
            self.query(RATE.format(namespace=namespace)),
            *(self.query(QUANTILE.format(namespace=namespace, quantile=q)) for q in ("0.5", "0.99")),
        )
        pods = {name: [p["metadata"]["name"] for p in view.pods if _class(p) == name] for name in view.classes}
        return [
            ClassRow(
                name=name,
                nodes=[n.removeprefix("heteroserve-") for n in view.nodes(name)],
                ready=c.get("ready", 0),
                wanted=c.get("replicas", 0),
                weight=c.get("weight", 0),
                requests_per_second=sum(rate[p] for p in pods[name] if p in rate),
                p50=max((p50[p] for p in pods[name] if p50.get(p, 0) > 0), default=None),
                p99=max((p99[p] for p in pods[name] if p99.get(p, 0) > 0), default=None),
                cost_per_hour=float(c.get("costPerHour", 0)),
            )
            for name, c in view.classes.items()
        ]


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[Cluster]:
    """The local cluster, or a UsageError that says how to make one."""
    try:
        await config.load_kube_config(context=CONTEXT)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise UsageError(f"there is no context {CONTEXT}: make the cluster first (make cluster)") from error
    where = await addresses()
    timeout = aiohttp.ClientTimeout(total=5)
    async with ApiClient() as client, aiohttp.ClientSession(timeout=timeout) as session:
        yield Cluster(kube.Kube(client), where["PROMETHEUS"], session)


def forgiving(view: View) -> list[str]:
    """The words for kubectl that make every class trusted in full again, as after a long calm; none where they are."""
    paths = [f"/status/classes/{n}/recovery" for n, c in enumerate(view.status.get("classes", ())) if "recovery" in c]
    if not paths:
        return []
    changes = json.dumps([{"op": "remove", "path": path} for path in paths])
    meta = view.deployment["metadata"]
    return [
        *("-n", meta["namespace"], "patch", "infd", meta["name"]),
        *("--subresource=status", "--type=json", "-p", changes),
    ]


def _class(pod: JSON) -> str:
    return str(pod["metadata"].get("labels", {}).get(CLASS_LABEL, ""))


def _of(pod: JSON) -> str:
    return str(pod["metadata"].get("labels", {}).get("heteroserve.dev/deployment", ""))


def _ready(pod: JSON) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) and "nodeName" in pod["spec"]

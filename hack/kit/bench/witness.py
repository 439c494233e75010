"""Watching a trial: the API server's objects as they change, and the gateway's own counters.

Watches and not polls, so that seconds are those of the change and the machine's two cores are left to the rest. A watch
that ends, as when the API server is away, begins anew.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from kit.bench.history import History, Hits, Seen
from kit.bench.levers import CONTROL_PLANE, Levers, inside, kubectl, of_process
from kit.cluster import environment
from kit.errors import UsageError

AGAIN_SECONDS = 0.3
LONGEST_LINE = 2**22
FIRST_SECONDS = 15.0

# Envoy's own port is bound to its pod's loopback. A look has the time of its end: what it counted was sent before.
# What was sent is counted, and no failure to connect: health checks go on failing to connect for as long as the host
# is known. The loop says its own number, because it may outlive the connection to the node; it ends by itself at last.
COUNTERS = (
    "echo loop $$; for look in $(seq 3000); do echo look; nsenter --net=/proc/$pid/ns/net curl -s "
    "--max-time 2 http://127.0.0.1:19000/clusters | grep ::rq_total::; echo at $(date +%s.%N); sleep 0.2; done"
)

STOP = "grep -qs 'echo loop' /proc/{0}/cmdline && kill {0} || true"
"""Only if that number is still the loop's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where Envoy's process is."""

    container: str


def paths(namespace: str, name: str) -> dict[str, str]:
    """What is watched, by the list of the history that it fills."""
    one = f"?watch=1&fieldSelector=metadata.name%3D{name}"
    routes = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}"
    return {
        "deployments": f"/apis/heteroserve.dev/v1alpha1/namespaces/{namespace}/inferencedeployments{one}",
        "http_routes": f"{routes}/httproutes{one}",
        "grpc_routes": f"{routes}/grpcroutes{one}",
        "pods": f"/api/v1/namespaces/{namespace}/pods?watch=1",
        "events": f"/apis/events.k8s.io/v1/namespaces/{namespace}/events?watch=1",
        "workloads": f"/apis/apps/v1/namespaces/{namespace}/deployments?watch=1",
    }


@contextlib.asynccontextmanager
async def watching(namespace: str, name: str, gateway: Gateway | None) -> AsyncIterator[History]:
    """A history that grows while the block runs; entered when the first of everything was seen."""
    history, loops = History(), list[str]()
    tasks = [
        asyncio.create_task(_follow(kubectl("get", "--raw", path), _objects(getattr(history, kind))))
        for kind, path in paths(namespace, name).items()
    ]
    if gateway:
        command = inside(CONTROL_PLANE, "sh", "-c", of_process(gateway.container, COUNTERS))
        tasks.append(asyncio.create_task(_follow(command, _counters(history.hits, loops))))
    try:
        await _first_sight(history, gateway)
        yield history
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for loop in loops:
            with contextlib.suppress(UsageError):  # the next look into the nodes finds the same trouble
                await Levers().inside(CONTROL_PLANE, "sh", "-c", STOP.format(loop))


async def _first_sight(history: History, gateway: Gateway | None) -> None:
    needed = {"deployment": history.deployments, "pods": history.pods}
    if gateway:
        needed["counters of the gateway"] = history.hits  # type: ignore[assignment]  # only its length matters
    end = time.monotonic() + FIRST_SECONDS
    while missing := [name for name, seen in needed.items() if not seen]:
        if time.monotonic() > end:
            raise UsageError(f"nothing seen of: {', '.join(missing)}")
        await asyncio.sleep(0.1)


async def _follow(command: tuple[str, ...], take: Callable[[str], None]) -> None:
    """Runs the command again and again and hands over its lines."""
    while True:
        with contextlib.suppress(OSError):
            async for line in _lines(command):
                with contextlib.suppress(ValueError):  # half a line: the API server went while it told
                    take(line)
        await asyncio.sleep(AGAIN_SECONDS)


async def _lines(command: Iterable[str]) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LONGEST_LINE,
        env=environment(),
        start_new_session=True,  # Ctrl-C is for us: what is seen while the fault is undone belongs to the trial
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            yield line.decode()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


def _objects(found: list[Seen]) -> Callable[[str], None]:
    def take(line: str) -> None:
        event = json.loads(line)
        if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
            found.append(Seen(time.time(), event["object"], event["type"] == "DELETED"))

    return take


def _counters(found: list[Hits], loops: list[str]) -> Callable[[str], None]:
    lines: list[str] = []

    def take(line: str) -> None:
        if line.startswith("loop "):
            loops.append(line.split()[1])
        elif line.strip() == "look":
            lines[:] = [line]  # what came before had no end
        else:
            lines.append(line)
            if line.startswith("at ") and (hits := counters(lines)):
                found.append(hits)

    return take


def counters(lines: Iterable[str]) -> Hits | None:
    """One whole look at Envoy's ``/clusters``: what it sent to each address, by cluster of its own."""
    begun, at = False, None
    counts: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.strip() == "look":
            begun = True
        elif line.startswith("at "):
            at = float(line.split()[1])
        elif len(parts := line.strip().rsplit("::", 2)) == 3:
            cluster, _, host = parts[0].partition("::")
            counts[cluster, host.rpartition(":")[0].strip("[]")] = int(parts[2])
    return Hits(at, counts) if begun and at is not None and counts else None

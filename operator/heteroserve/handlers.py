"""The one file that knows Kopf: it brings watch events, credentials and /healthz, and nothing else.

Only low-level event handlers: they leave no finalizer and no annotation on anybody's object. Each hands the event on
and returns; what follows from it is decided from our own store. See docs/adr/0001.
"""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import kopf

from heteroserve import kube
from heteroserve.loop import Loop

WATCHED = (
    kube.INFERENCE_DEPLOYMENT,
    kube.HARDWARE_CLASS,
    kube.NODE,
    kube.POD,
    kube.DEPLOYMENT,
    kube.HTTP_ROUTE,
    kube.GRPC_ROUTE,
)
"""What must be known at once. The rest of what we own is repaired by the LIST twice a minute."""

STUCK_AFTER_SECONDS = 90.0
FIRST_LISTING_SECONDS = 300.0


def build_registry(loop: Loop) -> kopf.OperatorRegistry:
    """Handlers that pour every watch event into the loop's feed."""
    registry = kopf.OperatorRegistry()

    async def on_event(event: Any, param: Any = None, **_: Any) -> None:
        loop.feed.event(param, event["type"], dict(event["object"]))

    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    async def listing(**_: Any) -> float:
        problem = complaint(loop)
        if problem:
            raise kopf.PermanentError(problem)
        return loop.idle_seconds()

    for kind in WATCHED:
        group, _, version = kind.api_version.rpartition("/")
        kopf.on.event(group, version, kind.plural, param=kind, registry=registry)(on_event)
    kopf.on.login(registry=registry)(login)
    kopf.on.probe(registry=registry)(listing)
    return registry


def complaint(loop: Loop) -> str | None:
    """What /healthz fails for. An API server that goes away later is none: the last state keeps serving."""
    idle, starting = loop.idle_seconds(), loop.starting_seconds()
    if idle > STUCK_AFTER_SECONDS:
        return f"no listing was tried for {idle:.0f} s"
    if starting > FIRST_LISTING_SECONDS:
        return f"the first listing is not complete after {starting:.0f} s: the log names what cannot be listed"
    return None


def build_settings() -> kopf.OperatorSettings:
    """Kopf's settings; why each differs from the default is said beside it."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # peering is no leader election: we run one replica and say so
    settings.scanning.disabled = True  # no rights to watch CRDs and namespaces
    settings.posting.enabled = False  # our Events are written deliberately, in act/events.py
    settings.watching.server_timeout = 290  # bounded streams: a silent one ends
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = 70  # bookmarks come every 60 s
    settings.watching.chunk_size = kube.PAGE  # no spike at the first list
    settings.networking.request_timeout = 10  # 300 s would hide an outage
    settings.networking.connect_timeout = 3
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.queueing.error_delays = (1, 2, 4, 8, 15, 30)  # up to 610 s is too long to be deaf
    settings.execution.default_backoff = 5
    settings.process.ultimate_exiting_timeout = 20  # within the pod's grace period
    for kind in WATCHED:
        if kind.selector:
            group, _, version = kind.api_version.rpartition("/")
            settings.watching.label_selectors[group, version, kind.plural] = kind.selector
    return settings


class Backoffs:
    """Pauses between tries, without end: an operator that gives up on a watch is deaf."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1, 2, 4, 8), itertools.repeat(10))


async def serve(loop: Loop, *, health_port: int) -> None:
    """Runs Kopf and the loop until a signal ends Kopf, or either fails."""
    working = asyncio.create_task(loop.run())
    watching = asyncio.create_task(
        kopf.operator(
            registry=build_registry(loop),
            settings=build_settings(),
            clusterwide=True,
            standalone=True,
            # else it asks for the name of a user that the image does not have
            identity="heteroserve",  # type: ignore[arg-type]
            liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz",
        )
    )
    done, pending = await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()

"""The requests of a trial: all protocols in turn at one rate, until each of them has its end."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kit import client, digits
from kit.bench.trial import OPEN_LOOP
from kit.load import Load
from kit.records import Summary

REQUEST_SECONDS = 5.0
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """The requests of a trial, and the task that sends them."""

    load: Load
    running: asyncio.Task[Summary]


@contextlib.asynccontextmanager
async def loaded(target: client.Target, rate: float, seed: int) -> AsyncIterator[Stream]:
    """Requests at a rate, all protocols in turn, for as long as the block runs."""
    async with contextlib.AsyncExitStack() as stack:
        askers = [await stack.enter_async_context(asker) for asker in mixed(target)]
        load = Load(askers, digits.questions(), rate=rate, seed=seed)
        running = asyncio.create_task(load.run(LONGEST_SECONDS))
        try:
            yield Stream(load, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def mixed(target: client.Target) -> list[client.Asker]:
    """HTTP with and without keep-alive, and gRPC."""
    target = dataclasses.replace(target, timeout=REQUEST_SECONDS)
    keep_alive, unary = client.askers(target, "both")
    fresh = client.HttpAsker(dataclasses.replace(target, fresh_connections=True))
    fresh.protocol = "http-fresh"
    askers = [keep_alive, fresh, unary]
    assert [asker.protocol for asker in askers] == list(OPEN_LOOP)
    return askers


async def finished(stream: Stream) -> str:
    """No new request, and the end of every one that is on its way; why there is none, or no load any more."""
    pending = await stream.load.finish(2 * REQUEST_SECONDS)
    if stream.running.done():
        error = None if stream.running.cancelled() else stream.running.exception()
        return f"the load ended by itself: {client.reason(error or asyncio.CancelledError())}"
    return f"{pending} requests have no end" if pending else ""

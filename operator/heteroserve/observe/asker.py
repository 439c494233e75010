"""One question to one Triton pod: is your model ready? The answer is yes or no, and always there in time.

Unless it is we who are late. While the event loop is held nobody takes an answer, and the time limit runs on; what
times out then says nothing about the pod, and is no answer at all.

Invariants: every question has a connection of its own, which is closed at once: an idle one makes a terminating Triton
say ready until its exit timeout has passed. Of a user's text only the model's name gets into the URL, percent-encoded.
No redirect is followed, and nothing behind the headers is read.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import quote

import aiohttp

from heteroserve.render.metadata import HTTP_PORT

TIMEOUT_SECONDS = 0.3
"""For everything: connecting, asking and the head of the answer."""

BEAT_SECONDS = 0.05
LATE_SECONDS = 0.1
"""For how long the loop may be held at a stroke: a third of the time limit leaves a question its few turns."""

BODY_BYTES = 1024
"""How much of a body may wait in memory until the connection is closed; Triton's answer has none."""

Ask = Callable[[str, str], Awaitable[bool | None]]
"""Takes a pod's address and a model's name. `None`: it was we who were late."""


class Pulse:
    """Beats on the event loop, and so notices when that was held for more than `late_seconds` at a stroke."""

    def __init__(self, late_seconds: float = LATE_SECONDS) -> None:
        self._late_seconds = late_seconds
        self._loop = asyncio.get_running_loop()
        self._held_until = -math.inf
        self._expect()

    def was_held_since(self, time: float) -> bool:
        """By the loop's clock. All timers that came due are looked at, before anybody whom one of them woke goes on."""
        return self._held_until >= time

    def close(self) -> None:
        """No more beats."""
        self._timer.cancel()

    def _expect(self) -> None:
        self._due = self._loop.time() + BEAT_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        if now > self._due + self._late_seconds:
            self._held_until = now
        self._expect()


@asynccontextmanager
async def asker(
    port: int = HTTP_PORT, seconds: float = TIMEOUT_SECONDS, late_seconds: float = LATE_SECONDS
) -> AsyncIterator[Ask]:
    """What asks, for as long as the block runs. How many are asked at once is the caller's affair."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=seconds),
        headers={"Connection": "close", "User-Agent": "heteroserve"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=BODY_BYTES,
    ) as session:
        with contextlib.closing(Pulse(late_seconds)) as pulse:
            yield partial(_ask, session, pulse, port)


async def _ask(session: aiohttp.ClientSession, pulse: Pulse, port: int, address: str, model: str) -> bool | None:
    started = asyncio.get_running_loop().time()
    try:
        async with session.get(ready_url(address, port, model), allow_redirects=False) as answer:
            return answer.status == 200
    except TimeoutError:
        return None if pulse.was_held_since(started) else False
    except (aiohttp.ClientError, OSError):
        return False


def ready_url(address: str, port: int, model: str) -> str:
    """Asks for the model in any version: while one replaces another, the old replicas are as healthy as before."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/v2/models/{quote(model, safe='')}/ready"

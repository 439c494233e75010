"""One question to one Triton pod: is your model ready? The answer is yes or no, and always there in time.

Invariants: every question has a connection of its own, which is closed at once: an idle one makes a terminating Triton
say ready until its exit timeout has passed. Of a user's text only the model's name gets into the URL, percent-encoded.
No redirect is followed, and nothing behind the headers is read.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp

from heteroserve.render.metadata import HTTP_PORT

TIMEOUT_SECONDS = 0.3
"""For everything: connecting, asking and the head of the answer."""

BODY_BYTES = 1024
"""How much of a body may wait in memory until the connection is closed; Triton's answer has none."""

Ask = Callable[[str, str], Awaitable[bool]]
"""Takes a pod's address and a model's name."""


@asynccontextmanager
async def asker(port: int = HTTP_PORT, seconds: float = TIMEOUT_SECONDS) -> AsyncIterator[Ask]:
    """What asks, for as long as the block runs. How many are asked at once is the caller's affair."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=seconds),
        headers={"Connection": "close", "User-Agent": "heteroserve"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=BODY_BYTES,
    ) as session:

        async def ask(address: str, model: str) -> bool:
            try:
                async with session.get(ready_url(address, port, model), allow_redirects=False) as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, TimeoutError, OSError):
                return False

        yield ask


def ready_url(address: str, port: int, model: str) -> str:
    """Asks for the model in any version: while one replaces another, the old replicas are as healthy as before."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/v2/models/{quote(model, safe='')}/ready"

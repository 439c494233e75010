"""Two ways to ask Triton what images show, HTTP and gRPC, behind one call; over one pool or fresh connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import aiohttp
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http
from tritonclient.utils import InferenceServerException

from kit import digits

RECONNECT_MILLISECONDS = 200  # gRPC's own back-off grows to two minutes and would outlive the failure it met


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the questions go. ``host`` is the Host header or authority that a gateway routes by."""

    http: str
    grpc: str
    host: str | None = None
    model: str = digits.MODEL
    fresh_connections: bool = False
    timeout: float = 5.0
    connections: int = 1000


class Asker(Protocol):
    """Asks one question at a time, any number at once; what fails raises."""

    protocol: str

    async def __aenter__(self) -> Self:
        """Open what the questions share."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        ...

    async def ask(self, images: digits.Images) -> list[int]:
        """The digit seen in each image."""
        ...

    async def statistics(self) -> tuple[int, int]:
        """How many images the server has read so far, and in how many batches."""
        ...


class _Asker:
    """What both protocols have in common: the pool, the time limit, and the reading of the answer."""

    protocol: str
    _library: Any
    _shared: Any = None

    def __init__(self, target: Target) -> None:
        """Nothing is opened yet: the clients want a running event loop."""
        self._target = target

    async def __aenter__(self) -> Self:
        if not self._target.fresh_connections:
            self._shared = self._client()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def ask(self, images: digits.Images) -> list[int]:
        """The digit seen in each image."""
        tensor = self._library.InferInput(digits.INPUT, list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        async with asyncio.timeout(self._target.timeout), self._connection() as client:
            result = await client.infer(self._target.model, [tensor], **self._options())
        return [int(answer) for answer in result.as_numpy(digits.OUTPUT).argmax(axis=1)]

    async def statistics(self) -> tuple[int, int]:
        """How many images the server has read so far, and in how many batches."""
        async with self._connection() as client:
            stats = (await self._statistics(client))["model_stats"][0]
        return int(stats.get("inference_count", 0)), int(stats.get("execution_count", 0))

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._shared is not None:
            yield self._shared
            return
        async with self._client() as client:
            yield client

    def _client(self) -> Any:
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        raise NotImplementedError

    async def _statistics(self, client: Any) -> Any:
        return await client.get_inference_statistics(self._target.model)


class HttpAsker(_Asker):
    """Asks over HTTP/1.1."""

    protocol = "http"
    _library = triton_http

    def _client(self) -> Any:
        target = self._target
        return triton_http.InferenceServerClient(
            target.http, conn_limit=target.connections, conn_timeout=target.timeout
        )

    def _options(self) -> dict[str, Any]:
        # a dictionary of its own for every request: the client writes into it
        return {"headers": {"Host": self._target.host} if self._target.host else {}}


class GrpcAsker(_Asker):
    """Asks over gRPC."""

    protocol = "grpc"
    _library = triton_grpc

    def _client(self) -> Any:
        options: list[tuple[str, Any]] = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),  # else a fresh client would share the old one's connection
            ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
            ("grpc.min_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
        ]
        if self._target.host:
            options.append(("grpc.default_authority", self._target.host))
        return triton_grpc.InferenceServerClient(self._target.grpc, channel_args=options)

    def _options(self) -> dict[str, Any]:
        return {"client_timeout": self._target.timeout}

    async def _statistics(self, client: Any) -> Any:
        return await client.get_inference_statistics(self._target.model, as_json=True)


ASKERS: dict[str, list[type[_Asker]]] = {"http": [HttpAsker], "grpc": [GrpcAsker], "both": [HttpAsker, GrpcAsker]}


def askers(target: Target, protocol: str) -> list[Asker]:
    """The askers for ``http``, ``grpc`` or ``both``."""
    return [kind(target) for kind in ASKERS[protocol]]


def reason(error: BaseException) -> str:
    """What went wrong with one question, in a line that groups with its like. Knows something to say of any error."""
    try:
        lines = _words(error).strip().splitlines()
    except Exception:  # noqa: BLE001  # an error that cannot tell of itself must not become another one
        lines = []
    return lines[0] if lines else type(error).__name__


def _words(error: BaseException) -> str:
    match error:
        case InferenceServerException():
            status = str(error.status() or "").removeprefix("StatusCode.")
            message = str(error.message() or "")
            text = str(error.debug_details() or "") if "decoding the response" in message else message
            return f"{status} {text}"
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientError() | OSError():
            return f"{type(error).__name__} {error}"
        case _:
            return repr(error)

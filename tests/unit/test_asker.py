"""One question to a pod, over real connections to whatever may answer on its port."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

import builders
from clock import Clock, run
from heteroserve.observe.asker import BEAT_SECONDS, Pulse, asker, ready_url

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMIT = 0.3
PATIENCE = 30.0
"""However busy the machine is: a limit that nobody reaches who answers, or hangs up, or is given up at the other."""
OK = b"HTTP/1.1 200 OK\r\n"


def says(text: bytes) -> Answer:
    """Answers, and leaves the line open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await reader.read()

    return answer


def drips(head: bytes, drop: bytes) -> Answer:
    """Answers without end, for as long as somebody takes it."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.005)

    return answer


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def is_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


class Pod:
    """Something that listens on loopback: what it was asked, and how many who asked have hung up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.left = asyncio.Semaphore(0)
        self.port = 0
        self.lines: set[asyncio.Task[None]] = set()

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.add(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            await self.answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # who asked has gone
        finally:
            self.left.release()
            writer.transport.abort()

    async def stop(self) -> None:
        for line in self.lines:
            line.cancel()
        await asyncio.gather(*self.lines, return_exceptions=True)


@contextlib.asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[Pod]:
    pod = Pod(answer)
    server = await asyncio.start_server(pod.take, "127.0.0.1", 0)
    async with server:
        pod.port = server.sockets[0].getsockname()[1]
        yield pod
        await pod.stop()


@dataclass(frozen=True, kw_only=True)
class Case:
    answer: Answer
    limit: float = 2 * PATIENCE
    want: bool
    want_asked: int = 1


ANSWERS = {
    "ready": Case(answer=says(OK + b"Content-Length: 0\r\n\r\n"), want=True),
    "ready, in an old tongue": Case(answer=says(b"HTTP/1.0 200 OK\r\n\r\n"), want=True),
    "ready, with a body that nobody waits for": Case(answer=says(OK + b"Content-Length: 9999\r\n\r\n"), want=True),
    "ready, with a body without end": Case(
        answer=drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n     \r\n" * 1000), want=True
    ),
    "ready, in a packing that is none": Case(answer=says(OK + b"Content-Encoding: gzip\r\n\r\nno gzip"), want=True),
    "not ready": Case(answer=says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), want=False),
    "an error": Case(answer=says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), want=False),
    "another good answer than Triton's": Case(answer=says(b"HTTP/1.1 204 No Content\r\n\r\n"), want=False),
    "a way to somewhere else": Case(
        answer=says(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"), want=False
    ),
    "a hung up line, which the library tries once more": Case(answer=hangs_up, want=False, want_asked=2),
    "no HTTP": Case(answer=says(b"220 mail.example ESMTP\r\n\r\n"), want=False),
    "a head that breaks its rules": Case(answer=says(OK + b"Content-Length: -1\r\n\r\n"), want=False),
    "a head that is too long": Case(answer=says(OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n"), want=False),
    "a head of too many lines": Case(answer=says(OK + b"X: x\r\n" * 10_000 + b"\r\n"), want=False),
    "silence": Case(answer=is_silent, limit=LIMIT, want=False),
    "half a head": Case(answer=says(b"HTTP/1.1 200"), limit=LIMIT, want=False),
    "a head drop by drop": Case(answer=drips(OK + b"X: ", b"x"), limit=LIMIT, want=False),
}


@builders.table(ANSWERS)
async def test_what_answers_is_ready_or_not_and_holds_nobody_up(case: Case) -> None:
    async with listening(case.answer) as pod, asker(pod.port, case.limit, late_seconds=math.inf) as ask:
        assert await asyncio.wait_for(ask("127.0.0.1", "digits"), PATIENCE) is case.want
        assert len(pod.asked) == case.want_asked or case.limit == LIMIT  # a short time may not be enough to be heard
        await asyncio.wait_for(pod.left.acquire(), PATIENCE)  # the line is closed, whatever the other side does


async def test_nobody_listens() -> None:
    async with listening(is_silent) as pod:
        port = pod.port
    async with asker(port, PATIENCE) as ask:
        assert await ask("127.0.0.1", "digits") is False


async def test_what_is_no_address_is_no_answer() -> None:
    async with asker(1, PATIENCE) as ask:
        assert await ask("256.0.0.1.invalid", "digits") is False


async def test_every_question_has_a_line_of_its_own() -> None:
    async with listening(says(OK + b"Connection: keep-alive\r\nContent-Length: 0\r\n\r\n")) as pod:
        async with asker(pod.port, PATIENCE) as ask:
            for _ in range(3):
                assert await ask("127.0.0.1", "digits")
                await asyncio.wait_for(pod.left.acquire(), PATIENCE)
        assert len(pod.asked) == 3
    assert all(asked.startswith(b"GET /v2/models/digits/ready HTTP/1.1\r\n") for asked in pod.asked)
    assert all(b"\r\nConnection: close\r\n" in asked for asked in pod.asked)


async def test_many_are_asked_at_once() -> None:
    all_asked = asyncio.Barrier(150)

    async def waits_for_the_others(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await all_asked.wait()
        await says(OK + b"Content-Length: 0\r\n\r\n")(reader, writer)

    async with listening(waits_for_the_others) as pod, asker(pod.port, PATIENCE) as ask:
        assert await asyncio.gather(*(ask("127.0.0.1", "digits") for _ in range(150))) == [True] * 150


# --- When it is we who are late --------------------------------------------------------------------------------------


def hold(seconds: float) -> None:
    """Nobody else has a turn on the event loop."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end:
        pass


HOLDS: dict[str, tuple[float, float]] = {
    "until after its time": (0.1, 0.4),
    "within its time": (0.05, 0.2),
}


@builders.table(HOLDS)
async def test_what_times_out_while_the_loop_is_held_is_no_answer(case: tuple[float, float]) -> None:
    after, seconds = case
    async with listening(is_silent) as pod, asker(pod.port, LIMIT) as ask:
        asyncio.get_running_loop().call_later(after, hold, seconds)
        assert await ask("127.0.0.1", "digits") is None


async def test_what_answers_or_refuses_while_the_loop_is_held_has_answered() -> None:
    async with listening(says(OK + b"Content-Length: 0\r\n\r\n")) as pod, asker(pod.port, PATIENCE) as ask:
        asyncio.get_running_loop().call_soon(hold, 0.2)
        assert await ask("127.0.0.1", "digits") is True
        port = pod.port
    async with asker(port, PATIENCE) as ask:
        asyncio.get_running_loop().call_soon(hold, 0.2)
        assert await ask("127.0.0.1", "digits") is False


def test_a_pulse_notices_for_how_long_a_loop_was_held() -> None:
    async def story(seconds: float) -> tuple[bool, bool]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clock)
        with contextlib.closing(Pulse()) as pulse:
            await asyncio.sleep(1)
            loop.seconds += seconds
            asked = loop.time()
            await asyncio.sleep(BEAT_SECONDS)
            return pulse.was_held_since(1.0), pulse.was_held_since(asked + BEAT_SECONDS)

    assert [run(story(seconds)) for seconds in (0, 0.09, 0.2, 5)] == [
        (False, False),
        (False, False),
        (True, False),
        (True, False),
    ]


async def test_a_name_gets_into_the_path_as_one_part_of_it() -> None:
    async with listening(says(OK + b"Content-Length: 0\r\n\r\n")) as pod, asker(pod.port, PATIENCE) as ask:
        assert await ask("127.0.0.1", "a/../b c?d#e%2f\r\nX y")
    assert pod.asked[0].startswith(b"GET /v2/models/a%2F..%2Fb%20c%3Fd%23e%252f%0D%0AX%20y/ready HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("10.0.0.7", "http://10.0.0.7:8000/v2/models/digits/ready"),
        ("fd00::7", "http://[fd00::7]:8000/v2/models/digits/ready"),
    ],
)
def test_addresses(address: str, want: str) -> None:
    assert ready_url(address, 8000, "digits") == want

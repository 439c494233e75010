"""A drill that is ended from outside: a real process and real signals, on a cluster in its memory.

The process writes down what it writes into the cluster, so nobody has to guess how far it is.
"""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

import builders

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join(str(ROOT / folder) for folder in ("operator", "tests", "tests/unit"))
DRILL = """
import contextlib, fcntl, os, sys, termios
import test_cli
from drill_world import World
from heteroserve import cli
from heteroserve.cli import conduct

if os.isatty(2):
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
world = World(written=lambda world: os.write(int(sys.argv[1]), f"{world.writes[-1]}\\n".encode()))

@contextlib.asynccontextmanager
async def connected(*_):
    yield world

async def look(*_):
    return test_cli.fleet(test_cli.serving(cpu=1, gpu=1))

cli.connected, cli.look = connected, look
conduct.LOOK_SECONDS = 0.05  # an hour's drill takes three minutes
sys.exit(cli.main(["drill", "--class", "gpu", "--force", "--yes", "--for", "1h", "--prometheus", "none"]))
"""


Listen = Callable[[], tuple[int, int]]


@dataclass(kw_only=True)
class Running:
    """A drill under way. `writes` are the annotation's values, one in a line; `heard` is where somebody reads it."""

    process: subprocess.Popen[bytes]
    writes: IO[str]
    heard: int

    def hang_up(self) -> None:
        os.close(self.heard)
        self.heard = -1


Start = Callable[[Listen], Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a drill that writes into a pipe or into a terminal of its own."""
    started: list[Running] = []

    def begin(listen: Listen) -> Running:
        heard, told = listen()
        writes, write = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-c", DRILL, str(write)],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            env={**os.environ, "PYTHONPATH": PATH},
            pass_fds=(write,),
            start_new_session=True,
        )
        os.close(told)
        os.close(write)
        started.append(Running(process=process, writes=os.fdopen(writes), heard=heard))
        return started[-1]

    yield begin
    for running in started:
        with running.process, running.writes:
            running.process.kill()
        if running.heard >= 0:
            running.hang_up()


def out_of_the_traffic(running: Running) -> None:
    """Waits until it says so."""
    seen = b""
    while b"out of the traffic" not in seen:
        more = os.read(running.heard, 4096)
        assert more, seen.decode()
        seen += more
    assert running.writes.readline().startswith("2026-01-02T13:00:0")


@dataclass(frozen=True, kw_only=True)
class Case:
    number: signal.Signals | None
    listen: Listen = os.pipe
    hangs_up: bool = False


CASES = {
    "Ctrl-C": Case(number=signal.SIGINT),
    "Ctrl-C in a terminal": Case(number=signal.SIGINT, listen=pty.openpty),
    "Ctrl-C, and what it was piped into died of the same": Case(number=signal.SIGINT, hangs_up=True),
    "an end from outside, and nobody reads any more": Case(number=signal.SIGTERM, hangs_up=True),
    "a terminal that is closed": Case(number=None, listen=pty.openpty, hangs_up=True),
}


@builders.table(CASES)
def test_the_annotation_is_taken_away(case: Case, start: Start) -> None:
    running = start(case.listen)
    out_of_the_traffic(running)
    if case.hangs_up:
        running.hang_up()
    if case.number:
        running.process.send_signal(case.number)
    assert running.process.wait(timeout=20) == 130
    assert running.writes.read() == "None\n"

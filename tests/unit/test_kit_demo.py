"""The demo breaks a node of a cluster that stays up: it mends it again, whatever happens in between."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from rich.console import Console

from kit import demo
from kit.load import Load
from kit.table import ClassRow
from kit.watch import Watch


class StoppedWatch(Watch):
    """A watch that sees one replica on worker3, and whose waiting ends with an error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(cluster=None)  # type: ignore[arg-type]  # nothing looks
        self.rows = [ClassRow(name=demo.DEAD_CLASS, nodes=["worker3"], ready=1, wanted=1, weight=40)]
        self.error = error

    async def until(self, true: Callable[[Any], bool], *, within: float) -> float | None:
        raise self.error


def nodes_that(fail_at: str, done: list[str]) -> Callable[[str, str], Awaitable[None]]:
    async def node(verb: str, name: str) -> None:
        done.append(f"{verb} {name}")
        if verb == fail_at:
            raise OSError(verb)

    return node


INTERRUPTED = {
    "somebody presses Ctrl-C": (asyncio.CancelledError(), "never"),
    "the API server answers nonsense": (ValueError("nonsense"), "never"),
    "the node is killed only by half": (ValueError("not reached"), "kill"),
}


@pytest.mark.parametrize(("error", "fail_at"), INTERRUPTED.values(), ids=INTERRUPTED.keys())
async def test_the_killed_node_is_restored(error: BaseException, fail_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(demo, "node", nodes_that(fail_at, done))
    console = Console(file=io.StringIO())
    story = demo.Story(console=console, cluster=None, watch=StoppedWatch(error))  # type: ignore[arg-type]
    with pytest.raises(OSError if fail_at == "kill" else type(error)):
        await demo.kill(story, Load([], [], rate=1))
    assert done == ["kill heteroserve-worker3", "restore heteroserve-worker3"]

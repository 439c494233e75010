"""Following a deployment while something is done to it: the rows, what was decided since, and how long it took.

One task looks once a second and remembers; the story that is being told asks it to wait until something is true.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.live import Live

from kit.cluster import Cluster, View
from kit.load import Load
from kit.table import ClassRow, Event, render

LOOK_SECONDS = 1.0
QUIET_SECONDS = 15.0  # between two tables where there is no screen to draw on


class Watch:
    """What is known of one deployment; `view` is never older than some seconds while `following` runs."""

    def __init__(self, cluster: Cluster, load: Load | None = None) -> None:
        """Nothing is asked yet."""
        self.view = View(deployment={}, pods=[])
        self.rows: list[ClassRow] = []
        self.events: list[Event] = []
        self.load = load
        self.title = "digits"
        self._cluster = cluster
        self._seen: set[str] = set()

    async def look(self) -> None:
        """One look; new decisions become events."""
        self.view = await self._cluster.look()
        self.rows = await self._cluster.rows(self.view)
        for decision in reversed(self.view.status.get("decisions", ())):
            key = str(decision)
            if key not in self._seen:
                self._seen.add(key)
                self.tell(_sentence(decision), decision["reason"], at=datetime.fromisoformat(decision["time"]))

    def tell(
        self,
        what: str,
        reason: str = "",
        *,
        seconds: float | None = None,
        failed: int | None = None,
        at: datetime | None = None,
    ) -> None:
        """Adds something that happened to the log."""
        at = (at or datetime.now(UTC)).astimezone()
        self.events.append(Event(at=at, what=what, reason=reason, seconds=seconds, failed=failed))

    def drawn(self) -> RenderableType:
        """The table as it stands."""
        title = self.title
        if self.load:
            summary = self.load.summary(time.time() - 10)
            title += f"   last 10 s: {summary.sent} sent, {summary.failed} failed, {summary.wrong} wrong"
            if summary.latency:
                title += f", p50 {summary.latency.p50:.0f} ms, p99 {summary.latency.p99:.0f} ms"
        return render(title, self.rows, self.events)

    async def until(self, true: Callable[[View], bool], *, within: float) -> float | None:
        """Waits until a look shows something; returns after how many seconds, or None when it did not come in time."""
        start = time.monotonic()
        while not true(self.view):
            if time.monotonic() - start > within:
                return None
            await asyncio.sleep(LOOK_SECONDS / 4)
        return time.monotonic() - start


@contextlib.asynccontextmanager
async def following(watch: Watch, console: Console) -> AsyncIterator[None]:
    """Looks again and again and shows the table, live on a screen and now and then in a log."""
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(Live(console=console, auto_refresh=False)) if console.is_terminal else None
        task = asyncio.create_task(_follow(watch, console, live))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await watch.look()
            if live:
                live.update(watch.drawn(), refresh=True)
            else:
                console.print(watch.drawn())


async def _follow(watch: Watch, console: Console, live: Live | None) -> None:
    shown = time.monotonic()
    while True:
        with contextlib.suppress(Exception):  # an API server that is busy is asked again a second later
            await watch.look()
        if live:
            live.update(watch.drawn(), refresh=True)
        elif time.monotonic() - shown > QUIET_SECONDS:
            console.print(watch.drawn())
            shown = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)


def total(rows: Iterable[ClassRow]) -> int:
    """Replicas wanted over all classes."""
    return sum(row.wanted for row in rows)


def _sentence(decision: dict[str, str]) -> str:
    return f"{decision.get('class') or 'traffic'}: {decision.get('from', '')} → {decision.get('to', '')}"

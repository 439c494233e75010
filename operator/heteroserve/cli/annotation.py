"""The annotation that is the drill: set, and taken away whatever happens.

Invariants: from the moment that it may stand until it is taken away, everything leads through taking it away: an error,
Ctrl-C, a signal to end. If that fails, its own time is the end of it, and the person is told. What somebody else wrote
is neither overwritten nor taken away: every write is to the object as it was read.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime

from heteroserve import kube
from heteroserve.cli.arguments import Refused
from heteroserve.cli.connect import Connection
from heteroserve.cli.forecast import Target, What
from heteroserve.errors import HeteroserveError, Reject, Retry
from heteroserve.kube import Object
from heteroserve.observe.parse import parse_time
from heteroserve.render.metadata import DRILL_ANNOTATION

TRIES = 3
PAUSE_SECONDS = 1.0
KINDS = {What.NODE: kube.NODE, What.CLASS: kube.HARDWARE_CLASS}
CHANGED = "Conflict"
"""Why a write is refused to an object that is not any more as it was read."""
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Tell = Callable[[str], None]


class Annotation:
    """The drill's annotation on one object. `left`: why one still stands there after ours, and until when."""

    def __init__(self, connection: Connection, target: Target, tell: Tell) -> None:
        self._connection = connection
        self._target = target
        self._tell = tell
        self._ours = ""
        self.left = ""

    async def free(self) -> Object:
        """The metadata of the object, on which no other drill stands. Raises `Refused` and `HeteroserveError`."""
        head = await self._head()
        if head is None:
            raise Refused(f"the {self._target} is gone: name another")
        refuse_a_second(self._target, parse_time(_value(head)), self._connection.now())
        return head

    @asynccontextmanager
    async def standing(self, head: Object, until: datetime) -> AsyncIterator[None]:
        """It stands within the block. Raises `Refused` when the API server or somebody else's drill does not let us."""
        self._ours = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        with _cancelled_by_signals(self._tell) as disarm:
            try:
                await self._set(head)
                yield
            except Refused:  # it never stood
                raise
            except BaseException:
                disarm()
                await self._take_away(until)
                raise
            disarm()
            await self._take_away(until)

    async def lost(self) -> str:
        """What somebody else did to the annotation; empty while it is ours."""
        head = await self._head()
        if head is None:
            return f"the {self._target} is gone"
        value = _value(head)
        if value == self._ours:
            return ""
        return f"somebody else set its annotation to {value}" if value else "somebody else took its annotation away"

    async def _set(self, head: Object) -> None:
        """Nodes change often, and by many hands: one that changed is looked at anew, for a drill that began first."""
        for _ in range(TRIES):
            try:
                return await self._write(head, self._ours)
            except Reject as error:
                kind = KINDS[self._target.what].plural
                remedy = f"a drill needs the right to patch {kind}"
                raise Refused(f"the annotation cannot be set: {error.message}: {remedy}") from error
            except Retry as error:
                if error.reason != CHANGED:
                    raise
            head = await self.free()
        raise Refused(f"somebody else changes the {self._target} all the time: nothing was done, try again")

    async def _take_away(self, until: datetime) -> None:
        problem = ""
        for _ in range(TRIES):
            try:
                return await self._take_ours_away()
            except HeteroserveError as error:
                problem = error.message
                await asyncio.sleep(PAUSE_SECONDS)
        return self._leave(problem, until)

    async def _take_ours_away(self) -> None:
        """What was lost in earnest carries none; another drill's is left to whoever began it."""
        head = await self._head()
        value = _value(head or {})
        if head and value == self._ours:
            return await self._write(head, None)
        until = parse_time(value)
        if until and until > self._connection.now():
            self._leave("somebody else set it", until)
        return None

    def _leave(self, why: str, until: datetime) -> None:
        end = f"the drill ends by itself at {_clock(until)}, or at once with {ends_it(self._target)}"
        self.left = f"{why}: {end}"
        self._tell(f"warning: the annotation is left behind: {self.left}")

    async def _head(self) -> Object | None:
        raw = await self._connection.kube.get(KINDS[self._target.what], None, self._target.name)
        return raw and raw["metadata"]

    async def _write(self, head: Object, value: str | None) -> None:
        kind, version = KINDS[self._target.what], head["resourceVersion"]
        changes = {"annotations": {DRILL_ANNOTATION: value}, "resourceVersion": version}
        await self._connection.kube.merge_metadata(kind, "", self._target.name, changes, uid=head["uid"])


def _value(head: Object) -> str | None:
    value: str | None = head.get("annotations", {}).get(DRILL_ANNOTATION)
    return value


def _clock(time: datetime) -> str:
    """Who annotates by hand may write any zone."""
    return f"{time.astimezone(UTC):%H:%M:%SZ}"


def refuse_a_second(target: Target, until: datetime | None, now: datetime) -> None:
    """Two drills of the same thing would end each other. Raises `Refused`."""
    if until is not None and until > now:
        remedy = f"wait, or end it with {ends_it(target)}"
        raise Refused(f"a drill of the {target} is under way until {_clock(until)}: {remedy}")


def ends_it(target: Target) -> str:
    """The command that ends a drill by hand."""
    kind = "node" if target.what is What.NODE else "hwc"
    return f"kubectl annotate {kind} {target.name} {DRILL_ANNOTATION}-"


@contextmanager
def _cancelled_by_signals(tell: Tell) -> Iterator[Callable[[], None]]:
    """Within the block a signal to end cancels the task, until `disarm` is called: taking away is not cut short."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    armed = True

    def disarm() -> None:
        nonlocal armed
        armed = False

    def end() -> None:
        if armed and task:
            task.cancel()
        disarm()
        tell("the drill is being ended: its annotation is taken away")  # last: nothing said may keep it from ending

    with suppress(NotImplementedError):  # a system without such signals: Ctrl-C then cancels the task by itself
        for number in ENDING:
            loop.add_signal_handler(number, end)
    try:
        yield disarm
    finally:
        with suppress(NotImplementedError):
            for number in ENDING:
                loop.remove_signal_handler(number)

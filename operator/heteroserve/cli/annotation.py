"""The annotation that is the drill: set, and taken away whatever happens.

Invariant: from the moment that it may stand until it is taken away, everything leads through taking it away: an error,
Ctrl-C, a signal to end. If that fails, its own time is the end of it, and the person is told.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime

from heteroserve import kube
from heteroserve.cli.arguments import Refused
from heteroserve.cli.connect import Connection
from heteroserve.cli.forecast import Target, What
from heteroserve.errors import HeteroserveError, Reject
from heteroserve.observe.parse import parse_time
from heteroserve.render.metadata import DRILL_ANNOTATION

TRIES = 3
PAUSE_SECONDS = 1.0
KINDS = {What.NODE: kube.NODE, What.CLASS: kube.HARDWARE_CLASS}
GONE = "NotFound"
"""What was lost in earnest meanwhile carries no annotation of ours."""
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Tell = Callable[[str], None]


class Annotation:
    """The drill's annotation on one object. `left` says why it could not be taken away."""

    def __init__(self, connection: Connection, target: Target, tell: Tell) -> None:
        self._connection = connection
        self._target = target
        self._tell = tell
        self.left = ""

    async def uid(self) -> str:
        """Of exactly this object, on which no other drill stands. Raises `Refused` and `HeteroserveError`."""
        raw = await self._connection.kube.get(KINDS[self._target.what], None, self._target.name)
        if raw is None:
            raise Refused(f"the {self._target} is gone: name another")
        stands = parse_time(raw["metadata"].get("annotations", {}).get(DRILL_ANNOTATION))
        refuse_a_second(self._target, stands, self._connection.now())
        uid: str = raw["metadata"]["uid"]
        return uid

    @asynccontextmanager
    async def standing(self, uid: str, until: datetime) -> AsyncIterator[None]:
        """It stands within the block. Raises `Refused` when the API server does not let us."""
        with _cancelled_by_signals(self._tell) as disarm:
            try:
                await self._set(uid, until)
                yield
            except Refused:  # it never stood
                raise
            except BaseException:
                disarm()
                await self._take_away(uid, until)
                raise
            disarm()
            await self._take_away(uid, until)

    async def _set(self, uid: str, until: datetime) -> None:
        try:
            await self._write(uid, until.strftime("%Y-%m-%dT%H:%M:%SZ"))
        except Reject as error:
            kind = KINDS[self._target.what].plural
            remedy = f"a drill needs the right to patch {kind}"
            raise Refused(f"the annotation cannot be set: {error.message}: {remedy}") from error

    async def _take_away(self, uid: str, until: datetime) -> None:
        problem = ""
        for _ in range(TRIES):
            try:
                await self._write(uid, None)
            except HeteroserveError as error:
                problem = error.message
                if error.reason == GONE:
                    return
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return
        self.left = problem
        end = f"the drill ends by itself at {until:%H:%M:%SZ}, or at once with {ends_it(self._target)}"
        self._tell(f"warning: the annotation could not be taken away ({problem}): {end}")

    async def _write(self, uid: str, value: str | None) -> None:
        kind, changes = KINDS[self._target.what], {"annotations": {DRILL_ANNOTATION: value}}
        await self._connection.kube.merge_metadata(kind, "", self._target.name, changes, uid=uid)


def refuse_a_second(target: Target, until: datetime | None, now: datetime) -> None:
    """Two drills of the same thing would end each other. Raises `Refused`."""
    if until is not None and until > now:
        remedy = f"wait, or end it with {ends_it(target)}"
        raise Refused(f"a drill of the {target} is under way until {until:%H:%M:%SZ}: {remedy}")


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
        tell("the drill is being ended: its annotation is taken away")
        if armed and task:
            task.cancel()
        disarm()

    with suppress(NotImplementedError):  # a system without such signals: Ctrl-C then cancels the task by itself
        for number in ENDING:
            loop.add_signal_handler(number, end)
    try:
        yield disarm
    finally:
        with suppress(NotImplementedError):
            for number in ENDING:
                loop.remove_signal_handler(number)

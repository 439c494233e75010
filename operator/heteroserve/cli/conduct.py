"""Conducting a drill: watches where the traffic goes while the annotation stands, and until all is back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from heteroserve import kube
from heteroserve.cli.annotation import Annotation
from heteroserve.cli.connect import Connection
from heteroserve.cli.course import Course, Reading, Readings, describe, is_away, is_back, read, trusted_in
from heteroserve.cli.forecast import Target
from heteroserve.cli.terminal import Terminal
from heteroserve.errors import HeteroserveError
from heteroserve.model.deployment import Key

LOOK_SECONDS = 1.0
AWAY_WITHIN_SECONDS = 10.0
BACK_WITHIN_SECONDS = 180.0
"""Steps of trust take half a minute; after a trouble, two minutes come before them."""

Seconds = dict[Key, float | None]
Done = Callable[[Key, Reading], bool]


@dataclass(slots=True, kw_only=True)
class Notes:
    """What is noted on the way."""

    before: Readings
    last: Readings = field(default_factory=dict)
    during: Readings = field(default_factory=dict)
    away: Seconds = field(default_factory=dict)
    back: Seconds = field(default_factory=dict)
    away_at: datetime | None = None
    """When all of it was seen away last."""
    broken_off: str = ""


Step = Callable[[Notes, datetime], Awaitable[None]]


class Drill:
    """One drill. `keys` are the deployments that it moves."""

    def __init__(self, connection: Connection, target: Target, keys: tuple[Key, ...], terminal: Terminal) -> None:
        self._connection = connection
        self._target = target
        self._keys = keys
        self._terminal = terminal
        self._annotation = Annotation(connection, target, terminal.tell)

    async def run(self, length: timedelta) -> Course:
        """The drill, from beginning to end. Raises `Refused` or `HeteroserveError` when it cannot begin.

        Whatever goes wrong later is in the course, but being cancelled.
        """
        head = await self._annotation.free()
        before = await self._read()
        notes = Notes(before=before, last=before)
        began = self._connection.now()
        until = (began + length).replace(microsecond=0)
        async with self._annotation.standing(head, until):
            await self._noting_errors(notes, self._watch_while_it_stands, until)
        ended, notes.during = self._connection.now(), notes.last
        if not self._annotation.left:
            await self._noting_errors(notes, self._wait_until_back, until)
        self._terminal.close()
        return Course(
            target=self._target,
            began=began,
            ended=ended,
            until=until,
            over=self._connection.now(),
            away_seconds={key: notes.away.get(key) for key in self._keys},
            back_seconds={key: notes.back.get(key) for key in self._keys},
            before=notes.before,
            during=notes.during,
            after=notes.last,
            broken_off=notes.broken_off,
            left_behind=self._annotation.left,
        )

    async def _noting_errors(self, notes: Notes, step: Step, until: datetime) -> None:
        """An error ends the step, and is told in the report."""
        try:
            await step(notes, until)
        except HeteroserveError as error:
            notes.broken_off = notes.broken_off or error.message

    async def _watch_while_it_stands(self, notes: Notes, until: datetime) -> None:
        def is_done(_: Key, reading: Reading) -> bool:
            return is_away(reading, self._target)

        await self._watch(notes.away, AWAY_WITHIN_SECONDS, "the traffic goes", is_done, notes)
        stuck = ", ".join(str(key) for key, seconds in notes.away.items() if seconds is None)
        if stuck:
            still = f"the traffic of {stuck} did not move within {AWAY_WITHIN_SECONDS:g} s"
            notes.broken_off = await self._annotation.lost() or still
        else:
            await self._hold(until, notes)

    async def _hold(self, until: datetime, notes: Notes) -> None:
        """Until the time is over, or until this is not any more what was asked for."""
        while (left := (until - self._connection.now()).total_seconds()) > 0:
            notes.broken_off = await self._annotation.lost() or await self._look(notes, f"{left:.0f} s left")
            if notes.broken_off:
                return
            await asyncio.sleep(min(LOOK_SECONDS, left))

    async def _look(self, notes: Notes, clock: str) -> str:
        """Why the drill is to be broken off, by what is seen of the deployments."""
        notes.last = await self._read()
        self._terminal.show(f"out of the traffic; {describe(notes.last)}", clock)
        return _not_ready(notes) or self._not_away(notes)

    def _not_away(self, notes: Notes) -> str:
        """A pod that comes up there is in the traffic for a moment, until the operator sees it."""
        now = self._connection.now()
        returned = [str(key) for key, reading in notes.last.items() if not is_away(reading, self._target)]
        if not returned or notes.away_at is None:
            notes.away_at = now
        seconds = (now - notes.away_at).total_seconds()
        if seconds <= AWAY_WITHIN_SECONDS:
            return ""
        return f"the traffic of {', '.join(returned)} came back {seconds:.0f} s ago, and the annotation stands"

    async def _wait_until_back(self, notes: Notes, _: datetime) -> None:
        def is_done(key: Key, reading: Reading) -> bool:
            return is_back(reading, self._target, notes.before[key], self._connection.now())

        await self._watch(notes.back, BACK_WITHIN_SECONDS, "the traffic comes back", is_done, notes)

    async def _watch(self, found: Seconds, within_seconds: float, what: str, is_done: Done, notes: Notes) -> None:
        """Looks until it is so for every deployment, and notes when; `None` for those where it never was.

        One that is gone is not waited for.
        """
        start = time.monotonic()
        found.update(dict.fromkeys(self._keys))
        while True:
            notes.last = await self._read()
            seconds = time.monotonic() - start
            done = [key for key in self._keys if found[key] is None and is_done(key, notes.last[key])]
            found.update(dict.fromkeys(done, seconds))
            coming = self._trusted_in(notes.last) if found is notes.back else ""
            self._terminal.show(f"{what}; {describe(notes.last)}", f"{seconds:.0f} s{coming}")
            missing = any(found[key] is None and notes.last[key].weights for key in self._keys)
            if not missing or seconds > within_seconds:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _trusted_in(self, readings: Readings) -> str:
        now = self._connection.now()
        seconds = max((trusted_in(r, self._target, now) for r in readings.values()), default=0.0)
        return f", trusted in full in {seconds:.0f} s" if seconds else ""

    async def _read(self) -> dict[Key, Reading]:
        found = await asyncio.gather(*(self._read_one(key) for key in self._keys))
        return dict(zip(self._keys, found, strict=True))

    async def _read_one(self, key: Key) -> Reading:
        raw = await self._connection.kube.get(kube.INFERENCE_DEPLOYMENT, key.namespace, key.name)
        pods = await self._connection.kube.list(kube.POD, lambda pod: pod, key.namespace)
        return read(raw, pods or [])


def _not_ready(notes: Notes) -> str:
    failed = {k: r.trouble for k, r in notes.last.items() if r.trouble and not notes.before[k].trouble}
    told = "; ".join(f"{key}: {trouble}" for key, trouble in failed.items())
    return f"not Ready any more: {told}" if failed else ""

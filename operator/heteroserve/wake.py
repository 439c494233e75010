"""The queue that everything wakes: keyed, coalescing, with pauses that grow with failures.

Invariants: a key is worked on by one worker at a time; waking it meanwhile runs it once more afterwards; failures of
one key delay nobody else; what failed in the cluster is taken before what could be better. What could not be mended is
tried again in turn with the usual, so that neither starves the other. Only news ends the pause after a failed reconcile
before its time: a routine call does not. That the API server is back is news for everybody.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum

LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a reconcile is about: an object by kind, namespace (empty if it has none) and name."""

    kind: str
    namespace: str
    name: str


class Call(IntEnum):
    """Why a reconcile is asked for: of two calls for the same subject, the higher one counts."""

    ROUTINE = 0
    """It is time to look again."""
    CHANGE = 1
    """Something is not as it was."""
    FAILURE = 2
    """A node or a pod is worse than it was: something may have failed."""


def pause_seconds(failures: int) -> float:
    """How long to wait after this many failures in a row."""
    return min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** min(failures, 10)) if failures > 0 else 0.0


class Wake:
    """The queue."""

    def __init__(self) -> None:
        self._urgent: OrderedDict[Subject, None] = OrderedDict()
        self._retries: OrderedDict[Subject, None] = OrderedDict()
        self._usual: OrderedDict[Subject, None] = OrderedDict()
        self._running: set[Subject] = set()
        self._again: dict[Subject, Call] = {}
        self._unmended: set[Subject] = set()
        """Taken as failures, and not worked on with success since."""
        self._retried_last = False
        self._failures: dict[Subject, int] = {}
        self._timers: dict[Subject, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def add(self, subject: Subject, call: Call = Call.CHANGE) -> None:
        """Asks for a reconcile; asking twice before it happens is asking once."""
        if subject in self._running:
            self._again[subject] = max(call, self._again.get(subject, call))
            return
        if call is Call.ROUTINE and self._pauses(subject):
            return
        if call is Call.FAILURE:
            self._usual.pop(subject, None)
            self._retries.pop(subject, None)
            self._urgent[subject] = None
        elif subject not in self._urgent:
            (self._retries if subject in self._unmended else self._usual)[subject] = None
        self._filled.set()

    def add_after(self, subject: Subject, seconds: float) -> None:
        """Asks for a reconcile later; a second call moves the time."""
        timer = self._timers.pop(subject, None)
        if timer:
            timer.cancel()
        self._timers[subject] = asyncio.get_running_loop().call_later(seconds, self._ring, subject)

    async def get(self, *, urgent_only: bool = False) -> Subject:
        """The next subject, those of failures first; the caller owes a `done` or `failed`."""
        while not self._urgent and (urgent_only or not (self._usual or self._retries)):
            self._filled.clear()
            await self._filled.wait()
        if self._urgent:
            subject, _ = self._urgent.popitem(last=False)
            self._unmended.add(subject)
        else:
            self._retried_last = bool(self._retries) and not (self._retried_last and self._usual)
            subject, _ = (self._retries if self._retried_last else self._usual).popitem(last=False)
        self._running.add(subject)
        return subject

    def done(self, subject: Subject) -> None:
        """The reconcile went well."""
        self._failures.pop(subject, None)
        self._unmended.discard(subject)
        self._leave(subject)

    def failed(self, subject: Subject) -> float:
        """The reconcile is to be tried again; returns after how many seconds."""
        self._failures[subject] = self._failures.get(subject, 0) + 1
        pause = pause_seconds(self._failures[subject])
        self.add_after(subject, pause)
        self._leave(subject)
        return pause

    def end_pauses(self) -> None:
        """What they were put off for is over: all that failed is tried now, and if it fails again it pauses shortly."""
        pausing = [subject for subject in self._timers if subject in self._failures]
        self._failures.clear()
        for subject in pausing:
            self._timers.pop(subject).cancel()
            self.add(subject)

    def _pauses(self, subject: Subject) -> bool:
        """Whether it waits out a failure. A timer without one is only an appointment."""
        return subject in self._failures and subject in self._timers

    def _leave(self, subject: Subject) -> None:
        self._running.discard(subject)
        if subject in self._again:
            self.add(subject, self._again.pop(subject))

    def _ring(self, subject: Subject) -> None:
        self._timers.pop(subject, None)
        self.add(subject, Call.ROUTINE)

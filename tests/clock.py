"""An event loop on which time passes at once: for stories of pauses, without a sleep."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Clock(asyncio.SelectorEventLoop):
    """An event loop that does not wait: when nothing is left to do, the next timer's time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def time(self) -> float:
        return self.seconds

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        due = [timer.when() for timer in timers if not timer.cancelled()]
        if not self._ready and due:  # type: ignore[attr-defined]
            self.seconds = max(self.seconds, min(due))
        super()._run_once()  # type: ignore[misc]


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a story on its own clock."""
    with asyncio.Runner(loop_factory=Clock) as runner:
        return runner.run(coroutine)


def now() -> float:
    """The story's time."""
    return asyncio.get_running_loop().time()

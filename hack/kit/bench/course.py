"""How far a trial has come, and what kept it from its end."""

import time
from dataclasses import dataclass

from heteroserve.errors import HeteroserveError
from kit import client
from kit.bench.reckon import Times
from kit.errors import UsageError


@dataclass(slots=True, kw_only=True)
class Course:
    """How far a trial has come, as it goes on; ``broken``: what kept it from its end. None: not yet, or never."""

    load_at: float | None = None
    fault_at: float | None = None
    injected: float | None = None
    returned: float | None = None
    mending: float | None = None
    mended: float | None = None
    stopped: float | None = None
    came: bool | None = None
    broken: str = ""

    def breaks(self, why: str) -> None:
        """Something went wrong; the rest goes on."""
        self.broken = "; ".join(filter(None, (self.broken, why)))

    def times(self) -> Times:
        """All times; what the trial never came to was when it was over."""
        now = time.time()
        mending = self.mending or now
        return Times(
            load_at=self.load_at or now,
            fault_at=self.fault_at or mending,
            injected=self.injected or mending,
            returned=self.returned,
            mending=mending,
            mended=self.mended or now,
            stopped=self.stopped or now,
        )


def told(error: Exception) -> str:
    """What went wrong, for a record."""
    return str(error) if isinstance(error, UsageError | HeteroserveError) else client.reason(error)

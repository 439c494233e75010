"""What became of each request, and what many of them add up to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request: when it was due (seconds since the epoch), what it took, and how it ended.

    ``latency`` and ``lag`` are seconds from the moment it was *due*: a request that waited for a busy sender has waited
    all the same. ``lag`` is the sender's part of it.
    """

    at: float
    latency: float
    lag: float
    protocol: str
    error: str | None = None
    wrong: bool = False

    def __str__(self) -> str:
        """One line for a log of failures, in local time."""
        due = datetime.fromtimestamp(self.at, tz=UTC).astimezone().isoformat(sep=" ", timespec="milliseconds")[11:23]
        what = self.error or ("wrong answer" if self.wrong else "ok")
        return f"{due}  {self.protocol}  after {self.latency * 1000:.0f} ms: {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds from due to answered, over the answered requests."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A window's figures. ``sent`` counts every request that was due; ``pending`` ones have no answer yet."""

    sent: int
    pending: int
    failed: int
    wrong: int
    latency: Latency | None
    lag_p99: float | None
    errors: dict[str, int]

    def __str__(self) -> str:
        """One line for a log."""
        took = "no answer"
        if self.latency and self.lag_p99 is not None:
            took = f"p50 {self.latency.p50:.1f}  p99 {self.latency.p99:.1f}  max {self.latency.max:.1f} ms"
            took += f"  (sender's part: p99 {self.lag_p99:.1f} ms)"
        return f"sent {self.sent}  pending {self.pending}  failed {self.failed}  wrong {self.wrong}  {took}"


def summarise(samples: Sequence[Sample], pending: int = 0) -> Summary:
    """The figures of some finished requests and of so many unfinished ones."""
    answered = [sample for sample in samples if sample.error is None]
    errors = Counter(sample.error for sample in samples if sample.error is not None)
    return Summary(
        sent=len(samples) + pending,
        pending=pending,
        failed=len(samples) - len(answered),
        wrong=sum(sample.wrong for sample in answered),
        latency=latency([sample.latency for sample in answered]),
        lag_p99=float(np.percentile([sample.lag for sample in answered], 99) * 1000) if answered else None,
        errors=dict(errors.most_common()),
    )


def latency(seconds: Sequence[float]) -> Latency | None:
    """The percentiles of some durations in milliseconds, None of none."""
    if not seconds:
        return None
    p50, p99, longest = np.percentile(np.asarray(seconds) * 1000, [50, 99, 100])
    return Latency(p50=float(p50), p99=float(p99), max=float(longest))


def failures(samples: Iterable[Sample]) -> list[Sample]:
    """The requests that failed or were answered wrongly, in the order in which they were due."""
    return sorted((sample for sample in samples if sample.error or sample.wrong), key=lambda sample: sample.at)

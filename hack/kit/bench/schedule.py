"""Which trials there are, in which order, with which seeds; which of them are still to do, and how long that takes.

Pure. Rounds over all faults, so that a run that is stopped early has some of each. A trial's seed settles its victim,
its images, its arrivals and the moment of its fault; it does not depend on the target, so that the comparisons meet
the same.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault
from kit.bench.trial import Target, Trial, key
from kit.errors import UsageError

RATE = 50.0
"""Requests per second, where neither the user nor the fault's row says another rate."""
AROUND_SECONDS = 75.0
"""What a trial takes beside its fault: making the deployment, the load before and after, the repair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A trial to do."""

    fault: str
    number: int
    seed: int


def chosen(names: str) -> list[str]:
    """The faults of a list with commas, each once: a second time would have the same seeds. `all`: all of them."""
    if names == "all":
        return list(FAULTS)
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",")))
    if unknown := [name for name in wanted if name not in FAULTS]:
        raise UsageError(f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}")
    return wanted


def by_rate(names: Sequence[str], rate: float | None) -> dict[float, list[str]]:
    """The faults by their rate: the user's for all, or else each fault's own."""
    groups: dict[float, list[str]] = {}
    for name in names:
        groups.setdefault(rate or FAULTS[name].rate or RATE, []).append(name)
    return groups


def schedule(names: Sequence[str], trials: int | None, seed: int) -> list[Case]:
    """Rounds over the faults. ``trials`` None: as many of each as its own row of the table says."""
    counts = {name: trials or FAULTS[name].trials for name in names}
    return [
        Case(fault=name, number=number, seed=zlib.crc32(f"{seed}/{name}/{number}".encode()))
        for number in range(1, max(counts.values(), default=0) + 1)
        for name in names
        if number <= counts[name]
    ]


def left(cases: Sequence[Case], done: Sequence[Trial], target: Target, rate: float) -> list[Case]:
    """The cases without a finished trial."""
    finished = {key(trial) for trial in done}
    return [case for case in cases if (target, case.fault, rate, case.seed) not in finished]


def time_left(cases: Sequence[Case], took: Mapping[str, Sequence[float]]) -> float:
    """Seconds that the cases will take: as long as their fault took before, or as long as it may."""
    return sum(fmean(took[case.fault]) if took.get(case.fault) else _guess(FAULTS[case.fault]) for case in cases)


def _guess(fault: Fault) -> float:
    return AROUND_SECONDS + fault.most + fault.itself


def spoken(seconds: float) -> str:
    """A duration as people say it."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{max(minutes, 1)} min"

"""What every fault is: how it comes, how long it stays, how it goes, and what must hold meanwhile.

``restore`` is safe to call at any time and more than once: it is called whatever happened before it.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kit.bench.history import History, never
from kit.bench.levers import Levers
from kit.bench.victim import Scope, Victim
from kit.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a fault may touch."""

    levers: Levers
    namespace: str
    manifest: Mapping[str, Any]
    victim: Victim
    chance: random.Random


async def nothing(_: Scene) -> None:
    """Nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table of faults.

    ``inject`` returns when the operator or the API server was back (seconds since the epoch), where one of them is
    part of the fault. The fault then stays until ``over`` sees what it waits for, at least ``least`` and at most
    ``most`` seconds; ``itself`` is what ``inject`` takes.

    The limits: seconds until the weights are in force (counted from the return, where there is one), failed requests as
    seconds of the struck class's share, seconds until it is noticed at all, the answered part of what the surviving
    classes carry, and whether what ``over`` waits for has to come within ``most``. ``signs`` begin what alone counts
    as noticing it. ``rate`` is what it is asked at unless somebody wants another. ``moves_first``: who goes by plan is
    out of the traffic or replaced before.
    """

    name: str
    told: str
    scope: Scope
    inject: Callable[[Scene], Awaitable[float | None]]
    restore: Callable[[Scene], Awaitable[None]]
    prepare: Callable[[Scene], Awaitable[None]] = nothing
    over: Callable[[History, Victim, float], bool] = never
    least: float = 10.0
    most: float = 60.0
    itself: float = 1.0
    planned: bool = False
    trials: int = 20
    in_force: float | None = None
    failed_seconds: float = 0.0
    noticed: float | None = None
    signs: tuple[str, ...] = ()
    goodput: float | None = None
    rate: float | None = None
    must_come: bool = True
    moves_first: bool = False
    may_write: bool = True
    turns_per_10_minutes: int | None = None


async def in_turn(*steps: Callable[[], Awaitable[None]]) -> None:
    """One after the other, each whatever became of those before it; what went wrong is told at the end."""
    errors = []
    for step in steps:
        try:
            await step()
        except (UsageError, OSError) as error:
            errors.append(str(error))
    if errors:
        raise UsageError("; ".join(errors))

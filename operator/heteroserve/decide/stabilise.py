"""Stabilising: how fast the present replicas may follow the wanted ones.

Pure. Growing is prompt and bounded per cycle; shrinking needs a reason to trust it:

1. no shrinking while a pod, or a node below one, is not trusted, and none without fresh metrics;
2. fewer replicas were wanted all through the window, and then only down to the most wanted meanwhile; after a moment
   without fresh metrics the window goes on, but not to its end before a while of fresh ones;
3. one class at a time, at most half of it per cycle;
4. make before break: what stays *ready*, as far as it is trusted, must carry the demand.

The window's memory is `PendingScaleDown` in the object's status, so that a restart neither forgets nor repeats.
A bound that the user changed (maxReplicas) is obeyed at once.

The numbers here are those of replicas that stay; `besides` adds what is asked for in place of others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from heteroserve.decide.sizing import Wanted
from heteroserve.decide.supply import Supply
from heteroserve.model.plan import Demand, Why
from heteroserve.model.snapshot import PendingScaleDown

NOT_BY_HAND: Mapping[str, float] = MappingProxyType({})
SMALLEST_STEP_UP = 4
"""A class may at least grow by this many replicas per cycle; above, it may double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Replicas of a class for now, and what remembers the way down. `besides` of them take the place of others."""

    replicas: int
    why: Why
    message: str
    pending: PendingScaleDown | None = None
    besides: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a class has now (`replicas` is `None` before its first Deployment) and what it remembers.

    `carrying`: how many of its replicas are ready, stay, and are trusted; one that is trusted by half counts half.
    """

    supply: Supply
    replicas: int | None
    carrying: float
    pending: PendingScaleDown | None

    @property
    def bounded(self) -> int:
        """The present replicas within maxReplicas: a bound that the user lowered is obeyed even when it hurts."""
        return min(self.replicas or 0, self.supply.target.max_replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How long fewer replicas must have been wanted. `blind_until_now`: the cycle before had no fresh metrics."""

    now: datetime
    seconds: float
    blind_until_now: bool = False
    fresh_seconds: float = 30.0
    """How much of the window must be left after such a cycle."""

    def since(self, pending: PendingScaleDown | None) -> datetime:
        """When fewer began to be wanted, as far as that counts."""
        if pending is None:
            return self.now
        latest = self.now - timedelta(seconds=max(0.0, self.seconds - self.fresh_seconds))
        since = min(pending.since, self.now)  # a clock that went back does not prolong it
        return max(since, latest) if self.blind_until_now else since


def stabilise(
    wanted: Mapping[str, Wanted],
    present: tuple[Present, ...],
    demand: Demand,
    window: Window,
    *,
    concern: str = "",
    split: Mapping[str, float] = NOT_BY_HAND,
) -> dict[str, Settled]:
    """The wanted replicas, as far as this cycle may go.

    `concern`: what cannot be trusted, if there is anything. `split`: each class's part of the traffic, where somebody
    set that by hand and nobody carries another's.
    """
    held = _freeze(demand, concern)
    settled = {p.supply.name: _follow(wanted[p.supply.name], p, held, window) for p in present}
    shrinking = sorted(
        (p for p in present if settled[p.supply.name].replicas < p.bounded),
        key=lambda p: (-p.supply.price, p.supply.name),
    )
    broken = False
    for p in shrinking:
        name = p.supply.name
        if broken or not _can_spare(p, settled[name].replicas, present, demand, split):
            settled[name] = _wait(p, settled[name], has_part=split.get(name, 0.0) > 0)
        else:
            broken = True
    return settled


def _freeze(demand: Demand, concern: str) -> tuple[Why, str] | None:
    """Why nothing may shrink at all, if so."""
    if concern:
        return Why.FAILOVER, f"not all can be trusted: {concern}"
    return None if demand.may_shrink else (Why.METRICS_HOLD, demand.message)


def _follow(want: Wanted, present: Present, held: tuple[Why, str] | None, window: Window) -> Settled:
    bounded = present.bounded
    if present.replicas is None:
        return Settled(replicas=want.replicas, why=want.why, message=want.message)
    if want.replicas >= bounded:
        return _grow(want, bounded)
    if held:
        why, message = held
        waits = _remember(present.pending, want.replicas, bounded)
        return Settled(replicas=bounded, why=why, message=f"kept at {bounded}: {message}", pending=waits)
    hardware = present.supply.hardware
    return _shrink(want, bounded, present.pending, window, evacuated=hardware is not None and hardware.evacuate)


def _remember(pending: PendingScaleDown | None, wanted: int, current: int) -> PendingScaleDown | None:
    """What waits, and the most that was wanted meanwhile; nothing waits any more if that is all there is."""
    most = max(wanted, pending.replicas) if pending else current
    return replace(pending, replicas=most) if pending and most < current else None


def _grow(want: Wanted, current: int) -> Settled:
    limit = current + max(SMALLEST_STEP_UP, current)
    if want.replicas > limit:
        return Settled(replicas=limit, why=Why.STEP, message=f"on the way to {want.replicas}: {want.message}")
    return Settled(replicas=want.replicas, why=want.why, message=want.message)


def _shrink(
    want: Wanted, current: int, pending: PendingScaleDown | None, window: Window, *, evacuated: bool
) -> Settled:
    """Where somebody wants everything off a class, nobody waits whether the demand comes back."""
    pending = PendingScaleDown(
        since=window.since(pending),
        replicas=min(current, max(want.replicas, pending.replicas if pending else 0)),
    )
    if pending.replicas == current:  # as many were wanted meanwhile: the window starts with what is wanted from now on
        pending = PendingScaleDown(since=window.now, replicas=want.replicas)
    if not evacuated and (window.now - pending.since).total_seconds() < window.seconds:
        message = f"down to {pending.replicas} when the demand stays low for {window.seconds:g} s"
        return Settled(replicas=current, why=Why.STABILISING, message=message, pending=pending)
    target = max(pending.replicas, current - max(1, current // 2))
    # remembered until it is so: first the traffic leaves, and the window must not start anew meanwhile
    return Settled(replicas=target, why=want.why, message=want.message, pending=pending)


def _can_spare(
    present: Present, replicas: int, everyone: tuple[Present, ...], demand: Demand, split: Mapping[str, float]
) -> bool:
    """Whether what stays ready carries the demand (or anything at all is ready, when nothing is demanded)."""
    if present.supply.routable <= replicas:
        return True  # only replicas that carry nothing would go
    return _carry(everyone, {present.supply.name: replicas}, demand.rps or 0.0, split)


def carries(
    everyone: tuple[Present, ...], settled: Mapping[str, Settled], rps: float, split: Mapping[str, float] = NOT_BY_HAND
) -> bool:
    """Whether what is ready, stays, and is trusted carries so many requests per second."""
    return _carry(everyone, {name: s.replicas for name, s in settled.items()}, rps, split)


def _carry(everyone: tuple[Present, ...], bounds: Mapping[str, int], rps: float, split: Mapping[str, float]) -> bool:
    stays = {p.supply.name: min(p.carrying, p.supply.target.max_replicas) for p in everyone}
    stays = {name: min(number, bounds.get(name, number)) for name, number in stays.items()}
    carried_rps = {p.supply.name: stays[p.supply.name] * p.supply.replica_rps for p in everyone}
    if split:
        return all(stays.get(n, 0) > 0 and carried_rps[n] >= rps * part for n, part in split.items() if part > 0)
    return any(stays.values()) and sum(carried_rps.values()) >= rps


def _wait(present: Present, settled: Settled, *, has_part: bool) -> Settled:
    message = f"down to {settled.replicas} as soon as what stays is ready and no other class is shrinking"
    if has_part and not settled.replicas:
        message = "its replicas stay while spec.traffic.weights gives it a part: take it out there"
    pending = settled.pending or (present.pending and replace(present.pending, replicas=settled.replicas))
    return Settled(replicas=present.bounded, why=Why.MAKE_BEFORE_BREAK, message=message, pending=pending)

"""Trust: how much of a class that came, or came back, is counted on. Pure.

A class that lost replicas by no wish of ours is trusted in what stayed, and in the rest only when nothing has happened
for two minutes after its return, longer each time that it happens again. Then, as with a class that is new, its traffic
grows by steps, and each step is a check: whatever goes wrong meanwhile starts it all over.

None of this holds where it would cost anything: when what is trusted does not carry the demand, everything that is
ready counts. Nothing is written while time passes: the share follows from when it began.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from heteroserve.decide.health import Witness
from heteroserve.decide.supply import Supply
from heteroserve.model.snapshot import Recovery, Snapshot

STABLE_SECONDS = 120.0
LONGEST_STABLE_SECONDS = 1800.0
ONE_TROUBLE_SECONDS = 20.0
"""What follows sooner is the same: a Triton that dies is silent, then not ready, and silent again while it starts."""
STEPS = (0.10, 0.25, 0.50)
STEP_SECONDS = 10.0
"""Each step lasts until the next look at the metrics at least."""
FORGIVEN_AFTER_SECONDS = 600.0
"""Of calm at full trust, until the next setback counts as the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """`carrying`: ready replicas that are counted on, in parts of one if need be. `recovery`: what is remembered."""

    carrying: float
    recovery: Recovery | None = None


def assess_trust(snapshot: Snapshot, supplies: tuple[Supply, ...], demand_rps: float | None) -> dict[str, Trust]:
    """By class. `demand_rps` is `None` when it is not known: then nobody is held back."""
    found = {s.name: _assess(s, snapshot) for s in supplies}
    carried_rps = sum(found[s.name].carrying * s.replica_rps for s in supplies if s.reachable)
    if demand_rps is not None and carried_rps > 0 and carried_rps >= demand_rps:
        return found
    return {s.name: _needed(found[s.name], s) for s in supplies}


def _needed(trust: Trust, supply: Supply) -> Trust:
    """All that is ready. Whoever is needed when he comes is trusted from then on; a setback is remembered."""
    keeps = trust.recovery is not None and (trust.recovery.setbacks > 0 or trust.recovery.troubled)
    return Trust(carrying=supply.ready, recovery=trust.recovery if keeps else None)


def _assess(supply: Supply, snapshot: Snapshot) -> Trust:
    recovery = _follow(supply, snapshot)
    if recovery is None:
        return Trust(carrying=supply.ready)
    floor = min(recovery.floor, supply.ready)
    return Trust(carrying=floor + (supply.ready - floor) * share(recovery, snapshot.now), recovery=recovery)


def share(recovery: Recovery, now: datetime) -> float:
    """The part that is trusted of what was not there all the time."""
    stepped_seconds = (now - recovery.since).total_seconds() - _stable_seconds(recovery)
    if recovery.troubled or stepped_seconds < 0:
        return 0.0
    step = int(stepped_seconds // STEP_SECONDS)
    return STEPS[step] if step < len(STEPS) else 1.0


def trusted_in_seconds(recovery: Recovery, now: datetime) -> float:
    """How long it takes until the class is trusted in full, if nothing happens."""
    whole = _stable_seconds(recovery) + STEP_SECONDS * len(STEPS)
    return max(0.0, whole - (now - recovery.since).total_seconds())


def _stable_seconds(recovery: Recovery) -> float:
    """How long nothing may happen before the first step."""
    if recovery.setbacks == 0:
        return 0.0
    return min(LONGEST_STABLE_SECONDS, STABLE_SECONDS * 2.0 ** min(recovery.setbacks - 1, 10))


def _follow(supply: Supply, snapshot: Snapshot) -> Recovery | None:
    before = _remembered(supply.name, snapshot)
    answered = snapshot.memory.ready.get(supply.name, 0)
    now = snapshot.now
    if _in_trouble(supply, snapshot, before, answered):
        return _set_back(before, supply, now)
    if before is None:
        new = answered == 0 < supply.answering and any(snapshot.memory.ready.values())
        return Recovery(since=now) if new else None
    if before.troubled or (supply.answering > answered and share(before, now) == 0):
        return replace(before, troubled=False, since=now)
    calm_seconds = (now - before.since).total_seconds() - _stable_seconds(before) - STEP_SECONDS * len(STEPS)
    return None if calm_seconds >= (FORGIVEN_AFTER_SECONDS if before.setbacks else 0.0) else before


def _remembered(class_name: str, snapshot: Snapshot) -> Recovery | None:
    """What the status remembers; a clock that went back does not prolong it."""
    before = snapshot.memory.recoveries.get(class_name)
    return replace(before, since=min(before.since, snapshot.now)) if before else None


def _set_back(before: Recovery | None, supply: Supply, now: datetime) -> Recovery:
    if before is None:
        return Recovery(since=now, setbacks=1, troubled=True, floor=supply.ready)
    held = before.floor if share(before, now) < 1 else supply.ready
    floor = min(held, supply.ready)
    if before.troubled:
        return replace(before, floor=floor)
    another = (now - before.since).total_seconds() >= ONE_TROUBLE_SECONDS
    return Recovery(since=now, setbacks=max(1, before.setbacks + another), troubled=True, floor=floor)


def _in_trouble(supply: Supply, snapshot: Snapshot, before: Recovery | None, answered: int) -> bool:
    """Whether replicas that are to answer do not; whoever is deleted or evicted leaves by somebody's wish."""
    wanted = min(answered, snapshot.replicas.get(supply.name, 0))
    drilled = sum(Witness.DRILL in s.witnesses for s in supply.suspicions)
    vanished = supply.answering + supply.leaving_on_request + drilled < wanted
    silent = any(set(s.witnesses) != {Witness.DRILL} for s in supply.suspicions)
    unsure = before is not None and share(before, snapshot.now) < 1
    return silent or vanished or (unsure and supply.name in snapshot.erring)

"""From what was seen to the seconds that are kept. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kit.bench.history import History, capacity_restored
from kit.bench.trial import Traffic, Turn
from kit.bench.victim import Pod, Victim, ready

BLIND_SECONDS = 1.0
"""The longest time between two looks at the gateway between which nothing can have been missed."""


def turns(history: History, fault_at: float) -> list[Turn]:
    """The weights that were in the route, each from when it was seen, without repetitions."""
    found: list[Turn] = []
    for at, weights in history.weights():
        if not found or found[-1].weights != weights:
            found.append(Turn(after=round(at - fault_at, 3), weights=weights))
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the weights have to do: a class whose pods are all struck gets nothing, any other one less."""

    class_name: str
    to_zero: bool = False


def wanted(victim: Victim, *, planned: bool) -> Wanted:
    """After a fault that strikes so."""
    return Wanted(victim.class_name, to_zero=victim.whole and not planned)


def weights_patched(turns: Sequence[Turn], wanted: Wanted) -> float | None:
    """Seconds from the fault until the shares were told to be what they had to become."""
    name = wanted.class_name
    before = [turn for turn in turns if turn.after < 0]
    if not name or not before:
        return None
    enough = 1 if wanted.to_zero else before[-1].weights.get(name, 0)
    return next((t.after for t in turns if t.after >= 0 and t.weights.get(name, 0) < enough), None)


def most_turns(turns: Sequence[Turn], class_name: str, window: float = 600.0) -> int:
    """How often the class's weight changed its direction within a window, where that was most often."""
    weights = [(turn.after, turn.weights.get(class_name, 0)) for turn in turns]
    steps = [(at, now > was) for (_, was), (at, now) in itertools.pairwise(weights) if now != was]
    changes = [at for (_, up), (at, up_now) in itertools.pairwise(steps) if up_now != up]
    return max((sum(start <= at < start + window for at in changes) for start in changes), default=0)


def increases(history: History) -> Iterator[tuple[float, str, int]]:
    """Requests that the gateway sent, by address, between one look at its counters and the next."""
    last: Mapping[tuple[str, str], int] = history.hits[0].counts if history.hits else {}
    for look in history.hits[1:]:
        for (cluster, address), count in look.counts.items():
            known = last.get((cluster, address), 0)
            new = count - known if count >= known else count  # a counter that begins anew begins at 0
            if new:
                yield look.at, address, new
        last = {**last, **look.counts}


def last_to_dead(
    history: History, victim: Victim, fault_at: float, end: float, *, planned: bool, patched: float | None
) -> float | None:
    """Seconds from the fault to the last request that the gateway sent to what it struck; 0 when it sent none.

    Only until a struck pod is ready again, which is no longer dead. None when it is not known: nothing is dead, or
    nobody looked often enough until the weights had moved.
    """
    dead = those_dead(history, victim, fault_at, planned=planned)
    until = end if patched is None else min(end, fault_at + patched + BLIND_SECONDS)
    if not dead or not _watched(history, fault_at, until):
        return None
    limits = {pod.address: _ready_again(history, pod.name, fault_at, end) for pod in dead}
    times = (at for at, address, _ in increases(history) if fault_at <= at < limits.get(address, fault_at))
    return max((at - fault_at for at in times), default=0.0)


def those_dead(history: History, victim: Victim, fault_at: float, *, planned: bool) -> list[Pod]:
    """The pods that must get no request any more: of a planned change only those that leave."""
    leaving = history.removed(fault_at)
    return [pod for pod in victim.pods if not planned or pod.name in leaving]


def _watched(history: History, start: float, end: float) -> bool:
    """Whether the gateway was looked at right before a moment, and without a gap until after another."""
    looks = [look.at for look in history.hits]
    first = max((at for at in looks if at <= start), default=None)
    last = min((at for at in looks if at >= end), default=None)
    if first is None or last is None:
        return False
    gaps = itertools.pairwise(at for at in looks if first <= at <= last)
    return start - first <= BLIND_SECONDS and all(later - at <= BLIND_SECONDS for at, later in gaps)


def _ready_again(history: History, pod: str, fault_at: float, end: float) -> float:
    """The first sight of a new process in the pod, or of a pod that is Ready after it was not."""
    was: tuple[bool, int] | None = None
    for seen in history.pods:
        if seen.body["metadata"]["name"] != pod:
            continue
        statuses = seen.body.get("status", {}).get("containerStatuses", ())
        now = (ready(seen.body), sum(c.get("restartCount", 0) for c in statuses))
        if was is not None and seen.at >= fault_at and now[0] and (not was[0] or now[1] > was[1]):
            return seen.at
        was = now
    return end


def in_force(patched: float | None, last: float | None) -> float | None:
    """When the weights held: patched, and nothing went to the dead any more; None when either is not known."""
    return None if patched is None or last is None else max(patched, last)


def surviving(history: History, victim: Victim, fault_at: float) -> float | None:
    """Requests per second that the classes which are not struck carried by the last status before the fault."""
    before = [seen.body for seen in history.deployments if seen.at < fault_at]
    classes = before[-1].get("status", {}).get("classes", ()) if before else ()
    known = [float(c["capacity"]) for c in classes if c["name"] != victim.class_name and "capacity" in c]
    return sum(known) if known else None


def traffic(history: History, fault_at: float) -> Traffic | None:
    """Requests per class and second; None where the gateway was not asked."""
    classes = history.class_of_address()
    counts: Counter[tuple[str, int]] = Counter()
    for at, address, new in increases(history):
        if class_name := classes.get(address):
            counts[class_name, int((at - fault_at) // 1)] += new
    if not counts:
        return None
    seconds = range(min(s for _, s in counts), max(s for _, s in counts) + 1)
    names = sorted({name for name, _ in counts})
    return Traffic(first=seconds[0], requests={name: [counts[name, second] for second in seconds] for name in names})


def restored(history: History, victim: Victim, fault_at: float) -> float | None:
    """Seconds from the fault until the class had its replicas again."""
    at = capacity_restored(history, victim.class_name, fault_at)
    return None if at is None else at - fault_at

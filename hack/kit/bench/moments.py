"""From what was seen to the seconds that are kept. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.bench.history import OURS, History, capacity_restored
from kit.bench.trial import Traffic, Turn
from kit.bench.victim import Victim, ready

JSON = dict[str, Any]


def suspicion(history: History, fault_at: float) -> tuple[float | None, str]:
    """When the operator first showed that something is wrong, and by what: a status or an Event."""
    signs = sorted(_signs(history, fault_at))
    return signs[0] if signs else (None, "")


def _signs(history: History, fault_at: float) -> Iterator[tuple[float, str]]:
    earlier = [seen for seen in history.deployments if seen.at < fault_at]
    if earlier:
        told = _statements(earlier[-1].body)
        for seen in history.deployments[len(earlier) :]:
            yield from ((seen.at, new) for new in _statements(seen.body) if new not in told)
    for seen in history.events:
        ours = seen.body.get("reportingController") == OURS
        if seen.at >= fault_at and not seen.gone and ours:
            yield seen.at, f"Event {seen.body['reason']}: {seen.body.get('note', '')}"


def _statements(deployment: JSON) -> list[str]:
    """What a status says that changes only when something happens: no demand, no figures."""
    status = deployment.get("status", {})
    return [
        *(f"decision {d['reason']} at {d['time']}: {d.get('class', '')} {d.get('to', '')}" for d in _decisions(status)),
        *(f"condition {c['type']}={c['status']} {c['reason']}" for c in status.get("conditions", ())),
        *(f"{c['name']}: {c.get('ready', 0)} ready" for c in status.get("classes", ())),
    ]


def _decisions(status: JSON) -> list[JSON]:
    return list(reversed(status.get("decisions", ())))


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


def last_to_dead(history: History, victim: Victim, fault_at: float, end: float, *, planned: bool) -> float | None:
    """Seconds from the fault to the last request that the gateway sent to what it struck; 0 when it sent none.

    Only until a struck pod is ready again, which is no longer dead. Of a planned change only those pods count that
    leave. None when it is not known: nobody looked, or nothing is dead.
    """
    leaving = history.removed(fault_at)
    dead = [pod for pod in victim.pods if not planned or pod.name in leaving]
    if not dead or not history.hits:
        return None
    limits = {pod.address: _ready_again(history, pod.name, fault_at, end) for pod in dead}
    times = (at for at, address, _ in increases(history) if fault_at <= at < limits.get(address, fault_at))
    return max((at - fault_at for at in times), default=0.0)


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
    """When the weights held: patched, and nothing went to the dead any more, as far as that is known."""
    return None if patched is None else max(patched, last or 0.0)


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

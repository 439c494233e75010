"""The record of a trial, made of its requests and of what was seen. Pure but for the versions that it names."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kit import records, triton
from kit.bench import moments, suspicion, writes
from kit.bench.faults import FAULTS
from kit.bench.history import History
from kit.bench.schedule import Case
from kit.bench.trial import OPEN_LOOP, Failure, Moments, Target, Traffic, Trial, Turn, Window
from kit.bench.victim import Victim
from kit.load import Load

UNSEEN = (
    "the last request to the dead was not seen: the gateway's counters were not read right before the fault and then "
    "at least once a second until the weights had moved"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When each part of a trial happened, in seconds since the epoch; ``stopped``: no new request from then on."""

    load_at: float
    fault_at: float
    injected: float
    returned: float | None
    mending: float
    mended: float
    stopped: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A trial as it was held: everything but what came of it. ``objective``: milliseconds."""

    case: Case
    target: Target
    rate: float
    began: float
    took: float
    revision: str
    objective: float
    times: Times
    broken: str = ""
    came: bool | None = None


def record(held: Held, *, load: Load, history: History, victim: Victim) -> Trial:
    """The trial's record."""
    times, fault, summary = held.times, FAULTS[held.case.fault], load.summary()
    turns = moments.turns(history, times.fault_at)
    traffic = moments.traffic(history, times.fault_at)
    suspected, by = suspicion.suspicion(history, victim, times.fault_at, fault.signs)
    seconds = _seconds(held, history, victim, turns, suspected)
    struck = window(load.samples, times.fault_at, times.mending)
    return Trial(
        fault=held.case.fault,
        target=held.target,
        number=held.case.number,
        seed=held.case.seed,
        rate=held.rate,
        began=_iso(held.began),
        took=round(held.took, 1),
        struck_class=victim.class_name,
        struck=[f"{pod.name} on {pod.node}" for pod in victim.pods],
        protocols=protocols(load.samples),
        sent=summary.sent,
        failed=summary.failed,
        wrong=summary.wrong,
        slowest=summary.latency.max if summary.latency else None,
        sender_p99=summary.lag_p99,
        before=window(load.samples, times.load_at, times.fault_at),
        during=window(load.samples, times.fault_at, times.mended),
        after=window(load.samples, times.mended, times.stopped),
        seconds=seconds,
        suspected_by=by,
        weights=turns,
        traffic=traffic,
        pods_removed=len(history.removed(times.fault_at)),
        failures=failures(load.failures(), times.fault_at),
        notes=_notes(held, victim, seconds, traffic, history),
        versions=triton.versions(),
        revision=held.revision,
        broken=held.broken,
        came=held.came,
        goodput=round(struck.answered / struck.seconds, 2) if struck.seconds else None,
        surviving=moments.surviving(history, victim, times.fault_at),
        late=sum(_is_late(sample, held.objective) for sample in load.samples),
        writes=[] if fault.may_write else writes.writes(history, times.fault_at, times.mending),
        moved_first=writes.moved_first(history, turns, victim, times.fault_at) if fault.moves_first else None,
    )


def _is_late(sample: records.Sample, objective: float) -> bool:
    """Answered rightly, but not as fast as was asked for."""
    return not (sample.error or sample.wrong) and sample.latency * 1000 > objective


def _seconds(held: Held, history: History, victim: Victim, turns: Sequence[Turn], suspected: float | None) -> Moments:
    times, planned = held.times, FAULTS[held.case.fault].planned
    # the operator's weights say nothing of a way that does not use them
    wanted = moments.wanted(victim, planned=planned)
    patched = moments.weights_patched(turns, wanted) if held.target == "operator" else None
    last = moments.last_to_dead(history, victim, times.fault_at, times.mending, planned=planned, patched=patched)
    return Moments(
        injected=times.injected - times.fault_at,
        returned=_since(times, times.returned),
        suspicion=_since(times, suspected),
        weights_patched=patched,
        last_to_dead=last,
        weights_in_force=moments.in_force(patched, last),
        capacity_restored=moments.restored(history, victim, times.fault_at),
        ended=times.mended - times.fault_at,
    )


def _since(times: Times, at: float | None) -> float | None:
    return None if at is None else at - times.fault_at


def _notes(held: Held, victim: Victim, seconds: Moments, traffic: Traffic | None, history: History) -> list[str]:
    notes, fault = [], FAULTS[held.case.fault]
    if traffic is None:
        why = "kube-proxy does not count them" if held.target == "service" else "the gateway's counters were not seen"
        notes.append(f"requests per class and the last request to the dead are not known: {why}")
    elif seconds.last_to_dead is None and moments.those_dead(
        history, victim, held.times.fault_at, planned=fault.planned
    ):
        notes.append(UNSEEN)
    if held.target != "operator":
        notes.append("no weights: they are not part of this way")
    elif victim.pods and fault.may_write and seconds.weights_patched is None:
        notes.append(f"the weight of {victim.class_name} never fell")
    if victim.pods and fault.may_write and seconds.capacity_restored is None:
        notes.append("capacity: never seen to fall, or not back before the fault was undone and the load ended")
    return notes


def protocols(samples: Sequence[records.Sample]) -> dict[str, int]:
    """Requests by protocol."""
    counts = Counter(sample.protocol for sample in samples)
    return {protocol: counts[protocol] for protocol in OPEN_LOOP}


def window(samples: Sequence[records.Sample], start: float, end: float) -> Window:
    """The requests that were due from ``start`` to before ``end``."""
    due = [sample for sample in samples if start <= sample.at < end]
    summary = records.summarise(due)
    latency = summary.latency
    return Window(
        seconds=round(end - start, 3),
        sent=summary.sent,
        answered=summary.sent - summary.failed - summary.wrong,
        p50=latency.p50 if latency else None,
        p99=latency.p99 if latency else None,
    )


def failures(samples: Sequence[records.Sample], fault_at: float) -> list[Failure]:
    """Every request that failed or was answered wrongly, with its time."""
    return [
        Failure(
            after=round(sample.at - fault_at, 3),
            at=_iso(sample.at),
            protocol=sample.protocol,
            milliseconds=round(sample.latency * 1000, 1),
            error=sample.error or "wrong answer",
        )
        for sample in samples
    ]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")

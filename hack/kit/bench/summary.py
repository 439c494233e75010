"""Many trials in a table: p50, p99 and max of each figure, and every failure on a line of its own.

All trials of a row are the denominator. A percentile is one of the values that were seen (nearest rank), never a value
between two: of fewer than a hundred, the p99 is the longest. What never came is the longest of all, and what was not
measured comes right before it: a percentile that falls there is told as "never" or as a dash, not left out.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kit.bench import verdict
from kit.bench.book import counted
from kit.bench.faults import FAULTS
from kit.bench.trial import TARGETS, Target, Trial
from kit.table import NOTHING

IN_FORCE, AFTER_RETURN = "weights in force, s", "weights in force after the return, s"
CAPACITY = "capacity restored, s"
NEVER: Literal["never"] = "never"
Value = float | Literal["never"] | None
"""A value that was seen; or it never came; None: it was not measured."""


def after_return(trial: Trial) -> float | None:
    """Weights in force, counted as their limit is: from when the operator or the API server was back."""
    back, weights = trial.seconds.returned, trial.seconds.weights_in_force
    # the operator may have written them before it died
    return None if back is None or weights is None else max(weights - back, 0.0)


def moves(trial: Trial) -> bool:
    """Whether the weights have to follow."""
    return trial.target == "operator" and bool(trial.struck) and FAULTS[trial.fault].may_write


def _never(trial: Trial) -> bool:
    """Whether they did not, although somebody looked until the end."""
    return moves(trial) and not trial.broken and trial.seconds.weights_patched is None


def _seen(value: float | None, never: object) -> Value:
    return NEVER if value is None and never else value


FIGURES: dict[str, Callable[[Trial], Value]] = {
    "first suspicion, s": lambda t: _seen(t.seconds.suspicion, not t.broken),
    "weights patched, s": lambda t: _seen(t.seconds.weights_patched, _never(t)),
    "last request to the dead, s": lambda t: t.seconds.last_to_dead,
    IN_FORCE: lambda t: _seen(t.seconds.weights_in_force, _never(t)),
    AFTER_RETURN: lambda t: _seen(after_return(t), _never(t) and t.seconds.returned is not None),
    # None is also capacity that was never seen to fall
    CAPACITY: lambda t: _seen(t.seconds.capacity_restored, t.struck and t.came is False),
    "operator or API server back, s": lambda t: t.seconds.returned,
    "slowest request, ms": lambda t: t.slowest,
    "p99 before, ms": lambda t: t.before.p99,
    "p99 during, ms": lambda t: t.during.p99,
    "p99 after, ms": lambda t: t.after.p99,
}
RATES: dict[str, Callable[[Trial], Value]] = {
    "goodput, requests/s (p50, p1, min)": lambda t: t.goodput,
    "surviving, requests/s (p50, p1, min)": lambda t: t.surviving,
}
"""Of these less is worse, so the other end is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure over all trials of a row: in ``n`` it was seen. ``max`` is of those, unless one never came."""

    name: str
    n: int
    never: int = 0
    unmeasured: int = 0
    p50: Value
    p99: Value
    max: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All trials of one fault over one way at one rate; a ``broken`` one is also ``breached``."""

    fault: str
    target: str
    rate: float
    trials: int
    revisions: Mapping[str, int]
    sent: int
    failed: int
    wrong: int
    late: int
    breached: int
    broken: int
    figures: Sequence[Figure]


def rows(trials: Sequence[Trial]) -> list[Row]:
    """One row per fault, way and rate, in the order in which they first appear."""
    groups: dict[tuple[str, str, float], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.fault, trial.target, trial.rate), []).append(trial)
    return [_row(group) for group in groups.values()]


def _row(trials: Sequence[Trial]) -> Row:
    return Row(
        fault=trials[0].fault,
        target=trials[0].target,
        rate=trials[0].rate,
        trials=len(trials),
        revisions=Counter(trial.revision for trial in trials),
        sent=sum(trial.sent for trial in trials),
        failed=sum(trial.failed for trial in trials),
        wrong=sum(trial.wrong for trial in trials),
        late=sum(trial.late for trial in trials),
        breached=sum(bool(verdict.breaches(trial)) for trial in trials),
        broken=sum(bool(trial.broken) for trial in trials),
        figures=list(_figures(trials)),
    )


def _figures(trials: Sequence[Trial]) -> Iterator[Figure]:
    for name, value in (FIGURES | RATES).items():
        values = [value(trial) for trial in trials]
        if any(each is not None for each in values):
            yield figure(name, values, low=name in RATES)


def figure(name: str, values: Sequence[Value], *, low: bool = False) -> Figure:
    """The percentiles of what was seen, what was not measured and what never came, in this order."""
    seen = sorted((value for value in values if isinstance(value, float | int)), reverse=low)
    never, total = sum(value == NEVER for value in values), len(values)
    ranked: list[Value] = [*seen, *[None] * (total - len(seen) - never), *[NEVER] * never]
    return Figure(
        name=name,
        n=len(seen),
        never=never,
        unmeasured=total - len(seen) - never,
        p50=ranked[-(-50 * total // 100) - 1],
        p99=ranked[-(-99 * total // 100) - 1],
        max=NEVER if never else seen[-1],
    )


def grouped(trials: Sequence[Trial]) -> dict[tuple[str, float], list[Trial]]:
    """The trials by fault and rate, in the order of the table of faults."""
    places = {name: place for place, name in enumerate(FAULTS)}
    groups: dict[tuple[str, float], list[Trial]] = {}
    for trial in sorted(trials, key=lambda t: (places.get(t.fault, len(places)), t.fault, t.rate)):
        groups.setdefault((trial.fault, trial.rate), []).append(trial)
    return groups


def about(trials: Sequence[Trial]) -> str:
    """What some trials are, in a line: how fast, how many, of which revision."""
    rates = " and ".join(f"{rate:g}" for rate in sorted({trial.rate for trial in trials}))
    if len({trial.revision for trial in trials}) > 1:
        return f"{rates} requests/s, {many(trials)} of several revisions: {counted(trials)}"
    return f"{rates} requests/s, {many(trials)}, revision {counted(trials).partition(' ')[0]}"


def many(trials: Sequence[Trial]) -> str:
    """How many."""
    return "1 trial" if len(trials) == 1 else f"{len(trials)} trials"


def drawn(trials: Sequence[Trial]) -> RenderableType:
    """What trials these are, whether they mix revisions, the table, and below it what did not hold."""
    mixed = len({trial.revision for trial in trials}) > 1
    head = Text(about(trials), style="bold yellow" if mixed else "")
    return Group(head, _table(rows(trials)), *(Text(line) for line in complaints(trials)))


def _table(rows: Sequence[Row]) -> Table:
    table = Table("fault", "figure", title="fault to …", title_justify="left")
    for heading in ("n", "never", "not measured", "p50", "p99", "max"):
        table.add_column(heading, justify="right")
    for row in rows:
        head = f"{row.fault} ({row.target}, {row.rate:g}/s)"
        table.add_row(Text(head, style="bold"), Text(_told(row), style=_style(row)), str(row.trials))
        for each in row.figures:
            missing = (str(number or "") for number in (each.never, each.unmeasured))
            table.add_row("", each.name, str(each.n), *missing, *map(number, (each.p50, each.p99, each.max)))
        table.add_section()
    return table


def _told(row: Row) -> str:
    told = f"{row.sent} sent, {row.failed} failed, {row.wrong} wrong, {row.late} late, {row.breached} beyond a limit"
    return told + (f", {row.broken} broken" if row.broken else "")


def number(value: Value) -> str:
    """A value with two decimals; a dash for what was not measured."""
    return NOTHING if value is None else value if isinstance(value, str) else f"{value:.2f}"


def _style(row: Row) -> str:
    return "bold red" if row.breached else "yellow" if row.failed or row.wrong else ""


def complaints(trials: Sequence[Trial], requests_of: Collection[Target] = TARGETS) -> Iterator[str]:
    """First the trials that were not held to their end; then each limit that did not hold or was not measured.

    Of the ways ``requests_of`` each request that failed as well.
    """
    yield from (line for trial in trials if trial.broken for line in _limits(trial))
    for trial in trials:
        yield from () if trial.broken else _limits(trial)
        for failure in trial.failures if trial.target in requests_of else ():
            when = f"{failure.after:+.3f} s, after {failure.milliseconds:.0f} ms"
            yield f"{_head(trial)}: {failure.protocol} {when}: {failure.error}"


def _limits(trial: Trial) -> Iterator[str]:
    yield from (f"{_head(trial)}: {breach}" for breach in verdict.breaches(trial))
    yield from (f"{_head(trial)}: not measured: {limit}" for limit in verdict.unmeasured(trial))


def _head(trial: Trial) -> str:
    return f"{trial.fault} #{trial.number} ({trial.target}, {trial.began})"

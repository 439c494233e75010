"""Many trials in a table: n, p50, p99 and max of each figure, and every failure on a line of its own.

A percentile is one of the values that were seen (nearest rank), never a value between two: of fewer than a hundred,
the p99 is the longest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kit.bench import verdict
from kit.bench.trial import Trial
from kit.table import NOTHING

FIGURES: dict[str, Callable[[Trial], float | None]] = {
    "first suspicion, s": lambda t: t.seconds.suspicion,
    "weights patched, s": lambda t: t.seconds.weights_patched,
    "last request to the dead, s": lambda t: t.seconds.last_to_dead,
    "weights in force, s": lambda t: t.seconds.weights_in_force,
    "capacity restored, s": lambda t: t.seconds.capacity_restored,
    "operator or API server back, s": lambda t: t.seconds.returned,
    "slowest request, ms": lambda t: t.slowest,
    "p99 before, ms": lambda t: t.before.p99,
    "p99 during, ms": lambda t: t.during.p99,
    "p99 after, ms": lambda t: t.after.p99,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure over the trials in which it is known."""

    name: str
    n: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All trials of one fault over one way at one rate."""

    fault: str
    target: str
    rate: float
    trials: int
    sent: int
    failed: int
    wrong: int
    breached: int
    figures: Sequence[Figure]


def rows(trials: Sequence[Trial]) -> list[Row]:
    """One row per fault, way and rate, in the order in which they first appear."""
    groups: dict[tuple[str, str, float], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.fault, trial.target, trial.rate), []).append(trial)
    return [_row(group) for group in groups.values()]


def _row(trials: Sequence[Trial]) -> Row:
    known = ((name, [v for t in trials if (v := value(t)) is not None]) for name, value in FIGURES.items())
    return Row(
        fault=trials[0].fault,
        target=trials[0].target,
        rate=trials[0].rate,
        trials=len(trials),
        sent=sum(trial.sent for trial in trials),
        failed=sum(trial.failed for trial in trials),
        wrong=sum(trial.wrong for trial in trials),
        breached=sum(bool(verdict.breaches(trial)) for trial in trials),
        figures=[figure(name, values) for name, values in known if values],
    )


def figure(name: str, values: Sequence[float]) -> Figure:
    """The percentiles of some values."""
    p50, p99 = (float(np.percentile(values, q, method="inverted_cdf")) for q in (50, 99))
    return Figure(name=name, n=len(values), p50=p50, p99=p99, max=max(values))


def drawn(trials: Sequence[Trial]) -> RenderableType:
    """The table, and below it what failed and what did not hold."""
    revisions = ", ".join(sorted({trial.revision for trial in trials})) or NOTHING
    return Group(_table(rows(trials)), f"revision: {revisions}", *(Text(line) for line in complaints(trials)))


def _table(rows: Sequence[Row]) -> Table:
    table = Table("fault", "figure", title="fault to …", title_justify="left")
    for heading in ("n", "p50", "p99", "max"):
        table.add_column(heading, justify="right")
    for row in rows:
        head = f"{row.fault} ({row.target}, {row.rate:.0f}/s)"
        told = f"{row.sent} sent, {row.failed} failed, {row.wrong} wrong, {row.breached} beyond a limit"
        table.add_row(Text(head, style="bold"), Text(told, style=_style(row)), str(row.trials), "", "", "")
        for each in row.figures:
            numbers = (f"{value:.2f}" for value in (each.p50, each.p99, each.max))
            table.add_row("", each.name, str(each.n), *numbers)
        table.add_section()
    return table


def _style(row: Row) -> str:
    return "bold red" if row.breached else "yellow" if row.failed or row.wrong else ""


def complaints(trials: Sequence[Trial]) -> Iterator[str]:
    """Each limit that did not hold and each request that failed, with the trial in which it did."""
    for trial in trials:
        head = f"{trial.fault} #{trial.number} ({trial.target}, {trial.began})"
        yield from (f"{head}: {breach}" for breach in verdict.breaches(trial))
        for failure in trial.failures:
            when = f"{failure.after:+.3f} s, after {failure.milliseconds:.0f} ms"
            yield f"{head}: {failure.protocol} {when}: {failure.error}"

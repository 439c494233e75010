"""The demo's live view: one row per hardware class, and below it what happened and how it was answered.

Pure: plain values in, a rich renderable out. Whoever drives it passes the result to ``rich.live.Live.update``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """What one hardware class does for one deployment just now. None: not known."""

    name: str
    nodes: Sequence[str]
    ready: int
    wanted: int
    weight: int
    requests_per_second: float | None = None
    p50: float | None = None
    p99: float | None = None
    cost_per_hour: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: why, how long the answer to it took, and how many requests failed meanwhile."""

    at: datetime
    what: str
    reason: str
    seconds: float | None = None
    failed: int | None = None


def render(title: str, rows: Sequence[ClassRow], events: Sequence[Event], *, lines: int = 10) -> RenderableType:
    """The classes and the last ``lines`` events, newest first."""
    return Group(classes(title, rows), happened(events, lines))


def classes(title: str, rows: Sequence[ClassRow]) -> Table:
    """One row per class, and the sums in the footer."""
    table = Table(title=title, show_footer=True, title_justify="left")
    ready, wanted = sum(row.ready for row in rows), sum(row.wanted for row in rows)
    rates = [row.requests_per_second for row in rows if row.requests_per_second is not None]
    table.add_column("class", footer="all")
    table.add_column("nodes")
    numbers = {
        "ready/wanted": f"{ready}/{wanted}",
        "weight": str(sum(row.weight for row in rows)),
        "requests/s": number(sum(rates) if rates else None, 1),
        "p50 ms": "",
        "p99 ms": "",
        "cost/h": f"{sum(row.cost_per_hour for row in rows):.2f}",
    }
    for heading, footer in numbers.items():
        table.add_column(heading, footer=footer, justify="right")
    for row in rows:
        table.add_row(*cells(row))
    return table


def cells(row: ClassRow) -> list[RenderableType]:
    """A row's cells; a colour only where someone has to look."""
    return [
        Text(row.name),
        Text(", ".join(row.nodes) or NOTHING),
        Text(f"{row.ready}/{row.wanted}", style=alarm(row)),
        str(row.weight),
        number(row.requests_per_second, 1),
        number(row.p50, 1),
        number(row.p99, 1),
        f"{row.cost_per_hour:.2f}",
    ]


def alarm(row: ClassRow) -> str:
    """Red: traffic goes where nothing serves. Yellow: fewer replicas serve than should."""
    if row.ready == 0 and row.weight > 0:
        return "bold red"
    return "yellow" if row.ready < row.wanted else ""


def happened(events: Sequence[Event], lines: int) -> Table:
    """The last events, newest first."""
    table = Table("time", "what happened", "reason", title="what happened", title_justify="left")
    table.add_column("took", justify="right")
    table.add_column("failed requests", justify="right")
    for event in sorted(events, key=lambda event: event.at, reverse=True)[:lines]:
        failed = Text(number(event.failed, 0), style="bold red" if event.failed else "")
        took = NOTHING if event.seconds is None else f"{event.seconds:.2f} s"
        # Text, not str: an error's brackets are not rich's markup.
        table.add_row(f"{event.at:%H:%M:%S}", Text(event.what), Text(event.reason), took, failed)
    return table


def number(value: float | None, digits: int) -> str:
    """The value with so many decimals; a dash for what is not known."""
    return NOTHING if value is None else f"{value:.{digits}f}"

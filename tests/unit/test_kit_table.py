import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from kit import table

CPU = table.ClassRow(
    name="cpu",
    nodes=["worker", "worker2"],
    ready=2,
    wanted=2,
    weight=40,
    requests_per_second=31.25,
    p50=2.14,
    p99=9.3,
    cost_per_hour=0.2,
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def shown(what: RenderableType) -> list[list[str]]:
    """The cells of every line that is not a border."""
    output = io.StringIO()
    Console(width=200, file=output).print(what)
    lines = output.getvalue().replace("┃", "│").splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]


def test_a_class_shows_its_figures_and_the_footer_their_sums() -> None:
    gpu = replace(CPU, name="gpu", nodes=[], ready=0, weight=60, requests_per_second=None, p50=None, p99=None)
    assert shown(table.render("digits", [CPU, gpu], [])) == [
        ["class", "nodes", "ready/wanted", "weight", "requests/s", "p50 ms", "p99 ms", "cost/h"],
        ["cpu", "worker, worker2", "2/2", "40", "31.2", "2.1", "9.3", "0.20"],
        ["gpu", "-", "0/2", "60", "-", "-", "-", "0.20"],
        ["all", "", "2/4", "100", "31.2", "", "", "0.40"],
        ["time", "what happened", "reason", "took", "failed requests"],
    ]


def test_nothing_known_is_a_dash_not_a_zero() -> None:
    assert shown(table.classes("digits", []))[-1] == ["all", "", "0/0", "0", "-", "", "", "0.00"]


def test_the_newest_events_come_first_and_brackets_stay() -> None:
    events = [
        table.Event(at=NOON.replace(second=second), what=f"event {second}", reason="[Errno 111] refused")
        for second in range(5)
    ]
    last = table.Event(at=NOON.replace(second=9), what="node lost", reason="NodeNotReady", seconds=1.234, failed=3)
    assert shown(table.happened([*events, last], lines=2))[1:] == [
        ["12:00:09", "node lost", "NodeNotReady", "1.23 s", "3"],
        ["12:00:04", "event 4", "[Errno 111] refused", "-", "-"],
    ]


@dataclass(frozen=True, slots=True)
class Alarm:
    row: table.ClassRow
    want_style: str


ALARMS = {
    "all wanted serve": Alarm(CPU, ""),
    "some do not serve yet": Alarm(replace(CPU, ready=1), "yellow"),
    "traffic for nobody": Alarm(replace(CPU, ready=0), "bold red"),
    "nobody, and no traffic either": Alarm(replace(CPU, ready=0, wanted=0, weight=0), ""),
}


@pytest.mark.parametrize("case", ALARMS.values(), ids=ALARMS.keys())
def test_colours_mark_what_needs_a_look(case: Alarm) -> None:
    assert table.alarm(case.row) == case.want_style

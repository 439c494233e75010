"""With which exit status a drill ends that took place, or could not begin."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

import builders
from drill_world import World
from heteroserve import cli
from heteroserve.cli import annotation, conduct
from heteroserve.cli.arguments import EXAMPLES, Request, parse
from heteroserve.cli.connect import Fleet
from heteroserve.cli.measure import Figures, Measured
from heteroserve.errors import Retry

ASKED = parse(["drill", "--class", "gpu", "--for", "30s"])
NOT_ASKED = replace(ASKED, prometheus=None)
NO_PROMETHEUS = "Prometheus monitoring/prometheus:9090 cannot be asked: 404 Not Found"


def phase(failed: float) -> dict[Any, tuple[Figures, ...]]:
    return {builders.KEY: (Figures(route="HTTP", answered=9, failed=failed, rps=1.0),)}


@dataclass(frozen=True, kw_only=True)
class Case:
    want: int
    measured: Measured
    request: Request = ASKED
    happens: Callable[[World, int], None] = lambda _, __: None


def take_away(world: World, second: int) -> None:
    if second == 8:
        world.annotate(None)


PHASES = {"before": phase(0), "during": phase(0), "after": phase(0)}
CASES = {
    "no request failed": Case(want=0, measured=Measured(phases=PHASES)),
    "requests failed when the traffic returned": Case(want=1, measured=Measured(phases={**PHASES, "after": phase(1)})),
    "somebody else ended it": Case(want=1, measured=Measured(phases=PHASES), happens=take_away),
    "nobody was to measure": Case(want=0, measured=Measured(missing="none"), request=NOT_ASKED),
    "nobody could measure": Case(want=4, measured=Measured(missing=NO_PROMETHEUS)),
    "the return was not measured": Case(want=4, measured=Measured(phases=PHASES, missing="no sample")),
    "the return was not measured, and requests had failed": Case(
        want=1, measured=Measured(phases={**PHASES, "during": phase(1)}, missing="no sample")
    ),
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A cluster that the command line reaches."""
    found = World()

    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[World]:
        yield found

    async def look(*_: object) -> Fleet:
        ready = {"cpu": 1, "gpu": 1}
        memory = builders.memory(ready=ready, demand_rps=50.0)
        targets = (builders.target(name) for name in ready)
        snapshot = builders.snapshot(*targets, ready=ready, demand=None, memory=memory)
        hardware = builders.by_name([builders.hardware(name) for name in ready])
        return Fleet(now=found.now(), snapshots=(snapshot,), nodes={}, hardware=hardware, told={})

    monkeypatch.setattr(cli, "connected", connected)
    monkeypatch.setattr(cli, "look", look)
    monkeypatch.setattr(conduct, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(annotation, "PAUSE_SECONDS", 0.0)
    yield found
    assert found.annotations == {}


@builders.table(CASES)
async def test_the_status_of_a_drill_that_took_place(case: Case, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measure(*_: object) -> Measured:
        return case.measured

    monkeypatch.setattr(cli, "measure", measure)
    world.happens = case.happens
    assert await cli._conduct(case.request) == case.want
    assert f"\n  {case.want}    " in EXAMPLES


async def test_a_drill_that_cannot_begin_is_said_to_have_failed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.fails = {1: Retry("ApiUnavailable", "no answer")}
    assert await cli._conduct(ASKED) == 1
    assert capsys.readouterr().err == "error: the drill did not begin: no answer\n"

"""A drill under way, in a small cluster: what is watched, how it ends, and what is told of it."""

import asyncio
import io
from datetime import timedelta
from typing import Any

import pytest

import builders
from drill_world import GPU, World
from heteroserve.cli import conduct
from heteroserve.cli.conduct import Drill
from heteroserve.cli.course import Course
from heteroserve.cli.measure import Figures, Measured
from heteroserve.cli.report import table, tell_course
from heteroserve.cli.terminal import Terminal
from heteroserve.errors import Retry

LENGTH = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "LOOK_SECONDS", 0.0)


def drill(world: World, out: io.StringIO | None = None) -> Drill:
    return Drill(world, GPU, (builders.KEY,), Terminal(out or io.StringIO()))  # type: ignore[arg-type]


async def run(world: World, out: io.StringIO | None = None) -> Course:
    return await drill(world, out).run(LENGTH)


async def test_the_annotation_stands_for_its_time_and_is_taken_away() -> None:
    world, out = World(), io.StringIO()
    course = await run(world, out)
    assert world.writes == ["2026-01-02T12:00:31Z", None]
    assert world.annotations == {}
    assert course.clean
    assert (course.ended - course.began).total_seconds() >= LENGTH.total_seconds()
    weights = [dict(r[builders.KEY].weights) for r in (course.before, course.during, course.after)]
    assert weights == [{"cpu": 10, "gpu": 90}, {"cpu": 100, "gpu": 0}, {"cpu": 10, "gpu": 90}]
    assert "out of the traffic; demo/digits: cpu 100 % (1 ready), gpu 0 % (1 ready)" in out.getvalue()


async def test_traffic_that_does_not_move_ends_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "AWAY_WITHIN_SECONDS", 0.0)
    world = World(moves=False)
    course = await run(world)
    assert (course.broken_off, course.clean) == ("the traffic of demo/digits did not move within 0 s", False)
    assert course.away_seconds == {builders.KEY: None}
    assert world.annotations == {}


async def test_a_deployment_that_is_not_ready_any_more_ends_the_drill() -> None:
    def fail(world: World, second: int) -> None:
        world.ready = "False" if 10 <= second < 12 else "True"

    world = World(happens=fail)
    course = await run(world)
    assert course.broken_off == "not Ready any more: demo/digits: Reason: words"
    assert (course.ended - builders.NOW).total_seconds() < 15
    assert world.annotations == {}


async def test_an_error_on_the_way_ends_the_drill_and_is_told() -> None:
    def fail(_: World, second: int) -> None:
        if second == 10:
            raise Retry("ApiUnavailable", "the API server did not answer: TimeoutError")

    world = World(happens=fail)
    course = await run(world)
    assert (course.broken_off, course.clean) == ("the API server did not answer: TimeoutError", False)
    assert world.annotations == {}


async def test_ctrl_c_takes_the_annotation_away() -> None:
    def interrupt(_: World, second: int) -> None:
        task = asyncio.current_task()
        if second == 10 and task:
            raise asyncio.CancelledError

    world = World(happens=interrupt)
    with pytest.raises(asyncio.CancelledError):
        await run(world)
    assert world.writes == ["2026-01-02T12:00:31Z", None]
    assert world.annotations == {}


async def test_pods_that_died_meanwhile_are_not_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(world: World, second: int) -> None:
        world.dead = {"gpu"} if second >= 10 else set()

    monkeypatch.setattr(conduct, "BACK_WITHIN_SECONDS", 0.0)
    course = await run(World(happens=die))
    assert (course.back_seconds, course.clean) == ({builders.KEY: None}, False)
    assert "not seen back: 0 of 1 replicas of gpu are in it" in tell_course(
        course, Measured(missing="nobody was asked")
    )


async def test_a_deployment_that_is_deleted_meanwhile_is_not_waited_for() -> None:
    def delete(world: World, second: int) -> None:
        world.gone = second >= 10

    world = World(happens=delete)
    course = await run(world)
    assert (course.back_seconds, course.clean, course.broken_off) == ({builders.KEY: None}, False, "")
    assert world.second < 40
    assert "not seen back: it is gone" in tell_course(course, Measured(missing="nobody was asked"))


async def test_traffic_that_comes_back_before_its_time_ends_the_drill() -> None:
    def restart(world: World, second: int) -> None:
        world.moves = second < 10

    world = World(happens=restart)
    course = await run(world)
    want = "the traffic of demo/digits came back 11 s ago, and the annotation stands"
    assert (course.broken_off, course.clean) == (want, False)
    assert world.annotations == {}


async def test_a_pod_that_is_in_the_traffic_for_a_moment_is_no_end() -> None:
    def flicker(world: World, second: int) -> None:
        world.moves = not 10 <= second < 15

    assert (await run(World(happens=flicker))).clean


WANT_REPORT = """\
Drill of the hardware class gpu, 12:00:01Z to 12:00:31Z (30s)

demo/digits
  traffic away after 2 s; back in full 31 s after the end
  WEIGHTS  cpu  gpu
  before    10   90
  during   100    0
  after     10   90

  REQUESTS         ROUTE  PER SECOND  ANSWERED  FAILED  P99 IN MS
  before            HTTP        10.0       600       0    5 to 10
  during            HTTP        10.0       300       1   10 to 25
  after     not measured

By the gateway's counters, as of their last scrape. Failed: answered with a 5xx, after the gateway's retries; an error
that a model tells in a gRPC trailer is not among them. p99: the bucket that it lies in."""


def phase(answered: float, failed: float, p99: tuple[float, float]) -> dict[Any, tuple[Figures, ...]]:
    return {builders.KEY: (Figures(route="HTTP", answered=answered, failed=failed, rps=10.0, p99=p99),)}


async def test_the_report_in_full() -> None:
    course = await run(World())
    known = {"away_seconds": {builders.KEY: 1.6}, "back_seconds": {builders.KEY: 31.2}}
    moments = {"ended": course.until, "began": course.until - LENGTH}
    measured = Measured(phases={"before": phase(600, 0, (5, 10)), "during": phase(300, 1, (10, 25)), "after": {}})
    assert tell_course(replaced(course, **known, **moments), measured) == WANT_REPORT


async def test_a_report_of_what_went_wrong() -> None:
    course = replaced(
        await run(World()),
        away_seconds={builders.KEY: None},
        back_seconds={builders.KEY: None},
        broken_off="no reason",
        left_behind="no answer: the drill ends by itself at 12:00:31Z",
    )
    text = tell_course(course, Measured(missing="nobody was asked"))
    assert "Broken off: no reason" in text
    assert "The annotation is left behind: no answer: the drill ends by itself at 12:00:31Z" in text
    assert "the traffic did not go; not seen back" in text
    assert "Requests, failures and latency are not measured: nobody was asked." in text


async def test_a_return_that_was_not_measured_is_said_to_be_so() -> None:
    measured = Measured(phases={"before": phase(600, 0, (5, 10))}, missing="Prometheus is gone")
    text = tell_course(await run(World()), measured)
    assert "\n\nThe return was not measured: Prometheus is gone.\n\nBy the gateway's counters" in text


def replaced(course: Course, **fields: Any) -> Course:
    names = Course.__dataclass_fields__
    return Course(**{**{name: getattr(course, name) for name in names}, **fields})


def test_a_table_is_aligned() -> None:
    assert table([("A", "B"), ("long", "1"), ("x",)]) == ["  A     B", "  long  1", "  x"]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_at_a_terminal_one_line_changes() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    terminal.show("state", "1 s")
    terminal.show("state", "2 s")
    terminal.tell("done")
    assert screen.getvalue() == "\r\x1b[2K1 s  state\r\x1b[2K2 s  state\ndone\n"


def test_in_a_file_a_line_says_something_new() -> None:
    file = io.StringIO()
    terminal = Terminal(file)
    for state, clock in (("one", "1 s"), ("one", "2 s"), ("two", "3 s")):
        terminal.show(state, clock)
    assert file.getvalue() == "1 s  one\n3 s  two\n"

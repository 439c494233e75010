"""A drill under way, in a cluster of four objects: what is watched, how it ends, and what is told of it."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

import builders
from heteroserve.cli import annotation, conduct
from heteroserve.cli.arguments import Refused
from heteroserve.cli.conduct import Drill
from heteroserve.cli.course import Course
from heteroserve.cli.forecast import Target, What
from heteroserve.cli.measure import Figures, Measured
from heteroserve.cli.report import table, tell_course
from heteroserve.cli.terminal import Terminal
from heteroserve.errors import HeteroserveError, Reject, Retry
from heteroserve.kube import HARDWARE_CLASS, INFERENCE_DEPLOYMENT, Kind, Object
from heteroserve.render.metadata import DRILL_ANNOTATION

GPU = Target(what=What.CLASS, name="gpu")
LENGTH = timedelta(seconds=30)


@dataclass
class World:
    """A cluster with its operator; a second passes with each look at the deployment.

    The traffic goes and comes one second after the annotation. `fails` says which write of it is refused, and how;
    `happens` is called at each second.
    """

    moves: bool = True
    fails: dict[int, HeteroserveError] = field(default_factory=dict)
    happens: Callable[["World", int], None] = lambda _, __: None
    annotations: dict[str, str] = field(default_factory=dict)
    writes: list[str | None] = field(default_factory=list)
    second: int = 0
    away: bool = False
    ready: str = "True"

    @property
    def kube(self) -> "World":
        return self

    def now(self) -> datetime:
        return builders.NOW + timedelta(seconds=self.second)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        if kind is not INFERENCE_DEPLOYMENT:
            return {"metadata": {"uid": "uid-gpu", "annotations": dict(self.annotations)}} if name == "gpu" else None
        self.second += 1
        self.happens(self, self.second)
        weights = {"cpu": 100, "gpu": 0} if self.away else {"cpu": 10, "gpu": 90}
        self.away = self.moves and DRILL_ANNOTATION in self.annotations
        classes = [{"name": name, "weight": weight, "ready": 1} for name, weight in weights.items()]
        ready = {
            "type": "Ready",
            "status": self.ready,
            "reason": "Reason",
            "message": "words",
            "lastTransitionTime": "2026-01-02T12:00:00Z",
        }
        return builders.raw_deployment(status={"classes": classes, "conditions": [ready]})

    async def list(self, kind: Kind, read: Callable[[Object], Any], namespace: str) -> list[Any]:
        running = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        pods = [builders.raw_pod(f"digits-{name}-0", class_name=name, **running) for name in ("cpu", "gpu")]
        for pod in pods:
            pod["metadata"]["labels"]["heteroserve.dev/serving"] = "true"
        return [read(pod) for pod in pods]

    async def merge_metadata(self, kind: Kind, namespace: str, name: str, changes: Object, *, uid: str) -> None:
        assert (kind, name, uid) == (HARDWARE_CLASS, "gpu", "uid-gpu")
        value = changes["annotations"][DRILL_ANNOTATION]
        self.writes.append(value)
        failure = self.fails.get(len(self.writes))
        if failure:
            if failure.reason == "NotFound":
                self.annotations.clear()
            raise failure
        self.annotations.pop(DRILL_ANNOTATION, None)
        if value is not None:
            self.annotations[DRILL_ANNOTATION] = value


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(annotation, "PAUSE_SECONDS", 0.0)


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


async def test_what_may_not_be_set_is_refused_and_not_taken_away() -> None:
    world = World(fails={1: Reject("Forbidden", "HardwareClass refused: no")})
    with pytest.raises(
        Refused, match="the annotation cannot be set: HardwareClass refused: no: a drill needs the right"
    ):
        await run(world)
    assert len(world.writes) == 1


async def test_what_may_have_been_set_is_taken_away() -> None:
    world = World(fails={1: Retry("ApiUnavailable", "no answer")})
    with pytest.raises(Retry):
        await run(world)
    assert world.writes[1:] == [None]


@pytest.mark.parametrize("reason", ["ApiUnavailable", "Conflict"])
async def test_taking_away_is_tried_again(reason: str) -> None:
    world = World(fails={2: Retry(reason, "no answer")})
    assert (await run(world)).clean
    assert world.annotations == {}


async def test_an_annotation_that_stays_is_told_with_its_end_and_the_remedy() -> None:
    world, out = World(fails=dict.fromkeys((2, 3, 4), Retry("ApiUnavailable", "no answer"))), io.StringIO()
    course = await run(world, out)
    assert (course.left_behind, course.clean) == ("no answer", False)
    assert (
        "warning: the annotation could not be taken away (no answer): the drill ends by itself at 12:00:31Z, "
        "or at once with kubectl annotate hwc gpu heteroserve.dev/drill-until-"
    ) in out.getvalue()


async def test_a_node_that_is_gone_meanwhile_has_no_annotation() -> None:
    assert (await run(World(fails={2: Retry("NotFound", "not there")}))).left_behind == ""


async def test_another_drill_of_the_same_is_not_overwritten() -> None:
    world = World(annotations={DRILL_ANNOTATION: "2026-01-02T12:10:00Z"})
    with pytest.raises(Refused, match="under way until 12:10:00Z"):
        await run(world)
    assert world.writes == []


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
        left_behind="no answer",
    )
    text = tell_course(course, Measured(missing="nobody was asked"))
    assert "Broken off: no reason" in text
    assert "The annotation is left behind until 12:00:31Z: no answer" in text
    assert "the traffic did not go; not seen back" in text
    assert "Requests, failures and latency are not measured: nobody was asked." in text


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

"""The drill's annotation: who else may write it, what is left to others, and how it is taken away."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

import builders
from drill_world import CHANGED, GPU, World
from heteroserve.cli import annotation, conduct
from heteroserve.cli.arguments import Refused
from heteroserve.cli.conduct import Drill
from heteroserve.cli.course import Course
from heteroserve.cli.measure import Measured
from heteroserve.cli.report import tell_course
from heteroserve.cli.terminal import Terminal
from heteroserve.errors import Reject, Retry
from heteroserve.render.metadata import DRILL_ANNOTATION

OURS, THEIRS = "2026-01-02T12:00:31Z", "2026-01-02T14:10:00+02:00"
NO_ANSWER = Retry("ApiUnavailable", "no answer")
REMEDY = "or at once with kubectl annotate hwc gpu heteroserve.dev/drill-until-"


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(annotation, "PAUSE_SECONDS", 0.0)


async def run(world: World, out: io.StringIO | None = None, seconds: float = 30) -> Course:
    drill = Drill(world, GPU, (builders.KEY,), Terminal(out or io.StringIO()))  # type: ignore[arg-type]
    return await drill.run(timedelta(seconds=seconds))


# --- Setting it ------------------------------------------------------------------------------------------------------


async def test_what_may_not_be_set_is_refused_and_not_taken_away() -> None:
    world = World(fails={1: Reject("Forbidden", "HardwareClass refused: no")})
    with pytest.raises(
        Refused, match="the annotation cannot be set: HardwareClass refused: no: a drill needs the right"
    ):
        await run(world)
    assert len(world.writes) == 1


async def test_what_may_have_been_set_is_taken_away() -> None:
    def lose_the_answer(world: World) -> None:
        if len(world.writes) == 1:
            raise NO_ANSWER

    world = World(written=lose_the_answer)
    with pytest.raises(Retry):
        await run(world)
    assert world.writes[1:] == [None]


async def test_another_drill_of_the_same_is_not_overwritten() -> None:
    world = World(annotations={DRILL_ANNOTATION: THEIRS})
    with pytest.raises(Refused, match=f"under way until 12:10:00Z: wait, or end it with {REMEDY[16:]}"):
        await run(world)
    assert world.writes == []


async def test_one_that_began_between_the_look_and_the_write_is_not_overwritten() -> None:
    def begin(world: World, second: int) -> None:
        if second == 1:
            world.annotate(THEIRS)

    world = World(happens=begin)
    with pytest.raises(Refused, match="a drill of the hardware class gpu is under way until 12:10:00Z"):
        await run(world)
    assert (world.writes, world.annotations) == ([OURS], {DRILL_ANNOTATION: THEIRS})


async def test_of_two_at_once_one_takes_place() -> None:
    world = World()
    found = await asyncio.gather(run(world, seconds=30), run(world, seconds=120), return_exceptions=True)
    assert sorted(type(f).__name__ for f in found) == ["Course", "Refused"]
    (course,) = (f for f in found if isinstance(f, Course))
    assert (course.clean, world.annotations) == (True, {})


async def test_a_change_that_is_no_drill_is_no_obstacle() -> None:
    def change(world: World, second: int) -> None:
        world.version += second == 1

    world = World(happens=change)
    assert (await run(world)).clean
    assert world.writes == [OURS, OURS, None]


async def test_who_changes_it_all_the_time_is_in_the_way() -> None:
    world = World(fails=dict.fromkeys((1, 2, 3), CHANGED))
    with pytest.raises(Refused, match="somebody else changes the hardware class gpu all the time: nothing was done"):
        await run(world)
    assert world.annotations == {}


# --- While it stands -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Meddling:
    """What somebody else does in second 8, and what comes of it."""

    does: Callable[[World], None]
    want: str
    stays: str | None = None
    left: str = ""


MEDDLING = {
    "it is taken away, as the documentation says": Meddling(
        does=lambda world: world.annotate(None), want="somebody else took its annotation away"
    ),
    "another drill is made of it": Meddling(
        does=lambda world: world.annotate(THEIRS),
        want=f"somebody else set its annotation to {THEIRS}",
        stays=THEIRS,
        left=f"somebody else set it: the drill ends by itself at 12:10:00Z, {REMEDY}",
    ),
    "it is made something that is no time": Meddling(
        does=lambda world: world.annotate("soon"), want="somebody else set its annotation to soon", stays="soon"
    ),
}


@builders.table(MEDDLING)
async def test_a_drill_that_somebody_else_ends_is_not_reported_as_held(case: Meddling) -> None:
    def meddle(world: World, second: int) -> None:
        if second == 8:
            case.does(world)

    world = World(happens=meddle)
    course = await run(world)
    assert (course.broken_off, course.left_behind, course.clean) == (case.want, case.left, False)
    assert (world.writes, world.annotations.get(DRILL_ANNOTATION)) == ([OURS], case.stays), "only ours is taken away"
    text = tell_course(course, Measured(missing="nobody was asked"))
    assert text.startswith("Drill of the hardware class gpu, 12:00:01Z to 12:00:08Z (7s)")
    assert dict(course.during[builders.KEY].weights) == {"cpu": 100, "gpu": 0}


async def test_what_never_moved_because_somebody_ended_it_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "AWAY_WITHIN_SECONDS", 0.0)
    course = await run(World(moves=False, happens=lambda world, second: world.annotate(None) if second == 2 else None))
    assert course.broken_off == "somebody else took its annotation away"


# --- Taking it away --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [NO_ANSWER, CHANGED], ids=lambda failure: failure.reason)
async def test_taking_away_is_tried_again(failure: Retry) -> None:
    world = World(fails={2: failure})
    assert (await run(world)).clean
    assert world.annotations == {}


async def test_an_annotation_that_stays_is_told_with_its_end_and_the_remedy() -> None:
    world, out = World(fails=dict.fromkeys((2, 3, 4), NO_ANSWER)), io.StringIO()
    course = await run(world, out)
    left = f"no answer: the drill ends by itself at 12:00:31Z, {REMEDY}"
    assert (course.left_behind, course.clean) == (left, False)
    assert f"warning: the annotation is left behind: {left}" in out.getvalue()


async def test_a_node_that_is_gone_meanwhile_has_no_annotation() -> None:
    assert (await run(World(fails={2: Retry("NotFound", "not there")}))).left_behind == ""

"""A trial around its fault: undone whatever happens, and what went wrong is known."""

import asyncio
import dataclasses
import os
import random
import signal
from collections.abc import Callable

import pytest

from bench_builders import FAULT_AT, history, seen, status, victim
from heteroserve.errors import Retry
from kit import cluster
from kit.bench import conduct, runs
from kit.bench.conduct import Pace
from kit.bench.course import Course
from kit.bench.faults.base import Fault, Scene
from kit.bench.history import History, never
from kit.bench.levers import Levers, together
from kit.bench.victim import Scope, Victim
from kit.errors import UsageError

Over = Callable[[History, Victim, float], bool]
NO_PACE = Pace(before=0, after=0)


async def silent(*command: str, stdin: str = "") -> str:
    raise AssertionError(command)


def scene() -> Scene:
    chance = random.Random(1)
    chance.random = lambda: 0.0  # type: ignore[method-assign]  # no test waits for chance
    return Scene(levers=Levers(silent), namespace="ns", manifest={}, victim=victim(), chance=chance)


def fault_that(done: list[str], error: BaseException | None, *, least: float = 0, most: float = 0) -> Fault:
    async def inject(_: Scene) -> None:
        done.append("inject")
        if error:
            raise error

    async def restore(_: Scene) -> None:
        await asyncio.sleep(0)
        done.append("restore")

    return Fault(name="x", told="", scope=Scope.NODE, inject=inject, restore=restore, least=least, most=most)


WRONG = {
    "the fault's command fails": (UsageError("kubectl drain: timed out"), "kubectl drain: timed out"),
    "the API server is away": (Retry("ApiUnavailable", "no answer"), "no answer"),
    "a program is missing": (FileNotFoundError(2, "nothing there"), "FileNotFoundError [Errno 2] nothing there"),
    "nobody expected this": (ValueError("nonsense"), "ValueError('nonsense')"),
}


@pytest.mark.parametrize(("error", "want"), WRONG.values(), ids=WRONG.keys())
async def test_what_goes_wrong_breaks_the_trial_and_the_fault_is_undone(error: Exception, want: str) -> None:
    done: list[str] = []
    course = Course()
    await conduct._struck(course, NO_PACE, fault_that(done, error), scene(), history())
    assert done == ["inject", "restore"]
    assert course.broken == want
    times = course.times()
    assert times.load_at >= times.fault_at <= times.injected == times.mending <= times.mended


async def test_a_fault_is_undone_when_somebody_presses_ctrl_c() -> None:
    done: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        await conduct._struck(Course(), NO_PACE, fault_that(done, asyncio.CancelledError()), scene(), history())
    assert done == ["inject", "restore"]


async def test_a_fault_that_cannot_be_undone_breaks_the_trial_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def restore(_: Scene) -> None:
        raise UsageError("not Ready within 120 s")

    course = Course()
    fault = dataclasses.replace(fault_that([], UsageError("kubectl")), restore=restore)
    await conduct._struck(course, NO_PACE, fault, scene(), history())
    assert course.broken == "kubectl; the fault could not be undone: not Ready within 120 s"
    assert "not Ready within 120 s" in capsys.readouterr().err


async def test_a_fault_is_undone_when_the_trial_is_cancelled_while_it_lasts() -> None:
    done: list[str] = []
    fault = fault_that(done, None, most=60)
    trial = asyncio.create_task(conduct._struck(Course(), NO_PACE, fault, scene(), history()))
    await asyncio.sleep(0.01)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    assert done == ["inject", "restore"]


async def test_undoing_a_fault_goes_to_its_end_when_the_trial_is_cancelled_meanwhile() -> None:
    done: list[str] = []

    async def restore(_: Scene) -> None:
        for node in ("worker3", "worker4"):
            await asyncio.sleep(0.01)
            done.append(node)

    fault = dataclasses.replace(fault_that(done, None), restore=restore)
    trial = asyncio.create_task(conduct._struck(Course(), NO_PACE, fault, scene(), history()))
    while not done:  # noqa: ASYNC110 -- nobody tells of a list's growth
        await asyncio.sleep(0)
    trial.cancel()
    assert isinstance((await asyncio.gather(trial, return_exceptions=True))[0], asyncio.CancelledError)
    assert done == ["inject", "worker3", "worker4"]


async def test_a_fault_lasts_until_what_it_waits_for_is_seen() -> None:
    done: list[str] = []
    fault = fault_that(done, None, most=60)
    asked = iter([False, False, True])
    fault = dataclasses.replace(fault, over=lambda *_: next(asked))
    course = Course()
    await conduct._struck(course, NO_PACE, fault, scene(), history())
    times = course.times()
    assert done == ["inject", "restore"]
    assert times.fault_at <= times.injected <= times.mending <= times.mended
    assert (course.came, course.broken) == (True, "")


WAITS = {
    "it came": (lambda *_: True, Pace(), True),
    "it never came": (lambda *_: False, Pace(), False),
    "nothing is waited for": (never, Pace(), None),
    "a brief trial waits for the weights alone": (lambda *_: False, Pace(brief=True), None),
}


@pytest.mark.parametrize(("over", "pace", "want"), WAITS.values(), ids=WAITS.keys())
async def test_whether_it_came_is_known(over: Over, pace: Pace, want: bool | None) -> None:  # noqa: FBT001
    looked = history(
        deployments=[seen(-1, status(weights={"gpu": 50, "cpu": 50})), seen(1, status(weights={"gpu": 20, "cpu": 80}))]
    )
    fault = dataclasses.replace(fault_that([], None, most=0.01), over=over)
    assert await conduct._stays(pace, fault, scene(), looked, FAULT_AT) is want


async def test_what_is_done_at_once_has_ended_before_an_error_is_told() -> None:
    done: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0.01)
        done.append("slow")

    async def fails() -> None:
        raise UsageError("at once")

    with pytest.raises(UsageError, match="at once"):
        await together(fails(), slow())
    assert done == ["slow"]


async def test_a_command_that_was_begun_ends_before_it_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    async def slow(*command: str, stdin: str = "") -> str:
        await asyncio.sleep(0.02)
        done.append("ended")
        return ""

    monkeypatch.setattr(cluster, "run", slow)
    running = asyncio.create_task(Levers().node("kill", "worker3"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done == ["ended"]


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_every_signal_to_end_undoes_the_fault_and_a_second_one_does_not_cut_that_short(
    which: signal.Signals,
) -> None:
    done: list[str] = []

    async def restore(_: Scene) -> None:
        os.kill(os.getpid(), which)
        await asyncio.sleep(0.01)
        done.append("restore")

    fault = dataclasses.replace(fault_that(done, None, most=60), restore=restore)
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), which)
    # the KeyboardInterrupt would end pytest's own loop on its way
    with pytest.raises(KeyboardInterrupt), runs.interrupted():
        await conduct._struck(Course(), NO_PACE, fault, scene(), history())
    assert done == ["inject", "restore"]

"""A trial around its fault: undone whatever happens, and from its beginning to its record."""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import AsyncIterator
from typing import Self

import pytest

from bench_builders import FAULT_AT, history, pod, status, struck, victim
from kit import cluster, digits
from kit.bench import conduct, stage, verdict, witness
from kit.bench.conduct import Pace
from kit.bench.faults.base import Fault, Scene
from kit.bench.history import History, Seen
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.bench.victim import Scope
from kit.client import Target
from kit.errors import UsageError
from kit.load import Load

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


INTERRUPTED = {
    "somebody presses Ctrl-C": asyncio.CancelledError(),
    "the fault's command fails": UsageError("podman kill"),
    "nobody expected this": ValueError("nonsense"),
}


@pytest.mark.parametrize("error", INTERRUPTED.values(), ids=INTERRUPTED.keys())
async def test_a_fault_is_undone_whatever_happens(error: BaseException) -> None:
    done: list[str] = []
    with pytest.raises(type(error)):
        await conduct._struck(NO_PACE, fault_that(done, error), scene(), history())
    assert done == ["inject", "restore"]


async def test_a_fault_is_undone_when_the_trial_is_cancelled_while_it_lasts() -> None:
    done: list[str] = []
    trial = asyncio.create_task(conduct._struck(NO_PACE, fault_that(done, None, most=60), scene(), history()))
    await asyncio.sleep(0.01)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    assert done == ["inject", "restore"]


async def test_a_fault_lasts_until_what_it_waits_for_is_seen() -> None:
    done: list[str] = []
    fault = fault_that(done, None, most=60)
    asked = iter([False, False, True])
    fault = dataclasses.replace(fault, over=lambda *_: next(asked))
    times = await conduct._struck(NO_PACE, fault, scene(), history())
    assert done == ["inject", "restore"]
    assert times.fault_at <= times.injected <= times.mending <= times.mended


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


def test_the_load_is_a_third_each() -> None:
    askers = conduct.mixed(Target(http="h:1", grpc="h:1"))
    assert [(a.protocol, a._target.fresh_connections) for a in askers] == [  # type: ignore[attr-defined]
        ("http", False),
        ("http-fresh", True),
        ("grpc", False),
    ]


async def test_a_request_without_an_end_spoils_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct, "REQUEST_SECONDS", 0.0)
    load = Load([], [], rate=1)
    load._in_flight, load._epoch = {1: FAULT_AT}, 0.0
    with pytest.raises(UsageError, match="1 requests have no end"):
        await conduct.finished(load)


class Answers:
    """Knows every digit, at once."""

    protocol = "http"

    async def ask(self, images: object) -> list[int]:
        return [7]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def statistics(self) -> tuple[int, int]:
        return 0, 0


async def test_a_trial_from_its_beginning_to_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    only = struck("fpga-1", "fpga", "worker5")
    commands: list[str] = []
    looked = history()

    async def run(*command: str, stdin: str = "") -> str:
        """The fault's command, and what the cluster shows of it."""
        commands.append(" ".join(command).rpartition("/")[2])
        now = time.time()
        looked.deployments.append(Seen(now + 0.01, status(fpga=0, weights={"fpga": 0, "cpu": 100})))
        looked.deployments.append(Seen(now + 0.02, status(fpga=1, weights={"fpga": 0, "cpu": 100})))
        looked.pods += [Seen(now + 0.01, pod(only, is_ready=False)), Seen(now + 0.02, pod(only, restarts=1))]
        return ""

    class Placed(stage.Stand):
        async def at_rest(self) -> stage.Stage:
            return stage.Stage(
                namespace="ns",
                manifest={"metadata": {"name": "digits"}},
                target=Target(http="h:1", grpc="h:1"),
                pods=[only],
                weights={},
                gateway=None,
            )

    @contextlib.asynccontextmanager
    async def watching(*_: object) -> AsyncIterator[History]:
        now = time.time()
        looked.pods.append(Seen(now, pod(only)))
        looked.deployments.append(Seen(now, status(fpga=1, weights={"fpga": 20, "cpu": 80})))
        yield looked

    monkeypatch.setattr(witness, "watching", watching)
    monkeypatch.setattr(conduct, "mixed", lambda _: [Answers()])
    monkeypatch.setattr(conduct, "BRIEF_SECONDS", 0.0)
    monkeypatch.setattr(digits, "questions", lambda: [digits.Question(None, frozenset({7}), 7)])  # type: ignore[arg-type]
    bench = conduct.Bench(levers=Levers(run), revision="abc", pace=Pace(before=0.05, after=0.05, brief=True))
    stand = Placed(None, bench.levers, "operator", "g:1")  # type: ignore[arg-type]  # nobody looks
    case = Case(fault="only-pod-killed", number=1, seed=11)
    monkeypatch.setattr(random.Random, "random", lambda _: 0.05)
    done = await conduct.trial(bench, stand, case, 200.0)
    assert commands == ["node.sh exec worker5 ctr -n k8s.io tasks kill --signal SIGKILL id-fpga-1"]
    assert (done.failed, done.wrong, done.struck_class, done.struck) == (0, 0, "fpga", ["fpga-1 on worker5"])
    assert done.sent == done.protocols["http"] > 0
    assert done.seconds.weights_in_force == pytest.approx(0.01, abs=0.2)
    assert done.seconds.capacity_restored is not None
    assert verdict.breaches(done) == []

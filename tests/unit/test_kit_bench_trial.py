"""A whole trial: its load, from its beginning to its record, and what breaks it off."""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import AsyncIterator
from typing import Self

import pytest

from bench_builders import FAULT_AT, history, pod, status, struck
from kit import digits
from kit.bench import conduct, stage, stream, verdict, witness
from kit.bench.conduct import Pace
from kit.bench.history import History, Hits, Seen
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.bench.trial import Trial
from kit.client import Target
from kit.errors import UsageError
from kit.load import Load
from kit.records import Summary


def test_the_load_is_a_third_each() -> None:
    askers = stream.mixed(Target(http="h:1", grpc="h:1"))
    assert [(a.protocol, a._target.fresh_connections) for a in askers] == [  # type: ignore[attr-defined]
        ("http", False),
        ("http-fresh", True),
        ("grpc", False),
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    pending: int
    error: BaseException | None
    """What the load ended with by itself; None: it runs."""
    want: str


ENDS = {
    "all have an end": Ended(0, None, ""),
    "a request has none": Ended(1, None, "1 requests have no end"),
    "the load failed": Ended(0, ValueError("odd"), "the load ended by itself: ValueError('odd')"),
    "somebody cancelled it": Ended(0, asyncio.CancelledError(), "the load ended by itself: CancelledError()"),
}


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS.keys())
async def test_a_load_that_does_not_end_as_it_should_breaks_the_trial(
    monkeypatch: pytest.MonkeyPatch, case: Ended
) -> None:
    monkeypatch.setattr(stream, "REQUEST_SECONDS", 0.0)
    load = Load([], [], rate=1)
    load._in_flight, load._epoch = dict.fromkeys(range(case.pending), FAULT_AT), 0.0

    async def run() -> Summary:
        if case.error:
            raise case.error
        await asyncio.sleep(60)
        return load.summary()

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    assert await stream.finished(stream.Stream(load, running)) == case.want
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


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


ONLY = struck("fpga-1", "fpga", "worker5")
KILL = "node.sh exec worker5 ctr -n k8s.io tasks kill --signal SIGKILL id-fpga-1"
CASE = Case(fault="only-pod-killed", number=1, seed=11)


@dataclasses.dataclass
class World:
    """A cluster with one pod that dies and comes back, as it is seen; `fails`: commands do; `rests`: it does again."""

    fails: bool = False
    rests: bool = True
    dead_load: bool = False
    commands: list[str] = dataclasses.field(default_factory=list)
    looked: History = dataclasses.field(default_factory=history)

    async def run(self, *command: str, stdin: str = "") -> str:
        """The fault's command, and what the cluster shows of it."""
        self.commands.append(" ".join(command).rpartition("/")[2])
        if self.fails:
            raise UsageError("no such container")
        now = time.time()
        moved = {"fpga": 0, "cpu": 100}
        self.looked.deployments.append(Seen(now + 0.01, status(fpga=0, weights=moved)))
        self.looked.deployments.append(Seen(now + 0.02, status(fpga=1, weights=moved)))
        self.looked.pods += [Seen(now + 0.01, pod(ONLY, is_ready=False)), Seen(now + 0.02, pod(ONLY, restarts=1))]
        self.looked.hits += [Hits(now + 0.01 + step / 2, {("http", ONLY.address): 9}) for step in range(9)]
        return ""

    @contextlib.asynccontextmanager
    async def watching(self, *_: object) -> AsyncIterator[History]:
        now = time.time()
        self.looked.pods.append(Seen(now, pod(ONLY)))
        self.looked.deployments.append(Seen(now, status(fpga=1, weights={"fpga": 20, "cpu": 80}, capacity={"cpu": 60})))
        self.looked.hits.append(Hits(now, {("http", ONLY.address): 9}))
        yield self.looked

    async def hold(self, monkeypatch: pytest.MonkeyPatch) -> Trial:
        monkeypatch.setattr(witness, "watching", self.watching)
        monkeypatch.setattr(stream, "mixed", lambda _: [] if self.dead_load else [Answers()])
        monkeypatch.setattr(conduct, "BRIEF_SECONDS", 0.0)
        monkeypatch.setattr(digits, "questions", lambda: [digits.Question(None, frozenset({7}), 7)])  # type: ignore[arg-type]
        monkeypatch.setattr(random.Random, "random", lambda _: 0.05)
        bench = conduct.Bench(levers=Levers(self.run), revision="abc", pace=Pace(before=0.05, after=0.05, brief=True))
        return await conduct.trial(bench, Placed(self), CASE, 200.0)


class Placed(stage.Stand):
    """At rest at once; afterwards only if its world says so."""

    def __init__(self, world: World) -> None:
        super().__init__(None, Levers(world.run), "operator", "g:1")  # type: ignore[arg-type]  # nobody looks
        self._rests = world.rests

    async def at_rest(self) -> stage.Stage:
        return stage.Stage(
            namespace="ns",
            manifest={"metadata": {"name": "digits"}, "spec": {"objective": {"latency": {"milliseconds": 100}}}},
            target=Target(http="h:1", grpc="h:1"),
            pods=[ONLY],
            weights={},
            gateway=None,
        )

    async def again(self) -> None:
        if not self._rests:
            raise UsageError("the deployment is not at rest after 480 s")


async def test_a_trial_from_its_beginning_to_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    done = await world.hold(monkeypatch)
    assert world.commands == [KILL]
    assert (done.failed, done.wrong, done.struck_class, done.struck) == (0, 0, "fpga", ["fpga-1 on worker5"])
    assert done.sent == done.protocols["http"] > 0
    assert done.seconds.weights_in_force == pytest.approx(0.01, abs=0.2)
    assert done.seconds.capacity_restored is not None
    assert (done.broken, done.surviving, done.late) == ("", 60.0, 0)
    assert verdict.breaches(done) == verdict.unmeasured(done) == []


BROKEN = {
    "the fault's command fails": (World(fails=True), "no such container"),
    "it does not come to rest again": (
        World(rests=False), "afterwards: the deployment is not at rest after 480 s",
    ),
    "the load dies": (World(dead_load=True), "the load ended by itself: "),
}  # fmt: skip


@pytest.mark.parametrize(("world", "want"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_trial_that_breaks_off_is_a_record_all_the_same(
    monkeypatch: pytest.MonkeyPatch, world: World, want: str
) -> None:
    done = await world.hold(monkeypatch)
    assert done.broken.startswith(want)
    assert any(done.broken in breach for breach in verdict.breaches(done))
    assert (done.sent > 0) != world.dead_load


async def test_what_fails_before_the_load_begins_is_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def watching(*_: object) -> AsyncIterator[History]:
        raise UsageError("nothing seen of: pods")
        yield history()

    world = World()
    monkeypatch.setattr(world, "watching", watching)
    with pytest.raises(UsageError, match="nothing seen of: pods"):
        await world.hold(monkeypatch)

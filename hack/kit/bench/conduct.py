"""One trial from beginning to end: a deployment at rest, load, a fault, its repair, and the record of it all.

The fault is undone whatever happens, Ctrl-C included. A trial that could not be held as it should (no deployment at
rest, a request without any end) raises and is not kept.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kit import client, digits
from kit.bench import moments, reckon, victim, witness
from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault, Scene
from kit.bench.history import History
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.bench.stage import Stand
from kit.bench.trial import OPEN_LOOP, Trial
from kit.errors import UsageError
from kit.load import Load

REQUEST_SECONDS = 5.0
LOOK_SECONDS = 0.1
BRIEF_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds of load before the fault and after its repair; ``brief``: a fault ends when the weights moved."""

    before: float = 6.0
    after: float = 6.0
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How the trials are held, and of what."""

    levers: Levers
    revision: str
    pace: Pace = dataclasses.field(default_factory=Pace)


async def trial(bench: Bench, stand: Stand, case: Case, rate: float) -> Trial:
    """One trial's record."""
    began = time.time()
    fault = FAULTS[case.fault]
    chance = random.Random(case.seed)  # noqa: S311 -- repeatable, not secret
    placed = await stand.at_rest()
    async with (
        witness.watching(placed.namespace, placed.manifest["metadata"]["name"], placed.gateway) as history,
        loaded(placed.target, rate, case.seed) as load,
    ):
        scene = Scene(
            levers=bench.levers,
            namespace=placed.namespace,
            manifest=placed.manifest,
            victim=victim.choose(fault.scope, placed.pods, chance),
            chance=chance,
        )
        times = await _struck(bench.pace, fault, scene, history)
        await asyncio.sleep(bench.pace.after)
        await finished(load)
        done = time.time()
    return reckon.record(
        reckon.Held(
            case=case,
            target=stand.target,
            rate=rate,
            began=began,
            took=done - began,
            revision=bench.revision,
            times=times,
        ),
        load=load,
        history=history,
        victim=scene.victim,
    )


async def _struck(pace: Pace, fault: Fault, scene: Scene, history: History) -> reckon.Times:
    """The fault and its repair; when each part of it happened."""
    load_at = time.time()
    try:
        await fault.prepare(scene)
        # chance moves the fault against the rhythm of probes and heartbeats
        await asyncio.sleep(pace.before + scene.chance.random())
        fault_at = time.time()
        returned = await fault.inject(scene)
        injected = time.time()
        await _stays(pace, fault, scene, history, fault_at)
        mending = time.time()
    finally:
        await fault.restore(scene)
    return reckon.Times(
        load_at=load_at,
        fault_at=fault_at,
        injected=injected,
        returned=returned,
        mending=mending,
        mended=time.time(),
    )


async def _stays(pace: Pace, fault: Fault, scene: Scene, history: History, fault_at: float) -> None:
    """Until what the fault waits for has come, or its time is over."""
    start = time.time()
    while (lasted := time.time() - start) < fault.most:
        enough = fault.least if not pace.brief else min(fault.least, BRIEF_SECONDS)
        over = fault.over(history, scene.victim, fault_at) or (pace.brief and _moved(history, fault, scene, fault_at))
        if lasted >= enough and over:
            return
        await asyncio.sleep(LOOK_SECONDS)


def _moved(history: History, fault: Fault, scene: Scene, fault_at: float) -> bool:
    wanted = moments.wanted(scene.victim, planned=fault.planned)
    return moments.weights_patched(moments.turns(history, fault_at), wanted) is not None


@contextlib.asynccontextmanager
async def loaded(target: client.Target, rate: float, seed: int) -> AsyncIterator[Load]:
    """Requests at a rate, all protocols in turn, for as long as the block runs."""
    async with contextlib.AsyncExitStack() as stack:
        askers = [await stack.enter_async_context(asker) for asker in mixed(target)]
        load = Load(askers, digits.questions(), rate=rate, seed=seed)
        running = asyncio.create_task(load.run(86_400))
        try:
            yield load
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def mixed(target: client.Target) -> list[client.Asker]:
    """HTTP with and without keep-alive, and gRPC."""
    target = dataclasses.replace(target, timeout=REQUEST_SECONDS)
    keep_alive, unary = client.askers(target, "both")
    fresh = client.HttpAsker(dataclasses.replace(target, fresh_connections=True))
    fresh.protocol = "http-fresh"
    askers = [keep_alive, fresh, unary]
    assert [asker.protocol for asker in askers] == list(OPEN_LOOP)
    return askers


async def finished(load: Load) -> None:
    """No new request, and the end of every one that is on its way."""
    if pending := await load.finish(2 * REQUEST_SECONDS):
        raise UsageError(f"{pending} requests have no end: this trial says nothing")

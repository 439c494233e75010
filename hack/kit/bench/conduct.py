"""One trial from beginning to end: a deployment at rest, load, a fault, its repair, and the record of it all.

The fault is undone whatever happens, Ctrl-C included. What goes wrong before the load begins raises, and there was no
trial. From then on every trial is a record, and what kept it from its end is part of it: a failure that nobody expected
is one as well. To its end belongs that the deployment comes to rest again.
"""

import asyncio
import contextlib
import dataclasses
import random
import sys
import time
from dataclasses import dataclass

from heteroserve.errors import HeteroserveError
from kit.bench import moments, reckon, victim, witness
from kit.bench.course import Course, told
from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault, Scene
from kit.bench.history import History, never
from kit.bench.levers import Levers, to_its_end
from kit.bench.schedule import Case
from kit.bench.stage import Stage, Stand
from kit.bench.stream import finished, loaded
from kit.bench.trial import Trial
from kit.errors import UsageError

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
    began, course = time.time(), Course()
    placed = await stand.at_rest()
    scene = _scene(bench, case, placed)
    name = placed.manifest["metadata"]["name"]
    try:
        async with (
            witness.watching(placed.namespace, name, placed.gateway) as history,
            loaded(placed.target, rate, case.seed) as sending,
        ):
            course.load_at = time.time()
            await _struck(course, bench.pace, FAULTS[case.fault], scene, history)
            await asyncio.sleep(bench.pace.after)
            course.stopped = time.time()
            course.breaks(await finished(sending))
    except Exception as error:
        if course.load_at is None:
            raise
        course.breaks(told(error))
    times = course.times()
    course.breaks(await _rest(stand))
    held = reckon.Held(
        case=case,
        target=stand.target,
        rate=rate,
        began=began,
        took=time.time() - began,
        revision=bench.revision,
        objective=placed.manifest["spec"]["objective"]["latency"]["milliseconds"],
        times=times,
        broken=course.broken,
        came=course.came,
    )
    return reckon.record(held, load=sending.load, history=history, victim=scene.victim)


def _scene(bench: Bench, case: Case, placed: Stage) -> Scene:
    """Who is struck; the same chance then says when."""
    chance = random.Random(case.seed)  # noqa: S311 -- repeatable, not secret
    return Scene(
        levers=bench.levers,
        namespace=placed.namespace,
        manifest=placed.manifest,
        victim=victim.choose(FAULTS[case.fault].scope, placed.pods, chance),
        chance=chance,
    )


async def _rest(stand: Stand) -> str:
    """Why the deployment did not come to rest again: that is what this trial left, not the next one."""
    try:
        await stand.again()
    except (UsageError, HeteroserveError, OSError) as error:
        return f"afterwards: {told(error)}"
    return ""


async def _struck(course: Course, pace: Pace, fault: Fault, scene: Scene, history: History) -> None:
    """The fault and its repair; when each part of it happened, or what went wrong."""
    try:
        await _inflicted(course, pace, fault, scene, history)
    except Exception as error:  # noqa: BLE001  # whatever it was, it is this trial's result
        course.breaks(told(error))
    finally:
        course.mending = time.time()
        course.breaks(await _undone(fault, scene))
        course.mended = time.time()


async def _inflicted(course: Course, pace: Pace, fault: Fault, scene: Scene, history: History) -> None:
    await fault.prepare(scene)
    # chance moves the fault against the rhythm of probes and heartbeats
    await asyncio.sleep(pace.before + scene.chance.random())
    course.fault_at = time.time()
    course.returned = await fault.inject(scene)
    course.injected = time.time()
    course.came = await _stays(pace, fault, scene, history, course.fault_at)


async def _undone(fault: Fault, scene: Scene) -> str:
    """Undoes the fault, to the end even when it is cancelled meanwhile; why that failed."""
    try:
        await to_its_end(fault.restore(scene))
    except Exception as error:  # noqa: BLE001  # as above; and who pressed Ctrl-C has to know
        why = f"the fault could not be undone: {told(error)}"
        with contextlib.suppress(OSError):  # the terminal may be what went away
            print(why, file=sys.stderr, flush=True)
        return why
    return ""


async def _stays(pace: Pace, fault: Fault, scene: Scene, history: History, fault_at: float) -> bool | None:
    """Until what the fault waits for has come, or its time is over; returns which, None where it was not waited for."""
    start = time.time()
    enough = min(fault.least, BRIEF_SECONDS) if pace.brief else fault.least
    while True:
        lasted, came = time.time() - start, fault.over(history, scene.victim, fault_at)
        if lasted >= enough and (came or (pace.brief and _moved(history, fault, scene, fault_at))):
            return came or None
        if lasted >= fault.most:
            return None if fault.over is never else came
        await asyncio.sleep(LOOK_SECONDS)


def _moved(history: History, fault: Fault, scene: Scene, fault_at: float) -> bool:
    wanted = moments.wanted(scene.victim, planned=fault.planned)
    return moments.weights_patched(moments.turns(history, fault_at), wanted) is not None

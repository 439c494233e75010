"""Many trials, one after the other: each is written as soon as it is finished, and the screen says what is left.

Invariant: a trial whose load began is kept, however it went, and not held again; but one that somebody interrupts.
"""

import asyncio
import contextlib
import signal
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from heteroserve.errors import HeteroserveError
from kit.bench import book, schedule, stage, summary, verdict
from kit.bench.conduct import Bench, trial
from kit.bench.levers import Levers
from kit.bench.schedule import Case
from kit.bench.trial import Target, Trial
from kit.cluster import HACK, addresses, connect
from kit.errors import UsageError

WIDTH = 150
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run(cases: Sequence[Case], target: Target, rate: float, path: Path) -> int:
    """Holds the trials that the file lacks; the exit status says whether all kept to their limits."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, stderr=True)
    levers = Levers()
    gateway = (await addresses())["GATEWAY"]
    bench = Bench(levers=levers, revision=await revision(levers))
    with interrupted():
        async with connect() as cluster, stage.standing(cluster, levers, target, gateway) as stand:
            lost = await hold(
                cases, target, rate, path, lambda case: trial(bench, stand, case, rate), say=_sayer(console)
            )
    seeds = {case.seed for case in cases}
    trials = [each for each in book.read(path) if each.seed in seeds and (each.target, each.rate) == (target, rate)]
    console.print(summary.drawn(trials))
    console.print(f"{len(trials)} trials in {path}", markup=False)
    return 1 if lost or any(verdict.breaches(each) or verdict.unmeasured(each) for each in trials) else 0


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """Within the block every signal to end is Ctrl-C, and only the first counts: nothing cuts short what it undoes."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    came: list[signal.Signals] = []

    def end(which: signal.Signals) -> None:
        if not came and task:
            task.cancel()
        came.append(which)

    for which in ENDING:
        loop.add_signal_handler(which, end, which)
    try:
        yield
    except asyncio.CancelledError:
        if not came:
            raise
        raise KeyboardInterrupt from None  # as asyncio itself says it of Ctrl-C
    finally:
        for which in ENDING:
            loop.remove_signal_handler(which)


def _sayer(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, markup=False, highlight=False)


async def hold(
    cases: Sequence[Case],
    target: Target,
    rate: float,
    path: Path,
    one: Callable[[Case], Awaitable[Trial]],
    *,
    say: Callable[[str], None],
) -> int:
    """Holds what is left and keeps what is finished; returns how many trials could not be held."""
    trials = list(book.read(path))
    todo = schedule.left(cases, trials, target, rate)
    took: dict[str, list[float]] = defaultdict(list)
    for each in trials:
        took[each.fault].append(each.took)
    say(f"{len(cases) - len(todo)} of {len(cases)} trials are done already")
    lost = 0
    for place, case in enumerate(todo):
        time_left = schedule.spoken(schedule.time_left(todo[place:], took))
        number = len(cases) - len(todo) + place + 1
        say(f"[{number}/{len(cases)}, about {time_left} left] {case.fault} #{case.number} ...")
        try:
            done = await one(case)
        except (UsageError, HeteroserveError, OSError) as error:
            # no load had begun, so nothing was tried: the next run does
            lost += 1
            say(f"  could not be held: {error}")
            continue
        trials.append(done)
        took[done.fault].append(done.took)
        book.write(path, trials, summary.rows(trials))
        say(f"  {line(done)}")
    return lost


def line(done: Trial) -> str:
    """A trial in a line."""
    force, patched = done.seconds.weights_in_force, done.seconds.weights_patched
    missing = "weights did not follow" if patched is None else f"weights patched after {patched:.2f} s"
    weights = missing if force is None else f"weights in force after {force:.2f} s"
    slowest = "no answer" if done.slowest is None else f"slowest {done.slowest:.0f} ms"
    told = f"{done.sent} sent, {done.failed} failed, {done.wrong} wrong, {slowest}; {weights}"
    limits = (f"LIMIT: {breach}" for breach in verdict.breaches(done))
    return "; ".join([told, *limits, *(f"NOT MEASURED: {text}" for text in verdict.unmeasured(done))])


async def revision(levers: Levers) -> str:
    """The commit of this working tree, and whether it was changed since."""
    git = ("git", "-C", str(HACK.parent))
    commit = (await levers.run(*git, "rev-parse", "HEAD")).strip()
    changed = (await levers.run(*git, "status", "--porcelain", "--untracked-files=no")).strip()
    return f"{commit}{'+changes' if changed else ''}"

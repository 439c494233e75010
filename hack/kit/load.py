"""Send real digit images at a given rate, open loop, and say honestly what became of every request.

Open loop: requests are due when the arrivals say so, whether or not earlier ones were answered, as with many
independent users. Latency counts from the moment a request was due, so a stalled server cannot hide behind a sender
that waits for it. A request that would exceed the bound of requests in flight is not sent and counts as failed.

    PYTHONPATH=hack python -m kit.load --url localhost:8000 --grpc-url localhost:8001 --protocol both --rate 50

Exit status: 0 when every request was answered rightly, 1 when not, 2 when the options are wrong.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kit import arguments, client, digits, records
from kit.errors import UsageError, told

Arrivals = Literal["poisson", "constant"]
FAILURES_SHOWN = 20
EARLY = 0.001  # asyncio's timers are late by up to a millisecond: aim that much ahead


class Load:
    """A stream of requests whose rate can be changed while it runs.

    ``samples`` grows as requests end. One event loop; no method but ``run`` and ``finish`` waits.
    """

    def __init__(
        self,
        askers: Sequence[client.Asker],
        questions: Sequence[digits.Question],
        *,
        rate: float,
        arrivals: Arrivals = "poisson",
        seed: int = 1,
        max_in_flight: int = 500,
    ) -> None:
        """The askers take turns; they are entered and left by the caller."""
        self.samples: list[records.Sample] = []
        self._askers = itertools.cycle(askers)
        self._random = random.Random(seed)  # noqa: S311  # repeatable, not secret
        self._questions = questions
        self._arrivals = arrivals
        self._max_in_flight = max_in_flight
        self._in_flight: dict[int, float] = {}  # when each was due, by number
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._rate = _checked(rate)

    def set_rate(self, rate: float) -> None:
        """From now on so many requests per second; 0 pauses."""
        self._rate = _checked(rate)
        self._changed.set()

    async def run(self, seconds: float) -> records.Summary:
        """Send for so long, wait for the last answers, and sum up. Cancelling it fails what is in flight."""
        now = asyncio.get_running_loop().time
        self._epoch = time.time() - now()
        end = now() + seconds
        due = now() + self._gap()
        async with asyncio.TaskGroup() as group:
            while True:
                if await self._rate_changes_before(min(due, end) - EARLY):
                    due = now() + self._gap()  # exponential gaps have no memory, so a new one from now is exact
                elif due < end:
                    self._send(group, due, now())
                    due += self._gap()
                else:
                    break
        return self.summary()

    def summary(self, since: float = 0.0) -> records.Summary:
        """The figures of all requests due at ``since`` (seconds since the epoch) or later."""
        pending = sum(due + self._epoch >= since for due in self._in_flight.values())
        return records.summarise([sample for sample in self.samples if sample.at >= since], pending)

    async def finish(self, within_seconds: float) -> int:
        """No new request; returns how many of those on their way found no end within so long."""
        self.set_rate(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self._in_flight:  # one more may have been sent before this was heard
                    self._idle.clear()
                    await self._idle.wait()
        return len(self._in_flight)

    def failures(self, since: float = 0.0) -> list[records.Sample]:
        """The failed and the wrongly answered among them, with their times."""
        return records.failures(sample for sample in self.samples if sample.at >= since)

    def _gap(self) -> float:
        if self._rate == 0:
            return math.inf
        return self._random.expovariate(self._rate) if self._arrivals == "poisson" else 1 / self._rate

    async def _rate_changes_before(self, moment: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self._changed.wait()
        changed = self._changed.is_set()  # who is late may find that both have happened
        self._changed.clear()
        return changed

    def _send(self, group: asyncio.TaskGroup, due: float, now: float) -> None:
        asker, question = next(self._askers), self._random.choice(self._questions)
        due = min(due, now)  # up to EARLY ahead of the plan
        if len(self._in_flight) >= self._max_in_flight:
            error = f"not sent: {self._max_in_flight} requests in flight"
            self._record(asker, due, now, now, error=error)
            return
        number = next(self._numbers)
        self._in_flight[number] = due
        group.create_task(self._ask(number, asker, question))

    async def _ask(self, number: int, asker: client.Asker, question: digits.Question) -> None:
        now = asyncio.get_running_loop().time
        due, sent = self._in_flight[number], now()
        error, wrong = None, False
        try:
            wrong = (await asker.ask(question.image))[0] not in question.right
        except BaseException as failure:  # whatever it was, it is this request's result
            error = client.reason(failure)
            if not isinstance(failure, Exception):
                raise
        finally:
            del self._in_flight[number]
            if not self._in_flight:
                self._idle.set()
            self._record(asker, due, sent, now(), error=error, wrong=wrong)

    def _record(
        self, asker: client.Asker, due: float, sent: float, done: float, *, error: str | None, wrong: bool = False
    ) -> None:
        sample = records.Sample(
            at=due + self._epoch,
            latency=done - due,
            lag=sent - due,
            protocol=asker.protocol,
            error=error,
            wrong=wrong,
        )
        self.samples.append(sample)


def _checked(rate: float) -> float:
    if not 0 <= rate < math.inf:
        raise ValueError(f"a rate is a number of requests per second from 0, not {rate}")
    return rate


def main(words: list[str] | None = None) -> int:
    """The command line."""
    given = parse(words)
    return told(lambda: asyncio.run(command(given)))


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="kit.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--url",
        required=True,
        type=arguments.address,
        metavar="HOST:PORT",
        help="a Triton, or a gateway in front of some",
    )
    add("--grpc-url", type=arguments.address, metavar="HOST:PORT", help="where gRPC is answered (default: as --url)")
    add("--host", metavar="NAME", help="the Host header and gRPC authority that a gateway routes by")
    add("--model", default=digits.MODEL, help="the model's name (default: %(default)s)")
    add("--protocol", choices=sorted(client.ASKERS), default="http", help="default: %(default)s")
    add(
        "--rate",
        type=arguments.above_zero,
        default=50.0,
        metavar="PER_SECOND",
        help="requests per second (default: 50)",
    )
    add("--seconds", type=arguments.above_zero, default=30.0, help="how long (default: 30)")
    add("--arrivals", choices=("poisson", "constant"), default="poisson", help="default: %(default)s")
    add("--seed", type=int, default=1, help="the same seed gives the same arrivals and images (default: 1)")
    add("--timeout", type=arguments.above_zero, default=5.0, metavar="SECONDS", help="of one request (default: 5)")
    add(
        "--max-in-flight",
        type=arguments.count,
        default=500,
        metavar="N",
        help="bound of unanswered requests (default: 500)",
    )
    add("--fresh-connections", action="store_true", help="a new connection for every request")
    add("--answers", type=Path, default=digits.HELD_OUT, metavar="FILE", help="the trainer's held_out.npz")
    add("--json", action="store_true", help="the summary as JSON on standard output, with every failure")
    return parser.parse_args(words)


async def command(given: argparse.Namespace) -> int:
    """Load, report every second, sum up."""
    questions = digits.questions(given.answers)
    target = client.Target(
        http=given.url,
        grpc=given.grpc_url or given.url,
        host=given.host,
        model=given.model,
        fresh_connections=given.fresh_connections,
        timeout=given.timeout,
    )
    async with contextlib.AsyncExitStack() as stack:
        askers = [await stack.enter_async_context(asker) for asker in client.askers(target, given.protocol)]
        for asker in askers:
            await greet(asker, questions[0], target)
        load = Load(
            askers,
            questions,
            rate=given.rate,
            arrivals=given.arrivals,
            seed=given.seed,
            max_in_flight=given.max_in_flight,
        )
        reporter = asyncio.create_task(report(load))
        summary = await load.run(given.seconds)
        reporter.cancel()
    show(load, summary, as_json=given.json)
    return 1 if summary.failed or summary.wrong else 0


async def greet(asker: client.Asker, question: digits.Question, target: client.Target) -> None:
    """Ask once before the clock starts: a wrong address is an error of use, not thirty seconds of failures."""
    try:
        await asker.ask(question.image)
    except Exception as error:
        option, where = ("--grpc-url", target.grpc) if asker.protocol == "grpc" else ("--url", target.http)
        raise UsageError(
            f"{option} {where}: model {target.model!r} does not answer over {asker.protocol} ({client.reason(error)}): "
            "give the address of a Triton or a gateway that serves it"
        ) from error


async def report(load: Load) -> None:
    """A line of progress every second."""
    for second in itertools.count(1):
        since = time.time()
        await asyncio.sleep(1)
        print(f"{second:4} s  {load.summary(since)}", file=sys.stderr, flush=True)


def show(load: Load, summary: records.Summary, *, as_json: bool) -> None:
    """The whole run's figures, and the failures with their times."""
    bad = load.failures()
    if as_json:
        print(json.dumps(dataclasses.asdict(summary) | {"failures": [dataclasses.asdict(each) for each in bad]}))
        return
    print(f"total   {summary}")
    for each in bad[:FAILURES_SHOWN]:
        print(f"  {each}")
    if len(bad) > FAILURES_SHOWN:
        print(f"  ... and {len(bad) - FAILURES_SHOWN} more (--json has all); by cause: {summary.errors}")


if __name__ == "__main__":
    sys.exit(main())

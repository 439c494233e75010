"""Measure a variant of the sample model on a real Triton and print the profile that the planner plans with.

For every batch size N, N requests of one image each are kept in flight, and Triton's dynamic batcher groups them: that
is how users' requests arrive, and what each of them costs the server beside the network's arithmetic is in the figures.
A point's latency is what one request took, its throughput the requests answered per second. The batches that Triton
really ran are smaller, the more so the shorter they take; their mean size is shown while measuring.

    PYTHONPATH=hack python -m kit.measure --variant int8 --batches 1,2,4,8

The figures hold for the machine and the limits they were measured under: measure on the hardware class they are for.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kit import arguments, client, digits, records, triton
from kit.errors import UsageError, told

BATCHES = [1, 2, 4, 8, 16, 32]
SENDER_LIMIT = 0.8  # a sender busy for more of the time than this measures itself


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What so many requests at once gave: the batches that came of them, and the sender's share of a core."""

    batch: int
    mean_batch: float
    latency: records.Latency
    throughput: float
    sender: float


def main(words: list[str] | None = None) -> int:
    """The command line."""
    given = parse(words)
    return told(lambda: command(given))


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="kit.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--variant", help="start a server here that serves this variant: fp32 or int8")
    where.add_argument("--url", type=arguments.address, metavar="HOST:PORT", help="measure the Triton that runs there")
    add("--protocol", choices=("http", "grpc"), default="grpc", help="that --url speaks (default: %(default)s)")
    add("--repository", type=Path, default=digits.REPOSITORY, help="model repository (default: the sample's)")
    add("--batches", type=arguments.counts, default=BATCHES, metavar="N,N,...", help="default: 1,2,4,8,16,32")
    add("--seconds", type=arguments.above_zero, default=5.0, help="per batch size, after a warm-up (default: 5)")
    return parser.parse_args(words)


def command(given: argparse.Namespace) -> int:
    """Measure, and print YAML that fits ``profile`` of a class."""
    questions = digits.questions(given.repository / digits.MODEL / digits.HELD_OUT.name)
    with server(given) as address:
        target = client.Target(http=address, grpc=address, timeout=30)
        points = asyncio.run(measure(target, questions, given))
    print(yaml.safe_dump({"profile": {"points": [rendered(point) for point in points]}}, sort_keys=False), end="")
    return 0


@contextlib.contextmanager
def server(given: argparse.Namespace) -> Iterator[str]:
    """The address to measure: the given one, or that of a server started for the purpose."""
    if given.url:
        yield given.url
        return
    if not (given.repository / digits.MODEL / "configs" / f"{given.variant}.pbtxt").is_file():
        raise UsageError(f"--variant {given.variant}: {given.repository} has no such variant: try fp32 or int8")
    with triton.serving(given.repository, variant=given.variant) as running:
        yield running.grpc if given.protocol == "grpc" else running.http


async def measure(target: client.Target, questions: list[digits.Question], given: argparse.Namespace) -> list[Point]:
    """All points, one after the other, each after a warm-up."""
    points = []
    async with client.askers(target, given.protocol)[0] as asker:
        for batch in given.batches:
            try:
                await keep_in_flight(asker, questions, batch, min(1.0, given.seconds))
                points.append(await keep_in_flight(asker, questions, batch, given.seconds))
            except Exception as error:
                if isinstance(error, UsageError):
                    raise
                raise UsageError(
                    f"--url {target.http} --protocol {given.protocol}: no answer ({client.reason(error)}): "
                    "give a running Triton's address for this protocol"
                ) from error
            report(points[-1])
    return points


def report(point: Point) -> None:
    """A line of progress."""
    warning = "  (the sender's limit, not the server's)" if point.sender > SENDER_LIMIT else ""
    latency = f"p50 {point.latency.p50:7.2f} ms  p99 {point.latency.p99:7.2f} ms"
    line = (
        f"batch {point.batch:3} (mean {point.mean_batch:4.1f})  {latency}  {point.throughput:7.0f} requests/s{warning}"
    )
    print(line, file=sys.stderr, flush=True)


async def keep_in_flight(asker: client.Asker, questions: list[digits.Question], batch: int, seconds: float) -> Point:
    """``batch`` askers, each asking again as soon as it was answered."""
    turns, took = itertools.cycle(questions), list[float]()
    images, runs = await asker.statistics()
    start, cpu = time.perf_counter(), time.process_time()

    async def one() -> None:
        while (sent := time.perf_counter()) < start + seconds:
            question = next(turns)
            answer = await asker.ask(question.image)
            took.append(time.perf_counter() - sent)
            if answer[0] not in question.right:
                raise UsageError("the server gives other answers than the trained model: is it another build of it?")

    await asyncio.gather(*(one() for _ in range(batch)))
    wall = time.perf_counter() - start
    latency = records.latency(took)
    assert latency is not None, "every asker asks at least once"
    sender = (time.process_time() - cpu) / wall
    images_after, runs_after = await asker.statistics()
    mean = (images_after - images) / (runs_after - runs)
    return Point(batch=batch, mean_batch=mean, latency=latency, throughput=len(took) / wall, sender=sender)


def rendered(point: Point) -> dict[str, Any]:
    """The point in the API's words."""
    latency = {"p50": round(point.latency.p50, 2), "p99": round(point.latency.p99, 2)}
    return {"batch": point.batch, "latencyMilliseconds": latency, "throughput": round(point.throughput)}


if __name__ == "__main__":
    sys.exit(main())

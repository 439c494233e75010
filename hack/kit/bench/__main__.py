"""Break things under load and measure what the requests notice: fault by fault, again and again, on the local cluster.

    python -m kit.bench run --faults node-killed,drain --trials 3
    python -m kit.bench run --target service --faults node-frozen --trials 5
    python -m kit.bench merge monday.json tuesday.json -o build/bench/failover.json
    python -m kit.bench summary build/bench/failover.json
    python -m kit.bench summary --markdown build/bench/failover.json
    python -m kit.bench chart build/bench/failover.json -o build/bench

All trials share a deployment, which is at rest before each. It is asked at a fixed rate over HTTP (with and without
keep-alive) and gRPC, whether or not earlier requests were answered; every answer is checked. Finished trials are kept:
the same command goes on where it was stopped (Ctrl-C undoes the fault first), and the trial that was interrupted is
held again. A file holds trials of one revision; --mix-revisions is for changes in between that no trial can notice, and
the summary and the charts then say how many are of which.

Exit status of `run`: 0 when all trials kept to their limits, 1 when one did not or could not be held, 2 when something
to start with is missing.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from kit import arguments
from kit.bench import book, charts, markdown, runs, schedule, summary
from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault
from kit.bench.levers import Levers
from kit.bench.trial import TARGETS, Trial
from kit.errors import UsageError, told

FILE = Path("build/bench/failover.json")
WIDTH = 150


def main(words: list[str] | None = None) -> int:
    """The command line."""
    given = parse(words)
    return told(lambda: given.command(given))


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    faults = "\n".join(_listed(fault) for fault in FAULTS.values())
    look = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="kit.bench",
        description=__doc__,
        epilog=f"faults, and how often each by default:\n{faults}",
        formatter_class=look,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _run(commands.add_parser("run", help="hold trials", epilog=parser.epilog, formatter_class=look))
    merge = commands.add_parser("merge", help="one file out of several runs")
    merge.add_argument("files", nargs="+", type=Path)
    merge.add_argument("-o", "--output", type=Path, required=True)
    _mix(merge)
    merge.set_defaults(command=merged)
    shown = commands.add_parser("summary", help="n, p50, p99 and max of every figure, and every failure")
    shown.add_argument("file", nargs="?", type=Path, default=FILE, help="default: %(default)s")
    shown.add_argument("--markdown", action="store_true", help="as tables for a page: a row per fault, and the ways")
    shown.set_defaults(command=summarised)
    chart = commands.add_parser("chart", help="SVGs: requests around each fault, how long the weights took, the ways")
    chart.add_argument("file", nargs="?", type=Path, default=FILE, help="default: %(default)s")
    chart.add_argument("-o", "--output", type=Path, default=FILE.parent, metavar="FOLDER", help="default: %(default)s")
    chart.set_defaults(command=charted)
    return parser.parse_args(words)


def _listed(fault: Fault) -> str:
    rate = "" if fault.rate is None else f", at {fault.rate:g} requests/s"
    return f"  {fault.name:32} {fault.trials:3} times{rate}  {fault.told}"


def _mix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mix-revisions", action="store_true", help="trials of several revisions in one file: they behave the same"
    )


def _run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--faults", default="all", metavar="NAME,NAME", help="which (default: all)")
    add("--trials", type=arguments.count, metavar="N", help="of each fault (default: as listed below)")
    add(
        "--rate",
        type=arguments.above_zero,
        metavar="PER_SECOND",
        help=f"requests per second (default: {schedule.RATE:g}, or as listed below)",
    )
    add(
        "--target",
        choices=TARGETS,
        default="operator",
        help="the way of the requests: the operator's, a plain Service, "
        "or a route without any tuning (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="another seed, other victims and arrivals (default: 1)")
    add("-o", "--output", type=Path, default=FILE, metavar="FILE", help="default: %(default)s")
    _mix(parser)
    parser.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """Hold what is still to do."""
    names = schedule.chosen(given.faults)
    with book.alone(given.output):
        return asyncio.run(_held(given, schedule.by_rate(names, given.rate)))


async def _held(given: argparse.Namespace, rates: Mapping[float, Sequence[str]]) -> int:
    """Rate by rate."""
    book.agree(book.read(given.output), mix=given.mix_revisions, now=await runs.revision(Levers()))
    statuses = [
        await runs.run(schedule.schedule(names, given.trials, given.seed), given.target, rate, given.output)
        for rate, names in rates.items()
    ]
    return max(statuses)


def merged(given: argparse.Namespace) -> int:
    """All trials of several files in one."""
    trials = book.merge([_trials(path) for path in given.files])
    book.agree(trials, mix=given.mix_revisions)
    with book.alone(given.output):
        book.write(given.output, trials, summary.rows(trials))
    print(f"{len(trials)} trials in {given.output}")
    return 0


def summarised(given: argparse.Namespace) -> int:
    """The table and the failures."""
    trials = _trials(given.file)
    if given.markdown:
        print(markdown.page(trials))
    else:
        Console(width=None if sys.stdout.isatty() else WIDTH).print(summary.drawn(trials), markup=False)
    return 0


def charted(given: argparse.Namespace) -> int:
    """Every picture that the trials allow."""
    given.output.mkdir(parents=True, exist_ok=True)
    for name, picture in charts.pictures(_trials(given.file)).items():
        (given.output / name).write_text(picture + "\n")
        print(given.output / name)
    return 0


def _trials(path: Path) -> Sequence[Trial]:
    if not (trials := book.read(path)):
        raise UsageError(f"there are no trials in {path}: make some (make bench-failover)")
    return trials


if __name__ == "__main__":
    sys.exit(main())

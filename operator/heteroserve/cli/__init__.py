"""`kubectl heteroserve`: what people do on their own cluster besides kubectl. The composition root of the plugin."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress

from heteroserve.cli.annotation import refuse_a_second
from heteroserve.cli.arguments import Refused, Request, parse
from heteroserve.cli.conduct import Drill
from heteroserve.cli.connect import Fleet, connected, look
from heteroserve.cli.forecast import Forecast, What, foresee
from heteroserve.cli.measure import measure
from heteroserve.cli.report import in_words, tell_course, tell_forecast
from heteroserve.cli.terminal import Terminal, confirm
from heteroserve.errors import HeteroserveError

DONE, FAILED, REFUSED, TOO_LITTLE_LEFT, NOT_MEASURED, INTERRUPTED = 0, 1, 2, 3, 4, 130
NAMED = 20
"""Objects that a refusal names at most."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    try:
        return _drill(parse(argv))
    except Refused as refusal:
        _complain(str(refusal))
        return refusal.status
    except HeteroserveError as error:
        _complain(f"{error.message}: nothing was done")
        return REFUSED
    except (KeyboardInterrupt, asyncio.CancelledError):
        _complain("interrupted")
        return INTERRUPTED


def _drill(request: Request) -> int:
    """Says what would happen, asks, and does it. Between the two the cluster is left alone, and looked at anew."""
    forecast, fleet = asyncio.run(_foresee(request))
    _print(tell_forecast(forecast, request.length, fleet.told))
    if request.dry_run:
        return DONE
    refuse_what_is_not_wise(forecast, request)
    if not request.yes:
        _ask(forecast, request)
    return asyncio.run(_conduct(request))


async def _foresee(request: Request) -> tuple[Forecast, Fleet]:
    async with connected(request.kubeconfig, request.context) as connection:
        fleet = await look(connection, request.operator_namespace)
    return foresee_in(fleet, request), fleet


async def _conduct(request: Request) -> int:
    async with connected(request.kubeconfig, request.context) as connection:
        forecast = foresee_in(await look(connection, request.operator_namespace), request)
        refuse_what_is_not_wise(forecast, request)
        moving, terminal = tuple(d.key for d in forecast.moving), Terminal()
        try:
            course = await Drill(connection, request.target, moving, terminal).run(request.length)
        except HeteroserveError as error:
            _complain(f"the drill did not begin: {error.message}")
            return FAILED
        measured = await measure(connection, request.prometheus, course, terminal.show)
    terminal.close()
    _print(tell_course(course, measured))
    if not course.clean or any(measured.failed(key) for key in moving):
        return FAILED
    return NOT_MEASURED if measured.missing and request.prometheus else DONE


def foresee_in(fleet: Fleet, request: Request) -> Forecast:
    """The forecast, of a node or class that is there and not drilled already. Raises `Refused`."""
    target = request.target
    known = fleet.nodes if target.what is What.NODE else fleet.hardware
    found = known.get(target.name)
    if found is None:
        flag = "--node" if target.what is What.NODE else "--class"
        names = sorted(known)
        there = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        raise Refused(f"{flag}: there is no {target}: " + (f"name one of {there}" if names else "there is none at all"))
    refuse_a_second(target, found.drill_until, fleet.now)
    return foresee(fleet.snapshots, target, fleet.now + request.length, fleet.unreadable)


def refuse_what_is_not_wise(forecast: Forecast, request: Request) -> None:
    """Nothing to rehearse is no drill; too little left is one for those who say so. Raises `Refused`."""
    if not forecast.moving:
        raise Refused(f"a drill of the {forecast.target} would change nothing: choose another node or class")
    if forecast.breaking and not request.force:
        names = ", ".join(str(d.key) for d in forecast.breaking)
        remedy = "add replicas first, or do it all the same with --force"
        raise Refused(f"the objective of {names} may break: {remedy}", TOO_LITTLE_LEFT)


def _ask(forecast: Forecast, request: Request) -> None:
    if not sys.stdin.isatty():
        raise Refused("--yes: there is no terminal to ask at: add --yes to do it, or --dry-run to look only")
    if not confirm(f"\nTake the {forecast.target} out of the traffic for {in_words(request.length)}?"):
        raise Refused("not confirmed: nothing was done")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    with suppress(OSError):  # the exit status says it as well, where nobody reads this any more
        print(f"error: {text}", file=sys.stderr, flush=True)  # noqa: T201

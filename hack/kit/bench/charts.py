"""The trials as pictures: requests per class around a fault, how long the weights took, and the ways side by side.

Pure. Faults and rates are never mixed in a line; a picture's second line says of which rate, trials and revision it is.
All trials of a line are its 100 %: where some never followed, it ends below.
"""

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from kit.bench import svg
from kit.bench.faults import FAULTS
from kit.bench.summary import about, after_return, grouped, moves
from kit.bench.svg import LINE, Panel, Point
from kit.bench.trial import TARGETS, Trial

WAYS = {"operator": "the operator's route", "service": "a plain Service", "route": "a route without tuning"}
WIDTH, HEAD, FOOT = 1100.0, 80.0, 64.0
PLOT, NARROW = WIDTH - 220.0, WIDTH - 430.0
"""A panel beside a legend of short names, and one beside names of faults."""
SOONEST = 0.1
"""Seconds at the left edge of the distribution; what was sooner stands there too."""
WAY_HEIGHT = 130.0

Groups = Mapping[tuple[str, float], Sequence[Trial]]
"""Trials by fault and rate."""


def pictures(trials: Sequence[Trial]) -> dict[str, str]:
    """All pictures by the names of their files; a rate is part of a name where a fault was held at several."""
    groups = grouped(trials)
    rates = Counter(fault for fault, _ in groups)
    found = {"weights-in-force.svg": distribution(trials)} if any(map(moves, trials)) else {}
    for (fault, rate), group in groups.items():
        name = fault if rates[fault] == 1 else f"{fault}-{rate:g}"
        if shown := middle(group):
            found[f"requests-{name}.svg"] = requests(shown, of=_ours(group))
        if ways := compared(group):
            found[f"comparison-{name}.svg"] = comparison(ways, of=group)
    return found


def _ours(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.target == "operator"]


def middle(trials: Sequence[Trial]) -> Trial | None:
    """The trial to show of a fault: of the operator's the one in the middle by how long its weights took."""
    held = [trial for trial in _ours(trials) if trial.traffic is not None and not trial.broken]
    return sorted(held, key=_patience)[len(held) // 2] if held else None


def _patience(trial: Trial) -> float:
    seconds = trial.seconds.weights_in_force
    return math.inf if seconds is None else seconds


def requests(trial: Trial, of: Sequence[Trial]) -> str:
    """Requests per second and class over time in one of some trials; the fault and its end are marked."""
    assert trial.traffic is not None
    first, series = trial.traffic.first, trial.traffic.requests
    most = max((max(counts) for counts in series.values()), default=0)
    last = first + max(len(counts) for counts in series.values())
    panel = Panel(top=HEAD, width=PLOT, x=(first, last), y=(0, 1.1 * max(most, 1)))
    title = f"{trial.fault}: requests per second to each class, retries included"
    below = f"{about(of)}; shown is trial {trial.number}, in the middle by how long its weights took"
    sheet = svg.sheet(WIDTH, HEAD + panel.height + FOOT, title, below)
    svg.axes(sheet, panel, "seconds after the fault", "requests/s")
    svg.lines(sheet, panel, {name: svg.steps(enumerate(series[name], first)) for name in sorted(series)})
    moments = ((0.0, "fault"), (trial.seconds.weights_in_force, "weights in force"), (trial.seconds.ended, "undone"))
    svg.marks(sheet, panel, [(moment, word) for moment, word in moments if moment is not None])
    return ET.tostring(sheet, encoding="unicode")


def distribution(trials: Sequence[Trial]) -> str:
    """The share of the operator's trials whose weights were in force after so many seconds, by fault and rate.

    Where the operator or the API server was away, seconds count from its return, as they do for the limits.
    """
    groups = {name: group for name, group in grouped(_ours(trials)).items() if any(map(moves, group))}
    parts = _by_beginning(groups)
    heights = [max(300.0, LINE * len(members)) for members in parts.values()]
    about_all = about(list(chain(*groups.values())))
    bottom = HEAD + sum(heights) + len(heights) * (FOOT + LINE)
    sheet = svg.sheet(WIDTH, bottom, "From the fault to the weights in force", about_all)
    x, top = (SOONEST, max(10.0, 1.2 * max(_seconds(groups.values()), default=0.0))), HEAD
    for (since, members), height in zip(parts.items(), heights, strict=True):
        panel = Panel(top=top, width=NARROW, height=height, x=x, y=(0, 100), log=True)
        _distribution(sheet, panel, since, members)
        top += height + FOOT + LINE
    return ET.tostring(sheet, encoding="unicode")


def _by_beginning(groups: Groups) -> dict[str, Groups]:
    """By what the seconds count from."""
    back = {name: group for name, group in groups.items() if any(t.seconds.returned is not None for t in group)}
    there = {name: group for name, group in groups.items() if name not in back}
    parts = {"the fault": there, "the return of the operator or the API server": back}
    return {since: members for since, members in parts.items() if members}


def _distribution(sheet: ET.Element, panel: Panel, since: str, members: Groups) -> None:
    svg.axes(sheet, panel, f"seconds after {since}", "% of the trials with weights in force")
    svg.text(sheet, (panel.left + panel.width + 14, panel.top - 10), "fault (weights followed in)", fill="#555")
    limits = {FAULTS[fault].in_force for fault, _ in members if fault in FAULTS}
    svg.marks(sheet, panel, [(limit, f"limit {limit:g} s") for limit in sorted(filter(None, limits))])
    several = len({rate for _, rate in members}) > 1
    lines = {}
    for (fault, rate), group in members.items():
        seconds = sorted(_seconds([group]))
        name = f"{fault}, {rate:g}/s" if several else fault
        lines[f"{name} ({len(seconds)} of {len(group)})"] = _climb(seconds, len(group), panel.x)
    svg.lines(sheet, panel, lines)


def _seconds(groups: Iterable[Sequence[Trial]]) -> Iterator[float]:
    """How long the weights took where they followed, from the return where there is one."""
    for group in groups:
        back = any(trial.seconds.returned is not None for trial in group)
        values = (after_return(trial) if back else trial.seconds.weights_in_force for trial in group)
        yield from (value for value in values if value is not None)


def _climb(seconds: Sequence[float], trials: int, edges: Point) -> list[Point]:
    """One step up for each trial that is there, and on to the edge: those that are missing stay missing."""
    points, share = [(edges[0], 0.0)], 0.0
    for number, value in enumerate(seconds, start=1):
        points += [(value, share), (value, share := 100 * number / trials)]
    return [*points, (edges[1], share)]


def compared(trials: Sequence[Trial]) -> list[Trial]:
    """A trial of each way with the same seed, so the same victim and arrivals: in the middle by failed requests.

    Nothing where no seed was held over several ways.
    """
    found: dict[int, dict[str, Trial]] = {}
    for trial in trials:
        if not trial.broken:
            found.setdefault(trial.seed, {})[trial.target] = trial
    most = max((len(ways) for ways in found.values()), default=0)
    full = sorted((ways for ways in found.values() if len(ways) == most > 1), key=_failed)
    ways = full[len(full) // 2] if full else {}
    return [ways[target] for target in TARGETS if target in ways]


def _failed(ways: Mapping[str, Trial]) -> int:
    return sum(len(trial.failures) for trial in ways.values())


def comparison(ways: Sequence[Trial], of: Sequence[Trial]) -> str:
    """Answered and failed requests per second over time, one way below the other, on the same scale."""
    first = math.floor(-max(trial.before.seconds for trial in ways))
    last = math.ceil(max(trial.during.seconds + trial.after.seconds for trial in ways))
    series = [_per_second(trial) for trial in ways]
    most = max(1.0, *(number for lines in series for line in lines.values() for _, number in line))
    below = f"{about(of)}; shown is trial {ways[0].number} of each way. Answered: the mean sent, less what failed"
    pitch = WAY_HEIGHT + FOOT + LINE
    sheet = svg.sheet(WIDTH, HEAD + pitch * len(ways), f"{ways[0].fault}: what became of the requests", below)
    for place, (trial, lines) in enumerate(zip(ways, series, strict=True)):
        panel = Panel(
            top=HEAD + LINE + pitch * place, width=PLOT, height=WAY_HEIGHT, x=(first, last), y=(0, 1.1 * most)
        )
        told = f"{WAYS[trial.target]}: {len(trial.failures)} of {trial.sent} requests failed"
        svg.text(sheet, (panel.left, panel.top - 8), told, **{"font-weight": "bold"})
        svg.axes(sheet, panel, "seconds after the fault", "requests/s")
        svg.lines(sheet, panel, {name: svg.steps(line) for name, line in lines.items()})
        svg.marks(sheet, panel, [(0.0, "fault"), (trial.seconds.ended, "undone")])
    return ET.tostring(sheet, encoding="unicode")


def _per_second(trial: Trial) -> dict[str, list[Point]]:
    """What was answered and what failed of the requests that were due in each second."""
    windows = ((-trial.before.seconds, trial.before), (0.0, trial.during), (trial.during.seconds, trial.after))
    failed = Counter(math.floor(failure.after) for failure in trial.failures)
    sent: dict[int, float] = {}
    for start, window in windows:
        # a second that lies in two parts counts with the later one
        seconds = range(math.floor(start), math.ceil(start + window.seconds))
        sent |= dict.fromkeys(seconds, window.sent / window.seconds)
    return {
        "answered": [(second, max(0.0, number - failed[second])) for second, number in sorted(sent.items())],
        "failed": [(second, failed[second]) for second in sorted(sent)],
    }

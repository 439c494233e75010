"""Two pictures of the trials, as SVG: requests per class around a fault, and how long the weights took. Pure."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from kit.bench.trial import Trial

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 220, 40, 50
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
"""Okabe and Ito's: they can be told apart without seeing red or green."""


@dataclass(frozen=True, slots=True)
class Axes:
    """From values to places on the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> str:
        """A point, in SVG's words."""
        return f"{self.across(x):.1f},{self.up(y):.1f}"

    def across(self, x: float) -> float:
        """The place of a value from left to right."""
        return LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def up(self, y: float) -> float:
        """The place of a value from below."""
        return HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)


def requests(trial: Trial) -> str:
    """Requests per second and class over time; the fault and its end are marked."""
    assert trial.traffic is not None
    first, series = trial.traffic.first, trial.traffic.requests
    seconds = range(first, first + len(next(iter(series.values()))))
    most = max((max(counts) for counts in series.values()), default=0)
    axes = Axes((seconds[0], seconds[-1] + 1), (0, max(most, 1)))
    title = f"{trial.fault}: requests per second to each class, retries included"
    svg = _frame(title, axes, "seconds after the fault", "requests/s")
    for place, (moment, word) in enumerate(((0.0, "fault"), (trial.seconds.ended, "undone"))):
        _mark(svg, axes, moment, word, TOP + 10 + 12 * place)
    lines = {name: [axes.at(s, n) for s, n in zip(seconds, counts, strict=True)] for name, counts in series.items()}
    _lines(svg, lines)
    return ET.tostring(svg, encoding="unicode")


def distribution(trials: Sequence[Trial]) -> str:
    """The share of the trials whose weights were in force after so many seconds, one line per fault."""
    known: dict[str, list[float]] = {}
    for trial in trials:
        if (seconds := trial.seconds.weights_in_force) is not None:
            known.setdefault(trial.fault, []).append(seconds)
    axes = Axes((0, 1.05 * max((max(values) for values in known.values()), default=1.0) or 1.0), (0, 100))
    svg = _frame("fault to weights in force", axes, "seconds after the fault", "% of the trials")
    _lines(svg, {f"{name} (n={len(values)})": _steps(axes, sorted(values)) for name, values in known.items()})
    return ET.tostring(svg, encoding="unicode")


def _steps(axes: Axes, values: Sequence[float]) -> list[str]:
    points, share = [axes.at(0, 0)], 0.0
    for number, value in enumerate(values, start=1):
        points += [axes.at(value, share), axes.at(value, share := 100 * number / len(values))]
    return points


def middle(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Of each fault the trial to show: the one in the middle by how long its weights took."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.target == "operator" and trial.traffic is not None:
            groups.setdefault(trial.fault, []).append(trial)
    return {
        fault: sorted(group, key=lambda trial: trial.seconds.weights_in_force or 0.0)[len(group) // 2]
        for fault, group in groups.items()
    }


def _frame(title: str, axes: Axes, below: str, beside: str) -> ET.Element:
    size = {"width": str(WIDTH), "height": str(HEIGHT), "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    style = {"font-family": "sans-serif", "font-size": "11"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **style})
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    _text(svg, LEFT, 20, title, **{"font-size": "14"})
    _text(svg, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, below, **{"text-anchor": "middle"})
    _text(svg, 15, HEIGHT / 2, beside, transform=f"rotate(-90 15 {HEIGHT / 2:.0f})", **{"text-anchor": "middle"})
    for step in range(6):
        x, y = (low + (high - low) * step / 5 for low, high in (axes.x, axes.y))
        _line(svg, (axes.across(x), axes.up(axes.y[0])), (axes.across(x), axes.up(axes.y[0]) + 4), "#888")
        _line(svg, (LEFT, axes.up(y)), (WIDTH - RIGHT, axes.up(y)), "#ddd")
        _text(svg, axes.across(x), HEIGHT - BOTTOM + 16, f"{x:.3g}", **{"text-anchor": "middle"})
        _text(svg, LEFT - 6, axes.up(y) + 4, f"{y:.3g}", **{"text-anchor": "end"})
    return svg


def _lines(svg: ET.Element, lines: dict[str, list[str]]) -> None:
    for number, (name, points) in enumerate(sorted(lines.items())):
        colour, dash = COLOURS[number % len(COLOURS)], "4 2" if number >= len(COLOURS) else "none"
        look = {"fill": "none", "stroke": colour, "stroke-width": "1.8", "stroke-dasharray": dash}
        ET.SubElement(svg, "polyline", {"points": " ".join(points), **look})
        _text(svg, WIDTH - RIGHT + 8, TOP + 12 * (number + 1), name, fill=colour)


def _mark(svg: ET.Element, axes: Axes, moment: float, word: str, height: float) -> None:
    if axes.x[0] <= moment <= axes.x[1]:
        _line(svg, (axes.across(moment), TOP), (axes.across(moment), HEIGHT - BOTTOM), "#d00")
        _text(svg, axes.across(moment) + 4, height, word, fill="#d00")


def _line(svg: ET.Element, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    places = dict(zip(("x1", "y1", "x2", "y2"), (f"{place:.1f}" for place in (*start, *end)), strict=True))
    ET.SubElement(svg, "line", {**places, "stroke": colour})


def _text(svg: ET.Element, x: float, y: float, words: str, **look: str) -> None:
    ET.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **look}).text = words

"""The parts of a picture, as SVG: a sheet with a title, panels with axes on it, lines with a legend. Pure.

A panel knows its place on the sheet and the values at its edges; what lies outside of them is drawn at the edge.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999900", "#000000")
"""Okabe and Ito's, the yellow darker: they can be told apart without seeing red or green."""
DASHES = ("none", "7 3", "2 2", "9 3 2 3")
"""When the colours are used up, they begin anew with another dash."""
LINE = 14
"""From one line of text to the next."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A rectangle on the sheet and the values at its edges; ``log``: from left to right by decades."""

    top: float
    left: float = 70
    width: float = 620
    height: float = 300
    x: Point
    y: Point
    log: bool = False

    def at(self, point: Point) -> str:
        """The place of a point, in SVG's words."""
        return f"{self.across(point[0]):.1f},{self.up(point[1]):.1f}"

    def across(self, value: float) -> float:
        """The place of a value from left to right."""
        low, high = self.x
        value = min(max(value, low), high)
        part = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return self.left + part * self.width

    def up(self, value: float) -> float:
        """The place of a value from below."""
        low, high = self.y
        return self.top + self.height * (1 - (min(max(value, low), high) - low) / (high - low))


def sheet(width: float, height: float, title: str, below: str) -> ET.Element:
    """A white sheet with a title and what there is to know about it."""
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}", "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "font-family": "sans-serif"})
    svg.set("font-size", "11")
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "white"})
    text(svg, (16, 24), title, **{"font-size": "15"})
    text(svg, (16, 42), below, fill="#555")
    return svg


def axes(svg: ET.Element, panel: Panel, below: str, beside: str) -> None:
    """The panel's grid, its numbers, and what they count."""
    bottom, right, middle = panel.top + panel.height, panel.left + panel.width, panel.top + panel.height / 2
    for x in decades(panel.x) if panel.log else ticks(panel.x):
        line(svg, (panel.across(x), panel.top), (panel.across(x), bottom), "#eee")
        text(svg, (panel.across(x), bottom + 15), f"{x:g}", **{"text-anchor": "middle"})
    for y in ticks(panel.y):
        line(svg, (panel.left, panel.up(y)), (right, panel.up(y)), "#ddd")
        text(svg, (panel.left - 6, panel.up(y) + 4), f"{y:g}", **{"text-anchor": "end"})
    turned = f"rotate(-90 {panel.left - 40:.0f} {middle:.0f})"
    text(svg, (panel.left + panel.width / 2, bottom + 32), below, **{"text-anchor": "middle"})
    text(svg, (panel.left - 40, middle), beside, transform=turned, **{"text-anchor": "middle"})


def lines(svg: ET.Element, panel: Panel, series: Mapping[str, Sequence[Point]]) -> None:
    """One line for each name, and a legend to the right of the panel."""
    for number, (name, points) in enumerate(series.items()):
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        look = {"fill": "none", "stroke": COLOURS[number % len(COLOURS)], "stroke-dasharray": dash}
        look["stroke-width"] = "1.8"
        place, height = panel.left + panel.width + 14, panel.top + 6 + LINE * number
        ET.SubElement(svg, "polyline", {"points": " ".join(panel.at(point) for point in points), **look})
        ET.SubElement(svg, "path", {"d": f"M{place:.0f},{height:.0f} h22", **look})
        text(svg, (place + 28, height + 4), name)


def marks(svg: ET.Element, panel: Panel, moments: Iterable[tuple[float, str]]) -> None:
    """Upright lines, each with its word; those that lie outside of the panel are left out."""
    inside = [(moment, word) for moment, word in moments if panel.x[0] <= moment <= panel.x[1]]
    for number, (moment, word) in enumerate(inside):
        place = panel.across(moment)
        line(svg, (place, panel.top), (place, panel.top + panel.height), "#c00", dash="3 3")
        # one below the other: they may be close together; the last ones have more room to their left
        late = place > panel.left + 0.8 * panel.width
        side = {"text-anchor": "end" if late else "start"}
        halo = {"paint-order": "stroke", "stroke": "white", "stroke-width": "3"}
        where = (place + (-4 if late else 4), panel.top + 12 + LINE * number)
        text(svg, where, word, fill="#c00", **side, **halo)


def steps(values: Iterable[tuple[float, float]], width: float = 1.0) -> list[Point]:
    """A line that holds each value for as long as it is counted."""
    return [point for start, value in values for point in ((start, value), (start + width, value))]


def ticks(edges: Point) -> list[float]:
    """About five round numbers from edge to edge."""
    rough = (edges[1] - edges[0]) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(edges[0] / step), math.floor(edges[1] / step * 1.001) + 1)]


def decades(edges: Point) -> list[float]:
    """1, 2 and 5 of every decade from edge to edge."""
    powers = range(math.floor(math.log10(edges[0])), math.ceil(math.log10(edges[1])) + 1)
    numbers = (round(factor * 10.0**power, 9) for power in powers for factor in (1, 2, 5))
    return [number for number in numbers if edges[0] <= number <= edges[1]]


def line(svg: ET.Element, start: Point, end: Point, colour: str, *, dash: str = "none") -> None:
    """A straight line on the sheet."""
    places = dict(zip(("x1", "y1", "x2", "y2"), (f"{place:.1f}" for place in (*start, *end)), strict=True))
    ET.SubElement(svg, "line", {**places, "stroke": colour, "stroke-dasharray": dash})


def text(svg: ET.Element, place: Point, words: str, **look: str) -> None:
    """Words on the sheet."""
    ET.SubElement(svg, "text", {"x": f"{place[0]:.1f}", "y": f"{place[1]:.1f}", **look}).text = words

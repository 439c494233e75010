"""The pictures of the trials: what is drawn, against which denominator, and what they say of themselves."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench_builders import failure, moments, trial
from kit.bench import charts, svg
from kit.bench.faults import FAULTS
from kit.bench.svg import Panel
from kit.bench.trial import Target, Traffic, Trial, Window

SVG = "{http://www.w3.org/2000/svg}"
TRAFFIC = Traffic(first=-3, requests={"cpu": [5, 5, 5, 9, 9], "gpu": [5, 5, 5, 1, 0]})
MOVING = [name for name, fault in FAULTS.items() if fault.may_write]
UNMOVED = moments(weights_in_force=None)


def words(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]


def lines(picture: str) -> list[list[tuple[float, ...]]]:
    drawn = ET.fromstring(picture).iter(f"{SVG}polyline")
    return [[tuple(map(float, point.split(","))) for point in line.attrib["points"].split()] for line in drawn]


def in_force(*seconds: float | None, fault: str = "node-killed") -> list[Trial]:
    return [trial(fault, number=n, seconds=moments(weights_in_force=s)) for n, s in enumerate(seconds, start=1)]


def test_requests_around_a_fault_are_drawn_with_the_fault() -> None:
    shown = trial("a<b", traffic=TRAFFIC, seconds=moments(ended=1.5))
    picture = charts.requests(shown, of=[shown, shown])
    assert len(lines(picture)) == 2
    assert {"cpu", "gpu", "fault", "weights in force", "undone", "seconds after the fault", "requests/s"} < set(
        words(picture)
    )
    assert words(picture)[:2] == [
        "a<b: requests per second to each class, retries included",
        "50 requests/s, 2 trials, revision abc; shown is trial 1, in the middle by how long its weights took",
    ]


DISTRIBUTIONS: dict[str, tuple[list[Trial], list[str]]] = {
    "nothing": ([], []),
    "all at once": (in_force(0.0), ["node-killed (1 of 1)"]),
    "half of them never": (in_force(1.0, None, 2.0, None), ["node-killed (2 of 4)"]),
    "none ever": (in_force(None), ["node-killed (0 of 1)"]),
    "one that was not held to its end counts": (
        [trial(), replace(trial(seconds=UNMOVED), broken="x")],
        ["node-killed (1 of 2)"],
    ),
    "two faults": ([*in_force(1.0, fault="drain"), *in_force(1.0, 2.0)], ["node-killed (2 of 2)", "drain (1 of 1)"]),
    "two rates are two lines": (
        [trial(), replace(trial(), rate=300.0)],
        ["node-killed, 50/s (1 of 1)", "node-killed, 300/s (1 of 1)"],
    ),
    "another way has no weights": ([trial(), trial(target="route", seconds=UNMOVED)], ["node-killed (1 of 1)"]),
    "nothing was struck": ([replace(trial("nothing", seconds=UNMOVED), struck=[])], []),
    "where no weight may change": ([trial("nodes-gone", seconds=UNMOVED)], []),
    "more faults than colours": ([trial(name) for name in MOVING], [f"{name} (1 of 1)" for name in MOVING]),
}


@pytest.mark.parametrize(("trials", "want"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
def test_the_distribution_has_a_line_per_fault_and_rate(trials: list[Trial], want: list[str]) -> None:
    picture = charts.distribution(trials)
    assert [word for word in words(picture) if " of " in word and word.endswith(")")] == want
    height = float(ET.fromstring(picture).attrib["height"])
    for line in lines(picture):
        assert all(0 <= x <= charts.WIDTH and 0 <= y <= height for x, y in line)
        assert line == sorted(line, key=lambda place: (place[0], -place[1])), "it only grows"
    assert len(lines(picture)) == len(want)


def test_a_line_ends_at_the_share_of_the_trials_that_followed() -> None:
    half, all_of_them = lines(
        charts.distribution([*in_force(*[1.0] * 10, *[None] * 10), *in_force(1.0, fault="drain")])
    )
    panel = Panel(top=charts.HEAD, x=(0.1, 10), y=(0, 100))
    assert [half[-1][1], all_of_them[-1][1]] == [panel.up(50), panel.up(100)]
    assert half[-1][0] == all_of_them[-1][0] == panel.left + charts.NARROW


def test_what_counts_from_a_return_has_a_panel_of_its_own() -> None:
    back = [trial("api-server-stopped", seconds=moments(returned=65.0, weights_in_force=66.0))]
    told = words(charts.distribution([trial(), *back]))
    assert told.index("seconds after the fault") < told.index(
        "seconds after the return of the operator or the API server"
    )
    alone = words(charts.distribution(back))
    assert "seconds after the fault" not in alone
    assert {"limit 5 s", "api-server-stopped (1 of 1)"} < set(alone)
    assert charts.distribution(back).count("polyline") == 1


def test_the_revisions_are_named() -> None:
    told = words(charts.distribution([trial(), replace(trial(), revision="def")]))
    assert "50 requests/s, 2 trials of several revisions: abc (1), def (1)" in told


MIDDLE: dict[str, tuple[Sequence[float | None], int | None]] = {
    "none": ([], None),
    "by how long the weights took": ([9.0, 1.0, 2.0], 3),
    "never is longer than anything": ([None, 9.0, 1.0], 2),
    "most never followed": ([None, 1.0, None], 1),
}


@pytest.mark.parametrize(("seconds", "want"), MIDDLE.values(), ids=MIDDLE.keys())
def test_the_trial_in_the_middle_is_shown(seconds: Sequence[float | None], want: int | None) -> None:
    trials = [replace(each, traffic=TRAFFIC) for each in in_force(*seconds)]
    others = [trial(number=7), trial(number=8, target="route", traffic=TRAFFIC), replace(trial(number=9), broken="x")]
    shown = charts.middle([*trials, *others])
    assert (shown and shown.number) == want


def way(target: Target, seed: int, failures: int = 0) -> Trial:
    part = Window(seconds=5.0, sent=250, answered=250, p50=5, p99=9)
    told = [failure(0.1 * number) for number in range(failures)]
    return replace(trial(target=target, seed=seed, failures=told), before=part, during=part, after=part)


WAYS: dict[str, tuple[list[Trial], list[tuple[str, int]]]] = {
    "one way alone": ([way("operator", 1), way("operator", 2)], []),
    "other seeds are other victims": ([way("operator", 1), way("service", 2)], []),
    "in the order of the ways": (
        [way("route", 1), way("service", 1), way("operator", 1)],
        [("operator", 1), ("service", 1), ("route", 1)],
    ),
    "the seed that all ways have": (
        [*(way("operator", seed) for seed in (1, 2)), *(way("service", seed) for seed in (1, 2)), way("route", 2)],
        [("operator", 2), ("service", 2), ("route", 2)],
    ),
    "in the middle by what failed": (
        [*(way("operator", seed) for seed in (1, 2, 3)), *(way("service", seed, 9 // seed) for seed in (1, 2, 3))],
        [("operator", 2), ("service", 2)],
    ),
    "not one that was not held to its end": ([way("operator", 1), replace(way("service", 1), broken="x")], []),
}


@pytest.mark.parametrize(("trials", "want"), WAYS.values(), ids=WAYS.keys())
def test_the_ways_are_compared_over_the_same_victim_and_arrivals(
    trials: list[Trial], want: list[tuple[str, int]]
) -> None:
    assert [(each.target, each.seed) for each in charts.compared(trials)] == want


def test_the_ways_stand_one_below_the_other_on_the_same_scale() -> None:
    ways = [way("operator", 1), way("service", 1, 25)]
    picture = charts.comparison(ways, of=ways)
    answered, failed, answered_then, failed_then = lines(picture)
    below = answered_then[0][1] - answered[0][1]
    assert failed_then[0][1] - failed[0][1] == below > 0
    assert {y for _, y in failed} == {failed[0][1]}
    assert len({y for _, y in answered_then}) == 3, "50, then 40, 40 and 45, then 50 requests/s"
    told = words(picture)
    assert {"the operator's route: 0 of 3000 requests failed", "a plain Service: 25 of 3000 requests failed"} < set(
        told
    )
    assert told.count("answered") == told.count("failed") == told.count("requests/s") == 2


def test_every_fault_has_its_pictures_and_every_rate_its_own() -> None:
    trials = [replace(each, traffic=TRAFFIC) for each in (way("operator", 1), way("route", 1), trial("drain"))]
    fast = replace(trial("drain", traffic=TRAFFIC), rate=300.0)
    assert sorted(charts.pictures([*trials, fast])) == [
        "comparison-node-killed.svg",
        "requests-drain-300.svg",
        "requests-drain-50.svg",
        "requests-node-killed.svg",
        "weights-in-force.svg",
    ]
    assert charts.pictures([trial("drain", target="service")]) == {}


TICKS = {
    "a few": ((0.0, 5.0), [0, 1, 2, 3, 4, 5]),
    "many": ((0.0, 110.0), [0, 50, 100]),
    "from below zero": ((-7.0, 30.0), [0, 10, 20, 30]),
}


@pytest.mark.parametrize(("edges", "want"), TICKS.values(), ids=TICKS.keys())
def test_axes_have_round_numbers(edges: tuple[float, float], want: list[float]) -> None:
    assert svg.ticks(edges) == want


def test_decades_have_three_numbers_each() -> None:
    assert svg.decades((0.1, 60.0)) == [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]

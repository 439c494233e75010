"""What many trials come to: figures, limits, the table, the charts."""

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from bench_builders import EVEN, failure, moments, trial
from kit.bench import __main__ as bench
from kit.bench import book, charts, summary, verdict
from kit.bench.summary import Figure
from kit.bench.trial import Traffic, Trial, Turn

FIGURES = {
    "one": ([3.0], Figure(name="x", n=1, p50=3, p99=3, max=3)),
    "four: the second is in the middle": ([4, 1, 3, 2], Figure(name="x", n=4, p50=2, p99=4, max=4)),
    "twenty: the p99 is the longest": ([float(n) for n in range(20)], Figure(name="x", n=20, p50=9, p99=19, max=19)),
    "two hundred: the p99 is not": (
        [float(n) for n in range(200)],
        Figure(name="x", n=200, p50=99, p99=197, max=199),
    ),
}


@pytest.mark.parametrize(("values", "want"), FIGURES.values(), ids=FIGURES.keys())
def test_a_figure_is_made_of_values_that_were_seen(values: Sequence[float], want: Figure) -> None:
    assert summary.figure("x", values) == want


def test_a_row_counts_what_is_known_of_each_figure() -> None:
    trials = [trial(number=1), trial(number=2, seconds=moments(weights_in_force=None), failures=[failure()])]
    (row,) = summary.rows(trials)
    assert (row.trials, row.sent, row.failed, row.wrong, row.breached) == (2, 6000, 1, 0, 1)
    known = {figure.name: figure.n for figure in row.figures}
    assert known["weights in force, s"] == 1
    assert known["slowest request, ms"] == 2
    assert "operator or API server back, s" not in known


def test_ways_and_rates_are_not_mixed() -> None:
    rows = summary.rows([trial(), trial(target="service"), trial("drain"), trial()])
    assert [(row.fault, row.target, row.trials) for row in rows] == [
        ("node-killed", "operator", 2),
        ("node-killed", "service", 1),
        ("drain", "operator", 1),
    ]


FLAPS = [EVEN, *(Turn(after=after, weights={"gpu": gpu}) for after, gpu in ((1, 0), (60, 50), (70, 0), (130, 50)))]


@dataclass(frozen=True, slots=True)
class Verdict:
    trial: Trial
    want: list[str]


VERDICTS = {
    "all held": Verdict(trial(), []),
    "a request failed": Verdict(trial(failures=[failure()]), ["1 requests failed"]),
    "a wrong answer": Verdict(trial(wrong=1), ["1 wrong answers"]),
    "too late": Verdict(trial(seconds=moments(weights_in_force=3.5)), ["weights in force 3.50 s, the limit is 3 s"]),
    "a stricter limit for a class's only pod": Verdict(
        trial("only-pod-killed", seconds=moments(weights_in_force=1.5)),
        ["weights in force 1.50 s, the limit is 1 s"],
    ),
    "never": Verdict(trial(seconds=moments(weights_in_force=None)), ["the weights never followed, the limit is 3 s"]),
    "the kubelet was faster than anybody": Verdict(
        trial("triton-killed", seconds=moments(weights_in_force=None, capacity_restored=2.0)), []
    ),
    "counted from the operator's return": Verdict(
        trial("node-killed+operator-killed", seconds=moments(returned=6.0, weights_in_force=10.5)), []
    ),
    "too late after the return": Verdict(
        trial("node-killed+operator-killed", seconds=moments(returned=6.0, weights_in_force=12.0)),
        ["weights in force 6.00 s after the return, the limit is 5 s"],
    ),
    "a drain has no limit but the requests": Verdict(trial("drain", seconds=moments(weights_in_force=None)), []),
    "by force, a second of the class's share may fail": Verdict(
        trial("only-pod-forced", failures=[failure()] * 25), []
    ),
    "by force, and no more": Verdict(
        trial("only-pod-forced", failures=[failure()] * 26), ["26 requests failed, at most 25 may"]
    ),
    "flapping traffic": Verdict(
        trial("node-flapping", weights=FLAPS), ["the weights changed their direction 3 times in 10 minutes"]
    ),
    "many nodes gone, and something was removed": Verdict(trial("nodes-gone", pods_removed=2), ["2 pods were removed"]),
    "many nodes gone, and nobody noticed": Verdict(
        trial("nodes-gone", seconds=moments(suspicion=None)), ["it was never noticed"]
    ),
    "many nodes gone, noticed late": Verdict(
        trial("nodes-gone", seconds=moments(suspicion=1.5)), ["noticed after 1.30 s, the limit is 1 s"]
    ),
    "a comparison has no limits": Verdict(trial(target="service", failures=[failure()] * 855), []),
}


@pytest.mark.parametrize("case", VERDICTS.values(), ids=VERDICTS.keys())
def test_limits(case: Verdict) -> None:
    assert verdict.breaches(case.trial) == case.want


def test_the_table_lists_every_failure() -> None:
    console = Console(file=io.StringIO(), width=150)
    console.print(
        summary.drawn([trial(failures=[failure(0.4, "[reset]"), failure(0.5)]), trial("drain")]), markup=False
    )
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "node-killed (operator, 50/s)" in text
    assert "3000 sent, 2 failed, 0 wrong, 1 beyond a limit" in text
    assert "node-killed #1 (operator, 2026-01-01T00:00:00.000+00:00): grpc +0.400 s, after 5000 ms: [reset]" in text
    assert "+0.500 s, after 5000 ms: timeout" in text


SVG = "{http://www.w3.org/2000/svg}"
TRAFFIC = Traffic(first=-3, requests={"cpu": [5, 5, 5, 9, 9], "gpu": [5, 5, 5, 1, 0]})


def words(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]


def test_requests_around_a_fault_are_drawn_with_the_fault() -> None:
    picture = charts.requests(trial("a<b", traffic=TRAFFIC, seconds=moments(ended=1.5)))
    svg = ET.fromstring(picture)
    assert len(list(svg.iter(f"{SVG}polyline"))) == 2
    assert {"cpu", "gpu", "fault", "undone"} < set(words(picture))
    assert "a<b: requests per second to each class, retries included" in words(picture)


DISTRIBUTIONS = {
    "nothing": ([], 0),
    "nothing is known": ([trial(seconds=moments(weights_in_force=None))], 0),
    "all at once": ([trial(seconds=moments(weights_in_force=0.0))], 1),
    "two faults": ([trial(), trial(), trial("drain")], 2),
    "more faults than colours": ([trial(f"fault {n}") for n in range(12)], 12),
}


@pytest.mark.parametrize(("trials", "want_lines"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
def test_the_distribution_has_a_line_per_fault(trials: list[Trial], want_lines: int) -> None:
    svg = ET.fromstring(charts.distribution(trials))
    lines = list(svg.iter(f"{SVG}polyline"))
    assert len(lines) == want_lines
    for line in lines:
        places = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert all(0 <= x <= charts.WIDTH and 0 <= y <= charts.HEIGHT for x, y in places)
        assert places == sorted(places, key=lambda place: (place[0], -place[1])), "it only grows"


def test_the_trial_in_the_middle_is_shown() -> None:
    trials = [
        trial(number=n, seconds=moments(weights_in_force=f), traffic=TRAFFIC) for n, f in enumerate((9.0, 1.0, 2.0))
    ]
    assert charts.middle([*trials, trial("drain"), trial(target="route", traffic=TRAFFIC)]) == {
        "node-killed": trials[2]
    }


def test_the_commands_that_need_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, began in (("a.json", "2026-01-01"), ("b.json", "2026-01-02")):
        book.write(tmp_path / name, [trial(began=began, traffic=TRAFFIC)], [])
    both = str(tmp_path / "c.json")
    assert bench.main(["merge", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "-o", both]) == 0
    assert bench.main(["summary", both]) == 0
    assert bench.main(["chart", both, "-o", str(tmp_path / "charts")]) == 0
    assert "2 trials in" in capsys.readouterr().out
    pictures = {path.name: path.read_text() for path in (tmp_path / "charts").iterdir()}
    assert pictures.keys() == {"requests-node-killed.svg", "weights-in-force.svg"}
    for picture in pictures.values():
        ET.fromstring(picture)


WRONG = {
    "no command": ([], "COMMAND"),
    "half a trial": (["run", "--trials", "0.5"], "--trials"),
    "another way": (["run", "--target", "moon"], "--target"),
    "a rate of nothing": (["run", "--rate", "0"], "--rate"),
}


@pytest.mark.parametrize(("given", "want"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_option_is_named(given: list[str], want: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(given)
    assert want in capsys.readouterr().err.splitlines()[-1]


def test_no_trials_and_unknown_faults_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["summary", str(tmp_path / "no.json")]) == 2
    assert bench.main(["run", "--faults", "fire"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "there are no trials in" in first
    assert "there is no fault 'fire'" in second


def test_the_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["run", "--help"])
    text = capsys.readouterr().out
    assert "node-frozen+operator-killed" in text
    assert "a class's only pod is deleted, with grace" in text

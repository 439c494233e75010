"""What many trials come to: figures, limits, the table."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from rich.console import Console

from bench_builders import EVEN, failure, moments, trial
from kit.bench import summary, verdict
from kit.bench.summary import AFTER_RETURN, CAPACITY, IN_FORCE, Figure, Value
from kit.bench.trial import Trial, Turn

NEVER = summary.NEVER
FIGURES: dict[str, tuple[Sequence[Value], Figure]] = {
    "one": ([3.0], Figure(name="x", n=1, p50=3, p99=3, max=3)),
    "four: the second is in the middle": ([4, 1, 3, 2], Figure(name="x", n=4, p50=2, p99=4, max=4)),
    "twenty: the p99 is the longest": ([float(n) for n in range(20)], Figure(name="x", n=20, p50=9, p99=19, max=19)),
    "two hundred: the p99 is not": (
        [float(n) for n in range(200)],
        Figure(name="x", n=200, p50=99, p99=197, max=199),
    ),
    "half of them never: the middle was still seen": (
        [1.0, NEVER, 2.0, NEVER],
        Figure(name="x", n=2, never=2, p50=2, p99=NEVER, max=NEVER),
    ),
    "most of them never": ([1.0, NEVER, NEVER], Figure(name="x", n=1, never=2, p50=NEVER, p99=NEVER, max=NEVER)),
    "all of them never": ([NEVER], Figure(name="x", n=0, never=1, p50=NEVER, p99=NEVER, max=NEVER)),
    "not measured is not short": ([None, 2.0, 1.0], Figure(name="x", n=2, unmeasured=1, p50=2, p99=None, max=2)),
    "never is longer than what was not measured": (
        [NEVER, None, None, 1.0],
        Figure(name="x", n=1, never=1, unmeasured=2, p50=None, p99=NEVER, max=NEVER),
    ),
}


@pytest.mark.parametrize(("values", "want"), FIGURES.values(), ids=FIGURES.keys())
def test_a_figure_is_made_of_values_that_were_seen_over_all_trials(values: Sequence[Value], want: Figure) -> None:
    assert summary.figure("x", values) == want


def test_where_less_is_worse_the_least_is_told() -> None:
    assert summary.figure("x", [5.0, 1.0, None, 3.0], low=True) == Figure(
        name="x", n=3, unmeasured=1, p50=3, p99=None, max=1
    )


def figures(*trials: Trial) -> dict[str, Figure]:
    (row,) = summary.rows(trials)
    return {figure.name: figure for figure in row.figures}


UNMOVED = moments(weights_in_force=None)


def test_a_row_counts_all_its_trials_in_each_figure() -> None:
    trials = [trial(number=1), trial(number=2, seconds=UNMOVED, failures=[failure()])]
    (row,) = summary.rows(trials)
    assert (row.trials, row.sent, row.failed, row.wrong, row.breached) == (2, 6000, 1, 0, 1)
    known = figures(*trials)
    assert (known[IN_FORCE].n, known[IN_FORCE].never, known[IN_FORCE].max) == (1, 1, NEVER)
    assert known["slowest request, ms"].n == 2
    assert "operator or API server back, s" not in known


@dataclass(frozen=True, slots=True)
class Missing:
    trials: Sequence[Trial]
    figure: str
    want: tuple[int, int, int] | None
    """Seen, never, not measured; None: there is no such figure."""


STUCK = trial(seconds=moments(capacity_restored=None))
RETURNED = trial(seconds=moments(returned=0.5))

MISSING = {
    "the weights never followed": Missing([trial(), trial(seconds=UNMOVED)], IN_FORCE, (1, 1, 0)),
    "in no trial": Missing([trial(seconds=UNMOVED)], IN_FORCE, (0, 1, 0)),
    "patched, and nobody saw what went to the dead": Missing(
        [trial(), trial(seconds=moments(weights_in_force=None, weights_patched=1.0))], IN_FORCE, (1, 0, 1)
    ),
    "no weight may change": Missing([trial("nodes-gone", seconds=UNMOVED)], IN_FORCE, None),
    "nobody looked until the end": Missing(
        [trial(), replace(trial(seconds=UNMOVED), broken="no kubectl")], IN_FORCE, (1, 0, 1)
    ),
    "another way has no weights": Missing([trial(target="service", seconds=UNMOVED)], IN_FORCE, None),
    "nothing was struck": Missing([replace(trial(seconds=UNMOVED), struck=[])], IN_FORCE, None),
    "the capacity did not come back": Missing([trial(), replace(STUCK, came=False)], CAPACITY, (1, 1, 0)),
    "the capacity was never seen to fall": Missing([trial(), replace(STUCK, came=True)], CAPACITY, (1, 0, 1)),
    "the weights never followed after the return": Missing(
        [RETURNED, trial(seconds=replace(UNMOVED, returned=6.0))], AFTER_RETURN, (1, 1, 0)
    ),
    "nobody was away": Missing([trial(), trial(seconds=UNMOVED)], AFTER_RETURN, None),
}


@pytest.mark.parametrize("case", MISSING.values(), ids=MISSING.keys())
def test_what_is_missing_is_told_apart(case: Missing) -> None:
    found = figures(*case.trials).get(case.figure)
    assert (None if found is None else (found.n, found.never, found.unmeasured)) == case.want


def test_weights_are_also_told_from_the_return_as_their_limit_is() -> None:
    back = [trial("api-server-stopped", seconds=moments(returned=65.0, weights_in_force=w)) for w in (66.0, 69.0, 64.5)]
    known = figures(*back)
    assert (known[IN_FORCE].p50, known[IN_FORCE].max) == (66.0, 69.0)
    assert (known[AFTER_RETURN].p50, known[AFTER_RETURN].max) == (1.0, 4.0)


def test_the_rates_and_the_late_answers_are_told_where_they_are_known() -> None:
    trials = [replace(trial(), goodput=g, surviving=90.0, late=3) for g in (48.0, 50.0)]
    known = figures(*trials, trial())
    assert {name: (each.n, each.max) for name, each in known.items() if name in summary.RATES} == {
        "goodput, requests/s (p50, p1, min)": (2, 48.0),
        "surviving, requests/s (p50, p1, min)": (2, 90.0),
    }
    assert "6000 sent, 0 failed, 0 wrong, 6 late" in text(trials)
    assert not figures(trial()).keys() & summary.RATES.keys()


def test_ways_and_rates_are_not_mixed() -> None:
    rows = summary.rows([trial(), trial(target="service"), trial("drain"), trial(), replace(trial(), rate=300.0)])
    assert [(row.fault, row.target, row.rate, row.trials) for row in rows] == [
        ("node-killed", "operator", 50.0, 2),
        ("node-killed", "service", 50.0, 1),
        ("drain", "operator", 50.0, 1),
        ("node-killed", "operator", 300.0, 1),
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
    "many nodes gone, and something was changed": Verdict(
        replace(trial("nodes-gone"), writes=["Deployment gpu"]),
        ["1 changes while its view was in doubt: Deployment gpu"],
    ),
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


def text(trials: Sequence[Trial]) -> str:
    console = Console(file=io.StringIO(), width=170)
    console.print(summary.drawn(trials), markup=False)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_table_lists_every_failure() -> None:
    told = text([trial(failures=[failure(0.4, "[reset]"), failure(0.5)]), trial("drain")])
    assert "node-killed (operator, 50/s)" in told
    assert "3000 sent, 2 failed, 0 wrong, 0 late, 1 beyond a limit" in told
    assert "node-killed #1 (operator, 2026-01-01T00:00:00.000+00:00): grpc +0.400 s, after 5000 ms: [reset]" in told
    assert "+0.500 s, after 5000 ms: timeout" in told


def test_what_never_came_is_told_in_the_table() -> None:
    row = next(line for line in text([trial(seconds=UNMOVED), trial()]).splitlines() if IN_FORCE in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == [IN_FORCE, "1", "1", "", "1.00", "never", "never"]


def test_broken_trials_come_first_and_count_as_failed() -> None:
    trials = [trial(failures=[failure()]), replace(trial("drain", 2), broken="no API server")]
    assert [(row.trials, row.broken, row.breached) for row in summary.rows(trials)] == [(1, 0, 1), (1, 1, 1)]
    first, *others = summary.complaints(trials)
    assert first == "drain #2 (operator, 2026-01-01T00:00:00.000+00:00): not held to its end: no API server"
    assert not any("no API server" in other for other in others)
    assert "1 beyond a limit, 1 broken" in text(trials)


REVISIONS = {
    "one": (["abc", "abc"], "50 requests/s, 2 trials, revision abc"),
    "two": (["abc", "def", "def"], "50 requests/s, 3 trials of several revisions: abc (1), def (2)"),
    "as long as git has them, and changed": (["a" * 40 + "+changes"], "1 trial, revision aaaaaaaaaa+changes"),
}


@pytest.mark.parametrize(("given", "want"), REVISIONS.values(), ids=REVISIONS.keys())
def test_the_first_line_says_of_which_revisions_the_trials_are(given: list[str], want: str) -> None:
    assert want in text([replace(trial(), revision=revision) for revision in given]).splitlines()[0]

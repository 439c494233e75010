"""The summary as it is pasted into a page."""

from dataclasses import dataclass, replace

import pytest

from bench_builders import failure, moments, trial
from kit.bench import markdown
from kit.bench.trial import Trial

UNMOVED = moments(weights_in_force=None)
RETURNED = moments(returned=65.0, weights_in_force=66.5)


@dataclass(frozen=True, slots=True)
class Fault:
    trials: list[Trial]
    want: list[str]


FAULTS = {
    "all is well": Fault(
        [trial()], ["| `node-killed` | 1 | 3,000 | 0 | 1.00 / 1.00 / 1.00 | 3 | 9.00 / 9.00 | 0 / 0 |"]
    ),
    "half never followed, one broke": Fault(
        [trial(), trial(seconds=UNMOVED), trial(seconds=UNMOVED), replace(trial(), broken="x")],
        ["| `node-killed` | 4 | 12,000 | 0 | 1.00 / never / never | 3 | 9.00 / 9.00 | 2 / 1 |"],
    ),
    "from the return, as the limit": Fault(
        [trial("api-server-stopped", seconds=RETURNED)],
        ["| `api-server-stopped` | 1 | 3,000 | 0 | 1.50 / 1.50 / 1.50 ¹ | 5 | 9.00 / 9.00 | 0 / 0 |"],
    ),
    "nothing was struck": Fault(
        [replace(trial("nothing", seconds=replace(UNMOVED, capacity_restored=None)), struck=[])],
        ["| `nothing` | 1 | 3,000 | 0 | - | - | - | - / 0 |"],
    ),
    "in the order of the table of faults": Fault(
        [trial("drain"), trial("node-frozen", wrong=2, failures=[failure()])],
        [
            "| `node-frozen` | 1 | 3,000 | 1 and 2 wrong | 1.00 / 1.00 / 1.00 | 3 | 9.00 / 9.00 | 0 / 0 |",
            "| `drain` | 1 | 3,000 | 0 | 1.00 / 1.00 / 1.00 | - | 9.00 / 9.00 | 0 / 0 |",
        ],
    ),
    "another rate than that of most": Fault(
        [trial("drain"), trial(), replace(trial(), rate=300.0)],
        [
            "| `node-killed` | 1 | 3,000 | 0 | 1.00 / 1.00 / 1.00 | 3 | 9.00 / 9.00 | 0 / 0 |",
            "| `node-killed`, 300/s | 1 | 3,000 | 0 | 1.00 / 1.00 / 1.00 | 3 | 9.00 / 9.00 | 0 / 0 |",
            "| `drain` | 1 | 3,000 | 0 | 1.00 / 1.00 / 1.00 | - | 9.00 / 9.00 | 0 / 0 |",
        ],
    ),
}


def rows(trials: list[Trial]) -> list[str]:
    return [line for line in markdown.page(trials).splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS.keys())
def test_a_row_per_fault(case: Fault) -> None:
    assert rows(case.trials) == case.want


def test_the_ways_are_compared_per_trial() -> None:
    ours = [trial("node-frozen", 1), trial("node-frozen", 2), trial("drain")]
    service = [trial("node-frozen", n, target="service", failures=[failure()] * n) for n in (1, 2)]
    text = markdown.page([*ours, *service])
    assert "| fault | operator | plain Service | untuned route |" in text
    assert rows([*ours, *service])[-1] == ("| `node-frozen` | 0.0 of 3,000 (2 trials) | 1.5 of 3,000 (2 trials) | - |")
    assert "timeout" not in text, "a comparison's failures are not listed"
    assert "plain Service" not in markdown.page(ours)


def test_comparisons_alone_are_compared() -> None:
    assert rows([trial(target="service"), trial(target="route")]) == [
        "| `node-killed` | - | 0.0 of 3,000 (1 trial) | 0.0 of 3,000 (1 trial) |"
    ]


def test_the_page_begins_with_what_the_trials_are() -> None:
    assert markdown.page([trial()]).startswith("50 requests/s, 1 trial, revision abc; 2026-01-01.\n\n| fault |")
    mixed = markdown.page([trial(began="2026-01-03T01"), replace(trial(), revision="def")])
    assert mixed.startswith(
        "50 requests/s, 2 trials of several revisions: abc (1), def (1); 2026-01-01 to 2026-01-03.\n"
    )


def test_the_page_ends_with_what_did_not_hold() -> None:
    assert markdown.page([trial()]).endswith(
        "\n\nNo request failed and every limit held over the operator's way, in 1 trial."
    )
    broken = replace(trial(number=2), broken="no API server")
    end = markdown.page([trial(failures=[failure()]), broken]).partition("```text\n")[2].splitlines()
    assert [line.partition("+00:00): ")[2] for line in end] == [
        "not held to its end: no API server",
        "1 requests failed",
        "grpc +0.400 s, after 5000 ms: timeout",
        "",
    ]

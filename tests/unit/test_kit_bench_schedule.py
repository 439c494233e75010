"""Which trials are held, and how long that takes."""

from dataclasses import dataclass, field, replace

import pytest

from bench_builders import trial
from kit.bench import schedule
from kit.bench.faults import FAULTS
from kit.bench.schedule import Case
from kit.errors import UsageError


def order(cases: list[Case]) -> list[tuple[str, int]]:
    return [(case.fault, case.number) for case in cases]


def test_rounds_over_all_faults_so_that_an_early_end_has_some_of_each() -> None:
    cases = schedule.schedule(["drain", "node-killed"], 2, seed=1)
    assert order(cases) == [("drain", 1), ("node-killed", 1), ("drain", 2), ("node-killed", 2)]


def test_without_a_number_every_fault_has_its_own() -> None:
    cases = schedule.schedule(["node-flapping", "class-frozen"], None, seed=1)
    assert len([c for c in cases if c.fault == "node-flapping"]) == 1
    assert len([c for c in cases if c.fault == "class-frozen"]) == 10


def test_seeds_repeat_and_differ() -> None:
    names = ["drain", "node-killed"]
    cases = schedule.schedule(names, 20, seed=1)
    assert cases == schedule.schedule(names, 20, seed=1)
    assert len({case.seed for case in cases}) == 40
    assert not {c.seed for c in cases} & {c.seed for c in schedule.schedule(names, 20, seed=2)}
    # more trials of more faults keep those that are there
    assert set(cases) < set(schedule.schedule([*names, "scale-down"], 30, seed=1))


def test_what_is_left_depends_on_way_and_rate() -> None:
    cases = schedule.schedule(["drain"], 2, seed=1)
    done = [trial("drain", 1, seed=cases[0].seed)]
    assert schedule.left(cases, done, "operator", 50.0) == cases[1:]
    assert schedule.left(cases, done, "service", 50.0) == cases
    assert schedule.left(cases, done, "operator", 60.0) == cases


CHOSEN = {
    "one": ("drain", ["drain"]),
    "two": ("drain, node-killed", ["drain", "node-killed"]),
    "one twice has the same seeds": ("drain,node-killed, drain", ["drain", "node-killed"]),
}


@pytest.mark.parametrize(("names", "want"), CHOSEN.values(), ids=CHOSEN.keys())
def test_chosen(names: str, want: list[str]) -> None:
    assert schedule.chosen(names) == want


def test_all_is_all() -> None:
    assert schedule.chosen("all") == list(FAULTS)


def test_an_unknown_fault_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no fault 'fire'; there are: node-killed, "):
        schedule.chosen("drain,fire")


BY_RATE: dict[str, tuple[float | None, dict[float, list[str]]]] = {
    "each its own": (None, {50.0: ["node-killed", "scale-down"], 5.0: ["drain"]}),
    "the user's for all": (80.0, {80.0: ["node-killed", "drain", "scale-down"]}),
}


@pytest.mark.parametrize(("rate", "want"), BY_RATE.values(), ids=BY_RATE.keys())
def test_a_fault_may_have_a_rate_of_its_own(
    monkeypatch: pytest.MonkeyPatch, rate: float | None, want: dict[float, list[str]]
) -> None:
    monkeypatch.setitem(FAULTS, "drain", replace(FAULTS["drain"], rate=5.0))
    assert schedule.by_rate(["node-killed", "drain", "scale-down"], rate) == want


@dataclass(frozen=True, slots=True)
class Left:
    want: float
    took: dict[str, list[float]] = field(default_factory=dict)
    trials: int = 2


LEFT = {
    "nothing is left": Left(0.0, trials=0),
    "never held: as long as it may take": Left(2 * (75 + 60 + 1)),
    "held before: as long as it took": Left(200.0, {"node-killed": [90.0, 110.0]}),
    "another fault's time says nothing": Left(2 * 136, {"drain": [1.0]}),
}


@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT.keys())
def test_time_left(case: Left) -> None:
    cases = schedule.schedule(["node-killed"], 2, seed=1)[: case.trials]
    assert schedule.time_left(cases, case.took) == case.want


@pytest.mark.parametrize(
    ("seconds", "want"), [(0, "1 min"), (100, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
)
def test_durations_as_people_say_them(seconds: float, want: str) -> None:
    assert schedule.spoken(seconds) == want

"""The file of trials: what is kept, what is held again, what several runs make together, and what is refused."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench_builders import failure, moments, trial
from kit.bench import book, runs, schedule, summary
from kit.bench.schedule import Case
from kit.bench.trial import Traffic, Trial
from kit.errors import UsageError

FULL = trial(failures=[failure()], traffic=Traffic(first=-2, requests={"gpu": [1, 2], "cpu": [3, 4]}))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    other = trial(number=2, seconds=moments(weights_in_force=None))
    book.write(file, [FULL, other], summary.rows([FULL, other]))
    content = json.loads(file.read_text())
    again = book.read(file)
    assert [json.loads(json.dumps(t.failures, default=vars_of)) for t in again] == [
        t["failures"] for t in content["trials"]
    ]
    assert again[0].traffic == FULL.traffic
    assert again[1].seconds == other.seconds
    assert content["summary"][0]["trials"] == 2
    assert [p.name for p in file.parent.iterdir()] == ["bench.json"]


def vars_of(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


def test_no_file_is_no_trials(tmp_path: Path) -> None:
    assert book.read(tmp_path / "nothing.json") == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"trials": [{"fault": "x"}]}', '{"trials": 3}'])
def test_another_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"other\.json is no file of trials"):
        book.read(file)


EARLY, LATE = "2026-01-01T00:00:00", "2026-01-02T00:00:00"


@dataclass(frozen=True, slots=True)
class Merge:
    files: Sequence[Sequence[Trial]]
    want_began: Sequence[str]


MERGES = {
    "nothing": Merge([], []),
    "two runs, in order of time": Merge([[trial(began=LATE)], [trial(began=EARLY)]], [EARLY, LATE]),
    "the same trial in both files counts once": Merge([[trial(began=EARLY)], [trial(began=EARLY)]], [EARLY]),
    "the same seed held twice is two trials": Merge(
        [[trial(seed=1, began=EARLY), trial(seed=1, began=LATE)]], [EARLY, LATE]
    ),
    "at the same moment over another way": Merge(
        [[trial(began=EARLY)], [trial(began=EARLY, target="service")]], [EARLY, EARLY]
    ),
}


@pytest.mark.parametrize("case", MERGES.values(), ids=MERGES.keys())
def test_merge(case: Merge) -> None:
    assert [trial.began for trial in book.merge(case.files)] == case.want_began


REVISIONS = {
    "nothing is there yet": ([], "abc", ""),
    "the same": (["abc", "abc"], "abc", ""),
    "another": (
        ["abc", "abc"],
        "def",
        r"there are trials of abc \(2\), and this is def\. Name another file with -o, or",
    ),
    "several already": (["abc", "def"], "def", r"trials of abc \(1\), def \(1\), and this is def\."),
    "several in files to merge": (["abc", "def"], "", r"trials of abc \(1\), def \(1\)\. .* --mix-revisions"),
    "one in files to merge": (["abc", "abc"], "", ""),
    "the same with changes": (["abc"], "abc+changes", r"trials of abc \(1\), and this is abc\+changes\."),
}


@pytest.mark.parametrize(("given", "now", "want"), REVISIONS.values(), ids=REVISIONS.keys())
def test_a_file_is_of_one_revision_or_knowingly_mixed(given: list[str], now: str, want: str) -> None:
    trials = [replace(trial(), revision=revision) for revision in given]
    book.agree(trials, mix=True, now=now)
    with pytest.raises(UsageError, match=want) if want else contextlib.nullcontext():
        book.agree(trials, mix=False, now=now)


def test_a_second_run_on_the_same_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "build" / "bench.json"
    told = r"another run writes to .*bench\.json: .* name another file with -o"
    with book.alone(file), book.alone(tmp_path / "other.json"), pytest.raises(UsageError, match=told):
        book.alone(file).__enter__()
    with book.alone(file):
        pass  # the first one has ended


@dataclass
class Holder:
    """Holds trials without a cluster; some of them end badly."""

    bad: dict[int, BaseException] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def one(self, case: Case) -> Trial:
        self.held.append(case.number)
        if case.number in self.bad:
            raise self.bad[case.number]
        return trial(case.fault, case.number, seed=case.seed)

    async def run(self, file: Path, rate: float = 50.0) -> int:
        cases = schedule.schedule(["drain"], 3, seed=1)
        return await runs.hold(cases, "operator", rate, file, self.one, say=self.said.append)


async def test_finished_trials_are_kept_and_the_interrupted_one_is_held_again(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    with pytest.raises(KeyboardInterrupt):
        await Holder(bad={2: KeyboardInterrupt()}).run(file)
    assert [t.number for t in book.read(file)] == [1]
    again = Holder()
    assert await again.run(file) == 0
    assert again.held == [2, 3]
    assert [t.number for t in book.read(file)] == [1, 2, 3]
    assert again.said[:2] == [
        "1 of 3 trials are done already",
        "[2/3, about 3 min left] drain #2 ...",
    ]


async def test_a_trial_that_cannot_be_held_does_not_stop_the_others(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    holder = Holder(bad={2: UsageError("the deployment is not at rest")})
    assert await holder.run(file) == 1
    assert [t.number for t in book.read(file)] == [1, 3]
    assert "  could not be held: the deployment is not at rest" in holder.said


async def test_a_trial_that_was_not_held_to_its_end_is_done(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    await Holder().run(file)
    first, *others = book.read(file)
    book.write(file, [replace(first, broken="no API server"), *others], [])
    again = Holder()
    await again.run(file)
    assert again.held == []
    assert book.read(file)[0].broken == "no API server"


async def test_another_rate_is_another_question(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    await Holder().run(file)
    other = Holder()
    await other.run(file, rate=100.0)
    assert other.held == [1, 2, 3]

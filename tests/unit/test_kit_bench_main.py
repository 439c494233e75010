"""The command line of `make bench-failover`: what it refuses, what it says, and what it hands on."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench_builders import trial
from kit.bench import __main__ as bench
from kit.bench import book, runs
from kit.bench.faults import FAULTS
from kit.bench.schedule import Case
from kit.bench.trial import Traffic
from kit.errors import UsageError


@dataclass
class Runs:
    """Stands in for the cluster."""

    held: list[tuple[list[str], float]] = field(default_factory=list)

    async def run(self, cases: Sequence[Case], target: str, rate: float, path: Path) -> int:
        await asyncio.sleep(0)
        with pytest.raises(UsageError), book.alone(path):
            pytest.fail("another run could write meanwhile")
        self.held.append(([case.fault for case in cases], rate))
        return 1 if rate == 50.0 else 0

    async def revision(self, _: object) -> str:
        await asyncio.sleep(0)
        return "def"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Runs:
    fake = Runs()
    monkeypatch.setattr(runs, "run", fake.run)
    monkeypatch.setattr(runs, "revision", fake.revision)
    return fake


RATES: dict[str, tuple[list[str], list[tuple[list[str], float]]]] = {
    "each fault at its own": ([], [(["drain", "scale-down"], 50.0), (["class-frozen"], 110.0)]),
    "all at the user's": (["--rate", "80"], [(["drain", "class-frozen", "scale-down"], 80.0)]),
}


@pytest.mark.parametrize(("given", "want"), RATES.values(), ids=RATES.keys())
def test_a_run_is_at_the_rates_of_its_faults(
    tmp_path: Path, fake: Runs, given: list[str], want: list[tuple[list[str], float]]
) -> None:
    assert FAULTS["class-frozen"].rate == 110.0
    faults = ["--faults", "drain,class-frozen,scale-down,drain", "--trials", "1"]
    status = bench.main(["run", *faults, "-o", str(tmp_path / "bench.json"), *given])
    assert fake.held == want
    assert status == (0 if given else 1), "the worst of all"


def test_a_run_goes_on_at_another_revision_only_knowingly(
    tmp_path: Path, fake: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    book.write(file, [trial()], [])
    command = ["run", "--faults", "drain", "--trials", "1", "-o", str(file)]
    assert bench.main(command) == 2
    assert "there are trials of abc (1), and this is def." in capsys.readouterr().err
    assert fake.held == []
    bench.main([*command, "--mix-revisions"])
    assert fake.held == [(["drain"], 50.0)]


def test_files_of_several_revisions_are_merged_only_knowingly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "abc.json", tmp_path / "def.json"]
    for file in files:
        book.write(file, [replace(trial(began=file.stem), revision=file.stem)], [])
    command = ["merge", *map(str, files), "-o", str(tmp_path / "both.json")]
    assert bench.main(command) == 2
    assert "one file would mix revisions" in capsys.readouterr().err
    assert book.read(tmp_path / "both.json") == ()
    assert bench.main([*command, "--mix-revisions"]) == 0


def test_the_commands_that_need_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traffic = Traffic(first=-1, requests={"cpu": [5, 9], "gpu": [5, 0]})
    for name, began in (("a.json", "2026-01-01"), ("b.json", "2026-01-02")):
        book.write(tmp_path / name, [trial(began=began, traffic=traffic)], [])
    both = str(tmp_path / "c.json")
    assert bench.main(["merge", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "-o", both]) == 0
    assert bench.main(["summary", both]) == 0
    assert bench.main(["summary", "--markdown", both]) == 0
    assert bench.main(["chart", both, "-o", str(tmp_path / "charts")]) == 0
    told = capsys.readouterr().out
    assert "2 trials in" in told
    assert "| `node-killed` | 2 |" in told
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


def test_the_help_tells_a_rate_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "class-frozen 10 times, at 110 requests/s all nodes of a class" in text
    assert "requests per second (default: 50, or as listed below)" in text

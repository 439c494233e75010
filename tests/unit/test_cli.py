"""`kubectl heteroserve drill`: what is asked for, what is refused, and with which exit status."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

import builders
from heteroserve import cli
from heteroserve.cli.arguments import EXAMPLES, Refused, Request, Service, parse
from heteroserve.cli.connect import Fleet
from heteroserve.cli.forecast import Target, What
from heteroserve.cli.report import in_words
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.snapshot import Snapshot

CPU = ["drill", "--class", "cpu"]


def test_a_request_with_everything() -> None:
    given = "--node n1 --for 90s --dry-run --yes --force --prometheus obs/prom:web --context c --kubeconfig f"
    assert parse(["drill", *given.split(), "--operator-namespace", "ops"]) == Request(
        target=Target(what=What.NODE, name="n1"),
        length=timedelta(seconds=90),
        dry_run=True,
        yes=True,
        force=True,
        context="c",
        kubeconfig="f",
        prometheus=Service(namespace="obs", name="prom", port="web"),
        operator_namespace="ops",
    )


def test_a_request_with_little() -> None:
    assert parse(CPU) == Request(
        target=Target(what=What.CLASS, name="cpu"),
        length=timedelta(minutes=5),
        prometheus=Service(namespace="monitoring", name="prometheus", port="9090"),
    )
    assert parse([*CPU, "--prometheus", "none"]).prometheus is None


LENGTHS = {"30s": 30, "90s": 90, "5m": 300, "1h": 3600, "1m30s": 90, "0h59m60s": 3600}


@builders.table({text: (text, seconds) for text, seconds in LENGTHS.items()})
def test_lengths_of_time(case: tuple[str, int]) -> None:
    text, seconds = case
    assert parse([*CPU, "--for", text]).length == timedelta(seconds=seconds)


def test_a_length_in_words_is_one_that_can_be_asked_for() -> None:
    for seconds in (30, 61, 300, 3600, 3599):
        length = timedelta(seconds=seconds)
        assert (
            in_words(length) == "1h" if seconds == 3600 else parse([*CPU, "--for", in_words(length)]).length == length
        )


# the arguments, and what is said of them
WRONG: dict[str, tuple[list[str], str]] = {
    "nothing to lose": (["drill"], "--node, --class: neither was given: name one, such as --class gpu-l4 or"),
    "two things to lose": ([*CPU, "--node", "n"], "--node, --class: both were given: name one"),
    "too short": ([*CPU, "--for", "29s"], "--for: '29s' is not between 30s and 1h"),
    "too long": ([*CPU, "--for", "1h1s"], "--for: '1h1s' is not between 30s and 1h"),
    "a number without a unit": ([*CPU, "--for", "90"], "--for: '90' is no time: write hours, minutes and seconds"),
    "a word for a time": ([*CPU, "--for", "soon"], "--for: 'soon' is no time"),
    "an empty time": ([*CPU, "--for", ""], "--for: '' is no time"),
    "a URL for a Service": (
        [*CPU, "--prometheus", "http://prometheus:9090"],
        "--prometheus: 'http://prometheus:9090' is no Service: write <namespace>/<service>:<port>",
    ),
}


@builders.table(WRONG)
def test_what_cannot_be_asked_for_is_refused_in_one_line(
    case: tuple[list[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    given, want = case
    assert cli.main(given) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith(f"error: {want}")


def test_a_kubeconfig_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    # a process of its own: pytest listens to all that is logged, and then Python prints none of it
    command = [sys.executable, "-c", "import sys; from heteroserve.cli import main; sys.exit(main())", *CPU]
    environment = {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
    environment["PYTHONPATH"] = str(Path(cli.__file__).parents[2])
    done = subprocess.run(
        [*command, "--kubeconfig", str(tmp_path / "none")], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: no cluster: the kubeconfig {tmp_path / 'none'} cannot be used: ")


def test_a_flag_that_there_is_not_is_answered_with_the_usage_of_the_drill(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["drill", "--clas", "gpu"])
    shown = capsys.readouterr().err
    assert (ended.value.code, shown.startswith("usage: kubectl heteroserve drill [-h]")) == (2, True)
    assert shown.endswith("error: unrecognized arguments: --clas gpu\n")


@pytest.mark.parametrize("asked", [["--help"], ["drill", "--help"]], ids=" ".join)
def test_the_help(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(asked)
    shown = capsys.readouterr().out
    assert (ended.value.code, shown.splitlines()[0][:27]) == (0, "usage: kubectl heteroserve ")
    assert (EXAMPLES in shown) is ("drill" in asked)


def fleet(*snapshots: Snapshot, node: Node | None = None, hardware: HardwareClass | None = None) -> Fleet:
    nodes, classes = [builders.node("cpu-0"), builders.node("gpu-0")], [builders.hardware(n) for n in ("cpu", "gpu")]
    return Fleet(
        now=builders.NOW,
        snapshots=snapshots,
        nodes=builders.by_name([*nodes, *([node] if node else [])]),
        hardware=builders.by_name([*classes, *([hardware] if hardware else [])]),
        told={},
    )


def serving(demand: float | None = 50.0, **ready: int) -> Snapshot:
    targets = [builders.target(name) for name in ("cpu", "gpu")]
    memory = builders.memory(ready=ready, demand_rps=demand)
    return builders.snapshot(*targets, ready=ready, demand=None, memory=memory)


@dataclass(frozen=True, kw_only=True)
class Case:
    fleet: Fleet
    given: Sequence[str] = tuple(CPU)
    want: str
    status: int = 2


DRILLED = builders.NOW + timedelta(minutes=1)
REFUSED = {
    "an unknown class": Case(
        fleet=fleet(),
        given=["drill", "--class", "asic"],
        want="--class: there is no hardware class asic: name one of cpu, gpu",
    ),
    "an unknown node": Case(
        fleet=fleet(),
        given=["drill", "--node", "asic-0"],
        want="--node: there is no node asic-0: name one of cpu-0, gpu-0",
    ),
    "a second drill of a class": Case(
        fleet=fleet(serving(cpu=1, gpu=1), hardware=builders.hardware("cpu", drill_until=DRILLED)),
        want="a drill of the hardware class cpu is under way until 12:01:00Z: wait, or end it with "
        "kubectl annotate hwc cpu heteroserve.dev/drill-until-",
    ),
    "a second drill of a node": Case(
        fleet=fleet(serving(cpu=1, gpu=1), node=builders.node("cpu-0", drill_until=DRILLED)),
        given=["drill", "--node", "cpu-0"],
        want="a drill of the node cpu-0 is under way until 12:01:00Z",
    ),
    "nothing to rehearse": Case(
        fleet=fleet(serving(gpu=1)), want="a drill of the hardware class cpu would change nothing"
    ),
    "nothing that could take over": Case(
        fleet=fleet(serving(cpu=1)), want="a drill of the hardware class cpu would change nothing"
    ),
    "too little left": Case(
        fleet=fleet(serving(5000.0, cpu=1, gpu=1)),
        want="the objective of demo/digits may break: add replicas first, or do it all the same with --force",
        status=3,
    ),
    "a demand that nobody knows": Case(
        fleet=fleet(serving(None, cpu=1, gpu=1)), want="the objective of demo/digits may break", status=3
    ),
}


@builders.table(REFUSED)
def test_what_is_refused_when_the_cluster_is_seen(case: Case) -> None:
    request = parse(case.given)
    with pytest.raises(Refused) as refused:
        cli.refuse_what_is_not_wise(cli.foresee_in(case.fleet, request), request)
    assert str(refused.value).startswith(case.want)
    assert refused.value.status == case.status


def test_a_drill_that_is_over_is_no_reason_to_refuse_another() -> None:
    over = fleet(serving(cpu=1, gpu=1), hardware=builders.hardware("cpu", drill_until=builders.ago(1)))
    assert cli.foresee_in(over, parse(CPU)).moving


def test_who_forces_it_may_do_it_with_too_little_left() -> None:
    request = replace(parse(CPU), force=True)
    cli.refuse_what_is_not_wise(cli.foresee_in(fleet(serving(5000.0, cpu=1, gpu=1)), request), request)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """A cluster with something to drill, which is only looked at; the requests that came to being done."""
    done: list[Request] = []

    async def seen(request: Request) -> tuple[object, Fleet]:
        found = fleet(serving(cpu=1, gpu=1))
        return cli.foresee_in(found, request), found

    async def conduct(request: Request) -> int:
        done.append(request)
        return 0

    monkeypatch.setattr(cli, "_foresee", seen)
    monkeypatch.setattr(cli, "_conduct", conduct)
    return done


def test_a_dry_run_says_what_would_happen_and_does_nothing(
    looked: list[Request], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*CPU, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("A drill of the hardware class cpu for 5m would do this:")
    assert looked == []


def test_without_a_terminal_yes_is_needed(looked: list[Request], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(CPU) == 2
    assert capsys.readouterr().err.startswith("error: --yes: there is no terminal to ask at")
    assert cli.main([*CPU, "--yes"]) == 0
    assert len(looked) == 1


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("yes", 0), ("", 2), ("no", 2)])
def test_at_a_terminal_only_a_yes_is_one(
    answer: str, status: int, looked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert cli.main(CPU) == status
    assert len(looked) == (status == 0)

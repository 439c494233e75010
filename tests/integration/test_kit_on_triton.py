"""The load generator and the measurement against the real Triton server."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import train
from kit import client, digits, load, measure, triton

# The first start fetches the server, which may take longer than a test is given.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    assert train.main(["--output", str(folder), "--epochs", "10"]) == 0
    return folder


@pytest.fixture(scope="module")
def answers(repository: Path) -> Path:
    return repository / "digits" / "held_out.npz"


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[triton.Server]:
    with triton.serving(repository, variant="int8") as running:
        yield running


WAYS: dict[str, list[str]] = {
    "one pool": [],
    "a connection per request": ["--fresh-connections"],
    "through a gateway's name": ["--host", "digits.example.com", "--arrivals", "constant"],
}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS.keys())
def test_every_request_is_answered_rightly(
    server: triton.Server, answers: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--url", server.http, "--grpc-url", server.grpc, "--protocol", "both", "--answers", str(answers)]
    assert load.main([*where, *words, "--rate", "50", "--seconds", "2", "--json"]) == 0
    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert summary["sent"] == pytest.approx(100, abs=40)
    assert (summary["failed"], summary["wrong"], summary["failures"]) == (0, 0, [])
    assert summary["latency"]["p50"] <= summary["latency"]["p99"] <= summary["latency"]["max"]
    assert output.err.startswith("   1 s  sent ")


async def test_a_server_that_goes_away_is_seen_with_times_and_reasons(repository: Path, answers: Path) -> None:
    with triton.serving(repository, variant="fp32") as server:
        target = client.Target(http=server.http, grpc=server.grpc, timeout=1)
        http, grpc = client.askers(target, "both")
        async with http, grpc:
            running = load.Load([http, grpc], digits.questions(answers), rate=100)
            task = asyncio.create_task(running.run(2.0))
            while len(running.samples) < 50:  # noqa: ASYNC110  # the generator tells nobody how far it is
                await asyncio.sleep(0.01)
            fine = running.summary()
            server.process.kill()
            await task
    bad = running.failures()
    assert (fine.failed, fine.wrong) == (0, 0)
    assert {sample.protocol for sample in bad} == {"http", "grpc"}
    assert all(sample.error for sample in bad)
    assert len(running.failures(since=bad[1].at)) == len(bad) - 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_measured_profile_has_a_point_per_batch(
    server: triton.Server, repository: Path, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--url", getattr(server, protocol), "--protocol", protocol, "--repository", str(repository)]
    assert measure.main([*where, "--batches", "1,4", "--seconds", "0.5"]) == 0
    points = yaml.safe_load(capsys.readouterr().out)["profile"]["points"]
    assert [point["batch"] for point in points] == [1, 4]
    for point in points:
        assert 0 < point["latencyMilliseconds"]["p50"] <= point["latencyMilliseconds"]["p99"]
        assert point["throughput"] > 0


@dataclass(frozen=True, slots=True)
class WrongAddress:
    protocol: str
    want: str
    url: str | None = None  # the server's HTTP address


WRONG_ADDRESSES = {
    "nobody listens": WrongAddress("http", "--url 127.0.0.1:9", "127.0.0.1:9"),
    "gRPC where HTTP is answered": WrongAddress("grpc", "--grpc-url"),
}


@pytest.mark.parametrize("case", WRONG_ADDRESSES.values(), ids=WRONG_ADDRESSES.keys())
def test_a_wrong_address_is_one_line(
    server: triton.Server, answers: Path, case: WrongAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--url", case.url or server.http, "--protocol", case.protocol, "--timeout", "2"]
    assert load.main([*words, "--answers", str(answers)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {case.want}")

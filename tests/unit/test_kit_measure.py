from pathlib import Path

import pytest

from kit import measure, records, triton


def test_a_point_speaks_the_apis_words() -> None:
    latency = records.Latency(p50=1.2345, p99=4.5678, max=9.0)
    point = measure.Point(batch=4, mean_batch=2.5, latency=latency, throughput=812.4, sender=0.2)
    assert measure.rendered(point) == {
        "batch": 4,
        "latencyMilliseconds": {"p50": 1.23, "p99": 4.57},
        "throughput": 812,
    }


WRONG_OPTIONS = {
    "neither a variant nor an address": ([], "--variant --url"),
    "both": (["--variant", "fp32", "--url", "here:80"], "--url"),
    "a batch of none": (["--variant", "fp32", "--batches", "1,0"], "--batches"),
    "no time": (["--variant", "fp32", "--seconds", "0"], "--seconds"),
}


@pytest.mark.parametrize(("words", "want_option"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS.keys())
def test_a_wrong_option_is_named(words: list[str], want_option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        measure.main(words)
    assert want_option in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_repository_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main(["--variant", "fp32", "--repository", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("is missing: build the sample model first (make models)\n")


def test_the_server_under_test_is_the_one_of_the_images() -> None:
    assert {"TRITON", "PYTRITON", "ONNXRUNTIME"} <= triton.versions().keys()
    assert len(set(triton.free_ports(20))) == 20

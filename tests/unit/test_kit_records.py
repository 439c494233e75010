from dataclasses import dataclass

import pytest

from kit import records


def sample(at: float = 0.0, latency: float = 0.01, error: str | None = None, *, wrong: bool = False) -> records.Sample:
    return records.Sample(at=at, latency=latency, lag=0.001, protocol="http", error=error, wrong=wrong)


@dataclass(frozen=True, slots=True)
class Case:
    samples: list[records.Sample]
    want: records.Summary
    pending: int = 0


CASES = {
    "nothing was sent": Case(
        [], records.Summary(sent=0, pending=0, failed=0, wrong=0, latency=None, lag_p99=None, errors={})
    ),
    "nothing was answered yet": Case(
        [],
        records.Summary(sent=3, pending=3, failed=0, wrong=0, latency=None, lag_p99=None, errors={}),
        pending=3,
    ),
    "failures have no part in the latency": Case(
        [sample(latency=0.25), sample(latency=9, error="timeout"), sample(latency=9, error="timeout")],
        records.Summary(
            sent=3,
            pending=0,
            failed=2,
            wrong=0,
            latency=records.Latency(p50=250, p99=250, max=250),
            lag_p99=1.0,
            errors={"timeout": 2},
        ),
    ),
    "a wrong answer is an answer": Case(
        [sample(latency=0.5, wrong=True), sample(latency=0.5)],
        records.Summary(
            sent=2,
            pending=0,
            failed=0,
            wrong=1,
            latency=records.Latency(p50=500, p99=500, max=500),
            lag_p99=1.0,
            errors={},
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_summary(case: Case) -> None:
    assert records.summarise(case.samples, case.pending) == case.want


def test_failures_come_in_the_order_in_which_they_were_due() -> None:
    late, early, fine = sample(2, error="reset"), sample(1, wrong=True), sample(0)
    assert records.failures([late, fine, early]) == [early, late]


def test_a_failure_fits_a_line() -> None:
    assert str(sample(latency=0.25, error="reset")).endswith("  http  after 250 ms: reset")
    assert str(sample(wrong=True)).endswith("wrong answer")


def test_a_summary_fits_a_line() -> None:
    line = str(records.summarise([sample(latency=0.25)], pending=1))
    assert line.startswith("sent 2  pending 1  failed 0  wrong 0  p50 250.0  p99 250.0  max 250.0 ms")
    assert "no answer" in str(records.summarise([]))

"""The load generator on a virtual clock: hours of load in milliseconds, and every figure exact."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from kit import digits, load, records

T = TypeVar("T")
QUESTIONS = [digits.Question(np.zeros((1, 64), dtype=np.float32), frozenset({7}), 7)]


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                loop.now += timeout or 0.0
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


def virtually(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


@dataclass
class FakeAsker:
    """Answers 7 after ``seconds``; ``before`` runs first and may raise or stall."""

    seconds: float = 0.0
    answer: int = 7
    before: Callable[[int], None] = lambda number: None
    protocol: str = "http"
    asked: list[float] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def ask(self, images: digits.Images) -> list[int]:
        self.asked.append(asyncio.get_running_loop().time())
        self.before(len(self.asked))
        await asyncio.sleep(self.seconds)
        return [self.answer]

    async def statistics(self) -> tuple[int, int]:
        return 0, 0


def run(asker: FakeAsker, seconds: float, **settings: Any) -> tuple[load.Load, records.Summary]:
    async def work() -> tuple[load.Load, records.Summary]:
        running = load.Load([asker], QUESTIONS, **{"rate": 10, "arrivals": "constant", **settings})
        return running, await running.run(seconds)

    return virtually(work())


def fail(number: int) -> None:
    raise OSError("connection reset")


def wordless(number: int) -> None:
    raise InferenceServerException(None)


def cancel_the_first(number: int) -> None:
    if number == 1:
        raise asyncio.CancelledError


@dataclass(frozen=True, slots=True)
class Case:
    asker: FakeAsker
    want: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "all is well": Case(FakeAsker(), {"sent": 20, "failed": 0, "wrong": 0}),
    "the answers are wrong": Case(FakeAsker(answer=1), {"sent": 20, "failed": 0, "wrong": 20}),
    "every request fails": Case(FakeAsker(before=fail), {"sent": 20, "failed": 20, "wrong": 0}),
    "every request fails without a word": Case(FakeAsker(before=wordless), {"sent": 20, "failed": 20, "wrong": 0}),
    "a request is cancelled by somebody": Case(
        FakeAsker(before=cancel_the_first), {"sent": 20, "failed": 1, "wrong": 0}
    ),
    "answers that come late are waited for": Case(FakeAsker(seconds=60), {"sent": 20, "failed": 0, "wrong": 0}),
    "no more than three may be in flight": Case(
        FakeAsker(seconds=60), {"sent": 20, "failed": 17, "wrong": 0}, {"max_in_flight": 3}
    ),
    "nothing is asked for": Case(FakeAsker(), {"sent": 0, "failed": 0, "wrong": 0}, {"rate": 0}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_counted(case: Case) -> None:
    _, summary = run(case.asker, 2.05, **case.settings)
    assert {name: getattr(summary, name) for name in case.want} == case.want
    assert summary.pending == 0


def test_a_stalled_sender_counts_as_latency() -> None:
    def stall(number: int) -> None:
        if number == 1:
            asyncio.get_running_loop().now += 1.0  # type: ignore[attr-defined]  # nothing else runs for a second

    running, _ = run(FakeAsker(before=stall), 2.05)
    behind = [sample.latency for sample in running.samples]
    assert behind[0] == pytest.approx(1.0)
    # those due meanwhile went out late, each a tenth of a second less than the one before
    assert behind[1:10] == pytest.approx([0.9 - 0.1 * step for step in range(9)], abs=0.002)
    assert max(behind[11:]) == pytest.approx(0.0, abs=0.002)


def test_poisson_arrivals_have_the_rate_and_the_spread_and_repeat() -> None:
    asker, again, other = FakeAsker(), FakeAsker(), FakeAsker()
    run(asker, 1000, arrivals="poisson", seed=1)
    run(again, 1000, arrivals="poisson", seed=1)
    run(other, 1000, arrivals="poisson", seed=2)
    gaps = np.diff(asker.asked)
    assert len(asker.asked) == pytest.approx(10_000, abs=300)  # three standard deviations
    assert float(gaps.std() / gaps.mean()) == pytest.approx(1.0, abs=0.05)
    assert asker.asked == again.asked
    assert asker.asked != other.asked


def test_the_rate_changes_at_once_even_from_a_pause() -> None:
    asker = FakeAsker()

    async def work() -> None:
        running = load.Load([asker], QUESTIONS, rate=10, arrivals="constant")
        task = asyncio.create_task(running.run(30.0))
        start = asyncio.get_running_loop().time()
        for rate, until in ((0, 10.0), (100, 20.0), (1, 30.0)):
            await asyncio.sleep(start + until - 10.0 - asyncio.get_running_loop().time() + 0.05)
            running.set_rate(rate)
        await task

    virtually(work())
    seconds = np.array(asker.asked) - 1000.0
    counts = np.histogram(seconds, bins=[0, 0.05, 10.05, 20.05, 30.05])[0]
    assert counts[1] == 0
    assert counts[2] == pytest.approx(1000, abs=2)
    assert counts[3] == pytest.approx(10, abs=1)


@pytest.mark.parametrize(("within_seconds", "want"), [(1.0, 0), (0.1, 2)])
def test_the_end_of_a_load_is_that_of_its_last_request(within_seconds: float, want: int) -> None:
    async def work() -> tuple[int, records.Summary]:
        running = load.Load([FakeAsker(seconds=0.25)], QUESTIONS, rate=10, arrivals="constant")
        task = asyncio.create_task(running.run(60.0))
        await asyncio.sleep(1.01)
        left = await running.finish(within_seconds)
        task.cancel()
        return left, running.summary()

    left, summary = virtually(work())
    assert (left, summary.pending, summary.sent) == (want, want, 10)
    assert (summary.failed, summary.wrong) == (0, 0)


def test_what_is_in_flight_when_the_load_is_cancelled_has_failed() -> None:
    async def work() -> records.Summary:
        running = load.Load([FakeAsker(seconds=60)], QUESTIONS, rate=10, arrivals="constant")
        task = asyncio.create_task(running.run(60.0))
        await asyncio.sleep(1.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return running.summary()

    summary = virtually(work())
    assert (summary.sent, summary.failed, summary.pending, summary.errors) == (10, 10, 0, {"CancelledError()": 10})


def test_a_window_holds_what_was_due_in_it_with_the_unanswered() -> None:
    async def work() -> tuple[records.Summary, list[records.Sample]]:
        running = load.Load([FakeAsker(seconds=0.55)], QUESTIONS, rate=10, arrivals="constant")
        task = asyncio.create_task(running.run(10.0))
        await asyncio.sleep(5.02)
        since = max(sample.at for sample in running.samples) - 0.95
        window, bad = running.summary(since), running.failures(since)
        await task
        return window, bad

    window, bad = virtually(work())
    assert (window.sent, window.pending, bad) == (16, 6, [])


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="requests per second"):
        load.Load([FakeAsker()], QUESTIONS, rate=rate)


WRONG_OPTIONS = {
    "an address with a scheme": (["--url", "http://here:80"], "--url"),
    "an address without a port": (["--url", "here"], "--url"),
    "no address": ([], "--url"),
    "a rate of nothing": (["--url", "here:80", "--rate", "0"], "--rate"),
    "words for seconds": (["--url", "here:80", "--seconds", "long"], "--seconds"),
    "a fraction of a request": (["--url", "here:80", "--max-in-flight", "0.5"], "--max-in-flight"),
    "an unknown protocol": (["--url", "here:80", "--protocol", "soap"], "--protocol"),
}


@pytest.mark.parametrize(("words", "want_option"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS.keys())
def test_a_wrong_option_is_named(words: list[str], want_option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load.main(words)
    assert want_option in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert load.main(["--url", "localhost:1", "--answers", "nowhere.npz"]) == 2
    assert capsys.readouterr().err == "error: nowhere.npz is missing: build the sample model first (make models)\n"

"""What breaches a limit: what broke off, what never came, and what nobody measured. The others are in the summary's."""

from dataclasses import dataclass, field, replace

import pytest

from bench_builders import failure, moments, trial
from kit.bench import runs, schedule, verdict
from kit.bench.faults import FAULTS
from kit.bench.history import never
from kit.bench.schedule import Case
from kit.bench.trial import Trial, Window

UNSEEN = moments(last_to_dead=None, weights_patched=1.0, weights_in_force=None)


def with_sent(sent: int) -> Trial:
    """1200 s at 50/s, of which so many were sent."""
    window = Window(seconds=400, sent=sent // 3, answered=sent // 3, p50=5, p99=20)
    return replace(trial(), before=window, during=window, after=window)


def class_frozen(goodput: float | None, surviving: float | None, rate: float = 110.0) -> Trial:
    full = Window(seconds=20, sent=2200, answered=2200, p50=5, p99=20)
    return replace(
        trial("class-frozen"), rate=rate, before=full, during=full, after=full, goodput=goodput, surviving=surviving
    )


@dataclass(frozen=True, slots=True)
class Judged:
    trial: Trial
    want: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)


CASES = {
    "it broke off: its figures say nothing": Judged(
        replace(trial(seconds=UNSEEN, failures=[failure()]), broken="kubectl drain: timed out", came=False),
        ["not held to its end: kubectl drain: timed out", "1 requests failed"],
    ),
    "a comparison that broke off": Judged(
        replace(trial(target="route", failures=[failure()]), broken="no API server"),
        ["not held to its end: no API server"],
    ),
    "the load was not there": Judged(with_sent(30_000), ["only 30000 requests were sent of the 60000 that were due"]),
    "chance sends some less": Judged(with_sent(59_100)),
    "chance does not send so few": Judged(
        with_sent(58_770), ["only 58770 requests were sent of the 60000 that were due"]
    ),
    "nobody saw the gateway": Judged(trial(seconds=UNSEEN), [], ["weights in force: not seen"]),
    "nobody saw the gateway, and the weights were late anyway": Judged(
        trial(seconds=replace(UNSEEN, weights_patched=9.0)),
        ["weights patched 9.00 s, the limit is 3 s"],
        ["weights in force: not seen"],
    ),
    "nobody saw the gateway, of a fault without a limit": Judged(trial("drain", seconds=UNSEEN)),
    "a drain never came to its end": Judged(
        replace(trial("drain"), came=False), ["what the fault waits for never came within 60 s"]
    ),
    "after the operator's return as well": Judged(
        replace(trial("drain+operator-killed", seconds=moments(returned=5.0)), came=False),
        ["what the fault waits for never came within 60 s"],
    ),
    "a Triton may take its time": Judged(replace(trial("triton-killed"), came=False)),
    "a pod went before its traffic": Judged(
        replace(trial("scale-down"), moved_first=False),
        ["a pod was taken away before it was out of the traffic and before another served"],
    ),
    "as much as survived": Judged(class_frozen(goodput=58.0, surviving=60.0)),
    "less than survived": Judged(
        class_frozen(goodput=56.9, surviving=60.0), ["goodput 56.9/s, what survived has to answer 57.0/s"]
    ),
    "no more than was asked for": Judged(class_frozen(goodput=105.0, surviving=300.0)),
    "less than was asked for": Judged(
        class_frozen(goodput=104.0, surviving=300.0), ["goodput 104.0/s, what survived has to answer 104.5/s"]
    ),
    "nobody knows what survived": Judged(class_frozen(goodput=99.0, surviving=None), [], ["goodput: not known"]),
    "a write while the view was in doubt": Judged(
        replace(trial("nodes-gone"), writes=["digits: weight of gpu was 50, became 0"]),
        ["1 changes while its view was in doubt: digits: weight of gpu was 50, became 0"],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_did_not_hold_and_what_was_not_measured(case: Judged) -> None:
    assert verdict.breaches(case.trial) == case.want
    assert verdict.unmeasured(case.trial) == case.unmeasured
    assert all(text in runs.line(case.trial) for text in (*case.want, *case.unmeasured))


def test_every_fault_that_waits_for_something_must_see_it_come_unless_the_kubelet_takes_longer() -> None:
    waiting = {fault.name.partition("+")[0] for fault in FAULTS.values() if fault.over is not never}
    excused = {fault.name.partition("+")[0] for fault in FAULTS.values() if not fault.must_come}
    assert excused == {"triton-killed", "triton-frozen", "only-pod-killed", "only-pod-frozen"} < waiting


def test_every_fault_with_the_operator_killed_has_a_limit_from_its_return() -> None:
    for fault in FAULTS.values():
        if fault.name.endswith("+operator-killed"):
            assert fault.in_force == 5.0 or (fault.over is not never and fault.must_come), fault.name


def test_a_trial_that_broke_off_is_done_and_not_held_until_it_passes() -> None:
    case = Case(fault="drain", number=1, seed=7)
    broken = replace(trial("drain", seed=7), broken="kubectl drain: timed out")
    assert schedule.left([case], [broken], broken.target, broken.rate) == []

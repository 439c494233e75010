"""The record of a trial, from its requests and from what was seen."""

import dataclasses

import pytest

from bench_builders import FAULT_AT, history, hits, pod, seen, status, struck, victim
from kit import digits, records
from kit.bench import reckon, verdict
from kit.bench.history import History
from kit.bench.schedule import Case
from kit.bench.victim import Victim
from kit.load import Load


def sample(
    after: float,
    *,
    error: str | None = None,
    wrong: bool = False,
    protocol: str = "http",
    latency: float = 0.01,
) -> records.Sample:
    return records.Sample(at=FAULT_AT + after, latency=latency, lag=0.001, protocol=protocol, error=error, wrong=wrong)


def held(fault: str = "node-killed", **changed: object) -> reckon.Held:
    times = reckon.Times(
        load_at=FAULT_AT - 10, fault_at=FAULT_AT, injected=FAULT_AT + 0.25, returned=None,
        mending=FAULT_AT + 20, mended=FAULT_AT + 22, stopped=FAULT_AT + 40,
    )  # fmt: skip
    given = {"case": Case(fault=fault, number=3, seed=7), "target": "operator", "rate": 50.0, "began": FAULT_AT - 40}
    given |= {"took": 80.0, "revision": "abc", "objective": 100.0, "times": times}
    return reckon.Held(**{**given, **changed})  # type: ignore[arg-type]


def load_of(*samples: records.Sample) -> Load:
    load = Load([], [digits.Question(None, frozenset(), 0)], rate=1)  # type: ignore[arg-type]  # nothing is asked
    load.samples = list(samples)
    load._epoch = 0.0
    return load


ONE = struck()
A_TRIAL = history(
    deployments=[
        seen(-9, status(gpu=2, weights={"gpu": 50, "cpu": 50}, capacity={"gpu": 60, "cpu": 30, "fpga": 30})),
        seen(1.25, status(gpu=1, weights={"gpu": 50, "cpu": 50})),
        seen(1.5, status(gpu=1, weights={"gpu": 20, "cpu": 80})),
        seen(9, status(gpu=2, weights={"gpu": 20, "cpu": 80})),
    ],
    pods=[seen(-9, pod(ONE)), seen(-9, pod(struck("gpu-2")))],
    hits=[hits(-1, a1=5), hits(-0.1, a1=5), *(hits(0.5 + step / 2, a1=9) for step in range(40))],
)
UNWATCHED = [hits(-1, a1=5), hits(0.5, a1=9), hits(2, a1=9)]


def test_the_record_of_a_trial() -> None:
    samples = (
        sample(-5),
        sample(0.5, error="timeout", protocol="grpc"),
        sample(1),
        sample(2, latency=0.2),
        sample(30, wrong=True, protocol="http-fresh"),
    )
    record = reckon.record(held(), load=load_of(*samples), history=A_TRIAL, victim=victim(ONE))
    assert (record.fault, record.number, record.seed, record.rate, record.took) == ("node-killed", 3, 7, 50.0, 80.0)
    assert (record.sent, record.failed, record.wrong, record.late) == (5, 1, 1, 1)
    assert (record.goodput, record.surviving) == (0.1, 60.0)
    assert record.protocols == {"http": 3, "http-fresh": 1, "grpc": 1}
    windows = record.before, record.during, record.after
    assert [(w.seconds, w.sent, w.answered) for w in windows] == [(10, 1, 1), (22, 3, 2), (18, 1, 0)]
    assert [(f.after, f.protocol, f.error) for f in record.failures] == [
        (0.5, "grpc", "timeout"),
        (30, "http-fresh", "wrong answer"),
    ]
    seconds = dataclasses.asdict(record.seconds)
    assert seconds == {
        "injected": 0.25,
        "returned": None,
        "suspicion": 1.25,
        "weights_patched": 1.5,
        "last_to_dead": 0.5,
        "weights_in_force": 1.5,
        "capacity_restored": 9,
        "ended": 22,
    }
    assert record.suspected_by == "gpu: 1 ready"
    assert record.struck == ["gpu-1 on worker3"]
    assert record.notes == []
    assert record.versions["TRITON"]
    due = "only 5 requests were sent of the 2500 that were due"
    assert verdict.breaches(record) == [due, "1 requests failed", "1 wrong answers"]


def test_what_broke_off_and_what_came_are_part_of_the_record() -> None:
    given = held(broken="no kubectl", came=False)
    record = reckon.record(given, load=load_of(), history=A_TRIAL, victim=victim(ONE))
    assert (record.broken, record.came) == ("no kubectl", False)


def test_of_a_view_in_doubt_every_write_is_kept_and_nothing_else_counts_as_noticing_it() -> None:
    noticed = status(conditions={"Degraded": "True"}, reason="ViewInDoubt", weights={"gpu": 50, "cpu": 50}, gpu=2)
    suspected = status(conditions={"Degraded": "True"}, reason="ClassesDegraded", weights={"gpu": 40, "cpu": 60}, gpu=1)
    calm = status(gpu=2, weights={"gpu": 50, "cpu": 50})
    told = [seen(-9, calm), seen(0.5, suspected), seen(1.5, noticed), seen(30, suspected)]
    record = reckon.record(
        held("nodes-gone"), load=load_of(), history=history(deployments=told, pods=A_TRIAL.pods), victim=victim(ONE)
    )
    assert (record.seconds.suspicion, record.suspected_by) == (1.5, "condition Degraded=True ViewInDoubt")
    assert record.writes == [
        ": weight of cpu was 50, became 60",
        ": weight of gpu was 50, became 40",
        ": weight of cpu was 60, became 50",
        ": weight of gpu was 40, became 50",
    ]


NOTES: dict[str, tuple[reckon.Held, History, Victim, list[str]]] = {
    "a plain Service": (
        held(target="service"), dataclasses.replace(A_TRIAL, hits=[]), victim(ONE),
        ["requests per class and the last request to the dead are not known: kube-proxy does not count them",
         "no weights: they are not part of this way"],
    ),
    "the gateway was not looked at for a while": (
        held(), dataclasses.replace(A_TRIAL, hits=UNWATCHED), victim(ONE), [reckon.UNSEEN],
    ),
    "nothing moved": (
        held(), history(pods=A_TRIAL.pods, hits=A_TRIAL.hits), victim(ONE),
        ["the weight of gpu never fell",
         "capacity: never seen to fall, or not back before the fault was undone and the load ended"],
    ),
    "nothing was struck": (held("prometheus-stopped"), A_TRIAL, Victim(), []),
}  # fmt: skip


@pytest.mark.parametrize(("given", "looked", "struck_by", "want"), NOTES.values(), ids=NOTES.keys())
def test_what_is_not_known_is_said(given: reckon.Held, looked: History, struck_by: Victim, want: list[str]) -> None:
    record = reckon.record(given, load=load_of(), history=looked, victim=struck_by)
    assert record.notes == want
    if given.target != "operator":
        assert record.seconds.weights_in_force is None

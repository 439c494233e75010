"""When the operator first showed that something is wrong: what counts as a sign of the fault, and what does not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from bench_builders import FAULT_AT, history, seen, status, struck, victim
from kit.bench.history import Seen
from kit.bench.suspicion import suspicion
from kit.bench.victim import Victim

CALM = status(gpu=2, cpu=2, conditions={"Ready": "True"})
DECISION = {"time": "t1", "reason": "FailingOver", "class": "gpu", "to": "weight 0"}
EVENT = {"reportingController": "heteroserve.dev/operator", "reason": "PodsSuspect", "note": "pod gpu-1"}


def made(after: float, name: str = "digits.1", **more: Any) -> dict[str, Any]:
    """An Event of ours as the API server has it."""
    at = datetime.fromtimestamp(FAULT_AT + after, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**EVENT, "metadata": {"name": name}, "eventTime": at, **more}


def decided(**more: str) -> dict[str, str]:
    return {"time": "t1", "reason": "ReadyCapacity", "class": "", "to": "cpu=50 gpu=50", **more}


def after_it(**changed: Any) -> Sequence[Seen]:
    return [seen(-1, CALM), seen(2, status(**{"gpu": 2, "cpu": 2, "conditions": {"Ready": "True"}, **changed}))]


@dataclass(frozen=True, slots=True)
class Case:
    deployments: Sequence[Seen]
    want: str
    events: Sequence[Seen] = ()
    at: float = 2
    victim: Victim = field(default_factory=victim)
    signs: tuple[str, ...] = ()


NOBODY = Victim()
FRESH = {"conditions": {"MetricsAvailable": "True"}, "reason": "MetricsFresh"}
CASES = {
    "nothing was ever seen": Case([], ""),
    "nothing changed": Case([seen(-1, CALM), seen(1, CALM)], ""),
    "a decision about the class": Case(after_it(decisions=[DECISION]), "decision FailingOver at t1: gpu weight 0"),
    "a decision from before says nothing": Case(
        [seen(-1, status(gpu=2, decisions=[DECISION])), seen(1, status(gpu=2, decisions=[DECISION]))], ""
    ),
    "a decision that names nobody": Case(after_it(decisions=[decided()]), ""),
    "a decision that names the pod": Case(
        after_it(decisions=[decided(message="pod gpu-1: ProbeFailed")]),
        "decision ReadyCapacity at t1:  cpu=50 gpu=50",
    ),
    "a decision about another class": Case(after_it(decisions=[decided(**{"class": "cpu"})]), ""),
    "a condition that names the node": Case(
        after_it(conditions={"Ready": "False"}, message="node worker3: silent"), "condition Ready=False Because"
    ),
    "a condition that names a longer name": Case(
        after_it(conditions={"Ready": "False"}, message="worker31, my-worker3, gpu-12"), ""
    ),
    "a condition that is about failures": Case(
        after_it(conditions={"Degraded": "True"}, reason="ClassesDegraded"), "condition Degraded=True ClassesDegraded"
    ),
    "metrics that are fresh again": Case(after_it(**FRESH), ""),
    "a replica less": Case([seen(-1, status(gpu=2)), seen(1.5, status(gpu=1))], "gpu: 1 ready", at=1.5),
    "a replica less of another class": Case(after_it(cpu=1), ""),
    "an Event before the status": Case(after_it(gpu=1), "Event PodsSuspect: pod gpu-1", [seen(0.7, EVENT)], at=0.7),
    "an Event from before, and somebody else's": Case(
        [seen(-1, CALM)], "", [seen(-0.5, EVENT), seen(1, EVENT | {"reportingController": "kubelet"})]
    ),
    "an Event that a watch tells again": Case([], "", [seen(-3, made(-4)), seen(1, made(-4))]),
    "an Event from before that was heard after": Case([], "", [seen(0.1, made(-0.2))]),
    "a new Event beside the old ones": Case(
        [],
        "Event PodsSuspect: pod gpu-1",
        [seen(-3, made(-4)), seen(1, made(-4)), seen(1, made(0.9, "digits.2"))],
        at=1,
    ),
    "an Event that all is well again": Case([], "", [seen(1, made(0.9, reason="DegradedRecovered"))]),
    "nothing was struck, a failure": Case([], "Event PodsSuspect: pod gpu-1", [seen(1, EVENT)], at=1, victim=NOBODY),
    "nothing was struck, no failure": Case(after_it(gpu=1, **FRESH), "", victim=NOBODY),
    "the sign that alone tells of it": Case(
        after_it(conditions={"Degraded": "True"}, reason="ViewInDoubt"),
        "condition Degraded=True ViewInDoubt",
        [seen(1, EVENT)],
        signs=("condition Degraded=True ViewInDoubt",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_first_suspicion(case: Case) -> None:
    looked = history(deployments=case.deployments, events=case.events)
    want = (FAULT_AT + case.at, case.want) if case.want else (None, "")
    assert suspicion(looked, case.victim, FAULT_AT, case.signs) == want


def test_the_names_of_the_struck_are_those_of_all_of_them() -> None:
    two = victim(struck(), struck("gpu-2", node="worker4"))
    told = history(events=[seen(1, made(0.9, note="node worker4: NodeLeaseExpired", reason="Other"))])
    assert suspicion(told, two, FAULT_AT)[0] == FAULT_AT + 1

"""What the operator changed while it must not, and whether it took the traffic away before the pod."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench_builders import FAULT_AT, history, pod, seen, status, struck, victim
from kit.bench import moments
from kit.bench.history import History, Seen
from kit.bench.writes import moved_first, writes

ONE, TWO = struck(), struck("gpu-2", address="10.0.0.2", node="worker4")
OUT = {"heteroserve.dev/serving": "false"}


def workload(replicas: int) -> dict[str, Any]:
    return {"metadata": {"name": "digits-gpu"}, "spec": {"replicas": replicas}}


def weighted(gpu: int) -> dict[str, Any]:
    return {"metadata": {"name": "digits"}, **status(gpu=2, weights={"gpu": gpu})}


def looks(**more: Sequence[Seen]) -> History:
    """Everything was seen before."""
    before = {
        "deployments": [seen(-5, weighted(50))],
        "workloads": [seen(-5, workload(2))],
        "pods": [seen(-5, pod(ONE)), seen(-5, pod(TWO))],
    }
    return history(**{kind: [*found, *more.get(kind, ())] for kind, found in before.items()})


WRITES = {
    "nothing was seen again": (looks(), []),
    "a watch told all of it again": (
        looks(deployments=[seen(1, weighted(50))], workloads=[seen(1, workload(2))], pods=[seen(1, pod(ONE))]), [],
    ),
    "a figure that is none of its writes": (
        looks(deployments=[seen(1, {**weighted(50), "spec": {}})], pods=[seen(1, pod(ONE, is_ready=False))]), [],
    ),
    "a weight": (looks(deployments=[seen(1, weighted(0))]), ["digits: weight of gpu was 50, became 0"]),
    "a number of replicas": (looks(workloads=[seen(1, workload(3))]), ["digits-gpu: replicas was 2, became 3"]),
    "a mark": (
        looks(pods=[seen(1, pod(ONE, labels=OUT))]), ["gpu-1: heteroserve.dev/serving was None, became false"],
    ),
    "a pod is told to end": (
        looks(pods=[seen(1, pod(ONE, leaving=True))]), ["gpu-1: end was None, became 2026-01-01T00:00:00Z"],
    ),
    "a pod is gone": (looks(pods=[seen(1, pod(ONE), gone=True)]), ["gpu-1 is gone"]),
    "a pod is made": (looks(pods=[seen(1, pod(struck("gpu-3")))]), ["gpu-3 is new"]),
    "there and back again is two": (
        looks(workloads=[seen(1, workload(3)), seen(2, workload(2))]),
        ["digits-gpu: replicas was 2, became 3", "digits-gpu: replicas was 3, became 2"],
    ),
    "before the fault": (looks(workloads=[seen(-1, workload(3)), seen(1, workload(3))]), []),
    "when it was over": (looks(workloads=[seen(31, workload(3))]), []),
}  # fmt: skip


@pytest.mark.parametrize(("looked", "want"), WRITES.values(), ids=WRITES.keys())
def test_every_write_during_the_fault_is_listed(looked: History, want: list[str]) -> None:
    assert writes(looked, FAULT_AT, FAULT_AT + 30) == want


LEAVES = seen(5, pod(ONE, leaving=True))


@dataclass(frozen=True, slots=True)
class Moved:
    pods: Sequence[Seen]
    want: bool | None
    deployments: Sequence[Seen] = field(default_factory=list)


MOVED = {
    "nobody went": Moved([], None),
    "somebody else went": Moved([seen(5, pod(struck("cpu-1", "cpu"), leaving=True))], None),
    "it went, and nothing came before": Moved([LEAVES], False),
    "another served before": Moved([seen(4, pod(struck("gpu-3"))), LEAVES], True),
    "another served after": Moved([LEAVES, seen(6, pod(struck("gpu-3")))], False),
    "another was there, and not ready": Moved([seen(4, pod(struck("gpu-3"), is_ready=False)), LEAVES], False),
    "one that had served before is none": Moved([seen(4, pod(TWO)), LEAVES], False),
    "another class's": Moved([seen(4, pod(struck("cpu-3", "cpu"))), LEAVES], False),
    "it was out before": Moved([seen(4, pod(ONE, labels=OUT)), LEAVES], True),
    "it was told both at once": Moved([seen(5, pod(ONE, labels=OUT, leaving=True))], False),
    "the class had less before": Moved([LEAVES], True, [seen(4, weighted(30))]),
    "the class had less after": Moved([LEAVES], False, [seen(6, weighted(30))]),
    "the class had more before": Moved([LEAVES], False, [seen(4, weighted(60))]),
    "one of two was not out": Moved([seen(4, pod(ONE, labels=OUT)), LEAVES, seen(5, pod(TWO, leaving=True))], False),
}


@pytest.mark.parametrize("case", MOVED.values(), ids=MOVED.keys())
def test_who_goes_by_plan_is_out_of_the_traffic_or_replaced_before(case: Moved) -> None:
    looked = looks(pods=case.pods, deployments=case.deployments)
    assert moved_first(looked, moments.turns(looked, FAULT_AT), victim(ONE, TWO), FAULT_AT) is case.want

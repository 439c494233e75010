"""Whom a fault strikes."""

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bench_builders import pod, struck
from kit.bench.victim import Scope, Victim, choose, serving
from kit.errors import UsageError

SECOND = struck("gpu-2", node="worker4", address="10.0.0.2")
CPU_1, CPU_2 = (struck(f"cpu-{n}", "cpu", f"worker{n}", f"10.0.1.{n}") for n in (1, 2))
FPGA = struck("fpga-1", "fpga", "worker5", "10.0.2.1")
PLAIN = [struck(), SECOND, FPGA]


@dataclass(frozen=True, slots=True)
class Choice:
    scope: Scope
    want: Callable[[Victim], bool]


CHOICES = {
    "a node of a class with several": Choice(Scope.NODE, lambda v: v.class_name != "fpga" and not v.whole),
    "a node of a class with devices": Choice(Scope.DEVICES_NODE, lambda v: v.class_name == "gpu"),
    "the only pod": Choice(Scope.ONLY_POD, lambda v: v.pod.name == "fpga-1" and v.whole),
    "a whole class": Choice(Scope.CLASS, lambda v: len(v.nodes) == 2 and v.whole),
    "one pod of several": Choice(Scope.POD, lambda v: v.pod.class_name in {"cpu", "gpu"} and not v.whole),
    "nothing": Choice(Scope.NOTHING, lambda v: not v.pods),
}


@pytest.mark.parametrize("case", CHOICES.values(), ids=CHOICES.keys())
def test_the_victim_fits_the_fault_and_repeats_with_its_seed(case: Choice) -> None:
    pods = [*PLAIN, *(dataclasses.replace(pod, devices=False) for pod in (CPU_1, CPU_2))]
    for seed in range(20):
        chosen = choose(case.scope, pods, random.Random(seed))
        assert case.want(chosen)
        assert chosen == choose(case.scope, pods, random.Random(seed))


def test_all_pods_of_the_class_on_the_node_are_struck() -> None:
    beside = struck("gpu-3", address="10.0.0.3")
    found = {choose(Scope.NODE, [struck(), SECOND, beside], random.Random(seed)) for seed in range(20)}
    assert {tuple(pod.name for pod in v.pods) for v in found} == {("gpu-1", "gpu-3"), ("gpu-2",)}


def test_nothing_to_strike_is_an_error_that_says_what_serves() -> None:
    with pytest.raises(UsageError, match=r"the only pod of a class; serving are \['gpu-1', 'gpu-2'\]"):
        choose(Scope.ONLY_POD, [struck(), SECOND], random.Random(1))


def test_only_ready_pods_that_stay_serve() -> None:
    others = [pod(CPU_1, is_ready=False), pod(CPU_2, leaving=True)]
    assert serving([pod(SECOND), *others, pod(struck())]) == [struck(), SECOND]

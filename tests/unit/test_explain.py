"""What is told of a plan: each action once, by one record, and nothing that is not done."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import builders
from heteroserve.decide import decide
from heteroserve.decide.explain import record_changes
from heteroserve.model.plan import ClassPlan, PodMark, Suspicion
from heteroserve.model.snapshot import DecisionRecord, Mark, Pod, RouteState, Snapshot

IN, OUT, OUT_TO_GO = Mark(), builders.mark(0, goes_first=False), builders.mark(0)
LONG_OUT = builders.mark(60, goes_first=False)


def accused(*names: str, witness: str = "ProbeFailed") -> tuple[Suspicion, ...]:
    return tuple(Suspicion(pod=name, witnesses=(witness,)) for name in names)


@dataclass(frozen=True, kw_only=True)
class Marked:
    """Pods of a class with four replicas, what some are told, and what is recorded of that: from, to, rule, message."""

    pods: tuple[Pod, ...] = builders.pods("gpu", 4)
    marks: Mapping[str, Mark]
    suspicions: tuple[Suspicion, ...] = ()
    told_before: tuple[DecisionRecord, ...] = ()
    want: tuple[str, str, str, str] | None


def out(*names: str) -> tuple[Pod, ...]:
    """The class's pods, some of them out of the traffic."""
    return tuple(replace(p, mark=LONG_OUT) if p.name in names else p for p in builders.pods("gpu", 4))


TAKEN_OUT = ("4 in the traffic", "3 in the traffic", "PodsSuspect", "taken out: pod gpu-000: ProbeFailed")


def told(seconds: float, pod: str = "gpu-000") -> DecisionRecord:
    before, after, reason, message = TAKEN_OUT
    time, message = builders.ago(seconds), message.replace("gpu-000", pod)
    return builders.decision("gpu", before=before, after=after, reason=reason, message=message, time=time)


MARKED = {
    "a suspect is taken out": Marked(marks={"gpu-000": OUT}, suspicions=accused("gpu-000"), want=TAKEN_OUT),
    "of many the first are named": Marked(
        marks={f"gpu-00{n}": OUT for n in range(4)},
        suspicions=accused(*(f"gpu-00{n}" for n in range(4)), witness="Drill"),
        want=(
            "4 in the traffic",
            "0 in the traffic",
            "PodsSuspect",
            "taken out: pod gpu-000: Drill; pod gpu-001: Drill; pod gpu-002: Drill; and 1 more",
        ),
    ),
    "who leaves by plan is told with the replicas": Marked(marks={"gpu-000": OUT_TO_GO}, want=None),
    "nor is the traffic's, who is only to go first": Marked(marks={"gpu-000": builders.mark()}, want=None),
    "a suspect is told that it goes first as well, and was out already": Marked(
        pods=out("gpu-000"), marks={"gpu-000": OUT_TO_GO}, suspicions=accused("gpu-000"), want=None
    ),
    "it is well and comes back": Marked(
        pods=out("gpu-000"),
        marks={"gpu-000": IN},
        want=("3 in the traffic", "4 in the traffic", "ReadyCapacity", "in it again: gpu-000"),
    ),
    "many come back": Marked(
        pods=out(*(f"gpu-00{n}" for n in range(4))),
        marks={f"gpu-00{n}": IN for n in range(4)},
        want=(
            "0 in the traffic",
            "4 in the traffic",
            "ReadyCapacity",
            "in it again: gpu-000, gpu-001, gpu-002 and 1 more",
        ),
    ),
    "nobody else answers, and it comes back as it is": Marked(
        pods=out("gpu-000"),
        marks={"gpu-000": IN},
        suspicions=accused("gpu-000"),
        want=(
            "3 in the traffic",
            "4 in the traffic",
            "PodsSuspect",
            "in it for want of others: pod gpu-000: ProbeFailed",
        ),
    ),
    "one comes and one goes": Marked(
        pods=out("gpu-000"),
        marks={"gpu-000": IN, "gpu-001": OUT},
        suspicions=accused("gpu-001"),
        want=(
            "3 in the traffic",
            "3 in the traffic",
            "PodsSuspect",
            "taken out: pod gpu-001: ProbeFailed; in it again: gpu-000",
        ),
    ),
    "one that ends is in nobody's way": Marked(
        pods=(*builders.pods("gpu", 4), builders.pod("gpu-e", terminating=True)),
        marks={"gpu-000": OUT},
        suspicions=accused("gpu-000"),
        want=TAKEN_OUT,
    ),
    "a mark that is refused is not told again": Marked(
        marks={"gpu-000": OUT}, suspicions=accused("gpu-000"), told_before=(told(299),), want=None
    ),
    "whatever else was told of the class since": Marked(
        marks={"gpu-000": OUT},
        suspicions=accused("gpu-000"),
        told_before=(builders.decision("gpu"), told(299)),
        want=None,
    ),
    "after five minutes it is": Marked(
        marks={"gpu-000": OUT}, suspicions=accused("gpu-000"), told_before=(told(300),), want=TAKEN_OUT
    ),
    "as many are not the same ones": Marked(
        marks={"gpu-000": OUT}, suspicions=accused("gpu-000"), told_before=(told(10, "gpu-x"),), want=TAKEN_OUT
    ),
}


@builders.table(MARKED)
def test_who_leaves_the_traffic_untrusted_or_comes_back_is_told_once(case: Marked) -> None:
    seen = builders.snapshot(
        builders.target("gpu"),
        ready={"gpu": 4},
        pods=case.pods,
        route=builders.route(gpu=100),
        memory=builders.memory(decisions=case.told_before),
    )
    marks = tuple(PodMark(pod=name, uid=f"uid-{name}", mark=mark) for name, mark in case.marks.items())
    found = record_changes(seen, (builders.class_plan("gpu", 4, suspicions=case.suspicions),), {}, marks)
    assert [(d.before, d.after, d.reason, d.message) for d in found] == ([case.want] if case.want else [])
    assert {d.class_name for d in found} <= {"gpu"}


def test_a_suspect_that_leaves_the_split_as_it_is_is_told_all_the_same() -> None:
    one = builders.snapshot(builders.target("gpu"), ready={"gpu": 2}, demand=900, route=builders.route(gpu=100))
    (found,) = decide(builders.silent(one, "gpu-000")).decisions
    assert found == builders.decision(
        "gpu",
        before="2 in the traffic",
        after="1 in the traffic",
        reason="PodsSuspect",
        message="taken out: pod gpu-000: ProbeFailed",
    )


# --- The split -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Routed:
    """Weights as they stand, those of the plan, and the split as it is told: from, to, rule."""

    before: dict[str, int] = field(default_factory=lambda: {"cpu": 50, "gpu": 50})
    classes: tuple[ClassPlan, ...]
    by_hand: dict[str, int] = field(default_factory=dict)
    want: tuple[str, str, str] | None


def plans(**weights: int) -> tuple[ClassPlan, ...]:
    return tuple(builders.class_plan(name, weight=weight) for name, weight in weights.items())


GHOST = builders.class_plan("fpga", 0, weight=50, render=False)

ROUTED = {
    "it stays": Routed(classes=plans(cpu=50, gpu=50), want=None),
    "it moves": Routed(classes=plans(cpu=40, gpu=60), want=("cpu=50 gpu=50", "cpu=40 gpu=60", "ReadyCapacity")),
    "it is set by hand": Routed(
        classes=plans(cpu=40, gpu=60),
        by_hand={"cpu": 40, "gpu": 60},
        want=("cpu=50 gpu=50", "cpu=40 gpu=60", "ManualWeights"),
    ),
    "by hand it waits, and moves by ready capacity": Routed(
        classes=plans(cpu=40, gpu=60),
        by_hand={"cpu": 100},
        want=("cpu=50 gpu=50", "cpu=40 gpu=60", "ReadyCapacity"),
    ),
    "a class that no route names has no part in it": Routed(
        classes=(*plans(cpu=50, gpu=50), GHOST), by_hand={"cpu": 50, "fpga": 50}, want=None
    ),
    "nor is it told when the others' parts move": Routed(
        classes=(*plans(cpu=0, gpu=50), GHOST),
        by_hand={"gpu": 50, "fpga": 50},
        want=("cpu=50 gpu=50", "cpu=0 gpu=50", "ManualWeights"),
    ),
    "nor one that cannot be reached": Routed(
        classes=(*plans(cpu=50, gpu=50), builders.class_plan("fpga", weight=10, reachable=False)), want=None
    ),
    "one that is not known and still has replicas is named": Routed(
        classes=(*plans(cpu=25, gpu=25), replace(GHOST, replicas=1)),
        want=("cpu=50 gpu=50", "cpu=25 fpga=50 gpu=25", "ReadyCapacity"),
    ),
}


@builders.table(ROUTED)
def test_a_split_is_told_as_the_routes_say_it(case: Routed) -> None:
    wish = builders.deployment(*builders.everywhere(), manual_weights=case.by_hand)
    replicas = {c.name: c.replicas for c in case.classes}
    seen = builders.snapshot(deployment=wish, replicas=replicas, route=RouteState(weights=case.before))
    found = record_changes(seen, case.classes, {})
    assert [(d.before, d.after, d.reason) for d in found] == ([case.want] if case.want else [])


# --- The freeze ------------------------------------------------------------------------------------------------------

CALM = builders.snapshot(builders.target("gpu"), ready={"gpu": 1}, demand=900, route=builders.route(gpu=100))
DOUBTED = builders.vitals(CALM, "gpu-0", "gpu-1", bad_seconds=3.0)
WHY = "2 of 2 nodes turned bad within a minute: gpu-0, gpu-1"


def after(seen: Snapshot, reason: str) -> Snapshot:
    """The same moment after a cycle that ended with this reason of `Reconciling`."""
    return replace(seen, memory=builders.memory(conditions=(builders.condition("Reconciling", "False", reason),)))


def paused(seen: Snapshot) -> Snapshot:
    return replace(seen, paused="somebody says so")


FREEZES: dict[str, tuple[Snapshot, tuple[str, str, str] | None]] = {
    "we act": (after(CALM, "UpToDate"), None),
    "we act for the first time": (CALM, None),
    "we stop": (after(DOUBTED, "UpToDate"), ("acting", "frozen", WHY)),
    "we stop at the first look": (DOUBTED, ("acting", "frozen", WHY)),
    "it goes on": (after(DOUBTED, "ViewInDoubt"), None),
    "it is over": (after(CALM, "ViewInDoubt"), ("frozen", "acting", "our own view is believed again")),
    "a pause is no decision of ours": (after(paused(CALM), "UpToDate"), None),
    "nor is its end": (after(CALM, "Paused"), None),
    "whoever is paused has nothing to stop": (after(paused(DOUBTED), "UpToDate"), None),
    "a pause comes on top": (after(paused(DOUBTED), "ViewInDoubt"), ("frozen", "paused", "somebody says so")),
    "a pause goes before the doubt does": (after(DOUBTED, "Paused"), ("paused", "frozen", WHY)),
}


@builders.table(FREEZES)
def test_that_we_do_not_act_is_told_when_it_begins_and_when_it_ends(
    case: tuple[Snapshot, tuple[str, str, str] | None],
) -> None:
    seen, want = case
    found = decide(seen).decisions
    assert [(d.before, d.after, d.message) for d in found] == ([want] if want else [])
    assert {(d.class_name, d.reason) for d in found} <= {("", "ViewInDoubt")}

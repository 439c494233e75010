"""From what was seen to the seconds of a trial."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from bench_builders import FAULT_AT, history, hits, pod, seen, status, struck, victim
from kit.bench import moments
from kit.bench.history import History, Hits, Seen, capacity_restored, moved, shrunk
from kit.bench.moments import Wanted
from kit.bench.trial import Traffic, Turn
from kit.bench.victim import Victim


def turns(*steps: tuple[float, int]) -> list[Turn]:
    return [Turn(after=after, weights={"gpu": gpu, "cpu": 100 - gpu}) for after, gpu in steps]


def test_turns_are_the_changes_of_the_shares() -> None:
    half, gone = {"gpu": 50, "cpu": 50}, {"gpu": 0, "cpu": 100}
    told = [seen(-9, status()), *(seen(at, status(weights=w)) for at, w in ((-5, half), (-1, half), (1.25, gone)))]
    assert moments.turns(history(deployments=told), FAULT_AT) == [
        Turn(after=-5, weights={"gpu": 50, "cpu": 50}),
        Turn(after=1.25, weights={"gpu": 0, "cpu": 100}),
    ]


def route(after: float, generation: int, *, gone: bool = False) -> Seen:
    return seen(after, {"metadata": {"name": "digits", "generation": generation}}, gone=gone)


# the status tells of other shares after 2 s, when the routes were seen so: since when the shares hold
WRITTEN: dict[str, tuple[dict[str, list[Seen]], float]] = {
    "no route was seen": ({}, 2),
    "the route had them before": ({"http_routes": [route(-9, 1), route(1.7, 2)]}, 1.7),
    "the last of the two": ({"http_routes": [route(-9, 1), route(1.7, 2)], "grpc_routes": [route(1.8, 5)]}, 1.8),
    "what the gateway says of it is no change": ({"http_routes": [route(-9, 1), route(1.7, 2), route(1.9, 2)]}, 1.7),
    "its end is none": ({"grpc_routes": [route(-9, 1), route(1.7, 2), route(1.9, 3, gone=True)]}, 1.7),
    "a change of before is another one": ({"http_routes": [route(-9, 1), route(-7, 2)]}, 2),
    "one that comes after is another one": ({"http_routes": [route(-9, 1), route(2.1, 2)]}, 2),
}


@pytest.mark.parametrize("case", WRITTEN.values(), ids=WRITTEN.keys())
def test_since_when_the_shares_hold(case: tuple[dict[str, list[Seen]], float]) -> None:
    routes, want = case
    told = [seen(-5, status(weights={"gpu": 50, "cpu": 50})), seen(2, status(weights={"gpu": 0, "cpu": 100}))]
    assert [t.after for t in moments.turns(history(deployments=told, **routes), FAULT_AT)][-1] == want


@dataclass(frozen=True, slots=True)
class Patched:
    turns: list[Turn]
    want: float | None
    wanted: Wanted = field(default_factory=lambda: Wanted("gpu"))


PATCHED = {
    "nothing was seen": Patched([], None),
    "never": Patched(turns((-5, 50)), None),
    "less than before": Patched(turns((-5, 50), (1.2, 30), (3, 0)), 1.2),
    "more is not less": Patched(turns((-5, 50), (1, 60)), None),
    "a change before the fault is what was before": Patched(turns((-9, 50), (-5, 30), (2, 29)), 2),
    "a class that is gone as a whole must get nothing": Patched(
        turns((-5, 50), (1.2, 30), (3, 0)), 3, Wanted("gpu", to_zero=True)
    ),
    "a class that left the route gets nothing": Patched(
        [*turns((-5, 50)), Turn(after=2, weights={"cpu": 100})], 2, Wanted("gpu", to_zero=True)
    ),
    "no class was struck": Patched(turns((-5, 50), (1, 0)), None, Wanted("")),
}


@pytest.mark.parametrize("case", PATCHED.values(), ids=PATCHED.keys())
def test_weights_patched(case: Patched) -> None:
    assert moments.weights_patched(case.turns, case.wanted) == case.want


DIRECTIONS = {
    "never": ([(0, 50)], 0),
    "down and down": ([(0, 50), (10, 25), (20, 0)], 0),
    "down, and back in steps": ([(0, 50), (10, 0), (20, 10), (30, 50)], 1),
    "there and back again": ([(0, 50), (10, 0), (20, 50), (30, 0)], 2),
    "too far apart to count together": ([(0, 50), (10, 0), (20, 50), (700, 0), (1400, 50)], 1),
}


@pytest.mark.parametrize(("steps", "want"), DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_changes_of_direction_within_ten_minutes(steps: list[tuple[float, int]], want: int) -> None:
    assert moments.most_turns(turns(*steps), "gpu") == want


ONE = struck()
BEFORE = hits(-0.5, a1=100, a2=100)


@dataclass(frozen=True, slots=True)
class Last:
    hits: Sequence[Hits]
    want: float | None
    pods: Sequence[Seen] = (seen(-9, pod(ONE)),)
    planned: bool = False
    end: float = 20.0
    patched: float | None = 1.0
    """From when on a second more is looked."""


QUIET = [hits(step / 2, a1=104, a2=150) for step in range(2, 8)]
LAST = {
    "nobody looked": Last([], None),
    "nobody looked right before": Last([hits(-1.5, a1=100), hits(0.2, a1=103), *QUIET], None),
    "nobody looked before": Last([hits(0.2, a1=103), *QUIET], None),
    "nobody looked for a while": Last([BEFORE, hits(0.2, a1=103), hits(1.5, a1=104), hits(2.1, a1=104)], None),
    "nobody looked any more when the weights had moved": Last([BEFORE, hits(0.2, a1=103), hits(0.9, a1=104)], None),
    "nobody looked for a while, long after": Last([BEFORE, hits(0.4, a1=104), *QUIET, hits(9, a1=104)], 0.4),
    "the weights never moved: until the repair": Last(
        [BEFORE, hits(0.4, a1=104), *QUIET, hits(9, a1=104)], None, patched=None
    ),
    "a short fault": Last([BEFORE, hits(0.2, a1=103), hits(0.7, a1=103)], 0.2, end=0.5),
    "nothing went there any more": Last([BEFORE, *(hits(step / 2, a1=100) for step in range(5))], 0.0),
    "the last of some": Last([BEFORE, hits(0.2, a1=103), hits(0.4, a1=104), hits(0.6, a1=104), *QUIET], 0.4),
    "what came after the repair went to the living": Last([BEFORE, hits(0.2, a1=104), *QUIET, hits(21, a1=200)], 0.2),
    "so did what came after a restart": Last(
        [BEFORE, hits(0.2, a1=104), *QUIET, hits(3.6, a1=120)],
        0.2,
        [seen(-9, pod(ONE)), seen(1, pod(ONE, is_ready=False)), seen(2, pod(ONE, restarts=1))],
    ),
    "a restart that was too fast to be seen as unready": Last(
        [BEFORE, hits(0.2, a1=104), *QUIET, hits(3.6, a1=120)], 0.2, [seen(-9, pod(ONE)), seen(1, pod(ONE, restarts=1))]
    ),
    "a planned change that took nothing away": Last([BEFORE, *QUIET], None, planned=True),
    "a planned change: until the pod leaves": Last(
        [BEFORE, hits(0.4, a1=100), *QUIET],
        1.0,
        [seen(-9, pod(ONE)), seen(1.5, pod(ONE, leaving=True))],
        planned=True,
    ),
}


@pytest.mark.parametrize("case", LAST.values(), ids=LAST.keys())
def test_last_request_to_the_dead(case: Last) -> None:
    seen_so_far = history(hits=case.hits, pods=case.pods)
    end = FAULT_AT + case.end
    last = moments.last_to_dead(seen_so_far, victim(ONE), FAULT_AT, end, planned=case.planned, patched=case.patched)
    assert last == (None if case.want is None else pytest.approx(case.want))


IN_FORCE = {
    "never patched": (None, 0.5, None),
    "not known what the gateway did": (1.0, None, None),
    "the gateway was faster": (1.0, 0.4, 1.0),
    "the gateway was slower": (1.0, 1.3, 1.3),
}


@pytest.mark.parametrize(("patched", "last", "want"), IN_FORCE.values(), ids=IN_FORCE.keys())
def test_weights_in_force(patched: float | None, last: float | None, want: float | None) -> None:
    assert moments.in_force(patched, last) == want


TWO = struck("gpu-2", address="10.0.0.2", node="worker4")
THREE = struck("gpu-3", address="10.0.0.3", node="worker4")
STANDING = [seen(-9, pod(ONE)), seen(-9, pod(TWO))]
TOLD = [seen(-9, status(gpu=2))]


@dataclass(frozen=True, slots=True)
class Restored:
    deployments: Sequence[Seen]
    pods: Sequence[Seen]
    want: float | None


RESTORED = {
    "it never had less": Restored(TOLD, STANDING, None),
    "it has less still": Restored([*TOLD, seen(1, status(gpu=1))], STANDING, None),
    "the operator alone saw it": Restored([*TOLD, seen(1, status(gpu=1)), seen(9, status(gpu=2))], STANDING, 9),
    "the pods alone showed it": Restored(
        TOLD, [*STANDING, seen(1, pod(ONE, is_ready=False)), seen(4, pod(ONE, restarts=1))], 4
    ),
    "both must see it back": Restored(
        [*TOLD, seen(1, status(gpu=1)), seen(9, status(gpu=2))],
        [*STANDING, seen(2, pod(ONE, leaving=True)), seen(8, pod(THREE)), seen(40, pod(ONE), gone=True)],
        9,
    ),
    "back and away again": Restored(
        [*TOLD, seen(1, status(gpu=1)), seen(5, status(gpu=2)), seen(6, status(gpu=1))], STANDING, None
    ),
}


@pytest.mark.parametrize("case", RESTORED.values(), ids=RESTORED.keys())
def test_capacity_restored(case: Restored) -> None:
    seen_so_far = history(deployments=case.deployments, pods=case.pods)
    assert capacity_restored(seen_so_far, "gpu", FAULT_AT) == (None if case.want is None else FAULT_AT + case.want)


LEAVING = [*STANDING, seen(1, pod(ONE, leaving=True))]
ONE_GONE = [*LEAVING, seen(3, pod(ONE, leaving=True), gone=True)]
BOTH_GONE = [*ONE_GONE, seen(4, pod(TWO), gone=True)]
ENDS: dict[str, tuple[Callable[[History, Victim, float], bool], Sequence[Seen], bool]] = {
    "moved: none left": (moved, STANDING, False),
    "moved: one is on its way": (moved, LEAVING, False),
    "moved: one is gone": (moved, ONE_GONE, False),
    "moved: both are gone": (moved, BOTH_GONE, True),
    "shrunk: none left": (shrunk, STANDING, False),
    "shrunk: one is on its way": (shrunk, LEAVING, False),
    "shrunk: one is gone": (shrunk, ONE_GONE, True),
}


@pytest.mark.parametrize(("over", "pods", "want"), ENDS.values(), ids=ENDS.keys())
def test_planned_changes_are_over_when_the_pods_are_gone(
    over: Callable[[History, Victim, float], bool],
    pods: Sequence[Seen],
    want: bool,  # noqa: FBT001
) -> None:
    assert over(history(pods=pods), victim(ONE, TWO), FAULT_AT) == want


def test_what_survives_is_what_the_other_classes_carried_right_before() -> None:
    told = [
        seen(-9, status(capacity={"gpu": 60, "cpu": 5})),
        seen(-1, status(capacity={"gpu": 60, "cpu": 30, "fpga": 20.5})),
        seen(1, status(capacity={"gpu": 0, "cpu": 90})),
    ]
    assert moments.surviving(history(deployments=told), victim(ONE), FAULT_AT) == 50.5
    assert moments.surviving(history(deployments=told[2:]), victim(ONE), FAULT_AT) is None
    assert moments.surviving(history(deployments=[seen(-1, status(gpu=2, cpu=2))]), victim(ONE), FAULT_AT) is None


def test_requests_per_class_and_second() -> None:
    looks = [
        hits(-1.9, a1=10, a2=5, a9=7),
        hits(-1.1, a1=12, a2=5, a9=9),  # nobody's address is nobody's class
        hits(0.5, a1=12, a2=8),
        hits(0.7, a1=2, a2=8),  # a counter that began anew
        hits(2.1, a1=2, a2=9),
    ]
    cpu = struck("cpu-1", "cpu", "worker", "10.0.0.2")
    found = moments.traffic(history(hits=looks, pods=[seen(-9, pod(ONE)), seen(-9, pod(cpu))]), FAULT_AT)
    assert found == Traffic(first=-2, requests={"cpu": [0, 0, 3, 0, 1], "gpu": [2, 0, 2, 0, 0]})
    assert moments.traffic(history(), FAULT_AT) is None


def test_a_cluster_that_is_not_seen_once_sends_nothing_when_it_is_seen_again() -> None:
    http, grpc = ("http", "10.0.0.1"), ("grpc", "10.0.0.1")
    looks = [
        Hits(FAULT_AT - 1, {http: 50, grpc: 50}),
        Hits(FAULT_AT + 1, {http: 50}),
        Hits(FAULT_AT + 2, {http: 50, grpc: 50}),
    ]
    assert list(moments.increases(history(hits=looks))) == []

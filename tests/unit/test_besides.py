from dataclasses import dataclass, field, replace

import builders
from heteroserve.decide.besides import besides, in_place_of, without_besides
from heteroserve.decide.leaving import Cause
from heteroserve.decide.stabilise import Present, Settled
from heteroserve.model.plan import Departure, Why
from heteroserve.model.snapshot import Pod, PodProblem

WAIT = builders.pending(100, 1)


WAITING = (builders.pod("cpu-w", ready=False, node=None, problem=PodProblem.UNSCHEDULABLE),)


def leaving(count: int) -> tuple[Departure, ...]:
    return tuple(builders.departure(f"cpu-{n}", Cause.CORDONED) for n in range(count))


def gone(count: int) -> tuple[Departure, ...]:
    return tuple(builders.departure(f"cpu-{n}", Cause.LOST, lost=True) for n in range(count))


@dataclass(frozen=True, kw_only=True)
class Move:
    """A class with pods that are to be replaced: what is settled for those that stay, and what is asked for."""

    settled: int
    want: tuple[int, Why]
    want_besides: int = 0
    going: tuple[Departure, ...] = ()
    present: int | None = None
    """Replicas that were not asked for in place of others: as many as settled, unless told."""
    staying: int = 0
    staying_ready: int = 0
    room: int | None = None
    carried: bool = False
    waiting: int = 0
    """Of those that stay so many have no node, because the scheduler finds none."""
    idle: int = 0
    """Of those that leave and are not lost, so many do not answer."""
    high: int = 10


MOVES = {
    "nobody leaves": Move(settled=3, staying=3, want=(3, Why.DEMAND)),
    "nobody leaves, whatever has no room": Move(settled=3, staying=1, room=1, want=(3, Why.DEMAND)),
    # one more for each
    "for one that leaves one more is asked for": Move(
        settled=3, going=leaving(1), staying=2, staying_ready=2, want=(4, Why.MOVING), want_besides=1
    ),
    "while one that stays is not ready they wait": Move(
        settled=3, going=leaving(1), staying=3, staying_ready=2, want=(4, Why.MOVING), want_besides=1
    ),
    "when all that stay are ready the number goes back": Move(
        settled=3, going=leaving(1), staying=3, staying_ready=3, want=(3, Why.DEMAND)
    ),
    "one too many that is not ready would be the first to go: so they wait": Move(
        settled=3, going=leaving(1), staying=4, staying_ready=3, want=(4, Why.MOVING), want_besides=1
    ),
    "for several that leave as many more are asked for": Move(
        settled=2, going=leaving(2), staying=0, want=(4, Why.MOVING), want_besides=2
    ),
    "the most that are allowed are those that stay": Move(
        settled=10, going=leaving(2), staying=8, staying_ready=8, want=(12, Why.MOVING), want_besides=2
    ),
    "a class that grows asks for the ones besides as well": Move(
        settled=6, present=2, going=leaving(1), staying=1, staying_ready=1, want=(7, Why.MOVING), want_besides=1
    ),
    "a class that shrinks leaves no faster than it may": Move(
        settled=2, present=4, going=leaving(1), staying=3, staying_ready=3, want=(2, Why.DEMAND)
    ),
    "what is asked for besides is no reason to wait for those that carry": Move(
        settled=3, going=leaving(1), staying=3, staying_ready=3, carried=True, want=(3, Why.DEMAND)
    ),
    # no room
    "one that the scheduler finds no place for is waited for": Move(
        settled=2, going=leaving(1), staying=2, staying_ready=1, waiting=1, want=(3, Why.MOVING), want_besides=1
    ),
    "but not while the others carry what they carried": Move(
        settled=2, going=leaving(1), staying=2, staying_ready=1, waiting=1, carried=True, want=(1, Why.DEMAND)
    ),
    "nothing is asked for that would find no place": Move(
        settled=4, going=leaving(2), staying=2, staying_ready=2, room=2, want=(4, Why.MOVING)
    ),
    "half of them find a place": Move(
        settled=4, going=leaving(2), staying=2, staying_ready=2, room=3, want=(5, Why.MOVING), want_besides=1
    ),
    "without a place they leave when others carry what they carried": Move(
        settled=4, going=leaving(2), staying=2, staying_ready=2, room=2, carried=True, want=(2, Why.DEMAND)
    ),
    "and not before all that stay are ready": Move(
        settled=4,
        going=leaving(2),
        staying=2,
        staying_ready=1,
        room=2,
        carried=True,
        want=(4, Why.MOVING),
    ),
    "without any place the whole class leaves when others carry its share": Move(
        settled=2, going=leaving(2), room=0, carried=True, want=(0, Why.DEMAND)
    ),
    "who carries nothing leaves without others": Move(
        settled=2, going=leaving(2), idle=2, room=0, want=(0, Why.DEMAND)
    ),
    "as long as one of them answers they stay together": Move(
        settled=2, going=leaving(2), idle=1, room=0, want=(2, Why.MOVING)
    ),
    "and stays until they do": Move(settled=2, going=leaving(2), room=0, want=(2, Why.MOVING)),
    "a class of which nothing is wanted any more leaves as well": Move(
        settled=0, present=1, going=leaving(1), carried=True, want=(0, Why.DEMAND)
    ),
    "growth that finds no place is not asked for": Move(
        settled=6, present=2, going=leaving(1), staying=1, staying_ready=1, room=2, want=(3, Why.MOVING), want_besides=1
    ),
    "and does not keep those from leaving that were replaced": Move(
        settled=6, present=2, going=leaving(1), staying=2, staying_ready=2, room=2, want=(2, Why.DEMAND)
    ),
    "what was asked for and waits for a place is not taken back": Move(
        settled=5, going=leaving(1), staying=1, staying_ready=1, room=1, want=(5, Why.MOVING)
    ),
    "a lowered maximum bounds what was there": Move(
        settled=2, present=5, high=2, going=leaving(2), staying=2, staying_ready=2, room=2, want=(2, Why.DEMAND)
    ),
    # lost ones
    "a lost one is replaced as well": Move(
        settled=3, going=gone(1), staying=2, staying_ready=2, want=(4, Why.FAILOVER), want_besides=1
    ),
    "when all that stay are ready the lost one is given up": Move(
        settled=3, going=gone(1), staying=3, staying_ready=3, want=(3, Why.DEMAND)
    ),
    "with one that leaves and still serves it is a move": Move(
        settled=3,
        going=(*gone(1), builders.departure("cpu-9", Cause.CORDONED)),
        staying=1,
        staying_ready=1,
        want=(5, Why.MOVING),
        want_besides=2,
    ),
    "lost ones without a place are kept on record: nothing is won by giving them up": Move(
        settled=2, going=gone(2), room=0, carried=True, want=(2, Why.FAILOVER)
    ),
    "so are those of which nothing is wanted": Move(
        settled=0, present=2, going=gone(2), room=0, want=(2, Why.FAILOVER), want_besides=2
    ),
}


def move(case: Move) -> Settled:
    serve = sum(not g.lost for g in case.going) - case.idle
    supply = builders.supply(
        "cpu",
        answering=case.staying_ready + serve,
        high=case.high,
        room=case.room,
        departures=case.going,
        staying=case.staying,
        staying_ready=case.staying_ready,
        placed=case.staying - case.waiting,
        problems=WAITING[: case.waiting],
    )
    present = Present(
        supply=supply,
        replicas=case.settled if case.present is None else case.present,
        carrying=case.staying_ready,
        pending=None,
    )
    settled = Settled(replicas=case.settled, why=Why.DEMAND, message="settled", pending=WAIT)
    return besides(settled, present, carried=case.carried)


@builders.table(MOVES)
def test_what_is_asked_for(case: Move) -> None:
    found = move(case)
    assert (found.replicas, found.why) == case.want
    assert found.besides == case.want_besides
    assert found.pending == WAIT


def test_a_move_says_who_leaves_and_why() -> None:
    assert move(MOVES["for one that leaves one more is asked for"]).message == (
        "3, and 1 until others serve in their place: pod cpu-0: NodeCordoned; settled"
    )
    assert move(MOVES["when all that stay are ready the number goes back"]).message == "settled"


LEFT, RIGHT = builders.pod("cpu-a"), builders.pod("cpu-b")
FIRST = builders.mark()


@dataclass(frozen=True, kw_only=True)
class Told:
    """Pods and what they were told; the number that was not asked for besides, and who is told that so many were."""

    pods: tuple[Pod, ...] = (LEFT, RIGHT)
    departing: dict[str, Departure] = field(
        default_factory=lambda: {p.uid: builders.departure(p.name) for p in (LEFT, RIGHT)}
    )
    replicas: int | None = 4
    besides: int = 1
    rolling: bool = False
    want_without: int | None = 4
    want_in_place_of: tuple[str, ...] = ("cpu-a",)


TOLD = {
    "nobody was told anything": Told(),
    "one was told": Told(pods=(LEFT, replace(RIGHT, mark=FIRST)), want_without=3, want_in_place_of=("cpu-b",)),
    "both were told": Told(
        pods=(replace(LEFT, mark=FIRST), replace(RIGHT, mark=FIRST)),
        besides=2,
        want_without=2,
        want_in_place_of=("cpu-a", "cpu-b"),
    ),
    "the lost ones are told first": Told(
        departing={LEFT.uid: builders.departure("cpu-a"), RIGHT.uid: builders.departure("cpu-b", lost=True)},
        want_in_place_of=("cpu-b",),
    ),
    "but who was told stays told": Told(
        pods=(replace(LEFT, mark=FIRST), RIGHT),
        departing={LEFT.uid: builders.departure("cpu-a"), RIGHT.uid: builders.departure("cpu-b", lost=True)},
        want_without=3,
    ),
    "none was asked for": Told(besides=0, want_in_place_of=()),
    "who goes first for another reason was not replaced": Told(
        pods=(replace(LEFT, mark=FIRST), RIGHT), departing={}, want_in_place_of=()
    ),
    "pods of other classes do not count": Told(
        pods=(replace(builders.pod("gpu-a"), mark=FIRST),),
        departing={"uid-gpu-a": builders.departure("gpu-a")},
        want_in_place_of=(),
    ),
    "before its first Deployment a class has no number": Told(replicas=None, want_without=None),
    "the number is down, and Kubernetes has not acted: who was sent away is out of it already": Told(
        pods=(replace(LEFT, mark=builders.mark(5)), RIGHT), replicas=1, want_without=1
    ),
    "once it has acted there is nobody to count": Told(
        pods=(replace(LEFT, mark=builders.mark(5), terminating=True), RIGHT),
        departing={RIGHT.uid: builders.departure("cpu-b")},
        replicas=1,
        want_without=1,
        want_in_place_of=("cpu-b",),
    ),
    "while it drains the number still counts it": Told(
        pods=(replace(LEFT, mark=builders.mark(5)), RIGHT), replicas=2, want_without=1
    ),
    "the one more of a rollout is nobody who was sent away": Told(
        pods=(replace(LEFT, mark=builders.mark(5)), RIGHT, builders.pod("cpu-c")),
        replicas=2,
        rolling=True,
        want_without=1,
    ),
    "somebody took the number down meanwhile": Told(
        pods=(replace(LEFT, mark=FIRST), replace(RIGHT, mark=FIRST)), replicas=1, want_without=0
    ),
}


@builders.table(TOLD)
def test_what_was_asked_for_besides_is_remembered_by_the_pods(case: Told) -> None:
    replicas = {} if case.replicas is None else {"cpu": case.replicas}
    rolling = frozenset({"cpu"} if case.rolling else ())
    given = builders.snapshot(builders.target("cpu"), pods=case.pods, replicas=replicas, rolling=rolling)
    settled = Settled(replicas=4, why=Why.DEMAND, message="settled", besides=case.besides)
    assert without_besides("cpu", given, case.departing) == case.want_without
    assert in_place_of("cpu", settled, given, case.departing) == {f"uid-{name}" for name in case.want_in_place_of}

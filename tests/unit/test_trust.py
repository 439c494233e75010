from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import builders
from heteroserve.decide.trust import (
    FORGIVEN_AFTER_SECONDS,
    LONGEST_STABLE_SECONDS,
    ONE_TROUBLE_SECONDS,
    STABLE_SECONDS,
    Trust,
    assess_trust,
    share,
    trusted_in_seconds,
)
from heteroserve.model.plan import Suspicion
from heteroserve.model.snapshot import Recovery

PROBE = Suspicion(pod="gpu-a", witnesses=("ProbeFailed",))
DRILL = Suspicion(pod="gpu-a", witnesses=("Drill",))
RAMPED = 30.0
"""The steps of 10, 25 and 50 %."""
TROUBLED = builders.recovery(40, setbacks=1, troubled=True, floor=1)


def back(seconds: float, **fields: Any) -> Recovery:
    """Its first trouble ended so long ago, and none of its four replicas answered all the time."""
    return builders.recovery(seconds, **{"setbacks": 1, "floor": 0, **fields})


@dataclass(frozen=True, kw_only=True)
class Come:
    """A class `gpu` with four replicas, of which so many answer; a class `cpu` that is enough for the demand.

    `before` is what was remembered of the gpu, `answered` how many of its replicas did a moment ago.
    """

    want: Trust
    ready: int = 4
    answering: int | None = None
    """As many as are ready, unless told."""
    answered: int | None = 4
    replicas: int | None = 4
    before: Recovery | None = None
    suspicions: tuple[Suspicion, ...] = ()
    leaving: int = 0
    erring: bool = False
    demand: float | None = 500.0
    cpu: dict[str, Any] = field(default_factory=lambda: {"ready": 5})


STORIES = {
    "it has been there and is": Come(want=Trust(carrying=4)),
    "it is not there": Come(ready=0, answered=None, replicas=None, want=Trust(carrying=0)),
    # it is new
    "it came: a tenth at first": Come(answered=0, want=Trust(carrying=0.4, recovery=builders.recovery(0))),
    "a class that was never heard of as well": Come(
        answered=None, want=Trust(carrying=0.4, recovery=builders.recovery(0))
    ),
    "ten seconds later a quarter": Come(
        before=builders.recovery(10), want=Trust(carrying=1.0, recovery=builders.recovery(10))
    ),
    "after twenty a half": Come(before=builders.recovery(29), want=Trust(carrying=2.0, recovery=builders.recovery(29))),
    "after thirty all of it, and nothing is remembered": Come(before=builders.recovery(30), want=Trust(carrying=4)),
    "more replicas of a class that is there are no news": Come(answered=1, want=Trust(carrying=4)),
    "when it is all there is it is trusted at once": Come(answered=0, cpu={"ready": 0}, want=Trust(carrying=4)),
    "the first class of all is no guest": Come(answered=0, demand=0.0, cpu={"ready": 0}, want=Trust(carrying=4)),
    # its replicas stopped answering
    "a replica is suspected": Come(
        ready=3,
        suspicions=(PROBE,),
        want=Trust(carrying=3, recovery=builders.recovery(0, setbacks=1, troubled=True, floor=3)),
    ),
    "a replica vanished": Come(
        ready=3, want=Trust(carrying=3, recovery=builders.recovery(0, setbacks=1, troubled=True, floor=3))
    ),
    "one that we took out answers and did not vanish": Come(ready=3, answering=4, want=Trust(carrying=3)),
    "one that somebody deletes leaves by his wish": Come(ready=3, leaving=1, want=Trust(carrying=3)),
    "one that we asked to go as well": Come(ready=3, replicas=3, want=Trust(carrying=3)),
    "a drill is no trouble": Come(ready=3, answering=3, leaving=1, suspicions=(DRILL,), want=Trust(carrying=3)),
    "one that is silent in a drill is": Come(
        ready=3,
        suspicions=(replace(PROBE, witnesses=("ProbeFailed", "Drill")),),
        want=Trust(carrying=3, recovery=builders.recovery(0, setbacks=1, troubled=True, floor=3)),
    ),
    "errors of a class that is trusted are the metrics' business": Come(erring=True, want=Trust(carrying=4)),
    "while the trouble lasts it is counted once": Come(
        ready=2, answered=2, suspicions=(PROBE,), before=TROUBLED, want=Trust(carrying=1, recovery=TROUBLED)
    ),
    "who falls silent meanwhile is not among those that answered all the time": Come(
        ready=0,
        suspicions=(PROBE,),
        answered=1,
        before=TROUBLED,
        want=Trust(carrying=0, recovery=replace(TROUBLED, floor=0)),
    ),
    "silent again while it starts: that is the same trouble": Come(
        ready=3,
        answered=3,
        suspicions=(PROBE,),
        before=back(ONE_TROUBLE_SECONDS - 1, floor=1),
        want=Trust(carrying=1, recovery=builders.recovery(0, setbacks=1, troubled=True, floor=1)),
    ),
    "silent again after a while: that is another": Come(
        ready=3,
        answered=3,
        suspicions=(PROBE,),
        before=back(ONE_TROUBLE_SECONDS, floor=1),
        want=Trust(carrying=1, recovery=builders.recovery(0, setbacks=2, troubled=True, floor=1)),
    ),
    # they are back
    "it is over: what answered all the time is trusted": Come(
        answered=3, before=TROUBLED, want=Trust(carrying=1, recovery=back(0, floor=1))
    ),
    "and no more for two minutes": Come(before=back(119, floor=1), want=Trust(carrying=1, recovery=back(119, floor=1))),
    "then a tenth of the rest": Come(
        before=back(STABLE_SECONDS, floor=2),
        want=Trust(carrying=2.2, recovery=back(STABLE_SECONDS, floor=2)),
    ),
    "then all of it, and it is remembered for a while": Come(
        before=back(STABLE_SECONDS + RAMPED), want=Trust(carrying=4, recovery=back(STABLE_SECONDS + RAMPED))
    ),
    "until it was calm for long": Come(
        before=back(STABLE_SECONDS + RAMPED + FORGIVEN_AFTER_SECONDS), want=Trust(carrying=4)
    ),
    "a second more before that": Come(
        before=back(STABLE_SECONDS + RAMPED + FORGIVEN_AFTER_SECONDS - 1),
        want=Trust(carrying=4, recovery=back(STABLE_SECONDS + RAMPED + FORGIVEN_AFTER_SECONDS - 1)),
    ),
    "another one that comes back starts the two minutes anew": Come(
        ready=3, answered=2, before=back(60, floor=1), want=Trust(carrying=1, recovery=back(0, floor=1))
    ),
    "but not once the steps have begun": Come(
        answered=3,
        before=back(STABLE_SECONDS, floor=0),
        want=Trust(carrying=0.4, recovery=back(STABLE_SECONDS)),
    ),
    # it happens again
    "a setback before anything was trusted is the second": Come(
        ready=2,
        answered=4,
        suspicions=(PROBE,),
        before=back(60, floor=3),
        want=Trust(carrying=2, recovery=builders.recovery(0, setbacks=2, troubled=True, floor=2)),
    ),
    "what came back meanwhile is not among those that answered all the time": Come(
        ready=3,
        answered=4,
        suspicions=(PROBE,),
        before=back(60, floor=1),
        want=Trust(carrying=1, recovery=builders.recovery(0, setbacks=2, troubled=True, floor=1)),
    ),
    "once it was trusted in full everybody who is there is": Come(
        ready=3,
        suspicions=(PROBE,),
        before=back(STABLE_SECONDS + RAMPED + 60, floor=0),
        want=Trust(carrying=3, recovery=builders.recovery(0, setbacks=2, troubled=True, floor=3)),
    ),
    "errors while it is on trial are a setback": Come(
        erring=True,
        before=back(STABLE_SECONDS + 5, floor=1),
        want=Trust(carrying=1, recovery=builders.recovery(0, setbacks=2, troubled=True, floor=1)),
    ),
    "for a class that is new as well": Come(
        erring=True,
        before=builders.recovery(5),
        want=Trust(carrying=0, recovery=builders.recovery(0, setbacks=1, troubled=True, floor=0)),
    ),
    "errors after the trial are not": Come(
        erring=True,
        before=back(STABLE_SECONDS + RAMPED),
        want=Trust(carrying=4, recovery=back(STABLE_SECONDS + RAMPED)),
    ),
    "the second time it takes four minutes": Come(
        before=back(239, setbacks=2), want=Trust(carrying=0, recovery=back(239, setbacks=2))
    ),
    "and then it is the same": Come(
        before=back(240, setbacks=2), want=Trust(carrying=0.4, recovery=back(240, setbacks=2))
    ),
    # nobody is held back where it would cost anything
    "who is needed is trusted at once, and the setback remembered": Come(
        before=back(5), demand=501.0, want=Trust(carrying=4, recovery=back(5))
    ),
    "a trouble that lasts is remembered too": Come(
        ready=3,
        suspicions=(PROBE,),
        answered=3,
        before=TROUBLED,
        demand=4000.0,
        want=Trust(carrying=3, recovery=TROUBLED),
    ),
    "a class that is new and needed is new no longer": Come(answered=0, demand=1000.0, want=Trust(carrying=4)),
    "while the demand is not known nobody is held back": Come(
        before=back(5), demand=None, want=Trust(carrying=4, recovery=back(5))
    ),
    "nor where nothing else is ready": Come(
        before=back(5), demand=0.0, cpu={"ready": 0}, want=Trust(carrying=4, recovery=back(5))
    ),
    "a class that no route leads to carries nothing": Come(
        before=back(5),
        cpu={"ready": 5, "reachable": False},
        want=Trust(carrying=4, recovery=back(5)),
    ),
    "what is trusted of it may be what makes it enough": Come(
        before=back(5, floor=1), demand=1500.0, want=Trust(carrying=1, recovery=back(5, floor=1))
    ),
}


@builders.table(STORIES)
def test_how_much_of_what_came_back_is_counted_on(case: Come) -> None:
    gpu = builders.supply(
        "gpu",
        ready=case.ready,
        answering=case.ready if case.answering is None else case.answering,
        suspicions=case.suspicions,
        leaving_on_request=case.leaving,
    )
    cpu = builders.supply("cpu", **case.cpu)
    given = builders.snapshot(
        replicas={"cpu": 5, **({} if case.replicas is None else {"gpu": case.replicas})},
        erring=frozenset({"gpu"} if case.erring else ()),
        memory=builders.memory(
            recoveries={"gpu": case.before} if case.before else {},
            ready={"cpu": cpu.ready, **({} if case.answered is None else {"gpu": case.answered})},
        ),
    )
    found = assess_trust(given, (gpu, cpu), case.demand)
    assert found["gpu"] == case.want
    assert found["cpu"] == Trust(carrying=cpu.ready)


@pytest.mark.parametrize(
    ("setbacks", "want"),
    [(0, 0.0), (1, 120.0), (2, 240.0), (3, 480.0), (4, 960.0), (5, 1800.0), (6, 1800.0), (10**9, 1800.0)],
)
def test_each_setback_doubles_the_wait_up_to_half_an_hour(setbacks: int, want: float) -> None:
    before, after = builders.recovery(want - 1, setbacks=setbacks), builders.recovery(want, setbacks=setbacks)
    assert want <= LONGEST_STABLE_SECONDS
    assert (share(before, builders.NOW), share(after, builders.NOW)) == (0.0, 0.1)
    assert trusted_in_seconds(after, builders.NOW) == RAMPED


def test_a_class_in_trouble_has_no_share_however_long_it_lasts() -> None:
    assert share(builders.recovery(10**6, troubled=True), builders.NOW) == 0.0


def test_it_takes_no_negative_time() -> None:
    assert trusted_in_seconds(builders.recovery(10**6, setbacks=3), builders.NOW) == 0.0


def test_with_the_first_look_nobody_is_new() -> None:
    """An operator that never wrote a status finds what is there, and it serves."""
    given = builders.snapshot(ready={"cpu": 5, "gpu": 4}, memory=builders.memory())
    supplies = (builders.supply("cpu", ready=5), builders.supply("gpu", ready=4))
    assert assess_trust(given, supplies, 500.0) == {"cpu": Trust(carrying=5), "gpu": Trust(carrying=4)}

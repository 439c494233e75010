from dataclasses import dataclass, field, replace

import builders
from heteroserve.decide.picture import take
from heteroserve.decide.sequence import DRAIN_SECONDS, Step, drain_before_removal
from heteroserve.decide.stabilise import Settled
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import InFlight, Pod, RouteState

WAIT = builders.pending(300, 0)
THREE = builders.pods("cpu", 3)
FIRST, SECOND, THIRD = THREE
*FOUR, FIFTH = builders.pods("cpu", 5, node="cpu-0")
IDLE = InFlight(requests=0.0, age_seconds=1.0)


def route(cpu: int) -> RouteState:
    return builders.route(cpu=cpu, gpu=100 - cpu)


def told(pod: Pod, out_seconds: float | None = None) -> Pod:
    return replace(pod, mark=builders.mark(out_seconds))


@dataclass(frozen=True, kw_only=True)
class Way:
    """A class on its way to so many replicas: its pods, what Triton says is inside them, and who is to be replaced."""

    pods: tuple[Pod, ...]
    wish: int
    want_going: tuple[str, ...] = ()
    replicas: int | None = None
    """What the Deployment asks for: as many as there are pods, unless told."""
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    departing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    """Pods that do not answer our probes, and that Kubernetes calls ready."""
    rolling: bool = False
    routed: int | None = 40
    behind: bool = False
    """A gateway has not looked at the route since it was changed."""
    erring: bool = False
    awake_seconds: float = 3600.0
    want_first: tuple[str, ...] = ()
    """Who is told to go first, and serves on."""
    want_replicas: int = 0
    want_why: Why = Why.DEMAND


WAYS = {
    # the last replica waits for the route
    "the last replica stays while traffic is routed to it": Way(
        pods=(FIRST,), wish=0, want_replicas=1, want_why=Why.DRAINING
    ),
    "several that would all go stay as well": Way(pods=THREE, wish=0, want_replicas=3, want_why=Why.DRAINING),
    "even if they do not answer": Way(
        pods=(replace(FIRST, ready=False),), wish=0, want_replicas=1, want_why=Why.DRAINING
    ),
    "once the route let go they are taken out of the traffic": Way(
        pods=(FIRST,), wish=0, routed=0, want_replicas=1, want_why=Why.DRAINING, want_going=("cpu-000",)
    ),
    "and go when they have nothing left": Way(
        pods=(told(FIRST, DRAIN_SECONDS),), wish=0, routed=0, want_replicas=0, want_going=("cpu-000",)
    ),
    "without a route it is the same": Way(
        pods=(told(FIRST, DRAIN_SECONDS),), wish=0, routed=None, want_replicas=0, want_going=("cpu-000",)
    ),
    "what is not there is not kept": Way(pods=(), wish=0, want_replicas=0),
    "growth is none of its business": Way(pods=(), wish=2, routed=0, want_replicas=2),
    # who goes
    "one too many is chosen and taken out first": Way(
        pods=THREE, wish=2, want_replicas=3, want_why=Why.DRAINING, want_going=("cpu-000",)
    ),
    "who was chosen stays chosen": Way(
        pods=(FIRST, SECOND, told(THIRD, 3)),
        wish=2,
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-002",),
    ),
    "who is to be replaced goes before who was chosen": Way(
        pods=(told(FIRST, 3), SECOND, THIRD),
        wish=2,
        departing=("cpu-002",),
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-002",),
    ),
    "who answers nobody goes before everybody else, and at once": Way(
        pods=(told(FIRST, 3), replace(SECOND, ready=False), THIRD),
        wish=2,
        departing=("cpu-002",),
        want_replicas=2,
        want_going=("cpu-001",),
    ),
    "who is silent goes before who answers, when he is taken out of the traffic": Way(
        pods=(told(FIRST, 3), SECOND, THIRD),
        wish=2,
        silent=("cpu-001",),
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-001",),
    ),
    "even before who is to be replaced and serves": Way(
        pods=THREE,
        wish=2,
        silent=("cpu-001",),
        departing=("cpu-002",),
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-001",),
    ),
    "so does one on a node that is not there any more": Way(
        pods=(FIRST, replace(SECOND, node="gone"), THIRD),
        wish=2,
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-001",),
    ),
    "who has no node yet goes first of all": Way(
        pods=(replace(FIRST, ready=False), SECOND, replace(THIRD, ready=False, node=None)),
        wish=2,
        want_replicas=2,
        want_going=("cpu-002",),
    ),
    "of equals one where it is crowded goes": Way(
        pods=(FIRST, SECOND, replace(THIRD, node="cpu-1")),
        wish=2,
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-001",),
    ),
    "who is on its way out already is not chosen": Way(
        pods=(replace(FIRST, terminating=True), SECOND, THIRD),
        replicas=2,
        wish=1,
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-001",),
    ),
    "who is needed after all is back in the traffic": Way(pods=(told(FIRST, 3), SECOND), wish=2, want_replicas=2),
    "one of two that were chosen is needed after all": Way(
        pods=(told(FIRST, 3), told(SECOND, 3), THIRD),
        wish=2,
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "while the number is down and Kubernetes has not acted, those that it was told of stay chosen": Way(
        pods=(FIRST, told(SECOND, 40), THIRD), replicas=2, wish=2, want_replicas=2, want_going=("cpu-001",)
    ),
    "even those that were to be replaced": Way(
        pods=(FIRST, told(SECOND, 40), THIRD),
        replicas=2,
        wish=2,
        departing=("cpu-001",),
        want_replicas=2,
        want_going=("cpu-001",),
    ),
    "and even while Kubernetes has not looked at the new number": Way(
        pods=(FIRST, told(SECOND, 40), THIRD),
        replicas=2,
        wish=2,
        rolling=True,
        want_replicas=2,
        want_going=("cpu-001",),
    ),
    "and nobody is chosen in the place of one that it was not told of": Way(
        pods=THREE, replicas=2, wish=2, want_replicas=2
    ),
    "what is to be replaced is not taken out before its time": Way(
        pods=(told(FIRST), SECOND, THIRD), replicas=2, wish=2, departing=("cpu-000",), want_replicas=2
    ),
    "the pod that a new template is rolled out with is none too many": Way(
        pods=THREE, replicas=2, wish=2, rolling=True, want_replicas=2
    ),
    "a rollout does not keep one from going": Way(
        pods=THREE,
        replicas=2,
        wish=1,
        rolling=True,
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "while Kubernetes is at work the number does not go down for the same one twice": Way(
        pods=(told(FIRST, 40), SECOND, THIRD),
        replicas=2,
        wish=1,
        rolling=True,
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "without a pod on record the number goes down": Way(pods=(), replicas=3, wish=2, want_replicas=2),
    # how long they are waited for
    "who was not taken out yet is waited for, whatever Triton says": Way(
        pods=(FIRST, SECOND),
        wish=1,
        in_flight={"cpu-000": IDLE},
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "out, and Triton says that nothing is left": Way(
        pods=(told(FIRST, 5), SECOND), wish=1, in_flight={"cpu-000": IDLE}, want_replicas=1, want_going=("cpu-000",)
    ),
    "out, and Triton still computes": Way(
        pods=(told(FIRST, 5), SECOND),
        wish=1,
        in_flight={"cpu-000": InFlight(requests=1.0, age_seconds=1.0)},
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "what Triton said before it was out says nothing": Way(
        pods=(told(FIRST, 5), SECOND),
        wish=1,
        in_flight={"cpu-000": InFlight(requests=0.0, age_seconds=6.0)},
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "nor what it said before the gateway knew": Way(
        pods=(told(FIRST, 5), SECOND),
        wish=1,
        in_flight={"cpu-000": InFlight(requests=0.0, age_seconds=4.0)},
        want_replicas=2,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "of whom nothing is known it is waited for a while": Way(
        pods=(told(FIRST, 29), SECOND), wish=1, want_replicas=2, want_why=Why.DRAINING, want_going=("cpu-000",)
    ),
    "and no longer": Way(pods=(told(FIRST, 30), SECOND), wish=1, want_replicas=1, want_going=("cpu-000",)),
    "nor for who never has done": Way(
        pods=(told(FIRST, 30), SECOND),
        wish=1,
        in_flight={"cpu-000": InFlight(requests=9.0, age_seconds=1.0)},
        want_replicas=1,
        want_going=("cpu-000",),
    ),
    # by halves
    "of many half leave the traffic first": Way(
        pods=(*FOUR, FIFTH),
        wish=1,
        want_replicas=5,
        want_why=Why.DRAINING,
        want_going=("cpu-000", "cpu-001"),
        want_first=("cpu-002", "cpu-003"),
    ),
    "the others wait until it was seen that this is borne": Way(
        pods=(told(FOUR[0], 4), told(FOUR[1], 4), *FOUR[2:], FIFTH),
        wish=1,
        want_replicas=5,
        want_why=Why.DRAINING,
        want_going=("cpu-000", "cpu-001"),
        want_first=("cpu-002", "cpu-003"),
    ),
    "then the next half": Way(
        pods=(told(FOUR[0], 5), told(FOUR[1], 5), *FOUR[2:], FIFTH),
        wish=1,
        want_replicas=5,
        want_why=Why.DRAINING,
        want_going=("cpu-000", "cpu-001", "cpu-002"),
        want_first=("cpu-003",),
    ),
    "nobody follows while Triton errs": Way(
        pods=(told(FOUR[0], 5), told(FOUR[1], 5), *FOUR[2:], FIFTH),
        wish=1,
        erring=True,
        want_replicas=5,
        want_why=Why.DRAINING,
        want_going=("cpu-000", "cpu-001"),
        want_first=("cpu-002", "cpu-003"),
    ),
    "who does not answer needs no step": Way(
        pods=(*(replace(p, ready=False) for p in FOUR), FIFTH),
        wish=1,
        want_replicas=1,
        want_going=("cpu-000", "cpu-001", "cpu-002", "cpu-003"),
    ),
    # after a restart, and when Kubernetes is stuck
    "until those that were out are heard of, all stays as it was": Way(
        pods=(told(FIRST, 40), SECOND, THIRD),
        wish=1,
        awake_seconds=9.0,
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "not for ever": Way(
        pods=(told(FIRST, 40), SECOND), wish=1, awake_seconds=10.0, want_replicas=1, want_going=("cpu-000",)
    ),
    "a rollout that is stuck is not Kubernetes being late": Way(
        pods=(told(FIRST, 60), SECOND, THIRD),
        replicas=2,
        wish=1,
        rolling=True,
        want_replicas=1,
        want_going=("cpu-000",),
    ),
    "a gateway that has not seen the route may still send: the last replica stays": Way(
        pods=(told(FIRST, 60),),
        wish=0,
        routed=0,
        behind=True,
        want_replicas=1,
        want_why=Why.DRAINING,
        want_going=("cpu-000",),
    ),
    "all of them go together, when the last has done": Way(
        pods=(told(FIRST, 5), told(SECOND, 5), THIRD),
        wish=1,
        in_flight={"cpu-000": IDLE},
        want_replicas=3,
        want_why=Why.DRAINING,
        want_going=("cpu-000", "cpu-001"),
    ),
}


@builders.table(WAYS)
def test_how_far_a_wish_for_fewer_comes_true(case: Way) -> None:
    found = drain(case)
    assert sorted(uid.removeprefix("uid-") for uid in found.going) == sorted(case.want_going)
    assert sorted(uid.removeprefix("uid-") for uid in found.first - found.going) == sorted(case.want_first)
    assert (found.settled.replicas, found.settled.why) == (case.want_replicas, case.want_why)
    assert (found.settled.pending, found.settled.besides) == (WAIT, 1)


def drain(case: Way) -> Step:
    replicas = len(case.pods) if case.replicas is None else case.replicas
    given = builders.snapshot(
        builders.target("cpu"),
        pods=(*case.pods, builders.pod("gpu-a", mark=builders.mark(60))),
        replicas={"cpu": replicas, "gpu": 1} if replicas else {"gpu": 1},
        in_flight={f"uid-{name}": known for name, known in case.in_flight.items()},
        rolling=frozenset({"cpu"} if case.rolling else ()),
        probes={f"uid-{name}": 2 for name in case.silent},
        erring=frozenset({"cpu"} if case.erring else ()),
        awake_seconds=case.awake_seconds,
        route=None if case.routed is None else replace(route(case.routed), behind=case.behind),
    )
    wish = Settled(replicas=case.wish, why=Why.DEMAND, message="wished", pending=WAIT, besides=1)
    leaving = {f"uid-{name}": builders.departure(name) for name in case.departing}
    return drain_before_removal("cpu", wish, replace(take(given), departing=leaving))


def test_who_waits_says_for_what() -> None:
    messages = {
        story: drain(WAYS[story]).settled.message
        for story in (
            "the last replica stays while traffic is routed to it",
            "all of them go together, when the last has done",
            "and no longer",
        )
    }
    assert messages == {
        "the last replica stays while traffic is routed to it": (
            "its traffic is taken away first, its last replica after"
        ),
        "all of them go together, when the last has done": "wished; what they have is answered first: cpu-001",
        "and no longer": "wished",
    }

"""What a plan says that changes nothing, and what is remembered meanwhile."""

from dataclasses import dataclass, replace

import builders
from heteroserve.decide import decide
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Memory, Recovery, RouteState, Snapshot

BUSY = builders.snapshot(
    builders.target("cpu"),
    builders.target("gpu"),
    ready={"cpu": 5, "gpu": 1},
    demand=400,
    route=builders.route(cpu=33, gpu=67),
    memory=builders.memory(ready={"cpu": 5, "gpu": 1}),
)
DOUBT = "2 of 4 nodes turned bad within a minute: cpu-0, gpu-1"
SWITCH = "the ConfigMap ops/heteroserve-controls says paused"


def doubted(seen: Snapshot) -> Snapshot:
    return builders.vitals(seen, "cpu-0", "gpu-1", bad_seconds=3.0)


def paused(seen: Snapshot) -> Snapshot:
    return replace(seen, deployment=replace(seen.deployment, paused=True))


@dataclass(frozen=True, kw_only=True)
class Held:
    """A moment, and the rule and the message of every class."""

    given: Snapshot
    want: tuple[Why, str]
    want_doubt: str = ""


HELD = {
    "paused": Held(given=paused(BUSY), want=(Why.PAUSED, "spec.paused is true")),
    "the whole fleet is paused": Held(given=replace(BUSY, paused=SWITCH), want=(Why.PAUSED, SWITCH)),
    "paused twice": Held(given=paused(replace(BUSY, paused=SWITCH)), want=(Why.PAUSED, "spec.paused is true")),
    "in doubt": Held(given=doubted(BUSY), want=(Why.DOUBT, DOUBT), want_doubt=DOUBT),
    "paused and in doubt: the pause is told, and the doubt beside it": Held(
        given=doubted(paused(BUSY)), want=(Why.PAUSED, "spec.paused is true"), want_doubt=DOUBT
    ),
    "the whole fleet is paused, and in doubt": Held(
        given=doubted(replace(BUSY, paused=SWITCH)), want=(Why.PAUSED, SWITCH), want_doubt=DOUBT
    ),
}


@builders.table(HELD)
def test_why_nothing_is_changed(case: Held) -> None:
    plan = decide(case.given)
    assert (plan.held, plan.doubt) == (True, case.want_doubt)
    assert {(c.why, c.message) for c in plan.classes} == {case.want}
    assert {(c.limit, c.limit_message) for c in plan.classes} == {case.want}
    assert {c.name: (c.replicas, c.weight, c.render) for c in plan.classes} == {
        "cpu": (5, 33, False),
        "gpu": (1, 67, False),
    }


# --- What is remembered ----------------------------------------------------------------------------------------------

BACK = builders.recovery(30, setbacks=1)
WAITING = builders.pending(100, 3)
SET_BACK = Recovery(since=builders.NOW, setbacks=1, troubled=True)


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A moment, and how far the gpus are trusted after it."""

    given: Snapshot
    want: Recovery | None


def known(seen: Snapshot, recovery: Recovery | None) -> Snapshot:
    recoveries = {"gpu": recovery} if recovery else {}
    return replace(seen, memory=replace(seen.memory, recoveries=recoveries, pending={"cpu": WAITING}))


def dead(seen: Snapshot) -> Snapshot:
    """The only gpu is not ready any more."""
    gone = (replace(p, ready=p.class_name != "gpu", started=True) for p in seen.pods)
    return replace(seen, pods=tuple(gone))


MEMORIES = {
    "nothing happens while it is paused": Remembered(given=paused(known(BUSY, None)), want=None),
    "it is on its way back, and that goes on": Remembered(given=paused(known(BUSY, BACK)), want=BACK),
    "it fails while it is paused": Remembered(given=dead(paused(known(BUSY, None))), want=SET_BACK),
    "it comes back while it is paused": Remembered(
        given=paused(known(BUSY, replace(BACK, troubled=True))), want=replace(BACK, since=builders.NOW)
    ),
    "it seems to fail while the view is in doubt": Remembered(given=dead(doubted(known(BUSY, None))), want=None),
    "in doubt what was known stays as it is": Remembered(given=dead(doubted(known(BUSY, BACK))), want=BACK),
    "so it does when it is paused besides": Remembered(given=dead(doubted(paused(known(BUSY, BACK)))), want=BACK),
}


@builders.table(MEMORIES)
def test_a_pause_forgives_nothing_and_a_doubt_decides_nothing(case: Remembered) -> None:
    found = builders.by_name(decide(case.given).classes)
    assert found["gpu"].recovery == case.want
    assert (found["cpu"].pending, found["gpu"].pending) == (WAITING, None)


SHARES: dict[str, tuple[dict[str, int], dict[str, int], dict[str, int]]] = {
    "the routes make up for what the gateway takes off: the shares are those told before": (
        {"cpu": 30, "gpu": 70},
        {"cpu": 45, "gpu": 55},
        {"cpu": 30, "gpu": 70},
    ),
    "nothing was told yet": ({}, {"cpu": 45, "gpu": 55}, {"cpu": 45, "gpu": 55}),
    "somebody changed the routes meanwhile": ({"cpu": 30, "gpu": 70}, {"cpu": 100, "gpu": 0}, {"cpu": 100, "gpu": 0}),
}


@builders.table(SHARES)
def test_the_shares_that_are_told_while_nothing_changes(
    case: tuple[dict[str, int], dict[str, int], dict[str, int]],
) -> None:
    told, routed, want = case
    seen = builders.snapshot(
        builders.target("cpu"),
        builders.target("gpu"),
        ready={"cpu": 2, "gpu": 1},
        route=RouteState(weights=routed, accepted=True),
        memory=Memory(weights=told),
        paused="somebody says so",
    )
    assert {c.name: c.weight for c in decide(seen).classes} == want

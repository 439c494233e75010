from dataclasses import dataclass, field

import builders
from heteroserve.decide.sizing import Wanted
from heteroserve.decide.stabilise import Present, Settled, Window, stabilise
from heteroserve.model.plan import Demand, Why
from heteroserve.model.snapshot import PendingScaleDown

WINDOW = 300
SURE, UNSURE = builders.demand(0.0), builders.demand(0.0, may_shrink=False, reason="MetricsPartial")
BUSY = builders.demand(700.0)
CONCERN = "pod gpu-a: ProbeFailed"
Numbers = dict[str, tuple[int, Why]]
Waits = dict[str, PendingScaleDown]


@dataclass(frozen=True, kw_only=True)
class Follow:
    """What is wanted of each class, what is there (all of it ready unless told), and how far this cycle goes."""

    want_replicas: Numbers
    wanted: dict[str, int]
    replicas: dict[str, int | None]
    ready: dict[str, int] = field(default_factory=dict)
    high: int = 100
    demand: Demand = SURE
    pending: Waits = field(default_factory=dict)
    blind_until_now: bool = False
    want_pending: Waits = field(default_factory=dict)
    concern: str = ""
    carrying: dict[str, float] = field(default_factory=dict)
    """What of the ready is trusted and stays: all, unless told."""


STEPS = {
    "a class without a Deployment starts with all that is wanted": Follow(
        replicas={"cpu": None}, wanted={"cpu": 50}, want_replicas={"cpu": (50, Why.DEMAND)}
    ),
    "as many as wanted": Follow(replicas={"cpu": 3}, wanted={"cpu": 3}, want_replicas={"cpu": (3, Why.DEMAND)}),
    "growth is prompt": Follow(replicas={"cpu": 1}, wanted={"cpu": 5}, want_replicas={"cpu": (5, Why.DEMAND)}),
    "few replicas grow by four": Follow(replicas={"cpu": 1}, wanted={"cpu": 6}, want_replicas={"cpu": (5, Why.STEP)}),
    "many replicas double": Follow(replicas={"cpu": 8}, wanted={"cpu": 50}, want_replicas={"cpu": (16, Why.STEP)}),
    "growth ends the wait to shrink": Follow(
        replicas={"cpu": 3},
        wanted={"cpu": 4},
        pending={"cpu": builders.pending(200, 1)},
        want_replicas={"cpu": (4, Why.DEMAND)},
    ),
    "growth needs no sure demand": Follow(
        replicas={"cpu": 3}, wanted={"cpu": 4}, demand=UNSURE, want_replicas={"cpu": (4, Why.DEMAND)}
    ),
    "a smaller demand starts the window": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        want_replicas={"cpu": (4, Why.STABILISING)},
        want_pending={"cpu": builders.pending(0, 2)},
    ),
    "within the window the most that was wanted is remembered": Follow(
        replicas={"cpu": 6},
        wanted={"cpu": 4},
        pending={"cpu": builders.pending(299, 2)},
        want_replicas={"cpu": (6, Why.STABILISING)},
        want_pending={"cpu": builders.pending(299, 4)},
    ),
    "after the window it goes down, which is remembered until it is so": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 3},
        pending={"cpu": builders.pending(300, 3)},
        want_replicas={"cpu": (3, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 3)},
    ),
    "after the window it goes down to the most that was wanted meanwhile": Follow(
        replicas={"cpu": 8},
        wanted={"cpu": 3},
        pending={"cpu": builders.pending(300, 6)},
        want_replicas={"cpu": (6, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 6)},
    ),
    "at most half goes at a time, and the rest need not wait again": Follow(
        replicas={"cpu": 9},
        wanted={"cpu": 1},
        pending={"cpu": builders.pending(300, 1)},
        want_replicas={"cpu": (5, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 1)},
    ),
    "the last one may go, which is remembered until its traffic is gone": Follow(
        replicas={"cpu": 1, "gpu": 1},
        wanted={"cpu": 0, "gpu": 1},
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (0, Why.DEMAND), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "once it is gone nothing is remembered": Follow(
        replicas={"cpu": 0, "gpu": 1},
        wanted={"cpu": 0, "gpu": 1},
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (0, Why.DEMAND), "gpu": (1, Why.DEMAND)},
    ),
    "as many were wanted meanwhile: the window starts anew": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        pending={"cpu": builders.pending(400, 4)},
        want_replicas={"cpu": (4, Why.STABILISING)},
        want_pending={"cpu": builders.pending(0, 2)},
    ),
    "without a sure demand nothing goes, and the window is over": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        demand=UNSURE,
        pending={"cpu": builders.pending(400, 2)},
        want_replicas={"cpu": (4, Why.METRICS_HOLD)},
        want_pending={"cpu": builders.pending(400, 2)},
    ),
    "without a sure demand the most that was wanted is remembered": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 3},
        demand=UNSURE,
        pending={"cpu": builders.pending(100, 2)},
        want_replicas={"cpu": (4, Why.METRICS_HOLD)},
        want_pending={"cpu": builders.pending(100, 3)},
    ),
    "the window goes on after a moment without metrics": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        pending={"cpu": builders.pending(100, 2)},
        blind_until_now=True,
        want_replicas={"cpu": (4, Why.STABILISING)},
        want_pending={"cpu": builders.pending(100, 2)},
    ),
    "but it does not end before a while of fresh metrics": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        pending={"cpu": builders.pending(4000, 2)},
        blind_until_now=True,
        want_replicas={"cpu": (4, Why.STABILISING)},
        want_pending={"cpu": builders.pending(270, 2)},
    ),
    "a lowered maximum is obeyed at once, sure or not": Follow(
        replicas={"cpu": 9}, wanted={"cpu": 2}, high=5, demand=UNSURE, want_replicas={"cpu": (5, Why.METRICS_HOLD)}
    ),
    "a lowered maximum is obeyed even when what stays is too little": Follow(
        replicas={"cpu": 9},
        wanted={"cpu": 5},
        high=5,
        demand=builders.demand(900),
        want_replicas={"cpu": (5, Why.DEMAND)},
    ),
    "a lowered maximum is no leave to go lower": Follow(
        replicas={"cpu": 9},
        wanted={"cpu": 2},
        high=5,
        demand=builders.demand(900),
        pending={"cpu": builders.pending(300, 2)},
        want_replicas={"cpu": (5, Why.MAKE_BEFORE_BREAK)},
        want_pending={"cpu": builders.pending(300, 2)},
    ),
    "what stays must be ready": Follow(
        replicas={"cpu": 8, "gpu": 1},
        ready={"cpu": 8, "gpu": 0},
        wanted={"cpu": 0, "gpu": 1},
        demand=BUSY,
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (8, Why.MAKE_BEFORE_BREAK), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "once it is ready the old ones go": Follow(
        replicas={"cpu": 8, "gpu": 1},
        wanted={"cpu": 0, "gpu": 1},
        demand=BUSY,
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (4, Why.DEMAND), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "replicas that are not ready carry nothing and may go": Follow(
        replicas={"cpu": 8},
        ready={"cpu": 4},
        wanted={"cpu": 4},
        demand=builders.demand(400),
        pending={"cpu": builders.pending(300, 4)},
        want_replicas={"cpu": (4, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 4)},
    ),
    "the last ready replica does not go, whatever the demand": Follow(
        replicas={"cpu": 1, "gpu": 1},
        ready={"cpu": 1, "gpu": 0},
        wanted={"cpu": 0, "gpu": 1},
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (1, Why.MAKE_BEFORE_BREAK), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "the most expensive class shrinks first, the others wait": Follow(
        replicas={"cpu": 4, "gpu": 4},
        wanted={"cpu": 3, "gpu": 3},
        pending={"cpu": builders.pending(300, 3), "gpu": builders.pending(300, 3)},
        want_replicas={"cpu": (4, Why.MAKE_BEFORE_BREAK), "gpu": (3, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 3), "gpu": builders.pending(300, 3)},
    ),
    "who waits for others does not forget what was wanted meanwhile": Follow(
        replicas={"cpu": 8, "gpu": 4},
        wanted={"cpu": 6, "gpu": 3},
        pending={"cpu": builders.pending(300, 2), "gpu": builders.pending(300, 3)},
        want_replicas={"cpu": (8, Why.MAKE_BEFORE_BREAK), "gpu": (3, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 6), "gpu": builders.pending(300, 3)},
    ),
    "a maximum that takes replicas elsewhere is counted with": Follow(
        replicas={"cpu": 9, "gpu": 1},
        wanted={"cpu": 5, "gpu": 0},
        high=5,
        demand=BUSY,
        pending={"gpu": builders.pending(300, 0)},
        want_replicas={"cpu": (5, Why.DEMAND), "gpu": (1, Why.MAKE_BEFORE_BREAK)},
        want_pending={"gpu": builders.pending(300, 0)},
    ),
    "while not all can be trusted nothing goes, and the window is over": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 2},
        concern=CONCERN,
        pending={"cpu": builders.pending(400, 2)},
        want_replicas={"cpu": (4, Why.FAILOVER)},
        want_pending={"cpu": builders.pending(400, 2)},
    ),
    "while not all can be trusted the most that was wanted is remembered": Follow(
        replicas={"cpu": 4},
        wanted={"cpu": 3},
        concern=CONCERN,
        pending={"cpu": builders.pending(100, 2)},
        want_replicas={"cpu": (4, Why.FAILOVER)},
        want_pending={"cpu": builders.pending(100, 3)},
    ),
    "a failover is told before the metrics that it takes away": Follow(
        replicas={"cpu": 4}, wanted={"cpu": 2}, concern=CONCERN, demand=UNSURE, want_replicas={"cpu": (4, Why.FAILOVER)}
    ),
    "growth does not wait for trust": Follow(
        replicas={"cpu": 3}, wanted={"cpu": 4}, concern=CONCERN, want_replicas={"cpu": (4, Why.DEMAND)}
    ),
    "a lowered maximum is obeyed whoever is trusted": Follow(
        replicas={"cpu": 9}, wanted={"cpu": 2}, high=5, concern=CONCERN, want_replicas={"cpu": (5, Why.FAILOVER)}
    ),
    "a bound that is over goes back at once, by the ordinary rules below it": Follow(
        replicas={"cpu": 7}, wanted={"cpu": 5}, high=5, want_replicas={"cpu": (5, Why.DEMAND)}
    ),
    "what is trusted by half carries half": Follow(
        replicas={"cpu": 8, "gpu": 1},
        carrying={"gpu": 0.5},
        wanted={"cpu": 0, "gpu": 1},
        demand=builders.demand(950),
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (8, Why.MAKE_BEFORE_BREAK), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "what is to be replaced is not counted on": Follow(
        replicas={"cpu": 8, "gpu": 1},
        carrying={"gpu": 0},
        wanted={"cpu": 0, "gpu": 1},
        pending={"cpu": builders.pending(300, 0)},
        demand=builders.demand(500),
        want_replicas={"cpu": (8, Why.MAKE_BEFORE_BREAK), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
    "a trusted half is enough if it carries the demand": Follow(
        replicas={"cpu": 8, "gpu": 1},
        carrying={"gpu": 0.5},
        wanted={"cpu": 0, "gpu": 1},
        demand=builders.demand(500),
        pending={"cpu": builders.pending(300, 0)},
        want_replicas={"cpu": (4, Why.DEMAND), "gpu": (1, Why.DEMAND)},
        want_pending={"cpu": builders.pending(300, 0)},
    ),
}


@builders.table(STEPS)
def test_how_far_a_cycle_goes(case: Follow) -> None:
    settled = follow(case)
    assert {name: (s.replicas, s.why) for name, s in settled.items()} == case.want_replicas
    assert {name: s.pending for name, s in settled.items() if s.pending} == case.want_pending


def follow(case: Follow) -> dict[str, Settled]:
    wanted = {n: Wanted(name=n, replicas=r, why=Why.DEMAND, message="wanted") for n, r in case.wanted.items()}
    ready = {name: case.ready.get(name, count or 0) for name, count in case.replicas.items()}
    present = tuple(
        Present(
            supply=builders.supply(name, high=case.high, ready=ready[name]),
            replicas=count,
            carrying=case.carrying.get(name, ready[name]),
            pending=case.pending.get(name),
        )
        for name, count in case.replicas.items()
    )
    window = Window(now=builders.NOW, seconds=WINDOW, blind_until_now=case.blind_until_now)
    return stabilise(wanted, present, case.demand, window, concern=case.concern)


def test_every_wait_says_what_it_waits_for() -> None:
    messages = {
        story: follow(STEPS[story])["cpu"].message
        for story in (
            "few replicas grow by four",
            "a smaller demand starts the window",
            "without a sure demand nothing goes, and the window is over",
            "what stays must be ready",
            "while not all can be trusted nothing goes, and the window is over",
        )
    }
    assert messages == {
        "few replicas grow by four": "on the way to 6: wanted",
        "a smaller demand starts the window": "down to 2 when the demand stays low for 300 s",
        "without a sure demand nothing goes, and the window is over": f"kept at 4: {UNSURE.message}",
        "what stays must be ready": "down to 4 as soon as what stays is ready and no other class is shrinking",
        "while not all can be trusted nothing goes, and the window is over": (
            f"kept at 4: not all can be trusted: {CONCERN}"
        ),
    }

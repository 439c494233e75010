"""P10: a crash after any write, and a restart from nothing but what was written, end in the same state.

And what must be true at every moment on the way there, whatever the demand does and whichever nodes fail.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

import builders
import fakes
import strategies
from heteroserve.model.deployment import ClassTarget, Scaling
from heteroserve.model.plan import Plan

STEP_SECONDS = 10
CLASSES = ("cpu", "gpu", "fpga")
HALF = settings().max_examples // 2  # a life is many cycles
QUIET_STEPS = 6
"""Longer than any window or start here: who has written nothing for so long is at rest."""


def cluster(
    demand: Callable[[datetime], float | None], *targets: ClassTarget, window: int = 20, startup: int = 2
) -> fakes.FakeCluster:
    """The cast on healthy nodes, with nothing deployed yet."""
    scaling = Scaling(target_utilisation=1.0, scale_down_window_seconds=window)
    wish = builders.deployment(*targets, scaling=scaling)
    names = [c.name for c in wish.classes]
    return fakes.FakeCluster(
        deployment=wish,
        hardware={name: builders.hardware(name) for name in names},
        nodes=builders.by_name(builders.nodes(*names)),
        demand=demand,
        startup_steps=startup,
        step_seconds=STEP_SECONDS,
    )


def levels(*rates: float, steps: int) -> Callable[[datetime], float]:
    """A demand that stays on each level for so many steps, and on the last one for ever."""
    return lambda now: rates[min(len(rates) - 1, int((now - builders.NOW) / timedelta(seconds=STEP_SECONDS * steps)))]


def to_rest(world: fakes.FakeCluster) -> fakes.FakeCluster:
    """Runs on until nothing is written any more."""
    for _ in range(20):
        done = len(world.writes)
        fakes.run(world, QUIET_STEPS)
        if len(world.writes) == done:
            return world
    raise AssertionError(f"no rest: {world.writes[-10:]}")


def life(crash_at: int | None = None) -> fakes.FakeCluster:
    """A first apply, growth over two classes, a failed node, a class taken out of the spec, and a scale-down."""
    targets = (builders.target("cpu", low=1), builders.target("gpu", high=3), builders.target("fpga", high=2))
    world = cluster(levels(100, 3900, 3900, 250, steps=7), *targets)
    world.crash_at = crash_at
    fakes.run(world, 11)
    world.fail("gpu-0")
    fakes.run(world, 4)
    world.recover("gpu-0")
    world.deployment = replace(world.deployment, classes=targets[:2], generation=2)
    return to_rest(world)


def test_p10_a_crash_after_any_write_ends_in_the_state_of_an_undisturbed_life() -> None:
    undisturbed = life()
    assert len(undisturbed.writes) > 40
    want = undisturbed.settled()
    assert want["ready"] == {"cpu": 1, "gpu": 1}
    differing = {at: what for at, what in enumerate(undisturbed.writes, 1) if life(at).settled() != want}
    assert differing == {}


def test_p10_a_class_that_is_not_needed_any_more_leaves_and_stays_away() -> None:
    world = cluster(levels(1400, 500, steps=8), window=60)
    fakes.run(world, 8)
    assert world.replicas() == {"cpu": 0, "gpu": 2, "fpga": 0}
    world.fail("gpu-0", "gpu-1")
    fakes.run(world, 6)
    assert world.replicas()["fpga"] > 0
    world.recover("gpu-0", "gpu-1")
    assert to_rest(world).replicas() == {"cpu": 0, "gpu": 1, "fpga": 0}
    assert world.memory().pending == {}


@settings(max_examples=HALF)
@given(
    rates=st.lists(st.sampled_from((0.0, 50.0, 700.0, 2600.0, 9000.0)), min_size=1, max_size=3),
    crash_at=st.integers(1, 60),
    window=st.sampled_from((0, 20)),
    startup=st.integers(1, 3),
)
def test_p10_whatever_the_demand_does_a_crash_changes_nothing_in_the_end(
    rates: list[float], crash_at: int, window: int, startup: int
) -> None:
    settled = []
    for crash in (None, crash_at):
        world = cluster(levels(*rates, steps=6), window=window, startup=startup)
        world.crash_at = crash
        fakes.run(world, 6 * len(rates))
        settled.append(to_rest(world).settled())
    assert settled[0] == settled[1]


@settings(max_examples=HALF)
@given(
    rates=st.lists(strategies.rates | st.none(), min_size=5, max_size=12),
    failures=st.lists(
        st.sampled_from(("cpu-0", "gpu-0", "gpu-1", "fpga-0", None, None, None)), min_size=5, max_size=12
    ),
    crashes=st.sets(st.integers(1, 80), max_size=3),
)
def test_promises_hold_at_every_moment_of_any_life(
    rates: list[float | None], failures: list[str | None], crashes: set[int]
) -> None:
    world = cluster(lambda now: rates[int((now - builders.NOW).total_seconds() / 30) % len(rates)], window=20)
    world.crash_at = min(crashes, default=None)
    for failing in failures:
        if failing:
            world.fail(failing)
        fakes.run(world, 3, watch=promises)
        if failing:
            world.recover(failing)
        world.crash_at = min((c for c in crashes if c > len(world.writes)), default=None)


@st.composite
def worlds(draw: st.DrawFn) -> fakes.FakeCluster:
    """A world of any bounds, profiles, budget and window, in which the demand changes once and some nodes are gone."""
    quick, slow = builders.point(100.0), builders.point(300.0, p99=90.0)
    targets = [
        builders.target(
            name,
            low=draw(st.sampled_from((0, 0, 1, 2))),
            high=draw(st.integers(2, 9)),
            points=draw(st.sampled_from(((quick,), (builders.point(500.0),), (slow,), (quick, slow)))),
        )
        for name in CLASSES[: draw(st.integers(1, 3))]
    ]
    rates = draw(st.lists(st.sampled_from((0.0, 99.0, 450.0, 3000.0)), min_size=2, max_size=2))
    world = cluster(levels(*rates, steps=5), *targets, startup=draw(st.integers(1, 3)))
    scaling = Scaling(
        target_utilisation=draw(st.sampled_from((1.0, 0.75))),
        scale_down_window_seconds=draw(st.sampled_from((0, 20))),
        budget_per_hour=draw(st.sampled_from((None, Decimal("0.5"), Decimal(2)))),
    )
    world.deployment = replace(world.deployment, scaling=scaling)
    world.fail(*draw(st.sets(st.sampled_from(sorted(world.nodes)), max_size=3)))
    return world


@settings(max_examples=HALF)
@given(worlds())
def test_whatever_is_asked_for_every_life_comes_to_rest_and_keeps_its_promises(world: fakes.FakeCluster) -> None:
    fakes.run(world, 10, watch=promises)
    plan = fakes.reconcile(to_rest(world))
    assert plan.decisions == ()
    assert all(c.ready == c.replicas or c.limit for c in plan.classes)


def promises(world: fakes.FakeCluster, plan: Plan) -> None:
    """What must hold right after a cycle, whatever came before."""
    route = world.route()
    assert route is not None
    ready = {c.name: c.ready for c in plan.classes}
    assert sum(route.weights.values()) in {0, 100}
    assert route.weights == {c.name: c.weight for c in plan.classes}
    if any(ready.values()):
        assert {name for name, weight in route.weights.items() if weight and not ready[name]} == set()
        assert sum(route.weights.values()) == 100
    for name, replicas in world.replicas().items():
        assert replicas > 0 or route.weights[name] == 0
    assert sum(world.replicas().values()) > 0 or world.deployment.scaling.budget_per_hour is not None

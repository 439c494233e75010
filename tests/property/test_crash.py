"""P10: a crash after any write, and a restart from nothing but what was written, end in the same state.

And what must be true at every moment on the way there, whatever the demand does and whichever nodes fail.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

import builders
import fakes
import strategies
from heteroserve.model.deployment import ClassTarget, Scaling
from heteroserve.model.plan import Plan

STEP_SECONDS = 10
CLASSES = ("cpu", "gpu", "fpga")
QUIET_STEPS = 25
"""Enough, once nothing changes any more, to grow, to wait for every window, and to shrink one class after the other."""


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
    return fakes.run(world, QUIET_STEPS)


def test_p10_a_crash_after_any_write_ends_in_the_state_of_an_undisturbed_life() -> None:
    undisturbed = life()
    assert len(undisturbed.writes) > 40
    want = undisturbed.settled()
    assert want["ready"] == {"cpu": 1, "gpu": 1}
    differing = {at: what for at, what in enumerate(undisturbed.writes, 1) if life(at).settled() != want}
    assert differing == {}


def test_p10_at_the_end_of_a_life_nothing_is_written_any_more() -> None:
    world = life()
    done = len(world.writes)
    fakes.run(world, 5)
    assert world.writes[done:] == []


@settings(max_examples=25)
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
        settled.append(fakes.run(world, 6 * len(rates) + QUIET_STEPS).settled())
    assert settled[0] == settled[1]


@settings(max_examples=25)
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
    assert sum(world.replicas().values()) > 0

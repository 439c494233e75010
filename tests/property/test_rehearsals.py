"""Whole stories of pods that move, fail and come back: they end where they should, and nothing swings on the way.

Every story is played on the cluster of tests/rehearsal.py, which goes through rendering, writing and reading back.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import builders
from heteroserve.decide.trust import trusted_in_seconds
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Mark, Pod
from rehearsal import STEP_SECONDS, Scene, Stage, play, stage, to_rest

FEW = settings().max_examples // 4  # a story is hundreds of cycles
LATER = 10
"""Steps in which nothing may change once a story has ended."""

TEN_MINUTES = 600 // STEP_SECONDS


# --- What is looked at -----------------------------------------------------------------------------------------------


def living(world: Stage, class_name: str) -> list[Pod]:
    return [p for p in world.pods.values() if p.class_name == class_name and not p.terminating]


def turns(values: Sequence[int]) -> list[int]:
    """At which steps a number began to go another way than before."""
    found, direction = [], 0
    for step, (before, after) in enumerate(pairwise(values)):
        now = (after > before) - (after < before)
        if now and now != direction:
            found.append(step)
        direction = now or direction
    return found


def most_turns(values: Sequence[int], within: int) -> int:
    """The most turns within so many steps."""
    found = turns(values)
    return max((sum(first <= step < first + within for step in found) for first in found), default=0)


def of(scenes: list[Scene], class_name: str) -> list[int]:
    """The replicas of a class over a story."""
    return [s.replicas()[class_name] for s in scenes]


# --- Where every story ends ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Story:
    """A stage, what happens there, and what there is in the end: ready replicas by class, none of them told to go.

    `planned`: somebody did it on purpose, so what answers carries the demand at every moment.
    """

    happens: Callable[[Stage], None]
    want: dict[str, int]
    demand: float = 2000.0
    low: int = 0
    high: int = 10
    minima: tuple[str, ...] = ()
    """The classes that `low` holds for."""
    startup: int = 2
    devices: int | None = None
    """Those that there are of every kind: all on the first node. Four on each unless told."""
    triton_tells: bool = True
    planned: bool = True
    want_most: dict[str, int] | None = None
    """The most replicas that were asked for; no more than in the end, or as many besides as leave."""


def first(world: Stage, class_name: str) -> Pod:
    return min(living(world, class_name), key=lambda p: p.name)


def in_turn(*deeds: Callable[[Stage], object], steps: int) -> Callable[[Stage], None]:
    """One after the other, with so many cycles between them."""

    def happens(world: Stage) -> None:
        for number, deed in enumerate(deeds):
            if number:
                play(world, steps)
            deed(world)

    return happens


def drain(class_name: str) -> Callable[[Stage], None]:
    def happens(world: Stage) -> None:
        for pod in living(world, class_name):
            world.delete_pod(pod.name)

    return happens


def demands(rps: float) -> Callable[[Stage], None]:
    def happens(world: Stage) -> None:
        world.demand = lambda _: rps

    return happens


STORIES = {
    "a node is cordoned": Story(happens=lambda w: w.cordon("gpu-0"), want={"gpu": 2}, want_most={"gpu": 4}),
    "a node is cordoned, and Triton tells nothing": Story(
        happens=lambda w: w.cordon("gpu-0"), triton_tells=False, want={"gpu": 2}, want_most={"gpu": 4}
    ),
    "a node is cordoned, and new pods take long to start": Story(
        happens=lambda w: w.cordon("gpu-0"), startup=9, want={"gpu": 2}, want_most={"gpu": 4}
    ),
    "a node is cordoned where no other has room: the other class takes over": Story(
        happens=lambda w: w.cordon("gpu-0"),
        demand=8000.0,
        high=50,
        want={"cpu": 40, "gpu": 4},
        want_most={"cpu": 40, "gpu": 8},
    ),
    "nobody can take over: what is there stays": Story(
        happens=lambda w: w.cordon("gpu-0"), demand=8000.0, high=8, want={"cpu": 8, "gpu": 8}, want_most={"gpu": 8}
    ),
    "a node is cordoned and let go again": Story(
        happens=in_turn(lambda w: w.cordon("gpu-0"), lambda w: w.uncordon("gpu-0"), steps=2), want={"gpu": 2}
    ),
    "a node is cordoned, and drained before anybody serves in place of what is there": Story(
        happens=in_turn(lambda w: w.cordon("gpu-0"), drain("gpu"), steps=1),
        planned=False,
        want={"gpu": 2},
    ),
    "one node after the other is cordoned": Story(
        happens=in_turn(lambda w: w.cordon("gpu-0"), lambda w: w.cordon("gpu-1"), steps=12),
        high=30,
        want={"cpu": 20},
    ),
    "a node is evacuated": Story(happens=lambda w: w.evacuate_node("gpu-0"), want={"gpu": 2}, want_most={"gpu": 4}),
    "a class is evacuated": Story(
        happens=lambda w: w.evacuate_class("gpu"), high=30, want={"cpu": 20}, want_most={"cpu": 20, "gpu": 2}
    ),
    "a class that has a minimum is evacuated": Story(
        happens=lambda w: w.evacuate_class("gpu"), low=1, minima=("gpu",), high=30, want={"cpu": 20}
    ),
    "a class without devices that has a minimum is evacuated": Story(
        happens=lambda w: w.evacuate_class("cpu"), low=2, minima=("cpu",), want={"gpu": 2}
    ),
    "a class is evacuated and wanted back": Story(
        happens=in_turn(lambda w: w.evacuate_class("gpu"), lambda w: w.evacuate_class("gpu", wanted=False), steps=40),
        high=30,
        want={"gpu": 2},
    ),
    "the only class is evacuated: nothing is won by leaving it": Story(
        happens=in_turn(lambda w: w.evacuate_class("cpu"), lambda w: w.evacuate_class("gpu"), steps=1),
        want={"gpu": 2},
        want_most={"gpu": 2},
    ),
    "a device breaks": Story(
        happens=lambda w: w.break_device(first(w, "gpu").name), planned=False, want={"gpu": 2}, want_most={"gpu": 3}
    ),
    "the only device of a class breaks, and another class takes over": Story(
        happens=lambda w: w.break_device(first(w, "gpu").name),
        planned=False,
        demand=900.0,
        devices=1,
        want={"cpu": 9},
    ),
    "the only device of a class breaks, and nobody can take over": Story(
        happens=lambda w: w.break_device(first(w, "gpu").name),
        planned=False,
        demand=900.0,
        high=3,
        devices=1,
        want={"cpu": 3},
    ),
    "a node dies with all that a class has": Story(
        happens=lambda w: w.die("gpu-0"), planned=False, want={"gpu": 2}, want_most={"gpu": 6}
    ),
    "a node dies on which some of a class stands": Story(
        happens=lambda w: w.die("gpu-0"), planned=False, demand=5000.0, high=8, want={"gpu": 4, "cpu": 8}
    ),
    "the demand goes down": Story(happens=demands(900.0), demand=4000.0, want={"gpu": 1}, want_most={"gpu": 4}),
    "the demand goes down and up again while they go": Story(
        happens=in_turn(demands(900.0), demands(4000.0), steps=6), demand=4000.0, want={"gpu": 4}, planned=False
    ),
    "the demand goes down while a node is left": Story(
        happens=in_turn(lambda w: w.cordon("gpu-0"), demands(900.0), steps=2), demand=4000.0, want={"gpu": 1}
    ),
    "the demand goes up while a node is left": Story(
        happens=in_turn(lambda w: w.cordon("gpu-0"), demands(4000.0), steps=2), want={"gpu": 4}, planned=False
    ),
    "a node is cordoned while nothing can be measured": Story(
        happens=in_turn(
            lambda w: setattr(w, "demand", lambda _: None), lambda w: w.cordon("gpu-0"), demands(2000.0), steps=20
        ),
        want={"gpu": 2},
        want_most={"gpu": 4},
    ),
}


def enact(story: Story) -> tuple[Stage, list[Scene]]:
    """Plays a story to its end."""
    targets = (
        builders.target(name, low=story.low if name in story.minima else 0, high=story.high) for name in ("cpu", "gpu")
    )
    world = stage(story.demand, *targets, startup=story.startup, devices=story.devices)
    world.triton_tells = story.triton_tells
    world.haste = 2
    before = len(world.scenes)
    story.happens(world)
    to_rest(world)
    return world, world.scenes[before:]


@builders.table(STORIES)
def test_every_story_ends_where_it_should_and_stays_there(case: Story) -> None:
    world, scenes = enact(case)
    ready = {name: len(world.serving(name)) for name in world.hardware}
    assert {name: count for name, count in ready.items() if count} == case.want
    leaving = {d.pod for c in scenes[-1].plan.classes for d in c.departures}
    assert {p.name for p in world.pods.values() if p.mark != Mark() and not p.terminating} <= leaving
    later = play(world, LATER)
    assert not any(s.writes for s in later)
    for class_name, most in (case.want_most or {}).items():
        assert max(of(scenes, class_name)) == most
    for class_name in world.hardware:
        assert len(turns(of(scenes, class_name))) <= 3
    if case.planned:
        demand = world.demand(world.now) or 0.0
        assert min(s.serving_rps for s in scenes) >= min(demand, case.demand)


def test_a_move_goes_on_where_it_was_after_any_write_was_the_last() -> None:
    def life(crash_at: int | None) -> dict[str, object]:
        world = stage(2000, builders.target("cpu"), builders.target("gpu"))
        world.crash_at = crash_at and len(world.writes) + crash_at
        world.cordon("gpu-0")
        to_rest(world)
        told = [p.mark for p in world.pods.values()]
        return {"replicas": world.replicas(), "route": world.route(), "told": told, "conditions": conditions(world)}

    def conditions(world: Stage) -> dict[str, str]:
        return {c["type"]: c["status"] for c in world.status["conditions"]}

    undisturbed = life(None)
    assert {at for at in range(1, 12) if life(at) != undisturbed} == set()


# --- Whatever happens ------------------------------------------------------------------------------------------------


def a_pod(world: Stage, which: int) -> Pod | None:
    pods = sorted(world.pods)
    return world.pods[pods[which % len(pods)]] if pods else None


def a_node(world: Stage, which: int) -> str:
    return sorted(world.nodes)[which % len(world.nodes)]


def a_class(world: Stage, which: int) -> str:
    return sorted(world.hardware)[which % len(world.hardware)]


def turn_triton(world: Stage, _: int) -> None:
    world.triton_tells = not world.triton_tells


def die(world: Stage, which: int) -> None:
    if not world.died:
        world.die(a_node(world, which))


def break_one(world: Stage, which: int) -> None:
    pod = a_pod(world, which)
    if pod and pod.ready and pod.devices and not pod.device_unhealthy:
        world.break_device(pod.name)


def silence(world: Stage, which: int) -> None:
    world.silent |= {pod.name for pod in [a_pod(world, which)] if pod}


def stick(world: Stage, which: int) -> None:
    world.stuck |= {pod.name for pod in [a_pod(world, which)] if pod}


def heal(world: Stage, _: int = 0) -> None:
    world.silent.clear()
    world.stuck.clear()


def delete(world: Stage, which: int) -> None:
    pod = a_pod(world, which)
    if pod and not pod.terminating:
        world.delete_pod(pod.name)


def blind(world: Stage, _: int) -> None:
    world.demand = lambda _: None


def crash(world: Stage, which: int) -> None:
    world.crash_at = len(world.writes) + 1 + which % 4


def ask(world: Stage, which: int) -> None:
    world.demand = lambda _: which * 40.0


Deed = Callable[[Stage, int], None]
PLANNED: dict[str, Deed] = {
    "cordon": lambda world, which: world.cordon(a_node(world, which)),
    "uncordon": lambda world, which: world.uncordon(a_node(world, which)),
    "evacuate a node": lambda world, which: world.evacuate_node(a_node(world, which)),
    "want a node back": lambda world, which: world.evacuate_node(a_node(world, which), wanted=False),
    "evacuate a class": lambda world, which: world.evacuate_class(a_class(world, which)),
    "want a class back": lambda world, which: world.evacuate_class(a_class(world, which), wanted=False),
    "Triton falls silent or tells again": turn_triton,
}
UNPLANNED: dict[str, Deed] = {
    **PLANNED,
    "a node dies": die,
    "a device breaks": break_one,
    "a pod falls silent": silence,
    "a pod does not get ready": stick,
    "all pods are well": heal,
    "a pod is deleted": delete,
    "nothing can be measured": blind,
    "the operator dies after one of its writes": crash,
    "the demand is another": ask,
}
moments = st.tuples(st.integers(1, 8), st.integers(0, 99))
hastes = st.sampled_from((1, 2, 2))
Course = list[tuple[str, tuple[int, int]]]
"""Who does what, for how many cycles it stands before the next, and to which."""


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """A deployment on all three classes, at rest."""
    return stage(
        draw(st.sampled_from((50, 300, 1500, 3500))),
        builders.target("cpu", low=draw(st.sampled_from((0, 2))), high=draw(st.sampled_from((3, 20, 50)))),
        builders.target("gpu", low=draw(st.sampled_from((0, 1))), high=draw(st.sampled_from((2, 4, 8)))),
        builders.target("fpga", high=draw(st.sampled_from((1, 8)))),
        startup=draw(st.sampled_from((1, 2, 5))),
        startups=draw(st.sampled_from(({}, {"gpu": 9}, {"gpu": 9, "cpu": 1}))),
        window=draw(st.sampled_from((0, 20))),
    )


@settings(max_examples=FEW)
@given(stages(), st.lists(st.tuples(st.sampled_from(sorted(PLANNED)), moments), min_size=1, max_size=8), hastes)
def test_whoever_is_moved_on_purpose_the_demand_is_carried_and_there_is_rest(
    world: Stage, course: Course, haste: int
) -> None:
    world.haste = haste
    needed = min(world.serving_rps(), world.demand(world.now) or 0.0)
    before = len(world.scenes)
    for deed, (steps, which) in course:
        PLANNED[deed](world, which)
        play(world, steps)
    to_rest(world)
    assert min(s.serving_rps for s in world.scenes[before:]) >= needed
    clean(world)


@settings(max_examples=FEW)
@given(stages(), st.lists(st.tuples(st.sampled_from(sorted(UNPLANNED)), moments), min_size=1, max_size=12), hastes)
def test_whatever_happens_there_is_rest_and_nobody_is_left_with_an_order(
    world: Stage, course: Course, haste: int
) -> None:
    world.haste = haste
    for deed, (steps, which) in course:
        UNPLANNED[deed](world, which)
        play(world, steps)
    heal(world)
    if world.demand(world.now) is None:
        ask(world, 15)
    to_rest(world)
    clean(world)


def clean(world: Stage) -> None:
    """Only who is to be replaced is told so, and only while he cannot be; who failed, until he has earned trust."""
    recoveries = [c.recovery for c in world.scenes[-1].plan.classes if c.recovery]
    earned_seconds = max((trusted_in_seconds(r, world.now) for r in recoveries), default=0.0)
    if earned_seconds:
        play(world, math.ceil(earned_seconds / STEP_SECONDS))
        to_rest(world)
    leaving = {d.pod for c in world.scenes[-1].plan.classes for d in c.departures}
    told = {p.name for p in world.pods.values() if p.mark != Mark() and not p.terminating}
    assert told <= leaving


# --- Who comes and goes ----------------------------------------------------------------------------------------------


@settings(max_examples=FEW // 2)
@given(
    replicas=st.integers(1, 3),
    period=st.integers(2, 12),
    part=st.floats(0.1, 0.9),
    silent=st.booleans(),
)
def test_a_class_that_flaps_turns_its_weight_twice_in_ten_minutes_at_most(
    replicas: int, period: int, part: float, *, silent: bool
) -> None:
    """Another class carries the demand. One of its pods is well and ill in turns, every 10 to 60 s."""
    world = stage(300, builders.target("cpu", low=4), builders.target("gpu", low=replicas, high=replicas + 2))
    name = first(world, "gpu").name
    well = min(period - 1, max(1, round(period * part)))

    def flap(world: Stage, step: int) -> None:
        ill = world.silent if silent else world.stuck
        (ill.add if step % period >= well else ill.discard)(name)

    scenes = play(world, 2 * TEN_MINUTES, flap)
    weights = [s.weights()["gpu"] for s in scenes]
    assert most_turns(weights, TEN_MINUTES) <= 2
    assert max(of(scenes, "gpu")) <= replicas + 1
    assert len(turns(of(scenes, "gpu"))) <= 2


def test_a_class_that_comes_back_is_trusted_in_steps_after_two_minutes() -> None:
    world = stage(300, builders.target("cpu", low=4), builders.target("gpu", low=1))
    name = first(world, "gpu").name
    world.stuck.add(name)
    play(world, 4)
    world.stuck.clear()
    scenes = play(world, 200 // STEP_SECONDS)
    weights = [s.weights()["gpu"] for s in scenes]
    assert [weight for weight, after in pairwise(weights) if weight != after] == [0, 21, 39, 55]
    assert weights[-1] == 71
    assert 120 <= weights.index(21) * STEP_SECONDS <= 130
    slowly = [s for s in scenes if s.weights()["gpu"] == 0]
    assert {s.writes for s in slowly[3:]} == {()}


def test_a_class_that_comes_back_is_trusted_at_once_where_it_is_needed() -> None:
    world = stage(900, builders.target("cpu", low=4, high=4), builders.target("gpu", low=1, high=1))
    world.stuck.add(first(world, "gpu").name)
    play(world, 4)
    world.stuck.clear()
    weights = [s.weights()["gpu"] for s in play(world, 4)]
    assert weights == [0, 71, 71, 71]


def test_a_slow_start_is_bridged_and_the_load_handed_back() -> None:
    """The gpu's first pods take 45 s; the cpus carry the demand meanwhile, and leave again."""
    world = stage(300, builders.target("cpu", high=20), builders.target("gpu"), startup=9)
    world.demand = lambda _: 1900.0
    scenes = to_rest(world)
    reasons = {c.why for s in scenes for c in s.plan.classes}
    assert max(of(scenes, "cpu")) >= 9
    assert scenes[-1].replicas() == {"cpu": 0, "gpu": 2}
    assert Why.BRIDGING in reasons
    assert len(turns(of(scenes, "cpu"))) == 2


def test_a_class_that_is_known_to_start_slowly_is_bridged_at_once() -> None:
    """A minute for a gpu, ten seconds for a cpu."""
    targets = builders.target("cpu", high=20), builders.target("gpu")
    world = stage(900, *targets, startups={"cpu": 2, "gpu": 12})
    assert len(world.serving("gpu")) == 1
    world.demand = lambda _: 1800.0
    scenes = to_rest(world)
    assert scenes[0].replicas() == {"cpu": 4, "gpu": 2}
    enough = next(number for number, s in enumerate(scenes) if s.serving_rps >= 1800)
    assert enough * STEP_SECONDS <= 30
    assert scenes[-1].replicas() == {"cpu": 0, "gpu": 2}
    assert len(turns(of(scenes, "cpu"))) == 2
    assert set(of(scenes, "gpu")) == {2}
    assert min(s.serving_rps for s in scenes[enough:]) >= 1800


def test_a_drill_takes_the_traffic_and_replaces_nobody() -> None:
    world = stage(400, builders.target("cpu", low=4), builders.target("gpu", low=1))
    names = set(world.pods)
    world.drill_class("gpu", seconds=60)
    during = play(world, 12)
    assert [s.weights() for s in during[1:]] == [{"cpu": 100, "gpu": 0}] * 11
    after = to_rest(world)
    assert after[-1].weights() == {"cpu": 29, "gpu": 71}
    assert set(world.pods) == names
    assert {tuple(s.replicas().items()) for s in (*during, *after)} == {(("cpu", 4), ("gpu", 1))}

"""What a drill is said to do beforehand: the operator's own decisions, compared."""

from dataclasses import dataclass, replace
from datetime import timedelta

import builders
from heteroserve.cli.forecast import ClassForecast, DeploymentForecast, Forecast, Target, What, foresee
from heteroserve.cli.report import tell_forecast
from heteroserve.model.deployment import Scaling
from heteroserve.model.snapshot import Mark, RouteState, Snapshot

GPU = Target(what=What.CLASS, name="gpu")
LENGTH = timedelta(minutes=5)


def moment(demand: float | None = 150.0, *, ready: dict[str, int] | None = None, **fields: object) -> Snapshot:
    """`cpu` (100 requests/s each) and `gpu` (1000 each), two of each, as the status remembers them."""
    serving = {"cpu": 2, "gpu": 2} if ready is None else ready
    memory = builders.memory(ready=serving, demand_rps=demand)
    return builders.snapshot(
        *(builders.target(name) for name in ("cpu", "gpu")), ready=serving, demand=None, memory=memory, **fields
    )


def forecast(snapshot: Snapshot, target: Target = GPU) -> Forecast:
    return foresee((snapshot,), target, builders.NOW + LENGTH)


def only(snapshot: Snapshot, target: Target = GPU) -> DeploymentForecast:
    (found,) = forecast(snapshot, target).deployments
    return found


def classes(found: DeploymentForecast) -> dict[str, ClassForecast]:
    return {c.name: c for c in found.classes}


def test_a_class_goes_and_the_others_take_its_share() -> None:
    found = only(moment())
    gpu, cpu = classes(found)["gpu"], classes(found)["cpu"]
    assert (gpu.drilled, gpu.before.ready, gpu.after.ready, gpu.after.weight) == (2, 2, 0, 0)
    assert (cpu.drilled, cpu.before.weight, cpu.after.weight) == (0, 10, 100)
    assert (found.before_rps, found.after_rps, found.breaks) == (2200.0, 200.0, "")


def test_a_node_takes_only_its_own_pods_out() -> None:
    found = classes(only(moment(), Target(what=What.NODE, name="gpu-0")))
    assert (found["gpu"].drilled, found["gpu"].after.ready, found["cpu"].after.ready) == (1, 1, 2)
    assert found["gpu"].before.replicas == found["gpu"].after.replicas, "nobody is replaced for a drill"


def test_a_node_without_our_pods_is_nobodys_loss() -> None:
    found = forecast(moment(ready={"cpu": 2}))
    assert (found.deployments, found.others, found.moving) == ((), 1, ())


def by_hand(demand: float | None, **weights: int) -> Snapshot:
    """The same with a split by hand, which the routes have already."""
    wish = builders.deployment(*(builders.target(name) for name in ("cpu", "gpu")), manual_weights=weights)
    return replace(moment(demand), deployment=wish, route=RouteState(weights=weights))


@dataclass(frozen=True, kw_only=True)
class Breaking:
    snapshot: Snapshot
    want: str
    target: Target = GPU


CPU_0 = Target(what=What.NODE, name="cpu-0")


BREAKS = {
    "what stays carries it": Breaking(snapshot=moment(200.0), want=""),
    "what stays does not carry it": Breaking(
        snapshot=moment(201.0), want="201 requests/s are more than the 200 that can be kept at p99 within 50 ms"
    ),
    "what stays carries it without any reserve": Breaking(
        snapshot=replace(
            moment(150.0),
            deployment=builders.deployment(
                *(builders.target(name) for name in ("cpu", "gpu")), scaling=Scaling(target_utilisation=0.5)
            ),
        ),
        want="",
    ),
    "nobody knows the demand": Breaking(
        snapshot=moment(None), want="no demand is known: nobody can say whether 200 requests/s are enough"
    ),
    "a split by hand that goes on": Breaking(
        snapshot=by_hand(1.0, cpu=40, gpu=60),
        want="spec.traffic.weights is set by hand and goes on sending 60 % to gpu, where nothing would answer",
    ),
    "a split by hand that what is left of a class carries": Breaking(
        snapshot=by_hand(100.0, cpu=90, gpu=10), target=CPU_0, want=""
    ),
    "a split by hand with too much for what is left of a class": Breaking(
        snapshot=by_hand(150.0, cpu=90, gpu=10),
        target=CPU_0,
        want="spec.traffic.weights is set by hand, and its 135 requests/s to cpu are more than the 100 that can be "
        "kept at p99 within 50 ms",
    ),
    "a split by hand that is not in force yet": Breaking(
        snapshot=replace(moment(150.0), deployment=by_hand(150.0, fpga=100).deployment), target=CPU_0, want=""
    ),
    "a split by hand, and nobody knows the demand": Breaking(
        snapshot=by_hand(None, cpu=90, gpu=10),
        target=CPU_0,
        want="no demand is known: nobody can say whether 2100 requests/s are enough",
    ),
    "what is lost does not answer anyway": Breaking(
        snapshot=replace(
            moment(None), pods=(*builders.pods("cpu", 2), *builders.pods("gpu", 2, ready=False, started=True))
        ),
        want="",
    ),
}


@builders.table(BREAKS)
def test_what_breaks_the_objective(case: Breaking) -> None:
    found = forecast(case.snapshot, case.target)
    assert [d.breaks for d in found.deployments] == [case.want]
    assert len(found.breaking) == bool(case.want)


def test_where_nothing_else_serves_nothing_would_change() -> None:
    found = forecast(moment(ready={"gpu": 2}))
    (digits,) = found.deployments
    assert (digits.alone, digits.moves, digits.breaks) == (True, False, "")
    assert classes(digits)["gpu"].after.weight == 100, "its replicas stay in the traffic"
    assert "nothing else serves demo/digits" in tell_forecast(found, LENGTH, {})


UNTOUCHED = {
    "by its spec": (
        replace(moment(), deployment=builders.deployment(builders.target("gpu"), paused=True)),
        "not affected: paused (spec.paused is true)",
    ),
    "with the whole fleet": (
        replace(moment(), paused="the switch says so"),
        "not affected: paused (the switch says so)",
    ),
    "by an operator that knows no drill": (
        replace(moment(), pods=builders.pods("gpu", 2, mark=Mark(out_since=builders.ago(600)))),
        "not affected: its pods have no label heteroserve.dev/serving: the operator is older than this command",
    ),
}


@builders.table(UNTOUCHED)
def test_what_the_operator_would_not_touch_is_named(case: tuple[Snapshot, str]) -> None:
    snapshot, want = case
    found = forecast(snapshot)
    assert (found.moving, found.breaking) == ((), ())
    assert want in tell_forecast(found, LENGTH, {})


def test_replicas_that_would_be_asked_for_meanwhile_are_told() -> None:
    found = only(moment())
    cpu = classes(found)["cpu"]
    grown = replace(found, classes=(replace(cpu, after=replace(cpu.after, replicas=4)),))
    text = tell_forecast(Forecast(target=GPU, deployments=(grown,)), LENGTH, {})
    assert "replicas asked for meanwhile: cpu 2 -> 4" in text


WANT_TEXT = """\
A drill of the hardware class gpu for 5m would do this:

demo/digits  (last known demand: 150 requests/s; objective: p99 within 50 ms)
  CLASS     OUT   READY     WEIGHT  REQUESTS/S   CAPACITY/S
  cpu                 2  10 -> 100   15 -> 150          200
  gpu         2  2 -> 0    90 -> 0    135 -> 0    2000 -> 0
  together                                 150  2200 -> 200
  fits: 150 of 200 requests/s that stay
  the weights in its status are others (cpu 50, gpu 50): the operator sees more than is seen from here

Not known, their spec cannot be read: demo/broken"""


def test_the_forecast_in_full() -> None:
    found = foresee((moment(),), GPU, builders.NOW + LENGTH, ("demo/broken",))
    assert tell_forecast(found, LENGTH, {builders.KEY: {"cpu": 50, "gpu": 50}}) == WANT_TEXT


def test_more_than_planned_and_less_than_possible_is_tight() -> None:
    text = tell_forecast(forecast(BREAKS["what stays carries it without any reserve"].snapshot), LENGTH, {})
    assert (
        "tight: 150 requests/s are more than the 100 planned for, and less than the 200 that can be done within" in text
    )


def test_a_class_that_a_split_by_hand_leaves_without_its_reserve_is_tight() -> None:
    before = by_hand(100.0, cpu=90, gpu=10)
    wish = replace(before.deployment, scaling=Scaling(target_utilisation=0.5))
    text = tell_forecast(forecast(replace(before, deployment=wish), CPU_0), LENGTH, {})
    assert (
        "tight: 90 requests/s to cpu are more than the 50 planned for, and less than the 100 that can be done" in text
    )

"""Until when a class is kept that was taken out of the spec."""

from dataclasses import dataclass, replace
from typing import Any

import builders
from heteroserve.decide import decide
from heteroserve.model.plan import Why
from heteroserve.model.snapshot import Signals, Snapshot


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """A moment of a deployment whose class `gpu` is not listed any more: its weight, or nothing when it is removed."""

    given: Snapshot
    want: int | None


def moment(*, by_hand: dict[str, int] | None = None, behind: bool = False, gpu: int = 0, **fields: Any) -> Snapshot:
    """Five cpus are listed and ready, and one gpu is left, with so much weight in the route."""
    wish = builders.deployment(builders.target("cpu", high=5), builders.target("fpga"), manual_weights=by_hand or {})
    route = replace(builders.route(cpu=100 - gpu, gpu=gpu), behind=behind)
    return builders.snapshot(
        deployment=wish, **{"ready": {"cpu": 5, "gpu": 1}, "demand": 500, "route": route, **fields}
    )


def silent(seen: Snapshot) -> Snapshot:
    return builders.silent(seen, "gpu-000")


RETIREMENTS = {
    "the others do not carry the demand: it keeps its part": Retirement(given=moment(gpu=67, demand=501), want=17),
    "it had lost its part, and is needed again": Retirement(given=moment(demand=501), want=17),
    "they do: it loses its traffic first": Retirement(given=moment(gpu=67), want=0),
    "the route has let it go, and a gateway has not seen that yet": Retirement(given=moment(behind=True), want=0),
    "all have let it go": Retirement(given=moment(), want=None),
    "nobody needs it: whether it can be trusted does not matter": Retirement(given=silent(moment()), want=None),
    "it is needed, and may be well again": Retirement(given=silent(moment(demand=501)), want=0),
    "nobody knows whether it is needed, and it may be well again": Retirement(
        given=silent(moment(signals=Signals())), want=0
    ),
    "it is needed, and nothing of it answers": Retirement(
        given=moment(demand=501, pods=builders.pods("cpu", 5)), want=None
    ),
    "by hand it has no part, and stays while the others do not carry theirs": Retirement(
        given=moment(by_hand={"cpu": 100}, demand=501), want=0
    ),
    "by hand they carry theirs": Retirement(given=moment(by_hand={"cpu": 100}), want=None),
    "by hand nobody carries another's part": Retirement(
        given=moment(
            by_hand={"cpu": 50, "fpga": 50},
            ready={"cpu": 5, "fpga": 0, "gpu": 1},
            demand=400,
            route=builders.route(cpu=50, fpga=50),
        ),
        want=0,
    ),
}


@builders.table(RETIREMENTS)
def test_until_when_a_class_is_kept_that_was_taken_out_of_the_spec(case: Retirement) -> None:
    plan = decide(case.given)
    found = builders.by_name(plan.classes)
    assert (found["gpu"].weight if "gpu" in found else None) == case.want
    removed = [d.class_name for d in plan.decisions if d.reason == Why.RETIRED]
    assert removed == ([] if "gpu" in found else ["gpu"])

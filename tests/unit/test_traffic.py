from dataclasses import dataclass, field

import builders
from heteroserve.decide.traffic import Share, apportion, is_overloaded, split_traffic


def share(name: str, ready: int, *, rps: float | None = None, fastest: float | None = None, suspects: int = 0) -> Share:
    within = builders.CAST[name].rps if rps is None else rps
    anyhow = within if fastest is None else fastest
    return Share(name=name, ready=ready, replica_rps=within, fastest_rps=anyhow, suspects=suspects)


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is ready, the weights as they stand, and the weights that follow."""

    shares: tuple[Share, ...]
    last: dict[str, int] = field(default_factory=dict)
    overloaded: bool = False
    want: dict[str, int]


SPLITS = {
    "in proportion to ready capacity": Split(
        shares=(share("cpu", 5), share("fpga", 1), share("gpu", 1)), want={"cpu": 25, "fpga": 25, "gpu": 50}
    ),
    "everything to the only one": Split(shares=(share("cpu", 1), share("gpu", 0)), want={"cpu": 100, "gpu": 0}),
    "a small one gets at least 1": Split(
        shares=(share("cpu", 1, rps=0.001), share("gpu", 10)), want={"cpu": 1, "gpu": 99}
    ),
    "a tie goes to the first by name": Split(
        shares=(share("gpu", 1), share("cpu", 1, rps=1000.0), share("fpga", 1, rps=1000.0)),
        want={"gpu": 33, "cpu": 34, "fpga": 33},
    ),
    "a class that is too slow gets nothing while another keeps the objective": Split(
        shares=(share("cpu", 9, rps=0.0, fastest=900.0), share("gpu", 1)), want={"cpu": 0, "gpu": 100}
    ),
    "better slow than overloaded": Split(
        shares=(share("cpu", 9, rps=0.0, fastest=100.0), share("gpu", 1)), overloaded=True, want={"cpu": 47, "gpu": 53}
    ),
    "overloaded with nothing but what was never measured": Split(
        shares=(share("cpu", 1, rps=0.0), share("gpu", 1, rps=0.0)), overloaded=True, want={"cpu": 50, "gpu": 50}
    ),
    "better slow than not at all": Split(
        shares=(share("cpu", 1, rps=0.0, fastest=100.0), share("gpu", 1, rps=0.0, fastest=300.0)),
        want={"cpu": 26, "gpu": 74},
    ),
    "better unmeasured than not at all": Split(
        shares=(share("cpu", 1, rps=0.0), share("gpu", 3, rps=0.0)), want={"cpu": 26, "gpu": 74}
    ),
    "suspects get nothing while anything else is ready": Split(
        shares=(share("cpu", 1), share("gpu", 0, suspects=4)), last={"cpu": 10, "gpu": 90}, want={"cpu": 100, "gpu": 0}
    ),
    "not even in a class that has ready ones": Split(
        shares=(share("cpu", 5), share("fpga", 1, suspects=9)), want={"cpu": 50, "fpga": 50}
    ),
    "a suspect within the objective is no better than what is ready and slow": Split(
        shares=(share("cpu", 1, rps=0.0, fastest=100.0), share("gpu", 0, suspects=4)), want={"cpu": 100, "gpu": 0}
    ),
    "nothing ready: suspects are better than nothing": Split(
        shares=(share("cpu", 0, suspects=5), share("fpga", 0, suspects=1), share("gpu", 0)),
        last={"cpu": 0, "fpga": 0, "gpu": 100},
        want={"cpu": 50, "fpga": 50, "gpu": 0},
    ),
    "nothing ready: the last weights stay": Split(
        shares=(share("cpu", 0), share("gpu", 0)), last={"cpu": 30, "gpu": 70}, want={"cpu": 30, "gpu": 70}
    ),
    "nothing ready, and nothing was before": Split(
        shares=(share("cpu", 0), share("gpu", 0)), want={"cpu": 0, "gpu": 0}
    ),
    "nothing ready, and the last weights were for others as well": Split(
        shares=(share("cpu", 0),), last={"cpu": 30, "old": 70}, want={"cpu": 0}
    ),
    "what was is not looked at while something is ready": Split(
        shares=(share("cpu", 1), share("gpu", 0)), last={"cpu": 0, "gpu": 100}, want={"cpu": 100, "gpu": 0}
    ),
    "nobody": Split(shares=(), last={"cpu": 100}, want={}),
}


@builders.table(SPLITS)
def test_the_split_of_the_traffic(case: Split) -> None:
    assert split_traffic(case.shares, case.last, overloaded=case.overloaded) == case.want


@builders.table(SPLITS)
def test_the_order_of_the_classes_does_not_matter(case: Split) -> None:
    assert split_traffic(case.shares[::-1], case.last, overloaded=case.overloaded) == case.want


def test_the_order_of_summing_does_not_show() -> None:
    """A sum of floats depends on their order by a hair, and a hair decides between equal remainders."""
    capacity = {"a": 300.0, "b": 37.5, "c": 750.0, "d": 15.0}
    assert apportion({name: capacity[name] for name in "cbda"}) == apportion(capacity)


SLOW = share("cpu", 2, rps=0.0, fastest=100.0)
LOADS: dict[str, tuple[float, dict[str, int], bool]] = {
    "as much as the fast ones carry": (1000.0, {"gpu": 100}, False),
    "more than they carry": (1000.1, {"gpu": 100}, True),
    "slower ones help until there is room to spare": (900.0, {"gpu": 83, "cpu": 17}, True),
    "and are let alone then": (850.0, {"gpu": 83, "cpu": 17}, False),
}


@builders.table(LOADS)
def test_when_slower_classes_help(case: tuple[float, dict[str, int], bool]) -> None:
    load_rps, last, want = case
    assert is_overloaded((share("gpu", 1), SLOW), last, load_rps=load_rps) is want

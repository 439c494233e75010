"""Where the traffic is, by a deployment's status and its pods."""

from dataclasses import dataclass

import builders
from heteroserve.cli.course import Reading, is_away, is_back, read, trusted_in, what_is_missing
from heteroserve.cli.forecast import Target, What
from heteroserve.model.snapshot import Mark, Pod, Recovery

GPU = Target(what=What.CLASS, name="gpu")
NODE = Target(what=What.NODE, name="gpu-0")
OUT = Mark(out_since=builders.NOW)
SERVING = (builders.pod("cpu-a"), builders.pod("gpu-a"), builders.pod("gpu-b", node="gpu-1"))
BEFORE = Reading(weights={"cpu": 10, "gpu": 90}, pods=SERVING)


def reading(gpu: int = 90, *pods: Pod, recovery: Recovery | None = None, wanted: int = 2) -> Reading:
    return Reading(
        weights={"cpu": 100 - gpu, "gpu": gpu},
        wanted={"cpu": 1, "gpu": wanted},
        pods=pods or SERVING,
        recoveries={"gpu": recovery} if recovery else {},
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    reading: Reading
    target: Target = GPU
    away: bool = False
    back: bool = False


CASES = {
    "all is as before": Case(reading=reading(), back=True),
    "the class has no weight": Case(reading=reading(0), away=True),
    "its pods are out, the weight is on its way": Case(reading=reading(90, builders.pod("gpu-a", mark=OUT)), away=True),
    "one of two pods is out": Case(reading=reading(90, builders.pod("gpu-a", mark=OUT), builders.pod("gpu-b"))),
    "the node's pod is out": Case(
        reading=reading(50, builders.pod("gpu-a", mark=OUT), builders.pod("gpu-b", node="gpu-1")),
        target=NODE,
        away=True,
    ),
    "the class comes back by steps": Case(reading=reading(10, recovery=Recovery(since=builders.ago(5)))),
    "the class has other shares now, and is trusted": Case(reading=reading(80), back=True),
    "a trouble is remembered, and all is as before": Case(
        reading=reading(90, recovery=Recovery(since=builders.ago(5), setbacks=1)), back=True
    ),
    "a trouble is over long ago": Case(
        reading=reading(80, recovery=Recovery(since=builders.ago(300), setbacks=1)), back=True
    ),
    "nothing of it can answer any more": Case(reading=reading(90, builders.pod("gpu-a", ready=False)), away=True),
    "one of two died": Case(reading=reading(90, builders.pod("gpu-a"), builders.pod("gpu-b", ready=False))),
    "the node's pod died": Case(reading=reading(90, builders.pod("gpu-b", node="gpu-1")), target=NODE, away=True),
    "the node's pod died, and another came elsewhere": Case(
        reading=reading(90, builders.pod("gpu-b", node="gpu-1"), builders.pod("gpu-c", node="gpu-1")),
        target=NODE,
        away=True,
        back=True,
    ),
    "one goes by the operator's wish": Case(
        reading=reading(
            90,
            builders.pod("gpu-a", mark=Mark(out_since=builders.NOW, goes_first=True)),
            builders.pod("gpu-b"),
            wanted=1,
        ),
        back=True,
    ),
    "the operator wants none of it any more": Case(
        reading=reading(0, builders.pod("cpu-a"), wanted=0), away=True, back=False
    ),
    "the deployment is gone": Case(reading=Reading(), away=True),
}


@builders.table(CASES)
def test_away_and_back(case: Case) -> None:
    found = (is_away(case.reading, case.target), is_back(case.reading, case.target, BEFORE, builders.NOW))
    assert found == (case.away, case.back)


def test_what_did_not_answer_before_has_nothing_to_come_back_to() -> None:
    before = Reading(weights={"cpu": 100, "gpu": 0}, pods=(builders.pod("cpu-a"), builders.pod("gpu-a", ready=False)))
    assert is_back(before, GPU, before, builders.NOW)


MISSING = {
    "it is gone": Reading(),
    "0 of 2 replicas of gpu are in it": reading(0, builders.pod("cpu-a")),
    "pods of the hardware class gpu are still out of it": reading(90, builders.pod("gpu-a", mark=OUT)),
    "gpu has 10 % of it, and had 90 %": reading(10, recovery=Recovery(since=builders.ago(5))),
}


@builders.table({text: (text, found) for text, found in MISSING.items()})
def test_what_is_missing_is_said(case: tuple[str, Reading]) -> None:
    want, found = case
    assert what_is_missing(found, GPU, BEFORE, builders.NOW) == want


def test_how_long_until_what_was_lost_is_trusted_in_full() -> None:
    assert trusted_in(reading(), GPU, builders.NOW) == 0
    assert trusted_in(reading(recovery=Recovery(since=builders.ago(10))), GPU, builders.NOW) == 20


def test_a_reading_is_of_one_deployment_alone() -> None:
    other = builders.raw_pod("other-cpu-0")
    other["metadata"]["labels"]["heteroserve.dev/deployment"] = "other"
    raw = builders.raw_deployment(status={"classes": [{"name": "cpu", "weight": 100, "replicas": 2, "ready": 1}]})
    found = read(raw, [builders.raw_pod(), other])
    assert (found.weights, found.wanted, found.ready) == ({"cpu": 100}, {"cpu": 2}, {"cpu": 1})
    assert [p.name for p in found.pods] == ["digits-cpu-0"]
    assert read(None, [builders.raw_pod()]) == Reading()

"""What the routes are told, so that Envoy splits the traffic as it is meant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

import builders
from heteroserve.decide.compensate import OVERPROVISIONING, as_routed
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Cluster, Mark, Pod, Snapshot


def some(name: str, healthy: int, *, coming: int = 0, leaving: int = 0, out: int = 0) -> list[Pod]:
    """Pods of a class: that serve, that start, that are on their way out, and that we took out of the traffic."""
    kinds = (
        [{"ready": True}] * healthy
        + [{"ready": False}] * coming
        + [{"ready": True, "terminating": True}] * leaving
        + [{"ready": True, "mark": Mark(out_since=builders.NOW)}] * out
    )
    return [builders.pod(f"{name}-{n}", address=f"10.0.0.{n}", **kind) for n, kind in enumerate(kinds)]


def snapshot(pods: Iterable[Pod], **fields: object) -> Snapshot:
    return Snapshot(now=builders.NOW, deployment=builders.deployment(), pods=tuple(pods), **fields)  # type: ignore[arg-type]


def as_envoy_splits(routed: Mapping[str, int], pods: Iterable[Pod]) -> dict[str, float]:
    """The shares that Envoy makes of weights: its documentation's formula, the placeholder among all addresses."""
    effective = {}
    for name, weight in routed.items():
        known = [p for p in pods if p.class_name == name and p.mark.out_since is None]
        healthy = sum(p.ready and not p.terminating for p in known)
        effective[name] = weight * min(1.0, OVERPROVISIONING * healthy / (len(known) + 1))
    whole = sum(effective.values())
    return {name: 100 * weight / whole for name, weight in effective.items()} if whole else effective


@dataclass(frozen=True, kw_only=True)
class Case:
    """Shares that are meant, the pods that there are, and what the routes are told."""

    shares: dict[str, int]
    pods: list[Pod]
    want: dict[str, int]
    cluster: Cluster = field(default_factory=Cluster)
    marks: tuple[PodMark, ...] = ()


def told(pod: Pod, *, out: bool) -> PodMark:
    return PodMark(pod=pod.name, uid=pod.uid, mark=Mark(out_since=builders.NOW if out else None))


EVEN = {"cpu": 50, "gpu": 50}
CASES = {
    "three replicas make up for the placeholder": Case(
        shares=EVEN, pods=some("cpu", 3) + some("gpu", 3), want={"cpu": 50, "gpu": 50}
    ),
    "one replica beside many is told more": Case(
        shares=EVEN, pods=some("cpu", 1) + some("gpu", 5), want={"cpu": 59, "gpu": 41}
    ),
    "as few on both sides: nothing to make up for": Case(
        shares=EVEN, pods=some("cpu", 1) + some("gpu", 1), want={"cpu": 50, "gpu": 50}
    ),
    "replicas that start count among all": Case(
        shares=EVEN, pods=some("cpu", 1, coming=3) + some("gpu", 5), want={"cpu": 78, "gpu": 22}
    ),
    "so do those that leave": Case(
        shares=EVEN, pods=some("cpu", 1, leaving=3) + some("gpu", 5), want={"cpu": 78, "gpu": 22}
    ),
    "what we took out has no address there": Case(
        shares=EVEN, pods=some("cpu", 3, out=3) + some("gpu", 3), want={"cpu": 50, "gpu": 50}
    ),
    "a class without a healthy replica stays as it is": Case(
        shares={"cpu": 0, "gpu": 100}, pods=some("cpu", 0, coming=2) + some("gpu", 1), want={"cpu": 0, "gpu": 100}
    ),
    "another gateway takes nothing away": Case(
        shares=EVEN,
        pods=some("cpu", 1) + some("gpu", 5),
        want={"cpu": 50, "gpu": 50},
        cluster=Cluster(envoy_gateway=False),
    ),
    "a silent one that is taken out now counts no more": Case(
        shares=EVEN,
        pods=(pods := some("cpu", 1, coming=1) + some("gpu", 5)),
        marks=(told(pods[1], out=True),),
        want={"cpu": 59, "gpu": 41},
    ),
    "one that comes back now counts": Case(
        shares=EVEN,
        pods=(pods := some("cpu", 2, out=1) + some("gpu", 5)),
        marks=(told(pods[2], out=False),),
        want={"cpu": 50, "gpu": 50},
    ),
    "nothing is told while nobody has a share": Case(
        shares={"cpu": 0, "gpu": 0}, pods=some("cpu", 1) + some("gpu", 5), want={"cpu": 0, "gpu": 0}
    ),
}


@builders.table(CASES)
def test_what_the_routes_are_told(case: Case) -> None:
    assert as_routed(snapshot(case.pods, cluster=case.cluster), case.shares, case.marks) == case.want


def test_a_replica_that_does_not_answer_us_is_not_healthy_there_either() -> None:
    pods = some("cpu", 2) + some("gpu", 5)
    routed = as_routed(snapshot(pods, probes={pods[0].uid: 2}), EVEN, ())
    assert routed == as_routed(snapshot(some("cpu", 1, coming=1) + some("gpu", 5)), EVEN, ())


counts = st.integers(0, 12)
classes = st.fixed_dictionaries({name: st.tuples(st.integers(1, 12), counts, counts) for name in ("cpu", "gpu")})


@given(shares=st.integers(5, 95), pods=classes)
def test_envoy_splits_as_it_is_meant(shares: int, pods: dict[str, tuple[int, int, int]]) -> None:
    meant = {"cpu": shares, "gpu": 100 - shares}
    there = [
        p for name, (ready, coming, leaving) in pods.items() for p in some(name, ready, coming=coming, leaving=leaving)
    ]
    routed = as_routed(snapshot(there), meant, ())
    assert sum(routed.values()) == 100
    found = as_envoy_splits(routed, there)
    # whole weights: a class that has to be told little is told it in steps
    steps = max(100 / max(1, weight) for weight in routed.values())
    assert all(abs(found[name] - meant[name]) <= 2 + steps for name in meant)

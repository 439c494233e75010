from dataclasses import dataclass, replace

import builders
from heteroserve.decide.marks import new_marks
from heteroserve.decide.picture import take
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark, Pod, Recovery, Snapshot

POD = builders.pod("cpu-a")
OTHER = builders.pod("cpu-b", node="cpu-1")
FIRST, OUT = builders.mark(), builders.mark(0)


@dataclass(frozen=True, kw_only=True)
class Tell:
    """A pod beside another of its class, and what it is told; `None`: nothing that it was not told before."""

    pod: Pod = POD
    others: tuple[Pod, ...] = (OTHER,)
    going: bool = False
    first: bool = False
    drilled: bool = False
    gpu_without_traffic: bool = False
    silent: bool = False
    demand_rps: float = 50.0
    """One of cpu carries 100."""
    setbacks: int = 0
    """Of its class, which came back a minute ago."""
    awake_seconds: float = 3600.0
    want: Mark | None = None


TOLD = {
    "all is well": Tell(),
    "on its way out: out of the traffic, and first": Tell(going=True, first=True, want=OUT),
    "since when is not told anew": Tell(pod=replace(POD, mark=builders.mark(20)), going=True, first=True),
    "others were asked for in its place: first to go, in the traffic until then": Tell(first=True, want=FIRST),
    "it was told so": Tell(pod=replace(POD, mark=FIRST), first=True),
    "then it goes": Tell(pod=replace(POD, mark=FIRST), going=True, first=True, want=OUT),
    "it is needed after all: back in the traffic": Tell(pod=replace(POD, mark=builders.mark(20)), want=Mark()),
    "it stays after all": Tell(pod=replace(POD, mark=FIRST), want=Mark()),
    "a broken device is taken out of the traffic": Tell(
        pod=replace(POD, device_unhealthy=True), want=builders.mark(0, goes_first=False)
    ),
    "and goes first when others were asked for in its place": Tell(
        pod=replace(POD, device_unhealthy=True), first=True, want=OUT
    ),
    "a doubtful answer is better than none": Tell(pod=replace(POD, device_unhealthy=True), others=()),
    "so it is back in the traffic when the others are gone": Tell(
        pod=replace(POD, device_unhealthy=True, mark=builders.mark(20, goes_first=False)), others=(), want=Mark()
    ),
    "another class that answers is enough": Tell(
        pod=replace(POD, device_unhealthy=True),
        others=(builders.pod("gpu-a"),),
        want=builders.mark(0, goes_first=False),
    ),
    "not so one that has no part in the traffic": Tell(
        pod=replace(POD, device_unhealthy=True), others=(builders.pod("gpu-a"),), gpu_without_traffic=True
    ),
    "one that is silent is taken out": Tell(silent=True, want=builders.mark(0, goes_first=False)),
    "but not on the word of our prober alone where the others do not carry the demand": Tell(
        silent=True, demand_rps=101.0
    ),
    "it has to earn its place when its class came back": Tell(
        pod=replace(POD, mark=builders.mark(60, goes_first=False)), setbacks=1
    ),
    "but not where it is needed": Tell(
        pod=replace(POD, mark=builders.mark(60, goes_first=False)), setbacks=1, demand_rps=101.0, want=Mark()
    ),
    "before we have heard of it ourselves what was told stands": Tell(
        pod=replace(POD, mark=builders.mark(60, goes_first=False)), awake_seconds=9.0
    ),
    "a mark of the future is of now": Tell(pod=replace(POD, mark=builders.mark(-60)), going=True, first=True, want=OUT),
    "others that are out themselves are not": Tell(
        pod=replace(POD, device_unhealthy=True), others=(replace(OTHER, mark=builders.mark(9)),)
    ),
    "a drill takes out of the traffic as well": Tell(drilled=True, want=builders.mark(0, goes_first=False)),
    "and when it is over it is back": Tell(pod=replace(POD, mark=builders.mark(60, goes_first=False)), want=Mark()),
    "what is on its way out is told nothing": Tell(pod=replace(POD, terminating=True), going=True, first=True),
    "nor is a pod of a class that is no longer listed": Tell(pod=builders.pod("fpga-a"), going=True, first=True),
}


def moment(case: Tell) -> Snapshot:
    nodes = (*builders.nodes("gpu"), builders.node("cpu-1"), builders.node("cpu-0"))
    drilled = builders.node("cpu-0", drill_until=builders.ago(-60))
    found = builders.snapshot(
        builders.target("cpu"),
        builders.target("gpu"),
        nodes=(*nodes[:-1], drilled) if case.drilled else nodes,
        pods=(case.pod, *case.others),
        demand=case.demand_rps,
        probes={case.pod.uid: 2} if case.silent else {},
        awake_seconds=case.awake_seconds,
    )
    back = Recovery(since=builders.ago(60), setbacks=case.setbacks, floor=1)
    memory = replace(found.memory, recoveries={"cpu": back} if case.setbacks else {}, ready={"cpu": 2, "gpu": 1})
    return replace(found, memory=memory, replicas={"cpu": 2, "gpu": 1})


@builders.table(TOLD)
def test_what_a_pod_is_told(case: Tell) -> None:
    uid = case.pod.uid
    weights = {"cpu": 50, "gpu": 0 if case.gpu_without_traffic else 50}
    found = new_marks(take(moment(case)), weights, going={uid} if case.going else (), first={uid} if case.first else ())
    want = (PodMark(pod=case.pod.name, uid=uid, mark=case.want),) if case.want else ()
    assert tuple(m for m in found if m.uid == uid) == want

"""Carrying a plan out, against an API server in memory that puts off what it is told to: what waits for what."""

from dataclasses import dataclass, field, replace
from typing import Any

import builders
from heteroserve import kube
from heteroserve.act.apply import Writer
from heteroserve.act.carry_out import carry_out
from heteroserve.act.difference import stamp
from heteroserve.errors import Reject, Retry
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.model.plan import Plan, PodMark
from heteroserve.observe.store import Store
from heteroserve.render import render

AWAY = Retry("ApiUnavailable", 'failed calling webhook "check.example.com"')
TOLD = Refusal(reason=AWAY.reason, message=AWAY.message)
SNAPSHOT = builders.snapshot(builders.target("cpu"), builders.target("gpu"), ready={"cpu": 64, "gpu": 1})


class Api:
    """Takes every write and remembers its order, but for the kinds that it `refuses`; `pods` as they stand."""

    def __init__(self) -> None:
        self.refuses: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.version = 100

    def take(self, kind: kube.Kind, name: str) -> str:
        self.calls.append(f"{kind.kind}/{name}")
        if kind.kind in self.refuses:
            raise self.refuses[kind.kind]
        self.version += 1
        return str(self.version)

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> None:
        return None

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        version = self.take(kind, body["metadata"]["name"])
        return {**body, "metadata": {**body["metadata"], "resourceVersion": version, "uid": "u"}}

    async def merge_metadata(self, kind: kube.Kind, namespace: str, name: str, changes: Any, *, uid: str) -> Any:
        return builders.raw_pod(name, metadata={"resourceVersion": self.take(kind, name), "uid": uid})

    async def delete(self, kind: kube.Kind, namespace: str, name: str, *, uid: str) -> None:
        self.take(kind, name)


def marks(*names: str, **mark: Any) -> tuple[PodMark, ...]:
    return tuple(PodMark(pod=name, uid=f"uid-{name}", mark=builders.mark(**mark)) for name in names)


COMING = tuple(f"cpu-{number:03}" for number in range(60))
ENTER, LEAVE = marks(*COMING, goes_first=False), marks("gpu-000", out_seconds=0)


def plan(weights: dict[str, int], *told: PodMark, replicas: int = 64) -> Plan:
    cpu = builders.class_plan("cpu", replicas, weight=weights["cpu"])
    return builders.plan(cpu, builders.class_plan("gpu", 1, weight=weights["gpu"]), marks=told)


BEFORE = plan({"cpu": 50, "gpu": 50})
FAILOVER = plan({"cpu": 100, "gpu": 0}, *ENTER, *LEAVE)
"""The only pod of gpu has died, in the moment in which many of cpu are back."""


@dataclass
class World:
    """What stands is what `BEFORE` asks for, or nothing."""

    stands: bool = True
    api: Api = field(default_factory=Api)
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.writer = Writer(self.api, self.store)  # type: ignore[arg-type]
        for manifest in map(stamp, render(SNAPSHOT, BEFORE) if self.stands else ()):
            live = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": "1", "uid": "u"}}
            self.store.put(kube.BY_KIND[manifest["kind"]], live)

    def forget(self, kind: kube.Kind, name: str) -> None:
        """Somebody deleted it, so that it is to be written."""
        self.store.remove(kind, self.store.get(kind, ("demo", name)))

    async def carry_out(self, wanted: Plan) -> Outcome:
        return await carry_out(self.api, self.store, self.writer, SNAPSHOT, wanted)  # type: ignore[arg-type]


ROUTES = ["HTTPRoute/digits", "GRPCRoute/digits"]
CAME = [f"Pod/{name}" for name in COMING]


async def test_a_failover_waits_for_nobody_who_comes_back() -> None:
    world = World()
    outcome = await world.carry_out(FAILOVER)
    assert world.api.calls == [*ROUTES, *CAME, "Pod/gpu-000"]
    assert outcome == Outcome(written=tuple(ROUTES))


# what is put off, and what is written nevertheless (the pods that come in are so many at a time)
PUT_OFF: dict[str, tuple[str, list[str]]] = {
    "marks of pods": ("Pod", [*ROUTES, *CAME[:16]]),
    "placeholders": ("EndpointSlice", [*ROUTES, *CAME, "EndpointSlice/digits-gpu-placeholder"]),
    "Services": ("Service", [*ROUTES, *CAME, "Service/digits"]),
    "the routes themselves: pods come in all the same": ("HTTPRoute", [*ROUTES, *CAME]),
}


@builders.table(PUT_OFF)
async def test_what_is_put_off_does_not_keep_a_failover_from_happening(case: tuple[str, list[str]]) -> None:
    put_off, want = case
    world = World()
    if put_off == "Service":
        world.forget(kube.SERVICE, "digits")
    if put_off == "EndpointSlice":
        world.forget(kube.ENDPOINT_SLICE, "digits-gpu-placeholder")
    world.api.refuses[put_off] = AWAY
    outcome = await world.carry_out(FAILOVER)
    assert world.api.calls == want
    assert outcome.postponed == TOLD
    assert set(outcome.written) == set(ROUTES) - {f"{put_off}/digits"}


async def test_pods_come_into_the_traffic_before_a_service_asks_for_that() -> None:
    world = World()
    world.forget(kube.SERVICE, "digits")
    await world.carry_out(replace(BEFORE, marks=ENTER))
    assert world.api.calls == [*CAME, "Service/digits"]


async def test_nobody_is_told_to_leave_before_another_is_asked_for() -> None:
    world = World()
    one_more = plan({"cpu": 50, "gpu": 50}, *LEAVE, replicas=65)
    await world.carry_out(one_more)
    assert world.api.calls == ["Deployment/digits-cpu", "Pod/gpu-000"]
    put_off = World()
    put_off.api.refuses["Deployment"] = AWAY
    assert (await put_off.carry_out(one_more)).postponed == TOLD
    assert put_off.api.calls == ["Deployment/digits-cpu"]


async def test_what_is_new_is_written_in_its_order() -> None:
    world = World(stands=False)
    await world.carry_out(BEFORE)
    assert world.api.calls == [f"{m['kind']}/{m['metadata']['name']}" for m in render(SNAPSHOT, BEFORE)]


async def test_a_refused_route_is_told_once() -> None:
    world = World()
    world.api.refuses["HTTPRoute"] = Reject("Invalid", "no")
    outcome = await world.carry_out(FAILOVER)
    assert outcome == Outcome(written=("GRPCRoute/digits",), refused=(Refusal(reason="Invalid", message="no"),))

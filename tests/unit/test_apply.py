"""The writer, against an API server in memory: what is written, what is left alone, and what is removed."""

import copy
from typing import Any

import pytest

import builders
from heteroserve import kube
from heteroserve.act.apply import Writer
from heteroserve.act.difference import stamp
from heteroserve.errors import Reject, Retry
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.observe.store import Store
from heteroserve.render.metadata import manifest

DIGITS = builders.deployment()
Address = tuple[str, str]


class Api:
    """Holds objects by kind and name; refuses the kinds in `refuses`, and writes fields as it likes.

    An apply adds `adds` to every spec: what another one owns, or a webhook puts in. The names in `keeps` stay.
    """

    def __init__(self) -> None:
        self.objects: dict[Address, builders.JSON] = {}
        self.refuses: dict[str, Exception] = {}
        self.keeps: dict[str, Exception] = {}
        self.adds: builders.JSON = {}
        self.calls: list[str] = []
        self.version = 100

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> builders.JSON | None:
        self.calls.append(f"get {kind.kind}/{name}")
        return copy.deepcopy(self.objects.get((kind.kind, name)))

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        name = body["metadata"]["name"]
        self.calls.append(f"apply {kind.kind}/{name}")
        if kind.kind in self.refuses:
            raise self.refuses[kind.kind]
        self.version += 1
        stored = copy.deepcopy(body)
        stored["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": str(self.version)}
        if stored.get("spec", {}).get("cpu") == "1000m":
            stored["spec"]["cpu"] = "1"  # as an API server writes it
        stored["spec"] = {**stored.get("spec", {}), **self.adds}
        self.objects[kind.kind, name] = stored
        return copy.deepcopy(stored)

    async def replace_spec(
        self, kind: kube.Kind, namespace: str, name: str, spec: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.calls.append(f"replace {kind.kind}/{name} {uid}")
        self.version += 1
        stored = self.objects[kind.kind, name]
        stored["spec"], stored["metadata"]["resourceVersion"] = copy.deepcopy(spec), str(self.version)
        return copy.deepcopy(stored)

    async def delete(self, kind: kube.Kind, namespace: str, name: str, *, uid: str) -> None:
        self.calls.append(f"delete {kind.kind}/{name} {uid}")
        if name in self.keeps:
            raise self.keeps[name]
        del self.objects[kind.kind, name]


class World:
    """An API server, a store that has seen all of it, and a writer."""

    def __init__(self, *objects: builders.JSON) -> None:
        self.api, self.store = Api(), Store()
        self.writer = Writer(self.api, self.store)  # type: ignore[arg-type]
        for raw in objects:
            self.api.objects[raw["kind"], raw["metadata"]["name"]] = raw
            self.store.put(kube.BY_KIND[raw["kind"]], raw)

    async def act(self, *manifests: builders.JSON, untouched: frozenset[str] = frozenset(), at: float = 0.0) -> Outcome:
        self.api.calls.clear()
        return await self.writer.act(DIGITS, manifests, untouched, at)


def service(name: str = "digits", class_name: str | None = None, **spec: Any) -> builders.JSON:
    return {**manifest(DIGITS, "v1", "Service", name, class_name), "spec": spec}


def live(wanted: builders.JSON, *, owner: str = "uid-digits", **metadata: Any) -> builders.JSON:
    """An object as it stands in the cluster, with a controller of that UID."""
    stored = copy.deepcopy(stamp(wanted))
    stored["metadata"] |= {"uid": f"uid-{stored['metadata']['name']}", "resourceVersion": "1", **metadata}
    stored["metadata"]["ownerReferences"][0]["uid"] = owner
    return stored


async def test_what_is_not_there_is_written_in_the_order_given() -> None:
    world = World()
    outcome = await world.act(service("b"), service("a"))
    assert outcome == Outcome(written=("Service/b", "Service/a"))
    assert world.api.calls == ["get Service/b", "apply Service/b", "get Service/a", "apply Service/a"]


async def test_what_is_in_place_costs_no_request() -> None:
    world = World(live(service(type="ClusterIP")))
    assert await world.act(service(type="ClusterIP")) == Outcome()
    assert world.api.calls == []


async def test_what_was_written_is_in_place() -> None:
    world = World()
    await world.act(service(type="ClusterIP"))
    assert await world.act(service(type="ClusterIP")) == Outcome()
    assert world.api.calls == []


async def test_what_somebody_changed_is_written_again() -> None:
    changed = live(service(type="ClusterIP"))
    changed["spec"]["type"] = "NodePort"
    world = World(changed)
    assert (await world.act(service(type="ClusterIP"))).written == ("Service/digits",)


async def test_what_the_api_server_writes_in_another_way_is_in_place() -> None:
    world = World()
    await world.act(service(cpu="1000m"))
    assert await world.act(service(cpu="1000m")) == Outcome()


async def test_also_when_its_status_changes_by_itself() -> None:
    world, wanted = World(), {**service(cpu="1000m"), "kind": "Deployment"}
    await world.act(wanted)
    grown = copy.deepcopy(world.api.objects["Deployment", "digits"])
    grown["metadata"]["resourceVersion"], grown["status"] = "999", {"replicas": 1}
    assert world.store.put(kube.DEPLOYMENT, grown)
    assert await world.act(wanted) == Outcome()


async def test_but_not_when_somebody_changes_it_afterwards() -> None:
    world = World()
    await world.act(service(cpu="1000m"))
    changed = copy.deepcopy(world.api.objects["Service", "digits"])
    changed["metadata"]["resourceVersion"], changed["spec"]["cpu"] = "999", "2"
    world.store.put(kube.SERVICE, changed)
    assert (await world.act(service(cpu="1000m"), at=5.0)).written == ("Service/digits",)


# --- What others add -------------------------------------------------------------------------------------------------


def of_kind(kind: str, **spec: Any) -> builders.JSON:
    return {**service(**spec), "kind": kind}


def changed_by_hand(world: World, kind: kube.Kind, **spec: Any) -> None:
    """Somebody changes the object named digits, and we see it."""
    found = copy.deepcopy(world.api.objects[kind.kind, "digits"])
    world.api.version += 1
    found["metadata"]["resourceVersion"] = str(world.api.version)
    found["spec"] |= spec
    world.api.objects[kind.kind, "digits"] = found
    world.store.put(kind, found)


async def test_what_somebody_else_owns_in_a_list_of_ours_is_left_in_peace() -> None:
    world, wanted = World(), of_kind("Deployment", containers=[{"name": "triton"}])
    world.api.adds = {"containers": [{"name": "triton"}, {"name": "sidecar"}]}
    await world.act(wanted)
    for at in (5.0, 10.0, 60.0):
        assert (at, await world.act(wanted, at=at), world.api.calls) == (at, Outcome(), [])


async def test_also_by_an_operator_that_has_just_started() -> None:
    world, wanted = World(), of_kind("Deployment", containers=[{"name": "triton"}])
    world.api.adds = {"containers": [{"name": "triton"}, {"name": "sidecar"}]}
    await world.act(wanted)
    world.writer = Writer(world.api, world.store)  # type: ignore[arg-type]
    assert [(await world.act(wanted, at=at)).written for at in (0.0, 5.0)] == [("Deployment/digits",), ()]


async def test_where_nobody_else_has_any_business_what_apply_leaves_is_taken_away() -> None:
    world, wanted = World(), of_kind("HTTPRoute", rules=["a"])
    await world.act(wanted)
    world.api.adds = {"hostnames": ["stranger.example.com"]}
    changed_by_hand(world, kube.HTTP_ROUTE, **world.api.adds)
    await world.act(wanted, at=5.0)
    assert world.api.calls == ["apply HTTPRoute/digits", "replace HTTPRoute/digits uid-digits"]
    assert world.api.objects["HTTPRoute", "digits"]["spec"] == {"rules": ["a"]}
    assert await world.act(wanted, at=10.0) == Outcome()


async def test_whoever_writes_against_us_does_not_keep_us_writing() -> None:
    world, wanted = World(), of_kind("HTTPRoute", rules=["a"])
    await world.act(wanted)
    written: list[str] = []
    for tenth in range(100):  # of a second
        changed_by_hand(world, kube.HTTP_ROUTE, rules=["b"])
        written += (await world.act(wanted, at=tenth / 10)).written
    assert written == ["HTTPRoute/digits"]


def arrives(world: World, wanted: builders.JSON) -> None:
    """A write of ours that was given up is carried out all the same, and we see it."""
    world.api.version += 1
    late = live(wanted, resourceVersion=str(world.api.version))
    world.api.objects[late["kind"], "digits"] = late
    world.store.put(kube.BY_KIND[late["kind"]], late)


async def test_an_earlier_write_of_ours_that_arrives_late_is_written_over_at_once() -> None:
    world, stale, wanted = World(), of_kind("HTTPRoute", rules=["stale"]), of_kind("HTTPRoute", rules=["a"])
    await world.act(wanted, at=0.0)
    arrives(world, stale)
    assert (await world.act(wanted, at=0.1)).written == ("HTTPRoute/digits",)
    assert world.api.objects["HTTPRoute", "digits"]["spec"] == {"rules": ["a"]}


async def test_whoever_writes_what_we_once_wrote_does_not_keep_us_writing_either() -> None:
    """A second operator, say, or a tool that puts a saved state back."""
    world, stale, wanted = World(), of_kind("HTTPRoute", rules=["stale"]), of_kind("HTTPRoute", rules=["a"])
    await world.act(wanted, at=0.0)
    written: list[str] = []
    for tenth in range(1, 100):  # of a second
        arrives(world, stale)
        written += (await world.act(wanted, at=tenth / 10)).written
    assert written == ["HTTPRoute/digits"] * 2


async def test_what_we_want_otherwise_is_written_at_once() -> None:
    world = World()
    written = [(await world.act(of_kind("HTTPRoute", rules=[w]), at=at)).written for at, w in enumerate("aba")]
    assert written == [("HTTPRoute/digits",)] * 3


async def test_what_is_remembered_of_an_object_is_no_copy_of_it() -> None:
    world = World()
    world.api.refuses["NetworkPolicy"] = Reject("Invalid", "no")
    await world.act(service(a="x" * 1000), of_kind("NetworkPolicy", a="x" * 1000))
    assert "xx" not in repr((world.writer._settled, world.writer._refused))


# --- What is not ours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_a_namesake_of_somebody_else_is_never_touched(*, known: bool) -> None:
    foreign = builders.raw("Service", "digits", ownerReferences=[])
    world = World(foreign)
    if not known:
        world.store.remove(kube.SERVICE, foreign)
    outcome = await world.act(service(), service("digits-cpu"))
    assert [r.reason for r in outcome.refused] == ["NameTaken"]
    assert outcome.written == ("Service/digits-cpu",)
    assert world.api.objects["Service", "digits"] == foreign


async def test_a_namesake_of_our_earlier_life_is_waited_for() -> None:
    world = World(live(service(), owner="uid-earlier"))
    outcome = await world.act(service(type="ClusterIP"))
    message = "Service digits of the deleted demo/digits is not collected yet"
    assert outcome == Outcome(postponed=Refusal(reason="PredecessorLeaving", message=message))
    assert world.api.calls == []


# --- Refusals --------------------------------------------------------------------------------------------------------


async def test_a_refusal_is_told_and_the_rest_is_written() -> None:
    world = World()
    world.api.refuses["NetworkPolicy"] = Reject("Forbidden", "NetworkPolicy refused: quota")
    outcome = await world.act({**service("x"), "kind": "NetworkPolicy"}, service())
    assert outcome == Outcome(
        written=("Service/digits",), refused=(Refusal(reason="Forbidden", message="NetworkPolicy refused: quota"),)
    )


async def test_a_refused_manifest_is_told_again_and_sent_again_only_after_a_minute_or_a_change() -> None:
    world = World()
    world.api.refuses["Service"] = Reject("Invalid", "no")
    outcomes = [await world.act(service(a=1), at=0.0), await world.act(service(a=1), at=59.0)]
    assert outcomes[0] == outcomes[1]
    assert world.api.calls == []
    await world.act(service(a=2), at=59.0)
    assert "apply Service/digits" in world.api.calls
    await world.act(service(a=2), at=120.0)
    assert "apply Service/digits" in world.api.calls


async def test_a_refusal_ends_when_the_api_server_takes_it() -> None:
    world = World()
    world.api.refuses["Service"] = Reject("Forbidden", "no")
    await world.act(service(), at=0.0)
    world.api.refuses.clear()
    assert (await world.act(service(), at=60.0)).refused == ()


async def test_what_is_put_off_ends_the_cycle_and_what_was_written_stays() -> None:
    world = World(live(service("digits-old", "old")))
    world.api.refuses |= {"HTTPRoute": Reject("Invalid", "no"), "NetworkPolicy": Retry("ApiUnavailable", "away")}
    refused, put_off = ({**service("x"), "kind": kind} for kind in ("HTTPRoute", "NetworkPolicy"))
    assert await world.act(service(), refused, put_off, service("never")) == Outcome(
        written=("Service/digits",),
        refused=(Refusal(reason="Invalid", message="no"),),
        postponed=Refusal(reason="ApiUnavailable", message="away"),
    )
    assert world.api.objects.keys() == {("Service", "digits"), ("Service", "digits-old")}
    world.api.refuses.clear()
    assert (await world.act(service(), service("never"))).written == ("Service/never", "Service/digits-old")


# --- What routes wait for --------------------------------------------------------------------------------------------


def a_route(kind: str = "HTTPRoute", **weights: int) -> builders.JSON:
    backends = [{"name": f"digits-{name}", "weight": weight} for name, weight in weights.items()]
    return of_kind(kind, rules=[{"backendRefs": backends}])


def leads_to(world: World, kind: str = "HTTPRoute") -> dict[str, int]:
    (rule,) = world.api.objects[kind, "digits"]["spec"]["rules"]
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


CPU, GPU = service("digits-cpu", "cpu"), service("digits-gpu", "gpu")
BEFORE, NOW = a_route(cpu=50, gpu=50), a_route(cpu=100, gpu=0)
# what stands, what is wanted, and whether that needs nothing else
MOVES: dict[str, tuple[tuple[builders.JSON, ...], builders.JSON, bool]] = {
    "weights between Services that exist": ((CPU, GPU, BEFORE), NOW, True),
    "a class less": ((CPU, GPU, BEFORE), a_route(cpu=100), True),
    "a class whose Service is to be made first": ((CPU, BEFORE), NOW, False),
    "a route that is to be made first": ((CPU, GPU), NOW, False),
    "no weight for anybody": ((CPU, GPU, BEFORE), a_route(cpu=0, gpu=0), False),
    "not a route": ((CPU, GPU, BEFORE), service("digits-cpu", "cpu", type="ClusterIP"), False),
}


@builders.table(MOVES)
async def test_which_routes_need_nothing_else(case: tuple[tuple[builders.JSON, ...], builders.JSON, bool]) -> None:
    there, wanted, want = case
    world = World(*map(live, there))
    outcome = await world.writer.move_weights(DIGITS, (wanted,), 0.0)
    assert outcome == Outcome(written=("HTTPRoute/digits",) if want else ())


async def test_both_routes_are_tried_whatever_becomes_of_the_first() -> None:
    world = World(*map(live, (CPU, GPU, BEFORE, a_route("GRPCRoute", cpu=50, gpu=50))))
    world.api.refuses["HTTPRoute"] = AWAY
    outcome = await world.writer.move_weights(DIGITS, (NOW, a_route("GRPCRoute", cpu=100, gpu=0)), 0.0)
    assert outcome == Outcome(written=("GRPCRoute/digits",), postponed=TOLD)


AWAY = Retry("ApiUnavailable", 'failed calling webhook "check.example.com"')
TOLD = Refusal(reason=AWAY.reason, message=AWAY.message)
# what is put off, what stands, and what the route leads to in the end; `None`: it is not written
PUT_OFF: dict[str, tuple[str, tuple[builders.JSON, ...], dict[str, int] | None]] = {
    "a Service, of classes that have theirs": ("Service", (CPU, GPU, BEFORE), {"digits-cpu": 100, "digits-gpu": 0}),
    "a Service, of a class that has none": ("Service", (CPU, BEFORE), {"digits-cpu": 100}),
    "a Service, of the only class with weight": ("Service", (GPU, BEFORE), None),
    "a placeholder": ("EndpointSlice", (CPU, GPU, BEFORE), {"digits-cpu": 100, "digits-gpu": 0}),
    "a placeholder, and there is no route yet": ("EndpointSlice", (CPU, GPU), {"digits-cpu": 100, "digits-gpu": 0}),
}


@builders.table(PUT_OFF)
async def test_what_is_put_off_keeps_no_route_from_being_written_as_far_as_it_leads(
    case: tuple[str, tuple[builders.JSON, ...], dict[str, int] | None],
) -> None:
    put_off, there, want = case
    world = World(*map(live, there))
    world.api.refuses[put_off] = AWAY
    services = [service(f"digits-{name}", name, type="ClusterIP") for name in ("cpu", "gpu")]
    policy = {**service(), "kind": "NetworkPolicy"}
    outcome = await world.act(*services, of_kind("EndpointSlice"), NOW, policy)
    assert outcome.postponed == TOLD
    assert ("NetworkPolicy", "digits") not in world.api.objects, "the rest waits"
    assert ("HTTPRoute/digits" in outcome.written) is (want is not None)
    if want is not None:
        assert leads_to(world) == want


async def test_what_was_put_off_before_holds_back_all_but_the_routes() -> None:
    world = World(*map(live, (CPU, GPU, BEFORE)))
    before = Outcome(postponed=TOLD)
    manifests = (service("digits"), NOW, of_kind("Deployment"))
    outcome = await world.writer.act(DIGITS, manifests, frozenset(), 0.0, before=before)
    assert outcome == Outcome(written=("HTTPRoute/digits",), postponed=TOLD)
    assert world.api.calls == ["apply HTTPRoute/digits"]


async def test_what_was_removed_before_a_removal_is_put_off_is_told() -> None:
    world = World(live(service("a")), live(service("b")))
    world.api.keeps["b"] = Retry("Conflict", "Service: 409 replaced meanwhile")
    assert await world.act() == Outcome(
        written=("Service/a",), postponed=Refusal(reason="Conflict", message="Service: 409 replaced meanwhile")
    )


# --- What is no longer wanted ----------------------------------------------------------------------------------------


async def test_a_refused_removal_is_told() -> None:
    world = World(builders.owned("Service", "a"))
    world.api.keeps["a"] = Reject("Forbidden", "Service refused: no right to delete")
    want = Outcome(refused=(Refusal(reason="Forbidden", message="Service refused: no right to delete"),))
    assert await world.act() == want


async def test_what_is_ours_and_no_longer_wanted_is_removed_by_its_uid() -> None:
    world = World(live(service()), live(service("digits-old", "old")))
    assert (await world.act(service())).written == ("Service/digits-old",)
    assert world.api.calls == ["delete Service/digits-old uid-digits-old"]
    assert world.store.get(kube.SERVICE, ("demo", "digits-old")) is None


async def test_a_class_that_is_not_to_be_touched_keeps_its_objects() -> None:
    world = World(live(service("digits-old", "old")), live(service("digits-gone", "gone")))
    assert (await world.act(untouched=frozenset({"old"}))).written == ("Service/digits-gone",)


async def test_what_carries_our_label_and_is_not_ours_is_never_removed() -> None:
    world = World(live(service("digits-old", "old"), owner="uid-of-somebody"))
    assert await world.act() == Outcome()


async def test_what_is_remembered_of_deleted_objects_is_dropped() -> None:
    world = World()
    await world.act(service(cpu="1000m"))
    world.store.remove(kube.SERVICE, world.api.objects["Service", "digits"])
    world.writer.forget_deleted()
    assert (await world.act(service(cpu="1000m"))).written == ("Service/digits",)

"""The loop, with an API server in memory that takes a status and puts every other write off."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

import builders
from clock import now, run
from heteroserve import handlers, kube, loop
from heteroserve.act import carry_out
from heteroserve.errors import Reject, Retry
from heteroserve.loop import Loop
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import Snapshot
from heteroserve.observe.asker import Ask
from heteroserve.observe.metrics import FleetSamples, Prometheus
from heteroserve.observe.store import Wish
from heteroserve.settings import Settings

MESSAGE = 'Deployment: 500 failed calling webhook "check.example.com"'


class Api:
    """One InferenceDeployment and one HardwareClass, the statuses that were written, and when an apply was tried."""

    def __init__(self) -> None:
        self.objects = {raw["kind"]: raw for raw in (builders.raw_deployment(), builders.raw_hardware())}
        self.unlistable: dict[str, Exception] = {}
        self.listed: list[tuple[float, str]] = []
        self.tries: list[float] = []
        self.events: list[str] = []
        self.version = 1

    async def list(
        self, kind: kube.Kind, read: Callable[[builders.JSON], Any], namespace: str | None = None
    ) -> list[Any]:
        self.listed.append((now(), kind.kind))
        if kind.kind in self.unlistable:
            raise self.unlistable[kind.kind]
        return [read(raw) for name, raw in self.objects.items() if name == kind.kind]

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> None:
        return None

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.tries.append(now())
        raise Retry("ApiUnavailable", MESSAGE)

    async def replace_status(
        self, kind: kube.Kind, namespace: str | None, name: str, status: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.version += 1
        old = self.objects[kind.kind]
        metadata = {**old["metadata"], "resourceVersion": str(self.version)}
        self.objects[kind.kind] = {**old, "metadata": metadata, "status": status}
        return self.objects[kind.kind]

    async def create(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.events.append(body["reason"])
        return body


@pytest.fixture(autouse=True)
def _no_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(self: Prometheus) -> FleetSamples:
        return FleetSamples()

    monkeypatch.setattr(Prometheus, "fetch", fetch)


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loop, carry_out):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now))


@pytest.fixture(autouse=True)
def _nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a pulse, whose beats would make this clock's times less round."""

    async def ask(address: str, model: str) -> bool:
        return True

    asks(monkeypatch, ask)


def asks(monkeypatch: pytest.MonkeyPatch, ask: Ask) -> None:
    @contextlib.asynccontextmanager
    async def asker() -> AsyncIterator[Ask]:
        yield ask

    monkeypatch.setattr(loop, "asker", asker)


async def live(api: Api, seconds: float, *, then: Callable[[Loop], Any] = lambda _: None) -> Any:
    """The operator, for so long; what `then` finds at the end."""
    operator = Loop(Settings(prometheus_url="http://prometheus"), api)  # type: ignore[arg-type]
    working = asyncio.create_task(operator.run())
    await asyncio.sleep(seconds)
    found = then(operator)
    assert not working.done()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return found


def test_the_tick_leaves_growing_pauses_to_what_fails() -> None:
    api = Api()
    run(live(api, 29))  # the tick comes every 5 s
    assert api.tries == [0, 1, 3, 7, 15]


def test_a_write_that_is_put_off_is_told_in_the_status() -> None:
    api = Api()
    run(live(api, 0.5))
    conditions = {c["type"]: c for c in api.objects["InferenceDeployment"]["status"]["conditions"]}
    found = conditions["Reconciling"]
    assert (found["status"], found["reason"], found["message"]) == ("True", "ApiUnavailable", MESSAGE)
    assert api.events, "what was decided is announced"


def test_what_is_wrong_with_a_class_is_announced_once() -> None:
    api = Api()
    run(live(api, 29))
    conditions = {c["type"]: c["reason"] for c in api.objects["HardwareClass"]["status"]["conditions"]}
    assert conditions == {"Ready": "NoNodes", "Evacuated": "NotAsked"}
    assert api.events.count("NoNodes") == 1
    assert "NotAsked" not in api.events


def test_what_is_put_off_again_says_nothing_new() -> None:
    api = Api()
    run(live(api, 0.5))
    told = api.version, list(api.events)
    run(live(api, 29))
    assert (api.version, api.events) == told


# --- What cannot be listed -------------------------------------------------------------------------------------------

FORBIDDEN = Reject("Forbidden", "no right")


def test_a_kind_that_cannot_be_listed_holds_up_nobody_and_is_asked_for_less_and_less(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = Api()
    api.unlistable["BackendTrafficPolicy"] = FORBIDDEN
    run(live(api, 100))
    assert api.tries, "the deployment is worked on"
    times = [at for at, kind in api.listed if kind == "BackendTrafficPolicy"]
    assert times == [0, 1, 3, 7, 15, 31, 61, 91]
    assert [at for at, kind in api.listed if kind == "Node"] == [0, 30, 60, 90]
    told = {(r.message, vars(r)["kind"]) for r in caplog.records if "kind" in vars(r)}
    assert told == {("a kind cannot be listed", "BackendTrafficPolicy")}


@pytest.mark.parametrize("kind", sorted(k.kind for k in loop.NEEDED))
def test_nothing_is_decided_without_what_a_decision_sees(kind: str) -> None:
    api = Api()
    api.unlistable[kind] = FORBIDDEN
    run(live(api, 100))
    assert (api.tries, api.version) == ([], 1)


def test_it_is_decided_as_soon_as_all_that_is_needed_was_listed() -> None:
    api = Api()
    api.unlistable["Node"] = Retry("ApiUnavailable", "away")

    async def story() -> None:
        asyncio.get_running_loop().call_later(5, api.unlistable.clear)
        await live(api, 20)

    run(story())
    assert api.tries[0] == 7


def test_a_bug_in_a_listing_ends_neither_the_operator_nor_the_listing(caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    api.unlistable["NetworkPolicy"] = ZeroDivisionError()
    run(live(api, 2))
    assert [at for at, kind in api.listed if kind == "NetworkPolicy"] == [0, 1]
    assert "listing a kind failed" in [r.message for r in caplog.records if r.levelno == logging.ERROR]


def test_a_bug_in_asking_prometheus_costs_the_samples_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(self: Prometheus) -> FleetSamples:
        raise ZeroDivisionError

    monkeypatch.setattr(Prometheus, "fetch", fetch)
    api = Api()
    samples = run(live(api, 20, then=lambda operator: operator._samples))
    assert samples == FleetSamples(error="ZeroDivisionError")
    assert api.tries, "the deployment is worked on"


HEALTH: dict[str, tuple[dict[str, Exception], float, str | None]] = {
    "everything is listed": ({}, 1000, None),
    "what is not needed cannot be": ({"BackendTrafficPolicy": FORBIDDEN}, 1000, None),
    "what is needed cannot be, for a while": ({"Node": FORBIDDEN}, 299, None),
    "what is needed never can be": (
        {"Node": FORBIDDEN},
        301,
        "the first listing is not complete after 301 s: the log names what cannot be listed",
    ),
}


@builders.table(HEALTH)
def test_what_healthz_fails_for(case: tuple[dict[str, Exception], float, str | None]) -> None:
    unlistable, seconds, want = case
    api = Api()
    api.unlistable |= unlistable
    assert run(live(api, seconds, then=handlers.complaint)) == want


def test_an_api_server_that_goes_away_later_is_no_reason_to_restart() -> None:
    api = Api()
    away = {kind.kind: Retry("ApiUnavailable", "away") for kind in kube.OBSERVED}

    async def story() -> Any:
        asyncio.get_running_loop().call_later(5, api.unlistable.update, away)
        return await live(api, 1000, then=handlers.complaint)

    assert run(story()) is None


def test_the_age_of_our_knowledge_is_that_of_the_kind_listed_longest_ago() -> None:
    api = Api()

    async def story(kind: str, since: float) -> Any:
        asyncio.get_running_loop().call_later(since, api.unlistable.update, {kind: FORBIDDEN})
        return await live(api, 95, then=Loop.resync_age_seconds)

    assert run(story("Service", 35)) == 65
    assert run(story("Service", 0)) is None


# --- Who is next -----------------------------------------------------------------------------------------------------

MANY = 1000
CALLED = tuple(f"d{number}" for number in range(MANY))


class Crowd(Api):
    """A thousand deployments, of which the last one has a pod that serves."""

    def __init__(self) -> None:
        super().__init__()
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.pod = builders.raw_pod(spec={"nodeName": "cpu-0"}, status=ready)
        self.pod["metadata"]["labels"] |= {
            "heteroserve.dev/deployment": CALLED[-1],
            "heteroserve.dev/serving": "true",
        }
        self.objects = {"Pod": self.pod, "Node": builders.raw_node()}

    async def list(
        self, kind: kube.Kind, read: Callable[[builders.JSON], Any], namespace: str | None = None
    ) -> list[Any]:
        if kind is kube.INFERENCE_DEPLOYMENT:
            return [read(builders.raw_deployment(name)) for name in CALLED]
        return await super().list(kind, read, namespace)


class Busy(Loop):
    """Only counts its reconciles, which write nothing and wait for nothing, or for ever. In the tenth a pod fails."""

    def __init__(self, api: Crowd, *, hangs: bool) -> None:
        super().__init__(Settings(tick_seconds=10), api)  # type: ignore[arg-type]
        self.order: list[str] = []
        self.pod, self.hangs = api.pod, hangs

    async def reconcile(self, key: Key, wish: Wish) -> None:
        self.order.append(key.name)
        if len(self.order) == (3 if self.hangs else 10):
            asyncio.get_running_loop().call_soon(self.fail)
        if self.hangs:
            await asyncio.Event().wait()

    def fail(self) -> None:
        metadata = {**self.pod["metadata"], "resourceVersion": "2"}
        self.feed.event(kube.POD, "MODIFIED", {**self.pod, "metadata": metadata, "status": {}})


def order_of(*, hangs: bool) -> list[str]:
    async def story() -> list[str]:
        busy = Busy(Crowd(), hangs=hangs)
        working = asyncio.create_task(busy.run())
        await asyncio.sleep(5)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return busy.order

    found: list[str] = run(story())
    return found


def test_a_thousand_looks_do_not_delay_a_failure() -> None:
    order = order_of(hangs=False)
    assert order.index(CALLED[-1]) < 10 + loop.WORKERS
    assert set(order) == set(CALLED), "everybody has had a look"


def test_three_are_worked_on_at_a_time_and_a_failure_beside_them() -> None:
    """While the API server answers nobody, say."""
    assert order_of(hangs=True) == [*sorted(CALLED)[:3], CALLED[-1]]


# --- What we find out ourselves --------------------------------------------------------------------------------------


class Watching(Loop):
    """Decides nothing, and keeps what it would have decided from."""

    def __init__(self, api: Api) -> None:
        super().__init__(Settings(tick_seconds=10), api)  # type: ignore[arg-type]
        self.seen: list[tuple[float, Snapshot]] = []

    async def reconcile(self, key: Key, wish: Wish) -> None:
        self.seen.append((now(), self._observer.observe(wish, FleetSamples(), builders.NOW)))

    def first(self, time: float) -> Snapshot:
        """What was seen at that time."""
        return next(snapshot for at, snapshot in self.seen if at == pytest.approx(time))


def one_pod() -> Api:
    """A ready pod on a node whose kubelet never renews its Lease."""
    api = Api()
    ready = {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]}
    lease = builders.raw("Lease", "cpu-0", namespace="kube-node-lease") | {
        "spec": {"renewTime": "2026-01-02T12:00:00Z"}
    }
    pod = builders.raw_pod(spec={"nodeName": "cpu-0"}, status=ready)
    api.objects |= {"Pod": pod, "Node": builders.raw_node("cpu-0"), "Lease": lease}
    return api


def answering(monkeypatch: pytest.MonkeyPatch, until: float) -> None:
    """The pod answers, and hangs from then on."""

    async def ask(address: str, model: str) -> bool:
        assert (address, model) == ("10.0.0.7", "digits")
        if now() > until:
            await asyncio.sleep(0.3)
        return now() <= until

    asks(monkeypatch, ask)


def watch(api: Api, seconds: float) -> Watching:
    async def story() -> Watching:
        watching = Watching(api)
        working = asyncio.create_task(watching.run())
        await asyncio.sleep(seconds)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert working.cancelled()
        return watching

    found: Watching = run(story())
    return found


def test_a_pod_that_stops_answering_is_looked_at_as_soon_as_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, until=2.5)
    found = watch(one_pod(), 5).first(3.6)
    assert found.probes == {"uid-digits-cpu-0": 2}
    assert (found.vitals["cpu-0"].asked, found.vitals["cpu-0"].failing, found.vitals["cpu-0"].bad_seconds) == (1, 1, 0)


def test_a_node_whose_lease_expires_is_looked_at_as_soon_as_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, until=999)
    found = watch(one_pod(), 26).first(25)
    assert found.probes == {"uid-digits-cpu-0": 0}
    assert found.vitals["cpu-0"].lease_age_seconds == pytest.approx(25)


def test_since_when_a_node_is_bad_is_known_even_where_nobody_deployed_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    api = one_pod()
    deployment = api.objects.pop("InferenceDeployment")

    async def story() -> Watching:
        watching = Watching(api)
        working = asyncio.create_task(watching.run())
        await asyncio.sleep(65)
        watching.feed.event(kube.INFERENCE_DEPLOYMENT, "ADDED", deployment)
        await asyncio.sleep(1)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return watching

    _, first = run(story()).seen[0]
    assert first.vitals["cpu-0"].bad_seconds == pytest.approx(65 - 30)  # the tick after the Lease had expired


def test_nothing_is_asked_or_heard_before_everything_was_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Api):
        async def list(
            self, kind: kube.Kind, read: Callable[[builders.JSON], Any], namespace: str | None = None
        ) -> list[Any]:
            assert kind is not kube.LEASE or now() >= 3
            if now() < 3:
                raise Retry("ApiUnavailable", "away")
            return await super().list(kind, read, namespace)

    answering(monkeypatch, until=999)
    late = Late()
    late.objects |= one_pod().objects
    assert [at for at, _ in watch(late, 4).seen] == [pytest.approx(3)]


def test_heartbeats_that_may_not_be_read_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, until=999)
    api = one_pod()
    api.unlistable["Lease"] = FORBIDDEN
    found = watch(api, 31).first(30)
    assert (found.probes, found.vitals["cpu-0"].lease_age_seconds) == ({"uid-digits-cpu-0": 0}, None)


# --- What pods are told ----------------------------------------------------------------------------------------------


class Marking(Api):
    """Takes every write, and keeps their order; a ready pod stands on one of two nodes, which somebody cordoned."""

    def __init__(self, *, marking: Exception | None = None, writing: Exception | None = None) -> None:
        super().__init__()
        self.marking, self.writing = marking, writing
        self.written: list[str] = []
        self.uids: set[str] = set()
        self.switch: builders.JSON | None = None
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        pod = builders.raw_pod(spec={"nodeName": "cpu-0"}, status=ready)
        pod["metadata"]["labels"] |= {"heteroserve.dev/serving": "true"}
        node = builders.raw_node("cpu-0", metadata={"labels": {"pool": "cpu"}}, spec={"unschedulable": True})
        workload = builders.owned("Deployment", "digits-cpu", class_name="cpu", spec={"replicas": 1})
        service = builders.owned("Service", "digits-cpu", class_name="cpu", spec={})
        self.objects |= {"Pod": pod, "Node": node, "Deployment": workload, "Service": service}

    async def list(
        self, kind: kube.Kind, read: Callable[[builders.JSON], Any], namespace: str | None = None
    ) -> list[Any]:
        found = await super().list(kind, read, namespace)
        other = builders.raw_node("cpu-1", metadata={"labels": {"pool": "cpu"}})
        return [*found, read(other)] if kind is kube.NODE else found

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> Any:
        return self.switch if kind is kube.CONFIG_MAP else None

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.written.append(f"{kind.kind}/{body['metadata']['name']}")
        if self.writing:
            raise self.writing
        return {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": "2"}}

    async def merge_metadata(
        self, kind: kube.Kind, namespace: str, name: str, changes: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.written.append(f"{kind.kind}/{name}")
        self.uids.add(uid)
        if self.marking:
            raise self.marking
        metadata = {**self.objects["Pod"]["metadata"], "annotations": changes["annotations"], "resourceVersion": "2"}
        self.objects["Pod"] = {**self.objects["Pod"], "metadata": metadata}
        return self.objects["Pod"]

    @property
    def reconciling(self) -> tuple[str, str, str]:
        found = {c["type"]: c for c in self.objects["InferenceDeployment"]["status"]["conditions"]}["Reconciling"]
        return found["status"], found["reason"], found["message"]

    @property
    def stalled(self) -> tuple[str, str, str]:
        found = {c["type"]: c for c in self.objects["InferenceDeployment"]["status"]["conditions"]}["Stalled"]
        return found["status"], found["reason"], found["message"]


POD = "Pod/digits-cpu-0"


def test_a_pod_is_marked_after_what_is_asked_for_in_its_place_and_once() -> None:
    api = Marking()
    run(live(api, 20))
    assert api.written.index("Deployment/digits-cpu") < api.written.index(POD)
    assert (api.written.count(POD), api.uids) == (1, {"uid-digits-cpu-0"})


def unlabelled() -> Marking:
    """The node is fine again, and the pod is of a time when Services asked for no label."""
    api = Marking()
    del api.objects["Pod"]["metadata"]["labels"]["heteroserve.dev/serving"]
    del api.objects["Node"]["spec"]
    return api


def test_a_pod_comes_into_the_traffic_before_a_service_asks_for_that() -> None:
    api = unlabelled()
    run(live(api, 0.5))
    assert api.written[:2] == [POD, "Service/digits"]


def test_while_a_pod_cannot_come_into_the_traffic_no_service_asks_for_that() -> None:
    api = unlabelled()
    api.marking = Retry("ApiUnavailable", "away")
    run(live(api, 0.5))
    assert api.written == [POD]
    assert api.reconciling == ("True", "ApiUnavailable", "away")


def test_that_a_pod_may_not_be_marked_is_told_and_stops_nothing() -> None:
    api = unlabelled()
    api.marking = Reject("Forbidden", "no right to patch pods")
    run(live(api, 0.5))
    assert "Deployment/digits-cpu" in api.written
    assert api.stalled == ("True", "Forbidden", "no right to patch pods")


def test_nobody_is_marked_while_the_writes_before_are_put_off() -> None:
    api = Marking(writing=Retry("ApiUnavailable", MESSAGE))
    run(live(api, 20))
    assert POD not in api.written


def test_a_mark_that_is_put_off_is_told_and_tried_again_with_growing_pauses() -> None:
    api = Marking(marking=Retry("ApiUnavailable", "away"))
    run(live(api, 0.5))
    assert api.reconciling == ("True", "ApiUnavailable", "away")
    run(live(api, 16))
    assert api.written.count(POD) == 1 + 5  # at 0 before, then at 0, 1, 3, 7 and 15


def test_a_mark_that_is_refused_is_told_and_stops_nothing() -> None:
    api = Marking(marking=Reject("Forbidden", "no right to patch pods"))
    run(live(api, 2))
    assert api.stalled == ("True", "Forbidden", "no right to patch pods")


# --- The switch for the whole fleet ----------------------------------------------------------------------------------


def switch(paused: str) -> builders.JSON:
    return {
        **builders.raw("ConfigMap", "heteroserve-controls", namespace="heteroserve-system"),
        "data": {"paused": paused},
    }


def test_paused_from_the_start_nothing_but_the_status_is_written() -> None:
    api = Marking()
    api.switch = switch("true")
    run(live(api, 20))
    assert api.written == []
    why = "the ConfigMap heteroserve-system/heteroserve-controls says paused: nothing is changed"
    assert api.reconciling == ("False", "Paused", why)


def test_a_pause_holds_within_five_seconds_and_is_over_within_five() -> None:
    api = Marking()

    def forget() -> None:
        api.written.clear()
        del api.objects["Pod"]["metadata"]["annotations"]  # so that there is something to do again

    async def story() -> list[int]:
        counts: list[int] = []
        clock = asyncio.get_running_loop()
        clock.call_later(10, setattr, api, "switch", switch("true"))
        clock.call_later(15, forget)
        clock.call_later(29, lambda: counts.append(len(api.written)))
        clock.call_later(30, setattr, api, "switch", None)
        await live(api, 35)
        return [*counts, len(api.written)]

    while_paused, after = run(story())
    assert (while_paused, after > 0) == (0, True)


def test_nothing_is_done_before_the_switch_is_known() -> None:
    api = Marking()

    class Late(Marking):
        async def get(self, kind: kube.Kind, namespace: str, name: str) -> Any:
            if kind is kube.CONFIG_MAP and now() < 6:
                raise Retry("ApiUnavailable", "away")
            return None

    api = Late()
    run(live(api, 5.5))
    assert (api.written, api.version) == ([], 1)
    run(live(api, 7))
    assert api.written


def test_when_the_api_server_is_back_nobody_waits_out_his_pause() -> None:
    returned = 65.5

    class Away(Marking):
        """Answers nothing from the fifth second on, until it is back."""

        def check(self) -> None:
            if 5 < now() < returned:
                raise Retry("ApiUnavailable", "away")

        async def list(self, *args: Any) -> list[Any]:
            self.listed.append((now(), args[0].kind))
            self.check()
            return await super().list(*args)

        async def get(self, *args: Any) -> Any:
            self.check()
            return await super().get(*args)

        async def merge_metadata(self, *args: Any, **options: Any) -> Any:
            self.tries.append(now())
            self.check()
            return await super().merge_metadata(*args, **options)

    api = Away()

    def forget() -> None:
        del api.objects["Pod"]["metadata"]["annotations"]  # so that there is something to do

    async def story() -> None:
        asyncio.get_running_loop().call_later(4, forget)
        await live(api, returned + 4)

    run(story())
    after = returned + 2
    assert next(at for at in api.tries if at > returned) <= after
    relisted = {kind for at, kind in api.listed if returned < at <= after}
    assert relisted == {kind.kind for kind in kube.OBSERVED}

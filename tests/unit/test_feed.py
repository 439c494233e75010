from collections.abc import Callable, Iterable
from typing import Any

import pytest

import builders
from heteroserve import kube
from heteroserve.errors import Retry
from heteroserve.model.deployment import Key
from heteroserve.observe.feed import Feed, key_of, subject_of
from heteroserve.observe.store import Store
from heteroserve.wake import Call, Subject

DIGITS = Subject(kind="InferenceDeployment", namespace="demo", name="digits")
OTHER = Subject(kind="InferenceDeployment", namespace="demo", name="other")
CPU = Subject(kind="HardwareClass", namespace="", name="cpu")
EVERYBODY = [DIGITS, OTHER, CPU]


class Bell:
    """A feed, and who was rung for."""

    def __init__(self) -> None:
        self.store, self.rung = Store(), list[tuple[Subject, Call]]()
        self.feed = Feed(self.store, lambda subject, call: self.rung.append((subject, call)))
        self.event(kube.INFERENCE_DEPLOYMENT, builders.raw_deployment("digits"))
        self.event(kube.INFERENCE_DEPLOYMENT, builders.raw_deployment("other"))
        self.event(kube.HARDWARE_CLASS, builders.raw_hardware("cpu"))
        self.rung.clear()

    def event(self, kind: kube.Kind, raw: builders.JSON, event_type: str | None = "MODIFIED") -> None:
        self.feed.event(kind, event_type, raw)

    async def resync(self, api: Any) -> None:
        for kind in kube.OBSERVED:
            await self.feed.resync(api, kind)


class Api:
    """Lists what it is given; of other kinds there is nothing, or there is no such kind."""

    def __init__(self, objects: dict[str, list[builders.JSON]], absent: Iterable[str] = ()) -> None:
        self.objects, self.absent = objects, set(absent)

    async def list(self, kind: kube.Kind, read: Callable[[builders.JSON], Any]) -> list[Any] | None:
        return None if kind.kind in self.absent else [read(raw) for raw in self.objects.get(kind.kind, [])]


KNOWN: dict[str, list[builders.JSON]] = {
    "InferenceDeployment": [builders.raw_deployment("digits"), builders.raw_deployment("other")],
    "HardwareClass": [builders.raw_hardware("cpu")],
}
CONCERNS: dict[str, tuple[kube.Kind, builders.JSON, list[tuple[Subject, Call]]]] = {
    "a deployment concerns itself": (
        kube.INFERENCE_DEPLOYMENT,
        builders.raw_deployment("digits", paused=True),
        [(DIGITS, Call.CHANGE)],
    ),
    "a pod concerns its deployment, at once": (kube.POD, builders.raw_pod(), [(DIGITS, Call.FAILURE)]),
    "what we own concerns its deployment": (
        kube.HTTP_ROUTE,
        builders.owned("HTTPRoute", "digits"),
        [(DIGITS, Call.CHANGE)],
    ),
    "a node may concern anybody, at once": (kube.NODE, builders.raw_node("n"), [(s, Call.FAILURE) for s in EVERYBODY]),
    "a node with a label of ours is a node all the same": (
        kube.NODE,
        builders.raw_node("n", metadata={"labels": {"heteroserve.dev/deployment": "digits"}}),
        [(s, Call.FAILURE) for s in EVERYBODY],
    ),
    "a pod of nobody's concerns nobody, whoever says that it is managed by us": (
        kube.POD,
        builders.raw("Pod", "stranger", labels={"app.kubernetes.io/managed-by": "heteroserve"}),
        [],
    ),
    "a hardware class may concern anybody": (
        kube.HARDWARE_CLASS,
        builders.raw_hardware("cpu", cost={"perHour": "0.20"}),
        [(s, Call.CHANGE) for s in EVERYBODY],
    ),
}


@builders.table(CONCERNS)
def test_whom_an_event_concerns(case: tuple[kube.Kind, builders.JSON, list[tuple[Subject, Call]]]) -> None:
    kind, raw, want = case
    bell = Bell()
    bell.event(kind, raw)
    assert bell.rung == want


@pytest.mark.parametrize("event_type", ["ADDED", "MODIFIED", None])
def test_what_says_nothing_new_rings_for_nobody(event_type: str | None) -> None:
    bell = Bell()
    bell.event(kube.INFERENCE_DEPLOYMENT, builders.raw_deployment("digits"), event_type)
    assert bell.rung == []


def test_a_deletion_is_learned_and_rings() -> None:
    bell = Bell()
    bell.event(kube.INFERENCE_DEPLOYMENT, builders.raw_deployment("digits"), "DELETED")
    assert bell.rung == [(DIGITS, Call.CHANGE)]
    assert bell.feed.subjects() == [OTHER, CPU]


def test_the_deletion_of_what_is_not_known_rings_for_nobody() -> None:
    bell = Bell()
    bell.event(kube.POD, builders.raw_pod(), "DELETED")
    assert bell.rung == []


def test_everybody_is_rung_for_as_they_are_called() -> None:
    bell = Bell()
    bell.feed.everybody(Call.ROUTINE)
    assert bell.rung == [(subject, Call.ROUTINE) for subject in EVERYBODY]


def test_who_stands_on_a_node_is_rung_for_as_of_a_failure() -> None:
    bell = Bell()
    bell.event(kube.POD, builders.raw_pod("digits-cpu-0", spec={"nodeName": "cpu-0"}))
    bell.event(kube.POD, builders.raw_pod("digits-cpu-1", spec={"nodeName": "cpu-1"}))
    bell.rung.clear()
    bell.feed.standing_on({"cpu-2"})
    assert bell.rung == []
    bell.feed.standing_on({"cpu-0", "cpu-1", "cpu-2"})
    assert bell.rung == [(DIGITS, Call.FAILURE)]


async def test_a_list_that_says_nothing_new_rings_for_nobody() -> None:
    bell = Bell()
    await bell.resync(Api(KNOWN))
    assert bell.rung == []


async def test_a_list_rings_for_everybody_when_a_watch_missed_something() -> None:
    bell = Bell()
    await bell.resync(Api({**KNOWN, "Node": [builders.raw_node("n")]}))
    assert bell.rung == [(subject, Call.CHANGE) for subject in EVERYBODY]
    assert [n.name for n in bell.store.nodes()] == ["n"]


async def test_a_deployment_that_a_watch_missed_the_end_of_is_rung_for() -> None:
    bell = Bell()
    await bell.resync(Api({**KNOWN, "InferenceDeployment": [builders.raw_deployment("digits")]}))
    assert bell.rung == [(DIGITS, Call.CHANGE), (CPU, Call.CHANGE), (OTHER, Call.CHANGE)]


async def test_a_list_learns_which_kinds_there_are_not() -> None:
    bell = Bell()
    await bell.resync(Api(KNOWN, absent={"HTTPRoute"}))
    assert bell.store.absent == {"HTTPRoute"}


async def test_a_list_that_fails_forgets_nothing() -> None:
    class Away:
        async def list(self, kind: kube.Kind, read: Any) -> Any:
            raise Retry("ApiUnavailable", "the API server did not answer")

    bell = Bell()
    with pytest.raises(Retry):
        await bell.resync(Away())
    assert bell.feed.subjects() == EVERYBODY


async def test_what_is_learned_during_a_list_stays() -> None:
    bell = Bell()

    class Slow(Api):
        async def list(self, kind: kube.Kind, read: Callable[[builders.JSON], Any]) -> list[Any] | None:
            if kind is kube.POD:
                bell.event(kube.POD, builders.raw_pod("digits-cpu-7"))
            return await super().list(kind, read)

    await bell.resync(Slow(KNOWN))
    assert [p.name for p in bell.store.pods(builders.KEY)] == ["digits-cpu-7"]


async def test_what_was_deleted_during_a_list_is_not_brought_back_and_its_namesake_is_learned() -> None:
    bell = Bell()
    first, second = (builders.raw_pod("digits-cpu-7", metadata={"uid": uid}) for uid in ("first", "second"))
    bell.event(kube.POD, first)

    class Slow(Api):
        async def list(self, kind: kube.Kind, read: Callable[[builders.JSON], Any]) -> list[Any] | None:
            answer = await super().list(kind, read)
            if kind is kube.POD:
                bell.event(kube.POD, first, "DELETED")
            return answer

    await bell.resync(Slow({**KNOWN, "Pod": [first]}))
    assert bell.store.pods(builders.KEY) == ()
    await bell.resync(Api({**KNOWN, "Pod": [second]}))
    assert [p.uid for p in bell.store.pods(builders.KEY)] == ["second"]


def test_subjects_and_keys() -> None:
    assert subject_of(kube.INFERENCE_DEPLOYMENT, "demo", "digits") == DIGITS
    assert key_of(DIGITS) == Key(namespace="demo", name="digits")

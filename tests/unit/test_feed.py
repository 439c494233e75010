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
    "a pod that is new concerns its deployment, in its turn": (kube.POD, builders.raw_pod(), [(DIGITS, Call.CHANGE)]),
    "what we own concerns its deployment": (
        kube.HTTP_ROUTE,
        builders.owned("HTTPRoute", "digits"),
        [(DIGITS, Call.CHANGE)],
    ),
    "a node that is new may concern anybody, in their turn": (
        kube.NODE,
        builders.raw_node("n"),
        [(s, Call.CHANGE) for s in EVERYBODY],
    ),
    "a node with a label of ours is a node all the same": (
        kube.NODE,
        builders.raw_node("n", metadata={"labels": {"heteroserve.dev/deployment": "digits"}}),
        [(s, Call.CHANGE) for s in EVERYBODY],
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
    bell.feed.standing_on({"cpu-2"}, Call.FAILURE)
    assert bell.rung == []
    bell.feed.standing_on({"cpu-0", "cpu-1", "cpu-2"}, Call.FAILURE)
    bell.feed.standing_on({"cpu-0"}, Call.CHANGE)
    assert bell.rung == [(DIGITS, Call.FAILURE), (DIGITS, Call.CHANGE)]


# --- What is a failure -----------------------------------------------------------------------------------------------


def worse_node(**fields: Any) -> builders.JSON:
    """The node below `digits`, by its next version."""
    metadata = {"resourceVersion": "2", **fields.pop("metadata", {})}
    status = {"allocatable": {"example.com/gpu": "4"}, **fields.pop("status", {})}
    return builders.raw_node("cpu-0", metadata=metadata, status=status, **fields)


def conditions(**states: str) -> list[builders.JSON]:
    return [{"type": name, "status": state} for name, state in states.items()]


LATER: dict[str, Any] = {"deletionTimestamp": "2026-01-02T12:00:00Z"}
NODES: dict[str, tuple[builders.JSON, bool]] = {
    "not ready": (worse_node(ready="False"), True),
    "silent": (worse_node(ready="Unknown"), True),
    "cordoned": (worse_node(spec={"unschedulable": True}), True),
    "tainted": (worse_node(spec={"taints": [{"key": "example.com/x", "effect": "NoSchedule"}]}), True),
    "on its way out": (worse_node(metadata=LATER), True),
    "to be evacuated": (worse_node(metadata={"labels": {"heteroserve.dev/evacuate": ""}}), True),
    "in a drill": (
        worse_node(metadata={"annotations": {"heteroserve.dev/drill-until": "2026-01-02T12:05:00Z"}}),
        True,
    ),
    "with a condition that some class may mind": (
        worse_node(status={"conditions": conditions(Ready="True", Overheated="True")}),
        True,
    ),
    "with a device less": (worse_node(status={"allocatable": {"example.com/gpu": "3"}}), True),
    "with no device any more": (worse_node(status={"allocatable": {}}), True),
    "with a device more": (worse_node(status={"allocatable": {"example.com/gpu": "5"}}), False),
    "with another label": (worse_node(metadata={"labels": {"example.com/mood": "fine"}}), False),
}


@builders.table(NODES)
def test_a_node_that_got_worse_is_a_failure_of_those_who_stand_on_it(case: tuple[builders.JSON, bool]) -> None:
    raw, want = case
    bell = Bell()
    bell.event(kube.NODE, {**worse_node(), "metadata": {**worse_node()["metadata"], "resourceVersion": "1"}})
    bell.event(kube.POD, builders.raw_pod(spec={"nodeName": "cpu-0"}))
    bell.rung.clear()
    bell.event(kube.NODE, raw)
    assert bell.rung == [*([(DIGITS, Call.FAILURE)] if want else []), *((s, Call.CHANGE) for s in EVERYBODY)]


def test_a_node_that_is_gone_is_a_failure_and_one_that_is_well_again_is_none() -> None:
    bell = Bell()
    bell.event(kube.POD, builders.raw_pod(spec={"nodeName": "cpu-0"}))
    bell.event(kube.NODE, worse_node(ready="Unknown", spec={"unschedulable": True}))
    bell.rung.clear()
    well = worse_node(metadata={"resourceVersion": "3"})
    bell.event(kube.NODE, well)
    assert bell.rung == [(s, Call.CHANGE) for s in EVERYBODY]
    bell.rung.clear()
    bell.event(kube.NODE, well, "DELETED")
    assert bell.rung == [(DIGITS, Call.FAILURE), *((s, Call.CHANGE) for s in EVERYBODY)]


def a_pod(version: int = 2, *, ready: str = "True", serving: str = "true", **fields: Any) -> builders.JSON:
    """A pod that serves, by its next version."""
    raw = builders.raw_pod(status={"conditions": conditions(Ready=ready), **fields.pop("status", {})})
    raw["metadata"]["labels"]["heteroserve.dev/serving"] = serving
    raw["metadata"] |= {"resourceVersion": str(version), **fields}
    return raw


BROKEN = [{"allocatedResourcesStatus": [{"name": "gpu", "resources": [{"health": "Unhealthy"}]}]}]
PODS: dict[str, tuple[builders.JSON, builders.JSON | None, Call]] = {
    "it is not ready any more": (a_pod(1), a_pod(ready="False"), Call.FAILURE),
    "somebody deletes it": (a_pod(1), a_pod(**LATER), Call.FAILURE),
    "it has ended": (a_pod(1), a_pod(status={"phase": "Failed"}), Call.FAILURE),
    "a device of it is broken": (a_pod(1), a_pod(status={"containerStatuses": BROKEN}), Call.FAILURE),
    "somebody takes it out of the traffic": (a_pod(1), a_pod(serving="false"), Call.FAILURE),
    "it is gone at a stroke": (a_pod(1), None, Call.FAILURE),
    "it is another one by now, which starts": (a_pod(1), a_pod(uid="second", ready="False"), Call.FAILURE),
    "it is ready now": (a_pod(1, ready="False"), a_pod(), Call.CHANGE),
    "it was never ready, and is gone": (a_pod(1, ready="False"), None, Call.CHANGE),
    "it ends after somebody deleted it": (a_pod(1, **LATER), a_pod(ready="False", **LATER), Call.CHANGE),
    "it goes after all others had taken over": (
        a_pod(1, serving="false"),
        a_pod(serving="false", **LATER),
        Call.CHANGE,
    ),
    "it has an address now": (a_pod(1), a_pod(status={"podIP": "10.0.0.7"}), Call.CHANGE),
}


@builders.table(PODS)
def test_a_pod_that_serves_no_more_is_a_failure_of_its_deployment(
    case: tuple[builders.JSON, builders.JSON | None, Call],
) -> None:
    before, after, want = case
    bell = Bell()
    bell.event(kube.POD, before)
    bell.rung.clear()
    bell.event(kube.POD, after or before, "MODIFIED" if after else "DELETED")
    assert bell.rung == [(DIGITS, want)]


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

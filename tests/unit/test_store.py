from typing import Any

import pytest

import builders
from heteroserve import kube
from heteroserve.model.snapshot import Memory
from heteroserve.observe.store import Hardware, Name, Store, Unreadable, Wish, read

POD, NODE, SERVICE, ROUTE = kube.POD, kube.NODE, kube.SERVICE, kube.HTTP_ROUTE
INFD, HWC = kube.INFERENCE_DEPLOYMENT, kube.HARDWARE_CLASS
NAME = ("demo", "digits-cpu-0")
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def pod(version: int = 1, *, uid: str = "a", ready: bool = False, name: str = "digits-cpu-0") -> builders.JSON:
    metadata = {"uid": uid, "resourceVersion": str(version)}
    return builders.raw_pod(name, metadata=metadata, status=READY if ready else {})


def replace(store: Store, kind: kube.Kind, listed: list[builders.JSON] | None, before: frozenset[Name]) -> list[Name]:
    return store.replace(kind, None if listed is None else [read(kind, raw) for raw in listed], before)


# --- One object at a time --------------------------------------------------------------------------------------------


def test_a_new_object_is_a_change() -> None:
    store = Store()
    assert store.put(POD, pod())
    assert store.get(POD, NAME).name == "digits-cpu-0"
    assert store.names(POD) == {NAME}


def test_the_same_again_is_none() -> None:
    store = Store()
    store.put(POD, pod(1))
    assert not store.put(POD, pod(1))


def test_a_newer_version_with_other_facts_is_a_change() -> None:
    store = Store()
    store.put(POD, pod(1))
    assert store.put(POD, pod(2, ready=True))
    assert store.get(POD, NAME).ready


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    store.put(POD, pod(10, ready=True))
    assert not store.put(POD, pod(9))
    assert store.get(POD, NAME).ready


def test_versions_are_numbers_and_no_texts() -> None:
    store = Store()
    store.put(POD, pod(9))
    assert store.put(POD, pod(10, ready=True))


def test_another_object_of_the_same_name_replaces_it_whatever_its_version() -> None:
    store = Store()
    store.put(POD, pod(10, uid="a"))
    assert store.put(POD, pod(3, uid="b"))
    assert store.get(POD, NAME).uid == "b"


def test_a_removed_object_is_gone() -> None:
    store = Store()
    store.put(POD, pod())
    assert store.remove(POD, pod(2))
    assert store.get(POD, NAME) is None
    assert store.pods(builders.KEY) == ()


def test_the_removal_of_its_predecessor_does_not_concern_an_object() -> None:
    store = Store()
    store.put(POD, pod(10, uid="b"))
    assert not store.remove(POD, pod(11, uid="a"))
    assert store.get(POD, NAME) is not None


def test_what_is_not_known_cannot_be_removed() -> None:
    assert not Store().remove(POD, pod())


HEARTBEATS: dict[str, tuple[kube.Kind, builders.JSON, builders.JSON]] = {
    "a node's lease of life": (
        NODE,
        builders.raw_node("n", metadata={"resourceVersion": "1"}),
        {
            **builders.raw_node("n", metadata={"resourceVersion": "2"}),
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T12:00:00Z"}]
            },
        },
    ),
    "the address of a pod's node": (
        POD,
        builders.raw_pod(),
        builders.raw_pod(metadata={"resourceVersion": "2"}, status={"hostIP": "10.0.0.1"}),
    ),
    "a Deployment's count of its pods": (
        kube.DEPLOYMENT,
        builders.owned("Deployment", "digits-cpu", spec={"replicas": 1}),
        builders.owned("Deployment", "digits-cpu", version=2, spec={"replicas": 1}, status={"readyReplicas": 1}),
    ),
    "who manages which field of a Service": (
        SERVICE,
        builders.owned("Service", "digits"),
        {
            **builders.owned("Service", "digits", version=2),
            "metadata": {**builders.owned("Service", "digits", version=2)["metadata"], "managedFields": [{}]},
        },
    ),
    "the time of a route's condition": (
        ROUTE,
        builders.owned("HTTPRoute", "digits", status={"parents": [{"conditions": [{"type": "Accepted"}]}]}),
        builders.owned(
            "HTTPRoute",
            "digits",
            version=2,
            status={"parents": [{"conditions": [{"type": "Accepted", "lastTransitionTime": "2026-01-02T12:00:00Z"}]}]},
        ),
    ),
}


@builders.table(HEARTBEATS)
def test_a_heartbeat_changes_nothing(case: tuple[kube.Kind, builders.JSON, builders.JSON]) -> None:
    kind, first, then = case
    store = Store()
    assert store.put(kind, first)
    revision = store.revision[kind.kind]
    assert not store.put(kind, then)
    assert store.revision[kind.kind] == revision


def test_what_a_gateway_says_of_a_route_is_a_fact() -> None:
    store = Store()
    store.put(ROUTE, builders.owned("HTTPRoute", "digits"))
    verdict = {"parents": [{"conditions": [{"type": "Accepted", "status": "False", "message": "no"}]}]}
    assert store.put(ROUTE, builders.owned("HTTPRoute", "digits", version=2, status=verdict))


# --- A LIST is the truth ---------------------------------------------------------------------------------------------


def test_what_a_list_does_not_contain_is_gone() -> None:
    store = Store()
    store.put(POD, pod(name="digits-cpu-0"))
    store.put(POD, pod(name="digits-cpu-1"))
    changed = replace(store, POD, [pod(name="digits-cpu-1")], store.names(POD))
    assert changed == [("demo", "digits-cpu-0")]
    assert [p.name for p in store.pods(builders.KEY)] == ["digits-cpu-1"]


def test_what_was_learned_while_it_was_asked_for_stays() -> None:
    store = Store()
    before = store.names(POD)
    store.put(POD, pod(5))
    assert replace(store, POD, [], before) == []
    assert store.names(POD) == {NAME}


def test_what_was_removed_while_it_was_asked_for_is_no_news() -> None:
    store = Store()
    store.put(POD, pod(5))
    before = store.names(POD)
    store.remove(POD, pod(6))
    assert replace(store, POD, [], before) == []


def test_what_was_removed_while_it_was_asked_for_is_not_brought_back() -> None:
    store = Store()
    store.put(POD, pod(5))
    before = store.names(POD)
    store.remove(POD, pod(6))
    assert replace(store, POD, [pod(5)], before) == []
    assert store.names(POD) == set()


def test_nor_is_what_was_never_seen_before_it_was_removed() -> None:
    store = Store()
    store.remove(POD, pod(6))
    assert replace(store, POD, [pod(5)], frozenset()) == []


def test_a_namesake_of_what_was_removed_while_it_was_asked_for_is_learned() -> None:
    store = Store()
    store.put(POD, pod(5, uid="a"))
    before = store.names(POD)
    store.remove(POD, pod(6, uid="a"))
    assert replace(store, POD, [pod(7, uid="b")], before) == [NAME]
    assert store.get(POD, NAME).uid == "b"


def test_a_namesake_that_was_learned_while_it_was_asked_for_stays() -> None:
    store = Store()
    store.put(POD, pod(5, uid="a"))
    before = store.names(POD)
    store.remove(POD, pod(6, uid="a"))
    store.put(POD, pod(7, uid="b"))
    assert replace(store, POD, [pod(5, uid="a")], before) == []
    assert store.get(POD, NAME).uid == "b"


def test_the_next_list_is_believed_whatever_was_removed_before() -> None:
    store = Store()
    store.put(POD, pod(5))
    store.remove(POD, pod(6))
    replace(store, POD, [], frozenset())
    assert replace(store, POD, [pod(7)], frozenset()) == [NAME]


def test_what_changed_while_it_was_asked_for_stays_as_it_is() -> None:
    store = Store()
    store.put(POD, pod(5))
    before = store.names(POD)
    store.put(POD, pod(7, ready=True))
    assert replace(store, POD, [pod(6)], before) == []
    assert store.get(POD, NAME).ready


def test_what_a_watch_missed_is_a_change() -> None:
    store = Store()
    store.put(POD, pod(5))
    assert replace(store, POD, [pod(6, ready=True)], store.names(POD)) == [NAME]


def test_a_list_of_what_is_known_changes_nothing() -> None:
    store = Store()
    store.put(POD, pod(5))
    revision = store.revision["Pod"]
    assert replace(store, POD, [pod(6)], store.names(POD)) == []
    assert store.revision["Pod"] == revision


def test_a_kind_that_the_cluster_does_not_know_is_absent_until_it_does() -> None:
    store = Store()
    store.put(ROUTE, builders.owned("HTTPRoute", "digits"))
    assert replace(store, ROUTE, None, store.names(ROUTE)) == [("demo", "digits")]
    assert store.absent == {"HTTPRoute"}
    replace(store, ROUTE, [], store.names(ROUTE))
    assert store.absent == set()


def test_losing_everything_costs_one_list() -> None:
    known = [pod(5, name="digits-cpu-0"), pod(6, name="digits-cpu-1", ready=True)]
    stores = Store(), Store()
    for raw in known:
        stores[0].put(POD, raw)
    replace(stores[1], POD, known, frozenset())
    assert stores[0].pods(builders.KEY) == stores[1].pods(builders.KEY)


# --- By owner --------------------------------------------------------------------------------------------------------


def test_objects_are_found_by_the_deployment_that_they_belong_to() -> None:
    store = Store()
    store.put(SERVICE, builders.owned("Service", "digits"))
    store.put(SERVICE, builders.owned("Service", "digits-cpu"))
    store.put(SERVICE, builders.raw("Service", "other"))
    foreign = builders.owned("Service", "digits")
    foreign["metadata"]["namespace"] = "elsewhere"
    store.put(SERVICE, foreign)
    assert [o["metadata"]["name"] for o in store.owned(SERVICE, builders.KEY)] == ["digits", "digits-cpu"]


def test_an_object_that_lost_its_label_belongs_to_nobody() -> None:
    store = Store()
    store.put(SERVICE, builders.owned("Service", "digits"))
    store.put(SERVICE, builders.raw("Service", "digits", uid="uid-digits", resourceVersion="2"))
    assert store.owned(SERVICE, builders.KEY) == []
    assert store.names(SERVICE) == {("demo", "digits")}


def test_nothing_is_kept_of_those_who_own_nothing_any_more() -> None:
    store = Store()
    store.put(SERVICE, builders.owned("Service", "digits"))
    store.remove(SERVICE, builders.owned("Service", "digits"))
    assert store._owned == {}


def test_pods_and_nodes_come_by_name() -> None:
    store = Store()
    for name in ("digits-cpu-2", "digits-cpu-10", "digits-cpu-1"):
        store.put(POD, pod(name=name))
    for name in ("b", "a"):
        store.put(NODE, builders.raw_node(name))
    assert [p.name for p in store.pods(builders.KEY)] == ["digits-cpu-1", "digits-cpu-10", "digits-cpu-2"]
    assert [n.name for n in store.nodes()] == ["a", "b"]


# --- Our own kinds ---------------------------------------------------------------------------------------------------


def test_a_wish_is_read_with_what_its_status_remembers() -> None:
    store = Store()
    status = {"classes": [{"name": "cpu", "pendingScaleDown": {"since": "2026-01-02T12:00:00Z", "replicas": 2}}]}
    store.put(INFD, builders.raw_deployment(status=status))
    wish = store.wishes()[builders.KEY]
    assert isinstance(wish, Wish)
    assert wish.memory.pending == {"cpu": builders.pending(0, 2)}
    assert (wish.status, wish.deleting) == (status, False)


CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "A",
    "message": "",
    "lastTransitionTime": "2026-01-02T12:00:00Z",
}
ODD_STATUS: dict[str, builders.JSON] = {
    "a time before all times": {
        "classes": [{"name": "cpu", "pendingScaleDown": {"since": "0000-01-01T00:00:00Z", "replicas": 1}}]
    },
    "a leap second": {"conditions": [{**CONDITION, "lastTransitionTime": "2016-12-31T23:59:60Z"}]},
    "a field of a newer operator": {"shiny": 1},
    "a condition that is neither true nor false": {"conditions": [{**CONDITION, "status": "Maybe"}]},
}


@builders.table(ODD_STATUS)
def test_a_status_that_cannot_be_read_is_forgotten_and_does_not_freeze_the_deployment(case: builders.JSON) -> None:
    store = Store()
    store.put(INFD, builders.raw_deployment(status=case))
    wish = store.wishes()[builders.KEY]
    assert (wish.memory, wish.status) == (Memory(), case)


@builders.table(ODD_STATUS)
def test_nor_does_it_make_hardware_unknown(case: builders.JSON) -> None:
    store = Store()
    store.put(HWC, {**builders.raw_hardware("cpu"), "status": case})
    assert store.hardware().keys() == {"cpu"}


def test_a_wish_that_is_being_deleted_says_so() -> None:
    store, raw = Store(), builders.raw_deployment()
    raw["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
    store.put(INFD, raw)
    assert store.wishes()[builders.KEY].deleting


def test_hardware_is_read() -> None:
    store = Store()
    store.put(HWC, builders.raw_hardware("cpu"))
    known = store.get(HWC, ("", "cpu"))
    assert isinstance(known, Hardware)
    assert (known.uid, known.generation, known.status) == ("uid-cpu", 1, {})
    assert store.hardware()["cpu"] == known.hardware


UNREADABLE: dict[str, tuple[kube.Kind, builders.JSON, str]] = {
    "a field is missing": (
        INFD,
        builders.raw_deployment(objective={"latency": {}}),
        "spec.objective.latency.milliseconds: Field required",
    ),
    "a model without a source": (
        INFD,
        builders.raw_deployment(model={"name": "digits", "source": {}}),
        "spec.model.source names none of image, persistentVolumeClaim, objectStore and configMap",
    ),
    "an accelerator of the future": (
        HWC,
        builders.raw_hardware("cpu", accelerator="QPU"),
        "spec.accelerator: Input should be 'CPU', 'GPU', 'FPGA' or 'ASIC'",
    ),
    "no spec at all": (HWC, builders.raw("HardwareClass", "cpu", namespace="", generation=1), "spec: Field required"),
}


@builders.table(UNREADABLE)
def test_what_cannot_be_read_is_kept_with_the_reason(case: tuple[kube.Kind, builders.JSON, str]) -> None:
    kind, raw, want = case
    store = Store()
    assert store.put(kind, {**raw, "status": {"conditions": []}})
    metadata: Any = raw["metadata"]
    found = store.get(kind, (metadata.get("namespace", ""), metadata["name"]))
    assert found == Unreadable(uid=metadata["uid"], generation=1, message=want, status={"conditions": []})
    assert (store.wishes(), store.hardware()) == ({}, {})


@pytest.mark.parametrize("kind", kube.OBSERVED, ids=lambda kind: kind.kind)
def test_every_kind_can_be_learned_with_nothing_but_its_name(kind: kube.Kind) -> None:
    namespace = "demo" if kind.namespaced else ""
    assert Store().put(kind, builders.raw(kind.kind, "x", namespace=namespace))

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from heteroserve.act.difference import STAMP, contains, is_exactly, is_in_place, stamp
from heteroserve.model.deployment import GatewayRef
from heteroserve.model.snapshot import Cluster
from heteroserve.render.network import build_network_policy
from heteroserve.render.route import build_http_route
from heteroserve.render.service import build_class_service
from heteroserve.render.traffic_policy import build_traffic_policy
from heteroserve.render.workload import build_workload

HELD: dict[str, tuple[Any, Any, bool]] = {
    "the same": ({"a": 1}, {"a": 1}, True),
    "what others added does not matter": ({"a": 1, "b": 2}, {"a": 1}, True),
    "another value": ({"a": 2}, {"a": 1}, False),
    "a field is gone": ({"b": 2}, {"a": 1}, False),
    "deep down too": ({"a": {"b": [{"c": 1, "d": 2}]}}, {"a": {"b": [{"c": 1}]}}, True),
    "deep down changed": ({"a": {"b": [{"c": 2}]}}, {"a": {"b": [{"c": 1}]}}, False),
    "an empty object and none are the same": ({}, {"a": {}}, True),
    "an empty list and none are the same": ({}, {"a": []}, True),
    "null and none are the same": ({"a": None}, {"a": {}}, True),
    "an empty text is a value": ({}, {"a": ""}, False),
    "zero is a value": ({}, {"a": 0}, False),
    "false is a value": ({}, {"a": False}, False),
    "a list with one more": ([1, 2, 3], [1, 2], False),
    "a list that lacks one": ([1, 2], [1, 2, 3], False),
    "a list in another order": ([2, 1], [1, 2], False),
    "what the API server fills in within a list": ([{"port": 80, "nodePort": 0}], [{"port": 80}], True),
    "an empty item is an item": ([{}], [], False),
    "a selector with one label more": ({"selector": {"a": "b", "c": "d"}}, {"selector": {"a": "b"}}, False),
    "a selector with one label less": ({"selector": {}}, {"selector": {"a": "b"}}, False),
    "a selector of nothing, and none": ({}, {"selector": {}}, True),
    "a selector of nothing, and one label": ({"selector": {"a": "b"}}, {"selector": {}}, False),
    "a text where a list should be": ("abc", ["a"], False),
    "a list where an object should be": ([1], {"a": 1}, False),
    "a text where an object should be": ({"a": "b"}, {"a": {"b": 1}}, False),
    "weights that changed places": (
        [{"name": "cpu", "weight": 60}, {"name": "gpu", "weight": 40}],
        [{"name": "cpu", "weight": 40}, {"name": "gpu", "weight": 60}],
        False,
    ),
}


@builders.table(HELD)
def test_whether_an_object_holds_what_is_wanted(case: tuple[Any, Any, bool]) -> None:
    live, wanted, want = case
    assert contains(live, wanted) is want


EXACTLY: dict[str, tuple[Any, Any, bool]] = {
    "the same": ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, True),
    "a field more": ({"a": 1, "b": 2}, {"a": 1}, False),
    "a field less": ({"a": 1}, {"a": 1, "b": 2}, False),
    "a field more, within a list": ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, False),
    "an item more": ([1, 2], [1], False),
    "what is empty, zero or false is none": ({"a": 1, "b": {}, "c": [], "d": 0, "e": False, "f": ""}, {"a": 1}, True),
    "an empty item is an item": ([{}], [], False),
    "a text where a list should be": ("a", ["a"], False),
    "a text where an object should be": ("a", {"a": 1}, False),
}


@builders.table(EXACTLY)
def test_whether_an_object_is_what_is_wanted_and_no_more(case: tuple[Any, Any, bool]) -> None:
    live, wanted, want = case
    assert is_exactly(live, wanted) is want


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_everything_holds_itself(value: Any) -> None:
    assert contains(value, value)
    assert is_exactly(value, value)


@given(json_values, json_values)
def test_any_two_values_can_be_compared(live: Any, wanted: Any) -> None:
    assert contains(live, wanted) in {True, False}
    assert is_exactly(live, wanted) in {True, False}


@given(st.dictionaries(st.text(max_size=2), json_values), st.text(max_size=2), json_values)
def test_a_field_that_others_add_changes_nothing(wanted: dict[str, Any], key: str, value: Any) -> None:
    assert contains({key: value, **wanted}, wanted)


def manifest(**fields: Any) -> builders.JSON:
    return {"kind": "Service", "metadata": {"name": "digits", "annotations": {"a": "b"}}, **fields}


def test_a_stamp_is_added_to_what_is_there() -> None:
    before = manifest(spec={"b": 1, "a": 2})
    stamped = stamp(before)
    annotations = stamped["metadata"]["annotations"]
    assert annotations.keys() == {"a", STAMP}
    assert {**stamped, "metadata": {**stamped["metadata"], "annotations": {"a": "b"}}} == before
    assert STAMP not in before["metadata"]["annotations"]


def test_the_order_of_fields_does_not_show_in_the_stamp() -> None:
    assert stamp(manifest(spec={"a": 2, "b": 1})) == stamp(manifest(spec={"b": 1, "a": 2}))


def test_any_change_shows_in_the_stamp() -> None:
    digests = {
        stamp(m)["metadata"]["annotations"][STAMP] for m in (manifest(), manifest(spec={}), manifest(spec={"a": 1}))
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({}, True),
        ({"status": {"replicas": 1}}, True),
        ({"spec": {"replicas": 1}}, False),
        ({"metadata": {"name": "digits"}}, False),
    ],
)
def test_in_place_is_what_holds_every_field_and_our_stamp(change: builders.JSON, want: bool) -> None:  # noqa: FBT001
    stamped = stamp(manifest(spec={"replicas": 2}))
    assert is_in_place(stamped, {**stamped, **change}) is want


def test_what_was_wanted_before_and_is_not_any_more_is_noticed() -> None:
    live = stamp(manifest(spec={"replicas": 2, "paused": True}))
    assert not is_in_place(stamp(manifest(spec={"replicas": 2})), live)


# --- What is added by hand to what we own ----------------------------------------------------------------------------

GATEWAYS = (GatewayRef(name="public"),)
Change = Callable[[builders.JSON], object]


def service() -> builders.JSON:
    return build_class_service(builders.deployment(), "cpu")


def route() -> builders.JSON:
    return build_http_route(builders.deployment(), builders.plan(builders.class_plan("cpu")), GATEWAYS)


def workload() -> builders.JSON:
    deployment = builders.deployment()
    return build_workload(deployment, deployment.classes[0], builders.hardware("cpu"), 1)


def shield() -> builders.JSON:
    return build_network_policy(builders.deployment(), Cluster())


def container(spec: builders.JSON) -> builders.JSON:
    found: builders.JSON = spec["template"]["spec"]["containers"][0]
    return found


ADDED: dict[str, tuple[Callable[[], builders.JSON], Change, bool]] = {
    "a label that no pod has, to a Service": (service, lambda spec: spec["selector"].update(oops="x"), False),
    "what the API server gives a Service": (service, lambda spec: spec.update(clusterIP="10.0.0.1"), True),
    "a stranger's backend": (
        route,
        lambda spec: spec["rules"][0]["backendRefs"].append({"name": "stranger", "port": 80, "weight": 1000}),
        False,
    ),
    "a mirror": (route, lambda spec: spec["rules"][0].update(filters=[{"type": "RequestMirror"}]), False),
    "a rule in front": (route, lambda spec: spec["rules"].insert(0, copy.deepcopy(spec["rules"][0])), False),
    "a host name where we send none": (route, lambda spec: spec.update(hostnames=["a.example.com"]), False),
    "a way out": (shield, lambda spec: spec["egress"].append({}), False),
    "a way in": (shield, lambda spec: spec["ingress"].append({}), False),
    "a port that is let in": (shield, lambda spec: spec["ingress"][0]["ports"].append({"port": 22}), False),
    "failures on purpose": (
        lambda: build_traffic_policy(builders.deployment()),
        lambda spec: spec.update(faultInjection={"abort": {"httpStatus": 503}}),
        False,
    ),
    "what Envoy Gateway's CRD fills in": (
        lambda: build_traffic_policy(builders.deployment()),
        lambda spec: spec["healthCheck"]["passive"].update(alwaysEjectOneEndpoint=False),
        True,
    ),
    "an argument": (workload, lambda spec: container(spec)["args"].append("--model-control-mode=poll"), False),
    "a label that no node has": (
        workload,
        lambda spec: spec["template"]["spec"]["nodeSelector"].update(x="y"),
        False,
    ),
    "what the API server fills in": (workload, lambda spec: container(spec).update(imagePullPolicy="Always"), True),
}


@builders.table(ADDED)
def test_whether_what_is_added_leaves_an_object_in_place(
    case: tuple[Callable[[], builders.JSON], Change, bool],
) -> None:
    build, add, want = case
    stamped = stamp(build())
    live = copy.deepcopy(stamped)
    assert is_in_place(stamped, live)
    add(live["spec"])
    assert is_in_place(stamped, live) is want

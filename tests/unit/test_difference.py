from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from heteroserve.act.difference import STAMP, contains, is_in_place, stamp

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
    "a list may hold more": ([1, 2, 3], [3, 1], True),
    "a list that lacks one": ([1, 2], [1, 3], False),
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


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_everything_holds_itself(value: Any) -> None:
    assert contains(value, value)


@given(json_values, json_values)
def test_any_two_values_can_be_compared(live: Any, wanted: Any) -> None:
    assert contains(live, wanted) in {True, False}


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

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest
import yaml

from heteroserve.api import crd, v1alpha1
from heteroserve.api.schema import Model
from heteroserve.status.compute import DECISIONS_KEPT

JSON = dict[str, Any]
BACKENDS_OF_A_ROUTE = 16
"""What the Gateway API allows in one rule."""
CRDS = {model.resource.kind: crd.build_crd(model) for model in crd.KINDS}


def schema_of(kind: str) -> JSON:
    schema: JSON = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: JSON, path: str) -> Iterator[tuple[str, JSON]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


NODES = [node for kind in CRDS for node in nodes(schema_of(kind), kind)]


# --- One schema at a time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "want"),
    [
        ({"type": "string", "title": "Name", "maxLength": 3}, {"type": "string", "maxLength": 3}),
        ({"const": "a", "type": "string"}, {"enum": ["a"], "type": "string"}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        ({"type": "number", "exclusiveMaximum": 2.5}, {"type": "number", "maximum": 2.5, "exclusiveMaximum": True}),
        ({"type": "number", "maximum": 1e9}, {"type": "number", "maximum": 1000000000}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
            {"type": "integer", "minimum": 1},
        ),
        ({"type": "integer", "default": 0}, {"type": "integer", "default": 0}),
        ({"type": "boolean", "default": False}, {"type": "boolean", "default": False}),
        ({"type": "object", "additionalProperties": False}, {"type": "object"}),
        (
            {"type": "object", "additionalProperties": {"type": "string", "title": "X"}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "default": []},
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ),
        (
            {"type": "string", "description": "One\nline.\n\nAnother\none."},
            {"type": "string", "description": "One line.\n\nAnother one."},
        ),
    ],
)
def test_what_pydantic_says_in_the_words_of_kubernetes(schema: JSON, want: JSON) -> None:
    assert crd.structural(schema, {}) == want


def test_a_reference_is_replaced_by_what_it_refers_to() -> None:
    definitions = {
        "Inner": {"type": "object", "description": "The type.", "properties": {"deep": {"$ref": "#/$defs/Deep"}}},
        "Deep": {"type": "string", "x-kubernetes-validations": [{"rule": "1"}]},
    }
    deep = {"type": "string", "x-kubernetes-validations": [{"rule": "1"}]}
    field = {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "default": None, "description": "The field."}
    assert crd.structural(field, definitions) == {
        "type": "object",
        "description": "The field.",
        "properties": {"deep": deep},
    }


def test_rules_of_a_field_are_added_to_those_of_its_type() -> None:
    definitions = {"Inner": {"type": "string", "x-kubernetes-validations": [{"rule": "1"}]}}
    field = {"$ref": "#/$defs/Inner", "x-kubernetes-validations": [{"rule": "2"}]}
    assert crd.structural(field, definitions)["x-kubernetes-validations"] == [{"rule": "1"}, {"rule": "2"}]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"type": "string", "pattern": "^a$"},
        {"type": "number", "multipleOf": 2},
        {"oneOf": [{"type": "string"}]},
        {"type": "object", "propertyNames": {"maxLength": 3}},
        {"type": "object", "additionalProperties": True},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"readOnly": True}}}},
    ],
)
def test_what_has_no_translation_is_refused(schema: JSON) -> None:
    with pytest.raises(crd.UnknownKeywordError):
        crd.structural(schema, {})


def test_the_refusal_names_the_keyword() -> None:
    class Pair(Model):
        both: tuple[int, str]

    with pytest.raises(crd.UnknownKeywordError, match=r"maxItems|prefixItems"):
        crd.structural(Pair.model_json_schema(), {})


# --- The whole CRDs --------------------------------------------------------------------------------------------------


def test_every_value_is_bounded() -> None:
    assert {path: missing for path, schema in NODES if (missing := unbounded(schema))} == {}


def unbounded(schema: JSON) -> set[str]:
    """The keywords that are missing to bound a value."""
    if "enum" in schema or schema.get("type") == "boolean" or schema.get("format") == "date-time":
        return set()
    wanted = {
        "string": {"maxLength"},
        "integer": {"minimum", "maximum"},
        "number": {"minimum", "maximum"},
        "array": {"maxItems", "items", "x-kubernetes-list-type"},
        "object": {"maxProperties"} if "additionalProperties" in schema else {"properties"},
    }.get(schema.get("type", ""), {"x-kubernetes-int-or-string", "maxLength"})
    return wanted - schema.keys()


@pytest.mark.parametrize(
    ("schema", "want"),
    [
        ({"type": "string"}, {"maxLength"}),
        ({"type": "integer", "minimum": 0}, {"maximum"}),
        ({"type": "array", "items": {}, "x-kubernetes-list-type": "set"}, {"maxItems"}),
        ({"type": "object", "additionalProperties": {}}, {"maxProperties"}),
        ({"type": "object"}, {"properties"}),
        ({"x-kubernetes-int-or-string": True}, {"maxLength"}),
        ({"type": "string", "enum": ["a"]}, set()),
    ],
)
def test_what_counts_as_unbounded(schema: JSON, want: set[str]) -> None:
    assert unbounded(schema) == want


def test_every_field_is_described_in_sentences() -> None:
    described = {
        f"{path}.{name}": child.get("description", "")
        for path, schema in NODES
        for name, child in schema.get("properties", {}).items()
        if (path, name) not in {(kind, "metadata") for kind in CRDS}  # the API server's own
    }
    assert [path for path, text in described.items() if not text.endswith(".") or not 20 <= len(text) < 400] == []


def test_a_default_is_told_in_the_description() -> None:
    defaults = [(path, schema) for path, schema in NODES if schema.get("default", {}) != {}]
    assert len(defaults) >= 8
    for path, schema in defaults:
        told = "false" if schema["default"] is False else schema["default"]
        assert f"Default: {told}." in schema["description"], path


def test_every_rule_says_what_to_do_and_where() -> None:
    rules = [(path, schema, rule) for path, schema in NODES for rule in schema.get(crd.RULES, ())]
    assert len(rules) > 50
    for path, schema, rule in rules:
        assert "must " in rule["message"], path
        assert "\n" not in rule["message"] + rule["rule"], path
        child = schema
        for step in rule.get("fieldPath", "").split(".")[1:]:
            child = child["properties"][step]
        # a rule about several fields of an object blames one of them, unless none is to blame more than the others
        assert "fieldPath" in rule or "properties" not in schema or path.endswith(".source"), path


def test_the_keys_of_a_list_are_always_there() -> None:
    keyed = [(path, schema) for path, schema in NODES if "x-kubernetes-list-map-keys" in schema]
    assert len(keyed) > 5
    for path, schema in keyed:
        assert set(schema["x-kubernetes-list-map-keys"]) <= set(schema["items"]["required"]), path


def test_names_are_written_as_kubernetes_writes_them() -> None:
    names = {name for _, schema in NODES for name in schema.get("properties", {})}
    assert {name for name in names if not name.isalnum() or name[0].isupper()} == set()


def test_the_kinds_and_their_scopes() -> None:
    assert {kind: built["spec"]["scope"] for kind, built in CRDS.items()} == {
        "HardwareClass": "Cluster",
        "InferenceDeployment": "Namespaced",
    }
    for built in CRDS.values():
        assert built["metadata"]["name"] == f"{built['spec']['names']['plural']}.heteroserve.dev"
        assert built["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_a_route_has_room_for_every_class_and_one_on_its_way_out_and_the_status_for_all_that_is_told() -> None:
    most = {path: schema["maxItems"] for path, schema in NODES if "maxItems" in schema}
    assert most["InferenceDeployment.spec.classes"] + 1 == BACKENDS_OF_A_ROUTE
    assert most["InferenceDeployment.status.classes"] >= BACKENDS_OF_A_ROUTE
    assert most["InferenceDeployment.status.decisions"] == DECISIONS_KEPT > BACKENDS_OF_A_ROUTE


# --- The files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(crd, "ROOT", tmp_path)
    monkeypatch.setattr(crd, "TARGETS", (tmp_path / "a", tmp_path / "b"))
    return tmp_path


def test_the_checked_in_files_are_what_the_models_say() -> None:
    crd.main(["--check"])


def test_the_files_are_the_same_every_time() -> None:
    assert crd.build_files() == crd.build_files()


def test_the_files_say_that_they_are_generated_and_are_the_crds() -> None:
    for name, text in crd.build_files().items():
        assert text.startswith("# Generated from ")
        assert "do not edit" in text.splitlines()[0]
        assert yaml.safe_load(text) in CRDS.values(), name


def test_every_target_gets_every_file(target: Path) -> None:
    crd.main([])
    names = ["heteroserve.dev_hardwareclasses.yaml", "heteroserve.dev_inferencedeployments.yaml"]
    assert [sorted(path.name for path in (target / folder).iterdir()) for folder in "ab"] == [names, names]
    crd.main(["--check"])


@pytest.mark.parametrize("what", ["changed", "missing", "stray"])
def test_a_file_that_is_not_current_fails_the_check_and_is_put_right(
    target: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    crd.main([])
    path = target / "b" / f"heteroserve.dev_{'nothings' if what == 'stray' else 'hardwareclasses'}.yaml"
    path.unlink() if what == "missing" else path.write_text("{}")
    with pytest.raises(SystemExit) as exit_:
        crd.main(["--check"])
    assert exit_.value.code == 1
    assert f"b/{path.name}" in (error := capsys.readouterr().err)
    assert "run `python -m heteroserve.api.crd`" in error
    crd.main([])
    crd.main(["--check"])


def test_files_of_others_are_left_alone(target: Path) -> None:
    crd.main([])
    (target / "a/README.md").write_text("mine")
    crd.main([])
    assert (target / "a/README.md").read_text() == "mine"


# --- The models as what the operator reads and writes ----------------------------------------------------------------

NOON = datetime(2026, 1, 2, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))


def test_what_a_newer_api_adds_is_ignored() -> None:
    demand = v1alpha1.Demand.model_validate({"requestsPerSecond": 3, "requestsPerFortnight": 4})
    assert demand == v1alpha1.Demand(requests_per_second=3)


def test_values_do_not_change() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        v1alpha1.Demand().requests_per_second = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("0.10", "0.10"),
        ("100", "100"),
        (Decimal("1E+2"), "100"),
        (Decimal(1) / 3, "0.333333"),
        (Decimal("1e-9"), "0.000000"),
    ],
)
def test_money_is_written_as_the_crd_wants_it(given: Any, want: str) -> None:
    assert v1alpha1.Budget(cost_per_hour=given).model_dump(mode="json", by_alias=True) == {"costPerHour": want}


def test_times_are_whole_seconds_of_utc_from_the_start() -> None:
    pending = v1alpha1.PendingScaleDown(since=NOON, replicas=1)
    assert pending.since == datetime(2026, 1, 2, 10, tzinfo=UTC)
    dumped = pending.model_dump(mode="json", by_alias=True)
    assert dumped["since"] == "2026-01-02T10:00:00Z"
    assert v1alpha1.PendingScaleDown.model_validate(dumped) == pending


def test_a_time_without_its_zone_is_a_bug() -> None:
    with pytest.raises(pydantic.ValidationError, match="timezone"):
        v1alpha1.PendingScaleDown(since=NOON.replace(tzinfo=None), replicas=1)


def test_a_long_message_is_cut_and_not_refused() -> None:
    status = v1alpha1.ClassStatus(name="a", message="m" * 5000)
    assert status.message == "m" * 1024
    status_: Literal["True"] = "True"
    condition = v1alpha1.Condition(type="A", status=status_, reason="B", message="m" * 40000, last_transition_time=NOON)
    assert len(condition.message) == 32768


def test_the_words_that_python_keeps_to_itself_are_written_as_the_api_has_them() -> None:
    decision = v1alpha1.Decision(time=NOON, class_name="cpu", from_="1", to="2", reason="Grew", message="more")
    dumped = decision.model_dump(mode="json", by_alias=True)
    assert (dumped["class"], dumped["from"], dumped["to"]) == ("cpu", "1", "2")
    assert v1alpha1.Decision.model_validate(dumped) == decision


def test_an_integer_is_a_quantity() -> None:
    requests = v1alpha1.ResourceRequests.model_validate({"cpu": 2, "memory": "1Gi"})
    assert (requests.cpu, requests.memory) == ("2", "1Gi")

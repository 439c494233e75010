"""How a model of this package is written: the base model, and what Kubernetes knows beyond JSON Schema.

A model here is two things at once: what the operator parses objects with, and the source of the CRD (see ``crd.py``).
The string below a field is its documentation in ``kubectl explain``; a bound or an extra stands at the field it
concerns.

Two invariants. An unknown field is ignored, because a newer CRD may carry more than this operator knows. And a format
is a CEL rule rather than a ``pattern``, because a rule can say what to write instead and a pattern only shows itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

JSON = dict[str, Any]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity: what stands in an annotation must be hashable
class Extra:
    """Keywords that are added to the schema of what it annotates."""

    keywords: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JSON:
        return {**handler(core), **self.keywords}


@dataclass(frozen=True, slots=True)
class Check:
    """A CEL rule of what it annotates; ``path`` names the child to blame when the rule looks at several."""

    rule: str
    message: str
    path: str = ""

    def schema(self) -> JSON:
        where = {"fieldPath": self.path} if self.path else {}
        return {"rule": self.rule, "message": self.message, **where}

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JSON:
        schema = handler(core)
        return {**schema, "x-kubernetes-validations": [*schema.get("x-kubernetes-validations", ()), self.schema()]}


def matches(pattern: str, message: str) -> Check:
    """A rule for the whole of a text, as a regular expression of RE2."""
    return Check(f"self.matches('^{pattern}$')", message)


def checks(*found: Check) -> ConfigDict:
    """The configuration of a model whose rules look at several of its fields."""
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [check.schema() for check in found]})


def list_map(*keys: str) -> Extra:
    """A list whose items are told apart, and merged by server-side apply, by these fields."""
    return Extra({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


SET = Extra({"x-kubernetes-list-type": "set"})
# a section that may be left out and still gets its own defaults, so that `kubectl get -o yaml` shows what holds
SECTION = Extra({"default": {}})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; with a priority above 0 only of ``kubectl get -o wide``."""

    name: str
    type: str
    path: str
    description: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """What the API server is told about a kind, beside its schema."""

    kind: str
    plural: str
    short: str
    scope: Literal["Cluster", "Namespaced"]
    categories: tuple[str, ...]
    columns: tuple[Column, ...]


class Object(Model):
    """A kind. It does not carry its own apiVersion and kind: ``resource`` knows them."""

    resource: ClassVar[Resource]

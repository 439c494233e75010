"""From the models to the CRDs: ``python -m heteroserve.api.crd`` writes, ``--check`` compares.

Kubernetes takes *structural* schemas, a part of JSON Schema with words of its own. The translation is a recursive
rewrite with one entry per keyword. What it does not know it refuses: a keyword that went through unseen would be a
bound that the API server does not hold, or a CRD that it does not accept.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from heteroserve.api.common import GROUP, VERSION
from heteroserve.api.hardware_class import HardwareClass
from heteroserve.api.inference_deployment import InferenceDeployment
from heteroserve.api.schema import JSON, Column, Object

ROOT = Path(__file__).resolve().parents[3]
TARGETS = (ROOT / "crds",)
KINDS: tuple[type[Object], ...] = (HardwareClass, InferenceDeployment)
COMMAND = "python -m heteroserve.api.crd"
HEADER = f"# Generated from the models in operator/heteroserve/api by `{COMMAND}`: do not edit.\n"

RULES = "x-kubernetes-validations"


class UnknownKeywordError(Exception):
    """A model uses a word of JSON Schema that this module has no translation for."""


# --- One keyword at a time: (value, definitions) -> keywords of the structural schema --------------------------------


def _keep(keyword: str) -> Callable[[Any, JSON], JSON]:
    return lambda value, _: {keyword: value}


def _bound(keyword: str) -> Callable[[Any, JSON], JSON]:
    # 1e9 and 1000000000 are the same bound, but only the second is what the API server gives back
    return lambda value, _: {keyword: int(value) if value == int(value) else value}


def _exclusive(keyword: str) -> Callable[[Any, JSON], JSON]:
    flag = f"exclusive{keyword.capitalize()}"
    return lambda value, definitions: {**_bound(keyword)(value, definitions), flag: True}


def _drop(_value: Any, _definitions: JSON) -> JSON:
    return {}


def _prose(text: str, _: JSON) -> JSON:
    return {"description": re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip()}


def _default(value: Any, _: JSON) -> JSON:
    # what is left out and may be empty stays left out: nobody has to own it
    return {} if value in (None, [], "") else {"default": value}


def _properties(value: JSON, definitions: JSON) -> JSON:
    return {"properties": {name: structural(schema, definitions) for name, schema in value.items()}}


def _items(value: JSON, definitions: JSON) -> JSON:
    return {"items": structural(value, definitions)}


def _additional_properties(value: Any, definitions: JSON) -> JSON:
    if value is False:  # pruning drops unknown fields, and `kubectl apply` reports them
        return {}
    if value is True:
        raise UnknownKeywordError("additionalProperties: true would let anything in; give the values a type")
    return {"additionalProperties": structural(value, definitions)}


TRANSLATIONS: dict[str, Callable[[Any, JSON], JSON]] = {
    **{
        keyword: _keep(keyword)
        for keyword in (
            *("type", "enum", "required", "format", "minLength", "maxLength", "minItems", "maxItems"),
            *("minProperties", "maxProperties", RULES, "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
        )
    },
    "title": _drop,
    "description": _prose,
    "default": _default,
    "const": lambda value, _: {"enum": [value]},
    "minimum": _bound("minimum"),
    "maximum": _bound("maximum"),
    "exclusiveMinimum": _exclusive("minimum"),
    "exclusiveMaximum": _exclusive("maximum"),
    "uniqueItems": lambda value, _: {"x-kubernetes-list-type": "set"} if value else {},
    "properties": _properties,
    "items": _items,
    "additionalProperties": _additional_properties,
    # the only union of types that a structural schema can say
    "x-kubernetes-int-or-string": lambda value, _: {
        "x-kubernetes-int-or-string": value,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
    },
}


def structural(schema: JSON, definitions: JSON) -> JSON:
    """The structural schema that says the same; ``definitions`` are those that it refers to."""
    rewritten: JSON = {}
    for keyword, value in _flat(schema, definitions).items():
        if keyword not in TRANSLATIONS:
            raise UnknownKeywordError(f"{keyword}: {value!r} has no translation to a structural schema")
        rewritten.update(TRANSLATIONS[keyword](value, definitions))
    if rewritten.get("type") == "array":
        rewritten.setdefault("x-kubernetes-list-type", "atomic")
    return rewritten


def _flat(schema: JSON, definitions: JSON) -> JSON:
    """The schema without references and without the union with null that says "may be left out"."""
    rest = {keyword: value for keyword, value in schema.items() if keyword not in {"$ref", "anyOf", "$defs"}}
    if "$ref" in schema:
        return _merged(_flat(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions), rest)
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) > 1 and not schema.get("x-kubernetes-int-or-string"):
        raise UnknownKeywordError(f"anyOf: {options!r}: a field has one type")
    return _merged(_flat(options[0], definitions), rest) if len(options) == 1 else rest


def _merged(inner: JSON, outer: JSON) -> JSON:
    """What stands at the field goes before what stands at its type, except that rules add up."""
    rules = [*inner.get(RULES, ()), *outer.get(RULES, ())]
    return {**inner, **outer, **({RULES: rules} if rules else {})}


# --- The whole CRD ---------------------------------------------------------------------------------------------------


def build_crd(model: type[Object]) -> JSON:
    """The CustomResourceDefinition of a kind; a pure function of its model."""
    resource = model.resource
    schema = model.model_json_schema(by_alias=True, mode="validation")
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": [resource.short],
        "categories": list(resource.categories),
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in resource.columns],
        "schema": {"openAPIV3Schema": structural(schema, schema.get("$defs", {}))},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": resource.scope, "versions": [version]},
    }


def _column(column: Column) -> JSON:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return {**shown, "priority": column.priority} if column.priority else shown


def build_files() -> dict[str, str]:
    """File name -> content."""
    crds = [build_crd(model) for model in KINDS]
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": HEADER + _yaml(crd) for crd in crds}


class _Dumper(yaml.SafeDumper):
    """Without anchors, and with paragraphs that can be read."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _yaml(crd: JSON) -> str:
    return yaml.dump(crd, Dumper=_Dumper, width=120, sort_keys=True)


def stale(folder: Path, files: dict[str, str]) -> Iterator[Path]:
    """Files that are missing, differ, or belong to no kind any more."""
    for name in sorted(files.keys() | {path.name for path in folder.glob(f"{GROUP}_*.yaml")}):
        path = folder / name
        if name not in files or not path.exists() or path.read_text() != files[name]:
            yield path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Writes the CRDs of heteroserve from its models.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a CRD is not up to date")
    check, files = parser.parse_args(arguments).check, build_files()
    outdated = [path for folder in TARGETS for path in stale(folder, files)]
    if check and outdated:
        names = "".join(f"  {path.relative_to(ROOT)}\n" for path in outdated)
        parser.exit(
            1, f"error: these CRDs are not what the models say:\n{names}run `{COMMAND}` and commit the result\n"
        )
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path.name]) if path.name in files else path.unlink()


if __name__ == "__main__":
    main()

"""The tables of good and bad objects, and how a case is made from a valid object."""

import copy
from pathlib import Path
from typing import Any

import yaml

from integration.control_plane import JSON

HERE = Path(__file__).parent
SAMPLES = sorted((HERE.parents[1] / "manifests/samples").glob("*.yaml"))
BAD_INPUTS = [yaml.safe_load(path.read_text()) for path in sorted((HERE / "bad_inputs").glob("*.yaml"))]
VALID: dict[str, JSON] = {table["object"]["kind"]: table["object"] for table in BAD_INPUTS}


def samples() -> list[JSON]:
    found = [yaml.safe_load(path.read_text()) for path in SAMPLES]
    return [target for target in found if target["apiVersion"] == "heteroserve.dev/v1alpha1"]


def changed(target: JSON, set_: dict[str, Any] | None = None, remove: tuple[str, ...] = ()) -> JSON:
    """A copy in which the fields at these dotted paths have other values, or are gone."""
    result = copy.deepcopy(target)
    for path, value in (set_ or {}).items():
        parent, last = _parent(result, path)
        parent[last] = value
    for path in remove:
        parent, last = _parent(result, path)
        del parent[last]
    return result


def _parent(target: Any, path: str) -> tuple[Any, Any]:
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        target = target[step]
    return target, last

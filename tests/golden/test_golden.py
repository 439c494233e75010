"""Golden tests: a moment goes in, and the whole plan, the manifests and the status that come out are compared.

`cases/<name>.yaml` says what differs from `base.yaml`, as a JSON merge patch (null takes away, lists are replaced);
`cases/<name>.want.yaml` beside it is what must come out, to the letter. `make generate` writes the latter anew: look at
its diff as a user would, who gets these objects.

A case with `manifests: full` shows every manifest in full. The others show what a cycle changes: which objects there
are, in writing order, with the replicas of Deployments and the weights of routes.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from heteroserve.decide import decide
from heteroserve.model.deployment import GatewayRef
from heteroserve.model.fleet import HardwareClass, Node, Taint
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.model.plan import Departure, Suspicion
from heteroserve.model.snapshot import (
    Cluster,
    InFlight,
    Mark,
    NodeVitals,
    Pod,
    PodProblem,
    RouteState,
    Signals,
    Snapshot,
)
from heteroserve.observe import parse_api
from heteroserve.render import render
from heteroserve.status.compute import compute_status
from heteroserve.status.write import as_json

JSON = dict[str, Any]

HERE = Path(__file__).parent
BASE: JSON = yaml.safe_load((HERE / "base.yaml").read_text())
CASES = {p.stem: p for p in sorted((HERE / "cases").glob("*.yaml")) if not p.name.endswith(".want.yaml")}
IDENTITY = {"apiVersion", "kind", "type", "name", "class", "class_name"}
RARE = {"suspicions", "departures", "recovery", "marks", "route_weights", "held", "doubt"}
"""What is shown only where there is something to show."""
HEAD = "# Written by `make generate`. Look at the diff before you believe it.\n"


@pytest.mark.parametrize("name", CASES)
def test_what_comes_out_is_what_is_wanted(name: str, pytestconfig: pytest.Config) -> None:
    want = CASES[name].with_suffix(".want.yaml")
    got = HEAD + dump(outputs(yaml.safe_load(CASES[name].read_text())))
    if pytestconfig.getoption("--update-golden"):
        want.write_text(got)
    before = want.read_text() if want.exists() else ""
    diff = "".join(difflib.unified_diff(before.splitlines(True), got.splitlines(True), want.name, "what comes out"))
    assert not diff, f"{name}: if this is meant, `make generate` writes it down\n\n{diff}"


def test_no_expectation_is_without_its_case() -> None:
    wanted = {p.name.removesuffix(".want.yaml") for p in (HERE / "cases").glob("*.want.yaml")}
    assert wanted == set(CASES)


def test_a_steady_moment_changes_nothing() -> None:
    out = outputs({})
    assert out["plan"]["decisions"] == []
    assert parse_api.parse_memory({**BASE["deployment"], "status": out["status"]}) == moment(BASE).memory
    assert dump(out["status"]) == dump(plain(BASE["deployment"]["status"]))


# --- In: YAML as a snapshot ------------------------------------------------------------------------------------------


def outputs(case: JSON) -> JSON:
    """What one cycle makes of a case."""
    document = merge(BASE, case)
    snapshot = moment(document)
    plan = decide(snapshot)
    manifests = () if plan.held else render(snapshot, plan)  # then the loop writes nothing but the status
    refused = tuple(Refusal(**r) for r in document.get("refused", ()))
    show = (lambda manifest: manifest) if case.get("manifests") == "full" else brief
    if plan.routed == {c.name: c.weight for c in plan.classes}:
        plan = replace(plan, route_weights={})  # nothing to show
    return {
        "manifests": [show(m) for m in manifests],
        "plan": {**plain(plan), "cost_per_hour": str(plan.cost_per_hour)},
        "status": as_json(compute_status(snapshot, plan, Outcome(refused=refused))),
    }


def merge(base: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not (isinstance(base, Mapping) and isinstance(patch, Mapping)):
        return patch
    kept = {key: value for key, value in base.items() if key not in patch}
    changed = {key: merge(base.get(key), value) for key, value in patch.items() if value is not None}
    return {**kept, **changed}


def moment(document: JSON) -> Snapshot:
    """The snapshot that a document describes."""
    raw, route = document["deployment"], document.get("route")
    heads = document.get("hardware_metadata", {})
    hardware = {name: parse_hardware(name, spec, heads.get(name, {})) for name, spec in document["hardware"].items()}
    cluster = document["cluster"]
    gateway = cluster.get("default_gateway")
    return Snapshot(
        now=document["now"],
        deployment=parse_api.parse_deployment(raw),
        hardware=hardware,
        nodes=tuple(parse_node(name, node) for name, node in document.get("nodes", {}).items()),
        pods=tuple(parse_pod(name, pod, document, hardware) for name, pod in document.get("pods", {}).items()),
        probes=document.get("probes", {}),
        vitals={name: NodeVitals(**known) for name, known in document.get("vitals", {}).items()},
        in_flight={uid: InFlight(**known) for uid, known in document.get("in_flight", {}).items()},
        erring=frozenset(document.get("erring", ())),
        devices_taken=document["devices_taken"],
        replicas=document.get("replicas", {}),
        rolling=frozenset(document.get("rolling", ())),
        refusals=document.get("refusals", {}),
        unroutable=frozenset(document.get("unroutable", ())),
        route=RouteState(**route) if route else None,
        signals=Signals(**document.get("signals", {})),
        memory=parse_api.parse_memory(raw),
        cluster=Cluster(**{**cluster, "default_gateway": GatewayRef(**gateway) if gateway else None}),
        paused=document.get("paused", ""),
    )


def parse_hardware(name: str, spec: JSON, metadata: JSON) -> HardwareClass:
    return parse_api.parse_hardware_class({"metadata": {"name": name, **metadata}, "spec": spec})


def parse_node(name: str, node: JSON) -> Node:
    taints = tuple(Taint(**t) for t in node.get("taints", ()))
    return Node(
        **{**node, "name": name, "taints": taints, "true_conditions": frozenset(node.get("true_conditions", ()))}
    )


def parse_pod(name: str, pod: JSON, document: JSON, hardware: Mapping[str, HardwareClass]) -> Pod:
    """A pod: ten minutes old, of the wanted version, with the devices of its class, unless the case says otherwise."""
    known = hardware.get(pod["class_name"])
    devices = {d.resource: d.quantity for d in known.devices} if known and "node" in pod else {}
    problem = PodProblem(pod["problem"]) if "problem" in pod else None
    usual = {
        "uid": f"uid-{name}",
        "created": document["now"] - timedelta(minutes=10),
        "devices": devices,
        "model_version": document["deployment"]["spec"]["model"].get("version"),
    }
    return Pod(**{**usual, **pod, "name": name, "problem": problem, "mark": Mark(**pod.get("mark", {}))})


# --- Out: values as YAML ---------------------------------------------------------------------------------------------


def brief(manifest: JSON) -> JSON:
    """What a manifest is, and of what a cycle changes the figure."""
    head, spec = {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}, manifest.get("spec", {})
    replicas = {"replicas": spec["replicas"]} if "replicas" in spec else {}
    weights = [f"{b['name']}={b['weight']}" for rule in spec.get("rules", ()) for b in rule["backendRefs"]]
    return {**head, **replicas, **({"weights": " ".join(weights)} if weights else {})}


def plain(value: Any) -> Any:
    """A value of the model as what YAML can hold."""
    if isinstance(value, Suspicion):
        return f"{value}{' (lost)' if value.lost else ''}"
    if isinstance(value, Departure):
        return f"{value}{' (lost)' if value.lost else ''}"
    if is_dataclass(value):
        shown = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        return {name: v for name, v in shown.items() if name not in RARE or v}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value) if isinstance(value, Decimal | str) else value


class Dumper(yaml.SafeDumper):
    """Without anchors: a document that is read by people repeats itself rather than pointing around."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(document: Any) -> str:
    """YAML with its keys in one order, and a line for each class, condition and decision."""
    inline: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": math.inf, "allow_unicode": True}
    return str(yaml.dump(in_order(plain(document)), Dumper=Dumper, **inline))


def in_order(value: Any) -> Any:
    """By name, but what an entry is comes first."""
    if isinstance(value, list):
        return [in_order(v) for v in value]
    if isinstance(value, dict):
        return {k: in_order(value[k]) for k in sorted(value, key=lambda k: (k not in IDENTITY, k))}
    return value

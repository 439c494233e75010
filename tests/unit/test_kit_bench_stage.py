"""The deployment of a trial: when it is at rest, how it is asked, and that nothing of it stays."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kit.bench import baselines, stage, witness
from kit.bench.levers import Levers
from kit.client import Target
from kit.cluster import View
from kit.errors import UsageError


def view(*, generation: int = 1, ready: str = "True", **classes: tuple[int, int, float]) -> View:
    listed = [
        {"name": name, "ready": number, "replicas": 2, "weight": weight, "capacity": capacity}
        for name, (number, weight, capacity) in classes.items()
    ]
    conditions = [
        {"type": "Ready", "status": ready, "reason": "x", "message": ""},
        {"type": "Reconciling", "status": "False", "reason": "x", "message": ""},
    ]
    body = {"observedGeneration": 1, "conditions": conditions, "classes": listed}
    return View(deployment={"metadata": {"generation": generation}, "status": body}, pods=[])


@dataclass(frozen=True, slots=True)
class Rest:
    view: View
    want_rest: bool
    want_proportional: bool


RESTS = {
    "all serve in proportion": Rest(view(cpu=(2, 34, 30), gpu=(2, 66, 60)), True, True),
    "one is on its way up": Rest(view(cpu=(2, 90, 30), gpu=(2, 10, 60)), True, False),
    "a replica is missing": Rest(view(cpu=(1, 34, 30), gpu=(2, 66, 60)), False, True),
    "a class gets nothing": Rest(view(cpu=(2, 100, 30), gpu=(2, 0, 0)), False, True),
    "the spec is newer": Rest(view(generation=2, cpu=(2, 100, 30)), False, True),
    "not ready": Rest(view(ready="False", cpu=(2, 100, 30)), False, True),
    "nothing is there": Rest(View(deployment={}, pods=[]), False, False),
}


@pytest.mark.parametrize("case", RESTS.values(), ids=RESTS.keys())
def test_when_a_deployment_is_at_rest(case: Rest) -> None:
    assert (stage.at_rest(case.view), stage.proportional(case.view)) == (case.want_rest, case.want_proportional)


def test_the_deployment_of_a_trial_has_what_the_faults_need() -> None:
    classes = [{"name": name, "minReplicas": 1} for name in stage.REPLICAS]
    behavior = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}
    sample = {"metadata": {"name": "digits", "namespace": "demo"}, "spec": {"classes": classes, "scaling": behavior}}
    made = stage.deployment(sample, "bench-1")
    assert made["metadata"]["namespace"] == "bench-1"
    assert made["spec"]["traffic"] == {"hostnames": ["bench-1.test"]}
    assert {c["name"]: c["minReplicas"] for c in made["spec"]["classes"]} == stage.REPLICAS
    assert sample["metadata"]["namespace"] == "demo", "the sample itself stays as it is"  # type: ignore[index]


PORTS = {"http": 31000, "grpc": 31001}
ADDRESSES = {"Hostname": "n", "InternalIP": "10.9.0.2"}


@dataclass
class Api:
    """Answers what the baselines ask for."""

    applied: str = ""

    async def __call__(self, *command: str, stdin: str = "") -> str:
        self.applied = self.applied or stdin
        if "service" in command:
            return json.dumps({"spec": {"ports": [{"name": n, "nodePort": p} for n, p in PORTS.items()]}})
        return json.dumps({"status": {"addresses": [{"type": t, "address": a} for t, a in ADDRESSES.items()]}})


WAYS: dict[str, tuple[Target, Callable[[str], bool]]] = {
    "operator": (Target(http="g:1", grpc="g:1", host="ns.test"), lambda text: not text),
    "route": (Target(http="g:1", grpc="g:1", host="route.ns.test"), lambda text: "BackendTrafficPolicy" not in text),
    "service": (Target(http="10.9.0.2:31000", grpc="10.9.0.2:31001"), lambda text: "NodePort" in text),
}


@pytest.mark.parametrize(("way", "want", "fits"), [(w, *c) for w, c in WAYS.items()], ids=WAYS.keys())
async def test_the_way_of_the_requests(way: str, want: Target, fits: Callable[[str], bool]) -> None:
    api = Api()
    where = await baselines.placed(Levers(api), way, "g:1", "ns", {"cpu": 40, "gpu": 60})  # type: ignore[arg-type]
    assert where == want
    assert fits(api.applied)


def test_an_untuned_route_keeps_the_weights_of_the_start() -> None:
    objects = baselines.route("ns", {"gpu": 60, "cpu": 40})
    assert [o["kind"] for o in objects] == ["Service", "Service", "HTTPRoute", "GRPCRoute"]
    assert objects[2]["spec"]["rules"][0]["backendRefs"] == [
        {"name": "bench-cpu", "port": 8000, "weight": 40},
        {"name": "bench-gpu", "port": 8000, "weight": 60},
    ]


@dataclass
class Cluster:
    """A cluster in which the deployment is at rest at once, or never."""

    view: View
    commands: list[str] = field(default_factory=list)

    async def look(self, namespace: str, name: str) -> View:
        return self.view

    async def __call__(self, *command: str, stdin: str = "") -> str:
        words = [word for word in command[1:] if word not in {"--context", "kind-heteroserve"}]
        self.commands.append(" ".join(words))
        if words[0] == "kustomize":
            behavior = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}
            spec = {"classes": [{"name": name} for name in stage.REPLICAS], "scaling": behavior}
            sample = {"kind": "InferenceDeployment", "metadata": {"name": "digits"}, "spec": spec}
            return json.dumps({"kind": "HardwareClass"}) + "\n---\n" + json.dumps(sample)
        return "containerd://envoy-id" if "envoy-gateway-system" in words else ""


CLEANED = [
    "delete namespace bench-1 --wait=false --ignore-not-found",
    "-n bench-1 delete pods --all --force --grace-period=0 --wait=false",
]


async def test_a_stage_is_cleared_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(_: Target) -> None:
        return

    monkeypatch.setattr(stage, "_answers", answers)
    monkeypatch.setattr(stage, "REST_SECONDS", 0.0)
    fake = Cluster(view(cpu=(2, 34, 30), gpu=(2, 66, 60)))
    async with stage.placed(fake, Levers(fake), "operator", "g:1", "bench-1") as placed:  # type: ignore[arg-type]
        assert placed.gateway == witness.Gateway(container="envoy-id")
        assert placed.target.host == "bench-1.test"
        assert placed.weights == {"cpu": 34, "gpu": 66}
        fake.commands.clear()
    assert fake.commands == CLEANED


async def test_a_stage_that_finds_no_rest_is_cleared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SETTLE_SECONDS", 0.01)
    fake = Cluster(view(ready="False", cpu=(2, 100, 30)))
    with pytest.raises(UsageError, match=r"not at rest after 0 s: .*'Ready', 'status': 'False'"):
        async with stage.placed(fake, Levers(fake), "operator", "g:1", "bench-1"):  # type: ignore[arg-type]
            raise AssertionError("nothing was placed")
    assert fake.commands[-2:] == CLEANED

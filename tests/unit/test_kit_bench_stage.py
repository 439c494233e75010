"""The deployment of a trial: when it is at rest, how it is asked, and that nothing of it stays."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kit.bench import baselines, stage, witness
from kit.bench.levers import Levers
from kit.client import Target
from kit.cluster import CLASS_LABEL, View
from kit.errors import UsageError


def view(*, generation: int = 1, ready: str = "True", **classes: tuple[int, int, float]) -> View:
    listed = [
        {"name": name, "ready": number, "replicas": max(2, number), "weight": weight, "capacity": capacity}
        for name, (number, weight, capacity) in classes.items()
    ]
    conditions = [
        {"type": "Ready", "status": ready, "reason": "x", "message": ""},
        {"type": "Reconciling", "status": "False", "reason": "x", "message": ""},
    ]
    body = {"observedGeneration": 1, "conditions": conditions, "classes": listed}
    spec = {"classes": [{"name": name, "minReplicas": 2} for name in classes]}
    return View(deployment={"metadata": {"generation": generation}, "spec": spec, "status": body}, pods=[])


@dataclass(frozen=True, slots=True)
class Rest:
    view: View
    want_whole: bool
    want_rest: bool


RESTS = {
    "all serve in proportion": Rest(view(cpu=(2, 34, 30), gpu=(2, 66, 60)), True, True),
    "one is on its way up": Rest(view(cpu=(2, 90, 30), gpu=(2, 10, 60)), True, False),
    "a replica is missing": Rest(view(cpu=(1, 34, 30), gpu=(2, 66, 60)), False, False),
    "a replica too many": Rest(view(cpu=(3, 43, 45), gpu=(2, 57, 60)), False, False),
    "a class gets nothing": Rest(view(cpu=(2, 100, 30), gpu=(2, 0, 0)), True, False),
    "the spec is newer": Rest(view(generation=2, cpu=(2, 100, 30)), False, False),
    "not ready": Rest(view(ready="False", cpu=(2, 100, 30)), False, False),
    "nothing is there": Rest(View(deployment={}, pods=[]), False, False),
}


@pytest.mark.parametrize("case", RESTS.values(), ids=RESTS.keys())
def test_when_a_deployment_is_at_rest(case: Rest) -> None:
    assert (stage.whole(case.view), stage.at_rest(case.view)) == (case.want_whole, case.want_rest)


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
    then: View | None = None
    """What it shows after the first look."""
    commands: list[str] = field(default_factory=list)

    async def look(self, namespace: str, name: str) -> View:
        now, self.view = self.view, self.then or self.view
        return now

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
    "delete namespace NAME --wait=false --ignore-not-found",
    "-n NAME delete pods --all --force --grace-period=0 --wait=false",
]


def cleaned(name: str) -> list[str]:
    return [command.replace("NAME", name) for command in CLEANED]


async def test_trials_share_a_deployment_that_is_cleared_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(_: Target) -> None:
        return

    monkeypatch.setattr(stage, "_answers", answers)
    monkeypatch.setattr(stage, "REST_SECONDS", 0.0)
    fake = Cluster(view(cpu=(2, 34, 30), gpu=(2, 66, 60)))
    async with stage.standing(fake, Levers(fake), "operator", "g:1") as stand:  # type: ignore[arg-type]
        assert fake.commands == [], "made when the first trial wants it"
        first = await stand.at_rest()
        assert first.gateway == witness.Gateway(container="envoy-id")
        assert first.target.host == f"{first.namespace}.test"
        assert first.weights == {"cpu": 34, "gpu": 66}
        assert await stand.at_rest() == first
        await stand.again()
        looked = len(fake.commands)
        assert await stand.at_rest() == first
        assert len(fake.commands) == looked, "the trial before has just waited for it"
        assert await stand.at_rest() == first
        assert len(fake.commands) > looked, "which holds once"
        assert sum(command.startswith("kustomize") for command in fake.commands) == 1
        fake.commands.clear()
    assert fake.commands == cleaned(first.namespace)


async def test_what_a_class_was_distrusted_for_is_forgotten_between_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "REST_SECONDS", 0.0)
    distrusted = view(cpu=(2, 100, 30), gpu=(2, 0, 60))
    distrusted.deployment["metadata"] |= {"namespace": "bench-1", "name": "digits"}
    distrusted.status["classes"][1]["recovery"] = {"setbacks": 1}
    fake = Cluster(distrusted, then=view(cpu=(2, 34, 30), gpu=(2, 66, 60)))
    seen = await stage.settled(fake, Levers(fake), "bench-1")  # type: ignore[arg-type]
    assert seen.weights == {"cpu": 34, "gpu": 66}
    (command,) = fake.commands
    assert command.startswith("-n bench-1 patch infd digits --subresource=status --type=json")
    assert '[{"op": "remove", "path": "/status/classes/1/recovery"}]' in command


async def test_a_deployment_that_finds_no_rest_is_cleared_and_the_next_trial_gets_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "SETTLE_SECONDS", 0.01)
    fake = Cluster(view(ready="False", cpu=(2, 100, 30)))
    stand = stage.Stand(fake, Levers(fake), "operator", "g:1")  # type: ignore[arg-type]
    for _ in range(2):
        fake.commands.clear()
        with pytest.raises(UsageError, match=r"not at rest after 0 s: .*'Ready', 'status': 'False'"):
            await stand.at_rest()
        assert any(command.startswith("apply") for command in fake.commands)
        assert fake.commands[-2].startswith("delete namespace bench-")


def on(*nodes: str) -> View:
    """Two pods of gpu, on these nodes."""
    seen = view(gpu=(2, 100, 60))
    pods = [
        {
            "metadata": {"name": f"gpu-{n}", "labels": {CLASS_LABEL: "gpu"}},
            "spec": {"nodeName": node, "containers": [{}]},
            "status": {
                "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"containerID": "containerd://x"}],
            },
        }
        for n, node in enumerate(nodes)
    ]
    seen.deployment["metadata"]["namespace"] = "bench-1"
    return View(deployment=seen.deployment, pods=pods)


def test_a_class_that_was_moved_together_is_spread_again() -> None:
    assert stage.at_rest(on("a", "b"))
    assert stage.spreading(on("a", "b")) == []
    assert not stage.at_rest(on("a", "a"))
    assert stage.spreading(on("a", "a")) == ["-n", "bench-1", "delete", "pod", "gpu-0", "--wait=false"]
    leaving = on("a", "a")
    leaving.pods[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert stage.spreading(leaving) == [], "one is on its way already"

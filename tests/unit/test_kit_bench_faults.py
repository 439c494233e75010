"""What each fault would do to the cluster, to the last word; nothing of it is done here."""

import asyncio
import json
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from bench_builders import struck, victim
from kit.bench.faults import FAULTS, control, nodes
from kit.bench.faults.base import Scene
from kit.bench.levers import Levers
from kit.bench.victim import Victim
from kit.errors import UsageError

MANIFEST = {
    "metadata": {"name": "digits", "namespace": "ns"},
    "spec": {"classes": [{"name": "cpu", "minReplicas": 2}, {"name": "gpu", "minReplicas": 2, "maxReplicas": 4}]},
}
SECOND = struck("gpu-2", node="worker4", address="10.0.0.2")


@dataclass
class Machine:
    """Notes every command, without the long paths, and says what it was told to say."""

    says: dict[str, str] = field(default_factory=dict)
    fails: str = "never"
    commands: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    async def __call__(self, *command: str, stdin: str = "") -> str:
        words = [command[0].rpartition("/")[2], *command[1:]]
        text = " ".join(words).replace("kubectl --context kind-heteroserve", "kubectl")
        self.commands.append(text)
        if stdin:
            self.inputs.append(stdin)
        if self.fails in text:
            raise UsageError(text)
        return next((answer for part, answer in self.says.items() if part in text), "")


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; how long they would have, in order."""
    times: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        times.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return times


def scene(machine: Machine, struck_by: Victim | None = None) -> Scene:
    return Scene(
        levers=Levers(machine),
        namespace="ns",
        manifest=MANIFEST,
        victim=victim() if struck_by is None else struck_by,
        chance=random.Random(1),
    )


@dataclass(frozen=True, slots=True)
class Case:
    want_injected: list[str]
    want_restored: list[str]
    says: dict[str, str] = field(default_factory=dict)
    victim: Victim = field(default_factory=victim)


SIGNAL = "node.sh exec worker3 ctr -n k8s.io tasks kill --signal {} id-gpu-1"
FIND = "pid=$(ctr -n k8s.io tasks list | awk -v id=id-gpu-1 '$1 == id {print $2}'); test -n \"$pid\"; "
DEVICE = "tr '\\0' '\\n' </proc/$pid/environ | sed -nE 's/^(NVIDIA_VISIBLE_DEVICES|XILINX_VISIBLE_DEVICES)=//p'"
CONTROL = "node.sh exec heteroserve-control-plane"
PLACE, ASIDE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"
READY = "until curl -ksf --max-time 2 https://127.0.0.1:6443/readyz >/dev/null; do sleep 0.2; done"
FIVE_TIMES = "for _ in 1 2 3 4 5; do pkill -KILL -x kube-apiserver || true; sleep 1; done"
API_BACK = [
    f"{CONTROL} sh -ec [ ! -e {ASIDE} ] || mv {ASIDE} {PLACE}",
    f"{CONTROL} timeout 120 sh -c {READY}",
]
DRAIN = "kubectl drain worker3 --ignore-daemonsets --delete-emptydir-data --timeout=180s "
TAINT = "aws-node-termination-handler/spot-itn"
APPLY = "kubectl apply --server-side --force-conflicts -f -"
DELETE = "kubectl -n ns delete pod gpu-1 --wait=false"
OPERATOR = [
    "kubectl -n heteroserve-system delete pod -l app.kubernetes.io/name=heteroserve --grace-period=0 --force",
    "kubectl -n heteroserve-system rollout status deployment/heteroserve --timeout=120s",
]
ENVOY = "kubectl -n envoy-gateway-system"
GONE = "wait pod -l control-plane=envoy-gateway --for=delete --timeout=60s"
PROMETHEUS = "kubectl -n monitoring scale deployment/prometheus --replicas={}"
RESTORE = ["node.sh restore worker3"]
REMOVE = "kubectl delete nodes -l heteroserve.dev/bench=fake --ignore-not-found"
CASES = {
    "node-killed": Case(["node.sh kill worker3"], RESTORE),
    "node-frozen": Case(["node.sh freeze worker3"], RESTORE),
    "kubelet-stopped": Case(
        ["node.sh exec worker3 systemctl stop kubelet"], ["node.sh exec worker3 systemctl start kubelet", *RESTORE]
    ),
    "class-frozen": Case(
        ["node.sh freeze worker3", "node.sh freeze worker4"],
        [*RESTORE, "node.sh restore worker4"],
        victim=victim(struck(), SECOND, whole=True),
    ),
    "triton-killed": Case([SIGNAL.format("SIGKILL")], []),
    "triton-frozen": Case([SIGNAL.format("SIGSTOP")], [SIGNAL.format("SIGCONT")]),
    "device-unhealthy": Case(
        [f"node.sh exec worker3 sh -ec {FIND}{DEVICE}", "switch.sh worker3 gpu-1 unhealthy"],
        ["switch.sh worker3 gpu-0 healthy", "switch.sh worker3 gpu-1 healthy"],
        says={"environ": "gpu-1\n"},
    ),
    "only-pod-killed": Case([SIGNAL.format("SIGKILL")], []),
    "only-pod-frozen": Case([SIGNAL.format("SIGSTOP")], [SIGNAL.format("SIGCONT")]),
    "only-pod-deleted": Case([DELETE], []),
    "only-pod-evicted": Case(["kubectl create --raw /api/v1/namespaces/ns/pods/gpu-1/eviction -f -"], []),
    "only-pod-forced": Case([f"{DELETE} --force --grace-period=0"], []),
    "drain": Case([f"{DRAIN}--pod-selector=heteroserve.dev/deployment=digits"], ["kubectl uncordon worker3"]),
    "scale-down": Case([APPLY], [APPLY]),
    "class-change": Case([APPLY], [APPLY]),
    "spot-taint": Case(
        [f"kubectl taint node worker3 {TAINT}=bench:NoSchedule --overwrite"],
        ["kubectl get node worker3 -o jsonpath={.spec.taints[*].key}", f"kubectl taint node worker3 {TAINT}-"],
        says={"jsonpath": f"nvidia.com/gpu {TAINT}"},
    ),
    "api-server-stopped": Case(
        [
            f"{CONTROL} sh -ec mv {PLACE} {ASIDE}; {FIVE_TIMES}",
            "node.sh kill worker3",
            *API_BACK,
        ],
        [*API_BACK, *RESTORE],
    ),
    "prometheus-stopped": Case(
        [PROMETHEUS.format(0)],
        [PROMETHEUS.format(1), "kubectl -n monitoring rollout status deployment/prometheus --timeout=90s"],
    ),
    "gateway-controller-stopped": Case(
        [f"{ENVOY} scale deployment/envoy-gateway --replicas=0", f"{ENVOY} {GONE}", DELETE],
        [
            f"{ENVOY} scale deployment/envoy-gateway --replicas=1",
            f"{ENVOY} rollout status deployment/envoy-gateway --timeout=120s",
        ],
    ),
    "node-killed+operator-killed": Case(["node.sh kill worker3", *OPERATOR], RESTORE),
    "nothing": Case([], []),
}


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES.keys())
async def test_what_a_fault_does_and_how_it_is_undone(name: str, case: Case) -> None:
    machine = Machine(case.says)
    there = scene(machine, case.victim)
    await FAULTS[name].inject(there)
    assert machine.commands == case.want_injected
    machine.commands.clear()
    await FAULTS[name].restore(there)
    assert machine.commands == case.want_restored


def test_no_fault_is_forgotten_here() -> None:
    elsewhere = {"node-flapping", "nodes-gone"}
    assert {name for name in FAULTS if "+" not in name} == ({name for name in CASES if "+" not in name} | elsewhere)


async def test_the_eviction_names_the_pod() -> None:
    machine = Machine()
    await FAULTS["only-pod-evicted"].inject(scene(machine))
    assert json.loads(machine.inputs[0]) == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "gpu-1", "namespace": "ns"},
    }


CHANGES: dict[str, list[dict[str, Any]]] = {
    "scale-down": [{"name": "cpu", "minReplicas": 2}, {"name": "gpu", "minReplicas": 1, "maxReplicas": 1}],
    "class-change": [{"name": "cpu", "minReplicas": 2}],
}


@pytest.mark.parametrize(("name", "want"), CHANGES.items(), ids=CHANGES.keys())
async def test_a_change_of_the_spec_is_taken_back(name: str, want: list[dict[str, Any]]) -> None:
    machine = Machine()
    await FAULTS[name].inject(scene(machine))
    await FAULTS[name].restore(scene(machine))
    changed, restored = (yaml.safe_load(text) for text in machine.inputs)
    assert changed["spec"]["classes"] == want
    assert restored == MANIFEST


async def test_flapping_freezes_and_thaws_for_twenty_minutes(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "time", SimpleNamespace(monotonic=lambda: sum(slept)))
    machine = Machine()
    await FAULTS["node-flapping"].inject(scene(machine))
    assert machine.commands == ["node.sh freeze worker3", "node.sh thaw worker3"] * (len(slept) // 2)
    assert all(10 <= seconds <= 60 for seconds in slept)
    assert 1200 <= sum(slept) < 1200 + 120


async def test_the_operator_is_told_to_be_back_when_it_is(slept: list[float]) -> None:
    returned = await FAULTS["drain+operator-killed"].inject(scene(Machine()))
    assert isinstance(returned, float)


def test_the_limits_with_a_killed_operator_count_from_its_return() -> None:
    assert FAULTS["node-killed+operator-killed"].in_force == 5.0
    assert FAULTS["drain+operator-killed"].in_force is None
    assert FAULTS["drain+operator-killed"].trials == 2


@pytest.mark.parametrize(("real", "want"), [(6, 5), (1, 1), (11, 9), (100, 82)])
def test_so_many_fake_nodes_that_45_percent_of_all_go(real: int, want: int) -> None:
    assert len(control.fakes(real)) == want
    assert want / (real + want) >= 0.45


async def test_nodes_that_are_only_objects_come_turn_bad_and_go() -> None:
    six, fakes = "\n".join(f"node/{n}" for n in range(6)), "node/bench-fake-0\nnode/bench-fake-1\n"
    machine = Machine({"bench=fake -o name": fakes, "get nodes": six})
    there = scene(machine)
    fault = FAULTS["nodes-gone"]
    await fault.prepare(there)
    made = list(yaml.safe_load_all(machine.inputs[0]))
    assert [node["metadata"]["name"] for node in made] == [f"bench-fake-{n}" for n in range(5)]
    machine.commands, before = [], machine.commands
    await fault.inject(there)
    assert "node.sh freeze worker3" in machine.commands, "a real one goes as well"
    machine.commands = before + machine.commands
    patched = [command for command in machine.commands if "patch" in command]
    assert [command.split()[2] for command in patched] == ["node/bench-fake-0", "node/bench-fake-1"] * 2
    conditions = [json.loads(c.split(" -p ")[1])["status"]["conditions"][0]["status"] for c in patched]
    assert conditions == ["True", "True", "False", "False"]
    await fault.restore(there)
    # while the real one is silent the others have to keep the view in doubt
    assert machine.commands[-2:] == [*RESTORE, REMOVE]


BOTH = victim(struck(), SECOND, whole=True)
INCOMPLETE: dict[str, tuple[str, Victim, list[str]]] = {
    "class-frozen": ("restore worker3", BOTH, ["node.sh restore worker3", "node.sh restore worker4"]),
    "nodes-gone": ("restore worker3", victim(), [*RESTORE, REMOVE]),
    "kubelet-stopped": ("systemctl", victim(), CASES["kubelet-stopped"].want_restored),
    "device-unhealthy": ("gpu-0", victim(), CASES["device-unhealthy"].want_restored),
    "api-server-stopped": ("sh -ec", victim(), [API_BACK[0], *RESTORE]),
}


@pytest.mark.parametrize(("name", "fails", "struck_by", "want"), [(k, *v) for k, v in INCOMPLETE.items()])
async def test_everything_is_undone_even_if_one_thing_cannot_be(
    name: str, fails: str, struck_by: Victim, want: list[str]
) -> None:
    machine = Machine(fails=fails)
    with pytest.raises(UsageError, match=fails):
        await FAULTS[name].restore(scene(machine, struck_by))
    assert machine.commands == want


async def test_a_taint_that_never_came_is_not_taken_away() -> None:
    machine = Machine({"jsonpath": "nvidia.com/gpu"})
    await FAULTS["spot-taint"].restore(scene(machine))
    assert len(machine.commands) == 1


async def test_a_triton_that_is_gone_needs_no_thaw() -> None:
    await FAULTS["triton-frozen"].restore(scene(Machine(fails="SIGCONT")))


async def test_a_pod_without_a_device_is_an_error_of_use() -> None:
    with pytest.raises(UsageError, match="gpu-1 on worker3 holds no emulated device"):
        await FAULTS["device-unhealthy"].inject(scene(Machine()))


def test_every_number_of_a_fault_makes_sense() -> None:
    for fault in FAULTS.values():
        assert 0 < fault.least <= fault.most, fault.name
        assert fault.trials >= 1, fault.name

"""What no request passes and none may need: the operator, the API server, Prometheus, our view of the nodes."""

import asyncio
import dataclasses
import math
import time
from functools import partial

import yaml

from kit.bench.faults import nodes, pods
from kit.bench.faults.base import Fault, Scene, in_turn, nothing
from kit.bench.history import recovered
from kit.bench.levers import CONTROL_PLANE, together
from kit.bench.victim import Scope

OPERATOR = ("-n", "heteroserve-system")
ENVOY = ("-n", "envoy-gateway-system")
GATEWAY_CONTROLLER = (*ENVOY, "scale", "deployment/envoy-gateway")
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
SET_ASIDE = "/etc/kubernetes/kube-apiserver.yaml"
API_SERVER_SECONDS = 60.0
CONTROLLERS_SECONDS = 45.0
"""Until the controller manager and the scheduler work again, without which nobody makes or places a pod: they end when
they lose their Leases, kubelets start them again after a while, and then they wait for the old Leases to expire."""
PROMETHEUS_SECONDS = 60.0
GONE_SHARE = 0.45
FAKE_NODE = "bench-fake-{}"
SEEN_SECONDS = 10.0
"""Until everybody knows the new nodes; the node controller gives them up after 40."""


async def kill_operator(scene: Scene) -> float:
    """The operator's process dies; returns when its successor is ready."""
    which = ("delete", "pod", "-l", "app.kubernetes.io/name=heteroserve", "--grace-period=0", "--force")
    await scene.levers.kubectl(*OPERATOR, *which)
    await asyncio.sleep(0.3)  # until the Deployment has noticed: its old status still says that all is well
    await scene.levers.kubectl(*OPERATOR, "rollout", "status", "deployment/heteroserve", "--timeout=120s")
    return time.time()


def with_operator_killed(fault: Fault) -> Fault:
    """The same fault, and the operator dies at the same moment.

    Where weights have a limit, it is 5 s from the operator's return; what ``over`` waits for has as long as ever, but
    from then on.
    """

    async def inject(scene: Scene) -> float | None:
        _, returned = await together(fault.inject(scene), kill_operator(scene))
        return returned

    return dataclasses.replace(
        fault,
        name=f"{fault.name}+operator-killed",
        told=f"{fault.told}, and the operator dies with it",
        inject=inject,
        trials=2,
        itself=max(fault.itself, 10.0),
        in_force=None if fault.in_force is None else 5.0,
    )


async def stop_api_server(scene: Scene) -> float:
    """No API server for a minute, and a node dies meanwhile; returns when the API server answers again."""
    # the kubelet may start it once more before it notices that the manifest is gone
    script = f"mv {API_SERVER} {SET_ASIDE}; for _ in 1 2 3 4 5; do pkill -KILL -x kube-apiserver || true; sleep 1; done"
    start = time.monotonic()
    await scene.levers.inside(CONTROL_PLANE, "sh", "-ec", script)
    await nodes.kill(scene)
    await asyncio.sleep(API_SERVER_SECONDS - (time.monotonic() - start))
    await start_api_server(scene)
    return time.time()


async def start_api_server(scene: Scene) -> None:
    """The API server's manifest in its place, and an answer."""
    await scene.levers.inside(CONTROL_PLANE, "sh", "-ec", f"[ ! -e {SET_ASIDE} ] || mv {SET_ASIDE} {API_SERVER}")
    probe = "until curl -ksf --max-time 2 https://127.0.0.1:6443/readyz >/dev/null; do sleep 0.2; done"
    await scene.levers.inside(CONTROL_PLANE, "timeout", "120", "sh", "-c", probe)


async def restore_both(scene: Scene) -> None:
    """First the API server: a node is restored with its help."""
    await in_turn(partial(start_api_server, scene), partial(nodes.restore, scene))


async def stop_prometheus(scene: Scene) -> None:
    """No demand and no latencies are known any more."""
    await scene.levers.kubectl("-n", "monitoring", "scale", "deployment/prometheus", "--replicas=0")


async def start_prometheus(scene: Scene) -> None:
    """Prometheus again."""
    await scene.levers.kubectl("-n", "monitoring", "scale", "deployment/prometheus", "--replicas=1")
    await scene.levers.kubectl("-n", "monitoring", "rollout", "status", "deployment/prometheus", "--timeout=90s")


async def stop_gateway_controller(scene: Scene) -> None:
    """Nobody tells the gateway anything any more, and then a pod goes."""
    await scene.levers.kubectl(*GATEWAY_CONTROLLER, "--replicas=0")
    await scene.levers.kubectl(
        *ENVOY, "wait", "pod", "-l", "control-plane=envoy-gateway", "--for=delete", "--timeout=60s"
    )
    await pods.delete(scene)


async def start_gateway_controller(scene: Scene) -> None:
    """The controller again, and all that it has to tell."""
    await scene.levers.kubectl(*GATEWAY_CONTROLLER, "--replicas=1")
    await scene.levers.kubectl(*ENVOY, "rollout", "status", "deployment/envoy-gateway", "--timeout=120s")


def fakes(real: int) -> list[str]:
    """So many nodes without a kubelet that they are the share of all nodes that goes."""
    return [FAKE_NODE.format(number) for number in range(math.ceil(GONE_SHARE / (1 - GONE_SHARE) * real))]


async def add_nodes(scene: Scene) -> None:
    """Nodes that are nothing but objects: Ready, and for nobody's pods."""
    names = fakes(len((await scene.levers.kubectl("get", "nodes", "-o", "name")).split()))
    taints = [
        {"key": "heteroserve.dev/bench", "value": "fake", "effect": effect} for effect in ("NoSchedule", "NoExecute")
    ]
    head = {"apiVersion": "v1", "kind": "Node", "spec": {"taints": taints}}
    objects = [{**head, "metadata": {"name": name, "labels": {"heteroserve.dev/bench": "fake"}}} for name in names]
    await scene.levers.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
    await _turn(scene, "True")
    await asyncio.sleep(SEEN_SECONDS)


async def lose_nodes(scene: Scene) -> None:
    """All of them turn NotReady at once, and a real one stops: there is something to be wrong about."""
    await together(_turn(scene, "False"), nodes.freeze(scene))


async def _turn(scene: Scene, ready: str) -> None:
    listed = await scene.levers.kubectl("get", "nodes", "-l", "heteroserve.dev/bench=fake", "-o", "name")
    condition = (
        f'{{"type": "Ready", "status": "{ready}", "reason": "Bench", "message": "a node of make bench-failover"}}'
    )
    patch = f'{{"status": {{"conditions": [{condition}]}}}}'
    flags = ("--subresource=status", "--type=strategic", "-p", patch)
    await together(*(scene.levers.kubectl("patch", name, *flags) for name in listed.split()))


async def remove_nodes(scene: Scene) -> None:
    """The objects are gone."""
    await scene.levers.kubectl("delete", "nodes", "-l", "heteroserve.dev/bench=fake", "--ignore-not-found")


async def find_nodes(scene: Scene) -> None:
    """First the real one: without the others there is no doubt any more, and its silence would be believed."""
    await in_turn(partial(nodes.restore, scene), partial(remove_nodes, scene))


CONTROL_FAULTS = (
    Fault(
        name="api-server-stopped",
        told="the API server is away for 60 s, and a node dies meanwhile",
        scope=Scope.NODE,
        inject=stop_api_server,
        restore=restore_both,
        over=recovered,
        itself=API_SERVER_SECONDS + 15,
        most=60.0 + CONTROLLERS_SECONDS,
        trials=10,
        in_force=5.0,
    ),
    Fault(
        name="prometheus-stopped",
        told="Prometheus is away for 60 s",
        scope=Scope.NOTHING,
        inject=stop_prometheus,
        restore=start_prometheus,
        signs=("condition MetricsAvailable=False",),
        least=PROMETHEUS_SECONDS,
        most=PROMETHEUS_SECONDS,
        trials=10,
    ),
    Fault(
        name="gateway-controller-stopped",
        told="the gateway's controller is away for a minute, and a class's only pod is deleted meanwhile",
        scope=Scope.ONLY_POD,
        inject=stop_gateway_controller,
        restore=start_gateway_controller,
        least=60.0,
        itself=10.0,
        trials=5,
    ),
    Fault(
        name="nodes-gone",
        told="45 % of all nodes turn NotReady at once (nodes that are only objects), and one of ours stops silently",
        scope=Scope.NODE,
        prepare=add_nodes,
        inject=lose_nodes,
        restore=find_nodes,
        least=30.0,
        most=30.0,
        itself=SEEN_SECONDS,
        trials=5,
        noticed=1.0,
        signs=("condition Degraded=True ViewInDoubt",),
        may_write=False,
    ),
    Fault(
        name="nothing",
        told="no fault at all: what the machine does by itself",
        scope=Scope.NOTHING,
        inject=nothing,
        restore=nothing,
        least=20.0,
        most=20.0,
        trials=5,
    ),
)

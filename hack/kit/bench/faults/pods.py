"""Pods that die in every way there is: one of several, and a class's only one."""

import contextlib
from functools import partial

from kit.bench.faults.base import Fault, Scene, in_turn, nothing
from kit.bench.history import moved, recovered
from kit.bench.victim import Scope
from kit.errors import UsageError

EVICTION = '{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{}", "namespace": "{}"}}}}'
DEVICE_VARIABLES = ("NVIDIA_VISIBLE_DEVICES", "XILINX_VISIBLE_DEVICES")


async def _signal(scene: Scene, signal: str) -> None:
    pod = scene.victim.pod
    await scene.levers.inside(pod.node, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", signal, pod.container)


async def kill(scene: Scene) -> None:
    """Triton is gone at once, its connections reset; the kubelet starts it again."""
    await _signal(scene, "SIGKILL")


async def freeze(scene: Scene) -> None:
    """Triton accepts connections, by the kernel's hand, and answers nothing."""
    await _signal(scene, "SIGSTOP")


async def thaw(scene: Scene) -> None:
    """Triton goes on, if it is still there."""
    with contextlib.suppress(UsageError):  # it was killed or replaced meanwhile
        await _signal(scene, "SIGCONT")


async def delete(scene: Scene) -> None:
    """Deleted as people do it: with the pod's own grace period."""
    await _delete(scene)


async def force(scene: Scene) -> None:
    """Deleted by force: its endpoint vanishes at once."""
    await _delete(scene, "--force", "--grace-period=0")


async def _delete(scene: Scene, *how: str) -> None:
    await scene.levers.kubectl("-n", scene.namespace, "delete", "pod", scene.victim.pod.name, "--wait=false", *how)


async def evict(scene: Scene) -> None:
    """Through the eviction API, as a drain does it."""
    path = f"/api/v1/namespaces/{scene.namespace}/pods/{scene.victim.pod.name}/eviction"
    body = EVICTION.format(scene.victim.pod.name, scene.namespace)
    await scene.levers.kubectl("create", "--raw", path, "-f", "-", stdin=body)


async def break_device(scene: Scene) -> None:
    """The device that the pod holds turns unhealthy."""
    await _device(scene, "unhealthy")


async def mend_device(scene: Scene) -> None:
    """All devices of the node are healthy: the pod that would tell which one it was may be gone."""
    mend = partial(scene.levers.device, scene.victim.node, health="healthy")
    await in_turn(*(partial(mend, device) for device in ("gpu-0", "gpu-1")))


async def _device(scene: Scene, health: str) -> None:
    pod = scene.victim.pods[0]
    names = "|".join(DEVICE_VARIABLES)
    script = f"tr '\\0' '\\n' </proc/$pid/environ | sed -nE 's/^({names})=//p'"
    held = (await scene.levers.with_process(pod.node, pod.container, script)).strip()
    if not held:
        raise UsageError(f"{pod.name} on {pod.node} holds no emulated device")
    await scene.levers.device(pod.node, held.split(",")[0], health)


POD_FAULTS = (
    Fault(
        name="triton-killed",
        told="a Triton is killed (SIGKILL)",
        scope=Scope.POD,
        inject=kill,
        restore=nothing,
        over=recovered,
        most=30.0,
        must_come=False,  # too fast to be seen, or with the kubelet's growing pauses
        in_force=3.0,
    ),
    Fault(
        name="triton-frozen",
        told="a Triton is stopped (SIGSTOP)",
        scope=Scope.POD,
        inject=freeze,
        restore=thaw,
        over=recovered,
        must_come=False,  # the kubelet gives up on it after 65 s, and gives it 35 s more to end
        in_force=3.0,
    ),
    Fault(
        name="device-unhealthy",
        told="a pod's device turns unhealthy",
        scope=Scope.DEVICES_NODE,
        inject=break_device,
        restore=mend_device,
        over=moved,
        most=120.0,
        planned=True,
        moves_first=True,
    ),
    Fault(
        name="only-pod-killed",
        told="the Triton of a class's only pod is killed",
        scope=Scope.ONLY_POD,
        inject=kill,
        restore=nothing,
        over=recovered,
        most=30.0,
        must_come=False,  # as triton-killed
        in_force=1.0,
    ),
    Fault(
        name="only-pod-frozen",
        told="the Triton of a class's only pod is stopped",
        scope=Scope.ONLY_POD,
        inject=freeze,
        restore=thaw,
        over=recovered,
        must_come=False,  # its replacement needs a device that may be the only one: then as triton-frozen
        in_force=1.0,
    ),
    Fault(
        name="only-pod-deleted",
        told="a class's only pod is deleted, with grace",
        scope=Scope.ONLY_POD,
        inject=delete,
        restore=nothing,
        over=recovered,
        in_force=1.0,
    ),
    Fault(
        name="only-pod-evicted",
        told="a class's only pod is evicted",
        scope=Scope.ONLY_POD,
        inject=evict,
        restore=nothing,
        over=recovered,
        in_force=1.0,
    ),
    Fault(
        name="only-pod-forced",
        told="a class's only pod is deleted by force",
        scope=Scope.ONLY_POD,
        inject=force,
        restore=nothing,
        over=recovered,
        trials=10,
        in_force=1.0,
        failed_seconds=1.0,
    ),
)

"""Nodes that die, freeze, flap, or lose their kubelet."""

import asyncio
import time
from functools import partial

from kit.bench.faults.base import Fault, Scene, in_turn
from kit.bench.history import recovered
from kit.bench.levers import together
from kit.bench.victim import Scope

FLAPPING_SECONDS = 1200.0
FLAPPING_PERIOD = (10.0, 60.0)


async def kill(scene: Scene) -> None:
    """Pulls the plug."""
    await scene.levers.node("kill", scene.victim.node)


async def freeze(scene: Scene) -> None:
    """Stops every process of every struck node: connections hang."""
    await together(*(scene.levers.node("freeze", node) for node in scene.victim.nodes))


async def restore(scene: Scene) -> None:
    """Brings the nodes back, whatever happened to them."""
    # one after the other: each sets up the whole pod network
    await in_turn(*(partial(scene.levers.node, "restore", node) for node in scene.victim.nodes))


async def stop_kubelet(scene: Scene) -> None:
    """The containers go on serving; nobody tells of them."""
    await scene.levers.inside(scene.victim.node, "systemctl", "stop", "kubelet")


async def start_kubelet(scene: Scene) -> None:
    """The kubelet again, and its heartbeat."""

    async def start() -> None:
        await scene.levers.inside(scene.victim.node, "systemctl", "start", "kubelet")

    await in_turn(start, partial(restore, scene))


async def flap(scene: Scene) -> None:
    """Frozen and thawed again and again, each for as long as chance says."""
    end = time.monotonic() + FLAPPING_SECONDS
    while time.monotonic() < end:
        await scene.levers.node("freeze", scene.victim.node)
        await asyncio.sleep(scene.chance.uniform(*FLAPPING_PERIOD))
        await scene.levers.node("thaw", scene.victim.node)
        await asyncio.sleep(scene.chance.uniform(*FLAPPING_PERIOD))


NODE_FAULTS = (
    Fault(
        name="node-killed",
        told="a node's plug is pulled",
        scope=Scope.NODE,
        inject=kill,
        restore=restore,
        over=recovered,
        in_force=3.0,
    ),
    Fault(
        name="node-frozen",
        told="a node stops silently: connections hang",
        scope=Scope.NODE,
        inject=freeze,
        restore=restore,
        over=recovered,
        in_force=3.0,
    ),
    Fault(
        name="kubelet-stopped",
        told="a node's kubelet stops, its containers serve on",
        scope=Scope.NODE,
        inject=stop_kubelet,
        restore=start_kubelet,
        # nothing has to move before Kubernetes calls the node NotReady, after 43 to 49 s
        over=recovered,
        least=60.0,
        most=120.0,
    ),
    Fault(
        name="class-frozen",
        told="all nodes of a class stop silently",
        scope=Scope.CLASS,
        inject=freeze,
        restore=restore,
        least=30.0,
        most=30.0,
        trials=10,
        in_force=3.0,
        # about as much as all classes carry together, so that without one of them it is the capacity that is asked for
        rate=110.0,
        goodput=0.95,
    ),
    Fault(
        name="node-flapping",
        told="a node freezes and thaws, 10 to 60 s each, for 20 minutes",
        scope=Scope.NODE,
        inject=flap,
        restore=restore,
        most=10.0,
        itself=FLAPPING_SECONDS,
        trials=1,
        turns_per_10_minutes=2,
    ),
)

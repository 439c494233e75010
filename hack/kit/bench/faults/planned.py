"""Changes that are announced: nothing has to be lost, because there is time to move first."""

import copy

import yaml

from kit.bench.faults.base import Fault, Scene
from kit.bench.history import moved, shrunk
from kit.bench.victim import Scope

SPOT_TAINT = "aws-node-termination-handler/spot-itn"
"""What one cloud's handler puts on a node that goes in two minutes."""

DRAIN_SECONDS = 180


async def drain(scene: Scene) -> None:
    """Cordon and evict, as before a node's maintenance; ends when the pods are gone.

    kubectl evicts as soon as it has cordoned, so that nothing can be made before it breaks: who waits in between is
    `spot-taint`. What must hold is that no request fails, and that the drain ends.
    """
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_SECONDS}s")
    await scene.levers.kubectl("drain", scene.victim.node, *flags, f"--pod-selector={_ours(scene)}")


def _ours(scene: Scene) -> str:
    return f"heteroserve.dev/deployment={scene.manifest['metadata']['name']}"


async def uncordon(scene: Scene) -> None:
    """The node takes pods again."""
    await scene.levers.kubectl("uncordon", scene.victim.node)


async def taint(scene: Scene) -> None:
    """The cloud says that it takes the node back soon."""
    await scene.levers.kubectl("taint", "node", scene.victim.node, f"{SPOT_TAINT}=bench:NoSchedule", "--overwrite")


async def untaint(scene: Scene) -> None:
    """The taint is gone; kubectl complains when it never was there."""
    taints = await scene.levers.kubectl("get", "node", scene.victim.node, "-o", "jsonpath={.spec.taints[*].key}")
    if SPOT_TAINT in taints.split():
        await scene.levers.kubectl("taint", "node", scene.victim.node, f"{SPOT_TAINT}-")


async def scale_down(scene: Scene) -> None:
    """The struck class needs one replica less."""
    classes = copy.deepcopy(scene.manifest["spec"]["classes"])
    for entry in classes:
        if entry["name"] == scene.victim.class_name:
            entry |= {"minReplicas": 1, "maxReplicas": 1}
    await _apply(scene, classes)


async def take_out(scene: Scene) -> None:
    """The struck class leaves the spec."""
    await _apply(scene, [c for c in scene.manifest["spec"]["classes"] if c["name"] != scene.victim.class_name])


async def put_back(scene: Scene) -> None:
    """The spec as it was."""
    await _apply(scene, scene.manifest["spec"]["classes"])


async def _apply(scene: Scene, classes: object) -> None:
    changed = {**scene.manifest, "spec": {**scene.manifest["spec"], "classes": classes}}
    flags = ("--server-side", "--force-conflicts", "-f", "-")
    await scene.levers.kubectl("apply", *flags, stdin=yaml.safe_dump(changed))


PLANNED_FAULTS = (
    Fault(
        name="drain",
        told="a node is drained",
        scope=Scope.NODE,
        inject=drain,
        restore=uncordon,
        over=moved,
        most=60.0,
        itself=60.0,
        planned=True,
    ),
    Fault(
        name="scale-down",
        told="a class loses a replica to the plan",
        scope=Scope.CLASS,
        inject=scale_down,
        restore=put_back,
        over=shrunk,
        most=180.0,
        planned=True,
        moves_first=True,
    ),
    Fault(
        name="class-change",
        told="a class leaves the spec and comes back",
        scope=Scope.CLASS,
        inject=take_out,
        restore=put_back,
        over=moved,
        most=240.0,
        planned=True,
        moves_first=True,
    ),
    Fault(
        name="spot-taint",
        told="a node gets the taint of a spot interruption",
        scope=Scope.NODE,
        inject=taint,
        restore=untaint,
        over=moved,
        most=120.0,
        planned=True,
        moves_first=True,
    ),
)

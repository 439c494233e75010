"""Whom a fault strikes: chosen by the trial's own chance among the pods that serve. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kit.cluster import CLASS_LABEL
from kit.errors import UsageError

JSON = dict[str, Any]


class Scope(StrEnum):
    """What is struck."""

    NODE = "a node and the pods on it, of a class that has other nodes"
    DEVICES_NODE = "the same, of a class with devices"
    CLASS = "all pods of a class that has several"
    POD = "a pod of a class that has several"
    ONLY_POD = "the only pod of a class"
    NOTHING = "no pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that serves."""

    name: str
    class_name: str
    node: str
    address: str
    container: str
    devices: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """The pods that are struck, all of one class; ``whole``: the class has no others."""

    class_name: str = ""
    pods: tuple[Pod, ...] = ()
    whole: bool = False

    @property
    def nodes(self) -> list[str]:
        """Their nodes."""
        return sorted({pod.node for pod in self.pods})

    @property
    def node(self) -> str:
        """Their node, where there is one."""
        (node,) = self.nodes
        return node

    @property
    def pod(self) -> Pod:
        """The pod, where there is one."""
        (pod,) = self.pods
        return pod


def serving(pods: Sequence[JSON]) -> list[Pod]:
    """The ready pods among those that the API server lists."""
    return sorted((_pod(pod) for pod in pods if ready(pod)), key=lambda pod: pod.name)


def ready(pod: JSON) -> bool:
    """Whether the pod is Ready and stays."""
    conditions = pod.get("status", {}).get("conditions", ())
    return "deletionTimestamp" not in pod["metadata"] and any(
        c["type"] == "Ready" and c["status"] == "True" for c in conditions
    )


def choose(scope: Scope, pods: Sequence[Pod], chance: random.Random) -> Victim:
    """The victim; an error of use when nothing fits."""
    if scope is Scope.NOTHING:
        return Victim()
    if not (candidates := _candidates(scope, pods)):
        raise UsageError(f"there is nothing to strike: {scope.value}; serving are {[pod.name for pod in pods]}")
    return chance.choice(candidates)


def _candidates(scope: Scope, pods: Sequence[Pod]) -> list[Victim]:
    by_class = {name: [p for p in pods if p.class_name == name] for name in sorted({p.class_name for p in pods})}
    several = {name: members for name, members in by_class.items() if len({p.node for p in members}) > 1}
    match scope:
        case Scope.ONLY_POD:
            groups = [members for members in by_class.values() if len(members) == 1]
        case Scope.CLASS:
            groups = list(several.values())
        case Scope.POD:
            groups = [[pod] for members in several.values() for pod in members]
        case _:
            wanted = [m for m in several.values() if scope is Scope.NODE or m[0].devices]
            groups = [[p for p in m if p.node == node] for m in wanted for node in sorted({p.node for p in m})]
    return [_victim(group, by_class[group[0].class_name]) for group in groups]


def _victim(struck: Sequence[Pod], members: Sequence[Pod]) -> Victim:
    return Victim(class_name=struck[0].class_name, pods=tuple(struck), whole=len(struck) == len(members))


def _pod(pod: JSON) -> Pod:
    (container,) = pod["status"]["containerStatuses"]
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    return Pod(
        name=pod["metadata"]["name"],
        class_name=pod["metadata"]["labels"][CLASS_LABEL],
        node=pod["spec"]["nodeName"],
        address=pod["status"]["podIP"],
        container=container["containerID"].rpartition("/")[2],
        devices=any("/" in name for name in limits),  # an extended resource has a domain in its name
    )

"""A rehearsal: whole stories of a deployment, cycle by cycle, on a cluster in memory that behaves as Kubernetes does.

What `fakes.FakeCluster` has of objects and status, and besides what moving pods depends on: what pods were told, the
order in which a ReplicaSet deletes, pods that take a while to end, a scheduler that knows nothing of our wishes but
what is written on nodes, and nodes that die as real ones do: first silent, then with an old Lease, then NotReady, then
with their pods evicted, which never end there.

A test sets the stage (`stage`), lets something happen (`cordon`, `die`, ...), and looks at the scenes that `play`
returns. `to_rest` plays until nothing is written any more and fails if that never comes.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import builders
import fakes
from heteroserve.decide.supply import serves
from heteroserve.model.deployment import ClassTarget, Scaling
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.plan import Plan
from heteroserve.model.snapshot import InFlight, NodeVitals, Pod, PodProblem, Snapshot

STEP_SECONDS = 5
NOT_READY_AFTER_SECONDS = 45
EVICTED_AFTER_SECONDS = 65
"""The lifecycle controller's 40 s and some, and our toleration of 20 s on top."""

ENDS_IN_STEPS = 3
QUIET_STEPS = 12
"""Longer than a drain, a start and a window together: who has written nothing for so long is at rest."""


@dataclass
class Stage(fakes.FakeCluster):
    """The cluster of a rehearsal. `silent` pods do not answer our probes, `stuck` ones never get ready."""

    step_seconds: int = STEP_SECONDS
    startups: dict[str, int] = field(default_factory=dict)
    """Steps until a pod is ready, of classes that are not as fast or slow as the others."""
    haste: int = 1
    """Cycles of ours before Kubernetes acts on what was written."""
    triton_tells: bool = True
    """Whether it is known how many requests are inside a pod (none, always)."""
    died: dict[str, datetime] = field(default_factory=dict)
    ending: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    """Classes whose Deployment was written, and Kubernetes has not looked at it."""
    scenes: list["Scene"] = field(default_factory=list)
    """All cycles so far."""

    # --- What the operator sees --------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What there is now, with what our prober and Triton tell."""
        seen = super().snapshot()
        heard = {p.uid: 9 if p.name in self.silent or p.node in self.died else 0 for p in seen.pods if p.ready}
        told = InFlight(requests=0.0, age_seconds=0.0)
        return replace(
            seen,
            probes=heard,
            rolling=frozenset(self.unseen),
            vitals={name: self._vitals(name) for name in self.nodes},
            in_flight={p.uid: told for p in seen.pods if p.ready and self.triton_tells},
        )

    def write(self, manifest: builders.JSON) -> None:
        """Server-side apply."""
        if manifest["kind"] == "Deployment":
            self.unseen.add(fakes.class_of(manifest))
        super().write(manifest)

    # --- What people and fate do -------------------------------------------------------------------------------------

    def cordon(self, *names: str) -> None:
        """`kubectl cordon`."""
        self.nodes |= {name: replace(self.nodes[name], cordoned=True) for name in names}

    def uncordon(self, *names: str) -> None:
        """`kubectl uncordon`."""
        self.nodes |= {name: replace(self.nodes[name], cordoned=False) for name in names}

    def evacuate_class(self, name: str, *, wanted: bool = True) -> None:
        """The label on a HardwareClass, of which the scheduler knows nothing."""
        self.hardware[name] = replace(self.hardware[name], evacuate=wanted)

    def drill_class(self, name: str, *, seconds: int) -> None:
        """The annotation on a HardwareClass."""
        until = self.now + timedelta(seconds=seconds)
        self.hardware[name] = replace(self.hardware[name], drill_until=until)

    def evacuate_node(self, name: str, *, wanted: bool = True) -> None:
        """The label on a node."""
        self.nodes[name] = replace(self.nodes[name], evacuate=wanted)

    def break_device(self, name: str) -> None:
        """The kubelet takes a device of a pod off its list."""
        pod = self.pods[name]
        self.pods[name] = replace(pod, device_unhealthy=True)
        node = self.nodes[pod.node or ""]
        left = {resource: count - pod.devices.get(resource, 0) for resource, count in node.allocatable.items()}
        self.nodes[node.name] = replace(node, allocatable=left)

    def die(self, name: str) -> None:
        """A node stops, with all that is on it."""
        self.died[name] = self.now

    def delete_pod(self, name: str) -> None:
        """`kubectl delete pod`, or an eviction."""
        self.pods[name] = replace(self.pods[name], terminating=True)
        self.ending[name] = 0

    def serving(self, class_name: str) -> list[Pod]:
        """Its pods that answer and that Services lead to."""
        return [p for p in self.pods.values() if p.class_name == class_name and _serves(p) and p.node not in self.died]

    def serving_rps(self) -> float:
        """What these carry, as their profiles say."""
        return sum(builders.CAST[name].rps * len(self.serving(name)) for name in self.hardware)

    # --- What a cluster does by itself -------------------------------------------------------------------------------

    def step(self) -> None:
        """Time passes."""
        self.now += timedelta(seconds=self.step_seconds)
        self.unseen.clear()
        for name, since in self.died.items():
            self._decay(name, (self.now - since).total_seconds())
        wanted = self.replicas()
        for class_name in sorted({*wanted, *(p.class_name for p in self.pods.values())}):
            self._scale(class_name, wanted.get(class_name, 0))
        for name, pod in list(self.pods.items()):
            if pod.terminating:
                self._end(pod)
            else:
                self.pods[name] = self._live(pod)

    def _decay(self, name: str, dead_seconds: float) -> None:
        if dead_seconds >= NOT_READY_AFTER_SECONDS:
            self.nodes[name] = replace(self.nodes[name], ready=False)
        for pod in [p for p in self.pods.values() if p.node == name]:
            if dead_seconds >= EVICTED_AFTER_SECONDS and not pod.terminating:
                self.delete_pod(pod.name)

    def _scale(self, class_name: str, wanted: int) -> None:
        """The ReplicaSet: it counts what is not ending, and deletes in its own order."""
        mine = [p for p in self.pods.values() if p.class_name == class_name and not p.terminating]
        crowded = Counter(p.node for p in mine)
        mine.sort(
            key=lambda p: (p.node is not None, p.ready, not p.mark.goes_first, -crowded[p.node], -int(p.name[-3:]))
        )
        for pod in mine[: max(0, len(mine) - wanted)]:
            self.delete_pod(pod.name)
        for _ in range(wanted - len(mine)):
            self._numbers[class_name] += 1
            name = f"{class_name}-{self._numbers[class_name]:03}"
            self.pods[name] = builders.pod(name, node=None, ready=False, created=self.now, unready_since=self.now)
            self.started[name] = 0

    def _end(self, pod: Pod) -> None:
        if pod.node in self.died:
            return
        self.ending[pod.name] += 1
        if pod.node is None or self.ending[pod.name] >= ENDS_IN_STEPS:
            del self.pods[pod.name]

    def _live(self, pod: Pod) -> Pod:
        hardware = self.hardware[pod.class_name]
        place = pod.node or self._place(hardware)
        if place is None:
            return replace(pod, problem=PodProblem.UNSCHEDULABLE, message="no node has room")
        pod = replace(pod, node=place, problem=None, message="")
        self.pods[pod.name] = pod
        if place in self.died:
            return replace(pod, ready=pod.ready and self.nodes[place].ready)
        self.started[pod.name] += serves(self.nodes[place], hardware)
        needed = self.startups.get(pod.class_name, self.startup_steps)
        ready = self.started[pod.name] >= needed and pod.name not in self.stuck
        took = (self.now - (pod.created or self.now)).total_seconds() if ready and not pod.started else None
        return replace(
            pod,
            ready=ready,
            started=pod.started or ready,
            start_seconds=took or pod.start_seconds,
            unready_since=None if ready else pod.unready_since or self.now,
        )

    def _place(self, hardware: HardwareClass) -> str | None:
        return next((n.name for n in self.nodes.values() if self._takes(n, hardware)), None)

    def _takes(self, node: Node, hardware: HardwareClass) -> bool:
        """By what the scheduler knows. It does not know that a class is evacuated, nor what died a moment ago."""
        held = Counter[str]()
        for pod in self.pods.values():
            if pod.node == node.name:
                held.update(pod.devices)
        free = all(node.allocatable.get(d.resource, 0) - held[d.resource] >= d.quantity for d in hardware.devices)
        tainted = any(t.effect in {"NoSchedule", "NoExecute"} and not hardware.tolerates(t) for t in node.taints)
        closed = node.cordoned or node.evacuate or tainted or not node.ready
        return free and not closed and hardware.selects(node)

    def _vitals(self, name: str) -> NodeVitals:
        asked = [p for p in self.pods.values() if p.node == name and p.ready and not p.terminating]
        dead = (self.now - self.died[name]).total_seconds() if name in self.died else None
        failing = sum(dead is not None or p.name in self.silent for p in asked)
        return NodeVitals(
            lease_age_seconds=dead or 0.0,
            renewed_seconds=dead or 0.0,
            asked=len(asked),
            failing=failing,
            bad_seconds=dead,
        )


def _serves(pod: Pod) -> bool:
    return pod.ready and not pod.terminating and pod.mark.out_since is None


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One cycle: what was seen, what was planned, and what was written."""

    seen: Snapshot
    plan: Plan
    writes: tuple[str, ...]
    serving_rps: float
    """What the pods carry that answer and that Services lead to after it, whatever anybody thinks of them."""

    def replicas(self) -> dict[str, int]:
        """What was planned to be asked for."""
        return {c.name: c.replicas for c in self.plan.classes}

    def weights(self) -> dict[str, int]:
        """The planned split."""
        return {c.name: c.weight for c in self.plan.classes}


def stage(
    demand: float | Callable[[datetime], float | None],
    *targets: ClassTarget,
    window: int = 20,
    startup: int = 2,
    startups: dict[str, int] | None = None,
    devices: int | None = None,
) -> Stage:
    """The cast on healthy nodes, at rest under a demand. `devices`: so many on each first node, and no other node."""
    names = [t.name for t in targets]
    few = (builders.node(f"{name}-0", devices=devices or 0) for name in names)
    scaling = Scaling(target_utilisation=1.0, scale_down_window_seconds=window)
    world = Stage(
        deployment=builders.deployment(*targets, scaling=scaling),
        hardware={name: builders.hardware(name) for name in names},
        nodes=builders.by_name(builders.nodes(*names) if devices is None else few),
        demand=demand if callable(demand) else lambda _: demand,
        startup_steps=startup,
        startups=startups or {},
    )
    to_rest(world)
    return world


def play(world: Stage, steps: int, before: Callable[[Stage, int], None] | None = None) -> list[Scene]:
    """Cycles; `before` each of them something may happen. After a crash the next starts from what was written."""
    scenes = []
    for number in range(steps):
        if before:
            before(world, number)
        scenes += [scene(world) for _ in range(world.haste)]
        world.step()
    world.scenes += scenes
    return scenes


def scene(world: Stage) -> Scene:
    """One cycle; a crash anywhere leaves what was written until then, and no plan."""
    seen, done = world.snapshot(), len(world.writes)
    plan = Plan(classes=(), demand=builders.demand())
    with suppress(fakes.CrashError):
        plan = fakes.reconcile(world)
    return Scene(seen=seen, plan=plan, writes=tuple(world.writes[done:]), serving_rps=world.serving_rps())


def to_rest(world: Stage, *, most: int = 400) -> list[Scene]:
    """Plays until nothing was written for long; returns the scenes."""
    scenes: list[Scene] = []
    quiet = QUIET_STEPS * world.haste
    while len(scenes) < most * world.haste:
        scenes += play(world, 1)
        if len(scenes) >= quiet and not any(s.writes for s in scenes[-quiet:]):
            return scenes
    told = [(s.seen.now.strftime("%H:%M:%S"), s.writes, s.replicas()) for s in scenes[-20:]]
    raise AssertionError(f"no rest: {told}")

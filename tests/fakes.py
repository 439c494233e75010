"""A cluster in memory: it takes manifests and marks, runs the pods, and tells what it sees as the next Snapshot.

What a real cluster does by itself is done by `step`: pods are placed where there is room, become ready after a while,
and leave when nobody wants them. Writes may be cut short (`crash_at`), as when the operator dies between two of them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import builders
from heteroserve.act.difference import is_in_place, stamp
from heteroserve.decide import decide
from heteroserve.decide.supply import is_open, serves
from heteroserve.model.deployment import InferenceDeployment
from heteroserve.model.fleet import HardwareClass, Node
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import Plan, PodMark
from heteroserve.model.snapshot import Cluster, InFlight, Memory, Pod, PodProblem, RouteState, Signals, Snapshot
from heteroserve.observe.parse import parse_route
from heteroserve.observe.parse_api import parse_memory
from heteroserve.render import render
from heteroserve.render.metadata import CLASS_LABEL
from heteroserve.status.compute import compute_status
from heteroserve.status.write import as_json

Address = tuple[str, str]


class CrashError(Exception):
    """The operator died right after a write."""


@dataclass
class FakeCluster:
    """Everything that outlives the operator. `demand` is what the clients send, at any time."""

    deployment: InferenceDeployment
    hardware: dict[str, HardwareClass]
    nodes: dict[str, Node]
    demand: Callable[[datetime], float | None]
    startup_steps: int = 2
    step_seconds: int = 10
    now: datetime = builders.NOW
    objects: dict[Address, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    crash_at: int | None = None
    _numbers: Counter[str] = field(default_factory=Counter)

    # --- What the operator does with it ------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What there is now."""
        return Snapshot(
            now=self.now,
            deployment=self.deployment,
            hardware=dict(self.hardware),
            nodes=tuple(self.nodes.values()),
            pods=tuple(self.pods[name] for name in sorted(self.pods)),
            in_flight=self._in_flight(),
            replicas=self.replicas(),
            route=self.route(),
            signals=self._signals(),
            memory=self.memory(),
            cluster=Cluster(),
        )

    def memory(self) -> Memory:
        """What the status remembers, read back as the operator reads it."""
        return parse_memory(builders.raw_deployment(status=self.status))

    def replicas(self) -> dict[str, int]:
        """What the Deployments ask for, by class."""
        return {class_of(o): o["spec"]["replicas"] for (kind, _), o in self.objects.items() if kind == "Deployment"}

    def route(self) -> RouteState | None:
        """The HTTPRoute, as a Gateway has accepted it."""
        name = self.deployment.key.name
        stored = self.objects.get(("HTTPRoute", name))
        if stored is None:
            return None
        verdicts = {"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}]}
        return parse_route({**stored, "status": verdicts}, name)

    def write(self, manifest: dict[str, Any]) -> None:
        """Server-side apply."""
        self._store(manifest)
        self._wrote(f"{manifest['kind']}/{manifest['metadata']['name']}")

    def remove(self, address: Address) -> None:
        """Deletes an object."""
        del self.objects[address]
        self._wrote("-{}/{}".format(*address))

    def mark(self, wanted: PodMark) -> None:
        """Tells a pod something, if it is still this one."""
        pod = self.pods.get(wanted.pod)
        if pod and pod.uid == wanted.uid:
            self.pods[pod.name] = replace(pod, mark=wanted.mark)
        self._wrote(f"mark/{wanted.pod}")

    def write_status(self, status: dict[str, Any]) -> None:
        """Replaces the status."""
        self.status = status
        self._wrote("status")

    # --- What it does by itself --------------------------------------------------------------------------------------

    def step(self) -> None:
        """Time passes: pods come, get ready and go."""
        self.now += timedelta(seconds=self.step_seconds)
        for class_name, wanted in self.replicas().items():
            self._scale(class_name, wanted)
        gone = {p.name for p in self.pods.values() if p.class_name not in self.replicas()}
        for name in gone:
            del self.pods[name]
        for name, pod in list(self.pods.items()):
            self.pods[name] = self._live(pod)

    def fail(self, *names: str) -> None:
        """Nodes stop answering."""
        self.nodes |= {name: replace(self.nodes[name], ready=False) for name in names}

    def recover(self, *names: str) -> None:
        """Nodes answer again."""
        self.nodes |= {name: replace(self.nodes[name], ready=True) for name in names}

    def settled(self) -> dict[str, Any]:
        """Everything that a user would call the state, without times and names of pods."""
        passing = {"pendingScaleDown", "recovery"}
        classes = [{k: v for k, v in c.items() if k not in passing} for c in self.status.get("classes", ())]
        conditions = {c["type"]: (c["status"], c["reason"]) for c in self.status.get("conditions", ())}
        ready = Counter(p.class_name for p in self.pods.values() if p.ready)
        return {"objects": self.objects, "classes": classes, "conditions": conditions, "ready": dict(ready)}

    def _store(self, manifest: dict[str, Any]) -> None:
        self.objects[manifest["kind"], manifest["metadata"]["name"]] = stamp(manifest)

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_at is not None and len(self.writes) == self.crash_at:
            raise CrashError(what)

    def _signals(self) -> Signals:
        rps = self.demand(self.now)
        if rps is None:
            return Signals(error="ConnectionError")
        ready = any(p.ready for p in self.pods.values())
        served = rps if ready else None
        return Signals(offered_rps=rps, served_rps=served, backlog=0.0 if ready else None, age_seconds=5.0)

    def _in_flight(self) -> dict[str, InFlight]:
        """What Triton tells: every request is answered at once."""
        known = self.demand(self.now) is not None
        return {p.uid: InFlight(requests=0.0, age_seconds=5.0) for p in self.pods.values() if p.ready and known}

    def _scale(self, class_name: str, wanted: int) -> None:
        mine = [p for p in self.pods.values() if p.class_name == class_name]
        mine.sort(key=lambda p: (p.node is not None, p.ready, not p.mark.goes_first, p.name))  # as Kubernetes does
        for pod in mine[: max(0, len(mine) - wanted)]:
            del self.pods[pod.name]
        for _ in range(wanted - len(mine)):
            self._numbers[class_name] += 1
            name = f"{class_name}-{self._numbers[class_name]:03}"
            self.pods[name] = builders.pod(name, class_name=class_name, node=None, ready=False, created=self.now)
            self.started[name] = 0

    def _live(self, pod: Pod) -> Pod:
        hardware = self.hardware[pod.class_name]
        place = pod.node or self._place(hardware)
        if place is None:
            return replace(pod, problem=PodProblem.UNSCHEDULABLE, message="no node has room")
        pod = replace(pod, node=place, problem=None, message="")
        self.pods[pod.name] = pod
        if not serves(self.nodes[place], hardware):
            self.started[pod.name] = 0
            return replace(pod, ready=False)
        self.started[pod.name] += 1
        return replace(pod, ready=self.started[pod.name] >= self.startup_steps)

    def _place(self, hardware: HardwareClass) -> str | None:
        for node in self.nodes.values():
            held = Counter[str]()
            for pod in self.pods.values():
                if pod.node == node.name:
                    held.update(pod.devices)
            free = all(node.allocatable.get(d.resource, 0) - held[d.resource] >= d.quantity for d in hardware.devices)
            if hardware.selects(node) and is_open(node, hardware) and free:
                return node.name
        return None


def reconcile(cluster: FakeCluster) -> Plan:
    """One cycle as the operator runs it: manifests in their order, then what is no longer wanted, then the status."""
    snapshot = cluster.snapshot()
    plan = decide(snapshot)
    if not plan.held:
        _act(cluster, snapshot, plan)
    status = as_json(compute_status(snapshot, plan, Outcome()))
    if status != cluster.status:
        cluster.write_status(status)
    return plan


def run(cluster: FakeCluster, steps: int, watch: Callable[[FakeCluster, Plan], None] | None = None) -> FakeCluster:
    """Cycles; after a crash the next one starts from nothing but what was written."""
    for _ in range(steps):
        try:
            plan = reconcile(cluster)
            if watch:
                watch(cluster, plan)
        except CrashError:
            pass
        cluster.step()
    return cluster


def class_of(manifest: dict[str, Any]) -> str:
    """The class that an object belongs to, or nothing."""
    name: str = manifest["metadata"]["labels"].get(CLASS_LABEL, "")
    return name


def _act(cluster: FakeCluster, snapshot: Snapshot, plan: Plan) -> None:
    manifests = render(snapshot, plan)
    untouched = {c.name for c in plan.classes if not c.render}
    for manifest in manifests:
        live = cluster.objects.get((manifest["kind"], manifest["metadata"]["name"]))
        if live is None or not is_in_place(stamp(manifest), live):
            cluster.write(manifest)
    wanted = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    for address in sorted(cluster.objects.keys() - wanted):
        if class_of(cluster.objects[address]) not in untouched:
            cluster.remove(address)
    for wish in plan.marks:
        cluster.mark(wish)

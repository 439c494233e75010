"""Conditions: one small function per type, all of the same form, and the table that lists them.

Pure. A new condition is a function here and a line in `CONDITIONS`. Types and reasons are part of the API: they are
what alerts, `kubectl wait` and GitOps tools look for. Every type is set from the first visit on. `Ready`,
`Reconciling` and `Stalled` follow kstatus.
"""

from collections.abc import Callable

from heteroserve.decide.supply import HUNG_AFTER_SECONDS
from heteroserve.model.deployment import ClaimSource, ConfigMapSource, ImageSource, ModelSource
from heteroserve.model.plan import ClassPlan, Why, describe
from heteroserve.model.snapshot import Pod, PodProblem, Snapshot
from heteroserve.status.traffic import traffic_ready
from heteroserve.status.view import Verdict, View

SLOW_START_SECONDS = 20.0
MODEL_PROBLEMS = {PodProblem.IMAGE, PodProblem.MODEL, PodProblem.CRASH, PodProblem.CONFIG, PodProblem.HUNG}
CLASS_PROBLEMS = {
    Why.UNKNOWN_CLASS,
    Why.NO_NODES,
    Why.UNSCHEDULABLE,
    Why.REFUSED,
    Why.UNREACHABLE,
    Why.TOO_SLOW,
}
"""What somebody has to mend, even while other classes carry the demand."""
BOUNDS = {Why.MAXIMUM, Why.BUDGET, Why.NO_DEVICES, Why.FAILING, Why.PAUSED, Why.DOUBT}
"""What matters only when the classes together cannot carry the demand."""


def _stalled(view: View) -> Verdict:
    if view.outcome.refused:
        first = view.outcome.refused[0]
        return Verdict(status="True", reason=first.reason, message=first.message)
    hopeless = [c for c in view.plan.classes if c.why in {Why.UNKNOWN_CLASS, Why.TOO_SLOW}]
    if hopeless and len(hopeless) == len(view.plan.classes):
        return Verdict(status="True", reason=hopeless[0].why, message=_per_class(hopeless))
    return Verdict(status="False", reason="NothingInTheWay")


def _ready(view: View) -> Verdict:
    traffic = traffic_ready(view)
    if view.ready == 0:
        return _why_nothing_is_ready(view)
    if traffic.status != "True":
        return Verdict(status="False", reason=traffic.reason, message=traffic.message)
    return Verdict(status="True", reason="Serving", message="the model is served")


def _why_nothing_is_ready(view: View) -> Verdict:
    """The first condition that stands in the way is the one to read."""
    causes = ((_stalled(view), "True"), (_model_ready(view), "False"), (_capacity_available(view), "False"))
    first = next((cause for cause, bad in causes if cause.status == bad), None)
    suspected = [c for c in view.plan.classes if c.suspicions]
    if first:
        return Verdict(status="False", reason=first.reason, message=first.message)
    if suspected:
        return Verdict(status="False", reason=Why.SUSPECT, message=_short_of_replicas(suspected))
    return Verdict(status="False", reason="NoReadyReplica", message="no replica is ready yet")


def _reconciling(view: View) -> Verdict:
    if view.outcome.postponed:  # what stands in the cluster is not what is wanted, whatever it looks like
        return Verdict(status="True", reason=view.outcome.postponed.reason, message=view.outcome.postponed.message)
    if view.plan.held:
        return _held(view)
    short = [c.name for c in view.plan.classes if c.ready + c.lost + c.drilled < c.replicas and c.render]
    coming = [name for name in short if name not in view.troubled]
    updating = sorted(view.updating - view.troubled)
    leaving = [c.name for c in view.plan.classes if c.retired]
    if coming:
        return Verdict(status="True", reason="ReplicasComing", message=f"on the way: {', '.join(coming)}")
    if updating:
        message = f"Kubernetes is making what was written true: {', '.join(updating)}"
        return Verdict(status="True", reason="PodsUpdating", message=message)
    if leaving:
        return Verdict(status="True", reason="ClassesLeaving", message=f"taken out: {', '.join(leaving)}")
    troubled = sorted(view.troubled | {c.name for c in view.plan.classes if c.lost})
    if troubled:
        message = f"waiting changes nothing, the other conditions tell why: {', '.join(troubled)}"
        return Verdict(status="False", reason="PodsInTrouble", message=message)
    return Verdict(status="False", reason="UpToDate")


def _held(view: View) -> Verdict:
    if view.paused:
        return Verdict(status="False", reason=Why.PAUSED, message=f"{view.paused}: nothing is changed")
    return Verdict(status="False", reason=Why.DOUBT, message="nothing is changed while our own view is in doubt")


def _model_ready(view: View) -> Verdict:
    broken = [p for p in view.problems if p.problem in MODEL_PROBLEMS]
    if broken:
        first = broken[0]
        said = first.message or f"was ready, and has not been for {HUNG_AFTER_SECONDS:.0f} s"
        message = f"{first.class_name}: pod {first.name}: {said}"
        return Verdict(status="False", reason=str(first.problem), message=message)
    slow = [p for p in view.snapshot.pods if _starts_slowly(p, view.snapshot)]
    if slow:
        model, pod = view.snapshot.deployment.model, slow[0]
        wanted = f"{model.name} version {model.version}" if model.version else model.name
        message = (
            f"{pod.class_name}: pod {pod.name} is not ready yet: a large model takes its time, but "
            f"{describe_source(model.source)} must be there with {wanted} in it; kubectl describe pod {pod.name} tells"
        )
        return Verdict(status="False", reason=PodProblem.SLOW, message=message)
    if view.ready:
        return Verdict(status="True", reason="ModelLoaded", message="the model is loaded in every ready replica")
    return Verdict(status="Unknown", reason="Starting", message="no replica has loaded the model yet")


def describe_source(source: ModelSource) -> str:
    """Where the model comes from, for a message."""
    match source:
        case ImageSource():
            return f"the image {source.reference}"
        case ClaimSource():
            return f"the PersistentVolumeClaim {source.claim_name}"
        case ConfigMapSource():
            return f"the ConfigMap {source.name}"
        case _:
            return source.uri


def _starts_slowly(pod: Pod, snapshot: Snapshot) -> bool:
    waits = not (pod.ready or pod.started or pod.terminating or pod.problem) and pod.node is not None
    return waits and pod.created is not None and (snapshot.now - pod.created).total_seconds() > SLOW_START_SECONDS


def _capacity_available(view: View) -> Verdict:
    wanting = _wanting(view)
    short = [c for c in view.plan.classes if c.limit in CLASS_PROBLEMS or _lacks_devices(c)]
    short += [c for c in view.plan.classes if c.name in wanting and c.limit in BOUNDS and c not in short]
    if short:
        message = "; ".join(f"{c.name}: {c.limit_message}" for c in short)
        return Verdict(status="False", reason=str(short[0].limit), message=message)
    return Verdict(status="True", reason="CapacityCovers", message="the classes can carry the demand")


def _wanting(view: View) -> set[str]:
    """The classes that should have more: all while they do not cover the demand; by hand each for its own part."""
    rps = view.plan.demand.rps or 0.0
    planned_rps = {c.name: c.usable * c.replica_rps for c in view.plan.classes}
    if view.parts:
        return {name for name, part in view.parts.items() if planned_rps[name] < rps * part}
    return set(planned_rps) if sum(planned_rps.values()) < rps else set()


def _lacks_devices(plan: ClassPlan) -> bool:
    """Whether fewer replicas fit than are kept whatever the demand."""
    return plan.limit is Why.NO_DEVICES and plan.usable < plan.replicas


def _metrics_available(view: View) -> Verdict:
    demand = view.plan.demand
    if demand.reason == "MetricsMissing" and not view.ready:
        return Verdict(status="Unknown", reason="Starting", message="nothing serves yet that could be measured")
    return Verdict(
        status="False" if demand.rps is None else "True",
        reason=demand.reason,
        message=demand.message if demand.rps is not None else f"{demand.message}; nothing is scaled down meanwhile",
    )


def _degraded(view: View) -> Verdict:
    if view.plan.doubt:
        message = f"{view.plan.doubt}: our own view is rather at fault, so nothing is changed"
        return Verdict(status="True", reason=Why.DOUBT, message=message)
    lost = [c for c in view.plan.classes if _is_degraded(c, view)]
    if lost:
        return Verdict(status="True", reason="ClassesDegraded", message=_short_of_replicas(lost))
    return Verdict(status="False", reason="AllClassesWhole")


def _is_degraded(plan: ClassPlan, view: View) -> bool:
    """Short of replicas although they had their chance: a pod with a problem, or one that was ready and is not."""
    if plan.suspicions or plan.limit in {Why.NO_NODES, Why.UNKNOWN_CLASS}:
        return True
    if plan.ready >= plan.replicas:
        return False
    pods = [p for p in view.snapshot.pods if p.class_name == plan.name and not p.terminating]
    unserved = sum(p.ready or p.started for p in pods) > plan.ready
    return unserved or plan.name in view.troubled


def _short_of_replicas(classes: list[ClassPlan]) -> str:
    return "; ".join(f"{c.name}: {c.ready} of {c.replicas} replicas ready{_untrusted(c)}" for c in classes)


def _untrusted(plan: ClassPlan) -> str:
    return f", not trusted: {describe(plan.suspicions)}" if plan.suspicions else ""


def _per_class(classes: list[ClassPlan]) -> str:
    return "; ".join(f"{c.name}: {c.message}" for c in classes)


CONDITIONS: tuple[tuple[str, Callable[[View], Verdict]], ...] = (
    ("Ready", _ready),
    ("Reconciling", _reconciling),
    ("Stalled", _stalled),
    ("ModelReady", _model_ready),
    ("CapacityAvailable", _capacity_available),
    ("MetricsAvailable", _metrics_available),
    ("TrafficReady", traffic_ready),
    ("Degraded", _degraded),
)
"""Every condition of an InferenceDeployment, in the order in which they are shown."""

BAD_WHEN = {"Stalled": "True", "Degraded": "True"}
"""Abnormal-true conditions; all others are bad when `False` (Reconciling is never bad)."""

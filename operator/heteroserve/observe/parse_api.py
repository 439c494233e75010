"""Our own kinds as values of the model: the API's models read them, defaults included, and nothing validates twice.

The status is read back for one purpose: it remembers what the last decision must not forget. It is read on its own, so
that one that cannot be read keeps nobody from the spec.
"""

from typing import Any

from heteroserve.api import v1alpha1
from heteroserve.model.deployment import (
    ClaimSource,
    ClassTarget,
    ConfigMapSource,
    GatewayRef,
    ImageSource,
    InferenceDeployment,
    Key,
    Model,
    ModelSource,
    Objective,
    ObjectStoreSource,
    ProfilePoint,
    Scaling,
)
from heteroserve.model.fleet import Accelerator, DeviceRequest, HardwareClass, Runtime, Toleration
from heteroserve.model.snapshot import ConditionState, DecisionRecord, Memory, PendingScaleDown, Recovery
from heteroserve.observe.parse import parse_time
from heteroserve.render.metadata import DRILL_ANNOTATION, EVACUATE_LABEL


def parse_deployment(raw: dict[str, Any]) -> InferenceDeployment:
    """An InferenceDeployment. Raises `pydantic.ValidationError` for what no CRD of ours lets through."""
    parsed = v1alpha1.InferenceDeployment.model_validate({**raw, "status": {}})
    spec, metadata = parsed.spec, parsed.metadata
    budget = spec.scaling.budget
    parents = spec.traffic.gateway.parent_refs if spec.traffic.gateway else ()
    return InferenceDeployment(
        key=Key(namespace=metadata.namespace, name=metadata.name),
        uid=metadata.uid,
        generation=metadata.generation,
        model=Model(name=spec.model.name, version=spec.model.version, source=_source(spec.model.source)),
        objective=Objective(
            percentile=spec.objective.latency.percentile, latency_milliseconds=spec.objective.latency.milliseconds
        ),
        classes=tuple(_target(c) for c in spec.classes),
        scaling=Scaling(
            target_utilisation=spec.scaling.target_utilization_percent / 100,
            scale_down_window_seconds=spec.scaling.behavior.scale_down.stabilization_window_seconds,
            budget_per_hour=budget.cost_per_hour if budget else None,
        ),
        gateways=tuple(GatewayRef(name=p.name, section_name=p.section_name, port=p.port) for p in parents),
        hostnames=tuple(spec.traffic.hostnames),
        manual_weights={w.class_name: w.weight for w in spec.traffic.weights},
        paused=spec.paused,
    )


def parse_hardware_class(raw: dict[str, Any]) -> HardwareClass:
    """A HardwareClass. Raises `pydantic.ValidationError` for what no CRD of ours lets through."""
    parsed = v1alpha1.HardwareClass.model_validate({**raw, "status": {}})
    spec, resources = parsed.spec, parsed.spec.runtime.resources
    return HardwareClass(
        name=parsed.metadata.name,
        accelerator=Accelerator(spec.accelerator),
        node_selector=dict(spec.node_selector),
        devices=tuple(DeviceRequest(resource=r.name, quantity=r.quantity) for r in spec.resources),
        tolerations=tuple(
            Toleration(key=t.key, operator=t.operator, value=t.value or "", effect=t.effect or "")
            for t in spec.tolerations
        ),
        cost_per_hour=spec.cost.per_hour,
        unhealthy_conditions=frozenset(spec.unhealthy_conditions),
        evacuate=EVACUATE_LABEL in raw["metadata"].get("labels", {}),
        drill_until=parse_time(raw["metadata"].get("annotations", {}).get(DRILL_ANNOTATION)),
        runtime=Runtime(
            image=spec.runtime.image,
            args=tuple(spec.runtime.args),
            env=tuple((e.name, e.value) for e in spec.runtime.env),
            requests=resources.requests.model_dump(exclude_none=True),
            limits=resources.limits.model_dump(exclude_none=True) if resources.limits else {},
            runtime_class_name=spec.runtime.runtime_class_name,
            priority_class_name=spec.runtime.priority_class_name,
        ),
    )


def parse_memory(raw: dict[str, Any]) -> Memory:
    """What an InferenceDeployment's status remembers. Raises `ValueError` or `OverflowError` if it cannot be read."""
    status = v1alpha1.InferenceDeploymentStatus.model_validate(raw.get("status") or {})
    return Memory(
        pending={
            c.name: PendingScaleDown(since=c.pending_scale_down.since, replicas=c.pending_scale_down.replicas)
            for c in status.classes
            if c.pending_scale_down
        },
        recoveries={
            c.name: Recovery(
                since=c.recovery.since,
                setbacks=c.recovery.setbacks,
                troubled=c.recovery.troubled,
                floor=c.recovery.floor,
            )
            for c in status.classes
            if c.recovery
        },
        ready={c.name: c.ready for c in status.classes if c.ready is not None},
        weights={c.name: c.weight for c in status.classes if c.weight is not None},
        decisions=tuple(
            DecisionRecord(
                time=d.time, class_name=d.class_name, before=d.from_, after=d.to, reason=d.reason, message=d.message
            )
            for d in status.decisions
        ),
        conditions=tuple(_condition(c) for c in status.conditions),
        demand_rps=status.demand.requests_per_second if status.demand else None,
        version=status.version,
    )


def parse_conditions(status: dict[str, Any]) -> tuple[ConditionState, ...]:
    """The conditions of a status of either kind; none, if they cannot be read: then they start anew."""
    try:
        return tuple(_condition(v1alpha1.Condition.model_validate(c)) for c in status.get("conditions", ()))
    except (ValueError, OverflowError):
        return ()


def _condition(condition: v1alpha1.Condition) -> ConditionState:
    return ConditionState(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        observed_generation=condition.observed_generation or 0,
        last_transition=condition.last_transition_time,
    )


def _source(source: v1alpha1.ModelSource) -> ModelSource:
    if source.image:
        return ImageSource(reference=source.image.reference, pull_policy=source.image.pull_policy)
    if source.persistent_volume_claim:
        claim = source.persistent_volume_claim
        return ClaimSource(claim_name=claim.claim_name, path=claim.path)
    if source.object_store:
        store = source.object_store
        return ObjectStoreSource(uri=store.uri, credentials_secret=store.credentials_secret)
    if source.config_map:
        items = tuple((i.key, i.path) for i in source.config_map.items)
        return ConfigMapSource(name=source.config_map.name, items=items)
    raise ValueError("spec.model.source names none of image, persistentVolumeClaim, objectStore and configMap")


def _target(serving: v1alpha1.ServingClass) -> ClassTarget:
    return ClassTarget(
        name=serving.name,
        variant=serving.variant,
        min_replicas=serving.min_replicas,
        max_replicas=serving.max_replicas,
        points=tuple(
            ProfilePoint(
                batch=p.batch,
                p50_milliseconds=p.latency_milliseconds.p50,
                p99_milliseconds=p.latency_milliseconds.p99,
                throughput_rps=p.throughput,
            )
            for p in serving.profile.points
        ),
    )

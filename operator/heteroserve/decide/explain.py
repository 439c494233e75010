"""Explaining: what a plan changes, as records with cause, before and after.

Pure. One record per class that is removed or whose replicas change, and one for the whole split of the traffic, where
a route splits it; nothing changes, nothing is recorded. The records become the status's `decisions`, the Events and the
log's one line per decision.
"""

from collections.abc import Mapping

from heteroserve.decide.health import Witness
from heteroserve.model.plan import ClassPlan, Why, describe
from heteroserve.model.snapshot import DecisionRecord, Snapshot

REPEAT_SECONDS = 300.0
"""How long a decision that cannot be carried out (a quota refuses it, say) is not told again."""

TOLD_LENGTH = 128
"""What the status keeps of before and after."""

TRAFFIC = ""
"""No class: the record of a new split is about all of them."""


def record_changes(
    snapshot: Snapshot, classes: tuple[ClassPlan, ...], routed: Mapping[str, int]
) -> tuple[DecisionRecord, ...]:
    """The changes from what is to what the classes' plans say, and the routes are `routed` to."""
    changes = [_replicas(snapshot, c) for c in classes if c.render and c.replicas != snapshot.replicas.get(c.name, 0)]
    changes += [_removal(snapshot, name) for name in sorted(snapshot.replicas.keys() - {c.name for c in classes})]
    before = dict(snapshot.route.weights) if snapshot.route else {}
    after = {c.name: routed.get(c.name, c.weight) for c in classes}
    if snapshot.gateways and {n: w for n, w in before.items() if w} != {n: w for n, w in after.items() if w}:
        changes.append(_weights(snapshot, before, after, classes))
    return tuple(change for change in changes if not _repeats(snapshot, change))


def _repeats(snapshot: Snapshot, change: DecisionRecord) -> bool:
    """Whether the last decision about the same thing said the same a moment ago: it did not come true, and was told."""
    last = next((d for d in snapshot.memory.decisions if d.class_name == change.class_name), None)
    told = (change.before[:TOLD_LENGTH], change.after[:TOLD_LENGTH])
    same = last is not None and (last.before[:TOLD_LENGTH], last.after[:TOLD_LENGTH]) == told
    return same and last is not None and (snapshot.now - last.time).total_seconds() < REPEAT_SECONDS


def _replicas(snapshot: Snapshot, plan: ClassPlan) -> DecisionRecord:
    return DecisionRecord(
        time=snapshot.now,
        class_name=plan.name,
        before=_count(snapshot.replicas.get(plan.name, 0)),
        after=_count(plan.replicas),
        reason=plan.why,
        message=plan.message,
    )


def _removal(snapshot: Snapshot, name: str) -> DecisionRecord:
    return DecisionRecord(
        time=snapshot.now,
        class_name=name,
        before=_count(snapshot.replicas[name]),
        after="removed",
        reason=Why.RETIRED,
        message="no longer in spec.classes, and the others carry the demand",
    )


def _weights(
    snapshot: Snapshot, before: dict[str, int], after: dict[str, int], classes: tuple[ClassPlan, ...]
) -> DecisionRecord:
    ready = ", ".join(f"{c.name} {c.ready} ready" for c in classes)
    untrusted = "".join(f"; {c.name}: {describe(c.suspicions)}" for c in classes if c.suspicions)
    slowly = "".join(f"; {c.name} is trusted slowly" for c in classes if c.recovery)
    by_hand = bool(snapshot.deployment.manual_weights)
    return DecisionRecord(
        time=snapshot.now,
        class_name=TRAFFIC,
        before=_format(before),
        after=_format(after),
        reason=Why.MANUAL if by_hand else _why_moved(before, after, classes),
        message="by hand: spec.traffic.weights" if by_hand else f"by ready capacity: {ready}{untrusted}{slowly}",
    )


def _why_moved(before: dict[str, int], after: dict[str, int], classes: tuple[ClassPlan, ...]) -> Why:
    less = [c for c in classes if after[c.name] < before.get(c.name, 0)]
    if any(_suspected(c) for c in less):
        return Why.SUSPECT
    if any(c.recovery and after[c.name] > before.get(c.name, 0) > 0 for c in classes):
        return Why.RECOVERING
    return Why.NOT_READY if any(c.weight == 0 and c.ready == 0 for c in less) else Why.CAPACITY


def _suspected(plan: ClassPlan) -> bool:
    """Whether we know more than Kubernetes, which itself sends no traffic to a node that is not ready."""
    return any(set(s.witnesses) != {Witness.NODE} for s in plan.suspicions)


def _count(replicas: int) -> str:
    return f"{replicas} replica" if replicas == 1 else f"{replicas} replicas"


def _format(weights: dict[str, int]) -> str:
    return " ".join(f"{name}={weight}" for name, weight in sorted(weights.items())) or "none"

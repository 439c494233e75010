"""Explaining: what a plan changes, as records with cause, before and after.

Pure. One record per class that is removed or whose replicas change, one per class of which suspects are taken out of
the traffic or pods come back into it, and one for the whole split, where a route splits it; nothing changes, nothing is
recorded. That we stop acting, and act again, is a record as well. Who leaves the traffic by plan is told with the
replicas. The records become the status's `decisions`, the Events, the log's one line per decision, and the metric.
"""

from collections.abc import Iterable, Mapping

from heteroserve.decide.health import Witness
from heteroserve.model.plan import TOLD, ClassPlan, PodMark, Suspicion, Why, describe
from heteroserve.model.snapshot import DecisionRecord, Pod, Snapshot

REPEAT_SECONDS = 300.0
"""How long a decision that cannot be carried out (a quota refuses it, say) is not told again."""

TOLD_LENGTH, MESSAGE_LENGTH = 128, 1024
"""What the status keeps of before and after, and of the message."""

TRAFFIC = ""
"""No class: the record of a new split, or of a freeze, is about all of them."""

IN_TRAFFIC = "in the traffic"
ACTING, FROZEN, PAUSED = "acting", "frozen", "paused"


def record_changes(
    snapshot: Snapshot, classes: tuple[ClassPlan, ...], routed: Mapping[str, int], marks: tuple[PodMark, ...] = ()
) -> tuple[DecisionRecord, ...]:
    """The changes from what is to what the classes' plans say, the routes are `routed` to, and pods are told."""
    changes = [_replicas(snapshot, c) for c in classes if c.render and c.replicas != snapshot.replicas.get(c.name, 0)]
    changes += [_removal(snapshot, name) for name in sorted(snapshot.replicas.keys() - {c.name for c in classes})]
    changes += [record for c in classes for record in _traffic(snapshot, c, marks)]
    before = dict(snapshot.route.weights) if snapshot.route else {}
    after = {c.name: routed.get(c.name, c.weight) for c in classes if c.named}
    if snapshot.gateways and {n: w for n, w in before.items() if w} != {n: w for n, w in after.items() if w}:
        changes.append(_weights(snapshot, before, after, classes))
    new = (change for change in changes if not _repeats(snapshot, change))
    return (*record_freeze(snapshot, ACTING, "our own view is believed again"), *new)


def record_freeze(snapshot: Snapshot, now: str, message: str) -> tuple[DecisionRecord, ...]:
    """That a doubt keeps us from acting from now on, or no longer does. A pause is somebody's wish, not a decision."""
    told = next((c.reason for c in snapshot.memory.conditions if c.type == "Reconciling"), "")
    before = FROZEN if told == Why.DOUBT else PAUSED if told == Why.PAUSED else ACTING
    if FROZEN not in {before, now} or before == now:
        return ()
    record = DecisionRecord(
        time=snapshot.now, class_name=TRAFFIC, before=before, after=now, reason=Why.DOUBT, message=message
    )
    return (record,)


def is_by_hand(weights: Mapping[str, int], classes: Iterable[ClassPlan]) -> bool:
    """Whether the split is the one that somebody set by hand: one that is new may have to wait."""
    return bool(weights) and all(c.weight == weights.get(c.name, 0) for c in classes)


def subject(record: DecisionRecord) -> tuple[str, str]:
    """What a record is about: a class, or all, and what of it."""
    if record.after.endswith(IN_TRAFFIC):
        return record.class_name, IN_TRAFFIC
    return record.class_name, ACTING if record.reason == Why.DOUBT else ""


def _repeats(snapshot: Snapshot, change: DecisionRecord) -> bool:
    """Whether the last decision about the same thing said the same a moment ago: it did not come true, and was told."""
    last = next((d for d in snapshot.memory.decisions if subject(d) == subject(change)), None)
    recent = last is not None and (snapshot.now - last.time).total_seconds() < REPEAT_SECONDS
    return recent and last is not None and _said(last) == _said(change)


def _said(record: DecisionRecord) -> tuple[str, ...]:
    """As the status keeps it. Of pods the message counts: as many of them are not the same ones."""
    names = record.message[:MESSAGE_LENGTH] if subject(record)[1] == IN_TRAFFIC else ""
    return record.before[:TOLD_LENGTH], record.after[:TOLD_LENGTH], names


def _traffic(snapshot: Snapshot, plan: ClassPlan, marks: tuple[PodMark, ...]) -> list[DecisionRecord]:
    """Who leaves the traffic because it is not trusted, and who comes back, whyever it was out."""
    own = [p for p in snapshot.pods if p.class_name == plan.name and not p.terminating]
    takes_part = {m.uid: m.mark.out_since is None for m in marks}
    accused = {s.pod: s for s in plan.suspicions}
    before = [p for p in own if p.mark.out_since is None]
    out = [accused[p.name] for p in before if p.name in accused and not takes_part.get(p.uid, True)]
    back = [p for p in own if p.mark.out_since is not None and takes_part.get(p.uid, False)]
    if not (out or back):
        return []
    record = DecisionRecord(
        time=snapshot.now,
        class_name=plan.name,
        before=f"{len(before)} {IN_TRAFFIC}",
        after=f"{len(before) - len(out) + len(back)} {IN_TRAFFIC}",
        reason=Why.SUSPECT if out or any(p.name in accused for p in back) else Why.CAPACITY,
        message=_who(out, back, accused),
    )
    return [record]


def _who(out: list[Suspicion], back: list[Pod], accused: Mapping[str, Suspicion]) -> str:
    trusted = sorted(p.name for p in back if p.name not in accused)
    more = f" and {len(trusted) - TOLD} more" if len(trusted) > TOLD else ""
    said = {
        "taken out": describe(out),
        "in it again": ", ".join(trusted[:TOLD]) + more,
        "in it for want of others": describe([accused[p.name] for p in back if p.name in accused]),
    }
    return "; ".join(f"{what}: {names}" for what, names in said.items() if names)


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
    by_hand = is_by_hand(snapshot.deployment.manual_weights, classes)
    return DecisionRecord(
        time=snapshot.now,
        class_name=TRAFFIC,
        before=_format(before),
        after=_format(after),
        reason=Why.MANUAL if by_hand else _why_moved(before, after, classes),
        message="by hand: spec.traffic.weights" if by_hand else f"by ready capacity: {ready}{untrusted}{slowly}",
    )


def _why_moved(before: dict[str, int], after: dict[str, int], classes: tuple[ClassPlan, ...]) -> Why:
    less = [c for c in classes if after.get(c.name, 0) < before.get(c.name, 0)]
    if any(_suspected(c) for c in less):
        return Why.SUSPECT
    if any(c.recovery and after.get(c.name, 0) > before.get(c.name, 0) > 0 for c in classes):
        return Why.RECOVERING
    return Why.NOT_READY if any(c.weight == 0 and c.ready == 0 for c in less) else Why.CAPACITY


def _suspected(plan: ClassPlan) -> bool:
    """Whether we know more than Kubernetes, which itself sends no traffic to a node that is not ready."""
    return any(set(s.witnesses) != {Witness.NODE} for s in plan.suspicions)


def _count(replicas: int) -> str:
    return f"{replicas} replica" if replicas == 1 else f"{replicas} replicas"


def _format(weights: dict[str, int]) -> str:
    return " ".join(f"{name}={weight}" for name, weight in sorted(weights.items())) or "none"

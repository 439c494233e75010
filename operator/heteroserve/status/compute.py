"""Status: what a plan and its outcome look like from outside. Pure; the values that `write` sends.

Invariants: every condition is present from the first visit; a time moves only when its condition's status moves; the
same inputs give the same status, and figures that flicker are held, so that an idle deployment is never written to.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import ClassPlan, Plan
from heteroserve.model.snapshot import ConditionState, DecisionRecord, Snapshot
from heteroserve.status.conditions import CONDITIONS
from heteroserve.status.view import Verdict, View

DECISIONS_KEPT = 20
DEMAND_TOLERANCE = 0.1
"""The demand shown moves only when it changed by more than this share: a status is no time series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of an InferenceDeployment."""

    generation: int
    conditions: tuple[ConditionState, ...]
    version: str | None = None
    cost_per_hour: Decimal | None = None
    demand_rps: float | None = None
    classes: tuple[ClassPlan, ...] = ()
    decisions: tuple[DecisionRecord, ...] = ()


def compute_status(snapshot: Snapshot, plan: Plan, outcome: Outcome) -> Status:
    """The status after a cycle."""
    view = View(snapshot=snapshot, plan=plan, outcome=outcome)
    verdicts = {kind: judge(view) for kind, judge in CONDITIONS}
    return Status(
        generation=snapshot.deployment.generation,
        conditions=conditions_after(snapshot.memory.conditions, verdicts, snapshot.deployment.generation, snapshot.now),
        version=_version(snapshot),
        cost_per_hour=plan.cost_per_hour,
        demand_rps=_steady(snapshot.memory.demand_rps, plan.demand.rps),
        classes=plan.classes,
        decisions=(*reversed(plan.decisions), *snapshot.memory.decisions)[:DECISIONS_KEPT],
    )


def unreadable_conditions(
    before: tuple[ConditionState, ...], message: str, generation: int, now: datetime
) -> tuple[ConditionState, ...]:
    """The conditions of an object of ours that this version cannot read; what it owns keeps serving untouched."""
    bad = Verdict(status="True", reason="SpecUnreadable", message=message)
    return conditions_after(before, {"Ready": replace(bad, status="False"), "Stalled": bad}, generation, now)


def conditions_after(
    before: tuple[ConditionState, ...], verdicts: dict[str, Verdict], generation: int, now: datetime
) -> tuple[ConditionState, ...]:
    """The new conditions; the time of a condition moves only with its status."""
    old = {c.type: c for c in before}
    return tuple(
        ConditionState(
            type=kind,
            status=verdict.status,
            reason=verdict.reason,
            message=verdict.message,
            observed_generation=generation,
            last_transition=old[kind].last_transition if kind in old and old[kind].status == verdict.status else now,
        )
        for kind, verdict in verdicts.items()
    )


def _version(snapshot: Snapshot) -> str | None:
    """The version that every ready pod serves; while two are served, the last one that all did."""
    served = {p.model_version for p in snapshot.pods if p.ready and not p.terminating}
    return served.pop() if len(served) == 1 else snapshot.memory.version if served else None


def _steady(before: float | None, now: float | None) -> float | None:
    if now is None or (before is not None and abs(now - before) <= DEMAND_TOLERANCE * max(before, 1.0)):
        return before
    return float(f"{now:.3g}")

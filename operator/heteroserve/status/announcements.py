"""Which changes are worth an Event. Pure: the conditions before and after and this cycle's decisions in, Events out.

Reasons are those of the conditions and decisions themselves: one word finds condition, Event, log line and metric.
"""

from heteroserve.act.events import Announcement
from heteroserve.decide.explain import ACTING, subject
from heteroserve.model.snapshot import ConditionState, DecisionRecord
from heteroserve.status.conditions import BAD_WHEN

QUIET = frozenset({"Ready", "Reconciling"})
"""`Ready` repeats the reason of the condition that caused it; `Reconciling` is visible in the decisions."""

AWAITED = frozenset({"Evacuated"})
"""Nothing is bad while it is not true, and somebody waits until it is."""


def announcements_for(
    before: tuple[ConditionState, ...],
    after: tuple[ConditionState, ...],
    decisions: tuple[DecisionRecord, ...],
    quiet: frozenset[str] = QUIET,
) -> tuple[Announcement, ...]:
    """One Event per decision, per condition that went bad (or bad in another way), per recovery and what is awaited."""
    old = {c.type: c for c in before}
    changed = [(c, old.get(c.type)) for c in after if c.type not in quiet]
    return (
        *(_decision(d) for d in decisions),
        *(a for condition, was in changed if (a := _condition(condition, was))),
    )


def _decision(decision: DecisionRecord) -> Announcement:
    name, matter = subject(decision)
    who = "operator" if matter == ACTING else name or "traffic"
    message = f"{who}: {decision.before} -> {decision.after}: {decision.message}"
    return Announcement(warning=False, reason=decision.reason, action="Decide", message=message)


def _condition(condition: ConditionState, was: ConditionState | None) -> Announcement | None:
    if condition.type in AWAITED:
        come = condition.status == "True" and not (was and was.status == "True")
        said = Announcement(warning=False, reason=condition.reason, action="Observe", message=condition.message)
        return said if come else None
    bad, was_bad = _is_bad(condition), was is not None and _is_bad(was)
    if bad and not (was_bad and was is not None and was.reason == condition.reason):
        return Announcement(warning=True, reason=condition.reason, action="Observe", message=condition.message)
    if was_bad and not bad and condition.status != "Unknown":
        message = f"{condition.type} is {condition.status} again: {condition.message or condition.reason}"
        return Announcement(warning=False, reason=f"{condition.type}Recovered", action="Observe", message=message)
    return None


def _is_bad(condition: ConditionState) -> bool:
    return condition.status == BAD_WHEN.get(condition.type, "False")

from dataclasses import dataclass

import builders
from heteroserve.act.events import Announcement
from heteroserve.model.snapshot import ConditionState, DecisionRecord
from heteroserve.status.announcements import announcements_for

OTHER = builders.condition("TrafficReady")
GOOD = builders.condition("ModelReady", "True", "ModelLoaded")
BAD = builders.condition("ModelReady", "False", "ModelLoadFailed", message="failed to load")
WORSE = builders.condition("ModelReady", "False", "ContainerCrashed", message="exit code 1")
OPEN = builders.condition("ModelReady", "Unknown", "Starting")
CALM = builders.condition("Stalled", "False", "NothingInTheWay")
STALLED = builders.condition("Stalled", "True", "NameTaken", message="Service digits exists")

NOT_ASKED = builders.condition("Evacuated", "False", "NotAsked")
LEFT = builders.condition("Evacuated", "False", "ReplicasLeft")
SAFE = builders.condition("Evacuated", "True", "NothingLeft", message="safe: no replica is left")


@dataclass(frozen=True, kw_only=True)
class Change:
    """Conditions before and after, and what is announced; a further condition stays as it is."""

    before: ConditionState | None = None
    after: ConditionState
    want: tuple[Announcement, ...] = ()


def warning(reason: str, message: str) -> tuple[Announcement, ...]:
    return (Announcement(warning=True, reason=reason, action="Observe", message=message),)


def news(reason: str, message: str) -> tuple[Announcement, ...]:
    return (Announcement(warning=False, reason=reason, action="Observe", message=message),)


CHANGES = {
    "fine from the start": Change(after=GOOD),
    "bad from the start": Change(after=BAD, want=warning("ModelLoadFailed", "failed to load")),
    "it goes bad": Change(before=GOOD, after=BAD, want=warning("ModelLoadFailed", "failed to load")),
    "it stays bad": Change(before=BAD, after=BAD),
    "it is bad in another way": Change(before=BAD, after=WORSE, want=warning("ContainerCrashed", "exit code 1")),
    "it recovers": Change(
        before=BAD, after=GOOD, want=news("ModelReadyRecovered", "ModelReady is True again: ModelLoaded")
    ),
    "not to know is no recovery": Change(before=BAD, after=OPEN),
    "not to know is not bad": Change(before=GOOD, after=OPEN),
    "what is bad when True goes bad": Change(
        before=CALM, after=STALLED, want=warning("NameTaken", "Service digits exists")
    ),
    "what is bad when True recovers": Change(
        before=STALLED, after=CALM, want=news("StalledRecovered", "Stalled is False again: NothingInTheWay")
    ),
    "nobody wants the nodes": Change(after=NOT_ASKED),
    "somebody wants the nodes, and replicas are left": Change(before=NOT_ASKED, after=LEFT),
    "the last replica has left": Change(before=LEFT, after=SAFE, want=news("NothingLeft", "safe: no replica is left")),
    "nothing was there in the first place": Change(after=SAFE, want=news("NothingLeft", "safe: no replica is left")),
    "it stays empty": Change(before=SAFE, after=SAFE),
    "nobody wants the nodes any more": Change(before=SAFE, after=NOT_ASKED),
    "Ready repeats the others": Change(after=builders.condition("Ready", "False", "ModelLoadFailed")),
    "Reconciling is told by the decisions": Change(after=builders.condition("Reconciling", "False", "UpToDate")),
}


@builders.table(CHANGES)
def test_conditions_are_announced_when_they_change_for_somebody(case: Change) -> None:
    before = (OTHER, case.before) if case.before else (OTHER,)
    assert announcements_for(before, (OTHER, case.after), ()) == case.want


def test_a_ready_that_repeats_nobody_is_announced() -> None:
    bad = builders.condition("Ready", "False", "NoNodes", message="no node has the labels")
    found = announcements_for((), (bad, OTHER), (), quiet=frozenset())
    assert found == warning("NoNodes", "no node has the labels")


DECISIONS: dict[str, tuple[DecisionRecord, str]] = {
    "replicas": (builders.decision("cpu"), "cpu: 1 replica -> 2 replicas: covers the demand"),
    "the split": (
        builders.decision("", before="cpu=100", after="cpu=50 gpu=50"),
        "traffic: cpu=100 -> cpu=50 gpu=50: covers the demand",
    ),
    "whether we act at all": (
        builders.decision("", before="acting", after="frozen", reason="ViewInDoubt", message="3 of 5 nodes"),
        "operator: acting -> frozen: 3 of 5 nodes",
    ),
}


@builders.table(DECISIONS)
def test_every_decision_is_announced(case: tuple[DecisionRecord, str]) -> None:
    decision, want = case
    assert announcements_for((), (OTHER,), (decision,)) == (
        Announcement(warning=False, reason=decision.reason, action="Decide", message=want),
    )

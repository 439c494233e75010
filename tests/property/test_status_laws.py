"""What a status promises: it is what is remembered, and it is not written again when it says nothing new."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

import builders
import strategies
from heteroserve.api import v1alpha1
from heteroserve.decide import decide
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.model.snapshot import Memory, RouteState, Snapshot
from heteroserve.observe.parse_api import parse_memory
from heteroserve.status.announcements import announcements_for
from heteroserve.status.compute import DECISIONS_KEPT, Status, compute_status
from heteroserve.status.conditions import CONDITIONS
from heteroserve.status.write import as_json

outcomes = st.sampled_from((Outcome(), Outcome(refused=(Refusal(reason="Forbidden", message="quota"),))))


def status_of(snapshot: Snapshot, outcome: Outcome) -> Status:
    return compute_status(snapshot, decide(snapshot), outcome)


def remembered(status: Status) -> Memory:
    """What the operator reads back of a status that it wrote."""
    written = builders.raw_deployment(status=as_json(status))
    v1alpha1.InferenceDeployment.model_validate(written)
    return parse_memory(written)


@given(strategies.snapshots(), outcomes)
def test_what_is_written_is_what_is_remembered(snapshot: Snapshot, outcome: Outcome) -> None:
    status = status_of(snapshot, outcome)
    found = remembered(status)
    assert found.pending == {c.name: c.pending for c in status.classes if c.pending}
    assert found.recoveries == {c.name: c.recovery for c in status.classes if c.recovery}
    assert found.ready == {c.name: c.ready for c in status.classes}
    assert found.conditions == status.conditions
    assert found.decisions == status.decisions
    assert found.demand_rps == status.demand_rps


@given(strategies.snapshots(), outcomes)
def test_a_moment_that_changes_nothing_is_written_once(snapshot: Snapshot, outcome: Outcome) -> None:
    plan = decide(snapshot)
    settled = replace(
        snapshot,
        replicas={c.name: c.replicas for c in plan.classes if c.render or c.name in snapshot.replicas},
        route=snapshot.route and RouteState(weights={c.name: c.weight for c in plan.classes}, accepted=True),
    )
    assume(not decide(settled).decisions)
    noticed = status_of(settled, outcome)  # that replicas came or went, say
    settled = replace(settled, memory=remembered(noticed))
    assume(not decide(settled).decisions)
    first = status_of(settled, outcome)
    again = status_of(replace(settled, memory=remembered(first)), outcome)
    assert as_json(again) == as_json(first)
    assert announcements_for(first.conditions, again.conditions, ()) == ()


@given(strategies.snapshots(), outcomes)
def test_every_condition_is_there_once_and_its_time_moves_with_its_status(snapshot: Snapshot, outcome: Outcome) -> None:
    before = {c.type: c for c in snapshot.memory.conditions}
    after = status_of(snapshot, outcome).conditions
    assert [c.type for c in after] == [kind for kind, _ in CONDITIONS]
    for condition in after:
        was = before.get(condition.type)
        stays = was is not None and was.status == condition.status
        assert condition.last_transition == (was.last_transition if stays and was else snapshot.now)
        assert condition.status in {"True", "False", "Unknown"}


@given(strategies.snapshots())
def test_no_more_decisions_are_kept_than_the_crd_takes_and_the_newest_are_never_dropped(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    kept = status_of(snapshot, Outcome()).decisions
    assert len(kept) <= DECISIONS_KEPT
    assert kept[: len(plan.decisions)] == plan.decisions[::-1]


@given(strategies.snapshots())
def test_ready_is_said_only_of_what_serves(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    said = {c.type: c.status for c in status_of(snapshot, Outcome()).conditions}
    if said["Ready"] == "True":
        assert any(c.ready for c in plan.classes)
        assert said["TrafficReady"] == "True"
        assert not snapshot.gateways or all(c.ready for c in plan.classes if c.weight and (c.named or plan.held))

"""What a trial had to show, by the table of faults, and what it did not. Pure; only of the operator's own way."""

from collections.abc import Iterator

from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault
from kit.bench.moments import most_turns
from kit.bench.trial import Trial


def breaches(trial: Trial) -> list[str]:
    """One sentence for each limit that did not hold; a comparison has no limits."""
    if trial.target != "operator":
        return []
    fault = FAULTS[trial.fault]
    return [*_requests(trial, fault), *_weights(trial, fault), *_writes(trial, fault)]


def _requests(trial: Trial, fault: Fault) -> Iterator[str]:
    allowed = fault.failed_seconds * trial.rate * share(trial)
    if trial.failed > allowed:
        yield f"{trial.failed} requests failed" + (f", at most {allowed:.0f} may" if allowed else "")
    if trial.wrong:
        yield f"{trial.wrong} wrong answers"


def share(trial: Trial) -> float:
    """The struck class's part of the requests at the fault."""
    before = [turn.weights for turn in trial.weights if turn.after < 0]
    return before[-1].get(trial.struck_class, 0) / 100 if before else 0.0


def _weights(trial: Trial, fault: Fault) -> Iterator[str]:
    if fault.in_force is not None and (late := _late(trial, fault.in_force)):
        yield late
    if fault.turns_per_10_minutes is not None:
        turns = most_turns(trial.weights, trial.struck_class)
        if turns > fault.turns_per_10_minutes:
            yield f"the weights changed their direction {turns} times in 10 minutes"


def _late(trial: Trial, limit: float) -> str:
    since = trial.seconds.returned or 0.0
    within, back = trial.seconds.weights_in_force, trial.seconds.capacity_restored
    if within is not None and within - since > limit:
        after = " after the return" if since else ""
        return f"weights in force {within - since:.2f} s{after}, the limit is {limit:.0f} s"
    # a Triton that the kubelet started again in time: there was nothing to move
    if within is None and (back is None or back - since > limit):
        return f"the weights never followed, the limit is {limit:.0f} s"
    return ""


def _writes(trial: Trial, fault: Fault) -> Iterator[str]:
    if fault.noticed is not None:
        noticed, injected = trial.seconds.suspicion, trial.seconds.injected
        if noticed is None:
            yield "it was never noticed"
        elif noticed - injected > fault.noticed:
            yield f"noticed after {noticed - injected:.2f} s, the limit is {fault.noticed:.0f} s"
    if not fault.may_remove and trial.pods_removed:
        yield f"{trial.pods_removed} pods were removed"

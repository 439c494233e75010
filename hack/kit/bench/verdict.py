"""What a trial had to show, by the table of faults, and what it did not. Pure.

The limits are those of the operator's own way. That it was held to its end, under all of its load, is asked of a
comparison as well. A figure that a limit needs and that nobody saw is no pass: `unmeasured` names it.
"""

import math
from collections.abc import Iterator

from kit.bench.faults import FAULTS
from kit.bench.faults.base import Fault
from kit.bench.moments import most_turns
from kit.bench.trial import Trial

LOAD_SIGMAS = 5.0
"""So far below its mean no number of random arrivals ever is."""


def breaches(trial: Trial) -> list[str]:
    """One sentence for each limit that did not hold; of a trial that broke off, what can be said of its requests."""
    fault, found = FAULTS[trial.fault], [*_course(trial)]
    if trial.target != "operator":
        return found
    found += _requests(trial, fault)
    return found if trial.broken else [*found, *_weights(trial, fault), *_end(trial, fault), *_writes(trial, fault)]


def unmeasured(trial: Trial) -> list[str]:
    """One sentence for each limit of which nobody can say whether it held."""
    fault, seconds = FAULTS[trial.fault], trial.seconds
    if trial.target != "operator" or trial.broken:
        return []
    unseen = seconds.weights_patched is not None and seconds.weights_in_force is None
    told = {
        "weights in force: not seen": fault.in_force is not None and unseen,
        "goodput: not known": fault.goodput is not None and None in {trial.goodput, trial.surviving},
    }
    return [text for text, is_so in told.items() if is_so]


def _course(trial: Trial) -> Iterator[str]:
    if trial.broken:
        yield f"not held to its end: {trial.broken}"
    windows = (trial.before, trial.during, trial.after)
    due, sent = trial.rate * sum(w.seconds for w in windows), sum(w.sent for w in windows)
    if sent < due - LOAD_SIGMAS * math.sqrt(due):
        yield f"only {sent} requests were sent of the {due:.0f} that were due"


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
    since, seconds = trial.seconds.returned or 0.0, trial.seconds
    # in force no sooner than patched, whoever saw the rest
    what, at = "in force", seconds.weights_in_force
    if at is None:
        what, at = "patched", seconds.weights_patched
    if at is not None:
        after = " after the return" if since else ""
        told = f"weights {what} {at - since:.2f} s{after}, the limit is {limit:.0f} s"
        return told if at - since > limit else ""
    # a Triton that the kubelet started again in time: there was nothing to move
    back = seconds.capacity_restored
    in_time = back is not None and back - since <= limit
    return "" if in_time else f"the weights never followed, the limit is {limit:.0f} s"


def _end(trial: Trial, fault: Fault) -> Iterator[str]:
    if fault.must_come and trial.came is False:
        yield f"what the fault waits for never came within {fault.most:.0f} s"
    if trial.moved_first is False:
        yield "a pod was taken away before it was out of the traffic and before another served"
    if fault.goodput is not None and trial.goodput is not None and trial.surviving is not None:
        needed = fault.goodput * min(trial.rate, trial.surviving)
        if trial.goodput < needed:
            yield f"goodput {trial.goodput:.1f}/s, what survived has to answer {needed:.1f}/s"


def _writes(trial: Trial, fault: Fault) -> Iterator[str]:
    if fault.noticed is not None:
        noticed, injected = trial.seconds.suspicion, trial.seconds.injected
        if noticed is None:
            yield "it was never noticed"
        elif noticed - injected > fault.noticed:
            yield f"noticed after {noticed - injected:.2f} s, the limit is {fault.noticed:.0f} s"
    if not fault.may_write and trial.pods_removed:
        yield f"{trial.pods_removed} pods were removed"
    if trial.writes:
        yield f"{len(trial.writes)} changes while its view was in doubt: {'; '.join(trial.writes)}"

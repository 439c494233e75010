"""A trial as it is kept: one fault under load, what became of every request, and how long each part took.

Seconds are counted from the moment before the fault's command was given, so that they are never too short. What was
not seen or cannot be known is None, and `notes` says which and why. Failed requests are listed one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Target = Literal["operator", "service", "route"]
TARGETS: tuple[Target, ...] = ("operator", "service", "route")

OPEN_LOOP = {"http": 1, "http-fresh": 1, "grpc": 1}
"""The mix of protocols: HTTP with and without keep-alive, gRPC unary; a third each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One request that failed or was answered wrongly."""

    after: float
    at: str
    protocol: str
    milliseconds: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The requests that were due in a part of the trial; milliseconds over the answered ones."""

    seconds: float
    sent: int
    answered: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Seconds from the fault to what followed.

    ``injected``: the fault's command was done, so the fault itself happened between 0 and this. ``returned``: the
    operator or the API server was back. ``weights_in_force``: the weights were patched and nothing went to the dead
    any more.
    """

    injected: float
    returned: float | None
    suspicion: float | None
    weights_patched: float | None
    last_to_dead: float | None
    weights_in_force: float | None
    capacity_restored: float | None
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The shares from a moment on, as the status tells them."""

    after: float
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests that the gateway sent to each class in each second, retries included, from second ``first`` on."""

    first: int
    requests: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Everything that is kept of one trial.

    ``broken``: what kept it from being held to its end, empty when it was. ``came``: whether what the fault waits for
    came before its time was over; None where it waits for nothing. ``goodput``: answered requests per second while the
    fault was there; ``surviving``: what the classes that were not struck carry by the status at the fault. ``late``:
    right answers that took longer than the deployment's objective.

    ``writes``: what the operator changed while the fault was there, where it must not change anything.
    ``moved_first``: whether each pod that was taken away by plan was out of the traffic, or replaced, before it went.

    The last fields have defaults: older files lack them.
    """

    fault: str
    target: Target
    number: int
    seed: int
    rate: float
    began: str
    took: float
    struck_class: str
    struck: Sequence[str]
    protocols: Mapping[str, int]
    sent: int
    failed: int
    wrong: int
    slowest: float | None
    sender_p99: float | None
    before: Window
    during: Window
    after: Window
    seconds: Moments
    suspected_by: str
    weights: Sequence[Turn]
    traffic: Traffic | None
    pods_removed: int
    failures: Sequence[Failure]
    notes: Sequence[str]
    versions: Mapping[str, str]
    revision: str
    broken: str = ""
    came: bool | None = None
    goodput: float | None = None
    surviving: float | None = None
    late: int = 0
    writes: Sequence[str] = ()
    moved_first: bool | None = None


def key(trial: Trial) -> tuple[str, str, float, int]:
    """What makes two trials the same question: it is asked once per file."""
    return trial.target, trial.fault, trial.rate, trial.seed

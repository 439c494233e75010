"""The course of a drill: what each look at a deployment says of where its traffic is, and what came of it all. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from heteroserve.cli.forecast import Target
from heteroserve.decide.trust import share, trusted_in_seconds
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import Pod, Recovery
from heteroserve.observe.parse import Object, parse_pod
from heteroserve.observe.parse_api import parse_memory
from heteroserve.render.metadata import DEPLOYMENT_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A deployment at one moment, as its status and its pods tell. `trouble`: why it is not Ready, if it is not.

    Without any weight it is gone. `wanted` are the replicas that the operator asks for.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    wanted: Mapping[str, int] = field(default_factory=dict)
    ready: Mapping[str, int] = field(default_factory=dict)
    recoveries: Mapping[str, Recovery] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    trouble: str = ""


Readings = Mapping[Key, Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What came of a drill. Seconds are from the annotation to the traffic's going, and from its end to the return.

    `broken_off` says why it ended before its time; `left_behind`, why the annotation could not be taken away.
    """

    target: Target
    began: datetime
    ended: datetime
    until: datetime
    over: datetime
    """When all was back, or nobody waited any longer."""
    away_seconds: Mapping[Key, float | None]
    back_seconds: Mapping[Key, float | None]
    before: Readings
    during: Readings
    after: Readings
    broken_off: str = ""
    left_behind: str = ""

    @property
    def clean(self) -> bool:
        """Whether the traffic went and came as it should."""
        seconds = (*self.away_seconds.values(), *self.back_seconds.values())
        return all(s is not None for s in seconds) and not (self.broken_off or self.left_behind)


def read(raw: Object | None, pods: list[Object]) -> Reading:
    """A deployment's status and its pods, out of all in its namespace."""
    if raw is None:
        return Reading()
    memory, name = parse_memory(raw), raw["metadata"]["name"]
    own = (p for p in pods if p["metadata"].get("labels", {}).get(DEPLOYMENT_LABEL) == name)
    ready = next((c for c in memory.conditions if c.type == "Ready"), None)
    return Reading(
        weights=weights_told(raw.get("status", {})),
        wanted={c["name"]: c.get("replicas", 0) for c in raw.get("status", {}).get("classes", ())},
        ready=memory.ready,
        recoveries=memory.recoveries,
        pods=tuple(parse_pod(p) for p in own),
        trouble=f"{ready.reason}: {ready.message}" if ready and ready.status != "True" else "",
    )


def weights_told(status: Object) -> dict[str, int]:
    """The weights in a status, by class."""
    return {c["name"]: c.get("weight", 0) for c in status.get("classes", ())}


def is_away(reading: Reading, target: Target) -> bool:
    """Whether no request goes to what is lost: its pods are out of their Services, or their class has no weight."""
    return all(p.mark.out_since is not None or not reading.weights.get(p.class_name) for p in _serving(reading, target))


def is_back(reading: Reading, target: Target, before: Reading, now: datetime) -> bool:
    """Whether all that the drill took out of the traffic is in it again."""
    return not what_is_missing(reading, target, before, now)


def what_is_missing(reading: Reading, target: Target, before: Reading, now: datetime) -> str:
    """What is not in the traffic as it was before; empty when all is back.

    Replicas are counted, for one that died is replaced by another. Fewer are as good when the operator wants fewer.
    """
    if not reading.weights:
        return "it is gone"
    if any(p.mark.out_since is not None for p in _serving(reading, target)):
        return f"pods of the {target} are still out of it"
    there, now_there = _led_to(before), _led_to(reading)
    for name in sorted({p.class_name for p in before.pods if target.covers(p)} & there.keys()):
        least = min(there[name], max(1, reading.wanted.get(name, there[name])))
        if now_there[name] < least:
            return f"{now_there[name]} of {least} replicas of {name} are in it"
        if not _has_its_share(name, reading, before, now):
            return f"{name} has {reading.weights.get(name, 0)} % of it, and had {before.weights.get(name, 0)} %"
    return ""


def _has_its_share(name: str, reading: Reading, before: Reading, now: datetime) -> bool:
    weight, recovery = reading.weights.get(name, 0), reading.recoveries.get(name)
    in_full = recovery is None or share(recovery, now) == 1
    return weight >= before.weights.get(name, 0) or (weight > 0 and in_full)


def _led_to(reading: Reading) -> Counter[str]:
    """Replicas by class that requests can reach."""
    return Counter(p.class_name for p in reading.pods if _could_answer(p) and p.mark.out_since is None)


def _serving(reading: Reading, target: Target) -> list[Pod]:
    return [p for p in reading.pods if target.covers(p) and _could_answer(p)]


def _could_answer(pod: Pod) -> bool:
    """What is on its way out for another reason neither goes nor comes by a drill."""
    return pod.ready and not (pod.terminating or pod.mark.goes_first)


def trusted_in(reading: Reading, target: Target, now: datetime) -> float:
    """In how many seconds the slowest of what was lost is trusted in full, if nothing happens."""
    classes = {p.class_name for p in _serving(reading, target)} & reading.recoveries.keys()
    return max((trusted_in_seconds(reading.recoveries[name], now) for name in classes), default=0.0)


def describe(readings: Readings) -> str:
    """All deployments in one line: the weights, and what is ready of each class."""
    return "; ".join(f"{key}: {_weights(r)}" for key, r in sorted(readings.items(), key=lambda item: str(item[0])))


def _weights(reading: Reading) -> str:
    if not reading.weights:
        return "gone"
    told = ", ".join(
        f"{name} {weight} % ({reading.ready.get(name, 0)} ready)" for name, weight in reading.weights.items()
    )
    return f"{told}, not Ready: {reading.trouble}" if reading.trouble else told

"""What the operator changed, and in which order. Pure.

Of a fault that puts the operator's own view in doubt nothing at all may follow: no weight, no number of replicas, no
mark on a pod, no pod less. Of a planned one the traffic goes first, then the pod.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from heteroserve.render.metadata import SERVING_LABEL
from kit.bench.history import History, Seen
from kit.bench.trial import Turn
from kit.bench.victim import Victim, ready
from kit.cluster import CLASS_LABEL

JSON = dict[str, Any]


def writes(history: History, start: float, end: float) -> list[str]:
    """Each change that was seen from a moment to another, in a line."""
    kinds = ((history.deployments, _weights), (history.workloads, _replicas), (history.pods, _marks))
    return [line for found, told in kinds for at, line in _changes(found, told) if start <= at < end]


def _changes(found: Sequence[Seen], told: Callable[[JSON], Mapping[str, object]]) -> Iterator[tuple[float, str]]:
    """What is told of each object, where it differs from what was told of it before."""
    last: dict[str, Mapping[str, object]] = {}
    for seen in found:
        name = seen.body.get("metadata", {}).get("name", "")
        was, now = last.get(name), None if seen.gone else told(seen.body)
        if was is not None and now is not None:
            keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
            yield from ((seen.at, f"{name}: {key} was {was.get(key)}, became {now.get(key)}") for key in keys)
        elif was != now:
            yield seen.at, f"{name} is {'new' if was is None else 'gone'}"
        if now is None:
            last.pop(name, None)
        else:
            last[name] = now


def _weights(deployment: JSON) -> dict[str, object]:
    return {f"weight of {c['name']}": c.get("weight", 0) for c in deployment.get("status", {}).get("classes", ())}


def _replicas(deployment: JSON) -> dict[str, object]:
    return {"replicas": deployment.get("spec", {}).get("replicas")}


def _marks(pod: JSON) -> dict[str, object]:
    """All labels and annotations: nobody else writes any on a pod that runs. And whether it is told to end."""
    metadata = pod["metadata"]
    told = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
    return {**told, "end": metadata.get("deletionTimestamp")}


def moved_first(history: History, turns: Sequence[Turn], victim: Victim, fault_at: float) -> bool | None:
    """Whether before each struck pod that was taken away it was out, its class had less weight, or another served.

    None when none was taken away.
    """
    leaving = {name: at for name, at in history.removed(fault_at).items() if name in {p.name for p in victim.pods}}
    if not leaving:
        return None
    less, another = _less_weight(turns, victim.class_name, fault_at), _another(history, victim, fault_at)
    out = _taken_out(history, fault_at)
    firsts = {name: [at for at in (less, another, out.get(name)) if at is not None] for name in leaving}
    return all(any(first < at for first in firsts[name]) for name, at in leaving.items())


def _less_weight(turns: Sequence[Turn], class_name: str, fault_at: float) -> float | None:
    steps = itertools.pairwise((turn.after, turn.weights.get(class_name, 0)) for turn in turns)
    return next((fault_at + at for (_, was), (at, now) in steps if at >= 0 and now < was), None)


def _another(history: History, victim: Victim, fault_at: float) -> float | None:
    """When a pod of the class was ready that had not been before."""
    old: set[str] = set()
    for seen in history.pods:
        name, labels = seen.body["metadata"]["name"], seen.body["metadata"].get("labels", {})
        if labels.get(CLASS_LABEL) == victim.class_name and ready(seen.body):
            if seen.at >= fault_at and name not in old:
                return seen.at
            old.add(name)
    return None


def _taken_out(history: History, fault_at: float) -> dict[str, float]:
    """When each pod was first told that Services lead to it no more."""
    found: dict[str, float] = {}
    for seen in history.pods:
        metadata = seen.body["metadata"]
        if seen.at >= fault_at and metadata.get("labels", {}).get(SERVING_LABEL) == "false":
            found.setdefault(metadata["name"], seen.at)
    return found

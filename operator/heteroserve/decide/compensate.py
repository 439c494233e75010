"""Compensating: what a gateway has to be told so that the traffic is split as it is meant. Pure.

Envoy takes the weight of a class down when many of its addresses are not well: to min(1, 1.4 · healthy / all).
Addresses of pods that start, leave or are lost count among all, and so does the placeholder. A class with one replica
would get 70 % of its share, one that grows from one to four 28 %. So the routes get weights that make up for it.
(Envoy's documentation, "Locality weighted load balancing"; Envoy Gateway 1.9.1 leaves the factor at its default.)
Who is told to come or to leave counts as if it had: that is carried out in the same breath.
"""

from collections.abc import Collection, Mapping

from heteroserve.decide.health import PROBES_FAILED
from heteroserve.decide.traffic import apportion
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark, Pod, Snapshot

OVERPROVISIONING = 1.4


def as_routed(snapshot: Snapshot, shares: Mapping[str, int], marks: Collection[PodMark]) -> dict[str, int]:
    """Weights of the routes, by class, for these shares of the traffic, when pods have been told these marks."""
    if not snapshot.keeps_placeholders:
        return dict(shares)
    told = {m.uid: m.mark for m in marks}
    known = [p for p in snapshot.pods if _has_an_endpoint(p, told.get(p.uid, p.mark))]
    factors = {name: _factor(snapshot, [p for p in known if p.class_name == name]) for name in shares}
    if all(factor == 1.0 for factor in factors.values()):
        return dict(shares)
    return apportion({name: share * factors[name] for name, share in shares.items()}) or dict(shares)


def _has_an_endpoint(pod: Pod, mark: Mark) -> bool:
    """Whether the gateway knows its address; one that ended keeps it on record, and nowhere else."""
    return pod.address is not None and mark.out_since is None and not pod.ended


def _factor(snapshot: Snapshot, pods: Collection[Pod]) -> float:
    """By how much the gateway takes a class down of which it knows these."""
    healthy = sum(p.ready and not p.terminating and snapshot.probes.get(p.uid, 0) < PROBES_FAILED for p in pods)
    return max(1.0, (len(pods) + 1) / (OVERPROVISIONING * healthy)) if healthy else 1.0

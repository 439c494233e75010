"""Compensating: what a gateway has to be told so that the traffic is split as it is meant. Pure.

Envoy takes the weight of a class down when many of its addresses are not well: to min(1, 1.4 · healthy / all).
Addresses of pods that start, leave or are lost count among all, and so does the placeholder. A class with one replica
would get 70 % of its share, one that grows from one to four 28 %. So the routes get weights that make up for it.
(Envoy's documentation, "Locality weighted load balancing"; Envoy Gateway 1.9.1 leaves the factor at its default.)
"""

from collections.abc import Mapping

from heteroserve.decide.health import PROBES_FAILED
from heteroserve.decide.traffic import apportion
from heteroserve.model.snapshot import Pod, Snapshot

OVERPROVISIONING = 1.4


def as_routed(snapshot: Snapshot, shares: Mapping[str, int]) -> dict[str, int]:
    """Weights of the routes, by class, for these shares of the traffic."""
    factors = {name: _factor(snapshot, name) for name in shares} if snapshot.keeps_placeholders else {}
    if all(factor == 1.0 for factor in factors.values()):
        return dict(shares)
    return apportion({name: share * factors[name] for name, share in shares.items()}) or dict(shares)


def _has_an_endpoint(pod: Pod) -> bool:
    """Whether the gateway knows its address; one that ended keeps it on record, and nowhere else."""
    return pod.address is not None and pod.mark.out_since is None and not pod.ended


def _factor(snapshot: Snapshot, class_name: str) -> float:
    """By how much the gateway takes the class down."""
    pods = [p for p in snapshot.pods if p.class_name == class_name and _has_an_endpoint(p)]
    healthy = sum(p.ready and not p.terminating and snapshot.probes.get(p.uid, 0) < PROBES_FAILED for p in pods)
    return max(1.0, (len(pods) + 1) / (OVERPROVISIONING * healthy)) if healthy else 1.0

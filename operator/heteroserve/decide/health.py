"""Health: which pods and nodes can be trusted, from several witnesses. First step of the pipeline; pure.

A witness is one way of learning that something is wrong, and each can be wrong itself: our prober may be cut off, a
Lease may be late because the API server is. So:

- one witness makes a *suspect*: it gets no traffic, which is cheap and taken back as soon as the witness is content;
- two of different kinds make it *dead*: its replicas are replaced, which costs time and devices. One is enough where a
  class has no other pod that answers, for then there is nothing to lose by believing it;
- many nodes that turn bad together say more about our view than about them: then nothing is decided at all.

What Kubernetes itself says (Ready, a taint, a deletion) is no witness but the rule: `supply` reads it besides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heteroserve.model.fleet import Node
from heteroserve.model.snapshot import Pod, Snapshot

PROBES_FAILED = 2
"""In a row: one may be lost on the way."""

LEASE_EXPIRED_SECONDS = 20.0
"""The kubelet renews every 10 s: two renewals are missing."""

MASS_SHARE = 0.4
MASS_WINDOW_SECONDS = 60.0
"""More than this share of all nodes turning bad within this time is no failure of nodes."""


class Witness(StrEnum):
    """Ways to learn that a pod or a node is not well."""

    PROBE = "ProbeFailed"
    LEASE = "NodeLeaseExpired"
    NODE = "NodeNotReady"
    DEVICE = "DeviceUnhealthy"
    GATEWAY = "GatewayEjected"


class State(StrEnum):
    """What we make of the witnesses."""

    HEALTHY = "Healthy"
    SUSPECT = "Suspect"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A state and who caused it, in a fixed order."""

    state: State = State.HEALTHY
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Verdicts by pod UID and by node name; `doubt` says why nobody should be believed at the moment."""

    pods: Mapping[str, Verdict]
    nodes: Mapping[str, Verdict]
    doubt: str = ""

    def trusts(self, pod: Pod) -> bool:
        """Whether the pod may be sent requests."""
        return self.pods[pod.uid].state is State.HEALTHY

    def lost(self, pod: Pod) -> bool:
        """Whether the pod has to be replaced."""
        return self.pods[pod.uid].state is State.DEAD


def assess_health(snapshot: Snapshot) -> Health:
    """Judges every pod of the deployment and every node."""
    nodes = {node.name: _judge(_witnesses_against_node(node, snapshot)) for node in snapshot.nodes}
    heard = {pod.uid: _witnesses_against(pod, snapshot) for pod in snapshot.pods}
    verdicts = {uid: _judge(witnesses) for uid, witnesses in heard.items()}
    return Health(pods=_believe_alone(snapshot, verdicts), nodes=nodes, doubt=_doubt(snapshot, nodes))


def _witnesses_against_node(node: Node, snapshot: Snapshot) -> tuple[Witness, ...]:
    vitals = snapshot.vitals.get(node.name)
    heard = {
        Witness.NODE: not node.ready,
        Witness.LEASE: bool(vitals and (vitals.lease_age_seconds or 0.0) > LEASE_EXPIRED_SECONDS),
        Witness.PROBE: bool(vitals and 0 < vitals.asked == vitals.failing),
    }
    return tuple(witness for witness, speaks in heard.items() if speaks)

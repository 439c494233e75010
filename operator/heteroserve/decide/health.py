"""Health: which pods and nodes can be trusted, from several witnesses. First step of the pipeline; pure.

A witness is one way of learning that something is wrong, and each can be wrong itself: our prober may be cut off, a
Lease may be late because the API server is. So:

- one witness makes a *suspect*: it gets no traffic, which is cheap and taken back as soon as the witness is content;
- two of different kinds make it *dead*: its replicas are replaced, which costs time and devices. One is enough where a
  class has no other pod that answers, for then there is nothing to lose by believing it; our own prober alone, whose
  way to a pod may be cut while everybody else's is not, is believed so of a class's only pod, and not for long;
- many nodes that turn bad together say more about our view than about them: then no witness is believed at all.

Kubernetes' own word (Ready, a taint, a deletion) is not only a witness but the rule: `supply` obeys it besides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from heteroserve.model.fleet import Node
from heteroserve.model.plan import DRILL, Suspicion
from heteroserve.model.snapshot import NodeVitals, Pod, Snapshot

PROBES_FAILED = 2
"""In a row: one may be lost on the way."""

PROBES_FAILED_ALONE = 5
"""In a row, where no other witness will be heard: a busy moment passes, a dead pod stays silent."""

PROBES_OUTVOTED = 20
"""In a row: a kubelet that lives and asks the same would have called the pod not ready long before. So it answers
there, and it is only we who do not reach it."""
OUTVOTED_SECONDS = 30.0
"""As long as that takes."""

ALIVE_SECONDS = 30.0
"""A kubelet that we saw renew its Lease so short a time ago is there: it does every 10 s, and we list every 5 s."""

HEARING_SECONDS = 10.0
"""Until an operator that has just started has heard of everybody."""

LEASE_EXPIRED_SECONDS = 20.0
"""The kubelet renews every 10 s: two renewals are missing."""

UNTOUCHED_SECONDS = 10.0
"""A kubelet that is there begins with a new pod at once; clocks may differ by some seconds."""

MASS_NODES = 2
MASS_SHARE = 0.4
MASS_WINDOW_SECONDS = 60.0
"""So many nodes, and more than this share of all, turning bad within this time is no failure of nodes."""

NAMES_TOLD = 5


class Witness(StrEnum):
    """Ways to learn that a pod or a node is not well."""

    PROBE = "ProbeFailed"
    GATEWAY = "GatewayEjected"
    LEASE = "NodeLeaseExpired"
    NODE = "NodeNotReady"
    KUBELET = "KubeletSilent"
    DEVICE = "DeviceUnhealthy"
    DRILL = DRILL


class State(StrEnum):
    """What we make of the witnesses."""

    HEALTHY = "Healthy"
    SUSPECT = "Suspect"
    DEAD = "Dead"


Witnesses = tuple[Witness, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A state and who caused it, in a fixed order."""

    state: State = State.HEALTHY
    witnesses: Witnesses = ()

    @property
    def healthy(self) -> bool:
        """Whether there is nothing against it, or nothing that is believed."""
        return self.state is State.HEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Verdicts by pod UID and by node name; `doubt` says why no witness is believed at the moment."""

    pods: Mapping[str, Verdict]
    nodes: Mapping[str, Verdict]
    doubt: str = ""

    def trusts(self, pod: Pod) -> bool:
        """Whether the pod may be sent requests."""
        return self.pods[pod.uid].healthy

    def lost(self, pod: Pod) -> bool:
        """Whether the pod has to be replaced."""
        return self.pods[pod.uid].state is State.DEAD

    def accuses(self, pod: Pod) -> bool:
        """Whether somebody is believed who says that the pod is not well any more.

        Who rehearses says no such thing, and what nobody has begun with was never well.
        """
        return not self.trusts(pod) and bool(set(self.pods[pod.uid].witnesses) - {Witness.DRILL, Witness.KUBELET})

    def may_answer(self, pod: Pod) -> bool:
        """Whether a pod that is not trusted is worth a try when nobody is: a single witness may be wrong."""
        return not self.trusts(pod) and len(self.pods[pod.uid].witnesses) == 1

    def accepts(self, node: Node) -> bool:
        """Whether new pods can be counted on there."""
        return self.nodes[node.name].healthy

    def suspicions(self, pods: tuple[Pod, ...]) -> tuple[Suspicion, ...]:
        """Those of the pods that are not trusted, by name. What is on its way out is nobody's loss any more."""
        return tuple(
            Suspicion(pod=pod.name, witnesses=self.pods[pod.uid].witnesses, lost=self.lost(pod))
            for pod in sorted(pods, key=lambda p: p.name)
            if not (pod.terminating or self.trusts(pod))
        )

    def first_concern(self, pods: tuple[Pod, ...]) -> str:
        """Some pod that is not trusted, or some node below a pod, and why; empty when there is nothing of the kind."""
        found = next(iter(self.suspicions(pods)), None)
        if found:
            return str(found)
        below = sorted({p.node for p in pods if p.node in self.nodes and not p.terminating and p.node is not None})
        bad = next((name for name in below if not self.nodes[name].healthy), None)
        return f"node {bad}: {', '.join(self.nodes[bad].witnesses)}" if bad else ""


def assess_health(snapshot: Snapshot) -> Health:
    """Judges every pod of the deployment and every node."""
    untouched = {pod.node for pod in snapshot.pods if _is_untouched(pod, snapshot.now)}
    against_nodes = {
        node.name: _against_node(node, snapshot.vitals.get(node.name), untouched=node.name in untouched)
        for node in snapshot.nodes
    }
    silent = {pod.uid for pod in snapshot.pods if _is_silent(pod, snapshot)}
    ejected = snapshot.gateway_ejected >= max(1, len(silent))  # it does not say which ones
    nodes = {name: _judge(witnesses) for name, witnesses in against_nodes.items()}
    pods = {
        pod.uid: _judge(_against_pod(pod, against_nodes, snapshot, silent=pod.uid in silent, ejected=ejected))
        for pod in snapshot.pods
    }
    doubt = _doubt(snapshot)
    if doubt:
        return Health(pods=_acquit(pods), nodes=_acquit(nodes), doubt=doubt)
    return Health(pods=_believe_where_alone(snapshot, pods), nodes=nodes)


def _against_node(node: Node, vitals: NodeVitals | None, *, untouched: bool) -> Witnesses:
    known = vitals or NodeVitals()
    outvoted = node.ready and _is_alive(known) and (known.bad_seconds or 0.0) > OUTVOTED_SECONDS
    heard = {
        Witness.PROBE: 0 < known.asked <= known.failing and not outvoted,
        Witness.LEASE: known.lease_age_seconds is not None and known.lease_age_seconds > LEASE_EXPIRED_SECONDS,
        Witness.NODE: not node.ready,
        Witness.KUBELET: untouched,
    }
    return _speaking(heard)


def _is_alive(vitals: NodeVitals | None) -> bool:
    """Whether the node's kubelet was seen to be there. What is not known says nothing."""
    seconds = vitals.renewed_seconds if vitals else None
    return seconds is not None and 0 <= seconds <= ALIVE_SECONDS


def _is_silent(pod: Pod, snapshot: Snapshot) -> bool:
    """Whether our probes speak against it: it is ready by its own account, and nobody knows better that it answers."""
    failed = snapshot.probes.get(pod.uid)
    if failed is None or failed < PROBES_FAILED or not pod.ready or pod.terminating:
        return False
    return not (failed >= PROBES_OUTVOTED and _is_alive(snapshot.vitals.get(pod.node or "")))


def is_unheard(pod: Pod, snapshot: Snapshot) -> bool:
    """Whether what was told of the pod before we started has to stand, because we have not heard of it ourselves."""
    fresh = snapshot.awake_seconds < HEARING_SECONDS
    return fresh and pod.ready and pod.mark.out_since is not None and pod.uid not in snapshot.probes


def _against_pod(
    pod: Pod, against_nodes: Mapping[str, Witnesses], snapshot: Snapshot, *, silent: bool, ejected: bool
) -> Witnesses:
    """A pod that starts or ends fails its probes rightly: only of a ready one do they say anything.

    For one that no kubelet has begun with its neighbours speak: their silence counts against it.
    """
    node = against_nodes.get(pod.node or "", ())
    failed = snapshot.probes.get(pod.uid)
    untouched = _is_untouched(pod, snapshot.now)
    witnesses = _speaking(
        {
            Witness.PROBE: silent or (untouched and Witness.PROBE in node),
            Witness.GATEWAY: silent and ejected,
            Witness.LEASE: Witness.LEASE in node,
            Witness.NODE: Witness.NODE in node,
            Witness.KUBELET: untouched,
            Witness.DEVICE: pod.device_unhealthy,
            Witness.DRILL: _is_drilled(pod, snapshot),
        }
    )
    answers = failed is not None and failed < PROBES_FAILED
    if answers and set(witnesses) - {Witness.DRILL} == {Witness.LEASE}:
        # the kubelet died and the containers serve on: nothing is gained by taking their traffic away
        return tuple(w for w in witnesses if w is not Witness.LEASE)
    return witnesses


def _is_untouched(pod: Pod, now: datetime) -> bool:
    """Whether the kubelet of its node should have begun with it, and has not."""
    since = pod.untouched_since
    return since is not None and not pod.terminating and (now - since).total_seconds() > UNTOUCHED_SECONDS


def _is_drilled(pod: Pod, snapshot: Snapshot) -> bool:
    """Whether somebody rehearses the loss of its class or node at the moment."""
    hardware = snapshot.hardware.get(pod.class_name)
    until = [n.drill_until for n in snapshot.nodes if n.name == pod.node] + ([hardware.drill_until] if hardware else [])
    return any(end is not None and snapshot.now < end for end in until)


def _speaking(heard: Mapping[Witness, bool]) -> Witnesses:
    return tuple(witness for witness in Witness if heard.get(witness, False))


def _judge(witnesses: Witnesses) -> Verdict:
    """A drill makes a suspect, and nobody is replaced for it."""
    against = len(witnesses) - (Witness.DRILL in witnesses)
    state = State.DEAD if against > 1 else State.SUSPECT if witnesses else State.HEALTHY
    return Verdict(state=state, witnesses=witnesses)


def _believe_where_alone(snapshot: Snapshot, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """A suspect is dead where no other pod of its class answers; silence has to last, for replacing costs devices."""
    known = {node.name for node in snapshot.nodes}
    answering = {
        p.class_name
        for p in snapshot.pods
        if p.ready and not p.terminating and p.node in known and verdicts[p.uid].healthy
    }
    alone = {
        p.uid
        for p in snapshot.pods
        if verdicts[p.uid].state is State.SUSPECT and p.class_name not in answering and _lasts(p, verdicts, snapshot)
    }
    return {uid: replace(v, state=State.DEAD) if uid in alone else v for uid, v in verdicts.items()}


def _lasts(pod: Pod, verdicts: Mapping[str, Verdict], snapshot: Snapshot) -> bool:
    against = set(verdicts[pod.uid].witnesses) - {Witness.DRILL}
    if against != {Witness.PROBE}:
        return bool(against)
    # where nobody in the whole fleet answers, it is rather us who do not hear; and one is replaced once: were the next
    # one silent as well, it would rather be the way to it
    heard = any(v.asked > v.failing for v in snapshot.vitals.values())
    only = sum(p.class_name == pod.class_name and not p.terminating for p in snapshot.pods) == 1
    return heard and only and snapshot.probes.get(pod.uid, 0) >= PROBES_FAILED_ALONE


def _doubt(snapshot: Snapshot) -> str:
    """Why our own view is to be doubted, if it is."""
    nodes = {node.name: node for node in snapshot.nodes}
    gone = {name for name, vitals in snapshot.vitals.items() if vitals.gone and name not in nodes}
    turned = sorted(n for n in (*nodes, *gone) if _turned_bad(nodes.get(n), snapshot.vitals.get(n), snapshot))
    if len(turned) < MASS_NODES or len(turned) <= MASS_SHARE * (len(nodes) + len(gone)):
        return ""
    names = ", ".join(turned[:NAMES_TOLD]) + (", ..." if len(turned) > NAMES_TOLD else "")
    return f"{len(turned)} of {len(nodes) + len(gone)} nodes turned bad within a minute: {names}"


def _turned_bad(node: Node | None, vitals: NodeVitals | None, snapshot: Snapshot) -> bool:
    """That one deployment's pods hang says nothing of our view of others."""
    if vitals is None or vitals.bad_seconds is None or vitals.bad_seconds > MASS_WINDOW_SECONDS:
        return False
    expired = vitals.lease_age_seconds is not None and vitals.lease_age_seconds > LEASE_EXPIRED_SECONDS
    by_probe_alone = node is not None and node.ready and not expired
    return not by_probe_alone or vitals.silent_of in {"", str(snapshot.deployment.key)}


def _acquit(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The same witnesses, and nobody believes them."""
    return {key: replace(verdict, state=State.HEALTHY) for key, verdict in verdicts.items()}

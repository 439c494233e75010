"""Pods and nodes as kubelets and the API server write them, and as nobody should."""

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from heteroserve.model.fleet import Node, Taint
from heteroserve.model.snapshot import Mark, Pod, PodProblem, RouteState
from heteroserve.observe import parse

JSON = builders.JSON
RENEWED = "2026-01-02T11:50:00.123456Z"
CREATED = datetime(2026, 1, 2, 11, 50, tzinfo=UTC)
T = "2026-01-02T11:50:00Z"


def container(**fields: Any) -> JSON:
    """The status of the serving container, which is not ready."""
    return {"name": "triton", "ready": False, "restartCount": 0, "image": "registry.example/triton:2.51.0", **fields}


def status(*containers: JSON, phase: str = "Running", **conditions: JSON | str) -> JSON:
    """A pod's status; its conditions by type."""
    given = [{"type": k, **(v if isinstance(v, dict) else {"status": v})} for k, v in conditions.items()]
    return {"phase": phase, "conditions": given, "containerStatuses": list(containers)}


def crashed(message: str, code: int = 1, reason: str = "Error") -> JSON:
    """A container that ended, and is started again after a while."""
    back_off = {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=triton"}
    ended = {"exitCode": code, "reason": reason, "message": message}
    return container(state={"waiting": back_off}, lastState={"terminated": ended}, restartCount=3)


def waiting(reason: str, message: str = "") -> JSON:
    return container(state={"waiting": {"reason": reason, **({"message": message} if message else {})}})


READY = container(ready=True, state={"running": {"startedAt": "2026-01-02T11:50:10Z"}})
LOADING_FAILED = """\
I1122 15:50:00.000000 1 server.cc:674]
+--------+---------+------------------------------------------------------------------+
| Model  | Version | Status                                                           |
| digits | 7       | UNAVAILABLE: Not found: unable to load shared library: no such file |
+--------+---------+------------------------------------------------------------------+
error: creating server: Internal - failed to load all models
"""
NO_DIRECTORY = "I1122 server.cc:1\nerror: creating server: Internal - failed to poll from model repository /models"
NO_NODES = (
    "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node affinity/selector."
)
UNSCHEDULED = {"status": "False", "reason": "Unschedulable", "message": NO_NODES}


@dataclass(frozen=True, kw_only=True)
class State:
    """What a pod's status says, and what we make of it."""

    status: JSON
    metadata: JSON | None = None
    node: str | None = "cpu-0"
    want_ready: bool = False
    want_terminating: bool = False
    want_ended: bool = False
    want_problem: PodProblem | None = None
    want_message: str = ""


STATES = {
    "ready": State(status=status(READY, PodScheduled="True", Ready="True"), want_ready=True),
    "just created": State(status={"phase": "Pending"}, node=None),
    "the scheduler finds no place": State(
        status=status(phase="Pending", PodScheduled=UNSCHEDULED),
        node=None,
        want_problem=PodProblem.UNSCHEDULABLE,
        want_message=NO_NODES,
    ),
    "the container is made": State(status=status(waiting("ContainerCreating"), PodScheduled="True", Ready="False")),
    "the model is loading": State(status=status(container(state={"running": {}}, started=False), Ready="False")),
    "an image is not there": State(
        status=status(waiting("ErrImagePull", 'failed to pull "registry.example/x:1": not found'), Ready="False"),
        want_problem=PodProblem.IMAGE,
        want_message='failed to pull "registry.example/x:1": not found',
    ),
    "an image is still not there": State(
        status=status(waiting("ImagePullBackOff"), Ready="False"),
        want_problem=PodProblem.IMAGE,
        want_message="ImagePullBackOff",
    ),
    "an image has no name": State(
        status=status(waiting("InvalidImageName", "couldn't parse image name")),
        want_problem=PodProblem.IMAGE,
        want_message="couldn't parse image name",
    ),
    "a Secret is missing": State(
        status=status(waiting("CreateContainerConfigError", 'secret "store" not found')),
        want_problem=PodProblem.CONFIG,
        want_message='secret "store" not found',
    ),
    "the container does not start": State(
        status=status(waiting("RunContainerError", "exec: tritonserver: not found")),
        want_problem=PodProblem.CONFIG,
        want_message="exec: tritonserver: not found",
    ),
    "the container did not start last time": State(
        status=status(crashed("exec: tritonserver: not found", 128, "StartError")),
        want_problem=PodProblem.CONFIG,
        want_message="exec: tritonserver: not found",
    ),
    "the model does not load": State(
        status=status(crashed(LOADING_FAILED), Ready="False"),
        want_problem=PodProblem.MODEL,
        want_message="digits | 7 | UNAVAILABLE: Not found: unable to load shared library: no such file",
    ),
    "the repository is not there": State(
        status=status(crashed(NO_DIRECTORY)),
        want_problem=PodProblem.MODEL,
        want_message="error: creating server: Internal - failed to poll from model repository /models",
    ),
    "it has just ended": State(
        status=status(container(state={"terminated": {"exitCode": 1, "message": "Segmentation  fault\n"}})),
        want_problem=PodProblem.CRASH,
        want_message="exit code 1: Segmentation fault",
    ),
    "it was killed for its memory": State(
        status=status(crashed("", 137, "OOMKilled")),
        want_problem=PodProblem.CRASH,
        want_message="exit code 137:",
    ),
    "it crashed once and is running again": State(
        status=status(
            container(state={"running": {}}, lastState={"terminated": {"exitCode": 2, "message": "abort"}}),
            Ready="False",
        ),
        want_problem=PodProblem.CRASH,
        want_message="exit code 2: abort",
    ),
    "it crashed once and is ready again": State(
        status=status(
            container(ready=True, lastState={"terminated": {"exitCode": 2, "message": "abort"}}), Ready="True"
        ),
        want_ready=True,
    ),
    "it ended well, as when its node was drained": State(
        status=status(container(state={"terminated": {"exitCode": 0}}), Ready="False")
    ),
    "its node does not answer": State(
        status=status(READY, Ready={"status": "False", "reason": "NodeNotReady"}),
    ),
    "it is going away": State(
        status=status(READY, Ready="True"),
        metadata={"deletionTimestamp": "2026-01-02T12:00:00Z"},
        want_ready=True,
        want_terminating=True,
    ),
    "it was evicted": State(
        status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        want_terminating=True,
        want_ended=True,
    ),
    "its node shut down": State(
        status={"phase": "Failed", "reason": "Terminated", **status(container(state={"terminated": {"exitCode": 0}}))}
        | {"phase": "Failed"},
        want_terminating=True,
        want_ended=True,
    ),
}


@builders.table(STATES)
def test_what_a_pod_says(case: State) -> None:
    limits = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "2"}
    spec: JSON = {"containers": [{"name": "triton", "resources": {"limits": limits}}]}
    spec |= {"nodeName": case.node} if case.node else {}
    raw = builders.raw_pod("digits-cpu-0", metadata=case.metadata or {}, spec=spec, status=case.status)
    raw["metadata"]["labels"] |= SERVING
    assert parse.parse_pod(raw) == Pod(
        name="digits-cpu-0",
        uid="uid-digits-cpu-0",
        class_name="cpu",
        node=case.node,
        ready=case.want_ready,
        unready_since=None if case.want_ready else CREATED,
        terminating=case.want_terminating,
        ended=case.want_ended,
        created=CREATED,
        problem=case.want_problem,
        message=case.want_message,
        devices={} if case.status["phase"] == "Failed" else {"nvidia.com/gpu": 2},
    )


OUT, COST = "heteroserve.dev/out-since", "controller.kubernetes.io/pod-deletion-cost"
SERVING = {"heteroserve.dev/serving": "true"}
SINCE_BEGINNING = Mark(out_since=CREATED)
LATER = "2026-01-02T11:59:30Z"

# labels and annotations: what we told Kubernetes of the pod
MARKS: dict[str, tuple[Any, Any, Mark]] = {
    "in the traffic": (SERVING, {}, Mark()),
    "no annotations at all": (SERVING, None, Mark()),
    "out of it, and since when": (
        {"heteroserve.dev/serving": "false"},
        {OUT: LATER, COST: "-1"},
        Mark(out_since=datetime(2026, 1, 2, 11, 59, 30, tzinfo=UTC), goes_first=True),
    ),
    "out of it, and nobody wrote since when": ({"heteroserve.dev/serving": "false"}, {}, SINCE_BEGINNING),
    "out of it, since nobody knows when": ({"heteroserve.dev/serving": "false"}, {OUT: "lately"}, SINCE_BEGINNING),
    "a time without a zone is none": (
        {"heteroserve.dev/serving": "false"},
        {OUT: "2026-01-02T11:59:30"},
        SINCE_BEGINNING,
    ),
    "no label at all: no Service leads to it": ({}, {}, SINCE_BEGINNING),
    "no labels": (None, None, SINCE_BEGINNING),
    "a label that says nothing: no Service leads to it": ({"heteroserve.dev/serving": "True"}, {}, SINCE_BEGINNING),
    "a label of another kind": ({"heteroserve.dev/serving": True}, {}, SINCE_BEGINNING),
    "back in the traffic, with a time that was left behind": (SERVING, {OUT: LATER}, Mark()),
    "in the traffic, and the first to go": (SERVING, {COST: "-1"}, Mark(goes_first=True)),
    "somebody else's order of deletion is none of ours": (SERVING, {COST: "100"}, Mark()),
}


@builders.table(MARKS)
def test_what_we_told_kubernetes_of_a_pod(case: tuple[Any, Any, Mark]) -> None:
    labels, annotations, want = case
    metadata = {**builders.raw_pod()["metadata"], "labels": labels, "annotations": annotations}
    assert parse.parse_pod({**builders.raw_pod(), "metadata": metadata}).mark == want


def test_a_pod_that_was_never_created_was_never_out() -> None:
    assert parse.parse_pod({"metadata": {"name": "n"}}).mark == Mark()


def test_of_a_long_log_only_as_much_is_kept_as_can_be_read() -> None:
    found = parse.parse_pod(builders.raw_pod(status=status(crashed("UNAVAILABLE: " + "x" * 5000))))
    assert len(found.message) == parse.MESSAGE_LENGTH
    assert found.message.endswith("x...")


BOUND = {"status": "True", "lastTransitionTime": "2026-01-02T11:50:00Z"}

PENDING = {"phase": "Pending", "conditions": [{"type": "PodScheduled", **BOUND}]}

# the node, the status: since when no kubelet has begun with the pod
UNTOUCHED: dict[str, tuple[str | None, JSON, datetime | None]] = {
    "no node was found yet": (None, status(phase="Pending", PodScheduled=UNSCHEDULED), None),
    "bound, and nobody has begun": ("cpu-0", PENDING, CREATED),
    "its kubelet began": ("cpu-0", {**PENDING, "startTime": "2026-01-02T11:50:01Z"}, None),
    "it tells of containers": ("cpu-0", {**PENDING, "containerStatuses": [READY]}, None),
    "it runs": ("cpu-0", {**PENDING, "phase": "Running"}, None),
    "bound by hand, nobody knows when": ("cpu-0", {"phase": "Pending"}, None),
    "at a time that is none": ("cpu-0", {"conditions": [{"type": "PodScheduled", "lastTransitionTime": "soon"}]}, None),
}


@builders.table(UNTOUCHED)
def test_since_when_a_kubelet_leaves_a_pod_alone(case: tuple[str | None, JSON, datetime | None]) -> None:
    node, given, want = case
    spec = {"nodeName": node} if node else {}
    assert parse.parse_pod(builders.raw_pod(spec=spec, status=given)).untouched_since == want


# podIP, as the kubelet or somebody else wrote it: the address
ADDRESSES: dict[str, tuple[Any, str | None]] = {
    "an address": ("10.0.0.7", "10.0.0.7"),
    "a long one": ("fd00:0:0::7", "fd00::7"),
    "none yet": ("", None),
    "a name": ("metadata.internal", None),
    "an address and more": ("10.0.0.7/x", None),
    "with a port": ("10.0.0.7:80", None),
    "with a password": ("me:pass@10.0.0.7", None),
    "a number": (167772167, None),
    "in other digits": ("0x0a.0.0.7", None),
    "with the zone of a node": ("fe80::1%eth0", None),
}


@builders.table(ADDRESSES)
def test_only_an_address_is_an_address(case: tuple[Any, str | None]) -> None:
    text, want = case
    assert parse.parse_pod(builders.raw_pod(status={"podIP": text})).address == want


def devices(*health: str | None) -> JSON:
    """What the kubelet says of the devices of a container."""
    states = [{"resourceID": f"d{i}", **({"health": h} if h else {})} for i, h in enumerate(health)]
    return container(allocatedResourcesStatus=[{"name": "nvidia.com/gpu", "resources": states}])


DEVICES: dict[str, tuple[JSON, bool]] = {
    "a cluster that does not tell": (status(READY), False),
    "all are well": (status(devices("Healthy", "Healthy")), False),
    "one is broken": (status(READY, devices("Healthy", "Unhealthy")), True),
    "nobody knows": (status(devices("Unknown")), False),
    "nothing is said of one": (status(devices(None)), False),
}


@builders.table(DEVICES)
def test_what_the_kubelet_says_of_devices(case: tuple[JSON, bool]) -> None:
    given, want = case
    assert parse.parse_pod(builders.raw_pod(status=given)).device_unhealthy is want


LEASES: dict[str, tuple[JSON, tuple[datetime | None, int]]] = {
    "renewed": (
        {"renewTime": RENEWED, "leaseDurationSeconds": 40},
        (CREATED.replace(microsecond=123456), 40),
    ),
    "never renewed": ({"renewTime": None, "leaseDurationSeconds": None}, (None, 0)),
    "nothing": ({}, (None, 0)),
    "junk": ({"renewTime": 5, "leaseDurationSeconds": "40"}, (None, 0)),
}


@builders.table(LEASES)
def test_what_a_lease_says(case: tuple[JSON, tuple[datetime | None, int]]) -> None:
    spec, want = case
    assert parse.parse_lease({**builders.raw("Lease", "n"), "spec": spec}) == want


# --- Nodes -----------------------------------------------------------------------------------------------------------

NODES: dict[str, tuple[JSON, Node]] = {
    "nothing but a name": (builders.raw("Node", "n", namespace=""), Node(name="n", ready=False)),
    "ready": (builders.raw_node("n"), Node(name="n")),
    "not ready": (builders.raw_node("n", ready="False"), Node(name="n", ready=False)),
    "nobody knows": (builders.raw_node("n", ready="Unknown"), Node(name="n", ready=False)),
    "not ready for long": (
        builders.raw_node(
            "n", status={"conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": T}]}
        ),
        Node(name="n", ready=False, not_ready_since=CREATED),
    ),
    "ready for long": (
        builders.raw_node("n", status={"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": T}]}),
        Node(name="n"),
    ),
    "labels": (builders.raw_node("n", metadata={"labels": {"pool": "gpu"}}), Node(name="n", labels={"pool": "gpu"})),
    "cordoned, and tainted for it": (
        builders.raw_node(
            "n",
            spec={
                "unschedulable": True,
                "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
            },
        ),
        Node(name="n", cordoned=True, taints=(Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"),)),
    ),
    "a taint with a value": (
        builders.raw_node("n", spec={"taints": [{"key": "team", "value": "a", "effect": "NoExecute"}]}),
        Node(name="n", taints=(Taint(key="team", value="a", effect="NoExecute"),)),
    ),
    "being deleted": (
        builders.raw_node("n", metadata={"deletionTimestamp": "2026-01-02T12:00:00Z"}),
        Node(name="n", deleting=True),
    ),
    "to be evacuated, whatever the label says": (
        builders.raw_node("n", metadata={"labels": {"heteroserve.dev/evacuate": "false"}}),
        Node(name="n", labels={"heteroserve.dev/evacuate": "false"}, evacuate=True),
    ),
    "its loss is rehearsed": (
        builders.raw_node("n", metadata={"annotations": {"heteroserve.dev/drill-until": "2026-01-02T11:50:00Z"}}),
        Node(name="n", drill_until=CREATED),
    ),
    "a drill of which nobody knows until when is none": (
        builders.raw_node("n", metadata={"annotations": {"heteroserve.dev/drill-until": "tomorrow"}}),
        Node(name="n"),
    ),
    "conditions that are true": (
        builders.raw_node(
            "n",
            status={
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "MemoryPressure", "status": "False"},
                    {"type": "GPUUnhealthy", "status": "True"},
                    {"type": "DiskPressure", "status": "Unknown"},
                ]
            },
        ),
        Node(name="n", true_conditions=frozenset({"GPUUnhealthy"})),
    ),
    "devices, and what is none": (
        builders.raw_node(
            "n",
            status={
                "capacity": {"cpu": "8", "memory": "32Gi", "hugepages-2Mi": "0", "nvidia.com/gpu": "4"},
                "allocatable": {"cpu": "7900m", "nvidia.com/gpu": "3", "x.com/many": "2k", "x.com/part": "500m"},
            },
        ),
        Node(name="n", capacity={"nvidia.com/gpu": 4}, allocatable={"nvidia.com/gpu": 3, "x.com/many": 2000}),
    ),
}


@builders.table(NODES)
def test_what_a_node_says(case: tuple[JSON, Node]) -> None:
    raw, want = case
    assert parse.parse_node(raw) == want


# --- Routes ----------------------------------------------------------------------------------------------------------


def http_route(*conditions: JSON, **weights: int | None) -> JSON:
    """The route of `digits`, and what its Gateways say."""
    backends = [
        {"name": f"digits-{name}", **({} if weight is None else {"weight": weight})} for name, weight in weights.items()
    ]
    parents = {"parents": [{"conditions": list(conditions)}]} if conditions else {}
    return builders.owned("HTTPRoute", "digits", spec={"rules": [{"backendRefs": backends}]}, status=parents)


def verdict(kind: str, state: str, message: str = "") -> JSON:
    return {"type": kind, "status": state, "message": message}


ROUTES: dict[str, tuple[JSON, RouteState]] = {
    "nobody has looked at it": (http_route(cpu=30, gpu=70), RouteState(weights={"cpu": 30, "gpu": 70})),
    "accepted": (
        http_route(verdict("Accepted", "True"), verdict("ResolvedRefs", "True"), cpu=100),
        RouteState(weights={"cpu": 100}, accepted=True),
    ),
    "refused": (
        http_route(verdict("Accepted", "False", "no matching\n  listener"), cpu=100),
        RouteState(weights={"cpu": 100}, accepted=False, message="no matching listener"),
    ),
    "a backend does not resolve": (
        http_route(verdict("Accepted", "True"), verdict("ResolvedRefs", "False", "Service not found"), cpu=100),
        RouteState(weights={"cpu": 100}, accepted=False, message="Service not found"),
    ),
    "what else a Gateway says does not matter": (
        http_route(verdict("Accepted", "True"), verdict("PartiallyInvalid", "False"), cpu=100),
        RouteState(weights={"cpu": 100}, accepted=True),
    ),
    "a weight that is left out is 1": (http_route(cpu=None), RouteState(weights={"cpu": 1})),
    "no rules": (builders.owned("HTTPRoute", "digits"), RouteState(weights={})),
    "Services of others": (
        builders.owned("HTTPRoute", "digits", spec={"rules": [{"backendRefs": [{"name": "other", "weight": 5}]}]}),
        RouteState(weights={}),
    ),
    "only the first rule is ours": (
        builders.owned(
            "HTTPRoute",
            "digits",
            spec={
                "rules": [
                    {"backendRefs": [{"name": "digits-a-b", "weight": 5}]},
                    {"backendRefs": [{"name": "digits-c"}]},
                ]
            },
        ),
        RouteState(weights={"a-b": 5}),
    ),
}


@builders.table(ROUTES)
def test_what_a_route_says(case: tuple[JSON, RouteState]) -> None:
    raw, want = case
    assert parse.parse_route(raw, "digits") == want


SINCE = {"status": "False", "lastTransitionTime": "2026-01-02T11:55:00Z"}


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (status(container(started=True), Ready=SINCE), (True, datetime(2026, 1, 2, 11, 55, tzinfo=UTC))),
        (status(container(started=False), Ready=SINCE), (False, datetime(2026, 1, 2, 11, 55, tzinfo=UTC))),
        (status(), (False, CREATED)),
        (status(container(started=True), Ready=SINCE | {"status": "True"}), (True, None)),
    ],
)
def test_since_when_a_pod_is_not_ready(status: JSON, want: tuple[bool, datetime | None]) -> None:
    found = parse.parse_pod(builders.raw_pod(status=status))
    assert (found.started, found.unready_since) == want


def workload(generation: int = 2, **status: Any) -> JSON:
    """A Deployment that was changed once."""
    return builders.owned("Deployment", "digits-cpu", status=status) | {"metadata": {"generation": generation}}


WORKLOADS: dict[str, tuple[JSON, bool]] = {
    "seen, and all pods are new": (workload(observedGeneration=2, replicas=3, updatedReplicas=3), False),
    "scaled to nothing": (workload(observedGeneration=2), False),
    "not seen yet": (workload(observedGeneration=1, replicas=3, updatedReplicas=3), True),
    "made just now": (workload(1), True),
    "old pods are left": (workload(observedGeneration=2, replicas=3, updatedReplicas=2), True),
}


@builders.table(WORKLOADS)
def test_whether_kubernetes_still_works_on_a_deployment(case: tuple[JSON, bool]) -> None:
    raw, want = case
    assert parse.is_rolling(raw) is want


def failure(status: str = "True", **fields: str) -> JSON:
    return workload(
        conditions=[{"type": "Available", "status": "True"}, {"type": "ReplicaFailure", "status": status, **fields}]
    )


REFUSALS: dict[str, tuple[JSON, str]] = {
    "pods are made": (workload(), ""),
    "a quota": (failure(message="pods is forbidden:\n exceeded quota"), "pods is forbidden: exceeded quota"),
    "without a word": (failure(), "no pod can be created"),
    "it is over": (failure("False", message="exceeded quota"), ""),
}


@builders.table(REFUSALS)
def test_why_kubernetes_makes_no_pods(case: tuple[JSON, str]) -> None:
    raw, want = case
    assert parse.parse_refusal(raw) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2026-01-02T11:50:00Z", CREATED),
        ("2026-01-02T11:50:00.000000Z", CREATED),
        ("2026-01-02T12:50:00+01:00", CREATED),
        ("2026-01-02T11:50:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_times(text: Any, want: datetime | None) -> None:
    assert parse.parse_time(text) == want


# --- Whatever a cluster may hold -------------------------------------------------------------------------------------

FIELDS = st.sampled_from(
    (
        *("spec", "status", "labels", "conditions", "type", "containerStatuses", "state", "waiting", "terminated"),
        *("lastState", "reason", "message", "exitCode", "taints", "key", "effect", "capacity", "allocatable", "x.y/z"),
        *("containers", "resources", "limits", "rules", "backendRefs", "name", "weight", "parents", "phase", "ready"),
        *("nodeName", "unschedulable", "creationTimestamp", "deletionTimestamp", "uid", "heteroserve.dev/class"),
        *("annotations", "heteroserve.dev/serving", "heteroserve.dev/out-since", "heteroserve.dev/evacuate"),
        *("controller.kubernetes.io/pod-deletion-cost", "heteroserve.dev/drill-until"),
        *("podIP", "allocatedResourcesStatus", "health", "renewTime", "leaseDurationSeconds"),
    )
)
TEXTS = st.sampled_from(
    (
        *("Ready", "True", "False", "PodScheduled", "digits-cpu", "9" * 5000, "1k", "", "Accepted", "Unhealthy", "::1"),
        *("true", "2026-01-02T11:50:00Z"),
    )
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=25,
)
objects = st.builds(
    lambda metadata, rest: {**rest, "metadata": {**metadata, "name": "n"}},
    st.dictionaries(FIELDS, junk, max_size=4),
    st.dictionaries(FIELDS, junk, max_size=4),
)


@given(objects)
def test_any_pod_is_a_pod(raw: JSON) -> None:
    found = parse.parse_pod(raw)
    assert isinstance(found.class_name, str)
    assert all(count >= 0 for count in found.devices.values())
    assert len(found.message) <= parse.MESSAGE_LENGTH
    assert found.address is None or found.address == str(ip_address(found.address))
    assert found.device_unhealthy in {True, False}
    assert found.mark.out_since is None or found.mark.out_since.tzinfo


@given(objects)
def test_any_lease_is_a_lease(raw: JSON) -> None:
    time, seconds = parse.parse_lease(raw)
    assert time is None or time.tzinfo
    assert isinstance(seconds, int)


@given(objects)
def test_any_node_is_a_node(raw: JSON) -> None:
    found = parse.parse_node(raw)
    hash(found.taints)
    assert found.drill_until is None or found.drill_until.tzinfo


@given(objects)
def test_any_route_is_a_route(raw: JSON) -> None:
    assert all(isinstance(weight, int) for weight in parse.parse_route(raw, "digits").weights.values())


@given(objects)
def test_any_deployment_is_a_deployment(raw: JSON) -> None:
    assert parse.is_rolling(raw) in {True, False}
    assert len(parse.parse_refusal(raw)) <= parse.MESSAGE_LENGTH


HOLES: list[JSON] = [
    {"spec": None, "status": None},
    {"metadata": {"name": "n", "labels": None, "creationTimestamp": None}},
    {"status": {"conditions": None, "containerStatuses": None, "capacity": None, "parents": None}},
    {"status": {"conditions": [None, "Ready", {}], "containerStatuses": [None, {"state": None, "lastState": None}]}},
    {"status": {"containerStatuses": [{"state": {"waiting": None, "terminated": None}}]}},
    {"status": {"podIP": None, "containerStatuses": [{"allocatedResourcesStatus": None}]}},
    {
        "status": {
            "containerStatuses": [{"allocatedResourcesStatus": [None, {"resources": None}, {"resources": [None]}]}]
        }
    },
    {"spec": {"taints": None, "containers": None, "rules": None}},
    {"spec": {"taints": [{}], "containers": [{"resources": None}, {"resources": {"limits": None}}], "rules": [None]}},
    {"spec": {"rules": [{"backendRefs": None}]}},
]


@pytest.mark.parametrize("hole", HOLES, ids=str)
def test_null_is_nothing(hole: JSON) -> None:
    raw = {**builders.raw("Pod", "n"), **hole}
    found = parse.parse_pod(raw)
    assert (found.problem, found.address, found.device_unhealthy) == (None, None, False)
    assert parse.parse_node(raw).ready is False
    assert parse.parse_route(raw, "digits").accepted is None

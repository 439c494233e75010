"""Trials, pods and histories for the tests of `make bench-failover`, with defaults that no test needs to repeat."""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.bench.history import History, Hits, Seen
from kit.bench.trial import Failure, Moments, Target, Traffic, Trial, Turn, Window
from kit.bench.victim import Pod, Victim

JSON = dict[str, Any]
FAULT_AT = 1000.0
SOME = Window(seconds=20, sent=1000, answered=1000, p50=5, p99=20)
EVEN = Turn(after=-20, weights={"cpu": 50, "gpu": 50})


def moments(**changed: float | None) -> Moments:
    # what was never in force was never patched, unless a test says otherwise
    patched = 1.0 if changed.get("weights_in_force", 1.0) is not None else None
    known: dict[str, Any] = {"injected": 0.2, "returned": None, "suspicion": 0.8, "weights_patched": patched}
    more = {"last_to_dead": 0.5, "weights_in_force": 1.0, "capacity_restored": 9.0, "ended": 20.0}
    return Moments(**{**known, **more, **changed})


def trial(
    fault: str = "node-killed",
    number: int = 1,
    *,
    seed: int = 1,
    target: Target = "operator",
    began: str = "2026-01-01T00:00:00.000+00:00",
    failures: Sequence[Failure] = (),
    wrong: int = 0,
    seconds: Moments | None = None,
    weights: Sequence[Turn] = (EVEN, Turn(after=1.0, weights={"cpu": 70, "gpu": 30})),
    traffic: Traffic | None = None,
    pods_removed: int = 0,
    took: float = 100.0,
) -> Trial:
    return Trial(
        fault=fault,
        target=target,
        number=number,
        seed=seed,
        rate=50.0,
        began=began,
        took=took,
        struck_class="gpu",
        struck=["gpu-1 on worker3"],
        protocols={"http": 1000, "http-fresh": 1000, "grpc": 1000},
        sent=3000,
        failed=len(failures),
        wrong=wrong,
        slowest=316.0,
        sender_p99=1.0,
        before=SOME,
        during=SOME,
        after=SOME,
        seconds=seconds or moments(),
        suspected_by="condition CapacityAvailable=False PodsSuspect",
        weights=weights,
        traffic=traffic,
        pods_removed=pods_removed,
        failures=failures,
        notes=[],
        versions={"TRITON": "2.51.0"},
        revision="abc",
    )


def failure(after: float = 0.4, error: str = "timeout") -> Failure:
    return Failure(after=after, at="2026-01-01T00:00:01.000+00:00", protocol="grpc", milliseconds=5000, error=error)


def struck(name: str = "gpu-1", class_name: str = "gpu", node: str = "worker3", address: str = "10.0.0.1") -> Pod:
    return Pod(name=name, class_name=class_name, node=node, address=address, container=f"id-{name}", devices=True)


def victim(*pods: Pod, whole: bool = False) -> Victim:
    pods = pods or (struck(),)
    return Victim(class_name=pods[0].class_name, pods=pods, whole=whole)


def pod(
    of: Pod, *, is_ready: bool = True, restarts: int = 0, leaving: bool = False, labels: Mapping[str, str] | None = None
) -> JSON:
    """The pod as the API server shows it."""
    return {
        "metadata": {
            "name": of.name,
            "labels": {"heteroserve.dev/class": of.class_name, **(labels or {})},
            **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
        },
        "spec": {
            "nodeName": of.node,
            "containers": [{"resources": {"limits": {"nvidia.com/gpu": "1"} if of.devices else {"memory": "1Gi"}}}],
        },
        "status": {
            "podIP": of.address,
            "conditions": [{"type": "Ready", "status": str(is_ready)}],
            "containerStatuses": [{"containerID": f"containerd://{of.container}", "restartCount": restarts}],
        },
    }


def seen(after: float, body: JSON, *, gone: bool = False) -> Seen:
    return Seen(FAULT_AT + after, body, gone)


def status(
    *,
    decisions: Sequence[JSON] = (),
    conditions: Mapping[str, str] | None = None,
    weights: Mapping[str, int] | None = None,
    reason: str = "Because",
    message: str = "",
    capacity: Mapping[str, float] | None = None,
    **ready: int,
) -> JSON:
    """A deployment's status; `reason` and `message` are those of all its conditions."""
    listed = [
        {"type": kind, "status": state, "reason": reason, "message": message}
        for kind, state in (conditions or {}).items()
    ]
    shares, carried = weights or {}, {name: {"capacity": rps} for name, rps in (capacity or {}).items()}
    names = dict.fromkeys((*ready, *shares, *carried))
    classes = [
        {"name": name, "ready": ready.get(name, 0), "weight": shares.get(name, 0), **carried.get(name, {})}
        for name in names
    ]
    return {"status": {"decisions": list(decisions), "conditions": listed, "classes": classes}}


def hits(after: float, **counts: int) -> Hits:
    """The gateway's counters, of one cluster; `a1` is the address 10.0.0.1."""
    return Hits(FAULT_AT + after, {("http", f"10.0.0.{name[1:]}"): count for name, count in counts.items()})


def history(**lists: Any) -> History:
    return History(**lists)

"""Watching: the gateway's counters, the API server's objects, and the commands that ask for them."""

import asyncio
import sys
import time

import pytest

from kit.bench import levers, witness
from kit.bench.history import Hits, Seen

LOOK = [
    "look\n",
    "httproute/ns/digits/rule/0::10.0.0.1:8000::rq_total::12\n",
    "grpcroute/ns/digits/rule/0::10.0.0.1:8001::rq_total::5\n",
    "grpcroute/ns/digits/rule/0::10.0.0.2:8001::rq_total::7\n",
    "at 1000.25\n",
]
HTTP, GRPC = "httproute/ns/digits/rule/0", "grpcroute/ns/digits/rule/0"
COUNTS = {(HTTP, "10.0.0.1"): 12, (GRPC, "10.0.0.1"): 5, (GRPC, "10.0.0.2"): 7}
LOOKS = {
    "each protocol for itself": (LOOK, Hits(1000.25, COUNTS)),
    "Envoy does not answer": (["look\n", "at 1000.25\n"], None),
    "the beginning was not heard": (LOOK[1:], None),
    "it is not at its end": (LOOK[:-1], None),
    "an address of IPv6": (
        ["look\n", "c::[fd00:1:2::3]:8000::rq_total::12\n", "at 1.5\n"],
        Hits(1.5, {("c", "fd00:1:2::3"): 12}),
    ),
}


@pytest.mark.parametrize(("lines", "want"), LOOKS.values(), ids=LOOKS.keys())
def test_a_look_at_the_gateways_counters(lines: list[str], want: Hits | None) -> None:
    assert witness.counters(lines) == want


def test_a_look_has_the_time_of_its_end() -> None:
    """Else a request that is counted would seem to have been sent before the look, by as long as the look takes."""
    words = witness.COUNTERS
    assert words.index("echo look") < words.index("curl") < words.index("echo at $(date")


def test_looks_follow_each_other_and_the_loop_is_known() -> None:
    found: list[Hits] = []
    loops: list[str] = []
    take = witness._counters(found, loops)
    cut_short = LOOK[:3]
    for line in ["loop 4711\n", *LOOK, "look\n", "at 1000.45\n", *cut_short, *LOOK]:
        take(line)
    assert found == [Hits(1000.25, COUNTS)] * 2
    assert loops == ["4711"]


TOLD = [
    '{"type": "ADDED", "object": {"n": 1}}',
    '{"type": "BOOKMARK"}',
    '{"type": "MODIFIED", "obj',
    '{"type": "DELETED", "object": {}}',
]


async def test_a_watch_that_ends_begins_anew_and_half_a_line_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "AGAIN_SECONDS", 0.0)
    script = f"print(*{TOLD}, sep=chr(10))"
    found: list[Seen] = []
    following = asyncio.create_task(witness._follow((sys.executable, "-c", script), witness._objects(found)))
    while len(found) < 4:  # noqa: ASYNC110 -- nobody tells of a list's growth
        await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert [(s.body, s.gone) for s in found[:4]] == [({"n": 1}, False), ({}, True)] * 2
    assert abs(found[0].at - time.time()) < 30


ONLY = "?watch=1&fieldSelector=metadata.name%3Ddigits"


def test_what_is_watched() -> None:
    assert witness.paths("ns", "digits") == {
        "deployments": f"/apis/heteroserve.dev/v1alpha1/namespaces/ns/inferencedeployments{ONLY}",
        "http_routes": f"/apis/gateway.networking.k8s.io/v1/namespaces/ns/httproutes{ONLY}",
        "grpc_routes": f"/apis/gateway.networking.k8s.io/v1/namespaces/ns/grpcroutes{ONLY}",
        "pods": "/api/v1/namespaces/ns/pods?watch=1",
        "events": "/apis/events.k8s.io/v1/namespaces/ns/events?watch=1",
        "workloads": "/apis/apps/v1/namespaces/ns/deployments?watch=1",
    }


def test_kubectl_and_node_commands_are_those_of_the_local_cluster() -> None:
    assert levers.kubectl("get", "pods")[1:] == ("--context", "kind-heteroserve", "get", "pods")
    assert levers.inside("worker3", "true")[1:] == ("exec", "worker3", "true")

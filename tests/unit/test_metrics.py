"""Signals from Prometheus: from its answers, and from what answers in its place."""

import asyncio
import contextlib
import gzip
import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import InFlight, Pod, Signals
from heteroserve.observe.bounded import LARGEST_ANSWER
from heteroserve.observe.metrics import (
    FleetSamples,
    PodSample,
    Prometheus,
    _assemble,
    erring_classes,
    in_flight_of,
    signals_for,
)

OTHER = Key(namespace="demo", name="other")
QUERIES = ("offered", "served", "failed", "backlog", "queue", "ejected", "age")


def sample(value: Any, **labels: str) -> builders.JSON:
    return {"metric": labels, "value": [1767355200.0, str(value)]}


def cluster(value: Any, name: str) -> builders.JSON:
    return sample(value, envoy_cluster_name=name)


def pod(value: Any, name: str = "digits-cpu-0", namespace: str = "demo") -> builders.JSON:
    return sample(value, namespace=namespace, pod=name)


def assemble(**answers: list[builders.JSON]) -> FleetSamples:
    return _assemble({name: answers.get(name, []) for name in QUERIES})


# --- From answers to samples -----------------------------------------------------------------------------------------

DIGITS, GRPC = "httproute/demo/digits/rule/0", "grpcroute/demo/digits/rule/0"
ONE = ("demo", "digits-cpu-0")


def test_everything_that_prometheus_knows() -> None:
    found = assemble(
        offered=[
            cluster(40, DIGITS),
            cluster(2.5, "grpcroute/demo/digits/rule/0"),
            cluster(7, "httproute/demo/other/rule/0"),
        ],
        served=[pod(30), pod(12, "digits-gpu-0")],
        failed=[pod(2)],
        backlog=[pod(3), pod(0, "digits-gpu-0")],
        queue=[pod(1.5)],
        age=[pod(4.5), pod(3, "digits-gpu-0")],
    )
    assert found == FleetSamples(
        offered_rps={builders.KEY: 42.5, OTHER: 7.0},
        pods={
            ONE: PodSample(served_rps=30.0, failed_rps=2.0, backlog=3.0, queue_milliseconds=1.5, age_seconds=4.5),
            ("demo", "digits-gpu-0"): PodSample(served_rps=12.0, backlog=0.0, age_seconds=3.0),
        },
        error=None,
    )
    assert found.age_seconds == 3.0


def test_a_prometheus_that_knows_nothing() -> None:
    assert assemble() == FleetSamples(error=None)
    assert assemble().age_seconds is None


OFFERED: dict[str, tuple[list[builders.JSON], dict[Key, float]]] = {
    "clusters of others": ([cluster(5, "tcproute/demo/digits/rule/0"), cluster(5, "xds_cluster")], {}),
    "no cluster at all": ([sample(5)], {}),
    "more retries than requests, for a moment": ([cluster(-0.25, DIGITS)], {builders.KEY: 0.0}),
    "no requests": ([cluster(0, DIGITS)], {builders.KEY: 0.0}),
}


@builders.table(OFFERED)
def test_what_arrives_at_the_gateway(case: tuple[list[builders.JSON], dict[Key, float]]) -> None:
    answer, want = case
    assert assemble(offered=answer).offered_rps == want


EJECTED: dict[str, tuple[list[builders.JSON], dict[Key, int]]] = {
    "a gateway that does not tell": ([], {}),
    "none": ([cluster(0, DIGITS), cluster(0, GRPC)], {builders.KEY: 0}),
    "a replica stands behind both routes": ([cluster(1, DIGITS), cluster(1, GRPC)], {builders.KEY: 1}),
    "one of the routes has no traffic": ([cluster(0, DIGITS), cluster(2, GRPC)], {builders.KEY: 2}),
    "classes that Envoy keeps apart": (
        [cluster(1, f"{DIGITS}/backend/0"), cluster(2, f"{DIGITS}/backend/1"), cluster(1, GRPC)],
        {builders.KEY: 3},
    ),
    "each deployment has its own": (
        [cluster(1, DIGITS), cluster(2, "httproute/demo/other/rule/0")],
        {builders.KEY: 1, OTHER: 2},
    ),
    "what is no number says nothing": ([cluster("NaN", DIGITS), cluster("+Inf", GRPC)], {builders.KEY: 0}),
    "less than none": ([cluster(-1, DIGITS)], {builders.KEY: 0}),
    "clusters of others": ([cluster(5, "xds_cluster"), sample(5)], {}),
}


@builders.table(EJECTED)
def test_what_the_gateway_has_ejected(case: tuple[list[builders.JSON], dict[Key, int]]) -> None:
    answer, want = case
    assert assemble(ejected=answer).ejected == want


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_not_made_zero(value: str) -> None:
    found = assemble(offered=[cluster(40, DIGITS), cluster(value, GRPC)], served=[pod(value)])
    assert math.isnan(found.offered_rps[builders.KEY])
    served = found.pods[ONE].served_rps
    assert served is not None
    assert not math.isfinite(served)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-0.1"])
def test_an_age_that_is_none_is_not_known(value: str) -> None:
    found = assemble(backlog=[pod(1)], age=[pod(value)])
    assert (found.pods[ONE].age_seconds, found.age_seconds) == (None, None)


def test_a_queue_or_an_age_or_failures_alone_make_no_pod() -> None:
    assert assemble(queue=[pod(1.5)], age=[pod(1.5)], failed=[pod(1.5)]).pods == {}


# --- From samples to one deployment's signals ------------------------------------------------------------------------

CPU, GPU = builders.pod("digits-cpu-0", class_name="cpu"), builders.pod("digits-gpu-0", class_name="gpu")
STARTING = builders.pod("digits-cpu-1", class_name="cpu", ready=False)
LEAVING = builders.pod("digits-cpu-2", class_name="cpu", terminating=True)


def samples(**pods: PodSample) -> FleetSamples:
    known = {("demo", f"digits-{name.replace('_', '-')}"): s for name, s in pods.items()}
    return FleetSamples(offered_rps={builders.KEY: 50.0, OTHER: 9.0}, pods=known, error=None)


WINDOW = 30.0
BUSY = PodSample(served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, age_seconds=5.0)
IDLE = PodSample(served_rps=0.0, backlog=0.0, queue_milliseconds=math.nan, age_seconds=5.0)
OLD = replace(BUSY, age_seconds=WINDOW + 0.1)
SIGNALS: dict[str, tuple[FleetSamples, tuple[Pod, ...], Signals]] = {
    "sums over the pods, and the longest wait": (
        samples(cpu_0=BUSY, gpu_0=PodSample(served_rps=20.0, backlog=1.0, queue_milliseconds=9.0, age_seconds=7.0)),
        (CPU, GPU),
        builders.fresh(50.0, backlog=3.0, queue_milliseconds=6.0),
    ),
    "an idle pod, of which no wait is known, hides nobody else's": (
        samples(cpu_0=IDLE, gpu_0=BUSY),
        (CPU, GPU),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0),
    ),
    "an error says it all": (
        FleetSamples(offered_rps={builders.KEY: 50.0}, error="ConnectionError"),
        (CPU,),
        Signals(error="ConnectionError"),
    ),
    "before the first answer": (FleetSamples(), (CPU,), Signals(error="not asked yet")),
    "a pod that Prometheus does not know": (
        samples(cpu_0=BUSY),
        (CPU, GPU),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, missing_pods=1),
    ),
    "a pod of which only half is known": (
        samples(cpu_0=BUSY, gpu_0=PodSample(backlog=1.0, age_seconds=5.0)),
        (CPU, GPU),
        builders.fresh(50.0, served_rps=30.0, backlog=3.0, queue_milliseconds=4.0, missing_pods=1),
    ),
    "a pod that was last scraped long ago is missing, whatever the others are": (
        samples(cpu_0=BUSY, gpu_0=OLD),
        (CPU, GPU),
        builders.fresh(50.0, served_rps=60.0, backlog=4.0, queue_milliseconds=4.0, missing_pods=1),
    ),
    "a sample as old as the window is still of now": (
        samples(cpu_0=replace(BUSY, age_seconds=WINDOW)),
        (CPU,),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, age_seconds=WINDOW),
    ),
    "when all pods were last scraped long ago, the newest tells how long": (
        samples(cpu_0=OLD, gpu_0=replace(BUSY, age_seconds=90.0)),
        (CPU, GPU),
        builders.fresh(
            50.0, served_rps=60.0, backlog=4.0, queue_milliseconds=4.0, missing_pods=2, age_seconds=WINDOW + 0.1
        ),
    ),
    "a pod of which nobody knows when it was scraped is missing": (
        samples(cpu_0=replace(BUSY, age_seconds=None)),
        (CPU,),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, missing_pods=1, age_seconds=None),
    ),
    "a fresh pod of others does not hide that ours are old": (
        samples(cpu_0=OLD, cpu_9=BUSY),
        (CPU,),
        builders.fresh(
            50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, missing_pods=1, age_seconds=WINDOW + 0.1
        ),
    ),
    "a leaving pod that is scraped no more makes nothing old": (
        samples(cpu_0=BUSY, cpu_2=OLD),
        (CPU, LEAVING),
        builders.fresh(50.0, served_rps=60.0, backlog=4.0, queue_milliseconds=4.0),
    ),
    "pods that start or leave are not missed": (
        samples(cpu_0=BUSY),
        (CPU, STARTING, LEAVING),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0),
    ),
    "what a leaving pod still does counts, and its age does not": (
        samples(cpu_2=BUSY),
        (LEAVING,),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0, age_seconds=None),
    ),
    "pods of others do not count": (
        samples(cpu_0=BUSY, cpu_9=BUSY),
        (CPU,),
        builders.fresh(50.0, served_rps=30.0, backlog=2.0, queue_milliseconds=4.0),
    ),
    "without pods there is only the gateway, of no known age": (samples(cpu_9=BUSY), (), Signals(offered_rps=50.0)),
}


@builders.table(SIGNALS)
def test_the_signals_of_one_deployment(case: tuple[FleetSamples, tuple[Pod, ...], Signals]) -> None:
    given, pods, want = case
    assert signals_for(given, builders.KEY, pods, WINDOW) == want


def test_a_deployment_that_nobody_has_heard_of() -> None:
    assert signals_for(samples(), Key(namespace="demo", name="new"), (), WINDOW) == Signals()


def test_a_rate_that_is_no_number_spoils_the_sum_and_does_not_lessen_it() -> None:
    found = signals_for(
        samples(cpu_0=BUSY, gpu_0=PodSample(served_rps=math.nan, backlog=0.0)), builders.KEY, (CPU, GPU), WINDOW
    )
    assert found.served_rps is not None
    assert math.isnan(found.served_rps)


# --- From samples to what is known of pods and classes ---------------------------------------------------------------

IN_FLIGHT: dict[str, tuple[FleetSamples, dict[str, InFlight]]] = {
    "before the first answer": (FleetSamples(), {}),
    "what is under way, and how long ago that was so": (
        samples(cpu_0=BUSY, gpu_0=IDLE),
        {
            "uid-digits-cpu-0": InFlight(requests=2.0, age_seconds=5.0),
            "uid-digits-gpu-0": InFlight(requests=0.0, age_seconds=5.0),
        },
    ),
    "a word of long ago is told as what it is": (
        samples(cpu_0=OLD),
        {"uid-digits-cpu-0": InFlight(requests=2.0, age_seconds=WINDOW + 0.1)},
    ),
    "a pod of which only the rate is known": (samples(cpu_0=PodSample(served_rps=3.0, age_seconds=5.0)), {}),
    "a pod of which nobody knows when it was scraped": (samples(cpu_0=replace(BUSY, age_seconds=None)), {}),
    "pods of others do not count": (samples(cpu_9=BUSY), {}),
    "of a pod that leaves as well": (
        samples(cpu_2=BUSY),
        {"uid-digits-cpu-2": InFlight(requests=2.0, age_seconds=5.0)},
    ),
}


@builders.table(IN_FLIGHT)
def test_what_is_under_way_inside_each_pod(case: tuple[FleetSamples, dict[str, InFlight]]) -> None:
    given, want = case
    assert in_flight_of(given, builders.KEY, (CPU, GPU, LEAVING)) == want


def failing(failed: float | None, served: float | None = 90.0) -> PodSample:
    return PodSample(served_rps=served, failed_rps=failed, backlog=0.0, age_seconds=5.0)


ERRING: dict[str, tuple[FleetSamples, set[str]]] = {
    "before the first answer": (FleetSamples(), set()),
    "nothing is asked, nothing fails": (samples(cpu_0=failing(0.0, 0.0)), set()),
    "a Triton that does not tell of failures": (samples(cpu_0=failing(None)), set()),
    "a tenth fails": (samples(cpu_0=failing(10.0)), set()),
    "more than a tenth fails": (samples(cpu_0=failing(10.1)), {"cpu"}),
    "all of it fails": (samples(cpu_0=failing(5.0, 0.0)), {"cpu"}),
    "all of it fails, and what is served is not known": (samples(cpu_0=failing(5.0, None)), {"cpu"}),
    "each class for itself": (samples(cpu_0=failing(50.0), gpu_0=failing(0.0, 900.0)), {"cpu"}),
    "one pod of a class fails, and the others hide it": (samples(cpu_0=failing(9.0, 1.0), cpu_2=failing(0.0)), set()),
    "a rate that is no number says nothing": (samples(cpu_0=failing(math.nan), gpu_0=failing(math.inf)), set()),
    "less than none is none": (samples(cpu_0=failing(-5.0, 0.0)), set()),
    "pods of others do not count": (samples(cpu_9=failing(90.0)), set()),
}


@builders.table(ERRING)
def test_which_classes_fail_too_much_of_what_they_are_asked(case: tuple[FleetSamples, set[str]]) -> None:
    given, want = case
    assert erring_classes(given, builders.KEY, (CPU, GPU, LEAVING)) == want


values = st.sampled_from(("1", "0", "NaN", "+Inf", "-Inf", "-1", "1e308"))
texts = st.sampled_from(("demo", "digits-cpu-0", DIGITS, ""))
labels = st.dictionaries(st.sampled_from(("namespace", "pod", "envoy_cluster_name")), texts)
vectors = st.lists(st.builds(lambda metric, value: {"metric": metric, "value": [0, value]}, labels, values), max_size=4)


@given(st.fixed_dictionaries(dict.fromkeys(QUERIES, vectors)))
def test_any_vectors_give_signals(answers: dict[str, list[builders.JSON]]) -> None:
    given = _assemble(answers)
    found = signals_for(given, builders.KEY, (CPU, GPU), WINDOW)
    assert erring_classes(given, builders.KEY, (CPU, GPU)) <= {"cpu", "gpu"}
    assert all(known.age_seconds >= 0 for known in in_flight_of(given, builders.KEY, (CPU, GPU)).values())
    assert found.error is None
    assert 0 <= found.missing_pods <= 2
    assert found.queue_milliseconds is None or found.queue_milliseconds >= 0
    assert found.age_seconds is None or found.age_seconds >= 0


# --- What answers ----------------------------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler, threading.Event], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    """All queries at once, also while a busy machine takes none of them yet: the kernel's five would turn some away."""


class Fake:
    """A server on loopback that answers every request in the same way, until the test is over."""

    def __init__(self, answer: Answer) -> None:
        over, self.queries = threading.Event(), list[str]()
        seen = self.queries

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(parse_qs(urlsplit(self.path).query)["query"][0])
                answer(self, over)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.over = over
        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Fake]]:
    running: list[Fake] = []

    def start(answer: Answer) -> Fake:
        running.append(Fake(answer))
        return running[-1]

    yield start
    for fake in running:
        fake.stop()


def body(content: bytes, status: int = 200, kind: str = "application/json", encoding: str = "identity") -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with contextlib.suppress(OSError):  # nobody takes it all
            handler.wfile.write(content)

    return answer


def result(value: Any, kind: str = "vector") -> Answer:
    data = {"resultType": kind, "result": value}
    return body(json.dumps({"status": "success", "data": data}).encode())


def silence(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    over.wait()


def trickle(*head: tuple[str, str], gone: threading.Semaphore | None = None) -> Answer:
    """A body without end, drop by drop, for as long as somebody takes it; `gone` counts those who went before."""

    def answer(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        handler.send_response(200)
        for name, value in head:
            handler.send_header(name, value)
        handler.end_headers()
        drip(handler, over, b"1\r\n \r\n")  # a chunk, where chunks are promised
        if gone and not over.is_set():
            gone.release()

    return answer


def endless_head(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.flush_headers()
    drip(handler, over, b" ")


def drip(handler: BaseHTTPRequestHandler, over: threading.Event, drop: bytes) -> None:
    with contextlib.suppress(OSError):
        while not over.wait(0.01):
            handler.wfile.write(drop)


def broken_off(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")


def hang_up(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
    handler.connection.close()


TOO_MANY = LARGEST_ANSWER + 1


PATIENCE = 60.0
"""Where time is not what a test is about, there is enough of it, however busy the machine."""


def prometheus(url: str, seconds: float) -> Prometheus:
    return Prometheus(url, gateways=("gateways",), window_seconds=30, timeout_seconds=seconds)


PROXIES: dict[str, tuple[tuple[str, ...], str]] = {
    "one namespace": (("envoy-gateway-system",), "envoy-gateway-system"),
    "several": (("public", "internal"), "public|internal"),
    "none: a name that no namespace can have": ((), "-"),
}


@builders.table(PROXIES)
def test_of_requests_and_ejections_only_the_gateways_word_is_taken(case: tuple[tuple[str, ...], str]) -> None:
    namespaces, want = case
    asked = Prometheus("http://prometheus", gateways=namespaces, window_seconds=30, timeout_seconds=3)
    labels = f'{{envoy_cluster_name=~"(httproute|grpcroute)/.+",namespace=~"{want}"}}'
    assert asked._queries()["offered"] == (
        f"sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_total{labels}[30s]))"
        f" - sum by (envoy_cluster_name) (rate(envoy_cluster_upstream_rq_retry{labels}[30s]))"
    )
    ejected = f"max by (envoy_cluster_name) (envoy_cluster_outlier_detection_ejections_active{labels})"
    assert asked._queries()["ejected"] == ejected


async def test_seven_queries_are_asked_for_the_whole_fleet(serve: Callable[[Answer], Fake]) -> None:
    fake = serve(result([pod(5)]))
    found = await prometheus(fake.url, PATIENCE).fetch()
    assert found == FleetSamples(
        pods={ONE: PodSample(served_rps=5.0, failed_rps=5.0, backlog=5.0, queue_milliseconds=5.0, age_seconds=5.0)},
        error=None,
    )
    assert len(fake.queries) == 7
    assert [q for q in fake.queries if "rate(" in q and "[30s]" not in q] == []


BAD_ANSWERS: dict[str, tuple[Answer, str]] = {
    "an error": (body(b'{"status": "error"}', 500), "PrometheusApiClientException"),
    "a query it does not like": (body(b'{"status": "error"}', 422), "PrometheusApiClientException"),
    "a proxy's page": (body(b"<html>who are you?</html>", kind="text/html"), "JSONDecodeError"),
    "nothing": (body(b""), "JSONDecodeError"),
    "another API": (body(b'{"hello": "world"}'), "KeyError"),
    "a list": (body(b"[]"), "TypeError"),
    "no data": (body(b'{"status": "success", "data": null}'), "TypeError"),
    "no result": (result(None), "TypeError"),
    "a scalar": (result([1767355200.0, "5"], "scalar"), "TypeError"),
    "a range": (result([{"metric": {}, "values": [[0, "1"]]}], "matrix"), "KeyError"),
    "an empty sample": (result([{"metric": {}, "value": []}]), "IndexError"),
    "a sample of words": (result([sample("many")]), "ValueError"),
    "labels that are none": (result([{"metric": None, "value": [0, "1"]}]), "AttributeError"),
    "a value with more digits than any number": (
        body(b'{"data": {"result": [{"metric": {}, "value": [0, ' + b"9" * 400 + b"]}]}}"),
        "OverflowError",
    ),
    "a value with more digits than anybody reads": (
        body(b'{"data": {"result": [{"metric": {}, "value": [0, ' + b"9" * 6000 + b"]}]}}"),
        "ValueError",
    ),
    "lists in lists without end": (body(b"[" * 200_000), "RecursionError"),
    "objects in objects without end": (body(b'{"a":' * 100_000), "RecursionError"),
    "no text at all": (body(b"\xff\xfe{"), "JSONDecodeError"),
    "a body larger than any fleet's": (body(b" " * TOO_MANY), "AnswerTooLarge"),
    "a small body that unpacks to a large one": (
        body(gzip.compress(b" " * TOO_MANY), encoding="gzip"),
        "AnswerTooLarge",
    ),
    "a body that breaks off": (broken_off, "ConnectionError"),
    "a hung up line": (hang_up, "ConnectionError"),
}
ENDLESS: dict[str, tuple[Answer, str]] = {
    "silence": (silence, "ReadTimeout"),
    "a body without end": (trickle(), "TimeoutError"),
}


@builders.table(BAD_ANSWERS)
async def test_whatever_answers_is_said_and_raises_nothing(
    case: tuple[Answer, str], serve: Callable[[Answer], Fake]
) -> None:
    answer, want = case
    assert await prometheus(serve(answer).url, PATIENCE).fetch() == FleetSamples(error=want)


@builders.table(ENDLESS)
async def test_what_never_ends_is_given_up_and_said(case: tuple[Answer, str], serve: Callable[[Answer], Fake]) -> None:
    answer, want = case
    fake = serve(answer)
    try:
        found = await asyncio.wait_for(prometheus(fake.url, 1.0).fetch(), PATIENCE)
    finally:
        fake.over.set()
    assert found == FleetSamples(error=want)


HEADS: dict[str, tuple[tuple[str, str], ...]] = {
    "a length that never comes": (("Content-Length", "1000000"),),
    "chunks without end": (("Transfer-Encoding", "chunked"),),
    "no word about its length": (),
}


@builders.table(HEADS)
async def test_a_body_without_end_holds_no_thread(
    case: tuple[tuple[str, str], ...], serve: Callable[[Answer], Fake]
) -> None:
    gone = threading.Semaphore(0)
    fake = serve(trickle(*case, gone=gone))
    assert (await prometheus(fake.url, 1.0).fetch()).error == "TimeoutError"
    assert [await asyncio.to_thread(gone.acquire, timeout=PATIENCE) for _ in QUERIES] == [True] * len(QUERIES)


async def test_what_holds_threads_all_the_same_holds_no_more_than_there_are_queries(
    serve: Callable[[Answer], Fake],
) -> None:
    fake = serve(endless_head)
    asked = prometheus(fake.url, 1.0)
    found = [(await asked.fetch()).error for _ in range(3)]
    fake.over.set()
    assert (found, len(fake.queries)) == (["TimeoutError"] * 3, len(QUERIES))


async def test_nobody_there() -> None:
    fake = Fake(silence)
    fake.stop()
    assert (await prometheus(fake.url, PATIENCE).fetch()).error == "ConnectionError"

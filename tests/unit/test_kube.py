"""How the API server's answers become ours; what it really answers is in tests/integration/test_status_writes.py."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.exceptions import api_exception

import builders
from heteroserve import kube
from heteroserve.errors import HeteroserveError, Reject, Retry
from heteroserve.kube import Kube

UNFIT = "the server rejected our request due to an error in our request"
TWICE = '.spec.template.spec.containers[name="triton"].env: duplicate entries for key [name="A"]'


class Client:
    """Answers every request with this status, or takes it and keeps what it was."""

    def __init__(self, status: int = 200, message: str = "", body: builders.JSON | None = None) -> None:
        self.status, self.message, self.body = status, message, body or {}
        self.asked: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        self.asked.append((method, path, body))
        if self.status != 200:
            error = ApiException(status=self.status)
            error.body = json.dumps({"message": self.message})
            raise api_exception(error)  # type: ignore[no-untyped-call]
        return self

    async def read(self) -> bytes:
        return json.dumps(self.body).encode()


def kube_of(client: Client) -> Kube:
    class Unused:
        configuration = None

    found = Kube(Unused())  # type: ignore[arg-type]
    found._client.request = client.request
    return found


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    message: str = ""
    want: type[HeteroserveError]
    want_reason: str
    want_message: str


ANSWERS = {
    "a quota": Answer(
        status=403,
        message="exceeded quota",
        want=Reject,
        want_reason="Forbidden",
        want_message="Deployment refused: exceeded quota",
    ),
    "a bad field": Answer(
        status=422, message="spec: no", want=Reject, want_reason="Invalid", want_message="Deployment refused: spec: no"
    ),
    "a newer object": Answer(
        status=409, message="modified", want=Retry, want_reason="Conflict", want_message="Deployment: 409 modified"
    ),
    "an etcd that is away": Answer(
        status=500,
        message="timed out",
        want=Retry,
        want_reason="ApiUnavailable",
        want_message="Deployment: 500 timed out",
    ),
    "a list with the same entry twice stays so until somebody changes it": Answer(
        status=500,
        message=TWICE,
        want=Reject,
        want_reason="Invalid",
        want_message=f"Deployment refused: a list has an entry twice, take one of them out: {TWICE}",
    ),
    "what is called so by another number is another thing": Answer(
        status=503,
        message=TWICE,
        want=Retry,
        want_reason="ApiUnavailable",
        want_message=f"Deployment: 503 {TWICE}",
    ),
}


@builders.table(ANSWERS)
async def test_whose_turn_it_is_after_a_refusal(case: Answer) -> None:
    api = kube_of(Client(case.status, case.message))
    with pytest.raises(case.want) as caught:
        await api.apply(kube.DEPLOYMENT, builders.owned("Deployment", "digits-cpu"))
    assert (caught.value.reason, caught.value.message) == (case.want_reason, case.want_message)


# a kind and a namespace: what is asked
PLACES: dict[str, tuple[kube.Kind, str | None, str]] = {
    "everywhere": (kube.POD, None, "/api/v1/pods"),
    "where there is no namespace": (kube.NODE, None, "/api/v1/nodes"),
    "in one namespace": (
        kube.LEASE,
        "kube-node-lease",
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    ),
}


@builders.table(PLACES)
async def test_what_is_listed(case: tuple[kube.Kind, str | None, str]) -> None:
    kind, namespace, want = case
    client = Client(body={"metadata": {}, "items": [{"metadata": {"name": "a"}}]})
    want_object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a"}}
    assert await kube_of(client).list(kind, dict, namespace) == [want_object]
    assert client.asked == [("get", want, None)]


async def test_a_status_is_for_one_uid() -> None:
    client = Client()
    await kube_of(client).replace_status(kube.INFERENCE_DEPLOYMENT, "demo", "digits", {"replicas": 1}, uid="a")
    path = "/apis/heteroserve.dev/v1alpha1/namespaces/demo/inferencedeployments/digits/status"
    first, second = {"op": "test", "path": "/metadata/uid", "value": "a"}, {"op": "add", "path": "/status"}
    assert client.asked == [("patch", path, [first, {**second, "value": {"replicas": 1}}])]


async def test_the_status_of_a_namesake_is_tried_again_when_that_is_known() -> None:
    api = kube_of(Client(422, UNFIT))
    with pytest.raises(
        Retry, match=r"InferenceDeployment at .*/digits/status is not the object that was read"
    ) as caught:
        await api.replace_status(kube.INFERENCE_DEPLOYMENT, "demo", "digits", {}, uid="a")
    assert caught.value.reason == "Conflict"


async def test_a_status_that_the_crd_does_not_take_is_refused() -> None:
    api = kube_of(Client(422, "status.replicas: Invalid value: -1"))
    with pytest.raises(Reject, match="Invalid value: -1"):
        await api.replace_status(kube.INFERENCE_DEPLOYMENT, "demo", "digits", {}, uid="a")


async def test_a_spec_is_for_one_uid() -> None:
    client = Client()
    await kube_of(client).replace_spec(kube.HTTP_ROUTE, "demo", "digits", {"rules": []}, uid="a")
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes/digits"
    first, second = {"op": "test", "path": "/metadata/uid", "value": "a"}, {"op": "add", "path": "/spec"}
    assert client.asked == [("patch", path, [first, {**second, "value": {"rules": []}}])]


async def test_a_mark_is_for_one_uid() -> None:
    client = Client()
    changes = {"labels": {"a": "1"}, "annotations": {"b": None}}
    await kube_of(client).merge_metadata(kube.POD, "demo", "digits-cpu-0", changes, uid="u")
    want = {"metadata": {"labels": {"a": "1"}, "annotations": {"b": None}, "uid": "u"}}
    assert client.asked == [("patch", "/api/v1/namespaces/demo/pods/digits-cpu-0", want)]


IMMUTABLE = 'Pod "digits-cpu-0" is invalid: metadata.uid: Invalid value: "u": field is immutable'
UNMARKED: dict[str, tuple[Client, type[HeteroserveError], str]] = {
    "a namesake": (Client(422, IMMUTABLE), Retry, "Conflict"),
    "a pod that is gone": (Client(404), Retry, "NotFound"),
    "a pod that somebody else writes to": (Client(409, "modified"), Retry, "Conflict"),
    "a rule of somebody else's": (Client(422, "metadata.labels: Invalid value"), Reject, "Invalid"),
    "a right that is missing": (Client(403, "pods is forbidden"), Reject, "Forbidden"),
}


@builders.table(UNMARKED)
async def test_a_pod_that_cannot_be_marked(case: tuple[Client, type[HeteroserveError], str]) -> None:
    client, want, want_reason = case
    with pytest.raises(want) as caught:
        await kube_of(client).merge_metadata(kube.POD, "demo", "digits-cpu-0", {"labels": {}}, uid="u")
    assert caught.value.reason == want_reason


# --- Lists -----------------------------------------------------------------------------------------------------------


class Pages:
    """Answers with one page after the other, each with the number of the next; a number is an error's status."""

    def __init__(self, *pages: list[str] | int) -> None:
        self.pages, self.asked, self.status = pages, list[tuple[str | None, int | None]](), 200

    async def request(
        self, method: str, path: str, *, _continue: str | None = None, limit: int | None = None, **_: Any
    ) -> Any:
        self.asked.append((_continue, limit))
        self.at = int(_continue or 0)
        page = self.pages[self.at]
        if isinstance(page, int):
            await Client(page, "The provided continue parameter is too old").request(method, path)
        return self

    async def read(self) -> bytes:
        more = {"continue": str(self.at + 1)} if self.at + 1 < len(self.pages) else {}
        items = [{"metadata": {"name": name}} for name in self.pages[self.at]]  # type: ignore[union-attr]
        return json.dumps({"metadata": more, "items": items}).encode()


def name_of(raw: builders.JSON) -> str:
    return f"{raw['kind']}/{raw['metadata']['name']}"


LISTS: dict[str, tuple[Pages, list[str] | None]] = {
    "nothing": (Pages([]), []),
    "one page": (Pages(["a", "b"]), ["Node/a", "Node/b"]),
    "several pages": (Pages(["a", "b"], ["c"], ["d"]), ["Node/a", "Node/b", "Node/c", "Node/d"]),
    "a kind that the cluster does not know": (Pages(404), None),
    "a kind that went away between two pages": (Pages(["a"], 404), None),
}


@builders.table(LISTS)
async def test_a_list_is_read_page_by_page(case: tuple[Pages, list[str] | None]) -> None:
    pages, want = case
    assert await kube_of(pages).list(kube.NODE, name_of) == want  # type: ignore[arg-type]
    assert pages.asked == [(str(n) if n else None, kube.PAGE) for n in range(len(pages.pages))]


async def test_a_list_that_expired_between_two_pages_is_no_shorter_list() -> None:
    with pytest.raises(Retry, match="too old"):
        await kube_of(Pages(["a"], 410)).list(kube.NODE, name_of)  # type: ignore[arg-type]

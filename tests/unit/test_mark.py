"""Marking pods, with an API server in memory."""

import asyncio
from collections.abc import Callable

import pytest

import builders
from heteroserve import kube
from heteroserve.act.mark import AT_A_TIME, as_metadata, mark_pods
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kind
from heteroserve.model.outcome import Refusal
from heteroserve.model.plan import PodMark
from heteroserve.model.snapshot import Mark
from heteroserve.observe.parse import parse_pod
from heteroserve.observe.store import Store

OUT, COST = "heteroserve.dev/out-since", "controller.kubernetes.io/pod-deletion-cost"
OUT_AND_FIRST = Mark(out_since=builders.NOW, goes_first=True)
SOME = tuple(f"{number:02}" for number in range(AT_A_TIME))


class Api:
    """Pods by name, as a merge patch leaves them; of some it says no."""

    def __init__(self, *more: str, **refusals: Exception) -> None:
        self.pods = {f"digits-{letter}": builders.raw_pod(f"digits-{letter}") for letter in (*"abc", *more)}
        self.refusals = {f"digits-{letter}": error for letter, error in refusals.items()}
        self.asked: list[tuple[str, str, str, str]] = []

    async def merge_metadata(
        self, kind: Kind, namespace: str, name: str, changes: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.asked.append((kind.kind, namespace, name, uid))
        if name in self.refusals:
            raise self.refusals[name]
        metadata = self.pods[name]["metadata"]
        for part, values in changes.items():
            found = {**metadata.get(part, {}), **values}
            metadata[part] = {key: value for key, value in found.items() if value is not None}
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        return self.pods[name]


def marks(*letters: str, mark: Mark = OUT_AND_FIRST) -> tuple[PodMark, ...]:
    return tuple(PodMark(pod=f"digits-{letter}", uid=f"uid-digits-{letter}", mark=mark) for letter in letters)


async def mark(api: Api, *letters: str) -> tuple[Refusal | None, dict[str, Mark]]:
    """What was refused, and the marks that the store knows of then."""
    store = Store()
    for raw in map(builders.raw_pod, api.pods):
        raw["metadata"]["labels"]["heteroserve.dev/serving"] = "true"
        store.put(kube.POD, raw)
    refusal = await mark_pods(api, store, "demo", marks(*letters))  # type: ignore[arg-type]
    return refusal, {pod.name: pod.mark for pod in store.pods(builders.KEY)}


MARKS: dict[str, tuple[Mark, builders.JSON]] = {
    "in the traffic": (
        Mark(),
        {"labels": {"heteroserve.dev/serving": "true"}, "annotations": {OUT: None, COST: None}},
    ),
    "in the traffic, and the first to go": (
        Mark(goes_first=True),
        {"labels": {"heteroserve.dev/serving": "true"}, "annotations": {OUT: None, COST: "-1"}},
    ),
    "out of it, and to stay": (
        Mark(out_since=builders.NOW),
        {"labels": {"heteroserve.dev/serving": "false"}, "annotations": {OUT: "2026-01-02T12:00:00Z", COST: None}},
    ),
    "out of it, and on its way": (
        OUT_AND_FIRST,
        {"labels": {"heteroserve.dev/serving": "false"}, "annotations": {OUT: "2026-01-02T12:00:00Z", COST: "-1"}},
    ),
}


@builders.table(MARKS)
def test_what_a_pod_is_told(case: tuple[Mark, builders.JSON]) -> None:
    mark, want = case
    assert as_metadata(mark) == want


@builders.table(MARKS)
async def test_what_a_pod_is_told_is_what_is_read_from_it(case: tuple[Mark, builders.JSON]) -> None:
    mark, _ = case
    api = Api()
    await mark_pods(api, Store(), "demo", marks("a", mark=mark))  # type: ignore[arg-type]
    assert parse_pod(api.pods["digits-a"]).mark == mark


async def test_exactly_the_pods_that_were_meant_are_marked_and_learned() -> None:
    api = Api()
    assert await mark(api, "a", "c") == (
        None,
        {"digits-a": OUT_AND_FIRST, "digits-b": Mark(), "digits-c": OUT_AND_FIRST},
    )
    assert api.asked == [("Pod", "demo", name, f"uid-{name}") for name in ("digits-a", "digits-c")]


async def test_nothing_is_asked_when_nobody_is_to_be_marked() -> None:
    api = Api()
    refusal, _ = await mark(api)
    assert (refusal, api.asked) == (None, [])


PASSED_OVER: dict[str, Callable[[], Exception]] = {
    "it is gone": lambda: Retry("NotFound", "no such pod"),
    "it is another one by now, or somebody else wrote to it": lambda: Retry("Conflict", "uid"),
}


@builders.table(PASSED_OVER)
async def test_a_pod_that_is_gone_or_another_needs_no_mark_and_the_others_get_theirs(
    case: Callable[[], Exception],
) -> None:
    refusal, found = await mark(Api(a=case()), "a", "b")
    assert (refusal, found["digits-a"], found["digits-b"]) == (None, Mark(), OUT_AND_FIRST)


async def test_the_first_refusal_is_told_and_the_others_get_their_mark() -> None:
    refusals = {"a": Reject("Forbidden", "no right"), "b": Reject("Invalid", "a rule of theirs")}
    refusal, found = await mark(Api(**refusals), "a", "b", "c")
    assert refusal == Refusal(reason="Forbidden", message="no right")
    assert found["digits-c"] == OUT_AND_FIRST


async def test_an_api_server_that_is_away_is_no_refusal() -> None:
    api = Api(*SOME, z=Retry("ApiUnavailable", "away"))
    with pytest.raises(Retry, match="away"):
        await mark(api, "z", *SOME)
    assert len(api.asked) == AT_A_TIME, "no more are asked for in vain"


async def test_many_are_marked_at_a_time_and_no_more_than_a_bound() -> None:
    """16 of 61 pods, 16, 16 and 13: the marks of a class that comes back take as long as four of them."""

    class Slow(Api):
        waiting, steps = 0, list[int]()

        async def merge_metadata(
            self, kind: Kind, namespace: str, name: str, changes: builders.JSON, *, uid: str
        ) -> builders.JSON:
            self.waiting += 1
            await asyncio.sleep(0)
            if self.waiting:
                self.steps.append(self.waiting)
            self.waiting = 0
            return await super().merge_metadata(kind, namespace, name, changes, uid=uid)

    many = tuple(f"{number:02}" for number in range(61))
    api = Slow(*many)
    _, found = await mark(api, *many)
    assert api.steps == [16, 16, 16, 13]
    assert {found[f"digits-{number}"] for number in many} == {OUT_AND_FIRST}

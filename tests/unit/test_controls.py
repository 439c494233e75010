"""The switch that pauses everything: what the ConfigMap may say, and an API server that does not tell."""

import asyncio
from typing import Any

import pytest

import builders
from clock import now, run
from heteroserve import kube
from heteroserve.errors import Reject, Retry
from heteroserve.observe.controls import EVERY_SECONDS, NAME, Controls, parse_paused

WHERE = "ops/heteroserve-controls"
SAYS = f"the ConfigMap {WHERE} says paused"


def controls(**data: Any) -> builders.JSON:
    return {**builders.raw("ConfigMap", NAME, namespace="ops"), "data": data}


def unclear(value: str) -> str:
    return f'{SAYS}: "{value}", write "true" or "false": paused until then'


SAID: dict[str, tuple[builders.JSON | None, str]] = {
    "it is not there": (None, ""),
    "no data": (builders.raw("ConfigMap", NAME, namespace="ops"), ""),
    "data that are none": ({**controls(), "data": None}, ""),
    "data of another form": ({**controls(), "data": ["paused"]}, ""),
    "nothing of pausing": (controls(other="true"), ""),
    "false": (controls(paused="false"), ""),
    "true": (controls(paused="true"), SAYS),
    "in capitals": (controls(paused="True"), unclear("True")),
    "yes": (controls(paused="yes"), unclear("yes")),
    "nothing at all": (controls(paused=""), unclear("")),
    "with the end of its line": (controls(paused="false\n"), unclear("false\n")),
    "no text": (controls(paused=True), unclear("True")),
    "a whole novel": (controls(paused="x" * 5000), unclear("x" * 40)),
}


@builders.table(SAID)
def test_what_the_switch_says(case: tuple[builders.JSON | None, str]) -> None:
    raw, want = case
    assert parse_paused(raw, WHERE) == want


class Api:
    """Answers with the next of these, and with the last one from then on."""

    def __init__(self, *answers: builders.JSON | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, str, str | None, str]] = []

    async def get(self, kind: kube.Kind, namespace: str | None, name: str) -> builders.JSON | None:
        self.asked.append((now(), kind.kind, namespace, name))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


PAUSED, GOING = controls(paused="true"), controls(paused="false")
AWAY, FORBIDDEN = Retry("ApiUnavailable", "away"), Reject("Forbidden", "no right")

# the answers one after the other: what holds after each, and how often somebody was rung for
STORIES: dict[str, tuple[tuple[builders.JSON | Exception | None, ...], list[str], int]] = {
    "nobody ever made it": ((None, None), ["", ""], 0),
    "it is there and says nothing new": ((GOING, None, GOING), ["", "", ""], 0),
    "paused from the start, and nobody wakes for the same again": ((PAUSED, PAUSED, PAUSED), [SAYS] * 3, 1),
    "paused and over": ((None, PAUSED, GOING), ["", SAYS, ""], 2),
    "over when it is deleted": ((PAUSED, None), [SAYS, ""], 2),
    "a slip of the pen pauses": ((None, controls(paused="ture")), ["", unclear("ture")], 1),
    "the API server is away while everything is paused": ((PAUSED, AWAY, AWAY), [SAYS, SAYS, SAYS], 1),
    "the API server is away while nothing is": ((GOING, AWAY), ["", ""], 0),
    "the API server is away from the start": ((AWAY, PAUSED), ["", SAYS], 1),
    "the right is missing": ((FORBIDDEN, FORBIDDEN), ["", ""], 0),
    "the right is taken away while everything is paused": ((PAUSED, FORBIDDEN), [SAYS, SAYS], 1),
}


@builders.table(STORIES)
def test_what_holds(case: tuple[tuple[builders.JSON | Exception | None, ...], list[str], int]) -> None:
    answers, want, want_rings = case
    rung: list[str] = []

    async def story() -> list[str]:
        api = Api(*answers)
        switch = Controls("ops", lambda: rung.append("everybody"), lambda: None)
        found = []
        for _ in answers:
            await switch.look(api)  # type: ignore[arg-type]
            found.append(switch.paused)
        return found

    assert run(story()) == want
    assert len(rung) == want_rings


def test_who_is_rung_for_sees_the_new_word() -> None:
    seen: list[str] = []

    async def story() -> None:
        switch = Controls("ops", lambda: seen.append(switch.paused), lambda: None)
        await switch.look(Api(PAUSED))  # type: ignore[arg-type]

    run(story())
    assert seen == [SAYS]


# the answers one after the other: whether anything may be done after each
KNOWN: dict[str, tuple[tuple[builders.JSON | Exception | None, ...], list[bool]]] = {
    "there is no such thing": ((None,), [True]),
    "there is": ((PAUSED,), [True]),
    "without the right nobody waits for it": ((FORBIDDEN,), [True]),
    "before the first answer nothing is done": ((AWAY, AWAY, PAUSED), [False, False, True]),
    "what was known holds": ((GOING, AWAY), [True, True]),
}


@builders.table(KNOWN)
def test_whether_the_switch_is_known(case: tuple[tuple[builders.JSON | Exception | None, ...], list[bool]]) -> None:
    answers, want = case

    async def story() -> list[bool]:
        api, found = Api(*answers), []
        switch = Controls("ops", lambda: None, lambda: None)
        assert not switch.known.is_set()
        for _ in answers:
            await switch.look(api)  # type: ignore[arg-type]
            found.append(switch.known.is_set())
        return found

    assert run(story()) == want


# the answers one after the other: after which of them it is said that there is one again
RETURNS: dict[str, tuple[tuple[builders.JSON | Exception | None, ...], list[int]]] = {
    "it was never away": ((GOING, PAUSED, None), []),
    "away for a while": ((GOING, AWAY, AWAY, GOING, GOING), [3]),
    "away from the start": ((AWAY, None), [1]),
    "twice": ((AWAY, GOING, AWAY, PAUSED), [1, 3]),
    "a refusal is an answer": ((AWAY, FORBIDDEN, FORBIDDEN), [1]),
    "a refusal is no absence": ((FORBIDDEN, FORBIDDEN, GOING), []),
}


@builders.table(RETURNS)
def test_when_the_api_server_is_back(case: tuple[tuple[builders.JSON | Exception | None, ...], list[int]]) -> None:
    answers, want = case
    found: list[int] = []

    async def story() -> None:
        api, asked = Api(*answers), 0
        switch = Controls("ops", lambda: None, lambda: found.append(asked))
        for asked in range(len(answers)):  # noqa: B007 -- the callback sees it
            await switch.look(api)  # type: ignore[arg-type]

    run(story())
    assert found == want


def test_a_bug_costs_the_switch_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    api = Api(PAUSED, ZeroDivisionError(), GOING)
    seen: list[str] = []

    async def story() -> bool:
        switch = Controls("ops", lambda: seen.append(switch.paused), lambda: None)
        asking = asyncio.create_task(switch.run(api))  # type: ignore[arg-type]
        await asyncio.sleep(2 * EVERY_SECONDS + 0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return switch.known.is_set()

    assert run(story())
    assert seen == [SAYS, ""]
    assert "reading the controls failed" in [r.message for r in caplog.records]


def test_it_is_asked_by_name_every_two_seconds_for_as_long_as_we_live() -> None:
    api = Api(GOING, AWAY, FORBIDDEN, PAUSED)

    async def story() -> str:
        switch = Controls("ops", lambda: None, lambda: None)
        asking = asyncio.create_task(switch.run(api))  # type: ignore[arg-type]
        await asyncio.sleep(3 * EVERY_SECONDS + 0.1)
        assert not asking.done()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return switch.paused

    assert run(story()) == SAYS
    assert api.asked == [(n * EVERY_SECONDS, "ConfigMap", "ops", NAME) for n in range(4)]


def test_what_cannot_be_read_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        switch, api = Controls("ops", lambda: None, lambda: None), Api(FORBIDDEN, FORBIDDEN, AWAY, AWAY, PAUSED, AWAY)
        for _ in range(7):
            await switch.look(api)  # type: ignore[arg-type]

    run(story())
    causes = [vars(r).get("cause", r.message) for r in caplog.records]
    away = "ApiUnavailable: away"
    back = "the API server answers again: all is listed, and what was put off is tried"
    assert causes == ["Forbidden: no right", away, "the controls changed", back, away]

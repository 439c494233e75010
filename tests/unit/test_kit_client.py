"""What is told of a question that failed, and who asks."""

import asyncio
from dataclasses import dataclass

import aiohttp
import pytest
from tritonclient.utils import InferenceServerException

from kit import client

UNDECODED = "an exception occurred in the client while decoding the response: x\nresponse: no healthy upstream"


@dataclass(frozen=True, slots=True)
class Case:
    error: BaseException
    want: str


class Mute(Exception):
    def __repr__(self) -> str:
        raise ValueError("nothing to say")


REASONS = {
    "Triton refuses": Case(InferenceServerException("unknown model", status="400"), "400 unknown model"),
    "a gateway answers in plain text": Case(
        InferenceServerException(UNDECODED, status="503", debug_details="no healthy upstream"),
        "503 no healthy upstream",
    ),
    "gRPC finds nobody": Case(
        InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE"), "UNAVAILABLE failed to connect"
    ),
    "a status without words": Case(InferenceServerException("", status="StatusCode.UNAVAILABLE"), "UNAVAILABLE"),
    "no answer in time": Case(TimeoutError(), "timeout"),
    "the connection broke": Case(aiohttp.ServerDisconnectedError(), "ServerDisconnectedError Server disconnected"),
    "the network is unreachable": Case(OSError(101, "unreachable"), "OSError [Errno 101] unreachable"),
    "something else": Case(ValueError("odd"), "ValueError('odd')"),
    "no words at all": Case(InferenceServerException(None), "InferenceServerException"),
    "empty words": Case(InferenceServerException(""), "InferenceServerException"),
    "nothing but lines": Case(InferenceServerException("\n \n"), "InferenceServerException"),
    "an answer that cannot be read, without details": Case(
        InferenceServerException(UNDECODED, status="503", debug_details=None), "503"
    ),
    "an error that cannot tell of itself": Case(Mute(), "Mute"),
    "it was cancelled": Case(asyncio.CancelledError(), "CancelledError()"),
}


@pytest.mark.parametrize("case", REASONS.values(), ids=REASONS.keys())
def test_a_failures_reason_is_one_line(case: Case) -> None:
    assert client.reason(case.error) == case.want


def test_both_protocols_take_turns() -> None:
    target = client.Target(http="localhost:1", grpc="localhost:1")
    assert [asker.protocol for asker in client.askers(target, "both")] == ["http", "grpc"]

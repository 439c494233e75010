"""HTTP answers within bounds: `requests` bounds how long a line may be silent, not an answer's size or time in all.

A body without end, or one that comes drop by drop, would else hold the thread that reads it for ever. Headers that come
drop by drop are not covered: whoever asks also bounds the number of threads.
"""

import contextlib
import io
import threading
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

LARGEST_ANSWER = 8 * 2**20
"""Bytes: the samples of some 50,000 pods. Five answers at once must fit into the operator's memory."""


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than we take."""


class BoundedAdapter(HTTPAdapter):
    """Reads the whole body itself, for no longer than `seconds`, and never asks again."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """The answer, with its body in memory."""
        response = super().send(request, *args, **options)
        end = threading.Timer(self._seconds, _hang_up, (response.raw,))
        end.start()
        try:
            response.raw = io.BytesIO(_read(response.raw))
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            end.cancel()
        return response


def _read(answer: urllib3.HTTPResponse) -> bytes:
    body = bytearray()
    for part in answer.stream(2**16, decode_content=True):
        body += part
        if len(body) > LARGEST_ANSWER:
            answer.close()
            raise AnswerTooLarge(f"more than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _hang_up(answer: urllib3.HTTPResponse) -> None:
    """Ends the reading from outside: it finds the end of the stream."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # just ended by itself
        answer.shutdown()

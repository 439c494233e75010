"""The errors that cross our modules. Two questions decide the class: is it worth trying again, and whose turn is it?

    HeteroserveError
    ├── Retry      weather: the API server is away, a write met a newer object; tried again, with growing pauses
    └── Reject     the same write will be refused again: said in a condition, waits until somebody changes something

Anything else that escapes is a bug of ours; the loop isolates it to the object it happened with.
"""


class HeteroserveError(Exception):
    """Base of our errors. `reason` is PascalCase and stable, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Retry(HeteroserveError):
    """Trying again later can succeed without anybody's help."""


class Reject(HeteroserveError):
    """Trying again cannot succeed until somebody changes something."""

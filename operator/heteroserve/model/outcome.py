"""Outcome: what became of a plan's manifests when they were written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that did not go through, and why."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Objects written or removed in this cycle (`Kind/name`), and what was not.

    What is `refused` will be again until somebody changes something. What is `postponed` ended the cycle, but for the
    routes, and is tried again by itself.
    """

    written: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    postponed: Refusal | None = None

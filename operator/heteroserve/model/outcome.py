"""Outcome: what became of a plan's manifests when they were written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that will be refused again until somebody changes something."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Objects written or removed in this cycle (`Kind/name`), and what was refused."""

    written: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()

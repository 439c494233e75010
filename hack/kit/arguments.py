"""Types of command-line options, with the errors that argparse shows when a value does not fit."""

import argparse
import math


def address(text: str) -> str:
    """host:port."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or "/" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port (no scheme, no path)")
    return text


def at_least_zero(text: str) -> float:
    """A finite number from 0."""
    number = _number(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return number


def above_zero(text: str) -> float:
    """A finite number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def counts(text: str) -> list[int]:
    """Whole numbers from 1, separated by commas."""
    return [count(part) for part in text.split(",")]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

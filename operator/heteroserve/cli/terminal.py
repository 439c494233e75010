"""The person at the terminal: one line that changes, lines that stay, and a question.

Tables and reports are for stdout; all of this goes to stderr, so that a report can be kept in a file. That nobody reads
it any more is no error: whatever happens to a drill, its annotation is to be taken away.
"""

import shutil
import sys
from contextlib import suppress
from typing import TextIO

CLEAR = "\r\x1b[2K"
WIDTH = 200


class Terminal:
    """Where progress is shown. Without a terminal, a line is written when it says something new."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._changing = False
        self._last = ""

    def show(self, state: str, clock: str) -> None:
        """The changing line; `clock` alone is nothing new."""
        if self._out.isatty():
            self._write(f"{CLEAR}{_cut(f'{clock}  {state}', self._columns())}")
            self._changing = True
        elif state != self._last:
            self._write(f"{clock}  {state}\n")
        self._last = state

    def tell(self, text: str) -> None:
        """A line that stays."""
        self.close()
        self._write(f"{text}\n")

    def close(self) -> None:
        """Ends the changing line."""
        if self._changing:
            self._write("\n")
        self._changing = False

    def _write(self, text: str) -> None:
        with suppress(OSError):  # a terminal that was closed, or a `tee` that died of the same Ctrl-C
            self._out.write(text)
            self._out.flush()

    def _columns(self) -> int:
        return shutil.get_terminal_size((WIDTH, 24)).columns - 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."


def confirm(question: str) -> bool:
    """Whether the person says yes; only that is a yes."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False

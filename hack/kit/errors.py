"""The one error that the kit's commands show to a person."""

import sys
from collections.abc import Callable


class UsageError(Exception):
    """A wrong input or a missing thing, in one line that names it and says what to do."""


def told(command: Callable[[], int]) -> int:
    """Run a command; an error of use becomes one line and an exit status, never a traceback."""
    try:
        return command()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130

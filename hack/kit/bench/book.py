"""The file of trials: finished ones are added one by one, so that an interrupt costs only the trial it falls into.

A file is replaced as a whole and at once, never written into, by one run at a time. Its summary repeats what the trials
say. All its trials are of one revision, unless somebody said that the difference does not matter.
"""

import contextlib
import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from kit.bench.trial import Trial
from kit.errors import UsageError

_FILE = TypeAdapter(dict[str, Any])
_TRIALS = TypeAdapter(tuple[Trial, ...])


def read(path: Path) -> tuple[Trial, ...]:
    """The trials of a file; none when there is no file."""
    try:
        content = _FILE.validate_json(path.read_bytes())
        return _TRIALS.validate_python(content["trials"])
    except FileNotFoundError:
        return ()
    except (ValidationError, KeyError) as error:
        raise UsageError(f"{path} is no file of trials ({error}): move it away, or name another with -o") from error


def write(path: Path, trials: Sequence[Trial], summary: Sequence[Any]) -> None:
    """Replaces the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(to_json({"summary": summary, "trials": trials}, indent=1) + b"\n")
    os.replace(new, path)  # noqa: PTH105 -- the name says that it is atomic


def merge(files: Iterable[Sequence[Trial]]) -> tuple[Trial, ...]:
    """All trials of several runs, in the order in which they began; one that is in several files counts once."""
    found = {(trial.fault, trial.target, trial.seed, trial.began): trial for trials in files for trial in trials}
    return tuple(sorted(found.values(), key=lambda trial: trial.began))


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keeps every other run off the file: each would write what it read at its start, and its own trials."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the lock's file stays: who took it away could take it from under the next one
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another run writes to {path}: wait for its end, or name another file with -o") from error
        yield


def agree(trials: Sequence[Trial], *, mix: bool, now: str = "") -> None:
    """Refuses trials of several revisions, or of another than is here ``now``, in one file, unless they are to mix."""
    if mix or len({trial.revision for trial in trials} | ({now} if now else set())) <= 1:
        return
    here = f", and this is {_short(now)}" if now else ""
    raise UsageError(
        f"one file would mix revisions: there are trials of {counted(trials)}{here}. "
        "Name another file with -o, or say with --mix-revisions that the difference does not matter"
    )


def counted(trials: Iterable[Trial]) -> str:
    """Each revision, and how many trials are of it."""
    counts = Counter(_short(trial.revision) for trial in trials)
    return ", ".join(f"{revision} ({number})" for revision, number in counts.items())


def _short(revision: str) -> str:
    """The commit as people name it, and whether it was changed since."""
    commit, *changed = revision.split("+", 1)
    return "+".join((commit[:10] or "unknown", *changed))

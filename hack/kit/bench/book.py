"""The file of trials: finished ones are added one by one, so that an interrupt costs only the trial it falls into.

A file is replaced as a whole and at once, never written into. Its summary repeats what the trials say.
"""

import os
from collections.abc import Iterable, Sequence
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

"""The held-out digits: images that the sample model never saw, with their labels and what each variant reads in them.

The trainer writes them beside the model (``held_out.npz``), so the split and the expected answers here are those of the
very model that is served. An answer counts as right when one of the variants is known to give it, whatever the label
says: whether the model is right is the trainer's question, whether the serving changed its answer is ours.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kit.errors import UsageError

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

REPOSITORY = Path(__file__).parents[2] / "triton_models" / "repository"
MODEL, INPUT, OUTPUT = "digits", "image", "probabilities"
HELD_OUT = REPOSITORY / MODEL / "held_out.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Images [n, 64] with values 0 to 16, their labels [n], and each variant's answers [n]."""

    images: Images
    labels: Labels
    answers: dict[str, Labels]


@dataclass(frozen=True, slots=True)
class Question:
    """One image [1, 64] to send, the answers that the variants are known to give, and what it shows."""

    image: Images
    right: frozenset[int]
    label: int


def held_out(path: Path = HELD_OUT) -> Digits:
    """Everything in the trainer's file."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            variants = [str(name) for name in file["variants"]]
            return Digits(
                images=file["images"].astype(np.float32),
                labels=file["labels"],
                answers=dict(zip(variants, file["answers"], strict=True)),
            )
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: build the sample model first (make models)") from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is not the trainer's file ({error}): build the model again (make models)") from error


def images(path: Path = HELD_OUT) -> Images:
    """The held-out images alone."""
    return held_out(path).images


def questions(path: Path = HELD_OUT) -> list[Question]:
    """Every held-out image as a question."""
    return questions_about(held_out(path))


def questions_about(given: Digits) -> list[Question]:
    """Every image as a question, in the same order."""
    columns = zip(given.images, given.labels, *given.answers.values(), strict=True)
    return [
        Question(image[np.newaxis], frozenset(int(answer) for answer in answers), int(label))
        for image, label, *answers in columns
    ]

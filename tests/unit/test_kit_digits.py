from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kit import digits
from kit.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "held_out.npz"
    np.savez_compressed(
        path,
        images=np.arange(128, dtype=np.uint8).reshape(2, 64),
        labels=np.array([3, 8]),
        variants=np.array(["fp32", "int8"]),
        answers=np.array([[3, 6], [3, 9]]),
    )
    return path


def test_what_a_variant_is_known_to_read_is_right_whatever_the_label_says(file: Path) -> None:
    assert [(set(question.right), question.label) for question in digits.questions(file)] == [({3}, 3), ({6, 9}, 8)]


def test_a_question_is_a_batch_of_one_in_the_models_own_type(file: Path) -> None:
    first = digits.questions(file)[0]
    assert first.image.shape == (1, 64)
    assert first.image.dtype == np.float32
    assert digits.images(file).shape == (2, 64)


@dataclass(frozen=True, slots=True)
class BadFile:
    content: bytes | None
    want_message: str


BAD_FILES = {
    "nothing was built": BadFile(None, "is missing: build the sample model first"),
    "an empty file": BadFile(b"", "is not the trainer's file"),
    "a file cut short": BadFile(b"PK\x03\x04", "is not the trainer's file"),
    "a file of another kind": BadFile(b"{}", "is not the trainer's file"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_cannot_be_read_says_what_to_do(case: BadFile, tmp_path: Path) -> None:
    path = tmp_path / "held_out.npz"
    if case.content is not None:
        path.write_bytes(case.content)
    with pytest.raises(UsageError, match=case.want_message):
        digits.questions(path)

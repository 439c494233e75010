"""The exam's questions and its marks, without a server."""

import asyncio
from typing import Self

import numpy as np
import pytest

import network
import train
from kit import digits, exam


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[digits.Question]:
    folder = tmp_path_factory.mktemp("repository")
    assert train.main(["--output", str(folder), "--epochs", "1"]) == 0
    return exam.questions(folder)


def test_a_thousand_different_images_are_asked_the_unseen_ones_first(questions: list[digits.Question]) -> None:
    asked = [question.image.tobytes() for question in questions]
    assert len(set(asked)) == len(asked) == 1000
    assert asked[:540] == [image.tobytes() for image in network.data().held_out_images]


def test_an_image_of_the_training_is_asked_with_its_label_and_the_variants_answers(
    questions: list[digits.Question],
) -> None:
    trained_on = questions[540:]
    assert [question.label for question in trained_on] == network.data().labels[:460].tolist()
    assert all(1 <= len(question.right) <= 2 for question in trained_on)
    assert sum(question.label in question.right for question in trained_on) > 0.8 * len(trained_on)


class FakeAsker:
    """Gives these answers one after the other, and remembers how many questions it had at once."""

    protocol = "http"

    def __init__(self, answers: list[int]) -> None:
        self.answers = iter(answers)
        self.at_once = self.most_at_once = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def ask(self, images: digits.Images) -> list[int]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return [next(self.answers)]

    async def statistics(self) -> tuple[int, int]:
        return 0, 0


def question(right: set[int], label: int) -> digits.Question:
    return digits.Question(np.zeros((1, 64), dtype=np.float32), frozenset(right), label)


async def test_an_answer_of_no_variant_is_wrong_even_when_the_label_has_it() -> None:
    asked = [question({3}, 3), question({6, 9}, 8), question({6, 9}, 8), question({5}, 5)]
    result = await exam.take(FakeAsker([3, 6, 8, 4]), asked)
    assert result == exam.Result(images=4, wrong=2, labelled=2)
    assert str(result) == "2 of 4 answers are the trained model's own, 2 agree with the label"


async def test_only_some_questions_are_asked_at_once_and_every_one_of_them() -> None:
    asker = FakeAsker([7] * 50)
    assert (await exam.take(asker, [question({7}, 7)] * 50)).images == 50
    assert asker.most_at_once == exam.AT_ONCE
    assert list(asker.answers) == []

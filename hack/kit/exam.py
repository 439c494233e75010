"""The exam: a thousand different images, each sent once, and two figures that are not to be confused.

How many answers are the trained model's own: that is what serving is judged by, and any other answer is wrong. And how
many agree with the label: that is how right the model is, here on its training's images as well. There are fewer
held-out images than a thousand; how right it is on those alone is in the trainer's accuracy.json.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import configuration
import network
import train
from kit import client, digits

IMAGES = 1000
AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """So many images were sent; so many answers no variant gives; so many agree with the label."""

    images: int
    wrong: int
    labelled: int

    def __str__(self) -> str:
        """One line for a log."""
        own = f"{self.images - self.wrong} of {self.images} answers are the trained model's own"
        return f"{own}, {self.labelled} agree with the label"


def questions(repository: Path = digits.REPOSITORY) -> list[digits.Question]:
    """All images that the model never saw, and as many of those that it was trained on as a thousand still lacks."""
    folder = repository / digits.MODEL
    held_out = digits.held_out(folder / digits.HELD_OUT.name)
    lacking = IMAGES - len(held_out.images)
    data = network.data()
    images, labels = data.images[:lacking], data.labels[:lacking]
    files = {variant: folder / train.VERSION / configuration.filename(variant) for variant in held_out.answers}
    answers = {variant: network.answers(file, images) for variant, file in files.items()}
    trained_on = digits.Digits(images=images, labels=labels, answers=answers)
    return [*digits.questions_about(held_out), *digits.questions_about(trained_on)]


async def take(asker: client.Asker, questions: Sequence[digits.Question], *, per_second: float = math.inf) -> Result:
    """Asks every question once, some at a time, and no more than so many per second; what fails raises."""
    wrong = labelled = 0
    for first in range(0, len(questions), AT_ONCE):
        batch = questions[first : first + AT_ONCE]
        answers, _ = await asyncio.gather(
            asyncio.gather(*(asker.ask(question.image) for question in batch)), asyncio.sleep(len(batch) / per_second)
        )
        for question, (answer,) in zip(batch, answers, strict=True):
            wrong += answer not in question.right
            labelled += answer == question.label
    return Result(images=len(questions), wrong=wrong, labelled=labelled)

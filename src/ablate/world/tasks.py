"""The questions of the world's tasks: those whose every possible answer is an option, and their images."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema.tasks import ShapesTask, WordsTask
from ablate.data.types import MultipleChoiceItem
from ablate.world.questions import ONE_OBJECT_QUESTIONS, QUESTIONS, Question
from ablate.world.rendering import STYLES, render
from ablate.world.scenes import sample_scenes
from ablate.world.words import N_ITEMS, word_items


def task_items(
    name: str, config: ShapesTask | WordsTask
) -> tuple[list[MultipleChoiceItem], list[Image.Image]]:
    """Write the questions of a task.

    Args:
        name: Name of the task, for messages.
        config: Which questions.

    Returns:
        The items, whose `image` is an index into the images, and the images; none for words.

    Raises:
        ConfigError: If there is no such style, topic or draw, a question about `it` is put to several
            objects, or there are not so many items.
    """
    match config:
        case ShapesTask():
            return _shapes(name, config)
        case WordsTask():
            return _words(name, config), []


def _shapes(name: str, config: ShapesTask) -> tuple[list[MultipleChoiceItem], list[Image.Image]]:
    """Draw the scenes of a task; no other task and no training draws the same ones."""
    if config.style not in STYLES:
        raise unknown("style", config.style, STYLES)
    if config.question in ONE_OBJECT_QUESTIONS and set(config.objects) != {1}:
        raise ConfigError(
            f"Task '{name}' asks for the {config.question} of a scene's only object, but objects "
            f"is {list(config.objects)}. Fix: objects: [1]."
        )
    if config.items is None:
        raise ConfigError(
            f"Task '{name}' has an unlimited number of scenes. Fix: items: 320, or another number."
        )
    indices = np.arange(config.items)
    n_objects = np.array(config.objects)[indices % len(config.objects)]
    scenes = sample_scenes(f"task-{config.question}-{config.draw}", indices, n_objects)
    questions = [QUESTIONS[config.question](scenes, index) for index in range(len(indices))]
    images = [Image.fromarray(pixels) for pixels in render(scenes, config.style)]
    prefix = f"{config.question}-{config.style}-{config.draw}"
    return _items(questions, prefix, with_images=True), images


def _words(name: str, config: WordsTask) -> list[MultipleChoiceItem]:
    """Write the questions of a topic that no training draw asks."""
    n = N_ITEMS if config.items is None else config.items
    if n > N_ITEMS:
        raise ConfigError(
            f"Task '{name}' needs {n} items, but the draw '{config.draw}' has {N_ITEMS}. "
            f"Fix: items: {N_ITEMS}."
        )
    questions = word_items(config.topic, config.draw, range(n))
    return _items(questions, f"{config.topic}-{config.draw}", with_images=False)


def _items(
    questions: Sequence[Question], prefix: str, with_images: bool
) -> list[MultipleChoiceItem]:
    return [
        MultipleChoiceItem(
            f"{prefix}-{index}",
            index if with_images else None,
            question.text,
            question.options,
            question.options.index(question.answer),
        )
        for index, question in enumerate(questions)
    ]

"""Tasks of the tiny world: a question whose every possible answer is an option."""

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import EvalConfig
from ablate.config.schema.tasks import ShapesTask, WordsTask
from ablate.data.shapes.questions import ONE_OBJECT_QUESTIONS, QUESTIONS, Question
from ablate.data.shapes.rendering import STYLES, render
from ablate.data.shapes.world import sample_scenes
from ablate.data.types import MultipleChoiceItem
from ablate.data.words import N_ITEMS, word_items
from ablate.evaluation.multiple_choice import answer_items, choice_result
from ablate.models.vlm import VisionLanguageModel
from ablate.tasks.base import Task, TaskOutcome, fingerprint_of

# A chance level in a config file has at least this many right digits: 0.3333 for a third.
_CHANCE_TOLERANCE = 1e-4


class ChoiceTask(Task):
    """Questions with a fixed number of options, about an image each or about none."""

    def __init__(
        self,
        name: str,
        config: ShapesTask | WordsTask,
        items: Sequence[MultipleChoiceItem],
        images: Sequence[Image.Image],
    ) -> None:
        """Check the chance level against the items.

        Args:
            name: Name in the tables.
            config: How they are asked.
            items: The questions; `image` is an index into `images`.
            images: The images; empty for questions about text.

        Raises:
            ConfigError: If the chance level is not one over the number of options.
        """
        self.name, self.kind, self.metric = name, config.kind, config.metric
        self.chance, self.n = config.chance, len(items)
        self._items, self._images, self._scoring = items, images, config.scoring
        for n_options in {len(item.options) for item in items}:
            if not math.isclose(config.chance, 1 / n_options, abs_tol=_CHANCE_TOLERANCE):
                raise ConfigError(
                    f"Task '{name}' says chance: {config.chance}, but its questions have "
                    f"{n_options} options. Fix: chance: {1 / n_options:.5g} in its config file."
                )
        pixels = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
        questions = [(item.id, item.question, item.options, item.answer) for item in items]
        self.fingerprint = fingerprint_of(questions, pixels, config.scoring)

    def ask(
        self, vlm: VisionLanguageModel, evaluation: EvalConfig, on_item: Callable[[int], None]
    ) -> TaskOutcome:
        """Ask every question, as `answer_items` does."""
        pixels = vlm.resize(self._images) if self._images else None
        answers = answer_items(
            vlm,
            pixels,
            self._items,
            self._scoring,
            evaluation.batch_size,
            evaluation.max_new_tokens,
            on_item,
        )
        return self.outcome(
            [
                choice_result(item, answer, item.id)
                for item, answer in zip(self._items, answers, strict=True)
            ]
        )


def shapes_task(name: str, config: ShapesTask) -> ChoiceTask:
    """Draw the scenes of a task; no other task and no training draws the same ones.

    Raises:
        ConfigError: If there is no such style, a question about `it` is asked of several objects,
            or the chance level is wrong.
    """
    if config.style not in STYLES:
        raise unknown("style", config.style, STYLES)
    if config.question in ONE_OBJECT_QUESTIONS and set(config.objects) != {1}:
        raise ConfigError(
            f"Task '{name}' asks for the {config.question} of a scene's only object, but objects "
            f"is {list(config.objects)}. Fix: objects: [1]."
        )
    if config.items is None:
        raise ConfigError(
            f"Task '{name}' has no end of scenes. Fix: items: 320, or another number."
        )
    indices = np.arange(config.items)
    n_objects = np.array(config.objects)[indices % len(config.objects)]
    scenes = sample_scenes(f"task-{config.question}-{config.draw}", indices, n_objects)
    questions = [QUESTIONS[config.question](scenes, index) for index in range(len(indices))]
    images = [Image.fromarray(pixels) for pixels in render(scenes, config.style)]
    prefix = f"{config.question}-{config.style}-{config.draw}"
    return ChoiceTask(name, config, _items(questions, prefix, with_images=True), images)


def words_task(name: str, config: WordsTask) -> ChoiceTask:
    """Write the questions of a topic that no training draw asks.

    Raises:
        ConfigError: If there is no such topic, it has fewer items, or the chance level is wrong.
    """
    n = N_ITEMS if config.items is None else config.items
    if n > N_ITEMS:
        raise ConfigError(
            f"Task '{name}' asks {n} items, but the draw '{config.draw}' has {N_ITEMS}. "
            f"Fix: items: {N_ITEMS}."
        )
    questions = word_items(config.topic, config.draw, range(n))
    prefix = f"{config.topic}-{config.draw}"
    return ChoiceTask(name, config, _items(questions, prefix, with_images=False), [])


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

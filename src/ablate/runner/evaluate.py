"""Every data set of a run, asked as questions and, where there is a CLIP, classified zero-shot."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ablate.config.schema import EvalConfig, FewShotData
from ablate.data.few_shot import decode
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import ImageClassification, LabelledImages, MultipleChoiceItem
from ablate.evaluation.metrics import accuracy
from ablate.evaluation.multiple_choice import answer_items
from ablate.evaluation.zero_shot import class_embeddings, predict_zero_shot
from ablate.models.vlm import VisionLanguageModel
from ablate.results.record import TaskResult


@dataclass(frozen=True)
class EvaluationSet:
    """One data set, ready to be asked.

    Attributes:
        data: The data set.
        config: How it is asked.
        kind: Whether it was trained for, or shows forgetting.
        images: Its test images.
        items: One question per image.
    """

    data: ImageClassification
    config: FewShotData
    kind: Literal["target", "control"]
    images: LabelledImages
    items: list[MultipleChoiceItem]


@dataclass(frozen=True)
class Outcome:
    """What a model said to one data set.

    Attributes:
        choices: Chosen option of every item; None where the answer could not be read.
        classes: Zero-shot class of every image; None where there is no CLIP.
    """

    choices: list[int | None]
    classes: list[int] | None


def evaluation_set(
    data: ImageClassification,
    config: FewShotData,
    kind: Literal["target", "control"],
    evaluation: EvalConfig,
    vlm: VisionLanguageModel,
) -> EvaluationSet:
    """Decode a data set's test images and write its questions."""
    n = len(data.test.ids)
    n_kept = n if config.test_items is None else min(n, config.test_items)
    # Drawn, not strided: labels may come in blocks or in turns, and a stride would miss classes.
    kept = sorted(random.Random(evaluation.seed).sample(range(n), n_kept))
    images = decode(data.test, kept, vlm.resize)
    items = multiple_choice_items(
        images, data.class_names, data.question, evaluation.n_options, evaluation.seed
    )
    return EvaluationSet(data, config, kind, images, items)


def evaluate(
    vlm: VisionLanguageModel,
    asked: EvaluationSet,
    evaluation: EvalConfig,
    on_batch: Callable[[int], None],
) -> Outcome:
    """Ask a model everything of one data set."""
    answers = answer_items(
        vlm,
        asked.images.pixels,
        asked.items,
        asked.config.scoring,
        evaluation.batch_size,
        evaluation.max_new_tokens,
        on_batch,
    )
    classes = None
    if vlm.clip is not None:
        embeddings = class_embeddings(vlm, asked.data.class_names, asked.data.templates)
        classes = predict_zero_shot(vlm, asked.images.pixels, embeddings, evaluation.batch_size)
    return Outcome([answer.prediction for answer in answers], classes)


def task_results(asked: EvaluationSet, before: Outcome, after: Outcome) -> list[TaskResult]:
    """Sum up a data set in its tasks: questions through the VLM, and CLIP zero-shot if there is one."""
    right = [item.answer for item in asked.items]
    chance = 1 / len(asked.items[0].options)
    tasks = [_task(asked, "accuracy", after.choices, before.choices, right, chance)]
    if after.classes is not None and before.classes is not None:
        labels, chance = asked.images.labels.tolist(), 1 / len(asked.data.class_names)
        zero_shot = _task(
            asked, "zero_shot_accuracy", after.classes, before.classes, labels, chance
        )
        tasks.append(zero_shot)
    return tasks


def item_table(asked: EvaluationSet, before: Outcome, after: Outcome) -> pd.DataFrame:
    """Return one row per item and task, with answers and predictions in words."""
    rows = [
        {
            "task": asked.data.name,
            "metric": "accuracy",
            "id": item.id,
            "answer": item.options[item.answer],
            "prediction": _text(item, after.choices[row]),
            "prediction_before": _text(item, before.choices[row]),
            "correct": after.choices[row] == item.answer,
        }
        for row, item in enumerate(asked.items)
    ]
    if after.classes is None or before.classes is None:
        return pd.DataFrame(rows)
    names = asked.data.class_names
    rows += [
        {
            "task": asked.data.name,
            "metric": "zero_shot_accuracy",
            "id": asked.images.ids[row],
            "answer": names[label],
            "prediction": names[after.classes[row]],
            "prediction_before": names[before.classes[row]],
            "correct": after.classes[row] == label,
        }
        for row, label in enumerate(asked.images.labels.tolist())
    ]
    return pd.DataFrame(rows)


def _task(
    asked: EvaluationSet,
    metric: str,
    after: list[int | None] | list[int],
    before: list[int | None] | list[int],
    right: list[int],
    chance: float,
) -> TaskResult:
    measured = accuracy(after, right)
    return TaskResult(
        task=asked.data.name,
        kind=asked.kind,
        metric=metric,
        value=measured.value,
        value_before=accuracy(before, right).value,
        chance=chance,
        n=measured.n,
        stderr=measured.standard_error,
    )


def _text(item: MultipleChoiceItem, choice: int | None) -> str | None:
    return None if choice is None else item.options[choice]

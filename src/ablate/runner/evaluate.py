"""Every data set of a run, asked as questions and, where there is a CLIP, classified zero-shot."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ablate.config.schema import EvalConfig, FewShotData
from ablate.data.few_shot import decode
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import ImageClassification, LabelledImages, MultipleChoiceItem
from ablate.evaluation.metrics import Accuracy, accuracy
from ablate.evaluation.multiple_choice import answer_items, choice_result
from ablate.evaluation.zero_shot import class_embeddings, predict_zero_shot
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult, items_table
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
        answers: Every item through the VLM.
        classes: Every image classified zero-shot; None where there is no CLIP.
    """

    answers: tuple[ItemResult, ...]
    classes: tuple[ItemResult, ...] | None


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
    results = [
        choice_result(item, answer, item.id)
        for item, answer in zip(asked.items, answers, strict=True)
    ]
    return Outcome(tuple(results), _zero_shot(vlm, asked, evaluation))


def task_results(asked: EvaluationSet, before: Outcome, after: Outcome) -> list[TaskResult]:
    """Sum up a data set in its tasks: questions through the VLM, and CLIP zero-shot if there is one."""
    chance = 1 / len(asked.items[0].options)
    tasks = [_task(asked, "accuracy", after.answers, before.answers, chance)]
    if after.classes is not None and before.classes is not None:
        chance = 1 / len(asked.data.class_names)
        tasks.append(_task(asked, "zero_shot_accuracy", after.classes, before.classes, chance))
    return tasks


def item_tables(asked: EvaluationSet, before: Outcome, after: Outcome) -> list[pd.DataFrame]:
    """Return the items of each of a data set's tasks, as they were before training and are after it."""
    name, kind = asked.data.name, asked.kind
    tables = [items_table(name, kind, "accuracy", after.answers, before.answers)]
    if after.classes is not None and before.classes is not None:
        zero_shot = items_table(name, kind, "zero_shot_accuracy", after.classes, before.classes)
        tables.append(zero_shot)
    return tables


def _zero_shot(
    vlm: VisionLanguageModel, asked: EvaluationSet, evaluation: EvalConfig
) -> tuple[ItemResult, ...] | None:
    if vlm.clip is None:
        return None
    names = asked.data.class_names
    embeddings = class_embeddings(vlm, names, asked.data.templates)
    classes = predict_zero_shot(vlm, asked.images.pixels, embeddings, evaluation.batch_size)
    labels = asked.images.labels.tolist()
    return tuple(
        ItemResult(id_, id_, names[label], names[given], float(given == label))
        for id_, label, given in zip(asked.images.ids, labels, classes, strict=True)
    )


def _task(
    asked: EvaluationSet,
    metric: str,
    after: Sequence[ItemResult],
    before: Sequence[ItemResult],
    chance: float,
) -> TaskResult:
    measured = share_correct(after)
    return TaskResult(
        task=asked.data.name,
        kind=asked.kind,
        metric=metric,
        value=measured.value,
        value_before=share_correct(before).value,
        chance=chance,
        n=measured.n,
        stderr=measured.standard_error,
    )


def share_correct(items: Sequence[ItemResult]) -> Accuracy:
    """Return the share of items whose prediction is the answer."""
    return accuracy([item.prediction for item in items], [item.answer for item in items])

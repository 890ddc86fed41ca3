"""A data set of the run, as a task: a question about every image and, where there is a CLIP, its class zero-shot."""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from statistics import mean
from typing import Literal

from torch import Tensor

from ablate.config.reading import given_values
from ablate.config.schema import EvalConfig, FewShotData
from ablate.config.schema.data import PLACES
from ablate.data.blank import BLANK
from ablate.data.contents import Contents, part_contents
from ablate.data.few_shot import class_sessions
from ablate.data.multiple_choice import questions_about
from ablate.data.types import ImageClassification, ImageQuestions
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Metric, Task, fingerprint_of
from ablate.evaluation.verbs.multiple_choice import (
    Answer,
    answer_items,
    best_option,
    choice_results,
)
from ablate.evaluation.verbs.pixels import Pixels
from ablate.evaluation.verbs.zero_shot import class_embeddings, nearest_classes
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult

VQA = "accuracy"
ZERO_SHOT = "zero_shot_accuracy"
# Of written answers: what the letters' log-likelihoods alone choose, and the share that no letter could be read from.
ARGMAX = "argmax_accuracy"
UNREADABLE = "unreadable"
# Values of a data set's configuration that do not affect how its test images are put to a model.
_NOT_PUT = (
    "name",
    "shots",
    "shots_per",
    "sessions",
    "session_classes",
    "sentence",
    *PLACES,
)


class ClassificationTask(Task):
    """The test images of a classification data set; both metrics come from one pass of the image encoder.

    Attributes:
        labels: Class index of every item.
        class_names: Readable name of every class.
        sessions: The classes of each session that it is trained in; empty where sessions are not made of classes.
    """

    kind: Literal["target", "control"]

    def __init__(
        self,
        data: ImageClassification,
        config: FewShotData,
        kind: Literal["target", "control"],
        evaluation: EvalConfig,
        has_clip: bool,
    ) -> None:
        """Write the questions; no image is decoded.

        Args:
            data: The data set.
            config: How it is put to the model.
            kind: Whether it was trained for, or shows forgetting.
            evaluation: Options of a question, and the seed of their draw.
            has_clip: Whether the model has a CLIP to classify zero-shot with.
        """
        kept = chosen_rows(data, config, evaluation)
        labels = data.test.labels
        self.name, self.kind, self.n = data.name, kind, len(kept)
        self.labels = tuple(int(labels[row]) for row in kept)
        self.class_names = data.class_names
        self.sessions: tuple[tuple[int, ...], ...] = ()
        if kind == "target" and data.groups is None:
            self.sessions = class_sessions(
                data.class_names, config.sessions, config.session_classes
            )
        self._templates, self._scoring = data.templates, config.scoring
        self._reading = config.reading
        self._items = questions_about(data, kept, True, evaluation.n_options, evaluation.seed)
        self._data, self._kept = data, kept
        self._pixels = Pixels(lambda rows: data.test.images([kept[row] for row in rows]))
        has_clip = has_clip and not isinstance(data, ImageQuestions)
        guessed = mean(Fraction(1, len(item.options)) for item in self._items)
        vqa = Metric(VQA, float(guessed))
        zero_shot = Metric(ZERO_SHOT, 1 / len(data.class_names))
        self._has_clip, self._writes = has_clip, config.scoring == "generate"
        of_text = (Metric(ARGMAX, vqa.chance), Metric(UNREADABLE, None)) if self._writes else ()
        self.metrics = (vqa, *((zero_shot,) if has_clip else ()), *of_text)
        settings = {k: v for k, v in given_values(config).items() if k not in _NOT_PUT}
        self.fingerprint = fingerprint_of(
            data.fingerprint, settings, evaluation.n_options, evaluation.seed
        )

    def contents(self) -> Contents:
        """Return what the test images are known by."""
        return part_contents(self._data, self._kept, is_test=True)

    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Answer every question, and classify its image on the way."""
        classes: dict[int, int] = {}
        on_pooled = None
        if self._has_clip:
            embeddings = class_embeddings(vlm, self.class_names, self._templates)

            def on_pooled(rows: Sequence[int], pooled: Tensor) -> None:
                classes.update(zip(rows, nearest_classes(vlm, pooled, embeddings), strict=True))

        def keep(answered: Mapping[int, Answer]) -> None:
            found = {VQA: choice_results(self._items, answered)}
            if on_pooled is not None:
                found[ZERO_SHOT] = {row: self._classified(row, classes[row]) for row in answered}
            if self._writes:
                likeliest = {
                    row: replace(answer, prediction=best_option(answer.scores))
                    for row, answer in answered.items()
                }
                found[ARGMAX] = choice_results(self._items, likeliest)
                found[UNREADABLE] = {
                    row: self._unreadable(row, answer) for row, answer in answered.items()
                }
            progress.keep(found)

        answer_items(
            vlm,
            self._pixels.reader(vlm),
            self._items,
            self._scoring,
            config.batch_size,
            config.max_new_tokens,
            keep,
            progress.n,
            on_pooled,
            self._reading,
            with_scores=self._writes,
        )

    def sample(self, rows: Sequence[int]) -> "ClassificationTask":
        """Return the questions about some of the images."""
        part = copy.copy(self)
        part.n, part.labels = len(rows), tuple(self.labels[row] for row in rows)
        part._items = [replace(self._items[row], image=place) for place, row in enumerate(rows)]
        part._pixels = Pixels(lambda shown: [BLANK] * len(shown))
        return part

    def _unreadable(self, row: int, answer: Answer) -> ItemResult:
        item, is_read = self._items[row], answer.prediction is not None
        said = "readable" if is_read else UNREADABLE
        return ItemResult(
            item.id, item.cluster or item.id, "readable", said, float(not is_read), answer.text
        )

    def _classified(self, row: int, predicted: int) -> ItemResult:
        id_, label, names = self._items[row].id, self.labels[row], self.class_names
        return ItemResult(id_, id_, names[label], names[predicted], float(predicted == label))


def chosen_rows(
    data: ImageClassification, config: FewShotData, evaluation: EvalConfig
) -> list[int]:
    """Choose the test images that are evaluated, as rows of the test part in ascending order."""
    n = len(data.test.ids)
    n_kept = n if config.test_items is None else min(n, config.test_items)
    # Drawn, not strided: labels may come in blocks or alternate, and a stride would miss classes.
    return sorted(random.Random(evaluation.seed).sample(range(n), n_kept))

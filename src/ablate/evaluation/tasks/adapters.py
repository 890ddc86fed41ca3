"""Scoring answers in the model's own words: open questions, yes or no, boxes."""

import json
import math
from collections.abc import Iterator, Sequence

from ablate.config.schema.tasks import BoxTask, OpenTask, YesNoTask
from ablate.config.text import printable
from ablate.data.tables.questions import TRUTH, truth
from ablate.evaluation.metrics.accuracy import Accuracy
from ablate.evaluation.metrics.boxes import Box, box_in, intersection_over_union
from ablate.evaluation.metrics.open_answers import exact_match, f1, vqa_accuracy
from ablate.evaluation.metrics.reading import read_yes_no
from ablate.evaluation.task import Task
from ablate.evaluation.tasks.generated import GeneratedTask, Item
from ablate.results.items import ItemResult

# Boxes that are held against their images before a model is loaded, and by how many pixels they may lie beyond.
_BOXES_CHECKED, _SLACK = 32, 2
# `vqa_accuracy` needs three matches among the others.
_FEWEST_PEOPLE = 4


def generated_task(
    name: str, config: OpenTask | YesNoTask | BoxTask, first: int | None = None
) -> Task:
    """Read the table of a task that is answered in the model's own words.

    Args:
        name: Name in the tables.
        config: The task.
        first: Only so many rows of the table; None for all.

    Raises:
        ConfigError: If it is missing or broken, or an item has no valid answer.
    """
    match config:
        case OpenTask():
            return OpenQuestions(name, config, first)
        case YesNoTask():
            return YesNoQuestions(name, config, first)
        case BoxTask():
            return Boxes(name, config, first)


class OpenQuestions(GeneratedTask[OpenTask, tuple[str, ...]]):
    """Open questions; the answers of one item are those of one or of several people."""

    def _items(self, row: int, id_: str) -> Iterator[Item[tuple[str, ...]]]:
        columns = self._config.columns
        answers = _texts(self._cell(columns.answer, row))
        if not answers:
            raise self._error(id_, "has no answer", "data.split=<a part that has answers>")
        if self._config.metric == "vqa_accuracy" and len(answers) < _FEWEST_PEOPLE:
            raise self._error(
                id_,
                f"has {len(answers)} answers; vqa_accuracy needs at least {_FEWEST_PEOPLE}",
                "metric=exact_match",
            )
        if self._config.metric == "exact_match" and len(answers) > 1:
            raise self._error(id_, f"has {len(answers)} answers, not one", "metric=vqa_accuracy")
        yield Item(id_, row, self._question(columns.question, row, id_), answers)

    def scored(self, item: Item[tuple[str, ...]], text: str, size: tuple[int, int]) -> ItemResult:
        """Score an answer by the task's metric; the image's size does not matter."""
        del size
        score = (
            float(exact_match(text, item.answer[0]))
            if self._config.metric == "exact_match"
            else vqa_accuracy(text, item.answer)
        )
        most_common = max(item.answer, key=item.answer.count)
        return self.item_result(item, most_common, text, score, text)


class YesNoQuestions(GeneratedTask[YesNoTask, bool]):
    """Questions or statements that are true or not."""

    def _items(self, row: int, id_: str) -> Iterator[Item[bool]]:
        columns = self._config.columns
        cell = self._rows.named(columns.answer, row)
        is_true = truth(cell)
        if is_true is None:
            said = f"has the answer '{printable(str(cell))}'; allowed: {', '.join(TRUTH)}"
            raise self._error(id_, said, "columns.answer=...")
        yield Item(id_, row, self._question(columns.question, row, id_), is_true)

    def scored(self, item: Item[bool], text: str, size: tuple[int, int]) -> ItemResult:
        """Read a decision from an answer; the image's size does not matter."""
        del size
        config = self._config
        decided = read_yes_no(text, config.positive, config.negative, config.reading)
        prediction = None if decided is None else self._word(decided)
        correct = float(decided is item.answer)
        return self.item_result(item, self._word(item.answer), prediction, correct, text)

    def score(self, metric: str, items: Sequence[ItemResult]) -> Accuracy:
        """Return accuracy, or F1 of the positive answer."""
        if metric == "accuracy":
            return super().score(metric, items)
        word = self._config.positive
        decided = [None if i.prediction is None else i.prediction == word for i in items]
        expected = [item.answer == word for item in items]
        return f1(decided, expected, [item.cluster for item in items])

    def _word(self, is_true: bool) -> str:
        return self._config.positive if is_true else self._config.negative


class Boxes(GeneratedTask[BoxTask, Box]):
    """Things to be found; the answer of an item is its box in pixels."""

    def __init__(self, name: str, config: BoxTask, first: int | None = None) -> None:
        """Read the table, and see whether the first boxes lie within their images.

        Args:
            name: Name in the tables.
            config: The task.
            first: Only so many rows of the table; None for all.

        Raises:
            ConfigError: If it is missing or broken, or such a box does not: corners were read as a size, say.
        """
        super().__init__(name, config, first)
        for item in self._chosen[:_BOXES_CHECKED]:
            width, height = self._rows.image(item.row).size
            left, top, right, bottom = item.answer
            if min(left, top, width - right, height - bottom) < -_SLACK:
                said = f"has, as {config.box}, a box whose corners are {_box_text(item.answer)}"
                what = f"{said}, beyond its image of {width} x {height} pixels"
                raise self._error(item.id, what, "box=..., or columns.box=...")

    def _items(self, row: int, id_: str) -> Iterator[Item[Box]]:
        columns = self._config.columns
        expressions = _texts(self._cell(columns.expression, row))
        if not expressions or not all(expression.strip() for expression in expressions):
            raise self._error(id_, "has an empty expression", "columns.expression=...")
        box = self._box(self._cell(columns.box, row), id_)
        for number, expression in enumerate(expressions):
            name = id_ if len(expressions) == 1 else f"{id_}-{number}"
            yield Item(name, row, expression, box)

    def _box(self, cell: object, id_: str) -> Box:
        try:
            numbers = cell if isinstance(cell, list) else json.loads(str(cell))
            left, top, right, bottom = (float(number) for number in numbers)
        except (TypeError, ValueError) as error:
            raise self._error(
                id_, f"has the box '{cell}', not four numbers", "columns.box=..."
            ) from error
        if self._config.box == "left-top-width-height":
            right, bottom = left + right, top + bottom
        if not (left < right < math.inf and top < bottom < math.inf):
            raise self._error(
                id_,
                f"has the box {cell}, which is empty or endless as {self._config.box}",
                "box=...",
            )
        return left, top, right, bottom

    def scored(self, item: Item[Box], text: str, size: tuple[int, int]) -> ItemResult:
        """Compare the box in an answer with the correct one, in units of the answer."""
        wanted = self._in_answer(item.answer, *size)
        found = box_in(text)
        overlap = 0.0 if found is None else intersection_over_union(found, wanted)
        prediction = None if found is None else _box_text(found)
        is_found = float(overlap >= self._config.iou)
        return self.item_result(item, _box_text(wanted), prediction, is_found, text)

    def _in_answer(self, box: Box, width: int, height: int) -> Box:
        """Turn a box in pixels into the units of the answer."""
        scale, frame, (across, down) = self._config.answer_scale, self._config.answer_frame, (0, 0)
        if frame != "image":
            side = max(width, height) if frame == "padded" else min(width, height)
            # Below 0 for what is cut off; a box that reaches beyond the edge does so in the answer's units, too.
            across, down = (side - width) // 2, (side - height) // 2
            width = height = side
        left, top, right, bottom = box
        return (
            (left + across) / width * scale,
            (top + down) / height * scale,
            (right + across) / width * scale,
            (bottom + down) / height * scale,
        )


def _texts(cell: object) -> tuple[str, ...]:
    """Read one or several texts: a text, a list of them, or VQAv2's list of {answer: text, ...}."""
    if cell is None:
        return ()
    if isinstance(cell, dict):
        return _texts(cell.get("answer"))
    if isinstance(cell, list | tuple):
        return tuple(text for part in cell for text in _texts(part))
    return (str(cell),)


def _box_text(box: Box) -> str:
    return ", ".join(f"{number:.4g}" for number in box)

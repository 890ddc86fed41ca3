"""Multiple-choice questions about images in a table, one by one or in groups that must be right as a whole."""

import copy
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ablate.config.errors import ConfigError
from ablate.config.reading import given_values
from ablate.config.schema import EvalConfig
from ablate.config.schema.tasks import ChoicesTask
from ablate.data.blank import BLANK
from ablate.data.clusters import clusters_of
from ablate.data.contents import Contents, contents
from ablate.data.tables.questions import needed_columns, read_question
from ablate.data.tables.rows import check_items, drawn, read_task_rows
from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Metric, Task, fingerprint_of
from ablate.evaluation.verbs.multiple_choice import answer_items, choice_results
from ablate.evaluation.verbs.pixels import Pixels
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult

# Values of a configuration that only say where the items are, how many there may be, or what chance is.
_PLACE = ("data", "columns", "items", "chance")
_UNREADABLE = "?"


class TableChoices(Task):
    """Rows of a table with a question and options each.

    With `metric: group_accuracy` an item is a group of questions, right if all of them are: the rows of a pair
    (MMVP), or one question with its options in every rotation (MMBench's circular evaluation).
    """

    def __init__(self, name: str, config: ChoicesTask, first: int | None = None) -> None:
        """Read the table.

        Args:
            name: Name in the tables.
            config: The task.
            first: Only so many rows of the table, and those that make their last group whole; None for all.

        Raises:
            ConfigError: If it is missing or broken, or a question has no valid options or answer.
        """
        self.name, self.kind, self._config = name, config.kind, config
        columns = needed_columns(config)
        if first is not None:
            first += -first % config.group_rows
        self._rows = read_task_rows(name, config.data, columns, config.columns.image, first)
        chosen = self._chosen = self._choose(config.items)
        if not chosen:
            raise ConfigError(f"The data of task '{name}' have no items. Fix: another data.split.")
        images = dict(self._rows.digests(chosen))
        of_group = [self._rows.group(row, config.group_rows) for row in chosen]
        clusters = clusters_of(of_group, [images[row] for row in chosen], config.group_rows)
        self._groups: dict[str, str] = {}
        self._items = [
            item
            for place, (row, cluster) in enumerate(zip(chosen, clusters, strict=True))
            for item in self._asked(place, row, cluster)
        ]
        self._pixels = Pixels(lambda places: [self._rows.image(chosen[p]) for p in places])
        self.n = len(self._items)
        self.metrics = (Metric(config.metric, self._chance(config.chance)),)
        put = [
            (i.id, i.question, i.options, i.answer, images[chosen[i.image or 0]].hex())
            for i in self._items
        ]
        settings = {k: v for k, v in given_values(config).items() if k not in _PLACE}
        self.fingerprint = fingerprint_of(put, settings)

    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Answer every question, as `answer_items` does."""
        answer_items(
            vlm,
            self._pixels.reader(vlm),
            self._items,
            self._config.scoring,
            config.batch_size,
            config.max_new_tokens,
            lambda found: progress.keep({self.metrics[0].name: choice_results(self._items, found)}),
            progress.n,
            reading=self._config.reading,
        )

    def contents(self) -> Contents:
        """Return what the questions are known by."""
        rows, config = self._chosen, self._config
        return contents(
            lambda places: [self._rows.image(rows[place]) for place in places],
            [read_question(self._rows, config, row, self._row_name(row)).asked for row in rows],
        )

    def sample(self, rows: Sequence[int]) -> "TableChoices":
        """Return some of the questions."""
        part = copy.copy(self)
        part.n, part._items = len(rows), [self._items[row] for row in rows]
        part._pixels = Pixels(lambda shown: [BLANK] * len(shown))
        return part

    def merged(self, items: Sequence[ItemResult]) -> Sequence[ItemResult]:
        """Return the questions, or their groups."""
        if self._config.metric == "accuracy":
            return items
        groups: dict[str, list[ItemResult]] = {}
        for item in items:
            groups.setdefault(self._groups[item.id], []).append(item)
        return [_together(name, members) for name, members in groups.items()]

    def _choose(self, n: int | None) -> list[int]:
        """Check every question of the table, and return the rows of those that are evaluated, whole groups of them."""
        n_rows, size = len(self._rows), self._config.group_rows
        rows_of = Counter(self._rows.group(row, size) for row in range(n_rows))
        if min(rows_of.values(), default=size) < size:
            raise ConfigError(
                f"The table of task '{self.name}' has {n_rows} rows, which are not groups of {size}. Fix:"
                f" tasks.tasks.{self.name}.group_rows=1, or the whole table."
            )
        ids = [self._row_name(row) for row in range(n_rows)]

        def checked() -> Iterator[tuple[str, str]]:
            for row, id_ in enumerate(ids):
                yield id_, read_question(self._rows, self._config, row, id_).asked

        check_items(self._rows.owner, checked())
        kept = drawn(ids[::size], None if n is None else max(1, n // size))
        return [row for group in kept for row in range(group * size, (group + 1) * size)]

    def _asked(self, place: int, row: int, cluster: str) -> Iterator[MultipleChoiceItem]:
        """Yield the question of a row, in every rotation of its options where that is asked for."""
        config, id_ = self._config, self._row_name(row)
        read = read_question(self._rows, config, row, id_)
        size, n = config.group_rows, len(read.options)
        first = self._rows.group(row, size) * size
        group = f"rows {first} to {first + size - 1}"
        asked = config.prompt.replace("{question}", read.asked)
        # Where options are not shown, their order does not matter.
        n_rotations = n if config.circular and config.scoring != "answers" else 1
        for shift in range(n_rotations):
            name = id_ if n_rotations == 1 else f"{id_}+{shift}"
            self._groups[name] = id_ if size == 1 else group
            options = (*read.options[shift:], *read.options[:shift])
            answer = (read.answer - shift) % n
            yield MultipleChoiceItem(name, place, asked, options, answer, cluster)

    def _row_name(self, row: int) -> str:
        return self._rows.id(self._config.columns.id, row)

    def _chance(self, given: float | None) -> float:
        """Return what guessing every question on its own scores."""
        if given is not None:
            return given
        guessed: dict[str, float] = {}
        for item in self._items:
            name = item.id if self._config.metric == "accuracy" else self._groups[item.id]
            guessed[name] = guessed.get(name, 1.0) / len(item.options)
        return math.fsum(guessed.values()) / len(guessed)


def _together(name: str, members: Sequence[ItemResult]) -> ItemResult:
    """Return the result of a group: right if all of its questions are."""
    said = [_UNREADABLE if m.prediction is None else m.prediction for m in members]
    texts = [m.text for m in members if m.text is not None]
    return replace(
        members[0],
        id=name,
        answer=" | ".join(m.answer for m in members),
        prediction=" | ".join(said),
        score=float(all(m.score == 1 for m in members)),
        text=" | ".join(texts) if texts else None,
        option_logprobs=(),
    )

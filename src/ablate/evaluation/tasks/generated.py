"""Tasks that a model answers in its own words, about images that are decoded batch by batch."""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from torch import Tensor

from ablate.config.errors import ConfigError
from ablate.config.reading import given_values
from ablate.config.schema import EvalConfig
from ablate.config.schema.tasks import BoxTask, OpenTask, YesNoTask
from ablate.data.clusters import image_cluster
from ablate.data.contents import Contents, contents
from ablate.data.tables.rows import check_items, drawn, read_task_rows
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Metric, Task, fingerprint_of
from ablate.evaluation.verbs.generation import generate_answers
from ablate.evaluation.verbs.pixels import Ahead
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult

# Values of a configuration that only say where the items are, how many there may be, or what chance is.
_PLACE = ("data", "columns", "items", "chance")

Config = TypeVar("Config", OpenTask, YesNoTask, BoxTask)
Answer = TypeVar("Answer")
Size = tuple[int, int]


@dataclass(frozen=True)
class Item(Generic[Answer]):
    """One question about one image.

    Attributes:
        id: Stable name.
        row: Row of the table, which has the image.
        question: What fills the prompt.
        answer: The correct answer.
    """

    id: str
    row: int
    question: str
    answer: Answer


class GeneratedTask(Task, Generic[Config, Answer]):
    """Rows of a table, answered one by one; what an answer is worth is up to the subclass."""

    def __init__(self, name: str, config: Config, first: int | None = None) -> None:
        """Read the table.

        Args:
            name: Name in the tables.
            config: The task.
            first: Only so many rows of the table; None for all.

        Raises:
            ConfigError: If it is missing or broken or lacks an answer.
        """
        self.name, self.kind = name, config.kind
        self.metrics = (Metric(config.metric, config.chance),)
        self._config: Config = config
        columns = vars(config.columns)
        wanted = [column for key, column in columns.items() if key != "image" and column]
        self._rows = read_task_rows(name, config.data, wanted, config.columns.image, first)
        self._chosen = self._choose(config.items)
        if not self._chosen:
            raise ConfigError(f"The data of task '{name}' have no items. Fix: another data.split.")
        self.n = len(self._chosen)
        self._images = dict(self._rows.digests(item.row for item in self._chosen))
        put = [(i.id, i.question, i.answer, self._images[i.row].hex()) for i in self._chosen]
        settings = {k: v for k, v in given_values(config).items() if k not in _PLACE}
        self.fingerprint = fingerprint_of(put, settings)

    def _choose(self, n: int | None) -> list[Item[Answer]]:
        """Check every item of the table, and keep those that are evaluated."""
        ids: list[str] = []
        rows: list[int] = []

        def checked() -> Iterator[tuple[str, str]]:
            for row in range(len(self._rows)):
                for item in self._items(row, self._row_name(row)):
                    ids.append(item.id)
                    rows.append(row)
                    yield item.id, item.question

        check_items(self._rows.owner, checked())
        chosen: list[Item[Answer]] = []
        for place in drawn(ids, n):
            row = rows[place]
            chosen += [i for i in self._items(row, self._row_name(row)) if i.id == ids[place]]
        return chosen

    def _row_name(self, row: int) -> str:
        return self._rows.id(self._config.columns.id, row)

    def contents(self) -> Contents:
        """Return what the items are known by."""
        items = self._chosen
        return contents(
            lambda places: [self._rows.image(items[place].row) for place in places],
            [item.question for item in items],
        )

    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Decode the images of a batch, generate its answers, and so on in the table's order."""
        starts = range(progress.n, self.n, config.batch_size)
        batches = [self._chosen[start : start + config.batch_size] for start in starts]

        def decode(batch: list[Item[Answer]]) -> tuple[dict[str | int, int], list[Size], Tensor]:
            # Questions about one image stand side by side in a table: it is decoded once.
            rows = {self._rows.image_key(item.row): item.row for item in batch}
            images = [self._rows.image(row) for row in rows.values()]
            positions = {image: position for position, image in enumerate(rows)}
            return positions, [image.size for image in images], vlm.resize(images)

        with Ahead(decode, batches) as decoded:
            for start, batch in zip(starts, batches, strict=True):
                positions, sizes, pixels = decoded(batch)
                questions = [
                    (
                        self._config.prompt.replace("{question}", item.question),
                        positions[self._rows.image_key(item.row)],
                    )
                    for item in batch
                ]
                texts = generate_answers(
                    vlm, pixels.__getitem__, questions, self._config.max_new_tokens
                )
                results = [
                    self.scored(item, text, sizes[position])
                    for item, text, (_, position) in zip(batch, texts, questions, strict=True)
                ]
                progress.keep({self.metrics[0].name: dict(enumerate(results, start))})

    def sample(self, rows: Sequence[int]) -> Self:
        """Return some of the questions."""
        part = copy.copy(self)
        part.n, part._chosen = len(rows), [self._chosen[row] for row in rows]
        part._rows = self._rows.without_images()
        return part

    @abstractmethod
    def _items(self, row: int, id_: str) -> Iterator[Item[Answer]]:
        """Yield the items of a row of the table."""

    @abstractmethod
    def scored(self, item: Item[Answer], text: str, size: tuple[int, int]) -> ItemResult:
        """Score what the model wrote; `size` is width and height of the item's image in pixels."""

    def item_result(
        self, item: Item[Answer], answer: str, prediction: str | None, score: float, text: str
    ) -> ItemResult:
        """Record the result of an item; items about images of one content are a cluster."""
        cluster = image_cluster(self._images[item.row])
        return ItemResult(item.id, cluster, answer, prediction, score, text)

    def _cell(self, column: str, row: int) -> object:
        return self._rows.cell(column, row)

    def _question(self, column: str, row: int, id_: str) -> str:
        """Return the question of a row as it stands.

        Raises:
            ConfigError: If it is empty: an empty cell would be asked as `None`, and be scored.
        """
        cell = self._cell(column, row)
        if cell is None or not str(cell).strip():
            raise self._error(id_, "has no question", "columns.question=...")
        return str(cell)

    def _error(self, id_: str, what: str, fix: str) -> ConfigError:
        return ConfigError(
            f"Item '{id_}' of task '{self.name}' {what}. Fix: tasks.tasks.{self.name}.{fix}"
        )

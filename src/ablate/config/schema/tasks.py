"""Tasks that a trained model is evaluated on, one dataclass for each source."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import (
    CLOSED,
    CellValue,
    Fraction,
    PositiveInt,
    Reading,
    Scenes,
    Scoring,
    Switch,
)
from ablate.config.schema.tables import ChoiceFormat

Draw = Literal["development", "test"]
Chance = Annotated[float, Field(ge=0, lt=1)]
Prompt = Annotated[str, Field(pattern=r"\{question\}")]


@dataclass(frozen=True, config=CLOSED)
class _AnyTask:
    """What every task says.

    Attributes:
        kind: Whether the task needs an image; there is a stable score of each kind.
        items: Most items evaluated; None for all.
    """

    kind: Literal["vision", "text"]
    items: PositiveInt | None


@dataclass(frozen=True, config=CLOSED)
class _Task(_AnyTask):
    """A task that says what guessing scores.

    Attributes:
        chance: It, as a fraction.
    """

    chance: Chance


@dataclass(frozen=True, config=CLOSED)
class ShapesTask(_Task):
    """A question about scenes of the tiny world, answered by choosing one of all possible answers.

    Attributes:
        metric: Share of correct choices.
        question: The question.
        style: Drawing style.
        objects: Objects in a scene; the scenes cycle through these numbers.
        draw: Which scenes; recipes are chosen on `development` only.
        scoring: How the choice is read from the model.
    """

    source: Literal["shapes"]
    kind: Literal["vision"]
    metric: Literal["accuracy"]
    question: Literal["shape", "colour", "size", "texture", "count", "place"]
    style: str
    objects: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(min_length=1)]
    items: Scenes | None
    draw: Draw
    scoring: Scoring


@dataclass(frozen=True, config=CLOSED)
class WordsTask(_Task):
    """A question about words of the tiny world, without an image, answered by choosing.

    Attributes:
        metric: Share of correct choices.
        topic: What it is about.
        draw: Which items; neither is ever trained on, and recipes are chosen on `development` only.
        scoring: How the choice is read from the model.
    """

    source: Literal["words"]
    kind: Literal["text"]
    metric: Literal["accuracy"]
    topic: str
    draw: Draw
    scoring: Scoring


@dataclass(frozen=True, config=CLOSED)
class ImageTable:
    """The table of the images, where it is separate from that of the questions.

    Attributes:
        path: As of the questions.
        subset: As of the questions.
        split: As of the questions.
        id: Column that names an image.
        image: Column that holds it.
    """

    path: str
    subset: str | None
    split: str
    id: str
    image: str


@dataclass(frozen=True, config=CLOSED)
class RowsData:
    """A table of questions about images.

    Attributes:
        path: Hub id of a data set, a folder of parquet files or of `save_to_disk`, or a .parquet, .json or .jsonl file.
        subset: Configuration of the data set, if it has several.
        split: Which part; means nothing for a single file.
        revision: Hub revision, or None for the latest.
        image_folder: Folder that contains the image files, where the image column holds their names.
        image_table: The images, where the image column holds their ids.
        mirrors: Other hub ids of the same data, tried in their order where `path` cannot be read.
        where: Only rows that hold these values, by column; None for all.
        below: Only rows that hold less than these numbers, by column; None for all.
        files: File of a part, by its name, where the data set does not say itself which file is which part.
    """

    path: str
    subset: str | None
    split: str
    revision: str | None
    image_folder: str | None
    image_table: ImageTable | None
    mirrors: tuple[str, ...] = ()
    where: dict[str, CellValue] | None = None
    below: dict[str, float] | None = None
    files: dict[str, str] | None = None


@dataclass(frozen=True, config=CLOSED)
class _RowsTask(_Task):
    """A task whose items are rows of a table, answered in the model's own words by greedy decoding.

    Attributes:
        data: The table.
        prompt: Prompt around the question; holds `{question}`.
        max_new_tokens: Longest answer.
    """

    kind: Literal["vision"]
    data: RowsData
    prompt: Prompt
    max_new_tokens: PositiveInt


@dataclass(frozen=True, config=CLOSED)
class QuestionColumns:
    """Columns of a table of questions.

    Attributes:
        id: Names an item; None to number the rows.
        image: The image, its file or its id.
        question: The question.
        answer: The correct answer, or several people's answers.
    """

    id: str | None
    image: str
    question: str
    answer: str


@dataclass(frozen=True, config=CLOSED)
class OpenTask(_RowsTask):
    """An open question about an image.

    Attributes:
        metric: Agreement with ten people's answers, or equality with the one correct answer.
        columns: Where the table holds what.
    """

    source: Literal["open-question"]
    metric: Literal["vqa_accuracy", "exact_match"]
    columns: QuestionColumns


@dataclass(frozen=True, config=CLOSED)
class YesNoTask(_RowsTask):
    """A statement or question about an image that is true or not.

    Attributes:
        metric: Share of correct answers, or F1 of the positive answer.
        columns: Where the table holds what; answers are yes and no, true and false, or 1 and 0.
        positive: The word that the model is to say where it is true.
        negative: The word that it is to say otherwise.
        reading: How one of the two is read from what it writes.
    """

    source: Literal["yes-no"]
    metric: Literal["accuracy", "f1"]
    columns: QuestionColumns
    positive: str
    negative: str
    reading: Reading = "first"


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class ChoicesTask(ChoiceFormat, _AnyTask):
    """Multiple-choice questions about images.

    Attributes:
        metric: Share of correct choices; or of groups of questions of which all are answered correctly: the rows of a
            group, or one question's rotations.
        data: The table.
        prompt: Prompt around the question; holds `{question}`. Options follow it where `scoring` says so.
        scoring: How the choice is read from the model.
        reading: How a letter is read from what it writes.
        circular: Ask every question once for each rotation of its options; for `group_accuracy`.
        chance: What guessing scores; None for that of the questions' options.
    """

    source: Literal["choices"]
    kind: Literal["vision"]
    metric: Literal["accuracy", "group_accuracy"]
    data: RowsData
    prompt: Prompt
    scoring: Scoring
    reading: Reading = "first"
    circular: Switch
    chance: Chance | None


@dataclass(frozen=True, config=CLOSED)
class BoxColumns:
    """Columns of a table of things to be found.

    Attributes:
        id: Names a row; None to number the rows.
        image: The image, its file or its id.
        expression: What is to be found; several expressions in one row are several items.
        box: Where it is, in pixels.
    """

    id: str | None
    image: str
    expression: str
    box: str


@dataclass(frozen=True, config=CLOSED)
class BoxTask(_RowsTask):
    """A thing in an image that the model is to find; it answers with the corners of a box.

    The answer's first four numbers are left, top, right and bottom, counted from the top left corner of
    `answer_frame` in units of its width and height divided by `answer_scale`.

    Attributes:
        metric: Share of boxes whose intersection over union with the correct one reaches `iou`.
        columns: Where the table holds what.
        box: The table's boxes: corners, or corner and size.
        answer_scale: The model's number for the right or bottom edge of the image.
        answer_frame: What that edge is of: the image, the square that it is padded to, or the largest in its middle.
        iou: What intersection over union counts as found.
    """

    source: Literal["box"]
    metric: Literal["box_accuracy"]
    columns: BoxColumns
    box: Literal["left-top-right-bottom", "left-top-width-height"]
    answer_scale: PositiveInt
    iou: Fraction
    answer_frame: Literal["image", "padded", "cropped"] = "image"


@dataclass(frozen=True, config=CLOSED)
class LmEvalTask(_Task):
    """A task of lm-evaluation-harness, run on the language model alone.

    Attributes:
        task: Its name there.
        metric: One of its metrics, per item a number in 0..1, averaged over items.
        filter: The filter whose output is measured; `none` for tasks without filters.
        shots: Solved examples in the prompt; a task that fixes them at 0 stays at 0.
        include_path: Folder with task files of your own, or None.
        allow_task_code: Let a task file of that folder name Python code, which is then run with all that you may do.
    """

    source: Literal["lm-eval"]
    kind: Literal["text"]
    task: str
    metric: str
    filter: str
    shots: Annotated[int, Field(ge=0, strict=True)]
    include_path: str | None
    allow_task_code: Switch


TaskConfig = Annotated[
    ShapesTask | WordsTask | OpenTask | YesNoTask | ChoicesTask | BoxTask | LmEvalTask,
    Field(discriminator="source"),
]

"""Data sets, one dataclass for each kind."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import (
    CLOSED,
    Caption,
    CellValue,
    NonNegativeInt,
    OpenFraction,
    OpenQuestion,
    PositiveFloat,
    PositiveInt,
    Reading,
    Scenes,
    Scoring,
    Share,
    ShotsPer,
    Template,
)
from ablate.config.schema.tables import (
    ChoiceFormat,
    ClassColumns,
    ClassNames,
    Parts,
    StatementFormat,
)

Draw = Literal["development", "test"]
# Keys that say where data are. Their content has a hash of its own, wherever it is.
PLACES = (
    "path",
    "image_folder",
    "include_path",
    "mirrors",
    "subset",
    "revision",
    "files",
    "parts",
)

_Names = Annotated[tuple[str, ...], Field(min_length=1)]
SessionClasses = Annotated[tuple[_Names, ...], Field(min_length=1)]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class _Data:
    """What every data set's configuration says.

    Attributes:
        name: Name in the tables.
        question: Question whose answer is a class name.
        templates: CLIP prompts with one `{}` for the class name.
        scoring: How a multiple-choice answer is read from the VLM.
        shots: Training images per class.
        sessions: Continual-learning sessions the classes are split over; 1 is offline.
        test_items: Most test items evaluated; None for all.
        reading: How a letter is read from what the VLM writes, where `scoring` is `generate`.
        shots_per: Whether `shots` are for each class, or for each session whatever its classes.
        session_classes: The classes of every session, by name; None to split them in their order. With `sessions` 1 all
            are trained on at once.
        sentence: The answer under `train.open_question`, with one `{}` for the class name; None for the name alone.
    """

    name: str
    question: str
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    scoring: Scoring
    shots: PositiveInt
    sessions: PositiveInt
    test_items: PositiveInt | None
    reading: Reading = "first"
    shots_per: ShotsPer = "class"
    session_classes: SessionClasses | None = None
    sentence: Template | None = None


@dataclass(frozen=True, config=CLOSED)
class ShapesData(_Data):
    """The tiny model's procedural world in one drawing style.

    Attributes:
        style: Drawing style.
        draw: Which test draw is evaluated; recipes are chosen on `development` only.
    """

    kind: Literal["shapes"]
    style: str
    draw: Draw


@dataclass(frozen=True, config=CLOSED)
class DigitsData(_Data):
    """scikit-learn's scans of handwritten digits.

    Attributes:
        test_fraction: Share of every class that is held out.
        split_seed: Seed of that split.
    """

    kind: Literal["digits"]
    test_fraction: OpenFraction
    split_seed: NonNegativeInt


@dataclass(frozen=True, config=CLOSED)
class ImageFolderData(_Data):
    """Any folder of class folders, or of `train` and `test` folders that hold class folders.

    Attributes:
        path: The folder.
        test_fraction: Share of every class held out when the folder has no `test` part, nor `val` or `validation`.
        split_seed: Seed of that split.
        class_names: Readable name for a class folder; folders not listed are read with `_` and `-` as spaces.
        draw: Which part is evaluated; recipes are chosen on `development` only.
        development_fraction: Share of every class held out of the training part for `development`, whichever part is
            evaluated.
    """

    kind: Literal["imagefolder"]
    path: str
    test_fraction: OpenFraction
    split_seed: NonNegativeInt
    class_names: dict[str, str]
    draw: Draw = "test"
    development_fraction: Share = 0.0


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class _TableData(_Data):
    """A data set in tables: on the hub, or in a folder or file of the same form.

    Attributes:
        path: Hub id, folder of parquet files or of `save_to_disk`, or a .parquet, .json or .jsonl file.
        mirrors: Other hub ids of the same data, tried in their order where `path` cannot be read.
        subset: Configuration of the data set, if it has several.
        revision: Hub revision, or None for the latest.
        files: File of a part, by its name, where the data set does not say itself which file is which part.
        image_folder: Folder that contains the image files, where the image column holds their names.
        where: Only rows that hold these values, by column; None for all.
        parts: Which split is trained on, chosen on and reported.
        draw: Which part is evaluated; recipes are chosen on `development` only.
        test_fraction: Share held out of the training part where there is no test part.
        development_fraction: Share held out of what is left where there is no development part, whichever is evaluated.
        split_seed: Seed of those splits.
        held_out: `drawn` holds those shares out; `alternating` holds every second image, or group of rows, out for the
            test.
        copies: What becomes of training rows that an evaluated row is a copy of.
    """

    path: str
    mirrors: tuple[str, ...]
    subset: str | None
    revision: str | None
    files: dict[str, str] | None
    image_folder: str | None
    where: dict[str, CellValue] | None
    parts: Parts
    draw: Draw
    test_fraction: OpenFraction
    development_fraction: Share
    split_seed: NonNegativeInt
    held_out: Literal["drawn", "alternating"]
    copies: Literal["refuse", "leave-out"]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class HubData(_TableData):
    """Images with a class each, in tables.

    Attributes:
        columns: Where the tables hold what.
        class_names: Readable name by what the data call a class; or all names, by the number of the class; None for
            what the data say.
    """

    kind: Literal["hub"]
    columns: ClassColumns
    class_names: ClassNames | None


@dataclass(frozen=True, config=CLOSED)
class ShapesInstructData:
    """Conversations about the tiny model's world: scenes in several styles, and words alone.

    Attributes:
        name: Name in the tables.
        styles: Drawing styles; every style has the same number of scenes, give or take one.
        scenes: Images in all, each with one conversation.
        objects: A scene's number of objects is drawn from these.
        questions: Weight of every kind of question; a kind is drawn among those that fit the scene.
        text_share: Share of the conversations that have no image.
        max_tokens: Longest conversation in tokens, its image included; what is beyond is cut off.
        seed: Seed of the scenes and of the questions about each.
    """

    kind: Literal["shapes-instruct"]
    name: str
    styles: Annotated[tuple[str, ...], Field(min_length=1)]
    scenes: Scenes
    objects: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4, strict=True)], ...], Field(min_length=1)
    ]
    questions: Annotated[dict[str, PositiveFloat], Field(min_length=1)]
    text_share: Annotated[float, Field(ge=0, lt=1)]
    max_tokens: PositiveInt
    seed: NonNegativeInt


@dataclass(frozen=True, config=CLOSED)
class LlavaJsonData:
    """Conversations in the format of LLaVA-Instruct, as a JSON array or as JSON lines.

    Attributes:
        name: Name in the tables.
        path: The file.
        image_folder: Folder that the images' names start from.
        conversations: Most conversations that are trained on, drawn from the whole file; None for all.
        max_tokens: Longest conversation in tokens, its image included; what is beyond is cut off.
        seed: Seed of that draw.
    """

    kind: Literal["llava-json"]
    name: str
    path: str
    image_folder: str
    conversations: PositiveInt | None
    max_tokens: PositiveInt
    seed: NonNegativeInt


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class _QuestionData(_TableData):
    """Questions about images, each with options of its own.

    Attributes:
        question: What is asked, around the table's `{question}`.
        templates: Texts about an image for `loss=clip`, of `{question}` and `{answer}`.
        shots: Training items of each category, or of each session where there are no categories.
    """

    question: OpenQuestion
    templates: Annotated[tuple[Caption, ...], Field(min_length=1)]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class ChoicesData(ChoiceFormat, _QuestionData):
    """Multiple-choice questions about images, in tables."""

    kind: Literal["choices"]


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class YesNoData(StatementFormat, _QuestionData):
    """Statements about images, or questions to be answered by yes or no, in tables.

    Attributes:
        templates: One text for all images; or one for those of which the statement is true, and one for the others.
    """

    kind: Literal["yes-no"]
    templates: Annotated[tuple[Caption, ...], Field(min_length=1, max_length=2)]


QuestionData = ChoicesData | YesNoData
TableData = HubData | QuestionData
FewShotData = Annotated[
    ShapesData | DigitsData | ImageFolderData | HubData | ChoicesData | YesNoData,
    Field(discriminator="kind"),
]
InstructionDataConfig = ShapesInstructData | LlavaJsonData
DataConfig = Annotated[FewShotData | InstructionDataConfig, Field(discriminator="kind")]

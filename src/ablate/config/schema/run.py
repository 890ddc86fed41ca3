"""A run: the model, the evaluation, and the ablation and protocol it belongs to."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.data import DataConfig, FewShotData
from ablate.config.schema.encoders import EncoderConfig
from ablate.config.schema.fields import (
    CLOSED,
    Attention,
    ImageAspect,
    LossName,
    NonNegativeInt,
    OpenQuestion,
    PositiveFloat,
    PositiveInt,
    Precision,
    Quantization,
    Scoring,
    Switch,
)
from ablate.config.schema.method import MethodConfig
from ablate.config.schema.suites import SuiteConfig
from ablate.config.schema.trackers import TrackerConfig
from ablate.config.schema.train import AugmentConfig, TrainConfig


@dataclass(frozen=True, config=CLOSED)
class ModelConfig:
    """A LLaVA and the CLIP whose image encoder it reads; or a language model for an encoder of its own.

    Attributes:
        name: Name in the tables; None for that of its folder, or the last part of its hub id.
        llava: Folder or hub id of a `LlavaForConditionalGeneration`; `tiny:` prefixes a folder of the package.
            None for a model that is a language model only: it needs an `encoder`.
        clip: Folder or hub id of the matching `CLIPModel`, for its text tower and projections; None where the
            image encoder is not a CLIP's: nothing is then classified zero-shot.
        language: Folder or hub id of the causal language model under an `encoder`; None for that of `llava`.
        revision: Hub revision of `llava` and `language`, or None for the latest.
        clip_revision: Hub revision of `clip`, or None for the latest.
        attention: How the language model attends: by torch's SDPA, plainly (`eager`), or by the package flash-attn.
        quantization: The bits that the language model's weights are held in, by bitsandbytes; it stays frozen, and
            encoder, projector and output layer stay as they are. None for half or full precision.
        scoring: How multiple-choice questions are best put to the model; data sets take it from here.
        prompt: Conversation around a question; holds `<image>` and `{question}`. None for that of the model's chat
            template, which is filled in before a run begins.
        turn: How a later question of the same conversation follows the answer before it; holds `{question}`. None as
            for `prompt`.
        image_aspect: What becomes of an image that is not square: `crop` leaves it to the image encoder's own
            preprocessing, CLIP's cuts out the centre; `pad` first makes it square with bars of the mean colour.
        compile: Whether the language model's blocks go through torch.compile, when a pass of a kind is first made.
    """

    name: str | None
    llava: str | None
    clip: str | None
    language: str | None
    revision: str | None
    clip_revision: str | None
    attention: Attention
    quantization: Quantization | None
    scoring: Scoring
    prompt: Annotated[str, Field(pattern=r"(?s)<image>.*\{question\}")] | None
    turn: Annotated[str, Field(pattern=r"\{question\}")] | None
    image_aspect: ImageAspect = "crop"
    compile: Switch = False


@dataclass(frozen=True, config=CLOSED)
class EvalConfig:
    """How runs are evaluated.

    Attributes:
        batch_size: Images per forward pass; changes speed and memory, not answers.
        n_options: Options of a multiple-choice question.
        seed: Seed of the option draw; the same options for every run make runs comparable item by item.
        max_new_tokens: Longest greedy answer where `scoring` is `generate`.
    """

    batch_size: PositiveInt
    n_options: Annotated[int, Field(ge=2, le=26, strict=True)]
    seed: NonNegativeInt
    max_new_tokens: PositiveInt


AxisValue = bool | int | float | str


@dataclass(frozen=True, config=CLOSED)
class AblationConfig:
    """An ablation: one question, one key, its values.

    Attributes:
        name: Short name; also the default name of the output folder.
        question: The question, in words.
        key: The configuration key or group that is varied.
        values: The values it takes.
        baseline: The value that the others are compared with; one of `values`.
        metrics: Columns of results.csv that answer the question.
        source: Where the question comes from.
        cost: What it costs on the tiny model.
        value: The value of this very run; set by the sweeper.
    """

    name: str
    question: str
    key: str
    values: Annotated[tuple[AxisValue, ...], Field(min_length=1)]
    baseline: AxisValue
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    source: str
    cost: str
    value: AxisValue | None


@dataclass(frozen=True, config=CLOSED)
class CheckpointConfig:
    """When a run saves its state, besides just before it is interrupted.

    Attributes:
        minutes: After so many; None for never.
        steps: After so many optimiser steps, or batches of an evaluation; None for never.
    """

    minutes: PositiveFloat | None
    steps: PositiveInt | None


@dataclass(frozen=True, config=CLOSED)
class ProtocolConfig:
    """A published protocol that a preset has filled the configuration in from.

    Attributes:
        name: Whose it is.
        setting: Which of its settings.
        shots: Training images by setting and data set, `else` for every other data set.
        open_question: What the LM loss asks, by data set; None for what the test asks.
        augment: Changes to the images of the CLIP loss.
    """

    name: str
    setting: Literal["CL-5", "CL-20", "CL-50", "offline"]
    shots: dict[str, dict[str, PositiveInt]]
    open_question: dict[str, OpenQuestion | None]
    augment: AugmentConfig


@dataclass(frozen=True, config=CLOSED)
class RunConfig:
    """One run: everything that determines its numbers, and where they go.

    Attributes:
        ablation: The ablation this run belongs to, if any.
        model: The model that is adapted.
        method: How it is adapted.
        loss: What it is trained on: `lm` answers questions, `clip` matches images and class prompts.
        encoder: Image encoder in the place of the model's own, under a fresh projector; None keeps the model as it is.
        language: How the language model is trained on instruction data; None elsewhere.
        data: The target data set, or the instructions.
        controls: Data sets that show forgetting, by name.
        align: First stage on instructions: the projector alone; None to leave it out.
        train: The training recipe.
        eval: How it is evaluated.
        tasks: Suite of tasks evaluated after training, for the stable scores; None for none.
        tracker: Where copies of its numbers go.
        seed: Seed of the few-shot draw, the initialisation and the batch order.
        seeds: Seeds of the whole sweep.
        name: Folder below `output_dir`.
        output_dir: Where results go.
        force: Run again what is done.
        fail_fast: Stop the sweep at the first run that fails.
        checkpoint: When its state is saved.
        device: `auto`, or a torch device.
        precision: `auto`, or the autocast type.
        save_model: Keep the whole trained model beside the results.
        projector: How the projector is trained beside `method` in few-shot learning; None to leave it frozen.
        protocol: Which published protocol the run follows; None for none.
    """

    ablation: AblationConfig | None
    model: ModelConfig
    method: MethodConfig
    loss: LossName
    encoder: EncoderConfig | None
    language: MethodConfig | None
    data: DataConfig
    controls: dict[str, FewShotData]
    align: TrainConfig | None
    train: TrainConfig
    eval: EvalConfig
    tasks: SuiteConfig | None
    tracker: TrackerConfig
    seed: NonNegativeInt
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None
    name: str
    output_dir: str
    force: Switch
    fail_fast: Switch
    checkpoint: CheckpointConfig
    device: str
    precision: Precision
    save_model: Switch
    projector: MethodConfig | None = None
    protocol: ProtocolConfig | None = None

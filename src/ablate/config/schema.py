"""Every value a run depends on, typed: what YAML becomes at the config boundary.

No class here has defaults: each value lives once, in `configs/`. Ranges are checked where the
values are read, so code past the boundary can rely on them.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_CLOSED = ConfigDict(extra="forbid")

Switch = Annotated[bool, Field(strict=True)]
PositiveInt = Annotated[int, Field(gt=0, strict=True)]
NonNegativeInt = Annotated[int, Field(ge=0, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Template = Annotated[str, Field(pattern=r"\{\}")]

LossName = Literal["clip", "lm"]
Scoring = Literal["letters", "answers", "generate"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, config=_CLOSED)
class ModelConfig:
    """A LLaVA model and the CLIP model whose image encoder it reads.

    Attributes:
        name: Name in the tables.
        llava: Folder or hub id of a `LlavaForConditionalGeneration`; `tiny:` prefixes a folder
        inside the package. clip: Folder or hub id of the matching `CLIPModel`, for its text tower
        and projections. revision: Hub revision of both, or None for the latest. prompt:
        Conversation around a question; holds `<image>` and `{question}`.
    """

    name: str
    llava: str
    clip: str
    revision: str | None
    prompt: Annotated[str, Field(pattern=r"(?s)<image>.*\{question\}")]


@dataclass(frozen=True, config=_CLOSED)
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
    """

    name: str
    question: str
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    scoring: Scoring
    shots: PositiveInt
    sessions: PositiveInt
    test_items: PositiveInt | None


@dataclass(frozen=True, config=_CLOSED)
class ShapesData(_Data):
    """The tiny model's procedural world in one drawing style.

    Attributes:
        style: Drawing style.
        draw: Which test draw is evaluated; recipes are chosen on `development` only.
    """

    kind: Literal["shapes"]
    style: str
    draw: Literal["development", "test"]


@dataclass(frozen=True, config=_CLOSED)
class DigitsData(_Data):
    """scikit-learn's scans of handwritten digits.

    Attributes:
        test_fraction: Share of every class that is held out.
        split_seed: Seed of that split.
    """

    kind: Literal["digits"]
    test_fraction: OpenFraction
    split_seed: NonNegativeInt


@dataclass(frozen=True, config=_CLOSED)
class ImageFolderData(_Data):
    """Any folder of class folders, or of `train` and `test` folders that hold class folders.

    Attributes:
        path: The folder.
        test_fraction: Share of every class held out when the folder has no `test` (or `val`,
        `validation`) part. split_seed: Seed of that split. class_names: Readable name for a class
        folder; folders not listed are read with `_` and `-` as spaces.
    """

    kind: Literal["imagefolder"]
    path: str
    test_fraction: OpenFraction
    split_seed: NonNegativeInt
    class_names: dict[str, str]


DataConfig = Annotated[ShapesData | DigitsData | ImageFolderData, Field(discriminator="kind")]


@dataclass(frozen=True, config=_CLOSED)
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


@dataclass(frozen=True, config=_CLOSED)
class FrozenMethod:
    """Train nothing: the zero-shot model is the result."""

    name: Literal["frozen"]


@dataclass(frozen=True, config=_CLOSED)
class _Trained:
    """What every method that trains something says.

    Attributes:
        learning_rate_scale: Factor on `train.learning_rate`: dense weights need smaller steps than low-rank ones.
    """

    learning_rate_scale: PositiveFloat


@dataclass(frozen=True, config=_CLOSED)
class FullMethod(_Trained):
    """Full fine-tuning of the image encoder (F-FT)."""

    name: Literal["full"]


@dataclass(frozen=True, config=_CLOSED)
class EwcMethod(_Trained):
    """Full fine-tuning with elastic weight consolidation (F-EWC).

    Attributes:
        penalty_weight: Lambda, the weight of the quadratic penalty.
        fisher_batch_size: Examples per gradient of the Fisher information, by loss.
    """

    name: Literal["ewc"]
    penalty_weight: PositiveFloat
    fisher_batch_size: dict[LossName, PositiveInt]


@dataclass(frozen=True, config=_CLOSED)
class LayerNormMethod(_Trained):
    """The image encoder's LayerNorms alone (LN)."""

    name: Literal["layernorm"]


@dataclass(frozen=True, config=_CLOSED)
class TargetModules:
    """Last names of the linear layers that get an adapter, by part of the model; a part may have none.

    Attributes:
        encoder: In the image encoder.
        projector: Between image encoder and language model.
        language_model: In the language model.
    """

    encoder: tuple[str, ...]
    projector: tuple[str, ...]
    language_model: tuple[str, ...]


@dataclass(frozen=True, config=_CLOSED)
class LoraMethod(_Trained):
    """LoRA by peft: on the image encoder, the language model (-l), or all of the model (-f).

    Attributes:
        rank: Rank r of the low-rank updates.
        alpha: Their scale is alpha / r.
        target_modules: The layers that are updated.
    """

    name: Literal["lora", "lora-l", "lora-f"]
    rank: PositiveInt
    alpha: PositiveFloat
    target_modules: TargetModules


@dataclass(frozen=True, config=_CLOSED)
class DoraMethod(LoraMethod):
    """LoRA of the weights' direction, their row norms trained besides (DoRA), by peft."""

    name: Literal["dora"]  # type: ignore[assignment]


@dataclass(frozen=True, config=_CLOSED)
class AdaloraMethod(LoraMethod):
    """LoRA with ranks that move to the layers that need them (AdaLoRA), by peft; `rank` is the final average.

    Attributes:
        initial_rank_factor: Every layer starts at this multiple of `rank`.
        initial_fraction: Share of all steps before ranks are lowered.
        final_fraction: Share of all steps after ranks have been settled.
        allocation_interval_steps: Steps between two allocations.
        sensitivity_decay: Decay of the average of sensitivities (beta 1).
        uncertainty_decay: Decay of the average of their uncertainties (beta 2).
        orthogonality_weight: Weight of the penalty that keeps the factors orthogonal (gamma).
    """

    name: Literal["adalora"]  # type: ignore[assignment]
    initial_rank_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    initial_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    final_fraction: Annotated[float, Field(ge=0, lt=0.5)]
    allocation_interval_steps: PositiveInt
    sensitivity_decay: OpenFraction
    uncertainty_decay: OpenFraction
    orthogonality_weight: NonNegativeFloat


@dataclass(frozen=True, config=_CLOSED)
class SpuMethod(_Trained):
    """The sparse update of the first MLP weights alone (SPU).

    Attributes:
        sparsity: Fraction of the weight's entries that is trained.
        blocks: `all` encoder blocks, or only those whose output LLaVA `read`s, by loss.
    """

    name: Literal["spu"]
    sparsity: Annotated[float, Field(gt=0, le=1)]
    blocks: dict[LossName, Literal["all", "read"]]


@dataclass(frozen=True, config=_CLOSED)
class LorsuVariant:
    """What distinguishes LoRSU under one loss (paper, section 3 and appendix).

    Attributes:
        fused_qkv: One low-rank pair for the fused q, k, v projection (A shared) instead of one for each.
        init_side: Which matrix of a pair starts random, the other zero: `left` is B, `right` is A.
        train_qkv_bias: Train the biases of q, k, v, of all heads.
        train_fc1_bias: Train the bias of the first MLP layer.
        visual_projection: Plain LoRA on CLIP's visual projection.
        blocks: `all` encoder blocks, or only those whose output LLaVA `read`s.
    """

    fused_qkv: Switch
    init_side: Literal["left", "right"]
    train_qkv_bias: Switch
    train_fc1_bias: Switch
    visual_projection: Switch
    blocks: Literal["all", "read"]


@dataclass(frozen=True, config=_CLOSED)
class _Lorsu(_Trained):
    """LoRSU: LoRA on the most important heads, a sparse update of the first MLP layer.

    Attributes:
        rank: Rank r of the low-rank updates.
        alpha: Their scale is alpha / r.
        top_k_heads: Heads updated in every block.
        sparsity: Fraction of the first MLP weight's entries that is trained.
        selection: What heads and entries are ranked by.
    """

    rank: PositiveInt
    alpha: PositiveFloat
    top_k_heads: NonNegativeInt
    sparsity: Fraction
    selection: Literal["gradient", "random", "weight_magnitude", "first"]


@dataclass(frozen=True, config=_CLOSED)
class LorsuMethod(_Lorsu):
    """LoRSU on the image encoder.

    Attributes:
        variants: What differs between the two published losses.
    """

    name: Literal["lorsu"]
    variants: dict[LossName, LorsuVariant]


@dataclass(frozen=True, config=_CLOSED)
class LorsuLMethod(_Lorsu):
    """LoRSU on the language model.

    Attributes:
        blocks: How many of its last blocks are updated.
    """

    name: Literal["lorsu-l"]
    blocks: PositiveInt


MethodConfig = Annotated[
    FrozenMethod
    | FullMethod
    | EwcMethod
    | LayerNormMethod
    | LoraMethod
    | DoraMethod
    | AdaloraMethod
    | SpuMethod
    | LorsuMethod
    | LorsuLMethod,
    Field(discriminator="name"),
]


@dataclass(frozen=True, config=_CLOSED)
class TrainConfig:
    """How the update is trained.

    Attributes:
        epochs: Passes over the few-shot training set, in every session.
        batch_size: Images per forward pass.
        accumulation_steps: Forward passes per optimiser step.
        learning_rate: Peak learning rate.
        minimum_learning_rate: Where the cosine ends.
        schedule: Linear warm-up then cosine, constant after the warm-up, or the reference's
        epoch-wise schedule. warmup_fraction: Share of all steps spent warming up. optimizer: AdamW
        decays weights, Adam does not. betas: Decay of the two moments. weight_decay: Decoupled
        weight decay; never on biases and norms. max_gradient_norm: Gradients are clipped to this
        norm; None for no clipping. gradient_checkpointing: Recompute activations in the backward
        pass to save memory.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    accumulation_steps: PositiveInt
    learning_rate: PositiveFloat
    minimum_learning_rate: NonNegativeFloat
    schedule: Literal["cosine", "constant", "reference"]
    warmup_fraction: Fraction
    optimizer: Literal["adamw", "adam"]
    betas: tuple[OpenFraction, OpenFraction]
    weight_decay: NonNegativeFloat
    max_gradient_norm: PositiveFloat | None
    gradient_checkpointing: Switch


AxisValue = bool | int | float | str


@dataclass(frozen=True, config=_CLOSED)
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


@dataclass(frozen=True, config=_CLOSED)
class RunConfig:
    """One run: everything that determines its numbers, and where they go.

    Attributes:
        ablation: The ablation this run is a point of, if any.
        model: The model that is adapted.
        method: How it is adapted.
        loss: What it is trained on: `lm` answers questions, `clip` matches images and class prompts.
        data: The target data set.
        controls: Data sets that show forgetting, by name.
        train: The training recipe.
        eval: How it is evaluated.
        seed: Seed of the few-shot draw, the initialisation and the batch order.
        seeds: Seeds of the whole sweep.
        name: Folder below `output_dir`.
        output_dir: Where results go.
        force: Run again what is done.
        device: `auto`, or a torch device.
        precision: `auto`, or the autocast type.
        save_model: Keep the whole trained model beside the results.
    """

    ablation: AblationConfig | None
    model: ModelConfig
    method: MethodConfig
    loss: LossName
    data: DataConfig
    controls: dict[str, DataConfig]
    train: TrainConfig
    eval: EvalConfig
    seed: NonNegativeInt
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None
    name: Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
    output_dir: str
    force: Switch
    device: str
    precision: Precision
    save_model: Switch

"""Methods by name, one dataclass for each way to adapt a model."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import (
    CLOSED,
    Fraction,
    LossName,
    NonNegativeFloat,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
    Rank,
    Switch,
)


@dataclass(frozen=True, config=CLOSED)
class FrozenMethod:
    """Train nothing: the zero-shot model is the result."""

    name: Literal["frozen"]


@dataclass(frozen=True, config=CLOSED)
class TrainedMethod:
    """What every method that trains something says.

    Attributes:
        learning_rate_scale: Factor on `train.learning_rate`: dense weights need smaller steps than low-rank ones.
    """

    learning_rate_scale: PositiveFloat


@dataclass(frozen=True, config=CLOSED)
class FullMethod(TrainedMethod):
    """Full fine-tuning of the image encoder (F-FT)."""

    name: Literal["full"]


@dataclass(frozen=True, config=CLOSED)
class FullLanguageMethod(TrainedMethod):
    """Full fine-tuning of the language model."""

    name: Literal["full-l"]


@dataclass(frozen=True, config=CLOSED)
class EwcMethod(TrainedMethod):
    """Full fine-tuning with elastic weight consolidation (F-EWC).

    Attributes:
        penalty_weight: Lambda, the weight of the quadratic penalty.
        fisher_batch_size: Examples per gradient of the Fisher information, by loss.
    """

    name: Literal["ewc"]
    penalty_weight: PositiveFloat
    fisher_batch_size: dict[LossName, PositiveInt]


@dataclass(frozen=True, config=CLOSED)
class LayerNormMethod(TrainedMethod):
    """The image encoder's LayerNorms alone (LN)."""

    name: Literal["layernorm"]


@dataclass(frozen=True, config=CLOSED)
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


@dataclass(frozen=True, config=CLOSED)
class LoraMethod(TrainedMethod):
    """LoRA by peft: on the image encoder, the language model (-l), the projector (-p), or all of the model (-f).

    Attributes:
        rank: Rank r of the low-rank updates.
        alpha: Their scale is alpha / r.
        target_modules: The layers that are updated.
    """

    name: Literal["lora", "lora-l", "lora-p", "lora-f"]
    rank: Rank
    alpha: PositiveFloat
    target_modules: TargetModules


@dataclass(frozen=True, config=CLOSED)
class DoraMethod(LoraMethod):
    """LoRA of the weights' direction, their row norms trained besides (DoRA), by peft."""

    name: Literal["dora"]  # type: ignore[assignment]


@dataclass(frozen=True, config=CLOSED)
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


@dataclass(frozen=True, config=CLOSED)
class SpuMethod(TrainedMethod):
    """The sparse update of the first MLP weights alone (SPU).

    Attributes:
        sparsity: Fraction of the weight's entries that is trained: a density, despite the paper's name.
        blocks: `all` encoder blocks, or only those whose output LLaVA `read`s, by loss.
    """

    name: Literal["spu"]
    sparsity: Annotated[float, Field(gt=0, le=1)]
    blocks: dict[LossName, Literal["all", "read"]]


@dataclass(frozen=True, config=CLOSED)
class LorsuVariant:
    """What distinguishes LoRSU under one loss (paper, section 3 and appendix).

    Attributes:
        fused_qkv: One low-rank pair for the fused q, k, v projection (A shared) instead of one for each.
        init_side: Which matrix of a q, k, v pair starts random, the other zero: `left` is B, `right` is A.
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


@dataclass(frozen=True, config=CLOSED)
class _Lorsu(TrainedMethod):
    """LoRSU: LoRA on the most important heads, a sparse update of the first MLP layer.

    Attributes:
        rank: Rank r of the low-rank updates.
        alpha: Their scale is alpha / r.
        top_k_heads: Heads updated in every block.
        sparsity: Fraction of the first MLP weight's entries that is trained: a density, despite the paper's name.
        selection: What heads and entries are ranked by.
    """

    rank: Rank
    alpha: PositiveFloat
    top_k_heads: NonNegativeInt
    sparsity: Fraction
    selection: Literal["gradient", "random", "weight_magnitude", "first"]


@dataclass(frozen=True, config=CLOSED)
class LorsuMethod(_Lorsu):
    """LoRSU on the image encoder.

    Attributes:
        variants: What differs between the two published losses.
    """

    name: Literal["lorsu"]
    variants: dict[LossName, LorsuVariant]


@dataclass(frozen=True, config=CLOSED)
class LorsuLMethod(_Lorsu):
    """LoRSU on the language model.

    Attributes:
        blocks: How many of its last blocks are updated.
    """

    name: Literal["lorsu-l"]
    blocks: PositiveInt

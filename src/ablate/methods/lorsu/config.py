"""What a LoRSU adapter consists of, as a peft configuration."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from peft import PeftConfig

from ablate.config.errors import ConfigError, unknown

PEFT_TYPE = "LORSU"
SELECTIONS = ("gradient", "random", "weight_magnitude", "first")
SIDES = ("left", "right")
ENDS = ("first", "last")

_PUBLISHED: dict[str, dict[str, Any]] = {
    "clip": {
        "fused_qkv": True,
        "init_side": "left",
        "train_qkv_bias": True,
        "train_fc1_bias": True,
        "projections": ["visual_projection"],
    },
    "lm": {
        "fused_qkv": False,
        "init_side": "right",
        "train_qkv_bias": False,
        "train_fc1_bias": True,
        "projections": [],
    },
}


@dataclass(kw_only=True)
class LorsuConfig(PeftConfig):
    """LoRSU: LoRA on the q, k, v rows of chosen heads and a sparse update of fc1.

    Panos et al., TMLR 12/2025, arXiv 2502.04098.

    Trained scalars for L blocks with inputs of width D, an fc1 of F rows, k heads and d rows of q,
    k and v together in one head (3 * head_dim where all heads have keys of their own):

        separate:  L * (r * (3 * D + k * d) + floor(F * D * sparsity) + biases)
        fused:     L * (r * (    D + k * d) + floor(F * D * sparsity) + biases)
        biases  =  rows of q, k, v  (train_qkv_bias)  +  F  (train_fc1_bias)
        and r * (in + out) for every projection

    A part that is switched off counts nothing: `top_k_heads=0`, `sparsity=0`. `budget.py` computes
    it, with bytes.

    Attributes:
        r: Rank of the update of q, k, v and of the projections.
        alpha: The low-rank update is scaled by alpha / r.
        top_k_heads: Attention heads trained per block; 0 leaves the weights of q, k, v alone. Where
            query heads share keys (grouped-query attention), a head is a key head with all the
            query heads that read it.
        sparsity: Fraction of the entries of fc1 trained per block, a density, despite the paper's name for it; 0
            leaves its weight alone.
        fused_qkv: Share the right matrix A between q, k and v, as one pair for a fused `[3 * D, D]`
            matrix would.
        init_side: Which matrix of a q, k, v pair starts Kaiming-uniform (a = sqrt 5), the other being
            zero: `left` is B, which multiplies from the left, `right` is A.
        train_qkv_bias: Train the biases of q, k, v, of all heads, where they exist.
        train_fc1_bias: Train the bias of fc1, where it exists.
        projections: Names of linear layers with plain LoRA, matched at the end of the module's
            path. Their A starts uniform within 1 / sqrt(r), their B zero, whatever `init_side` is.
        blocks: How many blocks are adapted; None for all.
        blocks_from: Whether those are the `first` or the `last` blocks of the tower.
        tower: Name of the module whose blocks are adapted, matched at the end of its path; None if
            the model holds one stack of blocks only.
        selection: How heads and entries are chosen: by `gradient` (the paper's rule), `random`, by
            `weight_magnitude`, or the `first` ones.
        selection_seed: Seed of the `random` selection.
        init_seed: Seed of the initial matrices, independent of the order of the layers; None draws
            from torch's global generator.
    """

    target_modules: ClassVar[None] = None

    r: int = field(default=64)
    alpha: float = field(default=64.0)
    top_k_heads: int = field(default=2)
    sparsity: float = field(default=0.1)
    fused_qkv: bool = field(default=False)
    init_side: Literal["left", "right"] = field(default="right")
    train_qkv_bias: bool = field(default=False)
    train_fc1_bias: bool = field(default=True)
    projections: list[str] = field(default_factory=list)
    blocks: int | None = field(default=None)
    blocks_from: Literal["first", "last"] = field(default="first")
    tower: str | None = field(default=None)
    selection: Literal["gradient", "random", "weight_magnitude", "first"] = field(
        default="gradient"
    )
    selection_seed: int = field(default=0)
    init_seed: int | None = field(default=None)

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            ConfigError: If an option is out of its range.
        """
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = PEFT_TYPE  # peft's enum is closed to others, and it accepts any string
        self.projections = list(self.projections)
        for what, given, allowed in (
            ("selection", self.selection, SELECTIONS),
            ("init_side", self.init_side, SIDES),
            ("blocks_from", self.blocks_from, ENDS),
        ):
            if given not in allowed:
                raise unknown(what, given, allowed)
        for name, valid, rule in (
            ("r", self.r >= 1, "at least 1"),
            ("alpha", self.alpha > 0 and math.isfinite(self.alpha), "a positive number"),
            ("top_k_heads", self.top_k_heads >= 0, "0 or more"),
            ("sparsity", 0 <= self.sparsity <= 1, "a fraction between 0 and 1"),
            ("blocks", self.blocks is None or self.blocks >= 1, "at least 1, or null for all"),
        ):
            if not valid:
                raise ConfigError(f"{name}={getattr(self, name)} given, but {name} must be {rule}.")

    @classmethod
    def published(cls, loss: Literal["clip", "lm"], **options: Any) -> Self:  # noqa: ANN401
        """Build one of the two published variants.

        Args:
            loss: `clip` for the contrastive variant, `lm` for the perplexity variant (LoRSU-Ppl).
            options: Any attribute of this class, over the variant's own.

        Raises:
            ConfigError: If there is no such variant.
        """
        if loss not in _PUBLISHED:
            raise unknown("loss", loss, _PUBLISHED)
        return cls(**{**_PUBLISHED[loss], **options})

    @property
    def scaling(self) -> float:
        """Factor of the low-rank product."""
        return self.alpha / self.r

    def n_entries(self, numel: int) -> int:
        """Entries trained in a matrix of `numel`: floor(numel * sparsity)."""
        return math.floor(numel * self.sparsity)

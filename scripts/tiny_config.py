"""The values of `build_tiny.yaml`, typed."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class TokenizerConfig:
    """How the tokenizer is trained.

    Attributes:
        vocabulary_size: Tokens, the 256 bytes and the special ones included.
        scenes: Scenes whose captions, questions and answers it is trained on.
        max_length: Longest text of the language model.
    """

    vocabulary_size: int
    scenes: int
    max_length: int


@dataclass(frozen=True, config=_STRICT)
class OptimiserConfig:
    """AdamW with a linear warm-up and a cosine to zero.

    Attributes:
        steps: Updates.
        batch_size: Images per update.
        learning_rate: Peak of the schedule.
        warmup_steps: Updates until the peak.
        weight_decay: Decay of matrices; vectors have none.
        max_gradient_norm: Gradients are scaled down to this norm.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    max_gradient_norm: float


@dataclass(frozen=True, config=_STRICT)
class ContrastiveConfig:
    """The first stage: CLIP from scratch.

    Attributes:
        optimiser: Steps and learning rate.
        styles: Styles that scenes are drawn in, in turn.
        one_object_share: Share of scenes with one object; the others have two to four.
        glyph_share: Share of a batch that is glyphs.
        naming_weight: Weight of the loss that names each quadrant from its patches.
    """

    optimiser: OptimiserConfig
    styles: list[str]
    one_object_share: float
    glyph_share: float
    naming_weight: float


@dataclass(frozen=True, config=_STRICT)
class InstructionConfig:
    """The second stage: projector and language model on the frozen encoder.

    Attributes:
        optimiser: Steps and learning rate.
        scenes: Scenes drawn once and asked about again and again.
        glyphs: Glyphs beside them.
        styles: Styles that scenes are drawn in, in turn.
        objects: A scene's number of objects is one of these, in turn.
        questions: Weight of every kind of question.
    """

    optimiser: OptimiserConfig
    scenes: int
    glyphs: int
    styles: list[str]
    objects: list[int]
    questions: dict[str, int]


@dataclass(frozen=True, config=_STRICT)
class BuildConfig:
    """Everything the tiny model is made from.

    Attributes:
        seed: Seed of weights, scenes and batches.
        threads: CPU threads; another number changes the weights by rounding.
        image_mean: Mean of the normalisation, per channel.
        image_std: Standard deviation of the normalisation, per channel.
        prompt: Conversation with `<image>` and `{question}` in it.
        templates: CLIP captions of one-object scenes, with one `{}`.
        tokenizer: The tokenizer.
        vision: `CLIPVisionConfig` values.
        text: `CLIPTextConfig` values.
        projection_width: Width of CLIP's shared space.
        language: `LlamaConfig` values.
        contrastive: First stage.
        instruction: Second stage.
        check_items: Development scenes that the finished model is checked on.
    """

    seed: int
    threads: int
    image_mean: list[float]
    image_std: list[float]
    prompt: str
    templates: list[str]
    tokenizer: TokenizerConfig
    vision: dict[str, Any]
    text: dict[str, Any]
    projection_width: int
    language: dict[str, Any]
    contrastive: ContrastiveConfig
    instruction: InstructionConfig
    check_items: int

    @property
    def n_image_tokens(self) -> int:
        """Patches of an image, each one token of the language model."""
        return int((self.vision["image_size"] // self.vision["patch_size"]) ** 2)


def read_config(path: Path) -> BuildConfig:
    """Read and check the build's values."""
    return TypeAdapter(BuildConfig).validate_python(yaml.safe_load(path.read_text()))

"""The values of `config.yaml`, typed."""

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
        scenes: Scenes drawn once and used again and again.
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
class LanguageModelConfig:
    """The language model that knows text alone.

    Attributes:
        threads: CPU threads; another number changes the weights by rounding.
        model: `LlamaConfig` values.
        optimiser: Steps and learning rate.
        shares: Share of a batch that is scenes in slots, written scenes and lists to say again; the
            rest is word questions.
        topics: Weight of every topic of word questions.
        objects: A scene's number of objects is one of these, at random.
        questions: Weight of every kind of question about a scene.
        silent_share: Share of an object's slots that say nothing.
        check_items: Development items of every topic that the finished model is checked on.
    """

    threads: int
    model: dict[str, Any]
    optimiser: OptimiserConfig
    shares: dict[str, float]
    topics: dict[str, int]
    objects: list[int]
    questions: dict[str, int]
    silent_share: float
    check_items: int


@dataclass(frozen=True, config=_STRICT)
class EncodersConfig:
    """The encoders of several families, all trained on the same number of images.

    Attributes:
        threads: CPU threads; another number changes the weights by rounding.
        optimiser: Steps and learning rate of each.
        styles: Styles that scenes are drawn in, in turn.
        objects: A scene's number of objects is one of these, in turn; labels need scenes with one.
        told: Share of captions that tell an object's colour, size, texture and place.
        masked_share: Share of an image's patches that DINOv2 has to tell.
        width: Width of every encoder's features.
        models: Per family, values of its transformers configuration.
    """

    threads: int
    optimiser: OptimiserConfig
    styles: list[str]
    objects: list[int]
    told: dict[str, float]
    masked_share: float
    width: int
    models: dict[str, dict[str, Any]]


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
        language_model: The language model of its own.
        encoders: The encoders of their own.
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
    language_model: LanguageModelConfig
    encoders: EncodersConfig

    @property
    def n_image_tokens(self) -> int:
        """Patches of an image, each one token of the language model."""
        return int((self.vision["image_size"] // self.vision["patch_size"]) ** 2)


def read_config(path: Path) -> BuildConfig:
    """Read and check the build's values."""
    return TypeAdapter(BuildConfig).validate_python(yaml.safe_load(path.read_text()))

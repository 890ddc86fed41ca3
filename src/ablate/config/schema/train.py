"""How an update is trained."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import (
    CLOSED,
    Fraction,
    NonNegativeFloat,
    OpenFraction,
    OpenQuestion,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Switch,
)


@dataclass(frozen=True, config=CLOSED)
class AugmentConfig:
    """Random changes to training images, in this order, drawn anew each time.

    Attributes:
        crop_scale: Least and greatest share of the image's area that a crop keeps; its sides are 3:4 to 4:3.
        jitter_probability: Of changing the colours.
        brightness: They are multiplied by 1 - this to 1 + this.
        contrast: As `brightness`, away from the image's mean grey.
        saturation: As `brightness`, away from each pixel's grey.
        hue: Largest shift of the hue, as a share of the circle.
        grey_probability: Of taking the colours away.
    """

    crop_scale: tuple[PositiveFraction, PositiveFraction]
    jitter_probability: Fraction
    brightness: Fraction
    contrast: Fraction
    saturation: Fraction
    hue: Annotated[float, Field(ge=0, le=0.5, strict=True)]
    grey_probability: Fraction


@dataclass(frozen=True, config=CLOSED)
class TrainConfig:
    """How the update is trained.

    Attributes:
        epochs: Passes over the few-shot training set, in every session.
        batch_size: Images per forward pass.
        accumulation_steps: Forward passes per optimiser step: the gradient of one batch of them all. `loss=lm` only.
        learning_rate: Peak learning rate.
        encoder_learning_rate: Peak learning rate of the image encoder's parameters; None for the same.
        minimum_learning_rate: Where the cosine ends.
        schedule: Linear warm-up then cosine, constant after the warm-up, or that of the authors' code for the loss.
        warmup_fraction: Share of all steps spent warming up.
        optimizer: AdamW decays weights, Adam does not.
        betas: Decay of the two moments.
        weight_decay: Decoupled weight decay; never on biases and norms. 0 with Adam.
        max_gradient_norm: Gradients are clipped to this norm; None for no clipping.
        importance_examples: Most training examples that methods rank weights on; None for all.
        gradient_checkpointing: Recompute activations in the backward pass to save memory.
        open_question: What `loss=lm` asks in few-shot learning, with `{question}` for the data set's question, to be
            answered in its `sentence`; None for the questions and answers of the test.
        clip_text: What `loss=clip` matches an image with: the `mean` of all prompts of its class, or `one` text a time:
            the image's caption where the data set has captions, else a prompt drawn anew.
        augment: Random changes to the images of `loss=clip`; None for none.
        drop_last: Leave an epoch's last batch out where it is not full, unless it is the only one.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    accumulation_steps: PositiveInt
    learning_rate: PositiveFloat
    encoder_learning_rate: PositiveFloat | None
    minimum_learning_rate: NonNegativeFloat
    schedule: Literal["cosine", "constant", "reference"]
    warmup_fraction: Fraction
    optimizer: Literal["adamw", "adam"]
    betas: tuple[OpenFraction, OpenFraction]
    weight_decay: NonNegativeFloat
    max_gradient_norm: PositiveFloat | None
    gradient_checkpointing: Switch
    importance_examples: PositiveInt | None
    open_question: OpenQuestion | None = None
    clip_text: Literal["mean", "one"] = "mean"
    augment: AugmentConfig | None = None
    drop_last: Switch = False

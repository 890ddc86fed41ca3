"""A LLaVA model and, where there is one, the CLIP model around the image encoder that both share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    CLIPModel,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils.generic import ModelOutput

from ablate.config.errors import ConfigError
from ablate.config.schema import ImageAspect
from ablate.models.encoders import SequenceEncoderConfig
from ablate.models.encoders.preprocessing import normalisation, padded, resized


@dataclass(frozen=True)
class EncodedImages:
    """What one pass of the image encoder gives.

    Attributes:
        tokens: `[images, n_image_tokens, language_width]`, as the language model reads them.
        pooled: `[images, width]`, as CLIP projects them; None where the encoder does not pool.
    """

    tokens: Tensor
    pooled: Tensor | None


class VisionLanguageModel(nn.Module):
    """LLaVA and CLIP on one image encoder: training the encoder moves both.

    Attributes:
        llava: The vision-language model; answers questions.
        clip: The contrastive model; `clip.vision_model` is LLaVA's vision tower, the same module. None where LLaVA has
            another encoder than a CLIP's.
        tokenizer: The language model's tokenizer.
        clip_tokenizer: The CLIP text tower's tokenizer; None without it.
        image_processor: The encoder's own PIL preprocessing.
        prompt: Conversation with `<image>` and `{question}` in it.
        image_aspect: Whether an image that is not square is padded before that preprocessing.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        llava: LlavaForConditionalGeneration,
        clip: CLIPModel | None,
        tokenizer: PreTrainedTokenizerBase,
        clip_tokenizer: PreTrainedTokenizerBase | None,
        image_processor: BaseImageProcessor,
        prompt: str,
        image_aspect: ImageAspect = "crop",
    ) -> None:
        """Join the two models: CLIP's own vision tower is replaced by LLaVA's."""
        super().__init__()
        self.llava = llava
        self.clip = clip
        if clip is not None:
            clip.vision_model = llava.model.vision_tower
        self.tokenizer = tokenizer
        self.clip_tokenizer = clip_tokenizer
        self.image_processor = image_processor
        self.prompt = prompt
        self.image_aspect = image_aspect
        mean, std = normalisation(image_processor)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        is_wanted: Tensor | None = None,
        pixels: Tensor | None = None,
    ) -> Tensor:
        """Compute what a loss is made of: the language model's logits or, without tokens, CLIP's image embeddings.

        Args:
            input_ids: `[batch, longest]`, one id for every image token, padded on the right; None for CLIP.
            attention_mask: int64 `[batch, longest]`, 1 where a token is real.
            is_wanted: bool `[batch, longest]`, the positions whose logits are computed: a few answer tokens instead
                of hundreds of image tokens.
            pixels: uint8 `[images, 3, height, width]`, one for each row with image tokens, in the order of the rows.

        Returns:
            `[wanted, vocabulary]` logits, or unit vectors `[images, width]`.
        """
        pixel_values = None if pixels is None else self.normalise(pixels)
        if input_ids is None:
            if pixel_values is None:
                raise ValueError("give input_ids or pixels")
            return self.clip_image_features(pixel_values)
        hidden = self.llava.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            use_cache=False,
        ).last_hidden_state
        return cast("Tensor", self.llava.lm_head(hidden[is_wanted]))

    @property
    def vision_tower(self) -> nn.Module:
        """The image encoder that LLaVA and CLIP share."""
        return cast("nn.Module", self.llava.model.vision_tower)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.llava.device

    @property
    def vision_config(self) -> PreTrainedConfig:
        """The image encoder's own configuration."""
        return cast("PreTrainedConfig", self.llava.config.vision_config)

    @property
    def patch_size_px(self) -> int:
        """Side of the square that one image token stands for."""
        return int(self.vision_config.patch_size)

    @property
    def n_image_tokens(self) -> int:
        """Tokens that one image takes in the language model's input."""
        vision = self.vision_config
        if isinstance(vision, SequenceEncoderConfig):
            return vision.n_tokens
        # CLIP has a position for its class token, SigLIP has no such token.
        positions = self.vision_tower.get_submodule("embeddings.position_embedding")
        drops_first = self.llava.config.vision_feature_select_strategy == "default"
        return int(cast("nn.Embedding", positions).num_embeddings - drops_first)

    @property
    def n_blocks_read(self) -> int:
        """Encoder blocks that LLaVA's features come through; -2 leaves the last one out.

        Raises:
            ConfigError: If the encoder is not one stack of attention blocks.
        """
        vision = self.vision_config
        if isinstance(vision, SequenceEncoderConfig):
            if vision.n_blocks_read is None:
                raise ConfigError(
                    f"The image encoder has {vision.n_attention_stacks} stacks of attention blocks; a method that "
                    f"adapts blocks needs exactly 1. Fix: method=full or method=frozen, or another encoder."
                )
            return vision.n_blocks_read
        n_blocks = int(vision.num_hidden_layers)
        layers = self.llava.config.vision_feature_layer
        layers = [layers] if isinstance(layers, int) else layers
        return max(layer if layer >= 0 else n_blocks + 1 + layer for layer in layers)

    def resize(self, images: Sequence[Image.Image]) -> Tensor:
        """Resize and crop images as the encoder expects, without normalising.

        Returns:
            uint8 `[n, 3, height, width]` on the CPU.
        """
        if self.image_aspect == "pad":
            colour = self.mean_colour
            images = [padded(image, colour) for image in images]
        return resized(self.image_processor, images)

    @property
    def mean_colour(self) -> tuple[int, int, int]:
        """The colour whose normalised pixels are about 0, as LLaVA rounds it: down."""
        red, green, blue = (int(value * 255) for value in normalisation(self.image_processor)[0])
        return red, green, blue

    @property
    def preprocessing(self) -> str:
        """What the pixels of `resize` depend on beside the image."""
        return f"{self.image_processor.to_json_string()} {self.image_aspect}"

    def normalise(self, pixels: Tensor) -> Tensor:
        """Move uint8 pixels `[n, 3, height, width]` to the model's device and normalise them.

        To a GPU they go as bytes, a quarter of what floats would take, from page-locked memory, without waiting.
        """
        if self.device.type == "cuda" and not pixels.is_cuda:
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        scaled = pixels.to(self.device).to(torch.float32) / 255.0
        return (scaled - self.pixel_mean) / self.pixel_std

    def prompt_ids(self, question: str, with_image: bool = True) -> list[int]:
        """Encode the conversation up to where the answer begins, one id for every image token.

        Args:
            question: The question.
            with_image: False leaves `<image>` and the space or newline behind it out.
        """
        text = self._conversation(question, self.n_image_tokens if with_image else 0)
        return list(self.tokenizer(text)["input_ids"])

    def answer_ids(self, question: str, answer: str, with_image: bool = True) -> list[int]:
        """Encode `answer` as it continues the prompt of `question`, without an end token."""
        text = self._conversation(question, int(with_image))
        whole = list(self.tokenizer(f"{text} {answer}")["input_ids"])
        return whole[len(self.tokenizer(text)["input_ids"]) :]

    def _conversation(self, question: str, n_image_tokens: int) -> str:
        """Fill the prompt with a question and `n_image_tokens` image tokens."""
        if n_image_tokens:
            image = self.tokenizer.convert_ids_to_tokens([self.llava.config.image_token_id])
            prompt = self.prompt.replace("<image>", "".join(image) * n_image_tokens)
        else:
            prompt = re.sub(r"<image>\s?", "", self.prompt)
        return prompt.replace("{question}", question)

    def encode_images(self, pixel_values: Tensor) -> EncodedImages:
        """Pass images through the image encoder once, for the language model and for CLIP.

        Args:
            pixel_values: Normalised `[batch, 3, height, width]`.
        """
        pooled: list[Tensor | None] = []

        def keep(_module: nn.Module, _inputs: object, outputs: ModelOutput) -> None:
            # LLaVA overwrites it with what the projector makes of the hidden states.
            pooled.append(outputs.get("pooler_output"))

        hook = self.vision_tower.register_forward_hook(keep)
        try:
            outputs = self.llava.get_image_features(pixel_values=pixel_values)
        finally:
            hook.remove()
        return EncodedImages(torch.stack(tuple(outputs.pooler_output)), pooled[0])

    def image_tokens(self, pixel_values: Tensor) -> Tensor:
        """Return the tokens of `encode_images` alone."""
        return self.encode_images(pixel_values).tokens

    @property
    def clip_scale(self) -> Tensor:
        """CLIP's factor on the similarity of image and text, a scalar without gradient."""
        return self._contrastive[0].logit_scale.detach().exp()

    def clip_image_features(self, pixel_values: Tensor) -> Tensor:
        """Embed normalised images `[batch, 3, height, width]` as unit vectors `[batch, width]`.

        Raises:
            RuntimeError: If there is no CLIP model around the encoder.
        """
        clip, _ = self._contrastive
        return self.clip_project(clip.vision_model(pixel_values=pixel_values).pooler_output)

    def clip_project(self, pooled: Tensor) -> Tensor:
        """Project the encoder's pooled output `[batch, width]` to unit vectors `[batch, width]`.

        Raises:
            RuntimeError: If there is no CLIP model around the encoder.
        """
        clip, _ = self._contrastive
        return functional.normalize(clip.visual_projection(pooled), dim=-1)

    def clip_text_features(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as unit vectors `[n, width]`.

        Raises:
            RuntimeError: If there is no CLIP model around the encoder.
        """
        clip, tokenizer = self._contrastive
        tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(
            self.device
        )
        pooled = clip.text_model(**tokens).pooler_output
        return functional.normalize(clip.text_projection(pooled), dim=-1)

    @property
    def _contrastive(self) -> tuple[CLIPModel, PreTrainedTokenizerBase]:
        if self.clip is None or self.clip_tokenizer is None:
            raise RuntimeError(
                "this model has no CLIP around its image encoder, so no CLIP features"
            )
        return self.clip, self.clip_tokenizer

"""Pixels in, a sequence of features out: any vision model of transformers, several of them, or raw patches."""

import inspect
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ablate.models.encoders.configuration import SequenceEncoderConfig

_POOLERS = ("head", "pooler")


class SequenceEncoder(PreTrainedModel):
    """An image encoder in LLaVA's place for it, with `vision_feature_layer=-1` and the strategy `full`.

    Attributes:
        parts: The vision models, whole but for what pools their features; empty for raw patches.
    """

    config: SequenceEncoderConfig
    config_class = SequenceEncoderConfig
    main_input_name = "pixel_values"
    base_model_prefix = "encoder"
    input_modalities = "image"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: SequenceEncoderConfig) -> None:
        """Build the parts with random weights."""
        super().__init__(config)
        self.parts = nn.ModuleList([build_part(part["config"]) for part in self._settings])
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def layers_to_train(self) -> dict[str, nn.Module]:
        """Every layer that has weights of its own, by its path, from the pixels on; none for raw patches."""
        return {
            path: module
            for path, module in self.named_modules()
            if next(module.parameters(recurse=False), None) is not None
        }

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; a BatchNorm that is not trained keeps its statistics either way.

        Else a frozen convolutional encoder would drift with every batch that passes through it.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm) and not is_trained(module):
                module.eval()
        return self

    def forward(
        self, pixel_values: Tensor, return_dict: bool = True, **kwargs: object
    ) -> BaseModelOutputWithPooling | tuple[Any, ...]:
        """Encode images.

        Args:
            pixel_values: `[batch, 3, image_size, image_size]`, normalised as the first part wants it.
            return_dict: False for a tuple.
            kwargs: What LLaVA passes to any encoder, such as which hidden states it wants; there is one here.

        Returns:
            The features `[batch, n_tokens, hidden_size]`, as `last_hidden_state` and as the only hidden state.
        """
        del kwargs
        if len(self.parts):
            sequences = [
                part_features(
                    part,
                    self._normalised_for(own, pixel_values),
                    own["layer"],
                    own["prefix_tokens"],
                )
                for part, own in zip(self.parts, self._settings, strict=True)
            ]
            features = torch.cat(sequences, dim=-1)
        else:
            features = raw_patches(pixel_values, self.config.patch_size)
        output = BaseModelOutputWithPooling(last_hidden_state=features, hidden_states=(features,))
        return output if return_dict else output.to_tuple()

    @property
    def _settings(self) -> list[dict[str, Any]]:
        """What the configuration says of each part."""
        return self.config.parts or []

    def _normalised_for(self, own: dict[str, Any], pixel_values: Tensor) -> Tensor:
        """Turn pixels that are normalised for the first part into pixels that are normalised for another."""
        first = self._settings[0]
        if all(first[name] == own[name] for name in ("pixel_mean", "pixel_std")):
            return pixel_values

        def channels(values: list[float]) -> Tensor:
            return pixel_values.new_tensor(values).view(1, 3, 1, 1)

        pixels = pixel_values * channels(first["pixel_std"]) + channels(first["pixel_mean"])
        return (pixels - channels(own["pixel_mean"])) / channels(own["pixel_std"])


def build_part(config: dict[str, Any]) -> PreTrainedModel:
    """Build one vision model with random weights from its configuration, without what pools its features."""
    part: PreTrainedModel = AutoModel.from_config(
        AutoConfig.for_model(**config), trust_remote_code=False
    )
    return without_pooler(part)


def without_pooler(part: PreTrainedModel) -> PreTrainedModel:
    """Take the layers out of a vision model that pool its features: a sequence never passes them."""
    for name in _POOLERS:
        pooler = getattr(part, name, None)
        if isinstance(pooler, nn.Module) and next(pooler.parameters(), None) is not None:
            setattr(part, name, nn.Identity())
    return part


def part_features(part: nn.Module, pixel_values: Tensor, layer: int, prefix_tokens: int) -> Tensor:
    """Encode images by one vision model.

    Args:
        part: A vision model of transformers.
        pixel_values: `[batch, 3, height, width]`, normalised for this model.
        layer: Hidden state that is read.
        prefix_tokens: Tokens left out in front.

    Returns:
        `[batch, tokens, width]`; a feature map is read row by row.
    """
    hidden_states = hidden_states_of(part, pixel_values, layer or True)
    return as_sequence(hidden_states[layer])[:, prefix_tokens:]


def hidden_states_of(
    part: nn.Module, pixel_values: Tensor, wanted: int | bool
) -> tuple[Tensor, ...]:
    """Return the hidden states of a vision model; given a number, all but that one may be None."""
    options: dict[str, Any] = {"output_hidden_states": wanted}
    config = part.config
    # Learned positions are for one image size: at another the model interpolates them, if told to.
    if "interpolate_pos_encoding" in inspect.signature(part.forward).parameters:
        side = pixel_values.shape[-1]
        options["interpolate_pos_encoding"] = getattr(config, "image_size", side) != side
    hidden_states: tuple[Tensor, ...] = part(pixel_values, **options).hidden_states
    return hidden_states


def as_sequence(hidden_state: Tensor) -> Tensor:
    """Turn a feature map `[batch, width, rows, columns]` into `[batch, rows * columns, width]`; a sequence is one."""
    if hidden_state.dim() == 4:
        return hidden_state.flatten(2).transpose(1, 2)
    return hidden_state


def raw_patches(pixel_values: Tensor, patch_size: int) -> Tensor:
    """Cut images into patches `[batch, tokens, 3 * patch_size ** 2]`, row by row."""
    return functional.unfold(pixel_values, patch_size, stride=patch_size).transpose(1, 2)


def is_trained(module: nn.Module) -> bool:
    """Tell whether a module has a parameter that requires a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())

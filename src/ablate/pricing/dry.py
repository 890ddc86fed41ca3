"""A model for nothing: a skeleton hollowed out, blank images, and answers of full length."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, GenerationConfig

from ablate.models.encoders.preprocessing import image_side
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.hollow import hollow, hollow_out
from ablate.pricing.meter import Meter
from ablate.pricing.thin import alike_layers


class DryModel:
    """A model that computes shapes.

    Attributes:
        vlm: Its tensors are hollow, its images blank; whatever it generates has full length.
    """

    def __init__(self, vlm: VisionLanguageModel) -> None:
        """Hollow a model out.

        Args:
            vlm: A model of one's own on `meta`, such as `without_content` copies; with or without an adapter.
        """
        hollow_out(vlm)
        self.vlm = vlm
        side = image_side(vlm.image_processor)

        def resize(images: Sequence[Image.Image]) -> Tensor:
            return hollow(len(images), 3, side, side, dtype=torch.uint8)

        # On the instances: an adapter may be around the model, and a run's code calls these two.
        cast("Any", vlm).resize = resize
        cast("Any", vlm.llava).generate = self._generate
        self._meter: Meter | None = None
        layers = alike_layers(vlm)
        self._times = 1 if layers is None else layers.times
        self._absent_bytes = 0 if layers is None else layers.absent_bytes
        if layers is not None:
            layers.watch(lambda: self._meter)

    @property
    def weight_bytes(self) -> int:
        """Parameters and buffers, those of an adapter among them."""
        return self._absent_bytes + tensor_bytes([*self.vlm.parameters(), *self.vlm.buffers()])

    @contextmanager
    def metered(self, beside: Iterable[Tensor] = ()) -> Iterator[Meter]:
        """Count what the block takes, the model's own tensors and those `beside` it being there already."""
        there = [*self.vlm.parameters(), *self.vlm.buffers(), *beside]
        with Meter(there, self._absent_bytes) as self._meter:
            yield self._meter
        self._meter = None

    def _generate(
        self, inputs_embeds: Tensor, attention_mask: Tensor, generation_config: GenerationConfig
    ) -> Tensor:
        """Generate as many tokens as are allowed: the prompt, and one pass for every further token.

        Passes differ by the number of keys they look at, on which operations depend linearly: the first and the last
        one stand for all.
        """
        n_prompts, length = attention_mask.shape
        n_passes = int(generation_config.max_new_tokens or 1) - 1
        cache = DynamicCache()
        self._next_token(cache, length, inputs_embeds=inputs_embeds)
        if n_passes and self._meter is not None:
            ids = torch.zeros(n_prompts, 1, dtype=torch.int64)
            with self._meter.times(n_passes / 2):
                self._next_token(cache, length + 1, input_ids=ids)
            shapes = _shapes(cache)
            del cache
            full = _filled(shapes, length + n_passes - 1)
            if self._times > 1:
                for tensor in _states(full)[1]:
                    self._meter.weigh(tensor, self._times)
            with self._meter.times(n_passes / 2):
                self._next_token(full, length + n_passes, input_ids=ids)
            language = self.vlm.llava.model.language_model.parameters()
            one_word = tensor_bytes([*language, self.vlm.llava.lm_head.weight])
            self._meter.read_bytes += n_passes * (one_word + self._absent_bytes)
        return torch.zeros(n_prompts, n_passes + 1, dtype=torch.int64)

    def _next_token(self, cache: DynamicCache, length: int, **given: Tensor) -> None:
        language_model: Any = self.vlm.llava.model.language_model
        (inputs,) = given.values()
        hidden = language_model(
            **given,
            attention_mask=torch.ones(len(inputs), length, dtype=torch.int64),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        self.vlm.llava.lm_head(hidden[:, -1:])


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Add up the bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _shapes(cache: DynamicCache) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Return shape and type of every layer's keys."""
    return [(tuple(keys.shape), keys.dtype) for keys, _ in _states(cache)]


def _states(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Return every layer's keys and values."""
    # transformers types them as optional: they are None before the first pass.
    return [(layer.keys, layer.values) for layer in cast("list[Any]", cache.layers)]


def _filled(shapes: list[tuple[tuple[int, ...], torch.dtype]], length: int) -> DynamicCache:
    """Return keys and values of `length` tokens."""
    # One by one: the cache copies them.
    layers = (
        tuple(hollow(*size[:2], length, size[3], dtype=dtype) for _ in range(2))
        for size, dtype in shapes
    )
    return DynamicCache(layers)

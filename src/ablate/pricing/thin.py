"""A deep frozen language model as three of its layers: the first, one that stands for all between, and the last."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.meter import Meter

# Fewer are not worth it.
_DEEP = 8


class AlikeLayers(nn.ModuleList):
    """Three layers in the place of many.

    What is alive at once is the most while the first or the last one computes, in a forward pass as in a backward
    pass; those are there. The one between counts as often as it stands for one.

    Attributes:
        times: Layers that the one between stands for.
        absent_bytes: Those of the weights that are not there.
    """

    def __init__(
        self, layers: Iterable[nn.Module] | None = None, times: int = 1, absent_bytes: int = 0
    ) -> None:
        """Hold layers; without `times`, as a slice of others is made, each stands for itself."""
        super().__init__(layers)
        self.times, self.absent_bytes = times, absent_bytes

    def watch(self, meter_now: Callable[[], Meter | None]) -> None:
        """Tell a meter when the layer between computes.

        Args:
            meter_now: Returns the meter that counts, if one does.
        """
        watch = _Watch(self.times, meter_now)
        self[1].register_forward_pre_hook(watch.before)
        self[1].register_forward_hook(watch.after)
        self[2].register_forward_pre_hook(watch.before_last)


class _Watch:
    """The hooks around the layer between, and its place in the backward pass."""

    def __init__(self, times: int, meter_now: Callable[[], Meter | None]) -> None:
        self._times, self._meter_now = times, meter_now
        self._given: Callable[[], Tensor | None] = lambda: None

    def before(self, _layer: nn.Module, given: tuple[Any, ...]) -> None:
        meter = self._meter_now()
        if meter is None:
            return
        (hidden, *_) = given
        self._given = weakref.ref(hidden)
        if hidden.requires_grad:
            hidden.register_hook(lambda _: meter.leave())
        meter.enter(self._times)

    def after(self, _layer: nn.Module, _given: tuple[Any, ...], made: Any) -> None:  # noqa: ANN401  # a layer's
        meter = self._meter_now()
        if meter is None:
            return
        hidden = made[0] if isinstance(made, tuple) else made
        meter.leave()
        meter.settle(self._times, hidden)
        if hidden.requires_grad:
            hidden.register_hook(lambda _: meter.enter(self._times))

    def before_last(self, _layer: nn.Module, _given: tuple[Any, ...]) -> None:
        """Count what the layer between was given as often as it is kept: for the backward pass, or not at all."""
        meter, hidden = self._meter_now(), self._given()
        if meter is not None and hidden is not None:
            meter.weigh(hidden, self._times)


def thinned(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Copy a model on `meta` with three layers of its language model, if all of these are alike.

    Args:
        vlm: The model; no layer of its language model is going to be trained or adapted.

    Returns:
        The copy, whose layers are `AlikeLayers`; or the model itself.
    """
    layers = getattr(vlm.llava.model.language_model, "layers", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) < _DEEP or not _are_alike(vlm, layers):
        return vlm
    absent = [
        tensor for layer in layers[2:-1] for tensor in (*layer.parameters(), *layer.buffers())
    ]
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in absent)
    language: Any = vlm.llava.model.language_model
    try:
        language.layers = AlikeLayers([layers[0], layers[1], layers[-1]], len(layers) - 2, n_bytes)
        copied = without_content(vlm)
    finally:
        language.layers = layers
    thin: Any = copied.llava.model.language_model
    thin.config.num_hidden_layers = len(thin.layers)
    for place, layer in enumerate(thin.layers):
        layer.self_attn.layer_idx = place
    return copied


def alike_layers(vlm: VisionLanguageModel) -> AlikeLayers | None:
    """Return the layers of a model that `thinned` has made; None of another one."""
    layers = getattr(vlm.llava.model.language_model, "layers", None)
    return layers if isinstance(layers, AlikeLayers) else None


def _are_alike(vlm: VisionLanguageModel, layers: nn.ModuleList) -> bool:
    """Tell whether layers differ in nothing but their weights."""
    config = vlm.llava.model.language_model.config
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    described = {
        (
            str(layer),
            *((name, tensor.shape, tensor.dtype) for name, tensor in layer.named_parameters()),
        )
        for layer in layers
    }
    has_place = all(hasattr(getattr(layer, "self_attn", None), "layer_idx") for layer in layers)
    return has_place and len({*kinds}) == 1 and len(described) == 1

"""From a method's configuration to the method."""

from collections.abc import Callable
from typing import Any

from ablate.config.errors import ConfigError
from ablate.config.schema import (
    AdaloraMethod,
    DoraMethod,
    EwcMethod,
    FrozenMethod,
    FullLanguageMethod,
    FullMethod,
    LayerNormMethod,
    LoraMethod,
    LorsuLMethod,
    LorsuMethod,
    LossName,
    MethodConfig,
    SpuMethod,
)
from ablate.methods.adalora import Adalora
from ablate.methods.base import Method
from ablate.methods.ewc import Ewc
from ablate.methods.frozen import Frozen
from ablate.methods.full import Full
from ablate.methods.layernorm import LayerNorm
from ablate.methods.lora import Lora
from ablate.methods.lorsu.method import Lorsu
from ablate.methods.lorsu_l import LorsuL
from ablate.methods.spu import Spu

_METHODS: dict[type[Any], Callable[[Any, LossName], Method]] = {
    FrozenMethod: lambda _config, _loss: Frozen(),
    FullMethod: lambda config, _: Full("encoder", config.learning_rate_scale),
    FullLanguageMethod: lambda config, _: Full("language_model", config.learning_rate_scale),
    EwcMethod: Ewc,
    LayerNormMethod: lambda config, _: LayerNorm("encoder", config.learning_rate_scale),
    LoraMethod: lambda config, _: Lora(config, weight_decomposed=False),
    DoraMethod: lambda config, _: Lora(config, weight_decomposed=True),
    AdaloraMethod: lambda config, _: Adalora(config),
    SpuMethod: Spu,
    LorsuMethod: Lorsu,
    LorsuLMethod: lambda config, _: LorsuL(config),
}


def build_method(config: MethodConfig, loss: LossName) -> Method:
    """Return the method that a configuration describes, as trained with a loss."""
    return _METHODS[type(config)](config, loss)


def check_method(config: MethodConfig, loss: LossName, key: str = "method") -> None:
    """Check a method against the loss, before a model is loaded.

    Args:
        config: The method.
        loss: What it is trained on.
        key: The configuration key that it is given in, for the error's text.

    Raises:
        ConfigError: If it trains nothing, or something that the loss never passes through.
    """
    behind_encoder = isinstance(config, LorsuLMethod | FullLanguageMethod)
    if isinstance(config, LoraMethod):
        targets = config.target_modules
        behind_encoder = bool(targets.projector or targets.language_model)
        if not (behind_encoder or targets.encoder):
            raise ConfigError(
                f"{key}.target_modules of method '{config.name}' names no layer to train. "
                f"Fix: {key}.target_modules.{'encoder' if key == 'method' else 'language_model'}=[q_proj,v_proj]."
            )
    by_loss = {LorsuMethod: "variants", SpuMethod: "blocks"}.get(type(config))
    if by_loss is not None and loss not in (given := getattr(config, by_loss)):
        raise ConfigError(
            f"loss is '{loss}', but {key}.{by_loss} says nothing of it; given: {', '.join(given) or 'none'}. "
            f"Fix: add {key}.{by_loss}.{loss}, as the shipped configuration of '{config.name}' has it."
        )
    if behind_encoder and loss == "clip":
        raise ConfigError(
            f"method '{config.name}' trains weights behind the image encoder, which loss=clip never "
            "reaches; allowed: loss=lm. Fix: loss=lm."
        )

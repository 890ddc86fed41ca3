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
    PeftTunerMethod,
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
from ablate.methods.peft_tuner import PeftTuner
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
    PeftTunerMethod: lambda config, _: PeftTuner(config),
    SpuMethod: Spu,
    LorsuMethod: Lorsu,
    LorsuLMethod: lambda config, _: LorsuL(config),
}
# What a configuration says for each loss.
_BY_LOSS = ("variants", "blocks", "fisher_batch_size")
_BEHIND_ENCODER = {"projector", "language_model"}


def build_method(config: MethodConfig, loss: LossName, key: str = "method") -> Method:
    """Return the method that a configuration describes, as trained with a loss.

    Args:
        config: The method.
        loss: What it is trained on.
        key: The configuration key that it is given in, for the error's text.

    Raises:
        ConfigError: If the configuration lacks a value that it needs for the loss.
    """
    for field in _BY_LOSS:
        given = getattr(config, field, None)
        if isinstance(given, dict) and loss not in given:
            raise ConfigError(
                f"loss is '{loss}', but {key}.{field} has no value for it; given: {', '.join(given) or 'none'}. "
                f"Fix: add {key}.{field}.{loss}, as the shipped configuration of '{config.name}' has it."
            )
    return _METHODS[type(config)](config, loss)


def check_method(config: MethodConfig, loss: LossName, key: str = "method") -> None:
    """Check a method against the loss, before a model is loaded.

    Args:
        config: The method.
        loss: What it is trained on.
        key: The configuration key that it is given in, for the error's text.

    Raises:
        ConfigError: If it trains nothing, or something that the loss does not depend on.
    """
    method = build_method(config, loss, key)
    method.check(key)
    if loss == "clip" and method.parts() & _BEHIND_ENCODER:
        raise ConfigError(
            f"method '{config.name}' trains weights after the image encoder, on which loss=clip does "
            "not depend; allowed: loss=lm. Fix: loss=lm."
        )

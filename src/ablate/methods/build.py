"""From a method's configuration to the method."""

from collections.abc import Callable
from typing import Any

from ablate.config.schema import (
    FrozenMethod,
    LoraMethod,
    LorsuMethod,
    LossName,
    MethodConfig,
)
from ablate.methods.base import Method
from ablate.methods.frozen import Frozen
from ablate.methods.lora import Lora
from ablate.methods.lorsu.method import Lorsu

_METHODS: dict[type[Any], Callable[[Any, LossName], Method]] = {
    FrozenMethod: lambda config, _: Frozen(config),
    LoraMethod: lambda config, _: Lora(config),
    LorsuMethod: Lorsu,
}


def build_method(config: MethodConfig, loss: LossName) -> Method:
    """Return the method that a configuration describes, as trained with a loss."""
    return _METHODS[type(config)](config, loss)

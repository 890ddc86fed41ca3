"""A method, in either of the two ways to describe one: by its name, or as a tuner of peft with options."""

from collections.abc import Mapping
from typing import Annotated, get_args, get_type_hints

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED, Rank
from ablate.config.schema.methods import (
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
    SpuMethod,
    TargetModules,
    TrainedMethod,
)

OptionValue = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str | None


@dataclass(frozen=True, config=CLOSED)
class PeftTunerMethod(TrainedMethod):
    """Any method of peft that wraps linear layers and can be merged into them, with peft's own options.

    Attributes:
        name: Its name in the tables; not that of a method above.
        peft_type: What peft calls it, such as `LOHA`.
        rank: Its `r`; None for one without, or for peft's default.
        target_modules: The layers that are updated.
        options: Further fields of peft's configuration of it, by name.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    peft_type: Annotated[str, Field(pattern=r"^[A-Z0-9_]+$")]
    rank: Rank | None
    target_modules: TargetModules
    options: dict[str, OptionValue | tuple[OptionValue, ...]]


_NamedMethod = (
    FrozenMethod
    | FullMethod
    | FullLanguageMethod
    | EwcMethod
    | LayerNormMethod
    | LoraMethod
    | DoraMethod
    | AdaloraMethod
    | SpuMethod
    | LorsuMethod
    | LorsuLMethod
)

METHOD_NAMES = frozenset(
    name for kind in get_args(_NamedMethod) for name in get_args(get_type_hints(kind)["name"])
)
"""Names that say by themselves which method they are of."""

NAMED, TUNER = "a method by name", "a method of peft"
"""The two ways to describe a method; not keys of a configuration."""


def _description(method: object) -> str:
    """Tell which of the two ways a method is described in, as a mapping or as a dataclass."""
    is_tuner = (
        "peft_type" in method if isinstance(method, Mapping) else hasattr(method, "peft_type")
    )
    return TUNER if is_tuner else NAMED


MethodConfig = Annotated[
    Annotated[Annotated[_NamedMethod, Field(discriminator="name")], Tag(NAMED)]
    | Annotated[PeftTunerMethod, Tag(TUNER)],
    Discriminator(_description),
]

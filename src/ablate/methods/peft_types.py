"""Which of peft's methods the runner can train, and with which of their options."""

import contextlib
import dataclasses
import io
import os
import typing
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from ablate.config.errors import ConfigError, unknown

# What needs more of the runner than an adapter's does: a method here is made of it.
_OWN = {"ADALORA": "adalora", "LORSU": "lorsu"}
# What the runner or another key of the method sets, what would train or load something besides the targeted layers, and
# what acts only in ways to train that the runner does not have.
_NOT_OPTIONS = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "exclude_modules",
        "inference_mode",
        "layer_replication",
        "layers_pattern",
        "layers_to_transform",
        "megatron_config",
        "megatron_core",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "progressbar",
        "r",
        "revision",
        "target_modules",
        "target_parameters",
        "task_type",
        "trainable_token_indices",
        "use_asa",
    }
)
# Where peft starts LoRA from what layers see, in passes over data that the runner does not make.
_STARTS_FROM_DATA = ("eva", "corda")
# Wide enough for the block sizes and vector lengths that peft's methods have by default.
_PROBE_WIDTH = 256
# What peft requires and has no default for.
_PROBE_OPTIONS: dict[str, Any] = {"feedforward_modules": []}


def config_class(peft_type: str, key: str = "method") -> Any:  # noqa: ANN401
    """Return peft's configuration class of a method that the runner can train.

    Args:
        peft_type: Its name in peft, such as `LOHA`.
        key: The configuration key of the method, for the error's text.

    Raises:
        ConfigError: If there is no such method, or if it wraps no layers or cannot be merged into them.
    """
    if peft_type not in _names():
        raise unknown(f"{key}.peft_type", peft_type, usable_types())
    reason = refusal(peft_type)
    if reason is not None:
        raise ConfigError(
            f"{key}.peft_type is {peft_type}, {reason}; allowed: {', '.join(usable_types())}. "
            f"Fix: method={_OWN.get(peft_type, 'lora')}."
        )
    kind: Any = peft_type
    return PEFT_TYPE_TO_CONFIG_MAPPING[kind]


def usable_types() -> list[str]:
    """Return the names of all methods of peft that the runner can train."""
    return sorted(kind for kind in _names() if refusal(kind) is None)


@lru_cache
def refusal(peft_type: str) -> str | None:
    """Say why the runner cannot train a method of peft, or None if it can.

    A method passes if peft can wrap a linear layer with it, compute, and merge it, which is tried on a small one.
    """
    kind: Any = peft_type
    config_type: Any = PEFT_TYPE_TO_CONFIG_MAPPING[kind]
    tuner = PEFT_TYPE_TO_TUNER_MAPPING.get(kind)
    if peft_type in _OWN:
        return f"which needs more than an adapter and is method '{_OWN[peft_type]}' here"
    if not (isinstance(tuner, type) and issubclass(tuner, BaseTuner)) or not _has(
        config_type, "target_modules"
    ):
        return "which wraps no layers that it could be merged into"
    model = nn.Sequential(nn.Linear(_PROBE_WIDTH, _PROBE_WIDTH))
    options = {name: value for name, value in _PROBE_OPTIONS.items() if _has(config_type, name)}
    try:
        with quiet():
            adapted = get_peft_model(model, config_type(target_modules=["0"], **options))
            adapted(torch.ones(1, _PROBE_WIDTH))
            adapted.merge_and_unload()
    except Exception as error:  # whatever peft raises says that it cannot
        return f"which peft cannot put on a linear layer and merge ({first_line(error)})"
    return None


def check_options(config_type: type[PeftConfig], options: Mapping[str, Any], key: str) -> None:
    """Check options against the fields of peft's configuration class and their types.

    Raises:
        ConfigError: If there is no such option, if the runner sets it, or if its value is of another type or needs
            what the runner does not do.
    """
    allowed = [
        field.name for field in dataclasses.fields(config_type) if field.name not in _NOT_OPTIONS
    ]
    hints = typing.get_type_hints(config_type)
    for name, value in options.items():
        if name in _NOT_OPTIONS:
            other = {"r": "rank", "target_modules": "target_modules"}.get(name)
            raise ConfigError(
                f"{key}.options.{name} is given, but it cannot be set as an option; allowed: {', '.join(allowed)}. "
                f"Fix: {f'{key}.{other}=...' if other else f'leave {name} out'}."
            )
        if name not in allowed:
            raise unknown(f"option in {key}.options", name, allowed)
        if name == "init_lora_weights" and value in _STARTS_FROM_DATA:
            raise ConfigError(
                f"{key}.options.{name} is '{value}', which starts from what the layers see in a pass over data that "
                "the runner does not make; allowed: starts without data, such as true, gaussian, pissa, olora. "
                f"Fix: {key}.options.{name}=true."
            )
        adapter: TypeAdapter[Any] = TypeAdapter(
            hints[name], config=ConfigDict(arbitrary_types_allowed=True)
        )
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            wanted = " or ".join(
                dict.fromkeys(
                    detail["msg"].removeprefix("Input should be ") for detail in error.errors()
                )
            )
            raise ConfigError(
                f"{key}.options.{name} is {value!r}; allowed: {wanted}. Fix: give it such a value."
            ) from error


def seed_fields(config_type: type[PeftConfig]) -> list[str]:
    """Return the fields that seed what a method draws by itself, such as projections that are not trained."""
    return [
        field.name
        for field in dataclasses.fields(config_type)
        if field.name.endswith(("seed", "prng_key"))
    ]


def has_rank(config_type: type[PeftConfig]) -> bool:
    """Tell whether a method has a rank `r`."""
    return _has(config_type, "r")


def has_progress_bar(config_type: type[PeftConfig]) -> bool:
    """Tell whether a method shows a bar of its own while it is attached."""
    return _has(config_type, "progressbar")


def needs_content(error: Exception) -> bool:
    """Tell whether something of peft failed only because a model on `meta` has shapes and no weights."""
    return isinstance(error, NotImplementedError) or "meta" in str(error)


def first_line(error: Exception) -> str:
    """Return the first line of what peft says, without a full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Try something of peft silently and without drawing from torch's generator."""
    with (
        own_compilers(),
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def own_compilers() -> Iterator[None]:
    """Put back what names the compilers of torch: peft's BOFT leaves `CXX=gcc`, which links no C++, behind."""
    names = ("CC", "CXX")
    given = {name: os.environ[name] for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(given)


def _names() -> list[str]:
    return [str(getattr(kind, "value", kind)) for kind in PEFT_TYPE_TO_CONFIG_MAPPING]


def _has(config_type: type[PeftConfig], name: str) -> bool:
    return name in {field.name for field in dataclasses.fields(config_type)}

"""The weights of a model, read by transformers: all of them, and nothing else."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    CLIPModel,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)

from ablate.config.errors import ConfigError
from ablate.models.files import is_finite, locate, tensor_shapes, weight_files
from ablate.models.hub import unavailable
from ablate.models.options import keep_gradients
from ablate.models.pretrained import SAVE_AGAIN, quiet_transformers
from ablate.models.settings import readable

_STATISTICS = ("running_mean", "running_var")
# Constants that old files hold and models now compute.
_CONSTANTS = re.compile(
    r"(^|\.)(position_ids|inv_freq|masked_bias|attn\.bias|attention\.bias|num_batches_tracked)$"
)


@dataclass(frozen=True)
class Kind:
    """A kind of model, and how its files may differ from it.

    Attributes:
        build: From a configuration to the model with random weights.
        unread: Pattern of parameters that nothing reads, which its files may lack.
        is_part: Whether its files may hold more than this model: a vision model inside a CLIP, a classifier's head.
        keys: The configuration keys that it is given in, for an error's text.
        float32: Modules that are loaded in float32: what is trained is not rounded first.
    """

    build: Callable[[Any], PreTrainedModel]
    unread: str
    is_part: bool
    keys: str
    float32: tuple[str, ...] = ()


_POOLERS = r"(head|pooler)\."
LLAVA = Kind(
    LlavaForConditionalGeneration,
    rf"^model\.vision_tower\.{_POOLERS}",
    is_part=False,
    keys="model.llava",
    float32=("vision_tower",),
)
# LLaVA's vision tower comes in the place of CLIP's own.
CLIP = Kind(CLIPModel, r"^vision_model\.", is_part=False, keys="model.clip")
LANGUAGE = Kind(
    lambda config: AutoModelForCausalLM.from_config(config, trust_remote_code=False),
    r"(?!)",
    is_part=False,
    keys="model.language",
)
VISION = Kind(
    lambda config: AutoModel.from_config(config, trust_remote_code=False),
    rf"^{_POOLERS}",
    is_part=True,
    keys="encoder.parts",
)


def load_weights(
    kind: Kind,
    name: str,
    revision: str | None,
    config: PreTrainedConfig,
    dtype: torch.dtype,
    options: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    """Load a model of a kind, all of it.

    Args:
        kind: What it is.
        name: Folder or hub id.
        revision: Hub revision.
        config: Its configuration, or that of the part that is wanted.
        dtype: Type of its weights.
        options: More for `from_pretrained`: where and how to load it (`ablate.models.options`).

    Raises:
        ConfigError: If the files cannot be had, or if a weight is missing, left over, of another shape or not finite;
            the line names it.
    """
    with torch.device("meta"):
        loader: Any = type(kind.build(config))
    try:
        with _in_float32(loader, kind.float32):
            model, report = loader.from_pretrained(
                locate(name),
                config=config,
                revision=revision or "main",
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                # Without this, transformers raises and names no weight.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **options,
            )
    except OSError as error:
        if Path(locate(name)).is_dir():
            raise
        raise unavailable(name, revision, kind.keys, error) from error
    _check_report(kind, name, model, report)
    keep_gradients(model)
    for parameter_name, parameter in model.named_parameters():
        if not is_finite(parameter):
            raise ConfigError(
                f"Model '{name}' holds NaN or infinity in '{parameter_name}' as {dtype}. "
                "Fix: train or download the model again, or choose another precision."
            )
    return model


@contextmanager
def _in_float32(loader: Any, modules: tuple[str, ...]) -> Iterator[None]:  # noqa: ANN401
    """Have transformers load some modules in float32 whatever the type of the rest, as it does for its own models."""
    usual = loader._keep_in_fp32_modules_strict
    loader._keep_in_fp32_modules_strict = list(modules) or usual
    try:
        yield
    finally:
        loader._keep_in_fp32_modules_strict = usual


def skeleton(kind: Kind, name: str, config: PreTrainedConfig) -> Any:  # noqa: ANN401
    """Build a model without weights and compare it with the headers of its files.

    Raises:
        ConfigError: As `blank` and `check_headers`.
    """
    model = blank(kind, name, config)
    check_headers(kind, name, model)
    return model


def blank(kind: Kind, name: str, config: PreTrainedConfig) -> Any:  # noqa: ANN401
    """Build a model without weights, on torch's `meta` device, from its configuration alone.

    Raises:
        ConfigError: If it cannot be built.
    """
    with (
        readable(f"Model '{name}' cannot be built from its config.json", SAVE_AGAIN),
        quiet_transformers(),
        torch.device("meta"),
    ):
        model: Any = kind.build(config)
    return model.eval()


def check_headers(kind: Kind, name: str, model: Any) -> None:  # noqa: ANN401
    """Compare what `blank` built with the headers of its files.

    The names are compared as transformers renames them, by transformers: it loads tensors that have a shape and no
    content. A hub model's files are not fetched for that: they are compared when they are loaded.

    Raises:
        ConfigError: As `load_weights`, but for what is not finite.
    """
    if not Path(locate(name)).is_dir():
        return
    with (
        readable(f"Model '{name}' cannot be built from its config.json", SAVE_AGAIN),
        quiet_transformers(),
    ):
        _, report = type(model).from_pretrained(
            None,
            config=model.config,
            state_dict=_headers(name),
            device_map="meta",
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        _check_report(kind, name, model, report)


@lru_cache
def _headers(name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a local model's files by name, with shapes and no content."""
    return {
        tensor: torch.empty(shape, device="meta")
        for file in weight_files(name)
        for tensor, shape in tensor_shapes(file).items()
    }


def _check_report(kind: Kind, name: str, model: PreTrainedModel, report: Mapping[str, Any]) -> None:
    """Refuse a model whose files and configuration differ in a weight that is read."""
    trained = {parameter for parameter, _ in model.named_parameters()}
    missing = [
        f"'{key}' is missing"
        for key in sorted(report["missing_keys"])
        if (key in trained or key.endswith(_STATISTICS)) and not re.search(kind.unread, key)
    ]
    mismatched = [
        f"'{key}' is {list(given)} instead of {list(wanted)}"
        for key, given, wanted in sorted(report["mismatched_keys"], key=str)
    ]
    unexpected = [
        f"'{key}' is unexpected"
        for key in sorted(report["unexpected_keys"])
        if not _CONSTANTS.search(key) and not (kind.is_part and _is_beside(key, model))
    ]
    wrong = [*missing, *mismatched, *unexpected]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigError(
            f"The weights of model '{name}' are not those of the {type(model).__name__} in its config.json: "
            f"{', '.join(wrong[:3])}{more}. Fix: {SAVE_AGAIN}"
        )


def _is_beside(key: str, model: PreTrainedModel) -> bool:
    """Tell whether a weight is outside the vision model, such as a text tower or a classifier."""
    inner = key.removeprefix(f"{model.base_model_prefix}.")
    return inner.split(".")[0] not in dict(model.named_children()) or bool(
        re.search(rf"^{_POOLERS}", inner)
    )

"""How a language model is loaded: on which device, with which attention, in how many bits; and what that takes."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.utils.import_utils import is_flash_attn_2_available

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.compiled import check_compiler
from ablate.models.compute import Compute

_PACKS = "support_avx512bf16_for_cpu"
# What stands beside the language model in a LLaVA, and its output layer, which scores are read from.
_UNQUANTISED = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]


def check_options(model: ModelConfig, compute: Compute) -> None:
    """Check that attention and quantisation are to be had on this machine.

    Raises:
        ConfigError: If a package is missing, or device or precision do not allow it.
    """
    if model.attention == "flash_attention_2":
        if compute.device.type != "cuda" or compute.precision == "fp32":
            raise ConfigError(
                f"model.attention is 'flash_attention_2', which needs a GPU and half precision, but device is "
                f"'{compute.device}' and precision '{compute.precision}'. Fix: model.attention=sdpa."
            )
        if not is_flash_attn_2_available():
            raise ConfigError(
                "model.attention is 'flash_attention_2', but the package flash-attn (2.3.3 or later) is not installed. "
                "Fix: pip install flash-attn --no-build-isolation, or model.attention=sdpa."
            )
    if model.quantization is not None:
        if find_spec("bitsandbytes") is None:
            raise ConfigError(
                f"model.quantization is '{model.quantization}', but the package bitsandbytes is not installed. "
                "Fix: pip install 'ablate-vlm[quantization]', or model.quantization=null."
            )
        if compute.device.type not in ("cpu", "cuda"):
            raise ConfigError(
                f"model.quantization is '{model.quantization}', which needs a GPU or the CPU, but device is "
                f"'{compute.device}'. Fix: model.quantization=null."
            )
    check_compiler(model)


def language_options(model: ModelConfig, compute: Compute) -> dict[str, Any]:
    """Return what `from_pretrained` is told of a model's language model.

    Args:
        model: The model. LLaVA's image encoder keeps torch's SDPA whatever `attention` is: it has no padding, which is
            all that flash attention would spare it.
        compute: Device, and type that quantised weights compute in.
    """
    is_llava = model.language is None
    options: dict[str, Any] = {"device_map": {"": str(compute.device)}}
    if model.attention != "sdpa":
        options["attn_implementation"] = (
            {"text_config": model.attention} if is_llava else model.attention
        )
    skipped = _UNQUANTISED if is_llava else None
    if model.quantization == "4bit":
        # NF4 with quantised scales, as QLoRA has it (Dettmers et al., arXiv 2305.14314, section 3).
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute.frozen_dtype,
            llm_int8_skip_modules=skipped,
        )
    elif model.quantization == "8bit":
        # LLM.int8(), outliers in half precision (Dettmers et al., arXiv 2208.07339).
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_8bit=True, llm_int8_skip_modules=skipped
        )
    return options


def keep_gradients(model: nn.Module) -> None:
    """Keep bitsandbytes from packing weights for a CPU with AVX512-BF16 as soon as a model is evaluated.

    Its kernel for packed weights has no derivative: an encoder below would train on gradients that are silently zero.
    """
    for module in model.modules():
        if hasattr(module, _PACKS):
            setattr(module, _PACKS, False)


def as_loaded(model: ModelConfig) -> dict[str, Any]:
    """Return what of this changes a model's numbers, where it is not as it used to be before there was a choice."""
    given = {
        "attention": model.attention,
        "quantization": model.quantization,
        "compile": model.compile,
    }
    usual = {"attention": "sdpa", "quantization": None, "compile": False}
    return {key: value for key, value in given.items() if value != usual[key]}


def weights_on(device: torch.device) -> dict[str, Any]:
    """Return what `from_pretrained` is told of a model that is loaded as it is."""
    return {"device_map": {"": str(device)}}

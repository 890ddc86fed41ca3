"""The language model's blocks through torch.compile: fewer passes over memory between the matrix products."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.vlm import VisionLanguageModel

_COMPILER = "clang++" if sys.platform == "darwin" else "g++"


def check_compiler(model: ModelConfig) -> None:
    """Check that blocks can be compiled.

    Raises:
        ConfigError: If there is no C++ compiler where torch looks for one, or the weights are quantised, whose
            operations torch cannot look into.
    """
    if not model.compile:
        return
    if model.quantization is not None:
        raise ConfigError(
            f"model.compile is true, but model.quantization is '{model.quantization}', whose operations torch.compile "
            f"cannot look into. Fix: model.compile=false, or model.quantization=null."
        )
    compiler = os.environ.get("CXX", _COMPILER)
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"model.compile is true, which needs a C++ compiler, but '{compiler}' is not on the path. Fix: install it, "
            f"name another one in the environment variable CXX, or model.compile=false."
        )


def compile_blocks(vlm: VisionLanguageModel) -> None:
    """Compile the blocks of the language model, each pass of a kind when it is first made.

    Compiled are passes of frozen blocks over whole prompts, in training and in evaluation: these are nearly all of a
    run's operations. Where a block is trained, recomputed in the backward pass, or reads keys and values that are
    kept, its pass is made as ever: a compiled one would be made anew for every block and length.

    Args:
        vlm: The model; a deep copy of it has nothing compiled.
    """
    for module in vlm.llava.model.language_model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            _compile(module)


def _compile(block: GradientCheckpointingLayer) -> None:
    as_ever = cast("Callable[..., Tensor]", block._call_impl)
    compiled = torch.compile(as_ever, dynamic=True)

    def call(*arguments: Any, **named: Any) -> Tensor:  # noqa: ANN401  # whatever the block takes
        recomputes = block.gradient_checkpointing and block.training
        keeps = named.get("past_key_values") is not None
        is_trained = any(parameter.requires_grad for parameter in block.parameters())
        if recomputes or keeps or is_trained:
            return as_ever(*arguments, **named)
        return compiled(*arguments, **named)

    # What nn.Module.compile sets, which always compiles.
    block._compiled_call_impl = call

"""The language model inside a vision-language model, as a causal language model of its own."""

import copy
from typing import cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from ablate.models.vlm import VisionLanguageModel


def causal_language_model(vlm: VisionLanguageModel) -> PreTrainedModel:
    """Put a model's language part and output layer into a causal language model.

    No weight is copied: both models are one, and what trains one has trained the other.

    Args:
        vlm: The vision-language model; stays as it is.

    Raises:
        ValueError: If the architecture has weights of its own besides those two parts.
    """
    config = copy.deepcopy(cast("PreTrainedConfig", vlm.llava.config.text_config))
    # The shared output layer stays the vision-language model's own, tied there or not.
    config.tie_word_embeddings = False
    with torch.device("meta"):
        causal: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    setattr(causal, causal.base_model_prefix, vlm.llava.model.language_model)
    causal.set_output_embeddings(cast("nn.Module", vlm.llava.lm_head))
    unfilled = [name for name, parameter in causal.named_parameters() if parameter.is_meta]
    if unfilled:
        raise ValueError(f"{type(causal).__name__} has weights that no LLaVA has: {unfilled}")
    return causal

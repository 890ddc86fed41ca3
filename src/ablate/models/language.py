"""A causal language model on its own, ready to read image tokens."""

from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import AddedToken
from torch import nn
from transformers import (
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.compute import Compute
from ablate.models.kinds import check_language
from ablate.models.options import language_options
from ablate.models.pretrained import load_config, load_tokenizer
from ablate.models.weights import LANGUAGE, LLAVA, blank, load_weights

IMAGE_TOKEN = "<image>"


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model in the pieces that LLaVA is made of.

    Attributes:
        model: The transformer, from token embeddings to the last norm.
        lm_head: The output layer; its weight may be that of the token embeddings.
        config: Its configuration.
        generation: How it generates by default, if it says so.
        tokenizer: Its tokenizer; knows the image token.
        image_token_id: Id of the token that stands for one image feature.
    """

    model: PreTrainedModel
    lm_head: nn.Linear
    config: PreTrainedConfig
    generation: GenerationConfig | None
    tokenizer: PreTrainedTokenizerBase
    image_token_id: int


def load_language(config: ModelConfig, compute: Compute) -> LanguageModel:
    """Load the language model of a configuration: its own, or that of its LLaVA.

    Raises:
        ConfigError: If there is none, or if LLaVA cannot be built around it.
    """
    check_language(config)
    name, revision = config.language or str(config.llava), config.revision
    kind = LLAVA if config.language is None else LANGUAGE
    options, dtype = language_options(config, compute), compute.frozen_dtype
    model = load_weights(kind, name, revision, load_config(name, revision), dtype, options)
    tokenizer = load_tokenizer(name, revision)
    if config.language is not None:
        _check_pieces(model)
    return _pieces(config, model, tokenizer)


def language_skeleton(config: ModelConfig) -> LanguageModel:
    """Return the language model of a configuration without weights, on torch's `meta` device.

    Raises:
        ConfigError: If there is none.
    """
    check_language(config)
    name, revision = config.language or str(config.llava), config.revision
    kind = LLAVA if config.language is None else LANGUAGE
    model = blank(kind, name, load_config(name, revision))
    with torch.device("meta"):
        return _pieces(config, model, load_tokenizer(name, revision))


def _pieces(config: ModelConfig, model: Any, tokenizer: PreTrainedTokenizerBase) -> LanguageModel:  # noqa: ANN401
    """Take a causal language model or a LLaVA apart."""
    if config.language is not None:
        return _from_causal(model, tokenizer)
    return LanguageModel(
        model.model.language_model,
        model.lm_head,
        model.model.language_model.config,
        model.generation_config,
        tokenizer,
        model.config.image_token_id,
    )


def _from_causal(causal: Any, tokenizer: PreTrainedTokenizerBase) -> LanguageModel:  # noqa: ANN401
    """Take a causal language model apart; its vocabulary gains the image token if it lacks it."""
    tokenizer.add_tokens(
        [AddedToken(IMAGE_TOKEN, special=True, normalized=False)], special_tokens=True
    )
    image_token_id = tokenizer.get_vocab()[IMAGE_TOKEN]
    _resize_embeddings(causal, len(tokenizer))
    return LanguageModel(
        causal.base_model,
        causal.get_output_embeddings(),
        causal.config,
        causal.generation_config,
        tokenizer,
        image_token_id,
    )


@torch.no_grad()
def _check_pieces(causal: Any) -> None:  # noqa: ANN401
    """Refuse a model that LLaVA, which has pieces of its own between the transformer and the logits, would change."""
    kind = type(causal).__name__
    transformer, lm_head = causal.base_model, causal.get_output_embeddings()
    if not isinstance(lm_head, nn.Linear) or getattr(lm_head, "bias", None) is not None:
        raise _unusable(kind, "its output layer is not linear without a bias")
    tied = lm_head.weight is causal.get_input_embeddings().weight
    if tied and not hasattr(transformer, "embed_tokens"):
        raise _unusable(kind, "it shares its output layer with embeddings that LLaVA does not find")
    ids = torch.arange(4, device=causal.device)[None]
    wanted = causal(input_ids=ids, use_cache=False).logits
    given = lm_head(transformer(input_ids=ids, use_cache=False).last_hidden_state)
    if not torch.allclose(given.float(), wanted.float(), rtol=1e-2, atol=1e-2):
        raise _unusable(kind, "it changes its logits after the output layer")
    ids[0, -1] = 0
    changed = causal(input_ids=ids, use_cache=False).logits
    if not torch.allclose(changed[:, :-1].float(), wanted[:, :-1].float(), rtol=1e-2, atol=1e-2):
        raise _unusable(kind, "its tokens depend on those that come after them")


def _unusable(kind: str, reason: str) -> ConfigError:
    return ConfigError(
        f"No LLaVA can be built around a {kind}: {reason}. "
        f"Fix: model.language=<another causal language model, such as a Llama or a Qwen2>."
    )


@torch.no_grad()
def _resize_embeddings(causal: Any, n_tokens: int) -> None:  # noqa: ANN401
    """Resize the embeddings to the tokenizer; new ones are the mean of all others, so none of them is ever likely."""
    embeddings = causal.get_input_embeddings()
    n_before = embeddings.weight.shape[0]
    if n_tokens <= n_before:
        return
    causal.resize_token_embeddings(n_tokens, mean_resizing=False)
    for layer in (causal.get_input_embeddings(), causal.get_output_embeddings()):
        layer.weight[n_before:] = layer.weight[:n_before].mean(dim=0)

"""Log-likelihood of texts as answers to a prompt, the prompt being read once for all of them."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from ablate.evaluation.verbs.prompts import PromptBatch
from ablate.models.vlm import VisionLanguageModel


def log_likelihoods(
    vlm: VisionLanguageModel,
    batch: PromptBatch,
    continuations: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]]:
    """Sum the log-probabilities of the tokens of every continuation of every prompt.

    The first token is read off the prompt's last position; the others take a second pass over
    the continuations alone, on the prompt's keys and values. With `n` prompts of length `P` and
    `k` continuations of length `L` that is `n (P + k (L - 1))` positions instead of
    `n k (P + L)`, and logits at the `n + n k (L - 1)` positions that are needed.

    Args:
        vlm: The model, in evaluation mode.
        batch: The prompts.
        continuations: Token ids, `[prompts][continuations][tokens]`, none of them empty.

    Returns:
        Sums, `[prompts][continuations]`.
    """
    flat = [(row, ids) for row, texts in enumerate(continuations) for ids in texts]
    longer = [index for index, (_, ids) in enumerate(flat) if len(ids) > 1]
    cache = DynamicCache() if longer else None
    hidden = vlm.llava.model.language_model(
        inputs_embeds=batch.embeddings,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        past_key_values=cache,
        use_cache=cache is not None,
    ).last_hidden_state[:, -1]
    rows = torch.tensor([row for row, _ in flat], device=vlm.device)
    first = torch.tensor([ids[0] for _, ids in flat], device=vlm.device)
    sums = _log_probabilities(vlm, hidden)[rows, first]
    if cache is not None:
        # The keys and values are copied for every continuation of a pass (0.3 GB each for
        # LLaVA-1.5 7B), so a pass holds no more of them than there are prompts.
        rows_per_pass = max(len(continuations), max(len(texts) for texts in continuations))
        for start in range(0, len(longer), rows_per_pass):
            chosen = longer[start : start + rows_per_pass]
            sums[chosen] += _later_tokens(vlm, batch, cache, [flat[index] for index in chosen])
    remaining = iter(sums.tolist())
    return [list(islice(remaining, len(texts))) for texts in continuations]


def _later_tokens(
    vlm: VisionLanguageModel,
    batch: PromptBatch,
    cache: DynamicCache,
    continuations: Sequence[tuple[int, Sequence[int]]],
) -> Tensor:
    """Sum log-probabilities from the second token on, for (prompt row, token ids), `[rows]`."""
    longest = max(len(ids) for _, ids in continuations)
    ids = torch.zeros(len(continuations), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (_, tokens) in enumerate(continuations):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    ids, mask = ids.to(vlm.device), mask.to(vlm.device)
    rows = torch.tensor([row for row, _ in continuations], device=vlm.device)
    steps = torch.arange(longest - 1, device=vlm.device)
    hidden = vlm.llava.model.language_model(
        input_ids=ids[:, :-1],
        attention_mask=torch.cat([batch.mask[rows], mask[:, :-1]], dim=1),
        position_ids=batch.lengths[rows, None] + steps,
        past_key_values=_rows_of(cache, rows),
        use_cache=True,
    ).last_hidden_state
    is_target = mask[:, 1:].bool()
    of_targets = _log_probabilities(vlm, hidden[is_target])
    per_token = torch.zeros(is_target.shape, device=vlm.device)
    per_token[is_target] = of_targets.gather(1, ids[:, 1:][is_target][:, None])[:, 0]
    return per_token.sum(dim=1)


def _rows_of(cache: DynamicCache, rows: Tensor) -> DynamicCache:
    """Copy rows of a cache; the original stays as it is."""
    # transformers types the states as optional: they are None before the first pass.
    layers = cast("list[Any]", cache.layers)
    return DynamicCache([(layer.keys[rows], layer.values[rows]) for layer in layers])


def _log_probabilities(vlm: VisionLanguageModel, hidden: Tensor) -> Tensor:
    """Turn hidden states `[n, width]` into log-probabilities `[n, vocabulary]`.

    In float32 whatever the model's precision: bfloat16 logits between 16 and 32 lie 0.125 apart,
    so options would tie and the first one win.
    """
    with torch.autocast(vlm.device.type, enabled=False):
        logits = functional.linear(hidden.float(), vlm.llava.lm_head.weight.float())
        return logits.log_softmax(dim=-1)

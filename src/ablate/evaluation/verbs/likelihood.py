"""Log-likelihood of texts as answers to a prompt, the prompt being read once for all of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, PreTrainedConfig

from ablate.evaluation.verbs.prompts import PromptBatch
from ablate.models.vlm import VisionLanguageModel


def log_likelihoods(
    vlm: VisionLanguageModel,
    batch: PromptBatch,
    continuations: Sequence[Sequence[Sequence[int]]],
) -> list[list[float]]:
    """Sum the log-probabilities of the tokens of every continuation of every prompt.

    The first token is read off the prompt's last position; the others of all continuations of a prompt take a second
    pass side by side, on the prompt's keys and values, each seeing the prompt and its own tokens alone. With `n`
    prompts of length `P` and `k` continuations of length `L` that is `n (P + k (L - 1))` positions instead of
    `n k (P + L)`, and logits at the `n + n k (L - 1)` positions that are needed.

    Args:
        vlm: The model, in evaluation mode.
        batch: The prompts.
        continuations: Token ids, `[prompts][continuations][tokens]`, none of them empty.

    Returns:
        Sums, `[prompts][continuations]`.

    Raises:
        ValueError: If the prompts are longer than the language model's attention window, which the second pass
            does not know.
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
        _check_window(vlm, batch, max(len(ids) for _, ids in flat))
        for chosen in _passes(flat, longer, budget=batch.mask.shape[1]):
            sums += _later_tokens(vlm, batch, cache, flat, chosen)
    remaining = iter(sums.tolist())
    return [list(islice(remaining, len(texts))) for texts in continuations]


def _check_window(vlm: VisionLanguageModel, batch: PromptBatch, longest: int) -> None:
    window = getattr(vlm.llava.config.text_config, "sliding_window", None)
    length = batch.mask.shape[1] + longest
    if window is not None and length > window:
        raise ValueError(
            f"a prompt and its options have up to {length} tokens, more than the {window} that the language model's "
            f"attention spans: options cannot be scored"
        )


def _passes(
    flat: Sequence[tuple[int, Sequence[int]]], longer: Sequence[int], budget: int
) -> Iterator[list[int]]:
    """Deal continuations out to passes that read at most `budget` tokens a prompt, or one continuation.

    As many tokens as the prompts have: a pass takes no more memory than reading them did.
    """
    left = list(longer)
    while left:
        used: Counter[int] = Counter()
        chosen = []
        for index in left:
            row, ids = flat[index]
            if used[row] == 0 or used[row] + len(ids) - 1 <= budget:
                used[row] += len(ids) - 1
                chosen.append(index)
        yield chosen
        taken = set(chosen)
        left = [index for index in left if index not in taken]


def _later_tokens(
    vlm: VisionLanguageModel,
    batch: PromptBatch,
    cache: DynamicCache,
    flat: Sequence[tuple[int, Sequence[int]]],
    chosen: Sequence[int],
) -> Tensor:
    """Sum log-probabilities from the second token on, for some of `flat` (prompt row, token ids), `[flat]`."""
    places: list[tuple[int, int]] = []  # prompt and column of every token
    used: Counter[int] = Counter()
    for index in chosen:
        row, ids = flat[index]
        places += [(row, used[row] + step) for step in range(len(ids) - 1)]
        used[row] += len(ids) - 1
    at = tuple(torch.tensor(places, device=vlm.device).T)

    def spread(values: list[int], empty: int) -> Tensor:
        grid = torch.full((len(batch.mask), max(used.values())), empty, device=vlm.device)
        grid[at] = torch.tensor(values, device=vlm.device)
        return grid

    owners = [index for index in chosen for _ in flat[index][1][1:]]
    owner = spread(owners, -1)
    steps = spread([step for index in chosen for step in range(len(flat[index][1]) - 1)], 0)
    before = (owner[:, :, None] == owner[:, None, :]) & (steps[:, :, None] >= steps[:, None, :])
    # Columns without a token see the prompt too: a softmax over nothing would be NaN.
    prompts = batch.mask.bool()[:, None].expand(-1, owner.shape[1], -1)
    visible = torch.cat([prompts, before], dim=2)[:, None]
    dtype = batch.embeddings.dtype
    mask = torch.zeros(visible.shape, dtype=dtype, device=vlm.device)
    with _own_mask(vlm):
        hidden = vlm.llava.model.language_model(
            input_ids=spread([token for index in chosen for token in flat[index][1][:-1]], 0),
            attention_mask=mask.masked_fill(~visible, torch.finfo(dtype).min),
            position_ids=batch.lengths[:, None] + steps,
            past_key_values=_own(cache),
            use_cache=True,
        ).last_hidden_state
    targets = [token for index in chosen for token in flat[index][1][1:]]
    of_targets = _log_probabilities(vlm, hidden[at]).gather(
        1, torch.tensor(targets, device=vlm.device)[:, None]
    )[:, 0]
    sums = torch.zeros(len(flat), device=vlm.device)
    return sums.index_add(0, torch.tensor(owners, device=vlm.device), of_targets)


@contextmanager
def _own_mask(vlm: VisionLanguageModel) -> Iterator[None]:
    """Attend by torch's SDPA for the length of the block: flash attention knows no mask but that of padding."""
    config = cast("PreTrainedConfig", vlm.llava.model.language_model.config)
    usual = config._attn_implementation
    if usual == "flash_attention_2":
        config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = usual


def _own(cache: DynamicCache) -> DynamicCache:
    """Return a cache that grows by itself; the original stays as it is."""
    # transformers types the states as optional: they are None before the first pass.
    layers = cast("list[Any]", cache.layers)
    return DynamicCache([(layer.keys, layer.values) for layer in layers])


def _log_probabilities(vlm: VisionLanguageModel, hidden: Tensor) -> Tensor:
    """Turn hidden states `[n, width]` into log-probabilities `[n, vocabulary]`.

    In float32 whatever the model's precision: bfloat16 logits between 16 and 32 lie 0.125 apart,
    so options would tie and the first one win.
    """
    with torch.autocast(vlm.device.type, enabled=False):
        logits = functional.linear(hidden.float(), vlm.llava.lm_head.weight.float())
        return logits.log_softmax(dim=-1)

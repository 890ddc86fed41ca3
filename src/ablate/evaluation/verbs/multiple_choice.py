"""Multiple-choice questions answered by the whole vision-language model, in batches."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache

from ablate.config.schema import Reading, Scoring
from ablate.data.multiple_choice import LETTERS, LETTERS_INSTRUCTION, asked, is_by_letter
from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.metrics.reading import read_letter, read_yes_no
from ablate.evaluation.verbs.generation import generate
from ablate.evaluation.verbs.inference import inference
from ablate.evaluation.verbs.likelihood import log_likelihoods
from ablate.evaluation.verbs.pixels import Ahead, ReadPixels
from ablate.evaluation.verbs.prompts import (
    ImageTokens,
    OnPooled,
    Prompt,
    embed,
    images_read,
)
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult


@dataclass(frozen=True)
class Answer:
    """What the model said to one item.

    Attributes:
        prediction: Index of the chosen option; None when nothing could be read from the answer.
        scores: Log-likelihood of every option; empty where it was not asked for.
        text: The generated answer; None where options were scored.
    """

    prediction: int | None
    scores: tuple[float, ...]
    text: str | None


def answer_items(
    vlm: VisionLanguageModel,
    read: ReadPixels | None,
    items: Sequence[MultipleChoiceItem],
    scoring: Scoring,
    batch_size: int,
    max_new_tokens: int,
    on_batch: Callable[[dict[int, Answer]], None],
    n_answered: int = 0,
    on_pooled: OnPooled | None = None,
    reading: Reading = "first",
    with_scores: bool = False,
) -> None:
    """Answer multiple-choice questions, with or without images, batch by batch.

    `letters`: the options stand in the prompt, and the letter with the highest log-probability
    after it is the answer (LoRSU's prompt; the same choice as greedy decoding whenever that
    begins with a letter). `answers`: the prompt holds the question alone, and the option whose
    text has the highest log-likelihood, end token included, is the answer; no correction for
    length. `generate`: the prompt of `letters`, greedy decoding, and the letter that `reading`
    finds in the text; of a statement the question alone, and one of its two words.

    Args:
        vlm: The model; its training mode is put back afterwards.
        read: Reads the images that the items refer to; None for text only.
        items: The questions.
        scoring: How an answer is read from the model.
        batch_size: Items per forward pass; changes speed and memory only.
        max_new_tokens: Longest generated answer.
        on_batch: Called with the answers of every batch, by the item's index in `items`.
        n_answered: How many items an earlier call, with the same batch size, has answered: they are left out, and
            the answers to the others are the same, bit for bit.
        on_pooled: Called with the rows of every pass of the image encoder and its pooled output.
        reading: How a letter, or a word, is read from a generated answer.
        with_scores: Score a generated answer's options too: their letters as `letters` does, of a statement its words.
    """
    with inference(vlm), ExitStack() as stack:
        prompts = encode_prompts(vlm, items, scoring)
        continuations = _Continuations(vlm)
        order = _order(prompts)
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        n_done = -(-n_answered // batch_size)
        first = _first_encoded(batches, n_done, prompts)
        planned = images_read([prompts[index] for index in chosen] for chosen in batches[first:])
        ahead = None if read is None else stack.enter_context(Ahead(read, planned))
        image_tokens = ImageTokens(vlm, ahead, on_pooled)
        for chosen in batches[first:n_done]:
            embed(vlm, [prompts[index] for index in chosen], image_tokens)
        for chosen in batches[n_done:]:
            batch = embed(vlm, [prompts[index] for index in chosen], image_tokens)
            chosen_items = [items[index] for index in chosen]
            scores: Sequence[Sequence[float]] = [()] * len(chosen)
            if scoring != "generate" or with_scores:
                options = [continuations.of(item, scoring) for item in chosen_items]
                scores = log_likelihoods(vlm, batch, options)
            if scoring == "generate":
                texts = generate(vlm, batch, max_new_tokens)
                found = [
                    Answer(_read(text, item, reading), tuple(row), text)
                    for text, item, row in zip(texts, chosen_items, scores, strict=True)
                ]
            else:
                found = [Answer(best_option(row), tuple(row), None) for row in scores]
            on_batch(dict(zip(chosen, found, strict=True)))


def _read(text: str, item: MultipleChoiceItem, reading: Reading) -> int | None:
    """Return the index of the option that a generated answer gives."""
    if not item.is_statement:
        return read_letter(text, len(item.options), reading)
    positive, negative = item.options
    is_positive = read_yes_no(text, positive, negative, reading)
    return None if is_positive is None else int(not is_positive)


def choice_results(
    items: Sequence[MultipleChoiceItem], answered: Mapping[int, Answer]
) -> dict[int, ItemResult]:
    """Write answers in words: the chosen option, 1 where it is the correct one, else 0.

    Args:
        items: The questions.
        answered: What the model said, by index in `items`; no choice that could be read counts as wrong.

    Returns:
        The results by index.
    """
    return {index: _result(items[index], answer) for index, answer in answered.items()}


def _result(item: MultipleChoiceItem, answer: Answer) -> ItemResult:
    chosen = answer.prediction
    return ItemResult(
        id=item.id,
        cluster=item.cluster or item.id,
        answer=item.options[item.answer],
        prediction=None if chosen is None else item.options[chosen],
        score=float(chosen == item.answer),
        text=answer.text,
        option_logprobs=answer.scores,
    )


def best_option(scores: Sequence[float]) -> int | None:
    """Return the index of the highest log-likelihood, the first of equal ones; None if any is not a number."""
    if any(math.isnan(score) for score in scores):
        return None
    return max(range(len(scores)), key=scores.__getitem__)


class _Continuations:
    """Token ids of the options as they continue the prompt, each text encoded once."""

    def __init__(self, vlm: VisionLanguageModel) -> None:
        self._vlm = vlm
        self._encode = lru_cache(maxsize=None)(vlm.answer_ids)

    def of(self, item: MultipleChoiceItem, scoring: Scoring) -> list[list[int]]:
        if is_by_letter(item, scoring):
            # Every such prompt ends with the instruction, so a letter's ids are the same for all.
            return [self._encode(LETTERS_INSTRUCTION, LETTERS[i]) for i in range(len(item.options))]
        end = [self._vlm.tokenizer.eos_token_id]
        with_image = item.image is not None
        return [self._encode(item.question, text, with_image) + end for text in item.options]


def encode_prompts(
    vlm: VisionLanguageModel, items: Sequence[MultipleChoiceItem], scoring: Scoring
) -> list[Prompt]:
    """Encode the prompt of every item, each different text once."""
    encode = lru_cache(maxsize=None)(vlm.prompt_ids)
    prompts = []
    for item in items:
        question, _ = asked(item, scoring)
        prompts.append(Prompt(encode(question, item.image is not None), item.image))
    return prompts


def _order(prompts: Sequence[Prompt]) -> list[int]:
    """Sort by length to save padding, longest first, the prompts on one image side by side.

    Longest first shows in the first batch whether the memory suffices.
    """
    longest: dict[int, int] = {}
    for prompt in prompts:
        if prompt.image is not None:
            longest[prompt.image] = max(len(prompt.ids), longest.get(prompt.image, 0))

    def key(index: int) -> tuple[int, int]:
        prompt = prompts[index]
        if prompt.image is None:
            return -len(prompt.ids), -1
        return -longest[prompt.image], prompt.image

    return sorted(range(len(prompts)), key=key)


def _first_encoded(batches: Sequence[Sequence[int]], n_done: int, prompts: Sequence[Prompt]) -> int:
    """Return the batch from which images are encoded, so that batch `n_done` finds what it would have found.

    An image that it shares with the batch before was encoded among that one's images, and rounds as it does there.
    """
    first = min(n_done, len(batches))
    while 0 < first < len(batches):
        last, following = prompts[batches[first - 1][-1]].image, prompts[batches[first][0]].image
        if last is None or last != following:
            break
        first -= 1
    return first

import math
from dataclasses import replace

import pytest
import torch
from tests.conftest import build_tiny_random_vlm, in_float64
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import eager_attention_forward

from ablate.data.multiple_choice import letters_question
from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.metrics.reading import read_letter
from ablate.evaluation.verbs.likelihood import log_likelihoods
from ablate.evaluation.verbs.multiple_choice import answer_items
from ablate.evaluation.verbs.prompts import ImageTokens, Prompt, embed

pytestmark = pytest.mark.numerical

QUESTIONS = ("what?", "what shape is there?", "which colour has the thing in the upper corner?")
OPTIONS = ("circle", "red square", "zebra", "a small triangle", "A")


@pytest.fixture
def tiny_random_vlm(tiny_random_vlm):
    """In float64: the answers are compared, not the rounding of one batch or another."""
    return in_float64(tiny_random_vlm)


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8, generator=generator)


@pytest.fixture
def items():
    """Questions of different lengths; some share an image, some have none."""
    return [
        MultipleChoiceItem(
            id=f"item-{k}",
            image=None if k % 5 == 4 else k % 9,
            question=QUESTIONS[k % 3],
            options=OPTIONS[: 2 + k % 4],
            answer=0,
        )
        for k in range(20)
    ]


def answered(vlm, read, items, scoring, batch_size, max_new_tokens):
    answers = {}
    answer_items(vlm, read, items, scoring, batch_size, max_new_tokens, answers.update)
    return [answers[index] for index in range(len(items))]


def plain_prompt(item, question):
    """The conversation as text, written out again."""
    image = "" if item.image is None else "<image>" * 4 + "\n"
    return f"USER: {image}{question} ASSISTANT:"


def plain_log_likelihood(vlm, pixels, item, question, answer_tokens):
    """Score one answer by one full forward pass over one unpadded sequence."""
    prompt = vlm.tokenizer(plain_prompt(item, question))["input_ids"]
    ids = torch.tensor([prompt + answer_tokens])
    images = {}
    if item.image is not None:
        images["pixel_values"] = vlm.normalise(pixels[[item.image]])
    with torch.no_grad():
        logits = vlm.llava(input_ids=ids, **images).logits[0]
    log_probabilities = logits.log_softmax(-1)
    return sum(
        log_probabilities[len(prompt) - 1 + i, token].item()
        for i, token in enumerate(answer_tokens)
    )


def tokens_of(vlm, text):
    return vlm.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_answers_scoring_equals_one_full_forward_pass_per_option(tiny_random_vlm, pixels, items):
    vlm = tiny_random_vlm
    answers = answered(vlm, pixels.__getitem__, items, "answers", 7, 1)
    for item, answer in zip(items, answers, strict=True):
        plain = [
            plain_log_likelihood(
                vlm,
                pixels,
                item,
                item.question,
                [*tokens_of(vlm, f" {text}"), vlm.tokenizer.eos_token_id],
            )
            for text in item.options
        ]
        assert answer.scores == pytest.approx(plain, rel=1e-5, abs=1e-5)
        assert answer.prediction == plain.index(max(plain))


def test_more_options_than_one_pass_holds_score_as_each_alone(tiny_random_vlm):
    vlm = tiny_random_vlm
    prompts = [Prompt([1, 10, 11], None), Prompt([1, 12], None)]
    options = [[[20 + k + j for j in range(1 + k % 4)] for k in range(9)], [[30, 31, 32, 33, 34]]]
    batch = embed(vlm, prompts, ImageTokens(vlm, None))
    together = log_likelihoods(vlm, batch, options)
    for prompt, texts, sums in zip(prompts, options, together, strict=True):
        alone = embed(vlm, [prompt], ImageTokens(vlm, None))
        each = [log_likelihoods(vlm, alone, [[text]])[0][0] for text in texts]
        assert sums == pytest.approx(each, rel=1e-5)


def test_a_prompt_beyond_the_attention_window_is_refused(tiny_random_vlm, monkeypatch):
    vlm = tiny_random_vlm
    batch = embed(vlm, [Prompt([1, 10, 11], None)], ImageTokens(vlm, None))
    monkeypatch.setattr(vlm.llava.config.text_config, "sliding_window", 4, raising=False)
    assert log_likelihoods(vlm, batch, [[[20], [21]]])
    with pytest.raises(ValueError, match="up to 5 tokens, more than the 4"):
        log_likelihoods(vlm, batch, [[[20, 22], [21]]])


def test_letters_scoring_equals_one_full_forward_pass_per_option(tiny_random_vlm, pixels, items):
    vlm = tiny_random_vlm
    answers = answered(vlm, pixels.__getitem__, items, "letters", 7, 1)
    for item, answer in zip(items, answers, strict=True):
        question = letters_question(item.question, item.options)
        plain = [
            plain_log_likelihood(vlm, pixels, item, question, tokens_of(vlm, f" {letter}"))
            for letter in "ABCDE"[: len(item.options)]
        ]
        assert answer.scores == pytest.approx(plain, rel=1e-5, abs=1e-5)
        assert answer.prediction == plain.index(max(plain))


def test_the_image_matters(tiny_random_vlm, pixels, items):
    black = answered(tiny_random_vlm, torch.zeros_like(pixels).__getitem__, items, "answers", 8, 1)
    answers = answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 8, 1)
    for item, one, other in zip(items, answers, black, strict=True):
        gap = max(abs(a - b) for a, b in zip(one.scores, other.scores, strict=True))
        assert (gap > 1e-2) == (item.image is not None)


def test_generation_equals_generate_without_a_batch(tiny_random_vlm, pixels, items):
    vlm = tiny_random_vlm
    answers = answered(vlm, pixels.__getitem__, items, "generate", 7, 6)
    for item, answer in zip(items, answers, strict=True):
        question = letters_question(item.question, item.options)
        ids = torch.tensor([vlm.tokenizer(plain_prompt(item, question))["input_ids"]])
        images = {}
        if item.image is not None:
            images["pixel_values"] = vlm.normalise(pixels[[item.image]])
        generated = vlm.llava.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **images,
            do_sample=False,
            max_new_tokens=6,
            eos_token_id=vlm.tokenizer.eos_token_id,
            pad_token_id=vlm.tokenizer.eos_token_id,
        )[0, ids.shape[1] :]
        assert answer.text == vlm.tokenizer.decode(generated, skip_special_tokens=True).strip()
        assert answer.prediction == read_letter(answer.text, len(item.options), "first")


@pytest.mark.parametrize("scoring", ["letters", "answers", "generate"])
def test_batch_size_changes_no_answer(tiny_random_vlm, pixels, items, scoring):
    one, three, all_at_once = (
        answered(tiny_random_vlm, pixels.__getitem__, items, scoring, size, 5)
        for size in (1, 3, 64)
    )
    for a, b, c in zip(one, three, all_at_once, strict=True):
        assert a.prediction == b.prediction == c.prediction
        assert a.text == b.text == c.text
        assert a.scores == pytest.approx(b.scores, rel=1e-5, abs=1e-5)
        assert a.scores == pytest.approx(c.scores, rel=1e-5, abs=1e-5)


def test_a_subset_gets_the_same_answers(tiny_random_vlm, pixels, items):
    whole = answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 4, 1)
    part = answered(tiny_random_vlm, pixels.__getitem__, items[5:9], "answers", 4, 1)
    assert [a.prediction for a in part] == [a.prediction for a in whole[5:9]]


def test_padding_is_left_and_positions_start_at_the_first_real_token(tiny_random_vlm):
    prompts = [Prompt([1, 10, 11], None), Prompt([1, 10, 11, 12, 13], None)]
    batch = embed(tiny_random_vlm, prompts, ImageTokens(tiny_random_vlm, None))
    assert batch.mask.tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert batch.positions.tolist() == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]]
    assert batch.lengths.tolist() == [3, 5]


def test_every_image_is_encoded_once(tiny_random_vlm, pixels, items):
    seen = []
    hook = tiny_random_vlm.vision_tower.register_forward_hook(
        lambda _module, args, kwargs, _out: seen.append(len([*args, *kwargs.values()][0])),
        with_kwargs=True,
    )
    answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 3, 1)
    hook.remove()
    assert sum(seen) == len({item.image for item in items} - {None})


def test_text_only_items_need_no_pixels(tiny_random_vlm, items):
    text_only = [item for item in items if item.image is None]
    for scoring in ("letters", "answers", "generate"):
        answers = answered(tiny_random_vlm, None, text_only, scoring, 2, 3)
        assert len(answers) == len(text_only)
    assert answered(tiny_random_vlm, None, [], "answers", 2, 3) == []


def test_the_training_mode_of_every_module_is_put_back(tiny_random_vlm, pixels, items):
    tiny_random_vlm.train()
    tiny_random_vlm.llava.lm_head.eval()
    before = [module.training for module in tiny_random_vlm.modules()]
    answered(tiny_random_vlm, pixels.__getitem__, items, "letters", 8, 1)
    assert [module.training for module in tiny_random_vlm.modules()] == before


def test_progress_is_reported_by_batch(tiny_random_vlm, pixels, items):
    sizes = []
    answer_items(
        tiny_random_vlm,
        pixels.__getitem__,
        items,
        "letters",
        8,
        1,
        lambda found: sizes.append(len(found)),
    )
    assert sizes == [8, 8, 4]


def test_a_model_of_nan_predicts_nothing(tiny_random_vlm, pixels, items):
    with torch.no_grad():
        tiny_random_vlm.llava.lm_head.weight.fill_(math.nan)
    answers = answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 8, 1)
    assert {answer.prediction for answer in answers} == {None}


@pytest.mark.parametrize("scoring", ["letters", "answers", "generate"])
@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_an_evaluation_goes_on_with_the_same_bits(scoring, batch_size, pixels, items):
    vlm = build_tiny_random_vlm()
    items = [replace(item, image=item.image and item.image // 3) for item in items]

    def call(n_answered):
        answers, seen = {}, []
        answer_items(
            vlm,
            pixels.__getitem__,
            items,
            scoring,
            batch_size,
            3,
            answers.update,
            n_answered,
            lambda rows, _: seen.append(tuple(rows)),
        )
        return answers, seen

    whole, encoded = call(0)
    assert len(encoded) == len(set(encoded)) > 1
    order = list(whole)
    for n_answered in range(0, len(items) + batch_size, batch_size):
        rest, again = call(min(n_answered, len(items)))
        assert list(rest) == order[n_answered:]
        assert all(rest[index] == whole[index] for index in rest)
        # Images encoded in other company would round differently, if not in this small model.
        assert set(again) <= set(encoded)
    assert call(len(items)) == ({}, [])


def test_a_mask_of_its_own_is_never_given_to_flash_attention(
    tiny_random_vlm, pixels, items, monkeypatch
):
    """It would take it for one of padding; the second pass over options has such a mask."""
    config = tiny_random_vlm.llava.model.language_model.config
    usual = answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 7, 1)
    # Flash attention itself needs a GPU: plain attention under its name stands for it where the mask is of padding.
    seen = []

    def flash(module, query, key, value, attention_mask, **options):
        seen.append(None if attention_mask is None else attention_mask.dim())
        return eager_attention_forward(
            module, query, key, value, causal(query, attention_mask), **options
        )

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "flash_attention_2", flash)
    config._attn_implementation = "flash_attention_2"
    found = answered(tiny_random_vlm, pixels.__getitem__, items, "answers", 7, 1)
    assert config._attn_implementation == "flash_attention_2"
    assert set(seen) <= {None, 2}
    for one, other in zip(found, usual, strict=True):
        assert one.scores == pytest.approx(other.scores, rel=1e-5, abs=1e-5)


def causal(query, padding):
    """The additive mask that flash attention has built in, with the padding that it is told of."""
    n = query.shape[2]
    visible = torch.ones(n, n, dtype=torch.bool).tril()[None, None]
    if padding is not None:
        visible = visible & padding.bool()[:, None, None]
    return torch.zeros_like(visible, dtype=query.dtype).masked_fill(~visible, -1e9)


def test_the_letters_of_a_written_answer_are_scored_as_without_it(tiny_random_vlm, pixels, items):
    read, both = pixels.__getitem__, {}
    alone = answered(tiny_random_vlm, read, items, "letters", 7, 6)
    written = answered(tiny_random_vlm, read, items, "generate", 7, 6)
    answer_items(tiny_random_vlm, read, items, "generate", 7, 6, both.update, with_scores=True)
    for index, one in both.items():
        assert one.text == written[index].text
        assert one.scores == pytest.approx(alone[index].scores, rel=1e-9)
    assert len(both) == len(items)
    assert all(one.scores == () for one in written)

import pytest
import torch

from ablate.evaluation.verbs.generation import generate_answers

QUESTIONS = [
    ("what?", 0),
    ("what shape is there?", 1),
    ("which colour has the thing?", 0),
    ("what?", None),
]


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator)


def test_a_batch_answers_as_one_question_at_a_time(tiny_random_vlm, pixels):
    together = generate_answers(tiny_random_vlm, pixels.__getitem__, QUESTIONS, 6)
    alone = [
        generate_answers(tiny_random_vlm, pixels.__getitem__, [question], 6)[0]
        for question in QUESTIONS
    ]
    assert together == alone
    assert len(set(together)) > 1


def test_an_answer_is_the_models_own_generation(tiny_random_vlm, pixels):
    vlm = tiny_random_vlm
    ids = torch.tensor([vlm.prompt_ids("what shape is there?")])
    generated = vlm.llava.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=vlm.normalise(pixels[[1]]),
        do_sample=False,
        max_new_tokens=6,
        eos_token_id=vlm.tokenizer.eos_token_id,
        pad_token_id=vlm.tokenizer.eos_token_id,
    )[0, ids.shape[1] :]
    text = vlm.tokenizer.decode(generated, skip_special_tokens=True).strip()
    assert generate_answers(vlm, pixels.__getitem__, [("what shape is there?", 1)], 6) == [text]


def test_the_training_mode_is_put_back(tiny_random_vlm, pixels):
    tiny_random_vlm.train()
    generate_answers(tiny_random_vlm, pixels.__getitem__, QUESTIONS, 2)
    assert all(module.training for module in tiny_random_vlm.modules())

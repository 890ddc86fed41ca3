from dataclasses import replace

import pytest
import torch
from tests.conftest import in_float64
from tests.methods.sessions import CLASSES, recipe
from torch.nn import functional

from ablate.evaluation.verbs.zero_shot import (
    class_embeddings,
    prompt_embeddings,
    text_embeddings,
)
from ablate.training.losses import ContrastiveLoss
from ablate.training.trainer import n_batches, steps_per_epoch

pytestmark = pytest.mark.numerical
TEMPLATES = ("a photo of {}.", "{}", "two of {}")


@pytest.fixture
def vlm(tiny_random_vlm):
    return in_float64(tiny_random_vlm)


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (8, 3, 16, 16), dtype=torch.uint8, generator=generator)


def plain_loss(vlm, pixels, texts):
    """InfoNCE in both directions, written out."""
    images = vlm.clip_image_features(vlm.normalise(pixels).double())
    scores = (vlm.clip.logit_scale.exp() * images @ texts.double().T).exp()
    by_image = (scores.diag() / scores.sum(dim=1)).log()
    by_text = (scores.diag() / scores.sum(dim=0)).log()
    return -(by_image.mean() + by_text.mean()) / 2


def test_the_loss_is_that_of_each_image_against_the_texts_of_its_batch(vlm, pixels):
    texts = text_embeddings(vlm, [f"{number} things" for number in range(8)])
    loss = ContrastiveLoss(vlm, pixels.__getitem__, texts[:, None])
    rows = torch.tensor([5, 1, 6])
    state = torch.get_rng_state()
    torch.testing.assert_close(loss(vlm, rows), plain_loss(vlm, pixels[rows], texts[rows]))
    # With one text each nothing is drawn: dropout sees the generator as it was.
    assert torch.equal(torch.get_rng_state(), state)


def test_one_prompt_a_time_is_each_of_them_in_turn(vlm, pixels):
    labels = torch.arange(8) % len(CLASSES)
    prompts = prompt_embeddings(vlm, CLASSES, TEMPLATES)[labels]
    loss = ContrastiveLoss(vlm, pixels.__getitem__, prompts)
    rows = torch.tensor([2, 7])
    possible = {
        (i, j): plain_loss(vlm, pixels[rows], torch.stack([prompts[2, i], prompts[7, j]])).item()
        for i in range(3)
        for j in range(3)
    }
    torch.manual_seed(0)
    found = [loss(vlm, rows).item() for _ in range(120)]
    seen = {
        min(possible, key=lambda pair, value=value: abs(possible[pair] - value)) for value in found
    }
    assert seen == set(possible)
    assert all(min(abs(value - one) for one in possible.values()) < 1e-9 for value in found)


def test_the_mean_of_a_classs_prompts_is_normalised_again(vlm):
    prompts = prompt_embeddings(vlm, CLASSES, TEMPLATES)
    assert prompts.shape == (len(CLASSES), len(TEMPLATES), 24)
    assert torch.equal(prompts[1, 0], text_embeddings(vlm, ["a photo of a blue square."])[0])
    mean = functional.normalize(prompts.mean(dim=1), dim=-1)
    torch.testing.assert_close(class_embeddings(vlm, CLASSES, TEMPLATES), mean)


@pytest.mark.parametrize(
    ("n", "kept", "with_last"), [(45, 2, 3), (32, 2, 2), (16, 1, 1), (15, 1, 1), (17, 1, 2)]
)
def test_a_last_batch_that_is_not_full_is_left_out_unless_it_is_the_only_one(n, kept, with_last):
    keeping = replace(recipe(1), batch_size=16)
    dropping = replace(keeping, drop_last=True)
    assert (n_batches(n, dropping), n_batches(n, keeping)) == (kept, with_last)
    assert steps_per_epoch(n, dropping) == kept
